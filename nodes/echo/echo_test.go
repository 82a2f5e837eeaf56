package echo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"scenario/event"
	"scenario/host/hosttest/memnet"
	"scenario/nodes/echo"
)

const serverAddr = "10.0.0.1:10000"

// models are the ways to serve many clients that serve more than one at a time.
var models = []string{"threads", "loop"}

// world is a server and clients on a network in memory, in the bubble of a test.
type world struct {
	t      *testing.T
	net    *memnet.Net
	server *memnet.Host
	client *memnet.Host
	stop   context.CancelFunc
	served sync.WaitGroup
}

// inWorld runs a test in virtual time against a server with these options, and ends everything after it. Connections hold
// window bytes.
func inWorld(t *testing.T, options string, window int, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: memnet.NewWindow(window)}
		w.server, w.client = w.net.Host("server", "10.0.0.1"), w.net.Host("client", "10.0.0.2")
		r, err := echo.Kind().New([]byte(options))
		if err != nil {
			t.Fatal(err)
		}
		var ctx context.Context
		ctx, w.stop = context.WithCancel(t.Context())
		ready := make(chan struct{})
		w.served.Go(func() {
			if err := r.Serve(ctx, w.server, func() { close(ready) }); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
		<-ready
		test(w)
		w.stop()
		w.served.Wait()
	})
}

// peer is a client's connection.
type peer struct {
	net.Conn
	t *testing.T
}

func (w *world) connect() *peer {
	w.t.Helper()
	c, err := w.client.Dial(w.t.Context(), "tcp", serverAddr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return &peer{c, w.t}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatalf("send %q: %v", text, err)
	}
}

// want receives exactly that.
func (p *peer) want(text string) {
	p.t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(p, got); err != nil || string(got) != text {
		p.t.Fatalf("received %q (%v), want %q", got[:n], err, text)
	}
}

// silent expects that nothing comes for a while.
func (p *peer) silent() {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(time.Second))
	n, err := p.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("%d bytes received (%v), want silence", n, err)
	}
	_ = p.SetReadDeadline(time.Time{})
}

// ended expects the end of the stream.
func (p *peer) ended() {
	p.t.Helper()
	if rest, err := io.ReadAll(p); err != nil || len(rest) > 0 {
		p.t.Fatalf("received %q (%v), want the end", rest, err)
	}
}

// R20: with one connection at a time the second client waits, without knowing why; nothing of it is lost.
func TestOneAtATime(t *testing.T) {
	inWorld(t, `{"model": "one"}`, 100, func(w *world) {
		ann, bob := w.connect(), w.connect()
		bob.send("bob")
		ann.send("ann")
		ann.want("ann")
		bob.silent()
		if n := len(memnet.Told[event.SocketAccept](w.server)); n != 1 {
			t.Errorf("%d connections accepted, want 1", n)
		}
		ann.Close()
		bob.want("bob")
		bob.Close()
	})
}

// R20: with a goroutine for each, and with one event loop, all are served, whoever says nothing.
func TestManyAtATime(t *testing.T) {
	for _, model := range models {
		inWorld(t, fmt.Sprintf(`{"model": %q, "buffer": 16}`, model), 100, func(w *world) {
			const clients = 50
			var peers []*peer
			for range clients {
				peers = append(peers, w.connect())
			}
			var sending sync.WaitGroup
			for i, p := range slices.Backward(peers) {
				if i == 0 {
					continue // the first says nothing
				}
				text := strings.Repeat(fmt.Sprintf("client %d\n", i), 100)
				sending.Go(func() { p.send(text) })
				sending.Go(func() { p.want(text) })
			}
			sending.Wait()
			peers[0].send("hello")
			peers[0].want("hello")
		})
	}
}

