package report

import "fmt"

// tally counts what came of a run.
type tally struct {
	ran, stepsFailed, notRun   int
	passed, failed, notChecked int
}

func (r *run) tally() tally {
	var t tally
	for _, s := range r.steps {
		switch {
		case !s.begun:
			t.notRun++
		case s.err != "" || !s.ended:
			t.stepsFailed++
			t.ran++
		default:
			t.ran++
		}
	}
	for _, e := range r.expects {
		switch e.verdict {
		case passed:
			t.passed++
		case failed:
			t.failed++
		default:
			t.notChecked++
		}
	}
	return t
}

// words says the counts in a line.
func (t tally) words() words {
	w := say(count(t.ran, "step") + " ran")
	w = w.in(bad, some(t.stepsFailed, ", %d failed")).in(bad, some(t.notRun, ", %d did not run"))
	if t.passed+t.failed+t.notChecked == 0 {
		return w.say("; nothing was expected")
	}
	w = w.say("; of "+count(t.passed+t.failed+t.notChecked, "expectation")+" ").in(good, fmt.Sprintf("%d held", t.passed))
	return w.in(bad, some(t.failed, ", %d failed")).in(bad, some(t.notChecked, ", %d not checked"))
}

// some is the format with n in it where n is not 0.
func some(n int, format string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}
