package netstack_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/host/netstack"
)

// Each machine has files of its own, which its roles share.
func TestUnixSocketsAreOfAMachine(t *testing.T) {
	cards := newCards()
	a, b := cards.machine(t, 1, "10.0.0.1/24"), cards.machine(t, 2, "10.0.0.2/24")
	first, second, other := a.Host(netstack.HostOptions{}), a.Host(netstack.HostOptions{}), b.Host(netstack.HostOptions{})
	l, err := first.Listen(t.Context(), "unix", "/run/chat.sock")
	if err != nil {
		t.Fatal(err)
	}
	c, err := second.Dial(t.Context(), "unix", "/run/chat.sock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Dial(t.Context(), "unix", "/run/chat.sock"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("dial on another machine: %v", err)
	}
	a.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept on a machine that was closed: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read on a machine that was closed: %v", err)
	}
	if _, err := first.Listen(t.Context(), "unix", "/run/other.sock"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen on a machine that was closed: %v", err)
	}
	if _, err := first.Dial(t.Context(), "unix", "/run/chat.sock"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial on a machine that was closed: %v", err)
	}
}

// Only /run and /tmp can be written to, as in the container of a node.
func TestFilesOfANode(t *testing.T) {
	h := newCards().machine(t, 1, "10.0.0.1/24").Host(netstack.HostOptions{})
	for path, want := range map[string]error{
		"/run/a": nil, "/tmp/b": nil, "run/c": nil, "/d": syscall.EROFS, "e": syscall.EROFS,
		"/var/run/f": syscall.ENOENT, "/run/../g": syscall.EROFS,
	} {
		if err := h.Create(path, 0o600); !errors.Is(err, want) {
			t.Errorf("create %s: %v, want %v", path, err, want)
		}
		if l, err := h.Listen(t.Context(), "unix", path+".sock"); !errors.Is(err, want) {
			t.Errorf("listen at %s: %v, want %v", path, err, want)
		} else if err == nil {
			defer l.Close()
		}
	}
	for what, got := range map[string]error{
		"chmod /run": h.Chmod("/run", 0o777), "chmod /": h.Chmod("/", 0o777), "remove /": h.Remove("/"), "remove /run": h.Remove("/run"),
	} {
		if got == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if root, err := h.Lstat("/"); err != nil || !root.IsDir() || root.Name() != "/" {
		t.Errorf("lstat /: %v, %v", root, err)
	}
}

// Many clients of one server act at the same instants, some of them write more than there is room for, and the server sees
// the same each time. R36
func TestVirtualUnixSocketsRepeat(t *testing.T) {
	var first []string
	for range 5 {
		got := unixRun(t)
		if first == nil {
			first = got
		}
		if difference := cmp.Diff(first, got); difference != "" {
			t.Fatalf("runs differ: %s", difference)
		}
	}
	if len(first) < 30 {
		t.Errorf("the server saw %d things", len(first))
	}
}

// unixRun returns what a server on a Unix socket reads.
func unixRun(t *testing.T) (seen []string) {
	const clients = 8
	inBubble(t, func(t *testing.T, b *bubble) {
		m := b.machine(t, "a", 1, "10.0.0.1/24")
		defer m.Close()
		h := m.Host(netstack.HostOptions{})
		l, err := h.Listen(t.Context(), "unix", "/run/chat.sock")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		see := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf(format, args...))
		}
		var all sync.WaitGroup
		for n := range clients {
			all.Go(func() {
				h.Turn(fmt.Sprint("client ", n))
				c, err := h.Dial(t.Context(), "unix", "/run/chat.sock")
				if err != nil {
					t.Error(err)
					return
				}
				for _, size := range []int{10 + n, 20, 300000} {
					_, _ = c.Write(make([]byte, size))
					time.Sleep(time.Second)
				}
				_ = c.Close()
			})
		}
		for range clients {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				defer c.Close()
				var name int
				for buffer := make([]byte, 100000); ; {
					n, err := c.Read(buffer)
					if name == 0 {
						name = n
					}
					see("%d: %d %v", name, n, err)
					if err != nil {
						return
					}
				}
			})
		}
		all.Wait()
	})
	return seen
}

// A server that does not read holds up who writes, and takes no turn of anybody else's; a day passes at once. R36
func TestVirtualUnixDay(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		m := b.machine(t, "a", 1, "10.0.0.1/24")
		defer m.Close()
		h := m.Host(netstack.HostOptions{})
		l, err := h.Listen(t.Context(), "unix", "/run/chat.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := h.Dial(t.Context(), "unix", "/run/chat.sock")
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetWriteDeadline(time.Now().Add(24 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		n, err := c.Write(make([]byte, 1<<20))
		if took := time.Since(began).Round(time.Second); !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || took != 24*time.Hour {
			t.Errorf("wrote %d bytes in %v: %v", n, took, err)
		}
		_ = c.Close()
		if got, err := io.ReadAll(s); err != nil || len(got) != n {
			t.Errorf("read %d bytes of %d: %v", len(got), n, err)
		}
		if !slices.ContainsFunc(b.keys, func(key string) bool { return key == "a dial unix /run/chat.sock" }) {
			t.Errorf("turns %q", b.keys)
		}
	})
}
