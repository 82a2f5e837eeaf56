package netstack

import (
	"encoding/binary"
	"math"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"scenario/host"
)

// icmpTap sees every ICMP message that the machine gets: it tells pings, and connections that are coming up, of errors that
// the stack does not hand to who they are for.
type icmpTap struct {
	machine *Machine

	mu    sync.Mutex
	last  uint16 // identifier of an echo
	pings map[pingKey]*ping
	flows map[flow]chan syscall.Errno
}

// pingKey is what tells one echo from another.
type pingKey struct {
	v6         bool
	identifier uint16
}

// flow is a TCP connection as its packets name it.
type flow struct{ from, to netip.AddrPort }

var _ stack.RawTransportEndpoint = (*icmpTap)(nil)

func newICMPTap(m *Machine) *icmpTap {
	return &icmpTap{
		machine: m, last: uint16(m.stack.InsecureRNG().Uint32()),
		pings: make(map[pingKey]*ping), flows: make(map[flow]chan syscall.Errno),
	}
}

// register has the stack hand messages over.
func (t *icmpTap) register() error {
	s := t.machine.stack
	if err := setting("ICMP", s.RegisterRawTransportEndpoint(ipv4.ProtocolNumber, header.ICMPv4ProtocolNumber, t)); err != nil {
		return err
	}
	if !t.machine.dual {
		return nil
	}
	return setting("ICMPv6", s.RegisterRawTransportEndpoint(ipv6.ProtocolNumber, header.ICMPv6ProtocolNumber, t))
}

// expect returns where an error about the flow is told until ignore.
func (t *icmpTap) expect(f flow) <-chan syscall.Errno {
	told := make(chan syscall.Errno, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flows[f] = told
	return told
}

func (t *icmpTap) ignore(f flow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.flows, f)
}

// begin gives an echo an identifier that no other echo under way has.
func (t *icmpTap) begin(echo host.Echo, route *stack.Route) (*ping, error) {
	p := &ping{
		sequence: echo.Sequence, route: route,
		answered: make(chan host.Pong, 1), ended: make(chan struct{}, 1),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for range math.MaxUint16 {
		t.last++
		p.key = pingKey{echo.To.Is6(), t.last}
		if _, taken := t.pings[p.key]; taken || t.last == 0 {
			continue
		}
		if fault := p.register(t.machine.stack); fault != nil {
			return nil, failed("socket", fault)
		}
		t.pings[p.key] = p
		return p, nil
	}
	return nil, os.NewSyscallError("socket", syscall.EADDRINUSE)
}

func (t *icmpTap) end(p *ping) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pings, p.key)
	p.unregister(t.machine.stack)
}

// quoted is how much of a message is looked at, in bytes: enough for its header and for the headers of a packet that it
// quotes.
const quoted = 128

// HandlePacket implements [stack.RawTransportEndpoint].
func (t *icmpTap) HandlePacket(pkt *stack.PacketBuffer) {
	message := append([]byte(nil), pkt.TransportHeader().Slice()...)
	data := pkt.Data().AsRange().Capped(quoted)
	message = append(message, data.ToSlice()...)
	from := addrOf(pkt.Network().SourceAddress())
	m, ok := parseICMP(pkt.NetworkProtocolNumber == ipv6.ProtocolNumber, message)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.transport == tcp.ProtocolNumber {
		if told := t.flows[m.flow]; told != nil {
			select {
			case told <- m.errno():
			default:
			}
		}
		return
	}
	if p := t.pings[m.ping]; p != nil && p.sequence == m.sequence {
		p.answer(host.Pong{From: from, Kind: m.kind, Code: m.code})
	}
}

// icmpMessage is an ICMP error about something that the machine sent.
type icmpMessage struct {
	v6        bool
	kind      host.PongKind
	code      int
	transport tcpip.TransportProtocolNumber // of the packet that it is about
	ping      pingKey
	sequence  uint16
	flow      flow
}

// parseICMP reads an error with the packet that it quotes (RFC 792, RFC 4443).
func parseICMP(v6 bool, b []byte) (m icmpMessage, ok bool) {
	if len(b) < header.ICMPv4MinimumSize {
		return m, false
	}
	m.v6, m.code = v6, int(b[1])
	if v6 {
		switch header.ICMPv6Type(b[0]) {
		case header.ICMPv6DstUnreachable:
			m.kind = host.DestinationUnreachable
		case header.ICMPv6TimeExceeded:
			m.kind = host.TimeExceeded
		default:
			return m, false
		}
		return m, m.quote6(b[header.ICMPv4MinimumSize:])
	}
	switch header.ICMPv4Type(b[0]) {
	case header.ICMPv4DstUnreachable:
		m.kind = host.DestinationUnreachable
	case header.ICMPv4TimeExceeded:
		m.kind = host.TimeExceeded
	default:
		return m, false
	}
	return m, m.quote4(b[header.ICMPv4MinimumSize:])
}

