package kernel_test

import (
	"net"
	"net/netip"
	"os"
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

// R25
func TestUnixSockets(t *testing.T) {
	hosttest.RunUnix(t, func(t *testing.T) hosttest.UnixHost {
		folder := shortFolder(t)
		return hosttest.UnixHost{Host: kernel.New(kernel.Options{}), Folder: folder, Privileged: privileged(t, folder)}
	})
}

// shortFolder is a folder whose path leaves room for names of sockets, as that of t.TempDir does not.
func shortFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// privileged says that modes do not bind this process (capabilities(7), CAP_DAC_OVERRIDE).
func privileged(t *testing.T, folder string) bool {
	t.Helper()
	closed := filepath.Join(folder, "closed-to-all")
	if err := os.WriteFile(closed, nil, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(closed)
	return os.WriteFile(closed, nil, 0) == nil
}
