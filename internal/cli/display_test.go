package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/record"
	"scenario/runner"
	"scenario/topology"
)

// screen shows what a terminal would, of the two sequences that the live display uses.
func screen(t *testing.T, text string) []string {
	t.Helper()
	var lines []string
	for text != "" {
		var up int
		if n, err := fmt.Sscanf(text, linesUp, &up); n == 1 && err == nil {
			lines = lines[:len(lines)-up]
			text = strings.TrimPrefix(text, fmt.Sprintf(linesUp, up)+clearAll)
			continue
		}
		line, rest, whole := strings.Cut(text, "\n")
		if !whole {
			t.Fatalf("a line without an end: %q", line)
		}
		lines, text = append(lines, line), rest
	}
	return lines
}

func TestLiveDisplay(t *testing.T) {
	var terminal bytes.Buffer
	show := newDisplay(look{Live: true, Width: 20}, &terminal, &terminal)
	check := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, screen(t, terminal.String())); diff != "" {
			t.Error("-want +got\n" + diff)
		}
	}
	show.progress("", "image")
	show.progress("ann", "created")
	show.progress("bob", "created")
	show.progress("ann", "ready")
	check("image", "ann: ready", "bob: created")
	show.progress("bob", "a state that is longer than the line")
	check("image", "ann: ready", "bob: a state that i")

	// What stays takes the block's place, and the next block stands below it.
	o := outcome{Name: "greet", Folder: "/runs/greet"}
	show.up(o, "Ctrl-C takes it down")
	check("greet is up: Ctrl-C takes it down")
	show.progress("ann", "stopped")
	check("greet is up: Ctrl-C takes it down", "ann: stopped")
	show.end(o)
	check("greet is up: Ctrl-C takes it down", "greet is down; run folder: /runs/greet")
}

func TestLiveDisplayCountsManyNodes(t *testing.T) {
	var terminal bytes.Buffer
	show := newDisplay(look{Live: true}, &terminal, &terminal)
	show.progress("", "wiring")
	for i := range 2 * maxLive {
		show.progress(fmt.Sprint("node", i), "created")
	}
	show.progress("node3", "ready")
	want := []string{"wiring", "31 nodes: created", "1 node: ready"}
	if diff := cmp.Diff(want, screen(t, terminal.String())); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// R38: a failing run says what was expected, what happened and where to look.
func TestTestDisplay(t *testing.T) {
	var out bytes.Buffer
	show := &testDisplay{app: &App{Stdout: &out}}
	show.progress("ann", "ready")
	show.played(&record.Recording{}, outcome{})
	o := outcome{Name: "greet", Folder: "/runs/greet", Duration: 1234567 * time.Microsecond}
	o.Steps = []runner.StepOutcome{
		{Step: topology.Step{ID: "first", Action: "say", Node: "ann", Target: "hello", Position: "greet.yaml:9:5"}, Err: &runner.StepError{Err: errors.New("broken")}, Look: "logs/ann.jsonl"},
	}
	o.Expect = []runner.ExpectOutcome{{
		Expectation: topology.Expectation{That: "false", Because: "one line\nanother", Position: "greet.yaml:12:5"},
		Reason:      "it is false", Look: "events.jsonl",
	}}
	o.Skipped = 2
	show.end(o)
	want := `FAIL  greet: 1 step, 1 expectation, 2 failed, 2 skipped, 1.235s
      expected ann say hello
      found    broken
      stands   greet.yaml:9:5
      look at  logs/ann.jsonl
      expected false
      because  one line
               another
      found    it is false
      stands   greet.yaml:12:5
      look at  events.jsonl
      run folder: /runs/greet
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}