// R20, R32: a client that sends and does not read stops being read itself, and is nobody's concern but its own.
func TestClientThatDoesNotRead(t *testing.T) {
	for _, model := range models {
		inWorld(t, fmt.Sprintf(`{"model": %q, "buffer": 16}`, model), 100, func(w *world) {
			greedy, other := w.connect(), w.connect()
			data := bytes.Repeat([]byte("0123456789"), 100)
			_ = greedy.SetWriteDeadline(time.Now().Add(time.Second))
			n, err := greedy.Write(data)
			if !errors.Is(err, os.ErrDeadlineExceeded) || n > 250 {
				t.Errorf("%s: %d bytes were taken (%v): two windows and a buffer have no room for more", model, n, err)
			}
			other.send("hello")
			other.want("hello")
			greedy.want(string(data[:n]))
		})
	}
}

// R21: a message that is longer than the buffer arrives in pieces, all of it and in order.
func TestPieces(t *testing.T) {
	for _, model := range append(models, "one") {
		inWorld(t, fmt.Sprintf(`{"model": %q, "buffer": 16}`, model), 100, func(w *world) {
			p := w.connect()
			p.send("This message is longer than sixteen bytes.")
			p.want("This message is longer than sixteen bytes.")
			var pieces []string
			for _, e := range memnet.Told[event.SocketRecv](w.server) {
				pieces = append(pieces, e.Data)
			}
			if got, want := strings.Join(pieces, "|"), "This message is |longer than sixt|een bytes."; got != want {
				t.Errorf("%s: received %q, want %q", model, got, want)
			}
		})
	}
}

// R21: who has sent everything still receives everything; then the server closes.
func TestHalfClose(t *testing.T) {
	for _, model := range append(models, "one") {
		inWorld(t, fmt.Sprintf(`{"model": %q, "buffer": 16}`, model), 1000, func(w *world) {
			p := w.connect()
			text := strings.Repeat("last words ", 50)
			p.send(text)
			if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			p.want(text)
			p.ended()
			synctest.Wait()
			if end := memnet.Told[event.SocketClose](w.server); len(end) != 1 || end[0].By != "remote" {
				t.Errorf("%s: the end is told as %+v", model, end)
			}
		})
	}
}

// R23: the line q ends a connection, and another word where the file says so.
func TestQuit(t *testing.T) {
	for _, model := range append(models, "one") {
		inWorld(t, fmt.Sprintf(`{"model": %q, "buffer": 2}`, model), 100, func(w *world) {
			p := w.connect()
			p.send("quit\nbye\nq\n")
			p.want("quit\nbye\nq\n")
			p.ended()
			synctest.Wait()
			if end := memnet.Told[event.SocketClose](w.server); len(end) != 1 || end[0].Reason != "the word to quit" {
				t.Errorf("%s: the end is told as %+v", model, end)
			}
		})
	}
	inWorld(t, `{"quit": ""}`, 100, func(w *world) {
		p := w.connect()
		p.send("q\nq\n")
		p.want("q\nq\n")
		p.silent()
	})
}

// R27: a client that breaks its connection off is told, and nobody else sees it.
func TestReset(t *testing.T) {
	for _, model := range append(models, "one") {
		inWorld(t, fmt.Sprintf(`{"model": %q}`, model), 100, func(w *world) {
			p := w.connect()
			p.send("a")
			p.want("a")
			_ = p.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
			p.Close()
			other := w.connect()
			other.send("hello")
			other.want("hello")
			synctest.Wait()
			if failed := memnet.Told[event.SocketError](w.server); len(failed) != 1 || failed[0].Errno != "ECONNRESET" {
				t.Errorf("%s: told are %+v", model, failed)
			}
		})
	}
}

// What takes long holds up one client of a server with threads, and all of an event loop.
func TestPause(t *testing.T) {
	for model, want := range map[string]time.Duration{"threads": time.Second, "loop": 2 * time.Second} {
		inWorld(t, fmt.Sprintf(`{"model": %q, "pause": "1s"}`, model), 100, func(w *world) {
			ann, bob := w.connect(), w.connect()
			ann.send("a")
			synctest.Wait()
			start := time.Now()
			bob.send("b")
			bob.want("b")
			if got := time.Since(start); got != want {
				t.Errorf("%s: bob waits %v, want %v", model, got, want)
			}
			ann.want("a")
			ann.send("a") // and the server stops while it works
		})
	}
}

