package router

import (
	"encoding/binary"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"

	"scenario/fabric/nat"
	"scenario/topology"
)

// newTable returns the node's table of connections, or nil where it has no need of one.
func newTable(o Options) (*nat.Table, error) {
	router := o.Node.Router
	if router == nil || len(router.Masquerade)+len(router.Forwards) == 0 {
		return nil, nil
	}
	c := nat.Config{Behaviour: o.Behaviour, Seed: o.Node.Seed}
	index := make(map[string]int)
	for i, itf := range o.Node.Interfaces {
		c.Interfaces = append(c.Interfaces, nat.Interface{Addresses: itf.Addresses})
		index[itf.Name] = i
	}
	for _, m := range router.Masquerade {
		if i, ok := index[m.Interface]; ok {
			c.Interfaces[i].Masquerade = true
		}
	}
	for _, f := range router.Forwards {
		c.Forwards = append(c.Forwards, forwardOf(f, index))
	}
	return nat.New(c)
}

func forwardOf(f topology.PortForward, index map[string]int) nat.Forward {
	to := nat.Forward{Interface: -1, Protocol: nat.TCP, Port: f.Port, To: f.To}
	if i, ok := index[f.Interface]; ok {
		to.Interface = i
	}
	if f.Protocol == "udp" {
		to.Protocol = nat.UDP
	}
	return to
}

// tracking is what connection tracking knows of a packet on its way through the router.
type tracking struct {
	packet nat.Packet
	offset int // of the upper header, in bytes from the network header on
	inner  int // of the upper header of the packet that an ICMP error quotes; both from the quoted network header on
}

// prerouting has a packet from the network tracked, once it is whole; false: it goes no further.
func (r *Router) prerouting(p *packet) bool {
	if !r.read(p) {
		return false
	}
	p.track.packet.In = p.port.index
	return r.translated(p, r.nat.Prerouting)
}

// outgoing does the same with a packet of the router's own.
func (r *Router) outgoing(p *packet) bool {
	if !r.read(p) {
		return false
	}
	p.track.packet.Out = -1
	if route := r.table.lookup(p.dst); route != nil && route.kind == toNeighbour {
		p.track.packet.Out = route.port.index
	}
	return r.translated(p, r.nat.Output)
}

// translated asks the table at one of its hooks, and rewrites the packet accordingly; false: it goes no further.
func (r *Router) translated(p *packet, hook func(time.Time, *nat.Packet) nat.Verdict) bool {
	t := p.track
	flow, inner := t.packet.Flow, t.packet.Inner
	if hook(r.scheduler.Now(), &t.packet) != nat.Accept {
		return false
	}
	ip := p.ip()
	if inner != t.packet.Inner {
		quoted := ip[t.offset+icmpSize:]
		before := checksum.Checksum(quoted, 0)
		rewrite(quoted, p.v6, t.inner, inner, t.packet.Inner, false)
		adjust(ip[t.offset+2:], before, checksum.Checksum(quoted, 0))
	}
	if flow != t.packet.Flow {
		rewrite(ip, p.v6, t.offset, flow, t.packet.Flow, p.frame.Partial)
		p.src, p.dst = addressOf(t.packet.Flow.Src.Addr()), addressOf(t.packet.Flow.Dst.Addr())
	}
	return true
}

// read finds out what connection tracking asks of a packet; false: it is a fragment that waits for others.
func (r *Router) read(p *packet) bool {
	u := p.upper()
	if u.part {
		if !r.fragments.add(p, u, r.scheduler.Now()) {
			return false
		}
		u = p.upper()
	}
	t := p.track
	t.offset = u.offset
	// As much as may be rewritten, whole ICMP errors among it.
	if u.protocol == protocolICMP || u.protocol == protocolICMPv6 {
		p.need(p.size)
	} else {
		p.need(min(p.size, u.offset+tcpSize))
	}
	ip := p.ip()
	var upper []byte
	if u.offset <= len(ip) {
		upper = ip[u.offset:]
	}
	t.packet.Flow = flowOf(p.src, p.dst, u.protocol, upper)
	switch u.protocol {
	case protocolTCP:
		if len(upper) < tcpSize {
			t.packet.Kind = nat.Untracked
			return true
		}
		t.packet.Flags = nat.Flags(upper[13])
	case protocolUDP:
		if len(upper) < udpSize {
			t.packet.Kind = nat.Untracked
		}
	case protocolICMP, protocolICMPv6:
		t.readICMP(p.v6, u.protocol, upper)
	case protocolNone:
		t.packet.Kind = nat.Untracked
	}
	return true
}

