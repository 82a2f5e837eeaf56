package netstack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/fabric/link"
	"scenario/fabric/soft"
	"scenario/host"
	"scenario/host/netstack"
)

// bubble is machines in virtual time. What they ask turns for is noted.
type bubble struct {
	*cards
	scheduler *soft.VirtualTime

	mu   sync.Mutex
	keys []string
}

// inBubble runs f in a bubble, with machines that are closed at its end.
func inBubble(t *testing.T, f func(t *testing.T, b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{cards: newCards(), scheduler: soft.NewVirtualTime(nil)}
		defer b.scheduler.Close()
		f(t, b)
	})
}

func (b *bubble) machine(t *testing.T, name string, seed uint64, addrs ...string) *netstack.Machine {
	t.Helper()
	m, _ := b.machineWithCard(t, name, seed, addrs...)
	return m
}

func (b *bubble) machineWithCard(t *testing.T, name string, seed uint64, addrs ...string) (*netstack.Machine, *soft.NIC) {
	t.Helper()
	var m *netstack.Machine
	card := b.card(soft.NICOptions{Scheduler: b.scheduler, Delivered: func() { m.Kick() }})
	m, err := netstack.New(netstack.Options{
		Seed:       seed,
		Clock:      soft.Clock(b.scheduler),
		Interfaces: []netstack.Interface{{Name: "eth0", Link: card, Addresses: prefixes(addrs)}},
		Turn: func(key string) {
			b.scheduler.Turn(name + " " + key)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.keys = append(b.keys, name+" "+key)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, card
}

// between joins two machines by a cable that does to packets, either way, what the settings say.
func (b *bubble) between(settings link.Settings, x, y *soft.NIC) {
	for i, way := range [][2]*soft.NIC{{x, y}, {y, x}} {
		wire := soft.NewWire(soft.WireOptions{Scheduler: b.scheduler, To: way[1]})
		wire.Shape(link.New(settings, uint64(i)))
		way[0].Connect(wire)
	}
}

func (b *bubble) pair(t *testing.T) (first, second *netstack.Machine) {
	return b.machine(t, "a", 1, "10.0.0.1/24", "fd00::1/64"), b.machine(t, "b", 2, "10.0.0.2/24", "fd00::2/64")
}

// echo serves one connection and ends with it.
func echo(t *testing.T, h host.Host, at string) net.Listener {
	t.Helper()
	l, err := h.Listen(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l
}

// A connection is idle for a day between two echoes, and no real time passes. R36
func TestVirtualDay(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a, other := b.pair(t)
		defer a.Close()
		defer other.Close()
		defer echo(t, other.Host(netstack.HostOptions{}), "10.0.0.2:7").Close()
		c, err := a.Host(netstack.HostOptions{}).Dial(t.Context(), "tcp", "10.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		sent, got := bytes.Repeat([]byte("0123456789abcdef"), 1<<16), make([]byte, 1<<20)
		for range 2 {
			go func() { _, _ = c.Write(sent) }()
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("the echo differs, or %v", err)
			}
			time.Sleep(24 * time.Hour)
		}
		if took := time.Since(began); took < 48*time.Hour || took > 48*time.Hour+time.Second {
			t.Errorf("it took %v", took)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A stream fills a long path, and gets through one that loses packets. Both sides have more than 4 MiB for what is under way.
func TestVirtualTransfer(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings link.Settings
		size     int
		within   time.Duration
	}{
		// 10 RTTs until the window is open, then one for each 8 MiB.
		{"100 ms there and back", link.Settings{Delay: 50 * time.Millisecond}, 64 << 20, 3 * time.Second},
		{"packets are lost", link.Settings{Delay: time.Millisecond, Loss: 0.02}, 4 << 20, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				a, x := b.machineWithCard(t, "a", 1, "10.0.0.1/24")
				defer a.Close()
				other, y := b.machineWithCard(t, "b", 2, "10.0.0.2/24")
				defer other.Close()
				b.between(c.settings, x, y)
				l, err := other.Host(netstack.HostOptions{}).Listen(t.Context(), "tcp", ":9")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				began := time.Now()
				go func() {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, c)
					_ = c.Close()
				}()
				conn, err := a.Host(netstack.HostOptions{}).Dial(t.Context(), "tcp", "10.0.0.2:9")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := conn.Write(make([]byte, c.size)); err != nil {
					t.Fatal(err)
				}
				if err := conn.(halfCloser).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("the other end: %v", err)
				}
				took := time.Since(began)
				t.Logf("%d MiB took %v", c.size>>20, took)
				if took > c.within {
					t.Errorf("it took %v, want at most %v", took, c.within)
				}
			})
		})
	}
}

