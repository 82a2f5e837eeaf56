package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"scenario/engine"
	"scenario/engine/docker/agent"
	"scenario/engine/docker/fabric"
	"scenario/event"
	"scenario/topology"
)

const (
	removeTimeout = 10 * time.Second // for taking down what would not go by itself
	stopTimeout   = 5 * time.Second  // for roles and programs to end in their own way
)

// run is a plan that is up on the engine.
type run struct {
	launcher *launcher
	plan     *topology.Plan
	out      engine.Output
	janitor  *janitor
	fabric   *process

	mu      sync.Mutex
	members map[string]*member

	stopping atomic.Bool
	lost     chan error
	stopOnce sync.Once
	stopErr  error
}

// member is a node that is up.
type member struct {
	node    *topology.Node
	agent   *process
	program *process // of the user's image; nil: none
	way     way      // for connections from outside
}

var (
	_ engine.Run    = (*run)(nil)
	_ engine.Inside = (*run)(nil)
)

// Start brings the plan up.
func (e *Engine) Start(ctx context.Context, plan *topology.Plan, out engine.Output) (engine.Run, error) {
	provider, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	out.Progress("", "image")
	image, err := ensureImage(ctx, provider, e.options.Binary, func() { out.Progress("", "building image") })
	if err != nil {
		return nil, errors.Join(err, provider.Close())
	}
	out.Progress("", "starting")
	label := plan.Name + "-" + randomSuffix()
	guard, err := startJanitor(e.options.Janitor, label)
	if err != nil {
		return nil, errors.Join(err, provider.Close())
	}
	r := &run{
		launcher: &launcher{provider: provider, image: image, run: label, name: plan.Name, owner: thisOwner()},
		plan:     plan, out: out, janitor: guard,
		members: make(map[string]*member),
		lost:    make(chan error, 1),
	}
	if err := r.start(ctx); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		return nil, errors.Join(err, r.Stop(stopCtx))
	}
	return r, nil
}

// randomSuffix tells runs of one name apart. It names containers and nothing that a scenario sees.
func randomSuffix() string {
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // never fails: crypto/rand
	return hex.EncodeToString(suffix)
}

func (r *run) start(ctx context.Context) error {
	if err := r.wireAll(ctx); err != nil {
		return err
	}
	stages := make(map[int][]*member)
	for _, m := range r.members {
		stages[m.node.Stage] = append(stages[m.node.Stage], m)
		r.watch(m.node.Name, m.agent)
	}
	r.watch("fabric", r.fabric)
	order := make([]int, 0, len(stages))
	for stage := range stages {
		order = append(order, stage)
	}
	slices.Sort(order)
	for _, stage := range order {
		group, stageCtx := errgroup.WithContext(ctx)
		for _, m := range stages[stage] {
			group.Go(func() error { return r.serve(stageCtx, m) })
		}
		if err := group.Wait(); err != nil {
			return r.cause(err)
		}
	}
	return nil
}

// cause prefers the end of a container to the errors that follow from it.
func (r *run) cause(err error) error {
	select {
	case lost := <-r.lost:
		return errors.Join(lost, err)
	default:
		return err
	}
}

// wireAll starts every container and wires each as soon as it and the networks are there.
func (r *run) wireAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	networks := make(chan struct{})
	group.Go(func() error {
		p, err := r.launcher.fabric(ctx, r.out)
		if err != nil {
			return fmt.Errorf("fabric: %w", err)
		}
		r.fabric = p
		if err := p.control.Call(ctx, fabric.OpNetworks, r.plan.Networks, nil); err != nil {
			return fmt.Errorf("fabric: %w", err)
		}
		close(networks)
		return nil
	})
	for i := range r.plan.Nodes {
		node := &r.plan.Nodes[i]
		group.Go(func() error {
			p, err := r.launcher.node(ctx, r.plan, node, r.output(node.Name))
			if err != nil {
				return fmt.Errorf("node %s: %w", node.Name, err)
			}
			r.mu.Lock()
			r.members[node.Name] = &member{node: node, agent: p}
			r.mu.Unlock()
			r.out.Progress(node.Name, engine.StateCreated)
			select {
			case <-networks:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := r.fabric.control.Call(ctx, fabric.OpWire, fabric.Wire{PID: p.pid, Node: node}, nil); err != nil {
				return err
			}
			r.out.Progress(node.Name, "wired")
			return nil
		})
	}
	return group.Wait()
}

