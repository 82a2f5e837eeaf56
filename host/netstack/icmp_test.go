package netstack_test

import (
	"encoding/hex"
	"testing"

	"scenario/host/netstack"
)

// message is ICMP messages in hexadecimal.
var messages = []struct {
	name string
	v6   bool
	hex  string
	ok   bool
}{
	{"time exceeded about an echo", false,
		"0b00000000000000" + "4500001c0000400001010000" + "0a0100020a030002" + "0800000012340001", true},
	{"host unreachable about TCP", false,
		"0301000000000000" + "45000028000040004006000" + "00a0100020a030002" + "c000005000000001", true},
	{"about a later fragment", false,
		"0301000000000000" + "450000280000000140060000" + "0a0100020a030002" + "c000005000000001", false},
	{"about a header with options that are not there", false,
		"0301000000000000" + "4f0000280000400040060000" + "0a0100020a030002" + "c000005000000001", false},
	{"about an echo reply", false,
		"0b00000000000000" + "4500001c000040000101000" + "00a0100020a030002" + "0000000012340001", false},
	{"echo reply", false, "0000000012340001", false},
	{"too short", false, "0b000000", false},
	{"time exceeded about an ICMPv6 echo", true,
		"0300000000000000" + "6000000000083a01" + "fd010000000000000000000000000002" + "fd030000000000000000000000000002" +
			"8000000012340001", true},
	{"about the first fragment of an ICMPv6 echo", true,
		"0300000000000000" + "6000000000102c01" + "fd010000000000000000000000000002" + "fd030000000000000000000000000002" +
			"3a00000100000007" + "8000000012340001", true},
	{"about a later fragment of IPv6", true,
		"0300000000000000" + "6000000000102c01" + "fd010000000000000000000000000002" + "fd030000000000000000000000000002" +
			"3a00000900000007" + "8000000012340001", false},
}

func TestParseICMP(t *testing.T) {
	for _, m := range messages {
		t.Run(m.name, func(t *testing.T) {
			b, err := hex.DecodeString(m.hex)
			if err != nil {
				t.Fatal(err)
			}
			if ok := netstack.ParseICMP(m.v6, b); ok != m.ok {
				t.Errorf("read %v, want %v", ok, m.ok)
			}
		})
	}
}

// What is cut off anywhere, or is no ICMP at all, is read without a panic.
func FuzzParseICMP(f *testing.F) {
	for _, m := range messages {
		b, err := hex.DecodeString(m.hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.v6, b)
	}
	f.Fuzz(func(_ *testing.T, v6 bool, b []byte) { netstack.ParseICMP(v6, b) })
}
