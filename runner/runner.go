// Package runner starts a plan on an engine, plays its steps, looks whether what must hold does hold, and stops.
//
// [Start] brings the network up as a [Session]; [Session.Play] plays the steps in order and returns the [Outcome];
// [Session.Stop] takes the network down. In between anybody may use the session's nodes. Time is taken from package time
// alone, and nothing is polled: a runner works in virtual time as it does in real time.
package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"scenario/engine"
	"scenario/event"
	"scenario/expect"
	"scenario/record"
	"scenario/topology"
)

// Options are what may differ between runs of the same plan.
type Options struct {
	Observer Observer      // nil: nobody is told
	Settle   time.Duration // how long an expectation may take to become true; 0 means DefaultSettle
}

// DefaultSettle is how long an expectation may take to become true: nodes tell what they did a moment after they did it.
const DefaultSettle = 2 * time.Second

// syncLimit is how long the nodes may take to hand over what they told.
const syncLimit = 10 * time.Second

// Observer is told how the steps go on. Its methods are called one at a time.
type Observer interface {
	StepStarted(step topology.Step)
	StepEnded(outcome StepOutcome)
	Expected(outcome ExpectOutcome)
}

// ErrStopped is the error of whatever goes on, or is asked for, when the session is stopped.
var ErrStopped = errors.New("the run was stopped")

// Session is a network that is up. Its methods may be called from any goroutine.
type Session struct {
	plan     *topology.Plan
	run      engine.Run
	folder   *record.Folder
	log      *slog.Logger // of the scenario itself
	options  Options
	programs map[programKey]*expect.Program

	ended   context.Context // ends when the session can no longer serve; its cause says why
	end     context.CancelCauseFunc
	lost    chan error
	watched chan struct{} // closed when nobody watches the run any more

	release context.CancelFunc // of the context that the engine started the run with
	stops   atomic.Bool
	stopped chan struct{} // closed when the run has stopped
	stopErr error         // set before stopped is closed

	told sync.Mutex // guards the observer's calls

	mu        sync.Mutex // guards the fields below
	results   map[string]expect.Value
	read      int            // how many of the folder's records are in seen, or passed over
	seen      []expect.Value // the folder's records, as expectations see them
	converter *expect.Converter
}

// programKey tells compiled expectations apart.
type programKey struct {
	that  string
	scope expect.Scope
}

// output ties what a run brings forth together.
type output struct {
	*record.Folder
	progress func(node, state string)
}

var _ engine.Output = output{}

// Progress tells a person what goes on.
func (o output) Progress(node, state string) {
	if o.progress != nil {
		o.progress(node, state)
	}
}

// Start looks whether the engine can do all of the plan, and brings it up. What the nodes tell goes to folder, what goes
// on while the network starts and stops to progress, which may be nil. When Start fails nothing is left behind.
func Start(ctx context.Context, plan *topology.Plan, eng engine.Engine, folder *record.Folder,
	progress func(node, state string), options Options) (*Session, error) {
	if options.Settle == 0 {
		options.Settle = DefaultSettle
	}
	programs, err := compile(plan)
	if err != nil {
		return nil, err
	}
	if err := eng.Check(ctx, plan); err != nil {
		return nil, err
	}
	run, release, err := start(ctx, plan, eng, folder, progress)
	if err != nil {
		return nil, err
	}
	s := &Session{
		plan: plan, run: run, folder: folder, options: options, programs: programs, release: release,
		log:  event.NewLogger(expect.ScenarioNode, folder),
		lost: make(chan error, 1), watched: make(chan struct{}), stopped: make(chan struct{}),
		results: make(map[string]expect.Value), converter: expect.NewConverter(),
	}
	s.ended, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	go s.watch()
	return s, nil
}

// start has the engine bring the plan up, unless the folder fails in the meantime. The context that the engine gets ends
// with release, so that a run may live on it.
func start(ctx context.Context, plan *topology.Plan, eng engine.Engine, folder *record.Folder,
	progress func(node, state string)) (run engine.Run, release context.CancelFunc, err error) {
	ctx, cancel := context.WithCancel(ctx)
	up, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-folder.Failed():
			cancel()
		case <-up:
		}
	}()
	run, err = eng.Start(ctx, plan, output{folder, progress})
	close(up)
	<-ended
	if err != nil {
		cancel()
		if failed := folder.Err(); failed != nil {
			err = fmt.Errorf("the run cannot be recorded: %w", failed)
		}
		return nil, nil, err
	}
	return run, cancel, nil
}

// compile reads every expectation of the plan.
func compile(plan *topology.Plan) (map[programKey]*expect.Program, error) {
	if err := expect.Check(plan); err != nil {
		return nil, err
	}
	programs, compiler := make(map[programKey]*expect.Program), expect.NewCompiler()
	add := func(expectations []topology.Expectation, scope expect.Scope) error {
		for _, e := range expectations {
			program, err := compiler.Compile(e.That, scope)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Position, err)
			}
			programs[programKey{e.That, scope}] = program
		}
		return nil
	}
	var addSteps func(steps []topology.Step) error
	addSteps = func(steps []topology.Step) error {
		for _, step := range steps {
			if err := errors.Join(addSteps(step.Parallel), add(step.Expect, expect.Step)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(addSteps(plan.Steps), add(plan.Expect, expect.Run)); err != nil {
		return nil, err
	}
	return programs, nil
}

// watch ends the session's use when the run or its folder can no longer serve.
func (s *Session) watch() {
	defer close(s.watched)
	var err error
	select {
	case cause := <-s.run.Lost():
		err = fmt.Errorf("the run was lost: %w", cause)
	case <-s.folder.Failed():
		err = fmt.Errorf("the run can no longer be recorded: %w", s.folder.Err())
	case <-s.ended.Done():
		return
	}
	s.lost <- err
	s.end(err)
}

// Lost yields one error when the run can no longer serve: its engine lost it, or its folder cannot be written.
func (s *Session) Lost() <-chan error { return s.lost }

// during returns ctx, ended also when the session can no longer serve.
func (s *Session) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s.ended.Err() != nil {
		cancel(context.Cause(s.ended))
	}
	remove := context.AfterFunc(s.ended, func() { cancel(context.Cause(s.ended)) })
	return ctx, func() {
		remove()
		cancel(nil)
	}
}

// Run is what the engine made of the plan: for what only some engines can do, which is found by assertion.
func (s *Session) Run() engine.Run { return s.run }

// Do has a role of the node carry out an action and returns its result as JSON.
func (s *Session) Do(ctx context.Context, node string, call engine.Call) (json.RawMessage, error) {
	ctx, cancel := s.during(ctx)
	defer cancel()
	result, err := s.run.Do(ctx, node, call)
	return result, because(ctx, err)
}

// Exec runs a program on the node and returns its exit code.
func (s *Session) Exec(ctx context.Context, node string, command engine.Command) (int, error) {
	ctx, cancel := s.during(ctx)
	defer cancel()
	code, err := s.run.Exec(ctx, node, command)
	return code, because(ctx, err)
}

// because is why ctx ended, where that is why err came about.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Stop takes the run down and returns when nothing of it is left. Steps that are still being played end. Whoever calls
// it again gets the same error when the first call has come to its end, or that of ctx when that ends before.
func (s *Session) Stop(ctx context.Context) error {
	if s.stops.CompareAndSwap(false, true) {
		s.end(ErrStopped)
		<-s.watched
		s.stopErr = s.run.Stop(ctx)
		s.release()
		close(s.stopped)
		return s.stopErr
	}
	select {
	case <-s.stopped:
		return s.stopErr
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
