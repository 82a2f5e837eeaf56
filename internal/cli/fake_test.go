package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"scenario/engine"
	"scenario/event"
	"scenario/host"
	"scenario/nodes/role"
	"scenario/topology"
)

// fakeEngine starts nothing: it tells what an engine tells, and leaves a file in the folder FAKE_ALIVE for as long as a
// run is up, which stands for the containers. FAKE_FAULT makes it misbehave.
type fakeEngine struct{}

const (
	envAlive = "FAKE_ALIVE" // folder
	envFault = "FAKE_FAULT" // one of the faults
)

// Faults of the fake engine.
const (
	faultCheck = "check" // it is not there
	faultStart = "start" // it never gets ready
	faultStop  = "stop"  // it never gets down
)

func fault(name string) bool { return os.Getenv(envFault) == name }

func alive(name string) string { return filepath.Join(os.Getenv(envAlive), name) }

func fakeSweep(_ context.Context, name string) (int, error) {
	pattern := alive(name)
	if name == "" {
		pattern = alive("*")
	}
	left, err := filepath.Glob(pattern)
	for _, file := range left {
		err = errors.Join(err, os.Remove(file))
	}
	return len(left), err
}

func (fakeEngine) Name() string { return "fake" }

func (fakeEngine) Check(context.Context, *topology.Plan) error {
	if fault(faultCheck) {
		return errors.New("no fake engine answers here: start it")
	}
	return nil
}

func (fakeEngine) Start(ctx context.Context, plan *topology.Plan, out engine.Output) (engine.Run, error) {
	run := &fakeRun{plan: plan, out: out, lost: make(chan error, 1)}
	if err := os.WriteFile(alive(plan.Name), nil, 0o600); err != nil {
		return nil, err
	}
	for _, node := range plan.Nodes {
		out.Progress(node.Name, "created")
	}
	if fault(faultStart) {
		<-ctx.Done()
		return nil, errors.Join(ctx.Err(), os.Remove(alive(plan.Name)))
	}
	for _, node := range plan.Nodes {
		event.Emit(ctx, event.NewLogger(node.Name, out), event.NodeReady{Roles: []string{"toy"}})
		out.Progress(node.Name, "ready")
	}
	return run, nil
}

type fakeRun struct {
	plan *topology.Plan
	out  engine.Output
	lost chan error
}

func (r *fakeRun) Do(ctx context.Context, node string, call engine.Call) (json.RawMessage, error) {
	var args toySay
	if err := json.Unmarshal(call.Args, &args); err != nil {
		return nil, err
	}
	log := event.NewLogger(node, r.out)
	switch call.Action {
	case "hang":
		log.Info("hanging")
		<-ctx.Done()
		return nil, ctx.Err()
	case "break":
		return nil, errors.New("the toy is broken")
	case "crash":
		r.lost <- fmt.Errorf("node %s crashed", node)
	}
	log.Info("said " + args.Text)
	return json.Marshal(toySaid{Text: args.Text, Times: max(1, args.Times)})
}

func (r *fakeRun) Exec(ctx context.Context, _ string, command engine.Command) (int, error) {
	switch command.Args[0] {
	case "echo":
		fmt.Fprintln(command.Stdout, command.Args[1:])
		return 0, nil
	case "cat":
		_, err := io.Copy(command.Stdout, command.Stdin)
		return 0, err
	case "exit":
		fmt.Fprintln(command.Stderr, "leaving")
		return strconv.Atoi(command.Args[1])
	case "sleep":
		fmt.Fprintln(command.Stdout, "asleep")
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, engine.ErrNoPrograms
}

// Dial implements [engine.Inside] with this machine's network, where web.example and 10.0.0.0/8 are the machine itself.
func (r *fakeRun) Dial(ctx context.Context, _, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "nosuch.example" {
		return nil, &net.DNSError{Err: "no such name", Name: host, IsNotFound: true}
	}
	if host == "web.example" || strings.HasPrefix(host, "10.") {
		host = "127.0.0.1"
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
}

func (r *fakeRun) Sync(context.Context) error { return nil }

func (r *fakeRun) Lost() <-chan error { return r.lost }

func (r *fakeRun) Stop(ctx context.Context) error {
	if fault(faultStop) {
		r.out.Progress("", "stopping for ever")
		<-ctx.Done()
	}
	for _, node := range r.plan.Nodes {
		r.out.Progress(node.Name, "stopped")
	}
	return os.Remove(alive(r.plan.Name))
}

// The role of the tests.
type (
	toyOptions struct {
		Color string `json:"color,omitempty"`
	}
	chatOptions struct {
		Listen string `json:"listen,omitempty"`
		Leave  string `json:"leave,omitempty"`
	}
	toySay struct {
		Text  string   `json:"text,omitempty"`
		Times int      `json:"times,omitempty"`
		To    []string `json:"to,omitempty"`
	}
	toySaid struct {
		Text  string `json:"text"`
		Times int    `json:"times"`
	}
)

// toyRole serves nothing: the fake engine plays its part.
type toyRole struct{}

func (toyRole) Serve(_ context.Context, _ host.Host, ready func()) error {
	ready()
	return nil
}

func fakeKinds() []role.Kind {
	action := func(name string) role.Action {
		return role.Action{Name: name, Doc: "For tests.", Args: toySay{}, Short: "text", Result: toySaid{}}
	}
	return []role.Kind{{
		Name:    "toy",
		Doc:     "A role for tests.",
		Options: toyOptions{},
		Short:   "color",
		Actions: []role.Action{action("say"), action("hang"), action("break"), action("crash")},
		New:     func(json.RawMessage) (role.Role, error) { return toyRole{}, nil },
	}, {
		Name:    chatRole,
		Doc:     "Says where a room is.",
		Options: chatOptions{},
		Short:   "listen",
		New:     func(json.RawMessage) (role.Role, error) { return toyRole{}, nil },
	}}
}
