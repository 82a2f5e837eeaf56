package cli

import (
	"encoding/json"
	"sync"

	"scenario/record"
	"scenario/runner"
)

// jsonDisplay writes one JSON object a line, each with its type.
type jsonDisplay struct {
	mu    sync.Mutex
	lines *json.Encoder
}

// The lines of --json.
type (
	jsonProgress struct {
		Type  string `json:"type"` // progress
		Node  string `json:"node,omitempty"`
		State string `json:"state"`
	}
	jsonStep struct {
		Type     string          `json:"type"` // step
		Step     string          `json:"step"`
		Node     string          `json:"node,omitempty"`
		Action   string          `json:"action"`
		Target   string          `json:"target,omitempty"`
		Duration float64         `json:"duration_s"`
		Result   json.RawMessage `json:"result,omitempty"`
		Error    string          `json:"error,omitempty"`
		Look     string          `json:"look,omitempty"`
	}
	jsonExpectation struct {
		Type     string `json:"type"`           // expectation
		Step     string `json:"step,omitempty"` // whose it is; empty: the run's
		Position string `json:"position"`
		That     string `json:"that"`
		Because  string `json:"because,omitempty"`
		Passed   bool   `json:"passed"`
		Reason   string `json:"reason,omitempty"`
		Look     string `json:"look,omitempty"`
	}
	jsonUp struct {
		Type   string `json:"type"` // up
		Name   string `json:"name"`
		Folder string `json:"folder"`
	}
	jsonOutcome struct {
		Type         string  `json:"type"` // outcome
		Name         string  `json:"name"`
		File         string  `json:"file"`
		Passed       bool    `json:"passed"`
		Interrupted  bool    `json:"interrupted,omitempty"`
		Steps        int     `json:"steps"`
		Expectations int     `json:"expectations"`
		Failed       int     `json:"failed"` // steps and expectations
		Skipped      int     `json:"skipped,omitempty"`
		Duration     float64 `json:"duration_s"`
		Folder       string  `json:"folder"`
	}
)

func (d *jsonDisplay) write(line any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Where standard output is gone there is nobody to tell.
	_ = d.lines.Encode(line)
}

func (d *jsonDisplay) progress(node, state string) {
	d.write(jsonProgress{Type: "progress", Node: node, State: state})
}

func (d *jsonDisplay) step(_ *record.Recording, o runner.StepOutcome, expected []runner.ExpectOutcome) {
	line := jsonStep{
		Type: "step", Step: o.Step.ID, Node: o.Step.Node, Action: o.Step.Action, Target: o.Step.Target,
		Duration: o.Duration.Seconds(), Result: o.Result,
	}
	if o.Err != nil {
		line.Error, line.Look = o.Err.Err.Error(), o.Look
	}
	d.write(line)
	for _, e := range expected {
		d.expectation(e)
	}
}

func (d *jsonDisplay) expectation(o runner.ExpectOutcome) {
	d.write(jsonExpectation{
		Type: "expectation", Step: o.Step, Position: o.Expectation.Position, That: o.Expectation.That,
		Because: o.Expectation.Because, Passed: o.Pass, Reason: o.Reason, Look: o.Look,
	})
}

func (d *jsonDisplay) played(_ *record.Recording, o outcome) {
	for _, e := range o.Expect {
		if e.Step == "" {
			d.expectation(e)
		}
	}
}

func (d *jsonDisplay) up(o outcome, _ string) {
	d.write(jsonUp{Type: "up", Name: o.Name, Folder: o.Folder})
}

func (d *jsonDisplay) note(text string) {
	d.write(jsonProgress{Type: "progress", State: text})
}

func (d *jsonDisplay) end(o outcome) {
	d.write(jsonOutcome{
		Type: "outcome", Name: o.Name, File: o.File, Passed: o.passed(), Interrupted: o.Interrupted, Steps: len(o.Steps),
		Expectations: len(o.Expect), Failed: o.Failed(), Skipped: o.Skipped, Duration: o.Duration.Seconds(), Folder: o.Folder,
	})
}