func (r *run) output(node string) output {
	return output{node: node, sink: r.out, file: func(name string, data []byte) { r.out.File(node, name, data) }}
}

// serve has a wired node play its roles and run its program.
func (r *run) serve(ctx context.Context, m *member) error {
	start := agent.Start{
		Node: m.node.Name, Seed: m.node.Seed, NameServers: m.node.NameServers, Search: m.node.Search,
		Authority: r.plan.Authority, Parts: engine.Parts(m.node),
	}
	if m.node.Program != nil && m.node.Program.RootFS != "" {
		start.Files = trustFiles(r.plan.Authority, m.node.Program)
		volumes, err := packVolumes(m.node.Program.Volumes)
		if err != nil {
			return fmt.Errorf("node %s: %w", m.node.Name, err)
		}
		start.Volumes = volumes
	}
	if err := m.agent.control.Call(ctx, agent.OpStart, start, nil); err != nil {
		return fmt.Errorf("node %s: %w", m.node.Name, err)
	}
	if err := r.startProgram(ctx, m); err != nil {
		return fmt.Errorf("node %s: %w", m.node.Name, err)
	}
	r.out.Progress(m.node.Name, engine.StateReady)
	return nil
}

func (r *run) startProgram(ctx context.Context, m *member) error {
	program := m.node.Program
	switch {
	case program == nil:
		return nil
	case program.Image != "":
		if err := r.launcher.haveImage(ctx, program.Image); err != nil {
			return err
		}
		p, err := r.launcher.program(ctx, r.plan, m.node, m.agent.id, r.output(m.node.Name))
		if err != nil {
			return err
		}
		r.mu.Lock()
		m.program = p
		r.mu.Unlock()
		r.watchProgram(m.node.Name, func() (int, error) {
			<-p.exited
			return int(p.exitCode), p.exitErr
		})
	case len(program.Command) > 0:
		log := event.NewLogger(m.node.Name, r.out)
		lines := func(stream string) *lineWriter {
			return &lineWriter{line: func(text string) {
				event.Emit(context.Background(), log, event.LogLine{Stream: stream, Message: text})
			}}
		}
		stdout, stderr := lines("stdout"), lines("stderr")
		// The program lasts as long as its node, not as long as the start.
		programCtx := context.WithoutCancel(ctx)
		r.watchProgram(m.node.Name, func() (int, error) {
			code, err := r.Exec(programCtx, m.node.Name, engine.Command{Args: program.Command, Stdout: stdout, Stderr: stderr})
			stdout.flush()
			stderr.flush()
			return code, err
		})
	}
	return nil
}

// watch reports the end of a container that nobody asked for.
func (r *run) watch(name string, p *process) {
	go func() {
		<-p.exited
		r.end(name, "crash", p.failure())
	}()
}

// watchProgram reports the end of a node's own program; exit code 0 is an end in order.
func (r *run) watchProgram(node string, wait func() (int, error)) {
	go func() {
		code, err := wait()
		if err == nil && code == 0 {
			return
		}
		if err == nil {
			err = fmt.Errorf("its program ended with exit code %d", code)
		}
		r.end(node, "program", err)
	}()
}

func (r *run) end(node, fault string, err error) {
	if r.stopping.Load() {
		return
	}
	event.Emit(context.Background(), event.NewLogger(node, r.out), event.Fault{Fault: fault, Target: node, Detail: err.Error()})
	select {
	case r.lost <- fmt.Errorf("node %s: %w", node, err):
	default:
	}
}

// Lost yields the first loss.
func (r *run) Lost() <-chan error { return r.lost }

func (r *run) member(node string) (*member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[node]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("no such node: %s", node)
}

