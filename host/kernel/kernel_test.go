package kernel_test

import (
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"scenario/host/hosttest"
	"scenario/host/kernel"
)

// One machine under two addresses.
func TestConformanceOnLoopback(t *testing.T) {
	hosttest.Run(t, func(t *testing.T) hosttest.Pair {
		return hosttest.Pair{
			A:  kernel.New(kernel.Options{Seed: 1}),
			B:  kernel.New(kernel.Options{Seed: 2}),
			V4: hosttest.Addresses{A: netip.MustParseAddr("127.0.0.1"), B: netip.MustParseAddr("127.0.0.2")},
			V6: loopback6(),
		}
	})
}

// loopback6 is the zero value on a machine without IPv6.
func loopback6() hosttest.Addresses {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return hosttest.Addresses{}
	}
	_ = l.Close()
	return hosttest.Addresses{A: netip.IPv6Loopback(), B: netip.IPv6Loopback()}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := kernel.New(kernel.Options{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want the end of the stream", err)
	}
}
