package kernel

import (
	"net"
	"testing"

	"scenario/host"
)

// R3: what the ends of a connection agreed on is seen at both.
func TestHandshake(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		h := New(Options{})
		l, err := h.Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Skipf("listen on %s: %v", addr, err)
		}
		defer l.Close()
		client, err := h.Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		see := func(conn net.Conn) host.Handshake {
			agreed, ok := h.Handshake(conn)
			if !ok {
				t.Fatalf("%s: nothing is known of the handshake", addr)
			}
			return agreed
		}
		a, b := see(client), see(server)
		if b.PeerISN == 0 {
			t.Errorf("%s: the server does not know the client's sequence number", addr)
		}
		if a.MSS < 500 || b.MSS < 500 || a.SACK != b.SACK || a.Timestamps != b.Timestamps ||
			a.WindowScale != b.PeerWindowScale || b.WindowScale != a.PeerWindowScale {
			t.Errorf("%s: the client sees %+v, the server %+v", addr, a, b)
		}
	}
	if _, ok := New(Options{}).Handshake(nil); ok {
		t.Error("the handshake of no connection is known")
	}
}

func FuzzSequence(f *testing.F) {
	f.Add([]byte{0x45, 19: 0, 24: 1, 27: 7})
	f.Add([]byte{0x60, 39: 0, 47: 1})
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, packet []byte) {
		if number := sequence(packet); number != 0 && len(packet) < 8 {
			t.Errorf("%x has the sequence number %d", packet, number)
		}
		readInfo(packet)
	})
}
