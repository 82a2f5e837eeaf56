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

func liveJob(width, nodes int) job {
	plan := &topology.Plan{}
	for i := range nodes {
		plan.Nodes = append(plan.Nodes, topology.Node{Name: fmt.Sprint("node", i)})
	}
	return job{Plan: plan, Look: look{Live: true, Width: width}}
}

func TestLiveDisplay(t *testing.T) {
	var terminal bytes.Buffer
	show := newDisplay(liveJob(30, 3), &terminal, &terminal)
	check := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, screen(t, terminal.String())); diff != "" {
			t.Error("-want +got\n" + diff)
		}
	}
	show.progress("", "building an image that is larger than the line")
	check("building an image that is la…")
	show.progress("", "starting")
	check("starting")
	show.progress("node1", "created")
	show.progress("node2", "wired")
	show.progress("node0", "ready")
	check("starting: 1 of 3 nodes ready", "  ● node0  ◔ node1  ◑ node2")

	// What stays takes the block's place, and the next block stands below it.
	o := outcome{Name: "greet", Folder: "/runs/greet"}
	show.up(o, "Ctrl-C takes it down")
	check("greet is up: Ctrl-C takes it down")
	show.(busy).playing(topology.Step{ID: "1", Node: "node1", Action: "say", Target: "hi"})
	check("greet is up: Ctrl-C takes it down", "step 1: node1 say hi")
	show.note("interrupted")
	show.progress("node1", "stopped")
	check("greet is up: Ctrl-C takes it down", "interrupted", "stopping: 1 of 3 nodes stopp…", "  ○ node0  ● node1  ○ node2")
	show.end(o)
	check("greet is up: Ctrl-C takes it down", "interrupted", "greet is down; run folder: /runs/greet")
}

func TestLiveDisplayCountsManyNodes(t *testing.T) {
	var terminal bytes.Buffer
	show := newDisplay(liveJob(0, 100), &terminal, &terminal)
	show.progress("", "starting")
	for i := range 31 {
		show.progress(fmt.Sprint("node", i), "created")
	}
	show.progress("node3", "ready")
	want := []string{"starting: 1 of 100 nodes ready"}
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
