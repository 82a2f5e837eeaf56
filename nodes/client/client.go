// Package client is the role of small client programs: look a name up, connect, fetch, ping, trace the way.
//
// Every node has it. Each action opens its own sockets, tells what it does as events, and returns what a person would have
// seen on the screen: a refused connection or a name that does not exist is a result, not an error.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/stub"
	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// Options has nothing yet: the role is the same on every node.
type Options struct{}

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    "client",
		Doc:     "Small client programs that every node has: look a name up, connect, fetch, ping, trace the way.",
		Options: Options{},
		Actions: []role.Action{
			{Name: "lookup", Doc: "Ask the node's resolver about a name.", Args: LookupArgs{}, Short: "name", Result: LookupResult{}},
			{Name: "connect", Doc: "Open a TCP connection and close it again.", Args: ConnectArgs{}, Short: "to", Result: ConnectResult{}},
			{Name: "fetch", Doc: "Send one HTTP request on a connection of its own.", Args: FetchArgs{}, Short: "url", Result: FetchResult{}},
			{Name: "ping", Doc: "Send ICMP echo requests.", Args: PingArgs{}, Short: "to", Result: PingResult{}},
			{Name: "traceroute", Doc: "Find the routers on the way to an address.", Args: TracerouteArgs{}, Short: "to", Result: TracerouteResult{}},
		},
		New: func(options json.RawMessage) (role.Role, error) {
			if err := strict(options, &Options{}); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			return &client{resolver: func(h host.Host) resolver { return stub.New(h) }}, nil
		},
	}
}

// resolver is what the role needs of the node's stub resolver.
type resolver interface {
	Lookup(ctx context.Context, name string) (stub.Answer, error)
	Query(ctx context.Context, name string, qtype uint16) (*dns.Msg, error)
}

type client struct {
	resolver func(host.Host) resolver
	names    resolver // from the start of Serve
}

var _ role.Actor = (*client)(nil)

// Serve implements [role.Role]; there is nothing to serve.
func (c *client) Serve(ctx context.Context, h host.Host, ready func()) error {
	c.names = c.resolver(h)
	ready()
	<-ctx.Done()
	return nil
}

// Do implements [role.Actor].
func (c *client) Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	switch action {
	case "lookup":
		return act(args, LookupArgs{}, func(a LookupArgs) (any, error) { return c.lookup(ctx, a) })
	case "connect":
		return act(args, defaultConnect(), func(a ConnectArgs) (any, error) { return c.connect(ctx, h, a) })
	case "fetch":
		return act(args, defaultFetch(), func(a FetchArgs) (any, error) { return c.fetch(ctx, h, a) })
	case "ping":
		return act(args, defaultPing(), func(a PingArgs) (any, error) { return c.ping(ctx, h, a) })
	case "traceroute":
		return act(args, defaultTraceroute(), func(a TracerouteArgs) (any, error) { return c.traceroute(ctx, h, a) })
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
