// Package client is the role of small client programs: look a name up, connect, fetch, ping, trace the way; and of sockets
// that live on from step to step.
//
// Every node has it. An action tells what it does as events, and returns what a person would have seen on the screen: a
// refused connection or a name that does not exist is a result, not an error. Most open sockets of their own; open, listen,
// accept and bind (open.go) make sockets with a name, for send, recv, shutdown, close and reset (send.go, recv.go, close.go)
// in later steps. stat, create, chmod and remove (files.go) are for the files among which Unix-domain sockets are.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/stub"
	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// Options are what a plan says of a node's client programs.
type Options struct {
	DNS stub.Transport `json:"dns,omitempty" jsonschema_description:"how the resolver is asked: plain (UDP and TCP), tls (RFC 7858) or https (RFC 8484); default: plain" jsonschema:"enum=plain,enum=tls,enum=https"`
}

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    "client",
		Doc:     "Small client programs that every node has: look a name up, connect, fetch, ping, trace the way, use sockets call by call.",
		Options: Options{},
		Actions: append([]role.Action{
			{Name: "lookup", Doc: "Ask the node's resolver about a name.", Args: LookupArgs{}, Short: "name", Result: LookupResult{}},
			{Name: "connect", Doc: "Open a TCP connection and close it again.", Args: ConnectArgs{}, Short: "to", Result: ConnectResult{}},
			{Name: "fetch", Doc: "Send one HTTP request on a connection of its own.", Args: FetchArgs{}, Short: "url", Result: FetchResult{}},
			{Name: "ping", Doc: "Send ICMP echo requests.", Args: PingArgs{}, Short: "to", Result: PingResult{}},
			{Name: "traceroute", Doc: "Find the routers on the way to an address.", Args: TracerouteArgs{}, Short: "to", Result: TracerouteResult{}},
			{Name: "open", Doc: "Open a connection that further steps use: tcp, udp or a Unix-domain socket.", Args: OpenArgs{}, Short: "to", Result: OpenResult{}},
			{Name: "listen", Doc: "Open a socket that listens. Nothing is accepted until a step does.", Args: ListenArgs{}, Short: "at", Result: ListenResult{}},
			{Name: "accept", Doc: "Take the next connection from a socket that listens.", Args: AcceptArgs{}, Short: "socket", Result: AcceptResult{}},
			{Name: "bind", Doc: "Open a datagram socket that anybody can send to.", Args: BindArgs{}, Short: "at", Result: BindResult{}},
			{Name: "send", Doc: "Send through an open socket, at once or in pieces.", Args: SendArgs{}, Short: "text", Result: SendResult{}},
			{Name: "recv", Doc: "Receive from an open socket: one piece or datagram, or until something has come.", Args: RecvArgs{}, Short: "until", Result: RecvResult{}},
			{Name: "shutdown", Doc: "End one direction of a connection and leave the other open.", Args: ShutdownArgs{}, Short: "socket", Result: CloseResult{}},
			{Name: "close", Doc: "Close a socket.", Args: CloseArgs{}, Short: "socket", Result: CloseResult{}},
			{Name: "reset", Doc: "Break a connection off, as when its program crashes: the other end gets a reset.", Args: ResetArgs{}, Short: "socket", Result: CloseResult{}},
		}, fileActions()...),
		New: func(options json.RawMessage) (role.Role, error) {
			o := Options{DNS: stub.Plain}
			if err := strict(options, &o); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			if o.DNS != stub.Plain && o.DNS != stub.TLS && o.DNS != stub.HTTPS {
				return nil, fmt.Errorf("options: dns is plain, tls or https, not %q", o.DNS)
			}
			return &client{transport: o.DNS, resolver: func(h host.Host, transport stub.Transport) resolver {
				return stub.NewWith(h, stub.Options{Transport: transport})
			}}, nil
		},
	}
}

