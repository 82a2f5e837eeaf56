package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/charmbracelet/x/ansi"

	"scenario/engine"
	"scenario/record"
	"scenario/runner"
	"scenario/topology"
)

// liveDisplay keeps a few lines below what was printed so far and rewrites them as states change: what goes on as a
// whole, and the nodes in the plan's order, each with a mark that fills. What is to stay is printed in their place.
type liveDisplay struct {
	plain  plainDisplay
	nodes  []string // of the plan
	mu     sync.Mutex
	states map[string]string // by node; of "": of the whole
	shown  []string          // lines
}

var _ busy = (*liveDisplay)(nil)

func newLiveDisplay(j job, stdout, stderr io.Writer) *liveDisplay {
	d := &liveDisplay{plain: plainDisplay{look: j.Look, out: stdout, err: stderr}}
	if j.Plan != nil {
		for _, node := range j.Plan.Nodes {
			d.nodes = append(d.nodes, node.Name)
		}
	}
	return d
}

// maxLive bounds the lines of nodes, so that the block fits on a small terminal: beyond it, nodes are only counted.
const maxLive = 4

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
	d.states[node] = state
	d.draw(d.lines())
}

// playing shows the step while it lasts.
func (d *liveDisplay) playing(step topology.Step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.states = nil
	words := strings.Join(strings.Fields(step.Node+" "+step.Action+" "+step.Target), " ")
	d.draw([]string{"step " + step.ID + ": " + words})
}

// draw replaces the block; d.mu is held.
func (d *liveDisplay) draw(lines []string) {
	text := d.erase()
	for i, line := range lines {
		lines[i] = d.fit(line)
		text += lines[i] + "\n"
	}
	fmt.Fprint(d.plain.err, text)
	d.shown = lines
}

// lines are what goes on, and the nodes where they are few enough.
func (d *liveDisplay) lines() []string {
	if len(d.states) == 1 && d.states[""] != "" {
		return []string{d.states[""]}
	}
	whole, end := cmp.Or(d.states[""], "starting"), engine.StateReady
	counts := make(map[string]int)
	for node, state := range d.states {
		if node != "" {
			counts[state]++
		}
	}
	if counts[engine.StateStopped] > 0 {
		whole, end = "stopping", engine.StateStopped
	}
	head := fmt.Sprintf("%s: %d of %s %s", whole, counts[end], count(len(d.nodes), "node"), end)
	if rows := d.rows(end); len(rows) <= maxLive {
		return append([]string{head}, rows...)
	}
	return []string{head}
}

// rows are the nodes with their marks, as many in a line as fit.
func (d *liveDisplay) rows(end string) []string {
	var rows []string
	width := cmp.Or(d.plain.look.Width, defaultColumns)
	row := ""
	for _, node := range d.nodes {
		item := "  " + mark(d.states[node], end) + " " + node
		if row != "" && ansi.StringWidth(row+item) >= width {
			rows = append(rows, row)
			row = ""
		}
		row += item
	}
	return append(rows, row)
}

// defaultColumns is the width of a terminal that does not tell its own.
const defaultColumns = 80

// mark shows how far a node is on its way to the last state.
func mark(state, end string) string {
	switch state {
	case end:
		return "●"
	case "":
		return "○"
	case engine.StateCreated:
		return "◔"
	}
	return "◑"
}

// fit cuts a line to the terminal's width: a line that wraps would break the count of lines.
func (d *liveDisplay) fit(line string) string {
	if width := d.plain.look.Width; width > 0 {
		return ansi.Truncate(line, width-1, "…")
	}
	return line
}

// erase is what removes the block of lines; d.mu is held.
func (d *liveDisplay) erase() string {
	if len(d.shown) == 0 {
		return ""
	}
	return fmt.Sprintf(linesUp+clearAll, len(d.shown))
}

// settle removes the block, prints what is to stay, and begins anew.
func (d *liveDisplay) settle(lasting func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprint(d.plain.err, d.erase())
	d.states, d.shown = nil, nil
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
