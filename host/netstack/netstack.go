// Package netstack is a [host.Host] on a TCP/IP stack of this process: gVisor's, one for each node.
//
// A [Machine] is the stack of one node with its network cards, addresses and routes; each role of the node sees it through a
// [Host] of its own. What a Host opens are sockets on the stack's endpoints, with errors as package net gives them on Linux
// (errors.go). The stack sends and takes frames by what Interface.Link is given: see package fabric/soft.
//
// A Machine has files in memory, and Unix-domain sockets there: package unixmem.
//
// Errors of ICMP that the stack itself does not hand to sockets come by icmp.go, which is also how Ping gets its answers.
// In virtual time (Options.Turn) the stack rests except where there is work for it: park.go says why and how.
package netstack

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"scenario/host"
	"scenario/host/local"
	"scenario/host/unixmem"
)

// Options of a [Machine].
type Options struct {
	Interfaces []Interface
	Routes     []Route // beside those to the networks of the interfaces' addresses
	// Router says that the machine's addresses are reached by every interface, as a router's are. The stack itself forwards
	// nothing all the same: it must not be handed what is for others.
	Router bool
	// Seed decides ports, sequence numbers and whatever else the stack chooses at random.
	Seed uint64
	// Clock is what the stack's timers run by. nil: the time of package time.
	Clock tcpip.Clock
	// Turn says that the machine is in a bubble of testing/synctest and is nil elsewhere. What draws a number for all to
	// see, such as a port, calls it first and goes on when it returns. key says what is done, in words that do not depend
	// on time: "dial tcp 10.0.0.2:80". It may be called from many goroutines at once. Writing and closing do not call it:
	// libraries do both with locks held, and whoever waits for a lock keeps a bubble's time from going on. The scheduler
	// orders their frames.
	Turn func(key string)
}

// Interface is a network card with its addresses.
type Interface struct {
	Name string
	// Link sends and takes the frames; it has the card's MAC address and MTU. The Machine closes it.
	Link      stack.LinkEndpoint
	Addresses []netip.Prefix
}

// Route says where packets to a network go: to the router Gateway, or where it is the zero value to their destination.
type Route struct {
	Destination netip.Prefix
	Gateway     netip.Addr
	Interface   string
}

// Machine is the TCP/IP of one node.
type Machine struct {
	stack      *stack.Stack
	clock      *clock
	parking    *parking // nil in real time
	turn       func(key string)
	interfaces []host.Interface
	ids        map[string]tcpip.NICID
	cards      map[netip.Addr]tcpip.NICID // that have the addresses
	links      []stack.LinkEndpoint
	dual       bool // speaks IPv6 too
	icmp       *icmpTap
	syns       syns
	files      *unixmem.Machine
	end        sync.Once
	numbers    atomic.Int64 // of sockets, as roles tell of them

	mu        sync.Mutex
	closed    bool
	sockets   map[aborter]struct{}
	listeners map[*listener]struct{}
}

// aborter is an open socket.
type aborter interface {
	// abort ends the socket at once, as the end of its machine does. It waits for nothing.
	abort()
}

// New makes a Machine with its interfaces up. It must be closed, also in a bubble, where it must be made too.
func New(opts Options) (*Machine, error) {
	m := &Machine{
		turn: opts.Turn, files: unixmem.New(opts.Turn),
		ids: make(map[string]tcpip.NICID), cards: make(map[netip.Addr]tcpip.NICID),
		sockets: make(map[aborter]struct{}), listeners: make(map[*listener]struct{}),
	}
	if opts.Clock == nil {
		opts.Clock = tcpip.NewStdClock()
	}
	m.clock = newClock(opts.Clock)
	for _, i := range opts.Interfaces {
		for _, a := range i.Addresses {
			m.dual = m.dual || a.Addr().Is6()
		}
	}
	m.stack = newStack(m.clock, opts.Seed, m.dual)
	if err := m.configure(opts); err != nil {
		m.Close()
		return nil, err
	}
	if m.turn != nil {
		m.parking = park(m.stack)
		m.clock.after = m.Kick
	}
	return m, nil
}

// HostOptions are what one role has of its own.
type HostOptions = local.Options

// Host returns the machine as one role sees it.
func (m *Machine) Host(opts HostOptions) *Host {
	if opts.Sockets == nil {
		opts.Sockets = &m.numbers
	}
	return &Host{Node: local.New(opts), machine: m}
}

// Kick says that the stack may have work, such as a frame that was delivered. In real time it does nothing.
func (m *Machine) Kick() {
	if m.parking != nil {
		m.parking.kick()
	}
}

// Close ends all sockets and all that runs, and closes the links. Peers of open connections are told so by resets, as far as
// the links still take frames.
func (m *Machine) Close() { m.end.Do(m.close) }

func (m *Machine) close() {
	m.mu.Lock()
	m.closed = true
	open := make([]aborter, 0, len(m.sockets))
	for s := range m.sockets {
		open = append(open, s)
	}
	m.mu.Unlock()

	if m.parking != nil {
		m.parking.end()
	}
	for _, s := range open {
		s.abort()
	}
	m.files.Close()
	m.stack.Close()
	// Stack.Wait would wait for the links with its lock held, for which a frame that is being delivered may wait.
	for _, id := range m.ids {
		_ = m.stack.RemoveNIC(id)
	}
	for _, link := range m.links {
		link.Wait()
	}
	m.clock.end()
	m.stack.Close() // what connections came up in between
	m.stack.Wait()
}

// errClosed is what operations on a closed machine end with.
var errClosed = errors.New("the machine is closed")

// open notes a socket, which must be forgotten when it ends. On a machine that is closed it is aborted instead.
func (m *Machine) open(s aborter) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		s.abort()
		return errClosed
	}
	m.sockets[s] = struct{}{}
	m.mu.Unlock()
	return nil
}

func (m *Machine) forget(s aborter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sockets, s)
}

// await waits for the turn of an operation; format and args make its key, in virtual time only.
func (m *Machine) await(format string, args ...any) {
	if m.turn != nil {
		m.turn(fmt.Sprintf(format, args...))
	}
}
