package dnsd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"scenario/dnsd/secure"
	"scenario/host"
)

const (
	// requestTimeout is how long a request may take to come, and its response to be made and taken.
	requestTimeout = 15 * time.Second
	// maxHeader bounds the head of a request, in bytes: a query in its URL is as long as a message at most.
	maxHeader = 128 << 10
	// maxStreams bounds the requests of one HTTP/2 connection that are answered at once.
	maxStreams = 100
	// maxKey bounds what of a query tells it from others of the same instant, in bytes.
	maxKey = 512
)

// serveHTTPS answers queries over HTTPS (RFC 8484), HTTP/2 and HTTP/1.1.
func (s *Server) serveHTTPS(ctx context.Context, listener net.Listener, config *tls.Config, conns *errgroup.Group) error {
	ready := &secured{conns: make(chan net.Conn), ended: make(chan struct{}), addr: listener.Addr()}
	server := &http.Server{
		Handler: http.HandlerFunc(s.handle), ReadTimeout: requestTimeout, WriteTimeout: 2 * requestTimeout, IdleTimeout: secureIdleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	var serving errgroup.Group
	serving.Go(func() error { return server.Serve(ready) })
	err := s.accept(ctx, listener, func(conn net.Conn) {
		ctx := s.beginConn(ctx)
		conns.Go(func() error {
			s.handOver(ctx, conn, config, ready)
			return nil
		})
	})
	closing := server.Close()
	if end := serving.Wait(); !errors.Is(end, http.ErrServerClosed) {
		closing = errors.Join(closing, end)
	}
	return errors.Join(err, closing)
}

// handOver gives a connection to the HTTP server, once it is encrypted, and waits for its end.
func (s *Server) handOver(ctx context.Context, conn net.Conn, config *tls.Config, to *secured) {
	encrypted, meter, err := s.secure(ctx, conn, config)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() {
		meter.Because("the server ends")
		encrypted.Close()
	})()
	select {
	case to.conns <- encrypted:
		<-meter.Closed()
	case <-ctx.Done():
		encrypted.Close()
	}
}

// secured is a listener of connections that are encrypted already. net/http speaks HTTP/2 on those that agreed on it.
type secured struct {
	conns chan net.Conn
	ended chan struct{}
	addr  net.Addr
}

// Accept implements [net.Listener].
func (l *secured) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.ended:
		return nil, http.ErrServerClosed
	}
}

// Close implements [net.Listener]; package http calls it once.
func (l *secured) Close() error {
	close(l.ended)
	return nil
}

// Addr implements [net.Listener].
func (l *secured) Addr() net.Addr { return l.addr }

// handle answers one request (RFC 8484, section 4).
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	query, refusal := readQuery(r)
	if refusal != nil {
		if refusal.code == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, POST")
		}
		http.Error(w, refusal.why, refusal.code)
		return
	}
	ctx := r.Context()
	host.Turn(s.host, fmt.Sprintf("https %s %x", r.RemoteAddr, query[:min(len(query), maxKey)])) // several may have come at once
	local, _ := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	from := peer{transport: transportHTTPS, remote: r.RemoteAddr}
	if local != nil {
		from.local = local.String()
	}
	response, ttl := s.answerTTL(s.begin(ctx), from, query)
	if response == nil { // to be left without an answer
		select {
		case <-ctx.Done():
		case <-time.After(requestTimeout):
		}
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", secure.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(response)))
	w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", ttl)) // section 5.1
	_, _ = w.Write(response)                                        // who has gone needs none
}

// refusal is why a request is none that can be answered.
type refusal struct {
	code int // the HTTP status
	why  string
}

// readQuery returns the message that a request brings.
func readQuery(r *http.Request) ([]byte, *refusal) {
	if r.URL.Path != secure.Path {
		return nil, &refusal{http.StatusNotFound, "DNS queries go to " + secure.Path}
	}
	var query []byte
	var refused *refusal
	switch r.Method {
	case http.MethodGet:
		query, refused = queryOfURL(r)
	case http.MethodPost:
		query, refused = queryOfBody(r)
	default:
		return nil, &refusal{http.StatusMethodNotAllowed, "DNS queries come by GET or POST"}
	}
	switch {
	case refused != nil:
		return nil, refused
	case len(query) > dns.MaxMsgSize:
		return nil, &refusal{http.StatusRequestEntityTooLarge, "no DNS message is longer than 65535 bytes"}
	case isNoQuery(query):
		return nil, &refusal{http.StatusBadRequest, "this is no DNS query"}
	}
	return query, nil
}

// queryOfURL reads the variable dns (RFC 8484, section 6).
func queryOfURL(r *http.Request) ([]byte, *refusal) {
	text := r.URL.Query().Get("dns")
	if text == "" {
		return nil, &refusal{http.StatusBadRequest, "the variable dns is missing: a DNS query in base64url, without padding"}
	}
	query, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "the variable dns is not base64url without padding (RFC 4648, section 5)"}
	}
	return query, nil
}

func queryOfBody(r *http.Request) ([]byte, *refusal) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != secure.MediaType {
		return nil, &refusal{http.StatusUnsupportedMediaType, "a DNS query is of the type " + secure.MediaType}
	}
	query, err := io.ReadAll(io.LimitReader(r.Body, dns.MaxMsgSize+1))
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "the body did not come in full"}
	}
	return query, nil
}
