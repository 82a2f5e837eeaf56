package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"sync"

	"scenario/host/errno"
	"scenario/internal/carry"
)

// httpProxy serves the clients that speak HTTP.
type httpProxy struct {
	ctx     context.Context
	proxy   *proxy
	taken   chan net.Conn
	clients sync.WaitGroup // that have been taken
	forward *httputil.ReverseProxy
}

func newHTTP(ctx context.Context, p *proxy) *httpProxy {
	h := &httpProxy{ctx: ctx, proxy: p, taken: make(chan net.Conn)}
	h.forward = &httputil.ReverseProxy{
		Rewrite:       unchanged,
		Transport:     roundTripper(func(r *http.Request) (*http.Response, error) { return clientOf(r).transport.RoundTrip(r) }),
		FlushInterval: -1, // what comes slowly is passed on as it comes
		ErrorLog:      h.quiet(),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			failed(w, hostPort(r), err)
		},
	}
	return h
}

// quiet takes what net/http has to say of clients that went away.
func (h *httpProxy) quiet() *log.Logger {
	return slog.NewLogLogger(h.proxy.log.Handler(), slog.LevelDebug)
}

type clientKey struct{}

func clientOf(r *http.Request) *client { return r.Context().Value(clientKey{}).(*client) }

// roundTripper makes a function an [http.RoundTripper].
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve answers clients until ctx ends.
func (h *httpProxy) serve() {
	server := &http.Server{
		Handler:     http.HandlerFunc(h.answer),
		BaseContext: func(net.Listener) context.Context { return h.ctx },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, clientKey{}, conn)
		},
		ErrorLog: h.quiet(),
	}
	stop := context.AfterFunc(h.ctx, func() { server.Close() })
	defer stop()
	_ = server.Serve(takenListener{h}) // ends with ctx alone
	h.clients.Wait()
}

// take has a client's connection served.
func (h *httpProxy) take(c *client) {
	c.transport = &http.Transport{
		DialContext:        h.proxy.dial,
		DisableCompression: true, // requests go out as they came
	}
	h.clients.Add(1)
	c.ended = sync.OnceFunc(h.clients.Done)
	select {
	case h.taken <- c:
	case <-h.ctx.Done():
		c.Close()
	}
}

// takenListener hands the connections that were found to speak HTTP to an [http.Server].
type takenListener struct{ *httpProxy }

func (l takenListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.taken:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l takenListener) Close() error   { return nil }
func (l takenListener) Addr() net.Addr { return &net.TCPAddr{} }

// answer serves one request.
func (h *httpProxy) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		h.connect(w, r)
	case r.URL.Host == "":
		http.Error(w, "this is a proxy, not a page: set it as the HTTP or SOCKS5 proxy of a program", http.StatusBadRequest)
	case r.URL.Scheme != "http":
		http.Error(w, fmt.Sprintf("%s addresses are not fetched by this proxy: ask for them with CONNECT", r.URL.Scheme), http.StatusBadRequest)
	default:
		h.forward.ServeHTTP(w, r)
	}
}

// unchanged undoes what [httputil.ReverseProxy] does to requests on behalf of servers behind it.
func unchanged(r *httputil.ProxyRequest) {
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	for _, key := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := r.In.Header[key]; ok {
			r.Out.Header[key] = values
		}
	}
}

// connect makes the client's connection one to another machine (RFC 9110, section 9.3.6).
func (h *httpProxy) connect(w http.ResponseWriter, r *http.Request) {
	if _, _, err := net.SplitHostPort(r.Host); err != nil {
		http.Error(w, fmt.Sprintf("CONNECT %q: not host:port", r.Host), http.StatusBadRequest)
		return
	}
	remote, err := h.proxy.dial(r.Context(), "tcp", r.Host)
	if err != nil {
		failed(w, r.Host, err)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		remote.Close()
		failed(w, r.Host, err)
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		remote.Close()
		return
	}
	if n := buffered.Reader.Buffered(); n > 0 {
		early, _ := buffered.Reader.Peek(n) // what is buffered cannot fail
		if _, err := remote.Write(early); err != nil {
			remote.Close()
			return
		}
	}
	carry.Relay(h.ctx, conn, remote)
}

// hostPort is whom a request is for.
func hostPort(r *http.Request) string {
	if r.URL.Port() == "" {
		return net.JoinHostPort(r.URL.Hostname(), "80")
	}
	return r.URL.Host
}

// failed tells a person why addr could not be had.
func failed(w http.ResponseWriter, addr string, err error) {
	status := http.StatusBadGateway
	if late(err) {
		status = http.StatusGatewayTimeout
	}
	var lookup *net.DNSError
	text := fmt.Sprintf("%s cannot be reached: %v\n", addr, err)
	if name := errno.Name(err); name != "" && !errors.As(err, &lookup) {
		text += name + ": " + errno.Meaning(err) + "\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that has gone does not want to know
}

// late says whether err is that of a time that ran out.
func late(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errno.Name(err) == "ETIMEDOUT" || errors.As(err, &timeout) && timeout.Timeout()
}
