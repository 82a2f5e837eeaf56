package hosttest

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// udpBoundaries: a datagram arrives whole or not at all, never joined with another.
func udpBoundaries(ctx context.Context, t *testing.T, p Pair, f family) {
	server := listenPacket(ctx, t, p.B, f.udp, f.listenAddr(f.B))
	must(t, "set deadline", server.SetDeadline(time.Now().Add(limit)))
	client := dial(ctx, t, p.A, f.udp, server.LocalAddr().String())
	buffer := make([]byte, 2048)
	for _, text := range []string{"a", strings.Repeat("b", 1200), "", "cc"} {
		for range 2 { // both are under way before the first is read
			_, err := client.Write([]byte(text))
			must(t, "write", err)
		}
		for range 2 {
			n, from, err := server.ReadFrom(buffer)
			must(t, "read", err)
			if string(buffer[:n]) != text {
				t.Errorf("got a datagram of %d bytes, want one of %d", n, len(text))
			}
			if from.String() != client.LocalAddr().String() {
				t.Errorf("datagram from %s, want %s", from, client.LocalAddr())
			}
			_, err = server.WriteTo(buffer[:n], from)
			must(t, "answer", err)
		}
		for range 2 {
			n, err := client.Read(buffer)
			must(t, "read the answer", err)
			if string(buffer[:n]) != text {
				t.Errorf("got an answer of %d bytes, want one of %d", n, len(text))
			}
		}
	}
	// What does not fit the reader's buffer is lost with its datagram; the next one is read from its beginning.
	for _, text := range []string{"first", "second"} {
		_, err := client.Write([]byte(text))
		must(t, "write", err)
	}
	n, _, err := server.ReadFrom(buffer[:2])
	if string(buffer[:n]) != "fi" {
		t.Errorf("got %q (%v) in a buffer of 2 bytes", buffer[:n], err)
	}
	n, _, err = server.ReadFrom(buffer)
	must(t, "read", err)
	if string(buffer[:n]) != "second" {
		t.Errorf("got %q after a datagram that was too long", buffer[:n])
	}
}

// udpRefused: the other machine's ICMP error is the next call's error.
func udpRefused(ctx context.Context, t *testing.T, p Pair, f family) {
	closed := listenPacket(ctx, t, p.B, f.udp, f.listenAddr(f.B))
	must(t, "close", closed.Close())
	c := dial(ctx, t, p.A, f.udp, closed.LocalAddr().String())
	_, err := c.Write([]byte("anybody?"))
	must(t, "write", err)
	_, err = c.Read(make([]byte, 1))
	wantError(t, "read after a datagram to a closed port", err, syscall.ECONNREFUSED)
}

func udpAddressInUse(ctx context.Context, t *testing.T, p Pair, f family) {
	c := listenPacket(ctx, t, p.B, f.udp, f.listenAddr(f.B))
	_, err := p.B.ListenPacket(ctx, f.udp, c.LocalAddr().String())
	wantError(t, "listen twice", err, syscall.EADDRINUSE)
	_, err = p.B.ListenPacket(ctx, f.udp, f.listenAddr(f.Absent))
	wantError(t, "listen on an address that the host does not have", err, syscall.EADDRNOTAVAIL)
}

func udpDeadline(ctx context.Context, t *testing.T, p Pair, f family) {
	c := listenPacket(ctx, t, p.B, f.udp, f.listenAddr(f.B))
	must(t, "set read deadline", c.SetReadDeadline(time.Unix(1, 0)))
	_, _, err := c.ReadFrom(make([]byte, 1))
	wantError(t, "read after the deadline", err, os.ErrDeadlineExceeded)
}

func udpCloseWakes(ctx context.Context, t *testing.T, p Pair, f family) {
	c := listenPacket(ctx, t, p.B, f.udp, f.listenAddr(f.B))
	woken := make(chan error)
	go func() {
		_, _, err := c.ReadFrom(make([]byte, 1))
		woken <- err
	}()
	must(t, "close", c.Close())
	wantError(t, "read when the socket is closed", <-woken, net.ErrClosed)
}
