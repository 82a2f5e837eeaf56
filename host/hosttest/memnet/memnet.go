// Package memnet has hosts in memory that exchange datagrams and TCP connections, for tests in virtual time
// (testing/synctest) and without it.
//
// [Net.Host] makes a host with its addresses. Everybody reaches everybody in the family of an address; what else an address
// can be is told with [Net.Silence] and [Net.NoRoute]. The suite in hosttest proves that sockets and their errors are like
// the kernel's, but for this:
//
//   - A host has the addresses that it is given: no loopback without 127.0.0.1 or ::1 among them.
//   - A host that does not exist is unreachable at once, not after the seconds in which a router asks for it.
//   - A connection takes no time, a datagram [Latency]; none is lost before the socket that it is for.
//   - Whoever writes to an end that was closed is told at once.
//   - There is no ICMP echo, and a host has no storage.
//
// Nothing runs between calls but the timers of datagrams under way, and nobody waits with a lock: time in a bubble goes on.
// A Net and its hosts may be older than the bubble; sockets may not.
package memnet

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"scenario/event"
	"scenario/host/unixmem"
)

// Latency is how long a datagram is under way.
const Latency = time.Millisecond

// Net is what joins the hosts.
type Net struct {
	window int // bytes

	mu       sync.Mutex
	hosts    map[netip.Addr]*Host
	silent   map[netip.Addr]bool
	noRoute  map[netip.Addr]bool
	underWay []datagram // the first was sent first
}

// New returns a network without hosts.
func New() *Net { return NewWindow(64 << 10) }

// NewWindow returns a network whose connections hold at most so many bytes, at least one, that were written and not yet
// read: where there are few, an end that does not read is seen at once.
func NewWindow(bytes int) *Net {
	return &Net{
		window: max(bytes, 1), hosts: make(map[netip.Addr]*Host), silent: make(map[netip.Addr]bool), noRoute: make(map[netip.Addr]bool),
	}
}

// Host returns the host of a name, which it makes the first time. An address, other than loopback, is of one host.
func (n *Net) Host(name string, addrs ...string) *Host {
	h := &Host{net: n, name: name, files: unixmem.New(nil), sockets: make(map[endpoint]receiver), lastPort: firstPort - 1}
	h.log = event.NewLogger(name, event.SinkFunc(h.record))
	for _, text := range addrs {
		h.addrs = append(h.addrs, netip.MustParseAddr(text))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, addr := range h.addrs {
		switch other := n.hosts[addr]; {
		case addr.IsLoopback():
		case other != nil && other.name == name && slices.Equal(other.addrs, h.addrs):
			return other
		case other != nil:
			panic(fmt.Sprintf("memnet: %s is the address of %s, not of %s", addr, other.name, name))
		default:
			n.hosts[addr] = h
		}
	}
	return h
}

// Silence has what is sent to addr vanish without a word, be there a host or not.
func (n *Net) Silence(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent[netip.MustParseAddr(addr)] = true
}

// NoRoute has no host know a way to addr.
func (n *Net) NoRoute(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noRoute[netip.MustParseAddr(addr)] = true
}
