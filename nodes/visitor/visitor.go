// Package visitor makes connections from a node for somebody outside of the scenario, such as a person's own browser.
//
// What the visitor does is told as events of the node, like what its roles do: each connection, with the look-up before
// it, is a trace "visitor/N" of its own. Engines hand [Visitor.Dial] out as engine.Inside.
package visitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
	"scenario/nodes/client/sock"
)

// Name is whom the host of a visitor is for, where hosts are made for roles by their names.
const Name = "visitor"

// Visitor connects from one node. Its methods may be called from any goroutine.
type Visitor struct {
	dialer sock.Dialer
	traces atomic.Int64
}

// New returns a visitor to the node whose machine h is. Names are looked up by the node's name servers and remembered
// by this visitor as the node's stub resolver does.
func New(h host.Host) *Visitor {
	resolver := stub.New(h)
	return &Visitor{dialer: sock.Dialer{Host: h, Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		answer, err := resolver.Lookup(ctx, name)
		return answer.Addrs, err
	}}}
}

// Dial connects to addr, "host:port": a name is looked up, then its addresses are tried one after the other, each with
// an even share of the time that ctx leaves. network is tcp. The connection has CloseWrite and SetLinger. An error of
// the look-up is a [*net.DNSError]; one of the connection answers errors.Is as those of [host.Host] do.
func (v *Visitor) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if network != "tcp" {
		return nil, fmt.Errorf("dial %s %s: %w: visitors have tcp alone", network, addr, errors.ErrUnsupported)
	}
	target, err := sock.ParseTarget(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", network, err)
	}
	ctx = event.WithTrace(ctx, fmt.Sprintf("%s/%d", Name, v.traces.Add(1)), "")
	conn, err := v.dialer.Dial(ctx, target)
	if err != nil {
		return nil, explain(target.Name, err)
	}
	return conn, nil
}

// explain makes what failed in a look-up the error that package net has for it.
func explain(name string, err error) error {
	var failure *sock.Error
	if !errors.As(err, &failure) || failure.Phase != sock.PhaseLookup || errors.Is(err, context.Canceled) {
		return err
	}
	lookup := &net.DNSError{Name: name, Err: strings.TrimPrefix(err.Error(), "lookup "+name+": ")}
	var answer *stub.Error
	if errors.As(err, &answer) {
		lookup.IsNotFound, lookup.IsTimeout = answer.NotFound, answer.Timeout
	}
	lookup.IsTimeout = lookup.IsTimeout || errors.Is(err, context.DeadlineExceeded)
	return lookup
}
