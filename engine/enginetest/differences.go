package enginetest

import (
	"maps"
	"slices"
)

// Difference is where two runs of one scenario told something else.
type Difference struct {
	Node, Event string
	Attribute   string // empty: one of the runs did not tell it at all
	One, Other  string // the attribute's values as JSON, or the whole; empty: not there
}

// Compare tells in what one run's facts differ from another's. A fact that has no like is compared with the one of the
// same node and word that differs in the fewest attributes, and where that is most of them with none.
func Compare(one, other []Fact) []Difference {
	one, other = without(one, other), without(other, one)
	var all []Difference
	for _, fact := range one {
		i, keys := nearest(fact, other)
		if i < 0 {
			all = append(all, Difference{Node: fact.Node, Event: fact.Event, One: fact.String()})
			continue
		}
		for _, key := range keys {
			all = append(all, Difference{fact.Node, fact.Event, key, fact.Attrs[key], other[i].Attrs[key]})
		}
		other = slices.Delete(other, i, i+1)
	}
	for _, fact := range other {
		all = append(all, Difference{Node: fact.Node, Event: fact.Event, Other: fact.String()})
	}
	return all
}

// without is what facts has beyond others, as often.
func without(facts, others []Fact) []Fact {
	count := make(map[string]int)
	for _, fact := range others {
		count[fact.String()]++
	}
	return slices.DeleteFunc(slices.Clone(facts), func(fact Fact) bool {
		count[fact.String()]--
		return count[fact.String()] >= 0
	})
}

// nearest is the fact among others that differs least, and in what; -1 where none is near.
func nearest(fact Fact, others []Fact) (index int, keys []string) {
	index = -1
	for i, other := range others {
		if other.Node != fact.Node || other.Event != fact.Event {
			continue
		}
		if differ := differing(fact.Attrs, other.Attrs); 2*len(differ) <= len(fact.Attrs) && (index < 0 || len(differ) < len(keys)) {
			index, keys = i, differ
		}
	}
	return index, keys
}

func differing(one, other map[string]string) []string {
	all := maps.Clone(one)
	maps.Copy(all, other)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(key string) bool { return one[key] == other[key] })
}
