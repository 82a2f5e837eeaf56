package soft

import (
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A card takes what is for it, for all or for a group, but for questions of ARP about others.
func TestCardTakes(t *testing.T) {
	arp := func(to [6]byte, op header.ARPOp, target string) []byte {
		head := make([]byte, ethernetSize+header.ARPSize)
		copy(head, to[:])
		head[12], head[13] = 0x08, 0x06
		h := header.ARP(head[ethernetSize:])
		h.SetIPv4OverEthernet()
		h.SetOp(op)
		copy(h.ProtocolAddressTarget(), netip.MustParseAddr(target).AsSlice())
		return head
	}
	own, other, all := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}, [6]byte{255, 255, 255, 255, 255, 255}
	ip := append(all[:], make([]byte, 60)...)
	ip[12], ip[13] = 0x08, 0x00
	for _, c := range []struct {
		name string
		head []byte
		want bool
	}{
		{"a question about it", arp(all, header.ARPRequest, "10.0.0.1"), true},
		{"about another", arp(all, header.ARPRequest, "10.0.0.2"), false},
		{"about another, asked of it alone", arp(own, header.ARPRequest, "10.0.0.2"), true},
		{"an answer to all", arp(all, header.ARPReply, "10.0.0.2"), true},
		{"an answer to another", arp(other, header.ARPReply, "10.0.0.2"), false},
		{"a question that is cut off", arp(all, header.ARPRequest, "10.0.0.2")[:ethernetSize+8], true},
		{"IP to all", ip, true},
		{"no frame", ip[:ethernetSize-1], false},
	} {
		card := NewNIC(NICOptions{MAC: own, Resolve: true, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}})
		if got := card.isFor(c.head); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
