package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"scenario/engine"
	"scenario/internal/live"
	"scenario/record"
	"scenario/report"
	"scenario/runner"
	"scenario/topology"
)

// runsFolder holds the folders of runs, below the working directory.
const runsFolder = ".scenario"

// job is a run that is to be carried out. It is data: a detached owner gets it as JSON.
type job struct {
	Plan     *topology.Plan `json:"plan"`
	File     string         `json:"file"` // as it was named
	Engine   string         `json:"engine"`
	Virtual  bool           `json:"virtual,omitempty"`  // in virtual time
	Folder   string         `json:"folder,omitempty"`   // where --out says; empty: found
	Stay     bool           `json:"stay,omitempty"`     // after the steps, until somebody takes it down
	Detached bool           `json:"detached,omitempty"` // from the terminal
	Proxies  []proxyAt      `json:"proxies,omitempty"`
	Look     look           `json:"look"`
}

// owner is the process's part as the owner of a run: it brings it up, plays its steps, serves its socket, and takes it
// down.
type owner struct {
	job     job
	display display
	folder  *record.Folder
	proxies []openProxy
	asked   chan struct{} // closed when somebody asks for the end
	gone    chan struct{} // closed when nothing is left
	ask     sync.Once
	ended   map[string]*endedStep // by id; the observer's calls come one at a time

	mu      sync.Mutex
	info    live.Info
	session *runner.Session // nil while others cannot use it
}

var _ live.Run = (*owner)(nil)

// hooks are called as a job goes on.
type hooks struct {
	opened func(folder string) // there is a run folder
	ready  func(outcome)       // the run stays up
}

// carryOut does a job from start to end. The error tells why the run could not be had or did not come to its end; a step
// or expectation that failed is an outcome.
func (a *App) carryOut(ctx context.Context, j job, show display, on hooks) (outcome, error) {
	if j.Virtual {
		return a.carryOutVirtually(ctx, j, show, on)
	}
	return a.carryOutHere(ctx, j, show, on, Setting{})
}

// carryOutHere does a job in the time that it is called in.
func (a *App) carryOutHere(ctx context.Context, j job, show display, on hooks, setting Setting) (outcome, error) {
	chosen, err := a.engineNamed(j.Engine)
	if err != nil {
		return outcome{}, err
	}
	eng, err := chosen.New(setting)
	if err != nil {
		return outcome{}, err
	}
	proxies, err := listenAll(ctx, j.Proxies) // early: that a port is taken is told before anything starts
	if err != nil {
		return outcome{}, err
	}
	defer closeAll(proxies)
	folder, err := j.createFolder()
	if err != nil {
		return outcome{}, err
	}
	defer folder.Close()
	on.opened(folder.Dir())
	o := &owner{
		job: j, display: show, folder: folder, proxies: proxies,
		asked: make(chan struct{}), gone: make(chan struct{}), ended: make(map[string]*endedStep),
	}
	o.info = live.Info{Name: j.Plan.Name, State: live.Starting, Engine: j.Engine, File: j.File, Folder: folder.Dir(),
		Since: time.Now(), PID: os.Getpid(), Nodes: a.liveNodes(j.Plan)}
	serve := o.serve
	if j.Virtual {
		serve = func() (io.Closer, error) { return io.NopCloser(nil), nil }
	}
	server, err := serve()
	if err != nil {
		return outcome{}, err
	}
	result, err := o.run(ctx, eng, on.ready)
	// In this order: when those who asked for the end are told, the folder's name is free again.
	err = errors.Join(err, folder.Close())
	close(o.gone)
	return result, errors.Join(err, server.Close())
}

// createFolder makes the run folder. Below .scenario, a run whose name a live run has takes the next free one: NAME-2,
// NAME-3 and so on.
func (j *job) createFolder() (*record.Folder, error) {
	if j.Folder != "" {
		folder, err := filepath.Abs(j.Folder)
		if err != nil {
			return nil, err
		}
		return record.Create(folder, j.Plan)
	}
	base := j.Plan.Name
	for n := 2; ; n++ {
		folder, err := filepath.Abs(filepath.Join(runsFolder, j.Plan.Name))
		if err != nil {
			return nil, err
		}
		created, err := record.Create(folder, j.Plan)
		if !errors.Is(err, record.ErrBusy) {
			return created, err
		}
		j.Plan.Name = fmt.Sprintf("%s-%d", base, n)
	}
}

