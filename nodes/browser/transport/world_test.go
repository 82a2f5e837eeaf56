package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"scenario/dnsd/stub"
	"scenario/host/hosttest/memnet"
	"scenario/nodes/browser/weburl"
	"scenario/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a network in memory: servers, names, and one machine with a transport.
type world struct {
	t testing.TB
	*memnet.Host
	net     *memnet.Net
	names   map[string][]netip.Addr
	ca      *pki.Authority
	closers []func()

	mu    sync.Mutex
	asked []string
}

const serverIP = "198.51.100.10"

// ca makes an authority; keys take long, so a test makes one.
func authority(t testing.TB, seed uint64, name string) (*pki.Authority, *x509.CertPool) {
	t.Helper()
	ca, err := pki.NewAuthority(seed, name)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := pki.Roots(ca.PEM())
	if err != nil {
		t.Fatal(err)
	}
	return ca, roots
}

func newWorld(t testing.TB) *world {
	n := memnet.New()
	w := &world{
		t: t, net: n, Host: n.Host("laptop", "192.168.1.10", "2001:db8::10"),
		names: map[string][]netip.Addr{"shop.example": {netip.MustParseAddr(serverIP)}},
	}
	w.ca, w.Host.Authorities = authority(t, 1, "Test CA")
	return w
}

// Lookup takes 10 ms for every name.
func (w *world) Lookup(ctx context.Context, name string) (stub.Answer, error) {
	w.mu.Lock()
	w.asked = append(w.asked, name)
	addrs := w.names[name]
	w.mu.Unlock()
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return stub.Answer{}, ctx.Err()
	}
	if addrs == nil {
		return stub.Answer{}, &stub.Error{Name: name, RCode: "NXDOMAIN", NotFound: true, Err: errors.New("no such name")}
	}
	return stub.Answer{Addrs: addrs}, nil
}

// listen listens on an address, for whose host it makes one.
func (w *world) listen(addr string) net.Listener {
	w.t.Helper()
	ip := netip.MustParseAddrPort(addr).Addr().String()
	l, err := w.net.Host(ip, ip).Listen(context.Background(), "tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// bytes answers every request on addr with these bytes and closes the connection.
func (w *world) bytes(addr, response string) {
	l := w.listen(addr)
	w.closers = append(w.closers, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, response) // the client may have gone
				}
			}()
		}
	}()
}

// certificate is one from an authority.
func certificate(t testing.TB, ca *pki.Authority, r pki.Request) tls.Certificate {
	t.Helper()
	issued, err := ca.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := issued.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// serve has net/http serve on addr; config nil: without TLS.
func (w *world) serve(addr string, config *tls.Config, h http.HandlerFunc) *http.Server {
	l := w.listen(addr)
	server := &http.Server{Handler: h, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
	if config != nil && !slices.Contains(config.NextProtos, "h2") { // else net/http adds it
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if config == nil {
			server.Serve(l) // until it is closed
		} else {
			server.ServeTLS(l, "", "")
		}
	}()
	w.closers = append(w.closers, func() { server.Close(); <-ended })
	return server
}

// secure is a server's TLS with a certificate for names.
func (w *world) secure(names ...string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate(w.t, w.ca, pki.Request{Names: names})}, NextProtos: []string{"h2", "http/1.1"},
	}
}

// end closes a transport and the servers.
func (w *world) end(t *Transport) {
	t.Close("the test ends")
	for _, closer := range w.closers {
		closer()
	}
	w.closers = nil
}

// run runs a test in virtual time.
func run(t *testing.T, o Options, do func(t *testing.T, w *world, tr *Transport)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tr := New(w, w, o)
		do(t, w, tr)
		w.end(tr)
		time.Sleep(10 * time.Minute) // what servers and TLS still wait for
	})
}

func address(t testing.TB, text string) *weburl.URL {
	t.Helper()
	u, err := weburl.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// result is what a request came to.
type result struct {
	lease *Lease
	raw   Raw
	place *Place
	resp  *Response
	head  Head
	body  string
	err   error
}

// get makes a request and reads its response.
func get(ctx context.Context, t testing.TB, tr *Transport, url string, r Request) result {
	return fetch(ctx, t, tr, tr.Reserve(address(t, url), "", 3), r)
}

func fetch(ctx context.Context, t testing.TB, tr *Transport, p *Place, r Request) (got result) {
	got.place = p
	if got.lease, got.err = tr.Acquire(ctx, p); got.err != nil {
		return got
	}
	defer func() {
		raw := got.lease.Raw()
		got.raw = Raw{bytes.Clone(raw.Head), bytes.Clone(raw.Body), raw.Total}
		got.lease.Release()
	}()
	if r.Method == "" {
		r.Method = "GET"
	}
	r.Sending = func(h Head) { got.head = h }
	if got.resp, got.err = got.lease.Send(ctx, &r); got.err != nil {
		return got
	}
	var text []byte
	text, got.err = io.ReadAll(got.resp.Body)
	got.body = string(text)
	return got
}

func (r result) want(t testing.TB, status int, body string) {
	t.Helper()
	switch {
	case r.err != nil:
		t.Errorf("error %v", r.err)
	case r.resp.Status != status || r.body != body:
		t.Errorf("%d %.60q, want %d %.60q", r.resp.Status, r.body, status, body)
	}
}

func (r result) fails(t testing.TB, phase, text string) {
	t.Helper()
	var known *Error
	if !errors.As(r.err, &known) || known.Phase != phase || !strings.Contains(r.err.Error(), text) {
		t.Errorf("error %v (%+v), want one of phase %s with %q", r.err, known, phase, text)
	}
}
