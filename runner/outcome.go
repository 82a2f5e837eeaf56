package runner

import (
	"encoding/json"
	"errors"
	"time"

	"scenario/topology"
)

// Outcome is how a scenario's steps went.
type Outcome struct {
	Steps   []StepOutcome   // that ended, in the order of the plan; steps side by side before the one that holds them
	Expect  []ExpectOutcome // those of the steps, then the run's
	Skipped int             // steps and expectations that came to nothing because a step before them failed
}

// StepOutcome is how one step went.
type StepOutcome struct {
	Step     topology.Step
	Duration time.Duration
	Result   json.RawMessage // nil where the step has none or failed
	Err      *StepError      // the step could not be done
	Look     string          // where to look then: files of the run folder
}

// ExpectOutcome is what became of one expectation.
type ExpectOutcome struct {
	Step        string // the step's id; empty: the run's
	Expectation topology.Expectation
	Pass        bool
	Reason      string // what was found instead
	Look        string // where to look: files of the run folder
}

// Failure is a step that could not be done, or an expectation that did not hold.
type Failure struct {
	Step     string `json:"step,omitempty"` // its id; empty: an expectation of the run
	Position string `json:"position"`       // file:line:col
	What     string `json:"what"`           // the expectation, or what the step does
	Because  string `json:"because,omitempty"`
	Reason   string `json:"reason"` // what happened instead
	Look     string `json:"look"`   // where to look: files of the run folder
}

// Passed is how many expectations held.
func (o Outcome) Passed() int {
	n := 0
	for _, e := range o.Expect {
		if e.Pass {
			n++
		}
	}
	return n
}

// Failed is how many expectations did not hold and steps could not be done.
func (o Outcome) Failed() int { return len(o.Failures()) }

// Failures are the steps that could not be done and the expectations that did not hold. A step that holds others does
// not count beside them.
func (o Outcome) Failures() []Failure {
	var failures []Failure
	for _, s := range o.Steps {
		if s.Err == nil {
			continue
		}
		if _, inPart := errors.AsType[*partError](s.Err); inPart {
			continue
		}
		failure := Failure{Step: s.Step.ID, Position: s.Step.Position, What: describe(s.Step), Look: s.Look}
		failure.Reason = s.Err.Err.Error()
		failures = append(failures, failure)
	}
	for _, e := range o.Expect {
		if !e.Pass {
			failures = append(failures, Failure{Step: e.Step, Position: e.Expectation.Position, What: e.Expectation.That,
				Because: e.Expectation.Because, Reason: e.Reason, Look: e.Look})
		}
	}
	return failures
}

// describe is a step as a person would say it: "laptop browse http://shop.example/".
func describe(step topology.Step) string {
	text := step.Action
	if step.Node != "" {
		text = step.Node + " " + text
	}
	if step.Target != "" {
		text += " " + step.Target
	}
	return text
}
