package router

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

const (
	arpSize    = 28 // bytes, for Ethernet and IPv4 (RFC 826)
	arpRequest = 1
	arpReply   = 2
)

// receiveARP answers requests for the router's addresses, and learns from what it is told (RFC 826).
func (p *port) receiveARP(f *soft.Frame) {
	if !contiguous(f, etherSize+arpSize) {
		return
	}
	arp := f.Head.AsSlice()[etherSize:]
	if binary.BigEndian.Uint64(arp)>>16 != 0x0001_0800_0604 { // Ethernet, IPv4, their sizes
		return
	}
	operation := binary.BigEndian.Uint16(arp[6:])
	from, sender, target := *(*mac)(arp[8:]), address4(arp[14:]), address4(arp[24:])
	if from[0]&1 != 0 || operation != arpRequest && operation != arpReply {
		return
	}
	route := p.router.table.lookup(target)
	forMe := route != nil && route.kind == toSelf
	if sender.host() {
		p.meet(sender, from, forMe)
	}
	if forMe && operation == arpRequest {
		p.sendARP(arpReply, target, sender, from, from)
	}
}

// meet learns that an address of this link belongs to an Ethernet address. Only who speaks to this router becomes a
// neighbour.
func (p *port) meet(a address, from mac, forMe bool) {
	n := p.known(a)
	switch {
	case n == nil && forMe && p.onLink(a):
		if n = p.add(a); n != nil {
			n.learn(from)
		}
	case n != nil && forMe:
		n.learn(from)
	case n != nil:
		n.hear(from)
	}
}

// onLink says that an address is of one of the port's subnets, and nobody's but a neighbour's.
func (p *port) onLink(a address) bool {
	if a.linkLocal6() {
		return true
	}
	route := p.router.table.lookup(a)
	return route != nil && route.kind == toNeighbour && route.port == p && route.gateway == nil
}

// requestARP asks who has an address.
func (p *port) requestARP(target address, to mac) {
	sender, ok := p.source(target)
	if !ok {
		return
	}
	p.sendARP(arpRequest, sender, target, mac{}, to)
}

func (p *port) sendARP(operation uint16, sender, target address, targetMAC, to mac) {
	head := buffer.NewViewSize(etherSize + arpSize)
	b := head.AsSlice()
	binary.BigEndian.PutUint16(b[12:], etherARP)
	arp := b[etherSize:]
	binary.BigEndian.PutUint64(arp, 0x0001_0800_0604<<16|uint64(operation))
	copy(arp[8:], p.mac[:])
	sender.put(arp[14:])
	copy(arp[18:], targetMAC[:])
	target.put(arp[24:])
	p.emit(to, soft.Frame{Head: head})
}
