package soft

import (
	"encoding/binary"
	"fmt"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Match says which packets are meant.
type Match struct {
	Protocol string // tcp, udp or icmp, which is ICMPv6 too
	Port     uint16 // of the destination; 0: all
}

// Dropping is a firewall for [NICOptions]: it accepts all frames but those that match.
//
// Neighbour discovery is no ping: it is never dropped, or a node that drops icmp would have no IPv6 at all (RFC 4890,
// section 4.4.1). Of a packet in fragments only the first has a port, and the others are worth nothing without it.
func Dropping(matches ...Match) (accept func(head []byte) bool, err error) {
	for _, m := range matches {
		if m.Protocol != "tcp" && m.Protocol != "udp" && m.Protocol != "icmp" {
			return nil, fmt.Errorf("protocol %q: not tcp, udp or icmp", m.Protocol)
		}
	}
	return func(head []byte) bool {
		l, ok := parse(head)
		if !ok {
			return true
		}
		for _, m := range matches {
			if m.matches(l, head) {
				return false
			}
		}
		return true
	}, nil
}

func (m Match) matches(l layout, head []byte) bool {
	switch m.Protocol {
	case "icmp":
		if l.version == 4 {
			return l.protocol == uint8(header.ICMPv4ProtocolNumber)
		}
		return l.protocol == uint8(header.ICMPv6ProtocolNumber) && !(l.first && isNeighbourDiscovery(head[l.transport:]))
	case "tcp":
		if l.protocol != uint8(header.TCPProtocolNumber) {
			return false
		}
	case "udp":
		if l.protocol != uint8(header.UDPProtocolNumber) {
			return false
		}
	}
	if m.Port == 0 {
		return true
	}
	return l.first && len(head) >= l.transport+4 && binary.BigEndian.Uint16(head[l.transport+2:]) == m.Port
}

// isNeighbourDiscovery says whether an ICMPv6 message is one of RFC 4861.
func isNeighbourDiscovery(icmp []byte) bool {
	return len(icmp) > 0 && icmp[0] >= byte(header.ICMPv6RouterSolicit) && icmp[0] <= byte(header.ICMPv6RedirectMsg)
}