// R24: each datagram comes back by itself, what is longer than the buffer cut, and one that nobody waits for is lost.
func TestDatagrams(t *testing.T) {
	inWorld(t, `{"udp": true, "buffer": 16}`, 100, func(w *world) {
		c, err := w.client.Dial(w.t.Context(), "udp", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		gone, err := w.client.Dial(w.t.Context(), "udp", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(gone, "who?")
		gone.Close()
		for _, text := range []string{"one", "two", "", "seventeen letters"} {
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"one", "two", "", "seventeen letter"} {
			got := make([]byte, 100)
			if n, err := c.Read(got); err != nil || string(got[:n]) != want {
				t.Errorf("received %q (%v), want %q", got[:n], err, want)
			}
		}
	})
}

// A Unix-domain socket is a path in place of a port.
func TestOnAPath(t *testing.T) {
	inWorld(t, `{"listen": "/run/echo.sock"}`, 100, func(w *world) {
		c, err := w.server.Dial(w.t.Context(), "unix", "/run/echo.sock")
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{c, t}
		defer p.Close()
		p.send("hello")
		p.want("hello")
	})
}

// When the node stops, connections are closed from the oldest to the newest, after the sockets that made them.
func TestStop(t *testing.T) {
	for _, model := range models {
		inWorld(t, fmt.Sprintf(`{"model": %q, "udp": true, "log_calls": false}`, model), 100, func(w *world) {
			var want []string
			want = append(want, "listening ", "datagram ")
			var peers []*peer
			for range 20 {
				p := w.connect()
				peers = append(peers, p)
				want = append(want, "connection "+p.LocalAddr().String())
			}
			synctest.Wait()
			w.stop()
			w.served.Wait()
			var got []string
			for _, e := range memnet.Told[event.SocketClose](w.server) {
				got = append(got, e.Socket+" "+e.Remote)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: closed are\n%q, want\n%q", model, got, want)
			}
			for _, p := range peers {
				p.ended()
			}
		})
	}
}

// A server that cannot have its port says so: the node does not start.
func TestPortInUse(t *testing.T) {
	inWorld(t, `{}`, 100, func(w *world) {
		second, err := echo.Kind().New([]byte(`{"udp": true}`))
		if err != nil {
			t.Fatal(err)
		}
		err = second.Serve(t.Context(), w.server, func() { t.Error("it is ready") })
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("error %v", err)
		}
		taken, err := w.client.ListenPacket(t.Context(), "udp", ":10000")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		err = second.Serve(t.Context(), w.client, func() { t.Error("it is ready") })
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("error %v", err)
		}
		if again, err := w.client.Listen(t.Context(), "tcp", ":10000"); err != nil {
			t.Errorf("its other port is not free again: %v", err)
		} else {
			again.Close()
		}
	})
}

func TestOptions(t *testing.T) {
	for _, good := range []string{`{}`, `{"listen": "10.0.0.1:7"}`, `{"listen": "[fd00::1]:7", "udp": true}`, `{"listen": "/run/echo"}`} {
		if _, err := echo.Kind().New([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		`{"listen": "echo:7"}`:                 `listen: "echo:7" is no IP:port, no :port and no path that begins with /`,
		`{"listen": "/run/echo", "udp": true}`: "udp: datagrams come to an IP:port, and /run/echo is a path",
		`{"model": "fork"}`:                    `model: "fork" is not one, threads or loop`,
		`{"buffer": 0}`:                        "buffer: 0 is not from 1 to 65536",
		`{"backlog": -1, "quit": "q\n"}`:       "backlog: -1 is negative\nquit: \"q\\n\" is more than a word",
		`{"port": 7}`:                          `unknown field "port"`,
		`{"pause": "-1s"}`:                     "duration -1s is negative",
	} {
		if _, err := echo.Kind().New([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", bad, err, want)
		}
	}
}