// Do has a role of the node carry out an action.
func (r *run) Do(ctx context.Context, node string, call engine.Call) (json.RawMessage, error) {
	m, err := r.member(node)
	if err != nil {
		return nil, err
	}
	var result json.RawMessage
	if err := m.agent.control.Call(ctx, agent.OpDo, call, &result); err != nil {
		return nil, fmt.Errorf("node %s: %w", node, err)
	}
	return result, nil
}

// Exec runs a program on a node that has any.
func (r *run) Exec(ctx context.Context, node string, command engine.Command) (int, error) {
	m, err := r.member(node)
	if err != nil {
		return 0, err
	}
	if m.node.Program == nil {
		return 0, fmt.Errorf("node %s: %w", node, engine.ErrNoPrograms)
	}
	id := m.agent.id
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"}
	r.mu.Lock()
	if m.program != nil {
		id, env = m.program.id, nil
	}
	r.mu.Unlock()
	for key, value := range environment(r.plan, m.node.Program) {
		env = append(env, key+"="+value)
	}
	code, err := r.exec(ctx, id, append(env, command.Env...), command)
	if err != nil {
		return 0, fmt.Errorf("node %s: run %s: %w", node, command.Args[0], err)
	}
	return code, nil
}

func (r *run) exec(ctx context.Context, container string, env []string, command engine.Command) (int, error) {
	api := r.launcher.provider.Client()
	made, err := api.ExecCreate(ctx, container, client.ExecCreateOptions{
		Cmd: command.Args, Env: env,
		AttachStdin: command.Stdin != nil, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return 0, err
	}
	attached, err := api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, err
	}
	defer attached.Close()
	stopCopy := context.AfterFunc(ctx, attached.Close)
	defer stopCopy()
	if command.Stdin != nil {
		go func() {
			_, _ = io.Copy(attached.Conn, command.Stdin) // ends with the program at the latest
			_ = attached.CloseWrite()
		}()
	}
	stdout, stderr := command.Stdout, command.Stderr
	if stdout == nil {
		stdout = io.Discard
	}
	if stderr == nil {
		stderr = io.Discard
	}
	if _, err := stdcopy.StdCopy(stdout, stderr, attached.Reader); err != nil && ctx.Err() == nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	state, err := api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	return state.ExitCode, err
}

// Sync waits for what the nodes have told.
func (r *run) Sync(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range r.all() {
		group.Go(func() error { return m.agent.control.Call(ctx, agent.OpSync, nil, nil) })
	}
	return group.Wait()
}

func (r *run) all() []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*member, 0, len(r.members))
	for _, m := range r.members {
		all = append(all, m)
	}
	return all
}

// Stop ends roles and programs, then lets go of the leases, then makes sure.
func (r *run) Stop(ctx context.Context) error {
	r.stopOnce.Do(func() { r.stopErr = r.stop(ctx) })
	return r.stopErr
}

func (r *run) stop(ctx context.Context) error {
	r.stopping.Store(true)
	api := r.launcher.provider.Client()
	gentle, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	members := r.all()
	var all []*process
	for _, m := range members {
		all = append(all, m.agent)
		if m.program != nil {
			all = append(all, m.program)
		}
	}
	if r.fabric != nil {
		all = append(all, r.fabric)
	}
	removals := watchRemovals(context.WithoutCancel(ctx), api, all)
	var group sync.WaitGroup
	for _, m := range members {
		group.Go(func() {
			m.way.close()
			// A node that does not answer is ended with its lease.
			_ = m.agent.control.Call(gentle, agent.OpStop, nil, nil)
			m.agent.stream.Close()
			r.out.Progress(m.node.Name, engine.StateStopped)
		})
		if m.program != nil {
			seconds := int(stopTimeout.Seconds()) - 1
			group.Go(func() {
				_, _ = api.ContainerStop(gentle, m.program.id, client.ContainerStopOptions{Timeout: &seconds})
			})
		}
	}
	group.Wait()
	if r.fabric != nil {
		r.fabric.stream.Close()
	}
	removals.await(goWait)
	removeCtx, end := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer end()
	_, err := removeRun(removeCtx, api, labelRun, r.launcher.run)
	r.janitor.dismiss()
	return errors.Join(err, r.launcher.provider.Close())
}
