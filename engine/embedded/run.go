package embedded

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"scenario/engine"
	"scenario/event"
	"scenario/host"
	"scenario/host/netstack"
	"scenario/nodes"
	"scenario/nodes/visitor"
	"scenario/pki"
	"scenario/topology"
)

// run is a plan that is up in this process.
type run struct {
	engine  *Engine
	plan    *topology.Plan
	out     engine.Output
	instant *ordered // the output in virtual time; nil in real time
	network *network
	members map[string]*member // by node; never changed once the run is up

	ending   chan struct{} // closed when the run is about to stop
	watchers sync.WaitGroup
	stopping atomic.Bool
	lost     chan error
	stopped  chan struct{} // closed when the run has stopped
	stopErr  error         // set before
}

// member is a node that is up.
type member struct {
	node    *topology.Node
	parts   []nodes.Part
	machine *netstack.Machine
	log     *slog.Logger
	host    func(role string) host.Host
	running *nodes.Running
	visitor *visitor.Visitor
}

var (
	_ engine.Run    = (*run)(nil)
	_ engine.Inside = (*run)(nil)
	_ engine.Turner = (*run)(nil)
	_ Hosts         = (*run)(nil)
)

// Hosts is a run of this engine: its nodes' machines can be used from here.
type Hosts interface {
	// Host is a node's machine, as a role of that name would see it. It serves until the run is stopped.
	Host(node, role string) (host.Host, error)
}

// flushEvery is how often what was captured is handed over, in real time: a run that is killed loses no more.
const flushEvery = time.Second

// Start brings the plan up.
func (e *Engine) Start(ctx context.Context, plan *topology.Plan, out engine.Output) (engine.Run, error) {
	var instant *ordered
	if e.options.Virtual {
		instant = &ordered{Output: out}
		out = instant
	}
	network, err := e.build(plan, out, instant)
	if err != nil {
		return nil, err
	}
	r := &run{
		engine: e, plan: plan, out: out, instant: instant, network: network, members: make(map[string]*member),
		ending: make(chan struct{}), lost: make(chan error, 1), stopped: make(chan struct{}),
	}
	if err := r.addMembers(); err != nil {
		return nil, errors.Join(err, network.close())
	}
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(err, r.Stop(context.WithoutCancel(ctx)))
	}
	if len(network.captures) > 0 && !e.options.Virtual {
		r.watchers.Go(r.flush)
	}
	r.settle("start")
	return r, nil
}

// addMembers makes the nodes, which do nothing yet.
func (r *run) addMembers() error {
	roots, err := pki.Roots(r.plan.Authority)
	if err != nil {
		return err
	}
	for i := range r.plan.Nodes {
		node := &r.plan.Nodes[i]
		if err := r.addMember(node, roots); err != nil {
			return fmt.Errorf("node %s: %w", node.Name, err)
		}
	}
	return nil
}

func (r *run) addMember(node *topology.Node, roots *x509.CertPool) error {
	m := &member{node: node, parts: engine.Parts(node), machine: r.network.machines[node.Name], log: event.NewLogger(node.Name, r.out)}
	servers := make([]netip.AddrPort, len(node.NameServers))
	for i, addr := range node.NameServers {
		servers[i] = netip.AddrPortFrom(addr, 53)
	}
	certificates, err := nodes.Certificates(m.parts)
	if err != nil {
		return err
	}
	m.host = func(role string) host.Host {
		return m.machine.Host(netstack.HostOptions{
			Log: m.log, Seed: nodes.RoleSeed(node.Seed, role), NameServers: servers, Search: node.Search,
			Certificate: certificates[role], Roots: roots, KeyLog: r.network.keyLog(r.plan),
			WriteFile: func(name string, data []byte) error {
				r.out.File(node.Name, name, data)
				return nil
			},
		})
	}
	m.visitor = visitor.New(m.host(visitor.Name))
	r.members[node.Name] = m
	return nil
}

