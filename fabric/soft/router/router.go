// Package router is an IPv4 and IPv6 router on Ethernet frames in memory.
//
// A frame enters at a port (forward.go), is parsed in place (parse.go), finds its way in a table of prefixes (table.go) and
// leaves by the port of that route with the Ethernet address that the port's neighbours have told (neighbour.go, arp.go,
// discovery.go). What cannot be forwarded is answered by ICMP errors (icmp.go), what is too large is cut (fragment.go),
// connections are tracked and translated where the plan says so (nat.go), and what is for the router itself goes to its
// own TCP/IP stack, but for what it drops.
//
// A router has no goroutines: it works in those of its senders, and takes no lock while it sends.
package router

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"scenario/fabric/nat"
	"scenario/fabric/soft"
	"scenario/topology"
)

// Options say what a router is.
type Options struct {
	// Node has interfaces, routes, NAT and filters. Addresses and routes do not change afterwards. A nil Node.Router stands
	// for one that only forwards.
	Node *topology.Node
	// Scheduler has the time, and the timers of neighbours.
	Scheduler soft.Scheduler
	// Behaviour is the kind of NAT; the zero value is Linux' masquerade.
	Behaviour nat.Behaviour
}

// Router forwards packets between its ports. Its methods may be called from any goroutine.
type Router struct {
	scheduler soft.Scheduler
	ports     []*port
	table     table
	accept    func(head []byte) bool // of what is for the router's own stack
	nat       *nat.Table             // nil: connections are not tracked
	fragments fragments

	identification atomic.Uint32 // of the IPv4 packets that the router makes itself
}

// New returns a router whose ports lead nowhere as yet. The error names what in the node's filters or NAT cannot be.
func New(o Options) (*Router, error) {
	r := &Router{scheduler: o.Scheduler}
	var drops []soft.Match
	for _, d := range o.Node.Drop {
		drops = append(drops, soft.Match{Protocol: d.Protocol, Port: d.Port})
	}
	var err error
	if r.accept, err = soft.Dropping(drops...); err != nil {
		return nil, fmt.Errorf("node %s: drop: %w", o.Node.Name, err)
	}
	for _, itf := range o.Node.Interfaces {
		r.ports = append(r.ports, newPort(r, len(r.ports), itf))
	}
	r.addRoutes(o.Node.Routes)
	if o.Node.Router != nil {
		for _, name := range o.Node.Router.Isolated {
			if p := r.port(name); p != nil {
				p.isolated = true
			}
		}
	}
	if r.nat, err = newTable(o); err != nil {
		return nil, fmt.Errorf("node %s: nat: %w", o.Node.Name, err)
	}
	return r, nil
}

// Port returns where frames from the network enter by the interface of that name, or nil where there is none.
func (r *Router) Port(name string) soft.Sink {
	if p := r.port(name); p != nil {
		return p
	}
	return nil
}

// Connect sets where frames leave to the network by the interface of that name. Until then they are lost.
func (r *Router) Connect(name string, to soft.Sink) {
	if p := r.port(name); p != nil {
		p.out.Store(&to)
	}
}

// Local returns where the router's own stack sends by the interface of that name, or nil where there is none. The
// Ethernet addresses of these frames are ignored: the router finds the way and the neighbour itself. So the stack needs no
// address resolution, but, beside the node's routes, one to everywhere on each interface: what was sent to an interface's
// address is answered by that interface, wherever the way back leads.
func (r *Router) Local(name string) soft.Sink {
	if p := r.port(name); p != nil {
		return soft.SinkFunc(p.sendOwn)
	}
	return nil
}

// ConnectLocal sets where packets for the router itself go: those for the addresses of the interface of that name,
// whichever interface they came in by, and multicast and broadcast that came in there. Until then they are lost.
func (r *Router) ConnectLocal(name string, to soft.Sink) {
	if p := r.port(name); p != nil {
		p.local.Store(&to)
	}
}

func (r *Router) port(name string) *port {
	for _, p := range r.ports {
		if p.name == name {
			return p
		}
	}
	return nil
}

// port is one interface of a router: the sink of frames from the network.
type port struct {
	router    *Router
	index     int // in Router.ports
	name      string
	mac       mac
	mtu       int
	prefixes  []netip.Prefix
	linkLocal address
	isolated  bool

	out   atomic.Pointer[soft.Sink]
	local atomic.Pointer[soft.Sink]

	mu         sync.RWMutex
	neighbours map[address]*neighbour
}

func newPort(r *Router, index int, itf topology.Interface) *port {
	p := &port{
		router: r, index: index, name: itf.Name, mac: mac(itf.MAC), mtu: itf.MTU, prefixes: itf.Addresses,
		neighbours: make(map[address]*neighbour),
	}
	// RFC 4291, appendix A: the interface identifier is the MAC with ff:fe in the middle and the universal bit inverted.
	m := p.mac
	p.linkLocal = addressOf(netip.AddrFrom16([16]byte{
		0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	}))
	return p
}

// emit sends a frame to the network.
func (p *port) emit(to mac, f soft.Frame) {
	out := p.out.Load()
	if out == nil {
		f.Release()
		return
	}
	head := f.Head.AsSlice()
	*(*mac)(head) = to
	*(*mac)(head[6:]) = p.mac
	(*out).Send(f)
}

// deliver sends a frame to the router's own stack.
func (p *port) deliver(f soft.Frame) {
	local := p.local.Load()
	if local == nil {
		f.Release()
		return
	}
	if head := f.Head.AsSlice(); head[0]&1 == 0 {
		*(*mac)(head) = p.mac
	}
	(*local).Send(f)
}

// source returns the port's address to speak to another with: that of the same subnet, or else the first of the same
// family.
func (p *port) source(to address) (address, bool) {
	if to.linkLocal6() {
		return p.linkLocal, true
	}
	var first address
	found := false
	for _, prefix := range p.prefixes {
		if prefix.Addr().Is4() != to.is4() {
			continue
		}
		if prefix.Contains(to.netip()) {
			return addressOf(prefix.Addr()), true
		}
		if !found {
			first, found = addressOf(prefix.Addr()), true
		}
	}
	return first, found
}
