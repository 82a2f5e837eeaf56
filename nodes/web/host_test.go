package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"

	"scenario/event"
	"scenario/host"
)

// testHost is a machine in memory: connections are pipes with addresses, events are kept.
type testHost struct {
	refuse error // of Listen

	mu        sync.Mutex
	records   []event.Record
	listeners map[string]*testListener
	port      uint16
}

var _ host.Host = (*testHost)(nil)

func newTestHost() *testHost {
	return &testHost{listeners: make(map[string]*testListener), port: 40000}
}

func (h *testHost) Record(r event.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
}

func (h *testHost) Log() *slog.Logger                     { return event.NewLogger("server", h) }
func (h *testHost) Rand() rand.Source                     { return rand.NewPCG(1, 2) }
func (h *testHost) Interfaces() ([]host.Interface, error) { return nil, nil }
func (h *testHost) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, syscall.ENETUNREACH
}
func (h *testHost) ListenPacket(context.Context, string, string) (net.PacketConn, error) {
	return nil, syscall.EAFNOSUPPORT
}

func (h *testHost) Listen(_ context.Context, network, address string) (net.Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: h.refuse}
	}
	if h.listeners[address] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
	}
	full := address
	if strings.HasPrefix(full, ":") {
		full = "192.0.2.80" + full
	}
	l := &testListener{
		address: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(full)),
		conns:   make(chan net.Conn), closed: make(chan struct{}),
	}
	h.listeners[address] = l
	return l, nil
}

// dial connects from an address to the only listener, or the one at :80.
func (h *testHost) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	h.mu.Lock()
	l := h.listeners[":80"]
	h.port++
	client := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), h.port))
	h.mu.Unlock()
	ours, theirs := net.Pipe()
	select {
	case l.conns <- &testConn{Conn: theirs, local: l.address, remote: client}:
	case <-l.closed:
		t.Fatal("the server does not listen")
	}
	return ours
}

// events returns the records of a kind, typed, in the order in which they were told.
func events[T event.Event](h *testHost) []T {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []T
	for _, r := range h.records {
		if e, ok := event.As[T](r); ok {
			found = append(found, e)
		}
	}
	return found
}

type testListener struct {
	address net.Addr
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *testListener) Addr() net.Addr { return l.address }
func (l *testListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *testListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

type testConn struct {
	net.Conn
	local, remote net.Addr
}

func (c *testConn) LocalAddr() net.Addr  { return c.local }
func (c *testConn) RemoteAddr() net.Addr { return c.remote }

// site is what tests serve.
func testSites() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"shop/index.html":        file("<h1>Shop</h1>"),
		"shop/style.css":         file("h1 {}"),
		"shop/news/index.html":   file("<h1>News</h1>"),
		"shop/404.html":          file("<h1>No such page</h1>"),
		"shop/hello.tmpl.html":   file(`{{.SetCookie "visit" .Visit "Path=/" "Max-Age=60"}}<p>{{.Method}} {{.URL}} {{.Host}} {{.RemoteAddr}} visit {{.Visit}} of {{.Served}} {{.Form.Get "name"}} {{.Cookies.theme}}</p>`),
		"shop/broken.tmpl.html":  file(`{{.SetCookie "a b" 1}}`),
		"shop/forget.tmpl.html":  file(`{{.DeleteCookie "visit"}}{{.Random}}`),
		"other/index.html":       file("<h1>Other</h1>"),
		"other/site.json":        file(`{"paths": {"/*": {"headers": {"X-Site": "other"}}}}`),
		"address/site.json":      file(`{"paths": {"/*": {"echo_address": true}}}`),
		"wrong/site.json":        file(`{"paths": {"no-slash": {}}}`),
		"wrong-page/a.tmpl.html": file(`{{.Oops`),
	}
}

// start serves options until the test, or the returned function, ends it.
func start(t *testing.T, h *testHost, options string) (r *server, stop func()) {
	t.Helper()
	made, err := Kind(testSites()).New(json.RawMessage(options))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- made.Serve(ctx, h, func() { close(ready) }) }()
	<-ready
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return made.(*server), stop
}

// talk sends bytes over a connection of its own and returns everything that comes back until the server closes.
func talk(t *testing.T, h *testHost, request string) string {
	t.Helper()
	c := h.dial(t, "198.51.100.7")
	defer c.Close()
	go func() {
		// A server may close before it has read everything.
		_, _ = io.WriteString(c, request)
	}()
	answer, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	return string(answer)
}
