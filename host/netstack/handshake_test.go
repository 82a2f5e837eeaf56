package netstack

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/host"
)

// R3: what the ends of a connection agreed on is seen at both.
func TestHandshake(t *testing.T) {
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h := m.Host(HostOptions{})
	l, err := h.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := h.Dial(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	see := func(conn net.Conn) host.Handshake {
		seen, ok := h.Handshake(conn)
		if !ok {
			t.Fatal("nothing is known of the handshake")
		}
		return seen
	}
	a, b := see(client), see(server)
	if a.ISN == 0 || a.ISN != b.PeerISN || b.ISN != a.PeerISN || a.MSS < 500 || a.MSS != b.MSS || !a.SACK || !b.SACK ||
		!a.Timestamps || a.WindowScale != b.PeerWindowScale || b.WindowScale != a.PeerWindowScale {
		t.Errorf("the client sees %+v, the server %+v", a, b)
	}
	if _, ok := h.Handshake(nil); ok {
		t.Error("the handshake of no connection is known")
	}
}

func TestSYNsAreForgotten(t *testing.T) {
	var s syns
	segment := make(header.TCP, header.TCPMinimumSize)
	a := address(netip.MustParseAddr("10.0.0.1"))
	for i := range maxSYNs + 10 {
		segment.Encode(&header.TCPFields{SrcPort: uint16(i + 1), DstPort: 80, SeqNum: uint32(i), Flags: header.TCPFlagSyn, DataOffset: header.TCPMinimumSize})
		s.see(a, a, segment)
	}
	if len(s.last) != maxSYNs {
		t.Errorf("%d SYNs are remembered, want %d", len(s.last), maxSYNs)
	}
}

func FuzzSYN(f *testing.F) {
	f.Add(append(bytes.Repeat([]byte{0}, 12), 0x60, 2, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4))
	f.Add(append(bytes.Repeat([]byte{0}, 12), 0xf0, 2, 0, 0, 0, 0, 0, 0))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var s syns
		a := address(netip.MustParseAddr("10.0.0.1"))
		s.see(a, a, b)
	})
}