// readICMP tells errors from echoes and all else.
func (t *tracking) readICMP(v6 bool, protocol byte, message []byte) {
	if t.packet.Flow.Echo != nat.NoEcho {
		return
	}
	t.packet.Kind = nat.Untracked
	if len(message) < icmpSize || v6 != (protocol == protocolICMPv6) {
		return
	}
	switch kind := message[0]; {
	case v6 && kind >= 1 && kind <= 4, !v6 && (kind == 3 || kind == 11 || kind == 12):
	default:
		return
	}
	quoted := message[icmpSize:]
	if len(quoted) < ipv4Size || v6 && len(quoted) < ipv6Size || v6 != (quoted[0]>>4 == 6) {
		return
	}
	u, ok := walk(quoted, v6)
	if !ok || u.later || u.offset > len(quoted) || len(quoted)-u.offset < icmpSize {
		return
	}
	src, dst := address4(quoted[12:]), address4(quoted[16:])
	if v6 {
		src, dst = address6(quoted[8:]), address6(quoted[24:])
	}
	t.packet.Kind = nat.Error
	t.packet.Inner = flowOf(src, dst, u.protocol, quoted[u.offset:])
	t.inner = u.offset
}

// flowOf reads the ports or the identifier of an upper header, of which 8 bytes are enough.
func flowOf(src, dst address, protocol byte, upper []byte) nat.Flow {
	f := nat.Flow{Protocol: protocol}
	var from, to uint16
	if len(upper) >= 8 {
		switch protocol {
		case protocolTCP, protocolUDP:
			from, to = binary.BigEndian.Uint16(upper), binary.BigEndian.Uint16(upper[2:])
		case protocolICMP, protocolICMPv6:
			f.Echo = echoOf(protocol, upper[0], src.is4())
			switch f.Echo {
			case nat.EchoRequest:
				from = binary.BigEndian.Uint16(upper[4:])
			case nat.EchoReply:
				to = binary.BigEndian.Uint16(upper[4:])
			}
		}
	}
	f.Src, f.Dst = netip.AddrPortFrom(src.netip(), from), netip.AddrPortFrom(dst.netip(), to)
	return f
}

func echoOf(protocol, kind byte, v4 bool) nat.Echo {
	switch {
	case v4 && protocol == protocolICMP && kind == 8, !v4 && protocol == protocolICMPv6 && kind == 128:
		return nat.EchoRequest
	case v4 && protocol == protocolICMP && kind == 0, !v4 && protocol == protocolICMPv6 && kind == 129:
		return nat.EchoReply
	}
	return nat.NoEcho
}

// rewrite gives a packet another flow's addresses and ports, with checksums that are as right or wrong as they were. A
// partial TCP checksum is left alone. ip may be cut off behind 8 bytes of the upper header.
func rewrite(ip []byte, v6 bool, offset int, from, to nat.Flow, partial bool) {
	addresses := ip[12:20]
	if v6 {
		addresses = ip[8:40]
	}
	before := checksum.Checksum(addresses, 0)
	addressOf(to.Src.Addr()).put(addresses)
	addressOf(to.Dst.Addr()).put(addresses[len(addresses)/2:])
	after := checksum.Checksum(addresses, 0)
	if !v6 {
		adjust(ip[10:], before, after)
	}
	upper := ip[offset:]
	var sum, ports []byte
	switch from.Protocol {
	case protocolTCP:
		ports = upper[:4]
		if len(upper) >= 18 && !partial {
			sum = upper[16:]
		}
	case protocolUDP:
		ports = upper[:4]
		if sum = upper[6:]; sum[0] == 0 && sum[1] == 0 {
			sum = nil // RFC 768: none
		}
	case protocolICMP, protocolICMPv6:
		sum = upper[2:]
		if from.Echo != nat.NoEcho {
			ports = upper[4:6]
		}
		if !v6 {
			before, after = 0, 0 // RFC 792: without a pseudo-header
		}
	}
	before = checksum.Checksum(ports, before)
	switch {
	case len(ports) == 4:
		binary.BigEndian.PutUint16(ports, to.Src.Port())
		binary.BigEndian.PutUint16(ports[2:], to.Dst.Port())
	case to.Echo == nat.EchoRequest:
		binary.BigEndian.PutUint16(ports, to.Src.Port())
	case to.Echo == nat.EchoReply:
		binary.BigEndian.PutUint16(ports, to.Dst.Port())
	}
	if sum == nil {
		return
	}
	adjust(sum, before, checksum.Checksum(ports, after))
	if from.Protocol == protocolUDP && sum[0] == 0 && sum[1] == 0 {
		sum[0], sum[1] = 0xff, 0xff
	}
}

// adjust corrects a checksum of what has changed from one sum to another (RFC 1624, equation 3).
func adjust(field []byte, before, after uint16) {
	sum := checksum.Combine(checksum.Combine(^binary.BigEndian.Uint16(field), ^before), after)
	binary.BigEndian.PutUint16(field, ^sum)
}
