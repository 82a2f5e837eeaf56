package enginetest

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"scenario/engine"
	"scenario/event"
	"scenario/topology"
)

// check expects that an engine says of all that it cannot do whose it is, and that it can do the rest.
func check(b *bench) {
	if err := b.engine.Check(b.Context(), b.plan(b.name, "", "")); err != nil {
		b.Errorf("roles alone: %v", err)
	}
	for what, change := range map[string]func(*topology.Node){
		"an image":           func(n *topology.Node) { n.Roles, n.Program = nil, &topology.Program{Image: "nginx"} },
		"this machine":       func(n *topology.Node) { n.Roles, n.Program = nil, &topology.Program{RootFS: "host"} },
		"a link that loses":  func(n *topology.Node) { n.Interfaces[0].Up = &topology.Link{Loss: 0.01} },
		"a link with a rate": func(n *topology.Node) { n.Interfaces[0].Down = &topology.Link{Rate: 1e6} },
		"a capture":          func(n *topology.Node) { n.Interfaces[0].Capture = true },
	} {
		plan := b.plan(b.name, "", "")
		for _, name := range []string{"laptop", "server"} {
			change(node(plan, name))
		}
		err := b.engine.Check(b.Context(), plan)
		if err == nil {
			continue
		}
		many, ok := err.(interface{ Unwrap() []error })
		if !ok {
			b.Errorf("%s: %v is a %T, want one error for each", what, err, err)
			continue
		}
		var nodes []string
		for _, one := range many.Unwrap() {
			u, ok := one.(*engine.Unsupported)
			if !ok {
				b.Errorf("%s: %v is a %T, want an Unsupported", what, one, one)
				continue
			}
			nodes = append(nodes, u.Node)
			if u.Engine != b.engine.Name() || u.What == "" || u.Why == "" {
				b.Errorf("%s: %+v says not enough", what, u)
			}
		}
		if got := strings.Join(nodes, " "); got != "laptop server" {
			b.Errorf("%s: it cannot be had on %q, want laptop server", what, got)
		}
	}
}

// stages has the server connect to the laptop's neighbour before it is ready, which takes its time: it must wait for it.
func stages(b *bench) {
	plan := b.plan(b.name, "first: 198.51.100.80:80", "delay: 100ms")
	node(plan, "server").Stage, node(plan, "laptop").Stage = 1, 2
	_, out := b.start(plan)
	if server, laptop := out.when("server", engine.StateReady), out.when("laptop", engine.StateReady); server > laptop {
		b.Errorf("a node is ready before one of an earlier stage: %q", out.states)
	}

}

// failsToStart expects that the plan does not come up, with an error, and that nothing is left of it.
func (b *bench) failsToStart(ctx context.Context, plan *topology.Plan, out *Output) error {
	b.Helper()
	run, err := b.engine.Start(ctx, plan, out)
	if err == nil {
		b.Error("it started")
		b.stop(run, out, plan)
		return nil
	}
	out.Seal()
	b.nothingLeft(plan.Name)
	return err
}

// roleFails has a role of the last stage fail: the others, which are up, end.
func roleFails(b *bench) {
	out := NewOutput(b)
	err := b.failsToStart(b.background(), b.plan(b.name, "", "fail: out of luck"), out)
	if want := "node server: role greeter: out of luck"; err == nil || !strings.Contains(err.Error(), want) {
		b.Errorf("got %v, want %q in it", err, want)
	}
	if len(out.Find("laptop", "node.ready")) != 1 || len(out.Find("laptop", "node.exit")) != 1 {
		b.Error("a node that was up did not say that it was ready and that it ended")
	}
}

func unknownRole(b *bench) {
	plan := b.plan(b.name, "", "")
	node(plan, "server").Roles = []topology.Role{{Name: "juggler"}}
	err := b.failsToStart(b.background(), plan, NewOutput(b))
	if want := "node server: no such role: juggler"; err == nil || !strings.Contains(err.Error(), want) {
		b.Errorf("got %v, want %q in it", err, want)
	}
}

// endedBefore, endedMaking and endedWaiting have the context of a start end at some moment.
func endedBefore(b *bench) {
	ctx, cancel := context.WithCancel(b.background())
	cancel()
	b.endsWith(ctx, b.plan(b.name, "", ""), NewOutput(b))
}

func endedMaking(b *bench) {
	ctx, cancel := context.WithCancel(b.background())
	defer cancel()
	out := NewOutput(b)
	out.progress = func(_, state string) {
		if state == engine.StateCreated {
			cancel()
		}
	}
	b.endsWith(ctx, b.plan(b.name, "", ""), out)
}

func endedWaiting(b *bench) {
	ctx, cancel := context.WithCancel(b.background())
	defer cancel()
	out := NewOutput(b)
	out.heard = func(r event.Record) {
		if line, ok := event.As[event.LogLine](r); ok && r.Node == "server" && line.Message == starting {
			cancel()
		}
	}
	b.endsWith(ctx, b.plan(b.name, "", "never: true"), out)
}

func (b *bench) endsWith(ctx context.Context, plan *topology.Plan, out *Output) {
	b.Helper()
	if err := b.failsToStart(ctx, plan, out); !errors.Is(err, context.Canceled) {
		b.Errorf("got %v, want Canceled", err)
	}
}

// captures expects a capture file that is whole when the run has been stopped, of an engine that can do it.
func captures(b *bench) {
	plan := b.plan(b.name, "", "")
	node(plan, "laptop").Interfaces[0].Capture = true
	if err := b.engine.Check(b.Context(), plan); err != nil {
		b.Skip(err)
	}
	run, out := b.start(plan)
	b.do(run, "laptop", "greet", "198.51.100.80:80")
	b.stop(run, out, plan)
	got := out.captures["laptop/home"]
	switch {
	case got == nil:
		b.Error("there is no capture file")
	case !got.closed:
		b.Error("the capture file is not closed")
	case !bytes.HasPrefix(got.Bytes(), []byte{0x0a, 0x0d, 0x0d, 0x0a}): // pcapng's section header block
		b.Errorf("the capture file begins with %x", got.Bytes()[:min(4, got.Len())])
	case !bytes.Contains(got.Bytes(), []byte("hello 198.51.100.1:")):
		b.Error("the capture has not what went over the link")
	}
}
