// Package chat is the role of a chat: a room, line by line, and the person who joins one; or two people without a room.
//
// A node with the option listen serves a room; every node with the role can join one. README.md has the protocol, which
// a person can speak with nc. The room's state belongs to one goroutine (room.go). Each member has a reader and a writer of
// its own (member.go), so that one that does not read is dropped before it holds up the others; what carries its lines is
// a peer (peer.go). A client keeps what it received, so that a step can wait for it (client.go, session.go). Two people
// talk in turns or both at once (pair.go).
package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"golang.org/x/sync/errgroup"

	"scenario/dnsd/stub"
	"scenario/host"
	"scenario/nodes/role"
	"scenario/nodes/ws"
)

// Name is the role's name in a scenario.
const Name = "chat"

// Options are what a scenario says under a node's "chat" key.
type Options struct {
	Listen    string        `json:"listen,omitempty" jsonschema_description:"serve a room on this IP:port, or on :port for every address of the node; default: the node is a client only"`
	Pair      string        `json:"pair,omitempty" jsonschema_description:"two people talk over one connection, without a room: in turns, where who said a line waits for the other's, or both at once. The one who listens talks to one at a time; default: a room" jsonschema:"enum=turns,enum=both"`
	WebSocket string        `json:"websocket,omitempty" jsonschema_description:"serve the room by WebSocket too, or only so, on this IP:port or :port: at the path /chat, and at / a page that chats"`
	Origins   []string      `json:"origins,omitempty" jsonschema_description:"whose pages may open a WebSocket beside the room's own page: hosts, or scheme://host, with * for any characters; a client that names no origin always may"`
	Names     string        `json:"names,omitempty" jsonschema_description:"whether the room asks for a name first, or gives everybody one (guest1, guest2 …)" jsonschema:"enum=asked,enum=given,default=asked"`
	Leave     string        `json:"leave,omitempty" jsonschema_description:"the line by which a member leaves" jsonschema:"default=exit"`
	History   int           `json:"history,omitempty" jsonschema_description:"how many of the latest messages who joins is told" jsonschema:"minimum=0,maximum=1000,default=0"`
	Heartbeat role.Duration `json:"heartbeat,omitempty" jsonschema_description:"ask a member that has been silent for so long whether it is there; one that does not answer in as long again is lost; 0: never" jsonschema:"default=0s"`
	Behind    int           `json:"behind,omitempty" jsonschema_description:"how many lines may wait for a member that does not read, beside what the network holds, before the room goes on without it" jsonschema:"minimum=1,maximum=65536,default=64"`
	Limit     int           `json:"limit,omitempty" jsonschema_description:"how many may be connected at a time; more are told that the room is full; 0: any number" jsonschema:"minimum=0,default=0"`
	Quiet     bool          `json:"quiet,omitempty" jsonschema_description:"do not announce who joins and leaves"`
}

// How members get their names, as the option says.
const (
	namesAsked = "asked"
	namesGiven = "given"
)

func defaultOptions() Options { return Options{Names: namesAsked, Leave: "exit", Behind: 64} }

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    Name,
		Doc:     "A chat over TCP: a node that listens serves a room, and every node with the role can join one; or two people talk to each other without a room.",
		Options: Options{},
		Short:   "listen",
		Actions: []role.Action{
			{Name: "join", Doc: "Connect to a room and give a name.", Args: JoinArgs{}, Short: "server", Result: JoinResult{}},
			{Name: "say", Doc: "Send a message to the room.", Args: SayArgs{}, Short: "text", Result: SayResult{}},
			{Name: "hear", Doc: "Wait until something was said in the room.", Args: HearArgs{}, Short: "text", Result: HearResult{}},
			{Name: "leave", Doc: "Leave the room.", Args: LeaveArgs{}, Short: "word", Result: LeaveResult{}},
		},
		New: func(options json.RawMessage) (role.Role, error) {
			o := defaultOptions()
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
	switch {
	case o.Pair != "" && o.Pair != pairTurns && o.Pair != pairBoth:
		return fmt.Errorf("pair: %q is neither %s nor %s", o.Pair, pairTurns, pairBoth)
	case o.Pair != "" && o.WebSocket != "":
		return errors.New("websocket: two people who talk to each other do so over a plain connection")
	case len(o.Origins) > 0 && o.WebSocket == "":
		return errors.New("origins: nobody can come from a page without the option websocket")
	case o.Pair != "" && (o.History > 0 || o.Heartbeat > 0 || o.Limit > 0 || o.Quiet):
		return errors.New("pair: history, heartbeat, limit and quiet are a room's, and two people who talk to each other have none")
	case o.Names != namesAsked && o.Names != namesGiven:
		return fmt.Errorf("names: %q is neither %s nor %s", o.Names, namesAsked, namesGiven)
	case o.Leave == "" || strings.ContainsFunc(o.Leave, unicode.IsControl) || len(o.Leave) > maxLine:
		return fmt.Errorf("leave: %q is not a line", o.Leave)
	case o.History < 0 || o.History > 1000:
		return fmt.Errorf("history: %d is not from 0 to 1000", o.History)
	case o.Behind < 1 || o.Behind > 65536:
		return fmt.Errorf("behind: %d is not from 1 to 65536", o.Behind)
	case o.Limit < 0:
		return fmt.Errorf("limit: %d is less than 0", o.Limit)
	}
	for _, origin := range o.Origins {
		if err := ws.CheckOrigin(origin); err != nil {
			return fmt.Errorf("origins: %w", err)
		}
	}
	for option, address := range map[string]string{"listen": o.Listen, "websocket": o.WebSocket} {
		full := address
		if strings.HasPrefix(full, ":") {
			full = "0.0.0.0" + full
		}
		if _, err := netip.ParseAddrPort(full); address != "" && err != nil {
			return fmt.Errorf("%s: %q is no IP:port and no :port", option, address)
		}
	}
	return nil
}

// serves says whether the node has something to connect to.
func (o Options) serves() bool { return o.Listen != "" || o.WebSocket != "" }

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
	return &chat{options: o, newLookup: newLookup, client: newClient(o)}
}

// Serve implements [role.Role].
func (c *chat) Serve(ctx context.Context, h host.Host, ready func()) error {
	c.client.lookup = c.newLookup(h)
	c.client.random = h.Rand()
	if !c.options.serves() {
		ready()
		c.client.serve(ctx)
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	if c.options.Pair != "" {
		group.Go(func() error { return c.client.servePair(ctx, h, ready) })
	} else {
		group.Go(func() error { return serve(ctx, h, c.options, ready) })
	}
	group.Go(func() error { c.client.serve(ctx); return nil })
	return group.Wait()
}

// Do implements [role.Actor].
func (c *chat) Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	switch action {
	case "join":
		return act(args, defaultJoin(), func(a JoinArgs) (any, error) { return c.client.join(ctx, h, a) })
	case "say":
		return act(args, defaultSay(), func(a SayArgs) (any, error) { return c.client.say(ctx, a) })
	case "hear":
		return act(args, defaultHear(), func(a HearArgs) (any, error) { return c.client.hear(ctx, a) })
	case "leave":
		return act(args, defaultLeave(), func(a LeaveArgs) (any, error) { return c.client.leave(ctx, a) })
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
