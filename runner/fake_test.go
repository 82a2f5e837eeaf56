package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"scenario/engine"
	"scenario/event"
	"scenario/record"
	"scenario/runner"
	"scenario/topology"
)

// action is what the fake engine does for an action of a role.
type action func(ctx context.Context, log nodeLog, call engine.Call) (string, error)

// nodeLog emits events of one node, in the call's trace.
type nodeLog func(ctx context.Context, e event.Event)

// fake is an engine whose nodes do what a test says.
type fake struct {
	actions map[string]action
	exec    func(ctx context.Context, command engine.Command) (int, error)
	check   error
	start   func(ctx context.Context, out engine.Output) error
	sync    func(ctx context.Context) error
	stop    func(ctx context.Context) error

	out     engine.Output
	lost    chan error
	started bool
	stops   int
}

var (
	_ engine.Engine = (*fake)(nil)
	_ engine.Run    = (*fake)(nil)
)

func (f *fake) Name() string { return "fake" }

func (f *fake) Check(context.Context, *topology.Plan) error { return f.check }

func (f *fake) Start(ctx context.Context, _ *topology.Plan, out engine.Output) (engine.Run, error) {
	f.started, f.out = true, out
	out.Progress("laptop", "ready")
	if f.start != nil {
		if err := f.start(ctx, out); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fake) Do(ctx context.Context, node string, call engine.Call) (json.RawMessage, error) {
	act, ok := f.actions[call.Action]
	if !ok {
		return nil, fmt.Errorf("node %s has no action %s", node, call.Action)
	}
	log := func(ctx context.Context, e event.Event) { event.Emit(ctx, event.NewLogger(node, f.out), e) }
	result, err := act(event.WithTrace(ctx, call.Trace, call.Parent), log, call)
	return json.RawMessage(result), err
}

func (f *fake) Exec(ctx context.Context, _ string, command engine.Command) (int, error) {
	if f.exec == nil {
		return 0, engine.ErrNoPrograms
	}
	return f.exec(ctx, command)
}

func (f *fake) Sync(ctx context.Context) error {
	if f.sync != nil {
		return f.sync(ctx)
	}
	return ctx.Err()
}

func (f *fake) Lost() <-chan error { return f.lost }

func (f *fake) Stop(ctx context.Context) error {
	f.stops++
	if f.stop != nil {
		return f.stop(ctx)
	}
	return nil
}

// answer is an action that has a result at once.
func answer(result string) action {
	return func(context.Context, nodeLog, engine.Call) (string, error) { return result, nil }
}

// hang is an action that goes on until it is ended.
func hang(ctx context.Context, _ nodeLog, _ engine.Call) (string, error) {
	<-ctx.Done()
	return "", fmt.Errorf("hung up: %w", ctx.Err())
}

// sleep is an action that takes a while.
func sleep(d time.Duration, result string) action {
	return func(ctx context.Context, _ nodeLog, _ engine.Call) (string, error) {
		time.Sleep(d)
		return result, nil
	}
}

// refuse is an action that cannot be done.
func refuse(context.Context, nodeLog, engine.Call) (string, error) {
	return "", errors.New("no such site")
}

// browse is a step of laptop's browser.
func browse(id, action string, expectations ...string) topology.Step {
	return topology.Step{
		ID: id, Position: "test.yaml:" + id, Node: "laptop", Role: "browser", Action: action, Target: "http://shop.example/",
		Timeout: topology.Duration(30 * time.Second), Expect: that(expectations...),
	}
}

func that(expectations ...string) []topology.Expectation {
	var all []topology.Expectation
	for i, text := range expectations {
		all = append(all, topology.Expectation{That: text, Position: fmt.Sprintf("test.yaml:expect:%d", i+1)})
	}
	return all
}

func planOf(steps ...topology.Step) *topology.Plan {
	return &topology.Plan{Name: "test", Nodes: []topology.Node{{Name: "laptop"}, {Name: "shop"}}, Steps: steps}
}

// stage is a session in a test.
type stage struct {
	*runner.Session
	folder  *record.Folder
	watcher *watcher
}

func start(t *testing.T, f *fake, plan *topology.Plan) stage {
	t.Helper()
	folder := newFolder(t, plan)
	w := &watcher{}
	s, err := runner.Start(t.Context(), plan, f, folder, nil, runner.Options{Observer: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return stage{s, folder, w}
}

func newFolder(t *testing.T, plan *topology.Plan) *record.Folder {
	t.Helper()
	folder, err := record.Create(t.TempDir(), plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	return folder
}

// play plays the steps and wants no error.
func (s stage) play(t *testing.T) runner.Outcome {
	t.Helper()
	outcome, err := s.Play(t.Context())
	if err != nil {
		t.Fatalf("Play: %v", err)
	}
	return outcome
}

// told is what the run's folder has of a word, as "node attribute attribute".
func (s stage) told(word string, keys ...string) []string {
	var lines []string
	for _, r := range s.folder.Records() {
		if r.Event != word {
			continue
		}
		line := r.Node
		for _, key := range keys {
			line += fmt.Sprintf(" %v", r.Attrs[key])
		}
		lines = append(lines, line)
	}
	return lines
}

// watcher keeps what an observer is told.
type watcher struct{ lines []string }

func (w *watcher) StepStarted(step topology.Step) { w.lines = append(w.lines, "start "+step.ID) }

func (w *watcher) StepEnded(o runner.StepOutcome) {
	line := fmt.Sprintf("end %s %v %s", o.Step.ID, o.Duration, o.Result)
	if o.Err != nil {
		line += o.Err.Error()
	}
	w.lines = append(w.lines, line)
}

func (w *watcher) Expected(o runner.ExpectOutcome) {
	w.lines = append(w.lines, fmt.Sprintf("expect %q %s: %v", o.Step, o.Expectation.That, o.Pass))
}

// writes is a program that writes to its outputs.
func writes(stdout, stderr string, code int) func(context.Context, engine.Command) (int, error) {
	return func(_ context.Context, command engine.Command) (int, error) {
		if _, err := io.WriteString(command.Stdout, stdout); err != nil {
			return 0, err
		}
		_, err := io.WriteString(command.Stderr, stderr)
		return code, err
	}
}
