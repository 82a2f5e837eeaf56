package browser

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
	"scenario/host/hosttest/memnet"
	"scenario/pki"
)

// world is a network in memory: servers by address, names, and one machine with a browser, of which it is the host.Host.
type world struct {
	*memnet.Host
	t       testing.TB
	net     *memnet.Net
	names   map[string][]netip.Addr
	lookErr map[string]error
	servers map[string]handler // by IP:port
	files   map[string][]byte
	sites   map[string]http.HandlerFunc // by name: net/http serves them on ports 80 and 443
	ca      *pki.Authority              // of their certificates

	resolver  Resolver                // nil: the world itself
	listeners map[string]net.Listener // by IP:port, while the browser runs

	mu     sync.Mutex
	asked  []string // names, each time the cache did not have them
	cached map[string]bool
	open   map[string]int // connections by server
	most   map[string]int // at a time
}

// handler answers a request by writing to the connection; false closes it.
type handler func(w net.Conn, r *http.Request) bool

var shopAddr = netip.MustParseAddr("198.51.100.10")

func newWorld(t testing.TB) *world {
	n := memnet.New()
	return &world{
		Host: n.Host("laptop", "192.168.1.10"), t: t, net: n,
		names: map[string][]netip.Addr{"shop.example": {shopAddr}}, lookErr: map[string]error{},
		servers: map[string]handler{}, files: map[string][]byte{}, listeners: map[string]net.Listener{},
		cached: map[string]bool{}, open: map[string]int{}, most: map[string]int{},
	}
}

// serve gives name an address of its own and a server of these pages on port 80.
func (w *world) serve(name string, pages map[string]handler) {
	addr := shopAddr
	if name != "shop.example" {
		addr = netip.AddrFrom4([4]byte{198, 51, 100, byte(20 + len(w.names))})
		w.names[name] = []netip.Addr{addr}
	}
	w.servers[addr.String()+":80"] = func(c net.Conn, r *http.Request) bool {
		if page, ok := pages[r.URL.RequestURI()]; ok {
			return page(c, r)
		}
		return status(404, "Content-Type: text/html", "<p>nothing here</p>")(c, r)
	}
}

// status answers with header fields, one a line, and a body.
func status(code int, fields, body string) handler {
	return func(c net.Conn, _ *http.Request) bool {
		if fields != "" {
			fields = strings.TrimRight(strings.ReplaceAll(fields, "\n", "\r\n"), "\r\n") + "\r\n"
		}
		_, err := fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s", code, http.StatusText(code), fields, len(body), body)
		return err == nil
	}
}

func markup(body string) handler {
	return status(200, "Content-Type: text/html; charset=utf-8", body)
}
func asset(body string) handler { return status(200, "", body) }

// after answers like next, later.
func after(d time.Duration, next handler) handler {
	return func(c net.Conn, r *http.Request) bool {
		time.Sleep(d)
		return next(c, r)
	}
}

// slowly answers with a page of which a piece comes every so often.
func slowly(every time.Duration, pieces ...string) handler {
	return func(c net.Conn, r *http.Request) bool {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n", len(strings.Join(pieces, "")))
		for i, piece := range pieces {
			if i > 0 {
				time.Sleep(every)
			}
			if _, err := c.Write([]byte(piece)); err != nil {
				return false
			}
		}
		return true
	}
}

// listen has every server serve its pages until its listener is shut.
func (w *world) listen(t *testing.T) {
	for addr, serve := range w.servers {
		ip := netip.MustParseAddrPort(addr).Addr().String()
		l, err := w.net.Host(ip, ip).Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		w.listeners[addr] = l
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				w.count(addr, 1)
				go func() {
					defer w.count(addr, -1)
					defer c.Close()
					in := bufio.NewReader(c)
					for {
						r, err := http.ReadRequest(in)
						if err != nil || !serve(c, r) {
							return
						}
					}
				}()
			}
		}()
	}
}

// shut has the server at addr accept nothing more; connections that are there stay.
func (w *world) shut(addr string) {
	if err := w.listeners[addr].Close(); err != nil {
		w.t.Error(err)
	}
	delete(w.listeners, addr)
}

// count keeps how many connections a server has.
func (w *world) count(addr string, change int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[addr] += change
	w.most[addr] = max(w.most[addr], w.open[addr])
}

func (w *world) ReadFile(name string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text, ok := w.files[name]; ok {
		return text, nil
	}
	return nil, fs.ErrNotExist
}

func (w *world) WriteFile(name string, text []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[name] = text
	return nil
}

// Lookup is the resolver: 10 ms for what it does not have cached.
func (w *world) Lookup(ctx context.Context, name string) (stub.Answer, error) {
	w.mu.Lock()
	addrs, cached := w.names[name], w.cached[name]
	if !cached {
		w.asked = append(w.asked, name)
	}
	w.mu.Unlock()
	if !cached {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return stub.Answer{}, ctx.Err()
		}
	}
	if err := w.lookErr[name]; err != nil {
		return stub.Answer{}, err
	}
	if addrs == nil {
		return stub.Answer{}, &stub.Error{Name: name, RCode: "NXDOMAIN", NotFound: true, Err: errors.New("no such name")}
	}
	w.mu.Lock()
	w.cached[name] = true
	w.mu.Unlock()
	return stub.Answer{Addrs: addrs, TTL: time.Minute, Cached: cached}, nil
}

