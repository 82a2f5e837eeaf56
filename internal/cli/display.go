package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"scenario/record"
	"scenario/report"
	"scenario/runner"
	"scenario/topology"
)

// display shows a person or a program how a run goes on. Its methods may be called from any goroutine.
type display interface {
	// progress tells the state of a node, or of the whole (no node), while the run starts and ends.
	progress(node, state string)
	// step shows a step that has ended, and what became of its expectations.
	step(run *record.Recording, o runner.StepOutcome, expected []runner.ExpectOutcome)
	// played shows how the steps went as a whole, and what became of the run's expectations.
	played(run *record.Recording, o outcome)
	// up tells that the run stays up, and how it is taken down.
	up(o outcome, how string)
	// note tells a person something else.
	note(text string)
	// end tells that the run is down.
	end(o outcome)
}

func newDisplay(l look, stdout, stderr io.Writer) display {
	switch {
	case l.JSON:
		return &jsonDisplay{lines: json.NewEncoder(stdout)}
	case l.Live:
		return &liveDisplay{plain: plainDisplay{look: l, out: stdout, err: stderr}}
	}
	return &plainDisplay{look: l, out: stdout, err: stderr}
}

// plainDisplay writes a line for each thing that happens.
type plainDisplay struct {
	look     look
	mu       sync.Mutex
	out, err io.Writer
}

func (d *plainDisplay) progress(node, state string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.err, progressLine(node, state))
}

func progressLine(node, state string) string {
	if node == "" {
		return state
	}
	return node + ": " + state
}

// step prints what a step brought about. What steps side by side did has been printed for each.
func (d *plainDisplay) step(run *record.Recording, o runner.StepOutcome, _ []runner.ExpectOutcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Step.Action != topology.ActionParallel || o.Err == nil && len(o.Step.Expect) > 0 {
		d.warn(report.Walkthrough(d.out, run, d.look.report(o.Step.ID)))
	}
}

// warn tells of output that could not be written, where there may still be somebody to read it.
func (d *plainDisplay) warn(err error) {
	if err != nil {
		fmt.Fprintln(d.err, "warning: "+err.Error())
	}
}

func (d *plainDisplay) played(run *record.Recording, _ outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.warn(report.Summary(d.out, run, d.look.report()))
}

func (d *plainDisplay) up(o outcome, how string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.err, o.Name+" is up: "+how)
}

func (d *plainDisplay) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.err, text)
}

func (d *plainDisplay) end(o outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.err, "%s is down; run folder: %s\n", o.Name, o.Folder)
}

// liveDisplay keeps one line a node below what was printed so far, and rewrites these lines as states change. What is to
// stay is printed in their place.
type liveDisplay struct {
	plain  plainDisplay
	mu     sync.Mutex
	nodes  []string // in the order they were first heard of; "" is the whole
	states map[string]string
	shown  int // lines
}

// maxLive bounds the block of lines, so that it fits on a small terminal: beyond it, nodes are counted by state.
const maxLive = 16

// Escape sequences: ECMA-48, CPL and ED.
const (
	linesUp  = "\x1b[%dF"
	clearAll = "\x1b[J"
)

func (d *liveDisplay) progress(node, state string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.states == nil {
		d.states = make(map[string]string)
	}
	if _, known := d.states[node]; !known {
		d.nodes = append(d.nodes, node)
	}
	d.states[node] = state
	lines := d.lines()
	fmt.Fprint(d.plain.err, d.erase()+strings.Join(lines, ""))
	d.shown = len(lines)
}

func (d *liveDisplay) lines() []string {
	var lines []string
	if len(d.nodes) <= maxLive {
		for _, node := range d.nodes {
			lines = append(lines, d.fit(progressLine(node, d.states[node])))
		}
		return lines
	}
	counts := make(map[string]int)
	var states []string
	for _, node := range d.nodes {
		state := d.states[node]
		if node == "" {
			lines = append(lines, d.fit(state))
			continue
		}
		if counts[state]++; counts[state] == 1 {
			states = append(states, state)
		}
	}
	slices.Sort(states)
	for _, state := range states {
		lines = append(lines, d.fit(fmt.Sprintf("%s: %s", count(counts[state], "node"), state)))
	}
	return lines
}

// fit cuts a line to the terminal's width: a line that wraps would break the count of lines.
func (d *liveDisplay) fit(line string) string {
	runes := []rune(line)
	if width := d.plain.look.Width; width > 0 && len(runes) >= width {
		runes = runes[:width-1]
	}
	return string(runes) + "\n"
}

// erase is what removes the block of lines; d.mu is held.
func (d *liveDisplay) erase() string {
	if d.shown == 0 {
		return ""
	}
	return fmt.Sprintf(linesUp+clearAll, d.shown)
}

// settle removes the block, prints what is to stay, and begins anew.
func (d *liveDisplay) settle(lasting func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprint(d.plain.err, d.erase())
	d.nodes, d.states, d.shown = nil, nil, 0
	lasting()
}

func (d *liveDisplay) step(run *record.Recording, o runner.StepOutcome, expected []runner.ExpectOutcome) {
	d.settle(func() { d.plain.step(run, o, expected) })
}

func (d *liveDisplay) played(run *record.Recording, o outcome) {
	d.settle(func() { d.plain.played(run, o) })
}

func (d *liveDisplay) up(o outcome, how string) { d.settle(func() { d.plain.up(o, how) }) }

func (d *liveDisplay) note(text string) { d.settle(func() { d.plain.note(text) }) }

func (d *liveDisplay) end(o outcome) { d.settle(func() { d.plain.end(o) }) }
