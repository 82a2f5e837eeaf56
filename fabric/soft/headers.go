package soft

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What stands where in an Ethernet frame.
const (
	ethernetSize = header.EthernetMinimumSize
	macSize      = header.EthernetAddressSize
)

// layout says what stands where in a frame's head.
type layout struct {
	version   int   // 4 or 6
	protocol  uint8 // of the transport layer
	transport int   // where the transport header begins, in bytes from the frame's start
	end       int   // where the IP packet ends, which may lie in the payload
	fragment  bool  // a part of a packet
	first     bool  // the part that has the transport header, or the whole packet
}

// parse reads the headers of an IP packet up to the transport header, which itself need not be there. It is false for
// anything else, and for what is cut off or contradicts itself.
func parse(head []byte) (layout, bool) {
	if len(head) < ethernetSize {
		return layout{}, false
	}
	switch binary.BigEndian.Uint16(head[2*macSize:]) {
	case uint16(header.IPv4ProtocolNumber):
		return parseIPv4(head)
	case uint16(header.IPv6ProtocolNumber):
		return parseIPv6(head)
	}
	return layout{}, false
}

func parseIPv4(head []byte) (layout, bool) {
	ip := header.IPv4(head[ethernetSize:])
	if len(ip) < header.IPv4MinimumSize || ip[0]>>4 != 4 {
		return layout{}, false
	}
	size, total := int(ip.HeaderLength()), int(ip.TotalLength())
	if size < header.IPv4MinimumSize || size > len(ip) || total < size {
		return layout{}, false
	}
	return layout{
		version:   4,
		protocol:  ip.Protocol(),
		transport: ethernetSize + size,
		end:       ethernetSize + total,
		fragment:  ip.More() || ip.FragmentOffset() > 0,
		first:     ip.FragmentOffset() == 0,
	}, true
}

func parseIPv6(head []byte) (layout, bool) {
	ip := header.IPv6(head[ethernetSize:])
	if len(ip) < header.IPv6MinimumSize || ip[0]>>4 != 6 {
		return layout{}, false
	}
	l := layout{version: 6, protocol: ip.NextHeader(), transport: ethernetSize + header.IPv6MinimumSize, first: true}
	l.end = l.transport + int(ip.PayloadLength())
	for {
		size := 8
		switch header.IPv6ExtensionHeaderIdentifier(l.protocol) {
		case header.IPv6HopByHopOptionsExtHdrIdentifier, header.IPv6RoutingExtHdrIdentifier,
			header.IPv6DestinationOptionsExtHdrIdentifier:
			if len(head) < l.transport+2 {
				return layout{}, false
			}
			size += 8 * int(head[l.transport+1]) // RFC 8200, section 4.3: in units of 8 bytes, without the first
		case header.IPv6FragmentExtHdrIdentifier:
			if len(head) < l.transport+size {
				return layout{}, false
			}
			offset := binary.BigEndian.Uint16(head[l.transport+2:]) // section 4.5: 13 bits of offset, 2 reserved, more
			l.fragment = l.fragment || offset&^6 != 0
			l.first = l.first && offset>>3 == 0
		default:
			return l, true
		}
		if len(head) < l.transport+size || l.end < l.transport+size {
			return layout{}, false
		}
		l.protocol = head[l.transport]
		l.transport += size
		if !l.first {
			return l, true // what follows is the middle of a packet
		}
	}
}

// addresses are the source and destination addresses, one after the other as they stand.
func (l layout) addresses(head []byte) []byte {
	if l.version == 4 {
		return head[ethernetSize+12 : ethernetSize+20]
	}
	return head[ethernetSize+8 : ethernetSize+40]
}

// tcp is the length of the headers up to the end of TCP's; it is false where that is not whole in the head.
func (l layout) tcp(head []byte) (int, bool) {
	if l.protocol != uint8(header.TCPProtocolNumber) || l.fragment || len(head) < l.transport+header.TCPMinimumSize {
		return 0, false
	}
	size := int(header.TCP(head[l.transport:]).DataOffset())
	all := l.transport + size
	return all, size >= header.TCPMinimumSize && all <= len(head) && all <= l.end
}
