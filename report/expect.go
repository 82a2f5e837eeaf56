package report

import (
	"cmp"
	"strings"

	"scenario/event"
	"scenario/record"
	"scenario/topology"
)

// verdict is what became of an expectation.
type verdict int

const (
	notChecked verdict = iota
	passed
	failed
)

// expected is an expectation with what became of it.
type expected struct {
	topology.Expectation
	step    *step // nil: after all steps
	verdict verdict
	reason  string // what was found instead
	look    string // where to look
}

// expectations returns the plan's expectations, step by step, then those after all steps, then such that only the
// records know.
func expectations(r *run) []expected {
	type key struct{ step, expression string }
	verdicts := make(map[key][]expected)
	var order []key
	note := func(step, expression string, e expected) {
		k := key{step, expression}
		verdicts[k] = append(verdicts[k], e)
		order = append(order, k)
	}
	for _, rec := range r.records {
		if e, ok := event.As[event.ExpectPass](rec); ok {
			note(e.Step, e.Expression, expected{verdict: passed})
		} else if e, ok := event.As[event.ExpectFail](rec); ok {
			note(e.Step, e.Expression, expected{verdict: failed, reason: e.Reason, look: e.Look})
		}
	}
	var all []expected
	take := func(s *step, e topology.Expectation) {
		k := key{expression: e.That}
		if s != nil {
			k.step = s.ID
		}
		var found expected
		if len(verdicts[k]) > 0 {
			found = verdicts[k][0]
			verdicts[k] = verdicts[k][1:]
		}
		found.Expectation, found.step = e, s
		if found.verdict == failed {
			found.look = cmp.Or(found.look, lookAt(s))
		}
		all = append(all, found)
	}
	byID := make(map[string]*step)
	for _, s := range r.steps {
		byID[s.ID] = s
		for _, e := range s.Expect {
			take(s, e)
		}
	}
	for _, e := range r.plan.Expect {
		take(nil, e)
	}
	for _, k := range order {
		if len(verdicts[k]) > 0 {
			take(byID[k.step], topology.Expectation{That: k.expression})
		}
	}
	return all
}

// lookAt is where to look when an expectation of the step fails and does not say so itself.
func lookAt(s *step) string {
	switch {
	case s == nil:
		return record.EventsFile
	case s.Node == "":
		return record.EventsFile + ", trace " + event.StepTrace + s.ID
	}
	return record.LogFile(s.Node) + ", trace " + event.StepTrace + s.ID
}

// expectations tells the step's own.
func (t *teller) expectations() {
	unchecked := 0
	for _, e := range t.run.expects {
		switch {
		case e.step != t.step:
		case e.verdict == notChecked:
			unchecked++
		default:
			t.lines = append(t.lines, e.lines()...)
		}
	}
	if unchecked > 0 {
		t.lines = append(t.lines, line{at: "not run", text: say(count(unchecked, "expectation") + " of this step")})
	}
}

// labelColumn is the width of what stands before the details of a failure.
const labelColumn = 10

// lines tells an expectation that was checked: at length where it failed.
func (e expected) lines() []line {
	that := clean(strings.Join(strings.Fields(e.That), " "))
	if e.verdict == passed {
		// A person reads the reason more easily than the expression, which matters once it fails.
		return []line{{at: "ok", text: in(faint, "expected: ").say(cmp.Or(clean(e.Because), that))}}
	}
	lines := []line{{at: "FAIL", text: in(bad, "expected: "+that)}}
	add := func(label, text string) {
		for row := range strings.Lines(strings.TrimSpace(text)) {
			lines = append(lines, line{tree: "  ", text: in(faint, pad(label, labelColumn)).say(clean(strings.TrimRight(row, "\n")))})
			label = ""
		}
	}
	add("because", e.Because)
	add("found", e.reason)
	add("stands in", e.Position)
	add("look at", e.look)
	return lines
}
