package soft

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Describe says in a few words what a frame is: "tcp 10.0.0.1:40000 > 10.0.0.2:80".
func (f *Frame) Describe() string {
	head := f.Head.AsSlice()
	l, ok := parse(head)
	if !ok {
		return describeOther(head)
	}
	addresses := l.addresses(head)
	source, _ := netip.AddrFromSlice(addresses[:len(addresses)/2])
	destination, _ := netip.AddrFromSlice(addresses[len(addresses)/2:])
	name := fmt.Sprintf("protocol %d", l.protocol)
	switch l.protocol {
	case uint8(header.TCPProtocolNumber):
		name = "tcp"
	case uint8(header.UDPProtocolNumber):
		name = "udp"
	case uint8(header.ICMPv4ProtocolNumber):
		name = "icmp"
	case uint8(header.ICMPv6ProtocolNumber):
		name = "icmpv6"
	}
	if l.first && (name == "tcp" || name == "udp") && len(head) >= l.transport+4 {
		return fmt.Sprintf("%s %s > %s", name,
			netip.AddrPortFrom(source, binary.BigEndian.Uint16(head[l.transport:])),
			netip.AddrPortFrom(destination, binary.BigEndian.Uint16(head[l.transport+2:])))
	}
	return fmt.Sprintf("%s %s > %s", name, source, destination)
}

// describeOther describes what is no IP packet.
func describeOther(head []byte) string {
	if len(head) < ethernetSize {
		return "cut short"
	}
	kind := binary.BigEndian.Uint16(head[2*macSize:])
	if kind == uint16(header.ARPProtocolNumber) {
		return "arp"
	}
	return fmt.Sprintf("ethernet %#04x", kind)
}
