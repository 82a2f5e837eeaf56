package router_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// FuzzFrames sends anything, cut anywhere into head and payload, through a router that translates: it neither panics nor
// sends what is longer than its link.
func FuzzFrames(f *testing.F) {
	packets := [][]gopacket.SerializableLayer{
		{ip4("10.1.0.5", "10.2.0.7", 17), udp(1000, 53), data(30)},
		{ip4("10.1.0.5", "10.2.0.7", 6), tcp(1000, 53, "syn"), data(30)},
		{ip4("10.1.0.5", "10.2.0.7", 1), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 5}, data(3)},
		{ip4("10.1.0.5", "10.2.0.7", 1), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, data(40)},
		{ip4("10.1.0.5", "10.1.0.1", 17), udp(1000, 53), data(1400)},
		{ip6("fd01::5", "fd02::7", 17), udp(1000, 53), data(1400)},
		{ip6("fd01::5", "fd02::7", 0), gopacket.Payload{44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8}},
		{ip6("fd01::5", "fd01::1", 58), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 0)}, data(60)},
		{ip6("fe80::5", "ff02::1", 58), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(136, 0)}, data(60)},
	}
	for _, p := range packets {
		f.Add(ether(f, mac(9), mac(1), p...), uint16(60), uint16(0), uint8(0))
	}
	arp := [6]byte{2, 0, 0, 0, 0, 9}
	f.Add(ether(f, mac(9), mac(1), &layers.ARP{
		AddrType: 1, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: arp[:], SourceProtAddress: []byte{10, 1, 0, 9}, DstHwAddress: arp[:], DstProtAddress: []byte{10, 1, 0, 1},
	}), uint16(10), uint16(0), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, cut, segment uint16, flags uint8) {
		if len(b) > 3000 {
			return
		}
		for _, node := range []string{"plain", "nat"} {
			l := newLab(t, twoSided())
			if node == "nat" {
				l = newLab(t, home())
			}
			l.know4("eth1", 2, "10.2.0.7")
			for _, own := range []bool{false, true} {
				at := min(int(cut), len(b))
				f := soft.Frame{Head: buffer.NewViewWithData(bytes.Clone(b[:at])), Payload: buffer.MakeWithData(bytes.Clone(b[at:]))}
				f.Partial, f.Suspect = flags&1 != 0, flags&2 != 0
				if flags&4 != 0 {
					f.Segment = segment
				}
				if own {
					l.Local("eth0").Send(f)
				} else {
					l.Port("eth0").Send(f)
				}
			}
			for _, sent := range l.sent["eth1"] {
				if len(sent) > 14+1500 && flags&4 == 0 {
					t.Errorf("sent %d bytes", len(sent))
				}
			}
			l.turn(time.Minute)
		}
	})
}