// What waits, waits in virtual time: for an answer that never comes, for a neighbour that is not there, for a deadline.
func TestVirtualPatience(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a, other := b.pair(t)
		defer a.Close()
		defer other.Close()
		h := a.Host(netstack.HostOptions{})
		server, err := other.Host(netstack.HostOptions{}).ListenPacket(t.Context(), "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		udp, err := h.Dial(t.Context(), "udp", "10.0.0.2:53")
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		for _, c := range []struct {
			what   string
			do     func() error
			want   error
			within [2]time.Duration
		}{
			{"read until a deadline", func() error {
				_ = udp.SetReadDeadline(time.Now().Add(time.Hour))
				_, err := udp.Read(make([]byte, 1))
				return err
			}, os.ErrDeadlineExceeded, [2]time.Duration{time.Hour, time.Hour}},
			{"dial where nobody is", func() error {
				_, err := h.Dial(t.Context(), "tcp", "10.0.0.9:80")
				return err
			}, syscall.EHOSTUNREACH, [2]time.Duration{3 * time.Second, 4 * time.Second}},
			{"ping where nobody is", func() error {
				pong, err := h.Ping(t.Context(), host.Echo{To: netip.MustParseAddr("10.0.0.9")})
				if err == nil && pong.Kind == host.DestinationUnreachable {
					err = syscall.EHOSTUNREACH
				}
				return err
			}, syscall.EHOSTUNREACH, [2]time.Duration{0, 4 * time.Second}},
			{"dial with a context that ends", func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := h.Dial(ctx, "tcp", "10.0.0.10:80")
				return err
			}, context.DeadlineExceeded, [2]time.Duration{time.Second, time.Second}},
		} {
			began := time.Now()
			if err := c.do(); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.what, err, c.want)
			}
			if took := time.Since(began).Truncate(time.Millisecond); took < c.within[0] || took > c.within[1] {
				t.Errorf("%s took %v, want %v", c.what, took, c.within)
			}
		}
	})
}

// Goroutines that act at one instant act in an order that repeats. R37
func TestVirtualTimeRepeats(t *testing.T) {
	run := func() (keys []string) {
		inBubble(t, func(t *testing.T, b *bubble) {
			a, other := b.pair(t)
			defer a.Close()
			defer other.Close()
			var clients sync.WaitGroup
			for i := range 10 {
				defer echo(t, other.Host(netstack.HostOptions{}), fmt.Sprintf(":%d", 1000+i)).Close()
				clients.Go(func() {
					c, err := a.Host(netstack.HostOptions{}).Dial(t.Context(), "tcp", fmt.Sprintf("10.0.0.2:%d", 1000+i))
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					for n := range 5 {
						fmt.Fprintf(c, "client %d says %d", i, n)
						if _, err := c.Read(make([]byte, 100)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			clients.Wait()
			b.mu.Lock()
			defer b.mu.Unlock()
			keys = slices.Clone(b.keys)
		})
		return keys
	}
	first := run()
	for range 10 {
		if again := run(); !slices.Equal(first, again) {
			t.Fatalf("the same run differs (-first +again):\n%s", cmp.Diff(first, again))
		}
	}
}

// A machine can be closed whatever it does, and when nobody gives turns any more. Nothing of it is left.
func TestVirtualClose(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a, other := b.pair(t)
		h := a.Host(netstack.HostOptions{})
		l := echo(t, other.Host(netstack.HostOptions{}), ":7")
		c, err := h.Dial(t.Context(), "tcp", "10.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			waiting <- err
		}()
		go func() {
			_, err := h.Dial(t.Context(), "tcp", "10.0.0.9:7")
			waiting <- err
		}()
		gone, err := h.Dial(t.Context(), "tcp", "10.0.0.2:7") // is in TIME_WAIT when the machines are closed
		if err != nil {
			t.Fatal(err)
		}
		_ = gone.Close()
		time.Sleep(time.Second)
		began := time.Now()
		b.scheduler.Turn("nobody else")
		a.Close()
		other.Close()
		for range 2 {
			if err := <-waiting; err == nil {
				t.Error("what waited when its machine was closed had no error")
			}
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("close after the machine's: %v", err)
		}
		_ = l.Close()
		if took := time.Since(began); took > time.Millisecond {
			t.Errorf("to close took %v", took)
		}
	})
}