// resolver is what the role needs of the node's stub resolver.
type resolver interface {
	Lookup(ctx context.Context, name string) (stub.Answer, error)
	Query(ctx context.Context, name string, qtype uint16) (*dns.Msg, error)
	Close()
}

type client struct {
	resolver  func(host.Host, stub.Transport) resolver
	transport stub.Transport // of names
	names     resolver       // from the start of Serve
	sockets   sockets

	othersMu sync.Mutex
	others   map[stub.Transport]resolver // of lookups that ask for another transport
}

var _ role.Actor = (*client)(nil)

// Serve implements [role.Role]; there is nothing to serve. At its end it closes what steps left open.
func (c *client) Serve(ctx context.Context, h host.Host, ready func()) error {
	c.names = c.resolver(h, c.transport)
	ready()
	<-ctx.Done()
	c.sockets.end()
	c.endLookups()
	return nil
}

// Do implements [role.Actor].
func (c *client) Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	switch action {
	case "lookup":
		return act(args, LookupArgs{}, func(a LookupArgs) (any, error) { return c.lookup(ctx, h, a) })
	case "connect":
		return act(args, defaultConnect(), func(a ConnectArgs) (any, error) { return c.connect(ctx, h, a) })
	case "fetch":
		return act(args, defaultFetch(), func(a FetchArgs) (any, error) { return c.fetch(ctx, h, a) })
	case "ping":
		return act(args, defaultPing(), func(a PingArgs) (any, error) { return c.ping(ctx, h, a) })
	case "traceroute":
		return act(args, defaultTraceroute(), func(a TracerouteArgs) (any, error) { return c.traceroute(ctx, h, a) })
	}
	return c.doSocket(ctx, h, action, args)
}

// doSocket carries out the actions on sockets that have names, and on files.
func (c *client) doSocket(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	switch action {
	case "open":
		return act(args, defaultOpen(), func(a OpenArgs) (any, error) { return c.open(ctx, h, a) })
	case "listen":
		return act(args, ListenArgs{Socket: listenerSocket}, func(a ListenArgs) (any, error) { return c.listen(ctx, h, a) })
	case "accept":
		return act(args, defaultAccept(), func(a AcceptArgs) (any, error) { return c.accept(ctx, h, a) })
	case "bind":
		return act(args, BindArgs{Socket: mainSocket}, func(a BindArgs) (any, error) { return c.bind(ctx, h, a) })
	case "send":
		return act(args, defaultSend(), func(a SendArgs) (any, error) { return c.send(ctx, h, a) })
	case "recv":
		return act(args, defaultRecv(), func(a RecvArgs) (any, error) { return c.recv(ctx, h, a) })
	case "shutdown":
		return act(args, ShutdownArgs{Socket: mainSocket, How: "write"}, func(a ShutdownArgs) (any, error) { return c.shutdown(a) })
	case "close":
		return act(args, CloseArgs{Socket: mainSocket}, func(a CloseArgs) (any, error) { return c.close(a) })
	case "reset":
		return act(args, ResetArgs{Socket: mainSocket}, func(a ResetArgs) (any, error) { return c.reset(a) })
	case "stat":
		return act(args, StatArgs{}, func(a StatArgs) (any, error) { return stat(h, a) })
	case "create":
		return act(args, CreateArgs{}, func(a CreateArgs) (any, error) { return create(h, a) })
	case "chmod":
		return act(args, ChmodArgs{}, func(a ChmodArgs) (any, error) { return chmod(h, a) })
	case "remove":
		return act(args, RemoveArgs{}, func(a RemoveArgs) (any, error) { return remove(h, a) })
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

// dialer connects by the node's resolver.
func (c *client) dialer(h host.Host) sock.Dialer {
	return sock.Dialer{Host: h, Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		answer, err := c.names.Lookup(ctx, name)
		return answer.Addrs, err
	}}
}

// within returns a context that ends after limit at the latest; 0 is no limit.
func within(ctx context.Context, limit role.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(limit))
}
