package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/http2/hpack"

	"scenario/event"
	"scenario/host/hosttest/memnet"
)

// lab is a server at 192.0.2.80 and clients on a network in memory.
type lab struct {
	*memnet.Host
	net *memnet.Net
}

func newLab() *lab {
	n := memnet.New()
	return &lab{n.Host("server", "192.0.2.80"), n}
}

// told returns the events of a kind in the order in which they were told.
func told[T event.Event](l *lab) []T {
	return memnet.Told[T](l.Host)
}

// serve plays the role with options until the test, or the returned function, ends it.
func (l *lab) serve(t *testing.T, options string) (r *server, stop func()) {
	t.Helper()
	made, err := Kind(testSites()).New(json.RawMessage(options))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- made.Serve(ctx, l, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return made.(*server), stop
}

func (l *lab) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	c, err := l.net.Host(from, from).Dial(t.Context(), "tcp", "192.0.2.80:80")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk sends bytes over a connection of its own and returns everything that comes back until the server closes.
func (l *lab) talk(t *testing.T, request string) string {
	t.Helper()
	c := l.dial(t, "198.51.100.7")
	defer c.Close()
	go func() {
		// A server may close before it has read everything.
		_, _ = io.WriteString(c, request)
	}()
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// client is one connection of a test that speaks HTTP by hand.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (l *lab) connect(t *testing.T, from string) *client {
	c := l.dial(t, from)
	t.Cleanup(func() { _ = c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(request string) {
	c.t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads one response to a GET and returns its status and body.
func (c *client) receive() (int, string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// ended waits until the server closes the connection and returns how long that took.
func (c *client) ended() time.Duration {
	c.t.Helper()
	begin := time.Now()
	if rest, err := io.ReadAll(c.in); err != nil && !errors.Is(err, net.ErrClosed) || len(rest) > 0 {
		c.t.Fatalf("the connection ends with %q, %v", rest, err)
	}
	return time.Since(begin)
}

// testSites are the sites that tests serve.
func testSites() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"shop/index.html":      file("<h1>Shop</h1>"),
		"shop/style.css":       file("h1 {}"),
		"shop/news/index.html": file("<h1>News</h1>"),
		"shop/404.html":        file("<h1>No such page</h1>"),
		"shop/hello.tmpl.html": file(`{{.SetCookie "visit" .Visit "Path=/" "Max-Age=60"}}<p>{{.Method}} {{.URL}} {{.Host}} ` +
			`{{.RemoteAddr}} visit {{.Visit}} of {{.Served}} {{.Form.Get "name"}} {{.Cookies.theme}}</p>`),
		"shop/broken.tmpl.html":  file(`{{.SetCookie "a b" 1}}`),
		"shop/forget.tmpl.html":  file(`{{.DeleteCookie "visit"}}{{.Random}}`),
		"shop/pixel.gif":         file("GIF89a\xff\x00"),
		"other/index.html":       file("<h1>Other</h1>"),
		"other/site.json":        file(`{"paths": {"/*": {"headers": {"X-Site": "other"}}}}`),
		"address/site.json":      file(`{"paths": {"/*": {"echo": "address"}}}`),
		"wrong/site.json":        file(`{"paths": {"no-slash": {}}}`),
		"wrong-page/a.tmpl.html": file(`{{.Oops`),
	}
}

// headers is a field block of a GET with a Priority field.
func headers(path, priority string) []byte {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}, {"priority", priority}} {
		// A buffer takes everything.
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return block.Bytes()
}
