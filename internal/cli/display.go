package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// busy is a display that tells which step is being played.
type busy interface {
	playing(step topology.Step)
}

func newDisplay(j job, stdout, stderr io.Writer) display {
	l := j.Look
	switch {
	case l.JSON:
		return &jsonDisplay{lines: json.NewEncoder(stdout)}
	case l.Live:
		return newLiveDisplay(j, stdout, stderr)
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
	d.warn(errors.Join(report.Beside(d.out, run, d.look.report()), report.Summary(d.out, run, d.look.report())))
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
