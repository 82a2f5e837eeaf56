// Package visitor makes connections from a node for somebody outside of the scenario, such as a person's own browser.
//
// What the visitor does is told as events of the node, like what its roles do: each connection, with the look-up before
// it, is a trace "visitor/N" of its own. Engines hand [Visitor.Dial] out as engine.Inside.
package visitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

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

	mu     sync.Mutex
	traces int
	closed bool
	ending map[*visit]func() // by what is under way or open: ends it
	ended  sync.WaitGroup
}

// errClosed is why a visitor makes no connections any more.
var errClosed = errors.New("the node is being taken down")

// New returns a visitor to the node whose machine h is. Names are looked up by the node's name servers and remembered
// by this visitor as the node's stub resolver does.
func New(h host.Host) *Visitor {
	resolver := stub.New(h)
	return &Visitor{ending: make(map[*visit]func()), dialer: sock.Dialer{Host: h, Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	one := &visit{visitor: v}
	trace, err := v.begin(one, func() { cancel(errClosed) })
	if err != nil {
		return nil, err
	}
	one.Conn, err = v.dialer.Dial(event.WithTrace(ctx, fmt.Sprintf("%s/%d", Name, trace), ""), target)
	if err != nil {
		v.end(one)
		return nil, explain(target.Name, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		// Close waits until it is closed.
		go one.Close()
		return nil, errClosed
	}
	v.ending[one] = func() { _ = one.Close() }
	return one, nil
}

// begin takes a connection that is about to be made to those that Close ends, and gives it a number.
func (v *Visitor) begin(one *visit, end func()) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return 0, errClosed
	}
	v.traces++
	v.ending[one] = end
	v.ended.Add(1)
	return v.traces, nil
}

// end forgets a connection that is no more.
func (v *Visitor) end(one *visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ending[one] != nil {
		delete(v.ending, one)
		v.ended.Done()
	}
}

// Close ends all connections, and returns when they have told of it.
func (v *Visitor) Close() {
	v.mu.Lock()
	v.closed = true
	all := slices.Collect(maps.Values(v.ending))
	v.mu.Unlock()
	for _, end := range all {
		end()
	}
	v.ended.Wait()
}

// visit is a connection of a visitor's.
type visit struct {
	*sock.Conn
	visitor *Visitor
}

// Close closes the connection.
func (c *visit) Close() error {
	defer c.visitor.end(c)
	return c.Conn.Close()
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