// liveNodes tells others which roles they can address.
func (a *App) liveNodes(plan *topology.Plan) []live.Node {
	var nodes []live.Node
	for _, node := range plan.Nodes {
		n := live.Node{Name: node.Name}
		for _, role := range node.Roles {
			n.Roles = append(n.Roles, role.Name)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// serve makes the run reachable.
func (o *owner) serve() (io.Closer, error) {
	dir, err := live.Folder()
	if err != nil {
		return nil, err
	}
	return live.Serve(dir, o)
}

// run brings the network up, plays the steps, stays up where that is asked for, and takes it down.
func (o *owner) run(ctx context.Context, eng engine.Engine, ready func(outcome)) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-o.asked:
			cancel()
		case <-ctx.Done():
		}
	}()
	began := time.Now()
	result := outcome{Name: o.job.Plan.Name, File: o.job.File, Folder: o.folder.Dir(), Virtual: o.job.Virtual}
	session, err := runner.Start(ctx, o.job.Plan, eng, o.folder, o.display.progress, runner.Options{Observer: o})
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // whatever the engine says of it
			o.display.note(result.Name + " is down")
		}
		return result, o.report(err)
	}
	o.enter(live.Playing, session)
	result.Outcome, err = session.Play(ctx)
	result.Duration = time.Since(began)
	if result.Interrupted = ctx.Err() != nil; result.Interrupted {
		err = nil // the end that was asked for
	}
	o.display.played(o.recording(), result)
	if err == nil && !result.Interrupted && o.job.Stay {
		err = o.stay(ctx, session, result, ready)
	}
	o.enter(live.Stopping, nil)
	// ctx may have ended, and what is up must go down all the same.
	err = errors.Join(err, session.Stop(context.WithoutCancel(ctx)))
	err = o.report(err)
	o.display.end(result)
	return result, err
}

// stay keeps the run up until ctx ends or the run is lost.
func (o *owner) stay(ctx context.Context, session *runner.Session, result outcome, ready func(outcome)) error {
	o.enter(live.Up, session)
	how := "Ctrl-C takes it down"
	if o.job.Detached {
		how = "scenario down " + result.Name + " takes it down"
	}
	defer o.serveProxies(ctx)()
	o.display.up(result, how)
	o.tellProxies()
	ready(result)
	select {
	case <-ctx.Done():
		return nil
	case err := <-session.Lost():
		return err
	}
}

// enter changes the run's state. Others may use the session from then on; there is none while it starts and stops.
func (o *owner) enter(state live.State, session *runner.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.info.State, o.session = state, session
}

// recording is the run so far.
func (o *owner) recording() *record.Recording {
	return &record.Recording{Plan: o.job.Plan, Records: o.folder.Records()}
}

// report writes what the run folder holds for people and for CI, and returns the error that the run ended with. A folder
// that cannot be written is the error where there is no other: what else went wrong came of it.
func (o *owner) report(err error) error {
	if failed := o.folder.Err(); failed != nil {
		return cmp.Or(err, failed)
	}
	files, bad := report.Files(o.recording())
	if bad != nil {
		return errors.Join(err, bad)
	}
	for _, f := range files {
		if bad := o.folder.WriteFile(f.Name, f.Data); bad != nil {
			return errors.Join(err, bad)
		}
	}
	return err
}

var _ runner.Observer = (*owner)(nil)

// StepStarted tells which step is being played; what it brings about is shown when it has ended.
func (o *owner) StepStarted(step topology.Step) {
	if show, ok := o.display.(busy); ok {
		show.playing(step)
	}
}

// StepEnded shows the step, or keeps it until its expectations have been looked at.
func (o *owner) StepEnded(step runner.StepOutcome) {
	if step.Err != nil || len(step.Step.Expect) == 0 {
		o.display.step(o.recording(), step, nil)
		return
	}
	o.ended[step.Step.ID] = &endedStep{StepOutcome: step}
}

// Expected shows the step whose last expectation this is.
func (o *owner) Expected(e runner.ExpectOutcome) {
	step := o.ended[e.Step]
	if step == nil {
		return // the run's own are shown when the steps are over
	}
	step.expected = append(step.expected, e)
	if len(step.expected) == len(step.Step.Expect) {
		delete(o.ended, e.Step)
		o.display.step(o.recording(), step.StepOutcome, step.expected)
	}
}

// endedStep is a step whose expectations are being looked at.
type endedStep struct {
	runner.StepOutcome
	expected []runner.ExpectOutcome
}

// Info tells the run's present state.
func (o *owner) Info() live.Info {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.info
}

// using returns the session, or why there is none.
func (o *owner) using() (*runner.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.session == nil {
		return nil, fmt.Errorf("run %s is %s", o.info.Name, o.info.State)
	}
	return o.session, nil
}

// Do has a role of a node carry out an action.
func (o *owner) Do(ctx context.Context, call live.Call) (json.RawMessage, error) {
	session, err := o.using()
	if err != nil {
		return nil, err
	}
	return session.Do(ctx, call.Node, engine.Call{Role: call.Role, Action: call.Action, Args: call.Args})
}

// Exec runs a program on a node.
func (o *owner) Exec(ctx context.Context, node string, command engine.Command) (int, error) {
	session, err := o.using()
	if err != nil {
		return 0, err
	}
	return session.Exec(ctx, node, command)
}

// Watch calls news whenever something was recorded.
func (o *owner) Watch(ctx context.Context, news func() error) error {
	for seen := 0; ; {
		// A record that is told of here has been written: the folder does both under one lock.
		records, more := o.folder.Since(seen)
		if len(records) > 0 {
			seen += len(records)
			if err := news(); err != nil {
				return err
			}
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Down takes the run down.
func (o *owner) Down(ctx context.Context) error {
	o.ask.Do(func() { close(o.asked) })
	select {
	case <-o.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
