package netstack

import (
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"scenario/host"
)

var _ host.Inspector = (*Host)(nil)

// Handshake implements [host.Inspector], for a connection that was made not long ago.
func (h *Host) Handshake(conn net.Conn) (host.Handshake, bool) {
	c, ok := conn.(*tcpConn)
	if !ok {
		return host.Handshake{}, false
	}
	local, ok := c.local.(*net.TCPAddr)
	remote, ok2 := c.remote.(*net.TCPAddr)
	if !ok || !ok2 {
		return host.Handshake{}, false
	}
	from, to := plain(local.AddrPort()), plain(remote.AddrPort())
	mine, seen := h.machine.syns.of(flow{from, to})
	theirs, seen2 := h.machine.syns.of(flow{to, from})
	if !seen || !seen2 {
		return host.Handshake{}, false
	}
	return agreed(mine, theirs), true
}

// agreed is what two SYNs come to: an option holds where both have it.
func agreed(mine, theirs syn) host.Handshake {
	h := host.Handshake{
		ISN: mine.number, PeerISN: theirs.number,
		MSS:        int(min(mine.options.MSS, theirs.options.MSS)),
		SACK:       mine.options.SACKPermitted && theirs.options.SACKPermitted,
		Timestamps: mine.options.TS && theirs.options.TS,
	}
	if h.Timestamps {
		h.MSS -= header.TCPOptionTSLength + 2 // with padding, in every segment
	}
	if mine.options.WS >= 0 && theirs.options.WS >= 0 {
		h.WindowScale, h.PeerWindowScale = mine.options.WS, theirs.options.WS
	}
	return h
}

// syn is what a SYN says.
type syn struct {
	number  uint32
	options header.TCPSynOptions
}

// maxSYNs bounds how many SYNs a machine remembers.
const maxSYNs = 1 << 13

// syns remembers the SYNs that a machine sent and got last. The stack forgets them.
type syns struct {
	mu   sync.Mutex
	last map[flow]syn
	ring []flow // in the order in which they came, from next on
	next int
}

func (s *syns) of(f flow) (syn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.last[f]
	return one, ok
}

// see remembers the packet's SYN, where it has one.
func (s *syns) see(from, to tcpip.Address, segment header.TCP) {
	if len(segment) < header.TCPMinimumSize || segment.Flags()&header.TCPFlagSyn == 0 {
		return
	}
	options := segment[header.TCPMinimumSize:min(max(int(segment.DataOffset()), header.TCPMinimumSize), len(segment))]
	one := syn{segment.SequenceNumber(), header.ParseSynOptions(options, segment.Flags()&header.TCPFlagAck != 0)}
	f := flow{
		plain(netip.AddrPortFrom(addrOf(from), segment.SourcePort())),
		plain(netip.AddrPortFrom(addrOf(to), segment.DestinationPort())),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = make(map[flow]syn)
	}
	if _, again := s.last[f]; !again {
		if len(s.ring) < maxSYNs {
			s.ring = append(s.ring, f)
		} else {
			delete(s.last, s.ring[s.next])
			s.ring[s.next] = f
			s.next = (s.next + 1) % maxSYNs
		}
	}
	s.last[f] = one
}

// plain is an address as both ends of a connection see it.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// watched is a link whose SYNs are remembered.
type watched struct {
	nested.Endpoint
	syns *syns
}

func watch(link stack.LinkEndpoint, s *syns) *watched {
	w := &watched{syns: s}
	w.Init(link, w)
	return w
}

// WritePackets implements [stack.LinkEndpoint].
func (w *watched) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	for _, p := range packets.AsSlice() {
		segment := header.TCP(p.TransportHeader().Slice())
		// Of what is no TCP, the least that could be taken for it is looked at again.
		if len(segment) < header.TCPMinimumSize || segment.Flags()&header.TCPFlagSyn == 0 || !isIP(p.NetworkProtocolNumber) {
			continue
		}
		if ip := p.Network(); ip.TransportProtocol() == header.TCPProtocolNumber {
			w.syns.see(ip.SourceAddress(), ip.DestinationAddress(), segment)
		}
	}
	return w.Endpoint.WritePackets(packets)
}

// DeliverNetworkPacket implements [stack.NetworkDispatcher].
func (w *watched) DeliverNetworkPacket(number tcpip.NetworkProtocolNumber, p *stack.PacketBuffer) {
	switch number {
	case header.IPv4ProtocolNumber:
		if b, ok := p.Data().PullUp(header.IPv4MinimumSize); ok {
			ip := header.IPv4(b)
			if ip.TransportProtocol() == header.TCPProtocolNumber && ip.FragmentOffset() == 0 {
				w.peek(p, int(ip.HeaderLength()), ip.SourceAddress(), ip.DestinationAddress())
			}
		}
	case header.IPv6ProtocolNumber:
		if b, ok := p.Data().PullUp(header.IPv6MinimumSize); ok {
			if ip := header.IPv6(b); ip.NextHeader() == uint8(header.TCPProtocolNumber) {
				w.peek(p, header.IPv6MinimumSize, ip.SourceAddress(), ip.DestinationAddress())
			}
		}
	}
	w.Endpoint.DeliverNetworkPacket(number, p)
}

// peek looks at the segment in a packet that arrives, below an IP header of so many bytes.
func (w *watched) peek(p *stack.PacketBuffer, below int, from, to tcpip.Address) {
	b, ok := p.Data().PullUp(below + header.TCPMinimumSize)
	if !ok {
		return
	}
	segment := header.TCP(b[below:])
	if segment.Flags()&header.TCPFlagSyn == 0 {
		return
	}
	if b, ok = p.Data().PullUp(below + int(segment.DataOffset())); ok {
		w.syns.see(from, to, header.TCP(b[below:]))
	}
}

func isIP(number tcpip.NetworkProtocolNumber) bool {
	return number == header.IPv4ProtocolNumber || number == header.IPv6ProtocolNumber
}
