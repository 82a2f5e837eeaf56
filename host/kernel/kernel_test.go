package kernel_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/host"
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

func TestFilesGoToTheRunsFolder(t *testing.T) {
	folder := make(map[string]string)
	full := errors.New("no space left")
	h := kernel.New(kernel.Options{WriteFile: func(name string, data []byte) error {
		if name == "big" {
			return full
		}
		folder[name] = string(data)
		return nil
	}})
	for _, data := range []string{"first", "second"} {
		if err := h.WriteFile("jar/cookies.json", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]string{"jar/cookies.json": "second"}, folder); diff != "" {
		t.Errorf("the folder differs (-want +got):\n%s", diff)
	}
	if err := h.WriteFile("big", nil); !errors.Is(err, full) {
		t.Errorf("write that fails: %v", err)
	}
	if _, err := h.ReadFile("big"); err == nil {
		t.Error("a file that could not be written is there")
	}
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

func TestNameServersAndLog(t *testing.T) {
	servers := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.53:53")}
	log := slog.New(slog.DiscardHandler)
	h := kernel.New(kernel.Options{Log: log, NameServers: servers})
	if got := host.NameServers(h); len(got) != 1 || got[0] != servers[0] {
		t.Errorf("name servers %v, want %v", got, servers)
	}
	if h.Log() != log {
		t.Error("the log is another one")
	}
	if kernel.New(kernel.Options{}).Log() == nil {
		t.Error("no log without one in the options")
	}
}