// quote4 reads an IPv4 packet of the machine's own that an error quotes.
func (m *icmpMessage) quote4(b []byte) bool {
	if len(b) < header.IPv4MinimumSize {
		return false
	}
	ip := header.IPv4(b)
	length := int(ip.HeaderLength())
	if length < header.IPv4MinimumSize || len(b) < length || ip.FragmentOffset() != 0 {
		return false
	}
	m.transport = ip.TransportProtocol()
	return m.quoteTransport(addrOf(ip.SourceAddress()), addrOf(ip.DestinationAddress()), b[length:])
}

// quote6 reads an IPv6 packet of the machine's own that an error quotes. It may be the first fragment of one.
func (m *icmpMessage) quote6(b []byte) bool {
	if len(b) < header.IPv6MinimumSize {
		return false
	}
	ip := header.IPv6(b)
	next, rest := ip.NextHeader(), b[header.IPv6MinimumSize:]
	if next == uint8(header.IPv6FragmentExtHdrIdentifier) {
		if len(rest) < header.IPv6FragmentHeaderSize || binary.BigEndian.Uint16(rest[2:])>>3 != 0 {
			return false
		}
		next, rest = rest[0], rest[header.IPv6FragmentHeaderSize:]
	}
	m.transport = tcpip.TransportProtocolNumber(next)
	return m.quoteTransport(addrOf(ip.SourceAddress()), addrOf(ip.DestinationAddress()), rest)
}

func (m *icmpMessage) quoteTransport(from, to netip.Addr, b []byte) bool {
	if len(b) < 8 {
		return false
	}
	switch m.transport {
	case tcp.ProtocolNumber:
		m.flow = flow{
			netip.AddrPortFrom(from, binary.BigEndian.Uint16(b)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:])),
		}
		return true
	case header.ICMPv4ProtocolNumber:
		return !m.v6 && header.ICMPv4Type(b[0]) == header.ICMPv4Echo && m.quoteEcho(b)
	case header.ICMPv6ProtocolNumber:
		return m.v6 && header.ICMPv6Type(b[0]) == header.ICMPv6EchoRequest && m.quoteEcho(b)
	}
	return false
}

// quoteEcho reads an echo request; its first 8 bytes are there.
func (m *icmpMessage) quoteEcho(b []byte) bool {
	m.ping = pingKey{m.v6, binary.BigEndian.Uint16(b[4:])}
	m.sequence = binary.BigEndian.Uint16(b[6:])
	return true
}

// errno is what Linux ends a connection with that is coming up (icmp_err_convert, icmpv6_err_convert).
func (m *icmpMessage) errno() syscall.Errno {
	if m.kind == host.TimeExceeded {
		return syscall.EHOSTUNREACH
	}
	if m.v6 {
		switch header.ICMPv6Code(m.code) {
		case header.ICMPv6NetworkUnreachable:
			return syscall.ENETUNREACH
		case header.ICMPv6PortUnreachable:
			return syscall.ECONNREFUSED
		case header.ICMPv6Prohibited, header.ICMPv6Policy, header.ICMPv6RejectRoute:
			return syscall.EACCES
		}
		return syscall.EHOSTUNREACH
	}
	switch header.ICMPv4Code(m.code) {
	case header.ICMPv4NetUnreachable, header.ICMPv4DestinationNetworkUnknown, header.ICMPv4NetProhibited,
		header.ICMPv4NetUnreachableForTos:
		return syscall.ENETUNREACH
	case header.ICMPv4ProtoUnreachable:
		return syscall.ENOPROTOOPT
	case header.ICMPv4PortUnreachable:
		return syscall.ECONNREFUSED
	case header.ICMPv4FragmentationNeeded:
		return syscall.EMSGSIZE
	case header.ICMPv4SourceRouteFailed:
		return syscall.EOPNOTSUPP
	case header.ICMPv4DestinationHostUnknown:
		return syscall.EHOSTDOWN
	}
	return syscall.EHOSTUNREACH
}
