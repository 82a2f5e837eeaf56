package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"scenario/engine"
	"scenario/event"
	"scenario/expect"
	"scenario/topology"
)

// StepError is why a step could not be done.
type StepError struct {
	Step topology.Step
	Err  error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("step %s: %s: %v", e.Step.ID, describe(e.Step), e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }

// Play plays the plan's steps in order, and after each looks at its expectations; then at those of the run. The first
// step that cannot be done ends it: what comes after is skipped. An expectation that does not hold ends nothing. The
// error tells why the steps did not come to their end: ctx ended, the run was lost, or its folder failed. The outcome is
// then what there was until then.
func (s *Session) Play(ctx context.Context) (Outcome, error) {
	ctx, cancel := s.during(ctx)
	defer cancel()
	var whole Outcome
	for i, step := range s.plan.Steps {
		outcome, err := s.step(ctx, step)
		whole.add(outcome)
		if err != nil {
			return whole, err
		}
		if last := outcome.Steps[len(outcome.Steps)-1]; last.Err != nil {
			whole.Skipped += size(s.plan.Steps[i+1:]) + len(s.plan.Expect)
			return whole, nil
		}
	}
	if err := s.sync(ctx); err != nil {
		return whole, err
	}
	expected, err := s.expect(ctx, &check{expectations: s.plan.Expect, scope: expect.Run})
	whole.Expect = append(whole.Expect, expected...)
	return whole, err
}

func (o *Outcome) add(part Outcome) {
	o.Steps = append(o.Steps, part.Steps...)
	o.Expect = append(o.Expect, part.Expect...)
	o.Skipped += part.Skipped
}

// size counts steps, those in them, and their expectations.
func size(steps []topology.Step) int {
	n := len(steps)
	for _, step := range steps {
		n += size(step.Parallel) + len(step.Expect)
	}
	return n
}

// step plays one step and looks at its expectations. The last of the outcome's steps is the step itself. After an error
// the play is over.
func (s *Session) step(ctx context.Context, step topology.Step) (Outcome, error) {
	since := s.mark()
	s.tell(func(o Observer) { o.StepStarted(step) })
	traced := event.WithTrace(ctx, event.StepTrace+step.ID, "")
	traced = event.Begin(traced, s.log, event.StepStart{Step: step.ID, Action: step.Action, Target: step.Target})
	began := time.Now()
	result, outcome, err := s.act(traced, step)
	value, invalid := expect.NewValue(result)
	if err == nil && invalid != nil {
		err = fmt.Errorf("the result is no JSON: %w", invalid)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	ended := StepOutcome{Step: step, Duration: time.Since(began), Result: result}
	end := event.StepEnd{Step: step.ID, Duration: ended.Duration.Seconds()}
	if err == nil {
		end.Result = result
		s.remember(step.ID, value)
	} else {
		end.Error = err.Error()
		ended.Result, ended.Err, ended.Look = nil, &StepError{step, err}, s.look(nil, &step)
		outcome.Skipped += len(step.Expect)
	}
	event.Emit(traced, s.log, end)
	outcome.Steps = append(outcome.Steps, ended)
	s.tell(func(o Observer) { o.StepEnded(ended) })
	if ctx.Err() != nil {
		return outcome, err
	}
	if err := s.sync(ctx); err != nil || ended.Err != nil {
		return outcome, err
	}
	expected, err := s.expect(ctx, &check{
		step: &step, expectations: step.Expect, scope: expect.Step, since: since, result: value,
	})
	outcome.Expect = append(outcome.Expect, expected...)
	return outcome, err
}

// act does what the step says. The outcome is that of the steps side by side in it.
func (s *Session) act(ctx context.Context, step topology.Step) (json.RawMessage, Outcome, error) {
	if step.Action == topology.ActionWait {
		return nil, Outcome{}, pause(ctx, time.Duration(step.Wait))
	}
	if step.Timeout > 0 {
		late := fmt.Errorf("not done within %v", time.Duration(step.Timeout))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(step.Timeout), late)
		defer cancel()
	}
	switch step.Action {
	case topology.ActionParallel:
		return s.sideBySide(ctx, step)
	case topology.ActionRun:
		result, err := s.runProgram(ctx, step)
		return result, Outcome{}, because(ctx, err)
	}
	trace, parent := event.Cause(ctx)
	result, err := s.run.Do(ctx, step.Node, engine.Call{
		Role: step.Role, Action: step.Action, Args: step.Args, Trace: trace, Parent: parent,
	})
	return result, Outcome{}, because(ctx, err)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sideBySide plays the steps in step at once. All come to their end, even when one fails. The result is theirs by id.
func (s *Session) sideBySide(ctx context.Context, step topology.Step) (json.RawMessage, Outcome, error) {
	outcomes := make([]Outcome, len(step.Parallel))
	errs := make([]error, len(step.Parallel))
	var all sync.WaitGroup
	for i, part := range step.Parallel {
		all.Go(func() {
			if turner, ok := s.run.(engine.Turner); ok {
				turner.Turn(fmt.Sprintf("step %06d", i))
			}
			outcomes[i], errs[i] = s.step(ctx, part)
		})
	}
	all.Wait()
	var whole Outcome
	results := make(map[string]json.RawMessage)
	var failed []string
	for _, o := range outcomes {
		whole.add(o)
		last := o.Steps[len(o.Steps)-1]
		results[last.Step.ID] = last.Result
		if last.Err != nil {
			failed = append(failed, last.Step.ID)
		}
	}
	if len(failed) > 0 {
		return nil, whole, &partError{failed}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, whole, err
	}
	text, err := json.Marshal(results)
	return text, whole, err
}

// partError is why a step that holds others failed, where some of them did: those are the failures.
type partError struct{ ids []string }

func (e *partError) Error() string {
	if len(e.ids) == 1 {
		return "step " + e.ids[0] + " failed"
	}
	return "steps " + strings.Join(e.ids, ", ") + " failed"
}

// sync waits until everything that the nodes told is in the folder.
func (s *Session) sync(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, syncLimit, fmt.Errorf("not within %v", syncLimit))
	defer cancel()
	if err := s.run.Sync(limited); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("what the nodes told did not come in: %w", because(limited, err))
	}
	return nil
}

// remember keeps a step's result for the expectations to come.
func (s *Session) remember(id string, result expect.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[id] = result
}

// tell calls the observer, if there is one.
func (s *Session) tell(what func(Observer)) {
	if s.options.Observer == nil {
		return
	}
	s.told.Lock()
	defer s.told.Unlock()
	what(s.options.Observer)
}