// run runs a browser with these options in virtual time while do uses it, and checks that nothing is left afterwards.
func (w *world) run(options string, do func(b *running)) {
	w.t.Helper()
	synctest.Test(w.t.(*testing.T), func(t *testing.T) {
		b, err := newBrowser(json.RawMessage(options), func(host.Host) Resolver {
			if w.resolver != nil {
				return w.resolver
			}
			return w
		})
		if err != nil {
			t.Fatal(err)
		}
		w.listen(t)
		closeSites := w.openSites()
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- b.Serve(ctx, w, func() { close(ready) }) }()
		<-ready
		do(&running{t: t, b: b, w: w})
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		for addr := range w.listeners {
			w.shut(addr)
		}
		closeSites()
		time.Sleep(2 * time.Hour) // servers that still think see the end
		w.mu.Lock()
		defer w.mu.Unlock()
		for addr, n := range w.open {
			if n != 0 {
				t.Errorf("%d connections to %s are open", n, addr)
			}
		}
	})
}

// site has net/http serve a name, with and without TLS.
func (w *world) site(name string, h http.HandlerFunc) {
	if w.sites == nil {
		ca, err := pki.NewAuthority(1, "Test CA")
		if err != nil {
			w.t.Fatal(err)
		}
		roots, err := pki.Roots(ca.PEM())
		if err != nil {
			w.t.Fatal(err)
		}
		w.ca, w.Host.Authorities, w.sites = ca, roots, make(map[string]http.HandlerFunc)
	}
	if w.names[name] == nil {
		w.names[name] = []netip.Addr{netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + len(w.names))})}
	}
	w.sites[name] = h
}

// tlsOf is the TLS of the server of a name.
func (w *world) tlsOf(name string) *tls.Config {
	issued, err := w.ca.Issue(pki.Request{Names: []string{name}})
	if err != nil {
		w.t.Fatal(err)
	}
	certificate, err := issued.TLS()
	if err != nil {
		w.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
}

// openSites starts the sites and returns what ends them.
func (w *world) openSites() (end func()) {
	var servers []*http.Server
	var ended sync.WaitGroup
	for name, h := range w.sites {
		ip := w.names[name][0].String()
		for _, port := range []string{"80", "443"} {
			l, err := w.net.Host(ip, ip).Listen(context.Background(), "tcp", net.JoinHostPort(ip, port))
			if err != nil {
				w.t.Fatal(err)
			}
			server := &http.Server{
				Handler: h, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: w.tlsOf(name),
			}
			servers = append(servers, server)
			ended.Go(func() {
				if port == "80" {
					server.Serve(l) // until it is closed
				} else {
					server.ServeTLS(l, "", "")
				}
			})
		}
	}
	return func() {
		for _, s := range servers {
			s.Close()
		}
		ended.Wait()
	}
}

// writePage answers with a page.
func writePage(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, body)
}

// files answers with what stands at a path: of type by its name.
func files(pages map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		kind := "text/html; charset=utf-8"
		for suffix, of := range map[string]string{".css": "text/css", ".js": "text/javascript", ".png": "image/png", ".woff2": "font/woff2", ".txt": "text/plain"} {
			if strings.HasSuffix(r.URL.Path, suffix) {
				kind = of
			}
		}
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, body)
	}
}

// running is a browser that runs.
type running struct {
	t     *testing.T
	b     *Browser
	w     *world
	steps int
}

// do carries out an action in a step of its own.
func (r *running) do(action, args string) (any, error) {
	r.steps++
	ctx := event.WithTrace(r.t.Context(), fmt.Sprintf("step/%d", r.steps), "")
	return r.b.Do(ctx, r.w, action, json.RawMessage(args))
}

func (r *running) browse(url string) *Result {
	r.t.Helper()
	args, _ := json.Marshal(map[string]string{"url": url}) // a string always marshals
	return result[*Result](r, "browse", string(args))
}

// result carries out an action that must work.
func result[T any](r *running, action, args string) T {
	r.t.Helper()
	got, err := r.do(action, args)
	if err != nil {
		r.t.Fatalf("%s %s: %v", action, args, err)
	}
	return got.(T)
}

// all returns the events of one type.
func all[T event.Event](w *world) []T { return memnet.Told[T](w.Host) }

// fetched returns the request for a path, of the page's own origin or with its host.
func fetched(t *testing.T, r *Result, url string) *Fetch {
	t.Helper()
	i := slices.IndexFunc(r.Requests, func(f *Fetch) bool { return f.URL == url })
	if i < 0 {
		t.Fatalf("no request for %s among %s", url, urls(r))
	}
	return r.Requests[i]
}

func urls(r *Result) []string {
	var list []string
	for _, f := range r.Requests {
		list = append(list, f.URL)
	}
	return list
}

// near says that a virtual time in seconds is so many milliseconds.
func near(s float64, ms int) bool { return cmp.Compare(int(s*1000+0.5), ms) == 0 }