// start has the nodes play their roles, stage by stage.
func (r *run) start(ctx context.Context) error {
	stages := make(map[int][]*member)
	var order []int
	for i := range r.plan.Nodes {
		m := r.members[r.plan.Nodes[i].Name]
		if stages[m.node.Stage] == nil {
			order = append(order, m.node.Stage)
		}
		stages[m.node.Stage] = append(stages[m.node.Stage], m)
	}
	slices.Sort(order)
	for _, stage := range order {
		if ctx.Err() != nil { // nodes that are ready at once do not notice
			return context.Cause(ctx)
		}
		err := r.each(ctx, stages[stage], func(ctx context.Context, m *member) error {
			if err := r.serve(ctx, m); err != nil {
				return fmt.Errorf("node %s: %w", m.node.Name, err)
			}
			r.out.Progress(m.node.Name, engine.StateReady)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each does something with some nodes: side by side, or, in virtual time, in order.
func (r *run) each(ctx context.Context, members []*member, do func(context.Context, *member) error) error {
	group, ctx := errgroup.WithContext(ctx)
	if r.engine.options.Virtual {
		group.SetLimit(1)
	}
	for _, m := range members {
		group.Go(func() error { return do(ctx, m) })
	}
	return group.Wait()
}

// serve has a node play its roles.
func (r *run) serve(ctx context.Context, m *member) error {
	node, err := nodes.New(r.engine.options.Kinds, m.parts, m.host)
	if err != nil {
		return err
	}
	m.running, err = nodes.Start(ctx, node, m.log)
	if err != nil {
		return err
	}
	r.watchers.Go(func() { r.watch(m) })
	return nil
}

// watch reports the end of a node that nobody asked for.
func (r *run) watch(m *member) {
	select {
	case <-m.running.Ended():
	case <-r.ending:
		return
	}
	err := m.running.Stop()
	if r.stopping.Load() {
		return
	}
	event.Emit(context.Background(), m.log, event.Fault{Fault: "crash", Target: m.node.Name, Detail: err.Error()})
	select {
	case r.lost <- fmt.Errorf("node %s: %w", m.node.Name, err):
	default:
	}
}

// flush hands over what was captured, again and again until the run stops.
func (r *run) flush() {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = r.network.flush() // the output has the error
		case <-r.ending:
			return
		}
	}
}

// Lost yields the first loss.
func (r *run) Lost() <-chan error { return r.lost }

func (r *run) member(node string) (*member, error) {
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
	if call.Trace != "" {
		ctx = event.WithTrace(ctx, call.Trace, call.Parent)
	}
	result, err := m.running.Do(ctx, call.Role, call.Action, call.Args)
	r.settle(strings.Join([]string{"do", node, call.Role, call.Action, call.Trace}, " "))
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", node, err)
	}
	return result, nil
}

// Exec is an error: there are no programs.
func (r *run) Exec(_ context.Context, node string, _ engine.Command) (int, error) {
	if _, err := r.member(node); err != nil {
		return 0, err
	}
	return 0, engine.ErrNoPrograms
}

// settle returns, in virtual time, when everything of this instant has happened and been told.
func (r *run) settle(key string) {
	if r.instant != nil {
		r.Turn(key)
		r.instant.flush()
	}
}

// Turn implements [engine.Turner].
func (r *run) Turn(key string) {
	if r.network.virtual != nil {
		r.network.virtual.Turn(key)
	}
}

// Dial implements [engine.Inside].
func (r *run) Dial(ctx context.Context, node, network, addr string) (net.Conn, error) {
	m, err := r.member(node)
	if err != nil {
		return nil, err
	}
	return m.visitor.Dial(ctx, network, addr)
}

// Host implements [Hosts].
func (r *run) Host(node, role string) (host.Host, error) {
	m, err := r.member(node)
	if err != nil {
		return nil, err
	}
	return m.host(role), nil
}

// Sync hands over what was captured. Events have reached the output when they have been told, in virtual time with the end
// of their instant.
func (r *run) Sync(context.Context) error {
	r.settle("sync")
	return r.network.flush()
}

// Stop ends the roles, then the network. Who comes second waits by a channel: virtual time goes on while one does.
func (r *run) Stop(ctx context.Context) error {
	if r.stopping.Swap(true) {
		<-r.stopped
		return r.stopErr
	}
	defer close(r.stopped)
	for i := range r.plan.Nodes {
		r.members[r.plan.Nodes[i].Name].visitor.Close()
	}
	var up []*member
	for i := range r.plan.Nodes {
		if m := r.members[r.plan.Nodes[i].Name]; m.running != nil {
			up = append(up, m)
		}
	}
	// A role that failed has told so when it did.
	_ = r.each(context.WithoutCancel(ctx), up, func(_ context.Context, m *member) error {
		_ = m.running.Stop()
		r.out.Progress(m.node.Name, engine.StateStopped)
		return nil
	})
	close(r.ending)
	r.watchers.Wait()
	r.stopErr = r.network.close()
	if r.instant != nil {
		r.instant.flush()
	}
	return r.stopErr
}
