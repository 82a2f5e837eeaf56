package router

import (
	"encoding/binary"

	"scenario/fabric/soft"
)

// Send takes a frame from the network.
func (p *port) Send(f soft.Frame) {
	if !contiguous(&f, etherSize) {
		f.Release()
		return
	}
	head := f.Head.AsSlice()
	group := head[0]&1 != 0
	if !group && *(*mac)(head) != p.mac {
		f.Release()
		return
	}
	if binary.BigEndian.Uint16(head[12:]) == etherARP {
		p.receiveARP(&f)
		f.Release()
		return
	}
	packet := packet{frame: f, port: p, group: group}
	if !packet.parse() || !packet.believable() {
		packet.frame.Release()
		return
	}
	p.router.receive(&packet)
}

// believable says that a packet from the network may have the source that it has (RFC 1812, section 5.3.7; RFC 4291,
// section 2.5). The unspecified address is that of hosts that have none yet, who reach neighbours alone.
func (p *packet) believable() bool {
	if p.dst.loopback() || p.dst.unspecified() {
		return false
	}
	return p.src.host() || p.src.unspecified() && (p.dst.multicast() || p.dst.limited())
}

func (r *Router) receive(p *packet) {
	if p.dst.multicast() || p.dst.limited() || p.dst.linkLocal6() {
		// Never forwarded: all of the link, and no further.
		if p.dst.linkLocal6() && p.dst != p.port.linkLocal {
			p.frame.Release()
			return
		}
		r.input(p, p.port)
		return
	}
	if r.nat != nil {
		var t tracking
		if p.track = &t; !r.prerouting(p) {
			p.frame.Release()
			return
		}
	}
	route := r.table.lookup(p.dst)
	switch {
	case route == nil:
		r.refuse(p, errorNoRoute)
	case route.kind == toSelf:
		r.input(p, route.port)
	case route.kind == toAll:
		if route.port == p.port {
			r.input(p, p.port)
			return
		}
		p.frame.Release()
	default:
		r.forward(p, route)
	}
}

// input takes what is for the router itself.
func (r *Router) input(p *packet, to *port) {
	if p.v6 && r.discovery(p) {
		p.frame.Release()
		return
	}
	// The filter reads no further than the head: a port is worth having there.
	p.need(min(p.size, p.upper().offset+4))
	if !r.accept(p.frame.Head.AsSlice()) || p.track != nil && !r.translated(p, r.nat.Input) {
		p.frame.Release()
		return
	}
	to.deliver(p.frame)
}

// forward sends a packet on to another host, with the checks in the order of Linux: what an internal network may not
// have is still told that its time is over.
func (r *Router) forward(p *packet, route *route) {
	if p.group {
		p.frame.Release()
		return
	}
	if p.hops() <= 1 {
		r.refuse(p, errorTimeExceeded)
		return
	}
	if p.src.linkLocal6() {
		r.refuse(p, errorBeyondScope)
		return
	}
	if !p.fits(route.port.mtu) {
		r.refuse(p, tooBig(route.port.mtu))
		return
	}
	if p.port.isolated || route.port.isolated {
		p.frame.Release()
		return
	}
	if p.track != nil {
		p.track.packet.Out = route.port.index
		if !r.translated(p, r.nat.Forward) {
			p.frame.Release()
			return
		}
	}
	p.hop()
	r.transmit(p, route)
}

// fits says that a packet can leave by a link of that MTU, in fragments if need be.
func (p *packet) fits(mtu int) bool {
	switch {
	case p.size <= mtu, !p.v6 && !p.dontFragment(), p.frame.PacketSize() <= mtu:
		return true
	}
	return p.whole != nil && p.whole.largest <= mtu
}

// sendOwn takes a frame from the router's own stack.
func (p *port) sendOwn(f soft.Frame) {
	packet := packet{frame: f, port: p, own: true}
	if !packet.parse() || packet.isDiscovery() {
		packet.frame.Release()
		return
	}
	p.router.output(&packet)
}

// output sends what the router's own stack, or the router itself, has made.
func (r *Router) output(p *packet) {
	to := p.port
	switch {
	case p.dst.multicast(), p.dst.limited():
		r.transmit(p, &route{kind: toAll, port: to})
		return
	case p.dst.linkLocal6():
		r.transmit(p, &route{port: to})
		return
	}
	if r.nat != nil {
		var t tracking
		if p.track = &t; !r.outgoing(p) {
			p.frame.Release()
			return
		}
	}
	route := r.table.lookup(p.dst)
	switch {
	case route == nil:
		r.refuse(p, errorNoRoute)
	case route.kind == toSelf:
		route.port.deliver(p.frame)
	case !p.fits(route.port.mtu):
		r.refuse(p, tooBig(route.port.mtu))
	default:
		r.transmit(p, route)
	}
}

// transmit puts a packet on the link that the route leads to.
func (r *Router) transmit(p *packet, route *route) {
	most := route.port.mtu
	if p.whole != nil {
		most = min(most, p.whole.largest)
	}
	if p.size > most && p.frame.PacketSize() > most {
		r.fragment(p, route, most)
		return
	}
	switch {
	case route.kind == toAll:
		route.port.emit(groupMAC(p.dst), p.frame)
	case route.gateway != nil:
		route.gateway.send(p)
	default:
		route.port.send(p)
	}
}

// groupMAC is the Ethernet address of a multicast or broadcast address (RFC 1112, section 6.4; RFC 2464, section 7).
func groupMAC(to address) mac {
	switch {
	case !to.multicast():
		return broadcast
	case to.is4():
		return mac{0x01, 0x00, 0x5e, byte(to.lo>>16) & 0x7f, byte(to.lo >> 8), byte(to.lo)}
	}
	return mac{0x33, 0x33, byte(to.lo >> 24), byte(to.lo >> 16), byte(to.lo >> 8), byte(to.lo)}
}
