package router

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// Neighbour discovery (RFC 4861, sections 4.3, 4.4 and 4.6.1).
const (
	ndpFirst         = 133
	ndpLast          = 137
	ndpSolicitation  = 135
	ndpAdvertisement = 136
	ndpSize          = 24 // bytes, without options
	ndpHops          = 255

	ndpOptionSource = 1
	ndpOptionTarget = 2
	ndpOptionSize   = 8 // bytes, of an Ethernet address

	ndpRouter    = 1 << 7
	ndpSolicited = 1 << 6
	ndpOverride  = 1 << 5
)

var (
	allNodes      = address{hi: 0xff02 << 48, lo: 1}
	solicitedNode = address{hi: 0xff02 << 48, lo: 0x1_ff00_0000}
)

// solicited returns the group that the owner of an address listens to (RFC 4291, section 2.7.1).
func solicited(a address) address {
	return address{solicitedNode.hi, solicitedNode.lo | a.lo&0xff_ffff}
}

// isDiscovery says that the packet is a message of neighbour discovery.
func (p *packet) isDiscovery() bool {
	if !p.v6 || p.ip()[6] != protocolICMPv6 || !p.need(ipv6Size+1) {
		return false
	}
	kind := p.ip()[ipv6Size]
	return kind >= ndpFirst && kind <= ndpLast
}

// discovery takes what the router's own stack must not see: the router is the one who knows its neighbours.
func (r *Router) discovery(p *packet) bool {
	if !p.isDiscovery() {
		return false
	}
	if p.size < ipv6Size+ndpSize || !p.need(p.size) {
		return true
	}
	ip := p.ip()
	message := ip[ipv6Size:p.size]
	if ip[7] != ndpHops || message[1] != 0 || icmpSum(p.src, p.dst, message) != 0 {
		return true
	}
	target := address6(message[8:])
	if target.multicast() {
		return true
	}
	switch message[0] {
	case ndpSolicitation:
		p.port.solicited(p, message, target)
	case ndpAdvertisement:
		p.port.advertised(p, message, target)
	}
	return true
}

// linkAddress finds an option with an Ethernet address; valid says that all options could be read.
func linkAddress(options []byte, kind byte) (found mac, ok, valid bool) {
	for len(options) > 0 {
		if len(options) < 2 || options[1] == 0 || len(options) < int(options[1])*8 {
			return mac{}, false, false
		}
		if options[0] == kind && options[1] == 1 {
			found, ok = *(*mac)(options[2:]), true
		}
		options = options[int(options[1])*8:]
	}
	return found, ok, true
}

// solicited answers who asks for one of the router's addresses (RFC 4861, sections 7.1.1 and 7.2.4).
func (p *port) solicited(packet *packet, message []byte, target address) {
	from, ok, valid := linkAddress(message[ndpSize:], ndpOptionSource)
	unspecified := packet.src.unspecified()
	if !valid || unspecified && (ok || packet.dst.hi != solicitedNode.hi || packet.dst.lo>>24 != solicitedNode.lo>>24) {
		return
	}
	if target != p.linkLocal {
		if route := p.router.table.lookup(target); route == nil || route.kind != toSelf || route.port != p {
			return
		}
	}
	if unspecified { // duplicate address detection: all are to know that the address is taken
		p.sendNDP(ndpAdvertisement, ndpRouter|ndpOverride, target, allNodes, target, groupMAC(allNodes))
		return
	}
	if ok && from[0]&1 == 0 {
		p.meet(packet.src, from, true)
	} else {
		from = *(*mac)(packet.frame.Head.AsSlice()[6:])
	}
	p.sendNDP(ndpAdvertisement, ndpRouter|ndpSolicited|ndpOverride, target, packet.src, target, from)
}

// advertised learns from an answer, or from what a neighbour says unasked (RFC 4861, sections 7.1.2 and 7.2.5).
func (p *port) advertised(packet *packet, message []byte, target address) {
	from, ok, valid := linkAddress(message[ndpSize:], ndpOptionTarget)
	flags := message[4]
	if !valid || packet.dst.multicast() && flags&ndpSolicited != 0 {
		return
	}
	n := p.known(target)
	if n == nil {
		return
	}
	word := n.word.Load()
	if !ok { // only an answer to a question that was for one neighbour needs none
		if word&wordKnown == 0 {
			return
		}
		from = macOf(word)
	}
	same := word&wordKnown == 0 || word&wordAddresses == from.word()
	switch {
	case from[0]&1 != 0:
	case !same && flags&ndpOverride == 0:
		// Another one's claim, which does not even claim to be better: the known address is asked for again when it is used.
		n.doubt()
	case flags&ndpSolicited != 0 || word&wordKnown == 0:
		n.learn(from)
	default:
		n.hear(from)
	}
}

// doubt makes a neighbour stale that is reachable.
func (n *neighbour) doubt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state == reachable {
		n.change(stale)
		n.word.Store(n.word.Load() | wordStale)
	}
}

// solicit asks who has an address: all who might, or the one who had it.
func (p *port) solicit(target address, to mac) {
	sender, ok := p.source(target)
	if !ok {
		sender = p.linkLocal
	}
	dst := target
	if to == broadcast {
		dst = solicited(target)
		to = groupMAC(dst)
	}
	p.sendNDP(ndpSolicitation, 0, sender, dst, target, to)
}

// sendNDP sends a solicitation or advertisement, with the port's own Ethernet address as its option.
func (p *port) sendNDP(kind, flags byte, src, dst, target address, to mac) {
	head := buffer.NewViewSize(etherSize + ipv6Size + ndpSize + ndpOptionSize)
	b := head.AsSlice()
	binary.BigEndian.PutUint16(b[12:], etherIPv6)
	putIPv6(b[etherSize:], src, dst, protocolICMPv6, ndpHops)
	message := b[etherSize+ipv6Size:]
	message[0], message[4] = kind, flags
	target.put(message[8:])
	option := message[ndpSize:]
	option[0], option[1] = ndpOptionTarget, 1
	if kind == ndpSolicitation {
		option[0] = ndpOptionSource
	}
	copy(option[2:], p.mac[:])
	binary.BigEndian.PutUint16(message[2:], icmpSum(src, dst, message))
	p.emit(to, soft.Frame{Head: head})
}
