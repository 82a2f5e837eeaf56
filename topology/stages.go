package topology

import (
	"fmt"
	"strings"
)

// stages returns in which stage each node starts: one after all that it depends on.
func (s *Spec) stages() map[string]int {
	stages := make(map[string]int)
	var stage func(name string) int
	stage = func(name string) int {
		if n, done := stages[name]; done {
			return n
		}
		n := 0
		for _, dependency := range s.Nodes.find(name).Value.DependsOn {
			n = max(n, stage(dependency.Value)+1)
		}
		stages[name] = n
		return n
	}
	for _, name := range s.Nodes.names() {
		stage(name)
	}
	return stages
}

// checkCycles notes nodes that depend on each other in a ring, each ring once.
func (s *Spec) checkCycles(errs *mistakes) {
	const unseen, open, done = 0, 1, 2
	state := make(map[string]int)
	var path []string
	var visit func(node *Entry[NodeSpec])
	visit = func(node *Entry[NodeSpec]) {
		state[node.Name] = open
		path = append(path, node.Name)
		for _, dependency := range node.Value.DependsOn {
			next := s.Nodes.find(dependency.Value)
			switch {
			case next == nil || state[next.Name] == done:
			case state[next.Name] == unseen:
				visit(next)
			default:
				ring := path
				for ring[0] != next.Name {
					ring = ring[1:]
				}
				errs.add(dependency.At, fmt.Sprintf("nodes depend on each other: %s -> %s", strings.Join(ring, " -> "), next.Name),
					"take one of these dependencies away")
			}
		}
		path = path[:len(path)-1]
		state[node.Name] = done
	}
	for i := range s.Nodes {
		if state[s.Nodes[i].Name] == unseen {
			visit(&s.Nodes[i])
		}
	}
}
