package memnet_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"scenario/host/hosttest"
	"scenario/host/hosttest/memnet"
)

func TestConformance(t *testing.T) {
	hosttest.Run(t, func(*testing.T) hosttest.Pair {
		n := memnet.New()
		around := func(a, b, silent, unreachable, noRoute string) hosttest.Addresses {
			n.Silence(silent)
			n.NoRoute(noRoute)
			return hosttest.Addresses{
				A: netip.MustParseAddr(a), B: netip.MustParseAddr(b), Silent: netip.MustParseAddr(silent),
				Unreachable: netip.MustParseAddr(unreachable), NoRoute: netip.MustParseAddr(noRoute),
			}
		}
		return hosttest.Pair{
			A:  n.Host("a", "10.0.0.1", "fd00::1", "127.0.0.1", "::1"),
			B:  n.Host("b", "10.0.0.2", "fd00::2", "127.0.0.1", "::1"),
			V4: around("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.9.0.1"),
			V6: around("fd00::1", "fd00::2", "fd00::3", "fd00::4", "fd09::1"),
		}
	})
}

func TestUnixSockets(t *testing.T) {
	hosttest.RunUnix(t, func(*testing.T) hosttest.UnixHost {
		return hosttest.UnixHost{Host: memnet.New().Host("a", "10.0.0.1"), Folder: "/run"}
	})
}

// In a bubble a datagram takes the latency, and whoever waits for what never comes waits in virtual time.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.Silence("10.0.0.3")
		a, b := n.Host("a", "10.0.0.1"), n.Host("b", "10.0.0.2")
		began := time.Now()
		after := func(what string, want time.Duration) {
			t.Helper()
			if took := time.Since(began); took != want {
				t.Errorf("%s after %v, want %v", what, took, want)
			}
			began = time.Now()
		}

		server, err := b.ListenPacket(t.Context(), "udp", "10.0.0.2:53")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client, err := a.Dial(t.Context(), "udp", "10.0.0.2:53")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.ReadFrom(make([]byte, 8)); err != nil {
			t.Error(err)
		}
		after("a datagram came", memnet.Latency)
		if err := client.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		after("read gave up", time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := a.Dial(ctx, "tcp", "10.0.0.3:80"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial: %v", err)
		}
		after("dial gave up", time.Minute)
	})
}

// A write waits while the window is full.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.NewWindow(4)
		l, err := n.Host("b", "10.0.0.2").Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := n.Host("a", "10.0.0.1").Dial(t.Context(), "tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := io.WriteString(c, "too long"); n != 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes written, %v", n, err)
		}
		got := make([]byte, 8)
		if n, err := s.Read(got); string(got[:n]) != "too " || err != nil {
			t.Errorf("read %q, %v", got[:n], err)
		}
	})
}
