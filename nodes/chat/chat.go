// Package chat is the role of a chat: one room over TCP, line by line, and the person who joins one.
//
// A node with the option listen serves a room; every node with the role can join one. README.md has the protocol, which
// a person can speak with nc. The room's state belongs to one goroutine (room.go); each connection has a reader and a
// writer (server.go), and a member that does not read is dropped before it holds up the others. A client keeps what it
// received, so that a step can wait for it (client.go).
package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"

	"scenario/dnsd/stub"
	"scenario/host"
	"scenario/nodes/role"
)

// Name is the role's name in a scenario.
const Name = "chat"

// Options are what a scenario says under a node's "chat" key.
type Options struct {
	Listen string `json:"listen,omitempty" jsonschema_description:"serve a room on this IP:port, or on :port for every address of the node; default: the node is a client only"`
}

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    Name,
		Doc:     "A chat over TCP: a node that listens serves a room, and every node with the role can join one.",
		Options: Options{},
		Short:   "listen",
		Actions: []role.Action{
			{Name: "join", Doc: "Connect to a room and give a name.", Args: JoinArgs{}, Short: "server", Result: JoinResult{}},
			{Name: "say", Doc: "Send a message to the room.", Args: SayArgs{}, Short: "text", Result: SayResult{}},
			{Name: "hear", Doc: "Wait until something was said in the room.", Args: HearArgs{}, Short: "text", Result: HearResult{}},
			{Name: "leave", Doc: "Leave the room.", Args: LeaveArgs{}, Result: LeaveResult{}},
		},
		New: func(options json.RawMessage) (role.Role, error) {
			var o Options
			if err := strict(options, &o); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			if err := o.check(); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			return newChat(o, stubLookup), nil
		},
	}
}

func (o Options) check() error {
	if o.Listen == "" {
		return nil
	}
	full := o.Listen
	if strings.HasPrefix(full, ":") {
		full = "0.0.0.0" + full
	}
	if _, err := netip.ParseAddrPort(full); err != nil {
		return fmt.Errorf("listen: %q is no IP:port and no :port", o.Listen)
	}
	return nil
}

// lookup finds the addresses of a name.
type lookup func(ctx context.Context, name string) ([]netip.Addr, error)

// stubLookup looks names up by the node's own resolver.
func stubLookup(h host.Host) lookup {
	resolver := stub.New(h)
	return func(ctx context.Context, name string) ([]netip.Addr, error) {
		answer, err := resolver.Lookup(ctx, name)
		return answer.Addrs, err
	}
}

// chat is the role: a client, and a server where the options say so.
type chat struct {
	options   Options
	newLookup func(host.Host) lookup
	client    *client
}

var _ role.Actor = (*chat)(nil)

func newChat(o Options, newLookup func(host.Host) lookup) *chat {
	return &chat{options: o, newLookup: newLookup, client: newClient()}
}

// Serve implements [role.Role].
func (c *chat) Serve(ctx context.Context, h host.Host, ready func()) error {
	c.client.lookup = c.newLookup(h)
	if c.options.Listen == "" {
		ready()
		c.client.serve(ctx)
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(ctx, h, c.options.Listen, ready) })
	group.Go(func() error { c.client.serve(ctx); return nil })
	return group.Wait()
}

// Do implements [role.Actor].
func (c *chat) Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	switch action {
	case "join":
		return act(args, defaultJoin(), func(a JoinArgs) (any, error) { return c.client.join(ctx, h, a) })
	case "say":
		return act(args, SayArgs{}, func(a SayArgs) (any, error) { return c.client.say(ctx, a) })
	case "hear":
		return act(args, defaultHear(), func(a HearArgs) (any, error) { return c.client.hear(ctx, a) })
	case "leave":
		return act(args, LeaveArgs{}, func(LeaveArgs) (any, error) { return c.client.leave(ctx) })
	}
	return nil, fmt.Errorf("no such action: %s", action)
}

// act reads arguments over their defaults and calls do with them.
func act[A any](text json.RawMessage, args A, do func(A) (any, error)) (any, error) {
	if err := strict(text, &args); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	return do(args)
}

// strict reads JSON and refuses members that the target does not have.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

var errNotInRoom = errors.New("not in a room: join one first")
