package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxBody     = 1 << 20 // bytes of a request's body
	bodyTimeout = time.Minute
)

// handler answers requests.
type handler struct {
	log     *slog.Logger
	options Options
	sites   map[string]*site // by host name; "": of every other name
	data    *database        // nil: there is nothing to keep
	upgrade func(http.ResponseWriter, *conn)
	usual   Path     // of what nothing is said
	tlsPort string   // where plain HTTP is redirected to; empty: it is not
	hsts    []string // the Strict-Transport-Security field of what is encrypted
	server  []string // the Server field

	mu     sync.Mutex
	source rand.Source
}

type connKey struct{}

// peer is the connection that a request came over.
type peer struct {
	*link
	http1 *conn                // nil: it speaks HTTP/2
	state *tls.ConnectionState // nil: there is no TLS
}

func newHandler(log *slog.Logger, o Options, sites map[string]*site, source rand.Source) *handler {
	h := &handler{log: log, options: o, sites: sites, source: source}
	if o.Server != "" {
		h.server = []string{o.Server}
	}
	if !o.TLS.On {
		return h
	}
	if age := time.Duration(o.TLS.HSTS); age > 0 {
		h.hsts = []string{fmt.Sprintf("max-age=%d", int(age.Seconds()))}
	}
	if o.TLS.Redirect {
		_, h.tlsPort, _ = net.SplitHostPort(o.TLS.Listen[0]) // check has read it
	}
	return h
}

// ServeHTTP answers one request and has its connection tell of it. The body is read before anything is answered: so the
// log shows a request whole, and templates have its form.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.Context().Value(connKey{}).(*peer)
	c := p.http1
	if c != nil && c.other {
		if h.options.H2C {
			h.upgrade(w, c)
			return
		}
		sendPage(w, r, http.StatusHTTPVersionNotSupported)
		return
	}
	r.TLS = p.state
	if r.URL.Path == "" {
		r.URL.Path = "/" // RFC 9110, section 4.2.3
	}
	told := c != nil && c.expect()
	err := readBody(w, r)
	if told {
		if wrong := c.receive(); wrong != "" && err == nil {
			err = errors.New(wrong)
		}
	}
	header := w.Header()
	if h.server != nil {
		header["Server"] = h.server
	}
	if h.hsts != nil && p.state != nil {
		header["Strict-Transport-Security"] = h.hsts
	}
	if err != nil || h.ambiguous(c, r) {
		header.Set("Connection", "close")
	}
	switch {
	case err != nil:
		sendPage(w, r, bodyStatus(err))
	case r.Method == http.MethodTrace || r.Method == http.MethodConnect:
		// TRACE shows scripts what they must not see (RFC 9110, section 9.3.8); CONNECT is for proxies.
		header.Set("Connection", "close")
		header.Set("Allow", pageMethods)
		sendPage(w, r, http.StatusMethodNotAllowed)
	case !known(r.Method):
		sendPage(w, r, http.StatusNotImplemented)
	case h.tlsPort != "" && p.state == nil:
		h.redirect(w, r)
	case r.RequestURI == "*" && r.Method == http.MethodOptions:
		header.Set("Allow", pageMethods)
		send(w, r, http.StatusOK, "", nil)
	default:
		if err := h.answer(p, w, r); err != nil {
			h.log.Error("page failed", "url", r.RequestURI, "error", err)
		}
	}
}

// ambiguous says that a request has both a Transfer-Encoding and a Content-Length: the former counts, and behind the response
// the connection is closed (RFC 9112, section 6.3). net/http takes the latter away.
func (h *handler) ambiguous(c *conn, r *http.Request) bool {
	return c != nil && len(r.TransferEncoding) > 0 && c.now != nil && c.now.ambiguous
}

// answer does for the request's path what its site does for it.
func (h *handler) answer(from *peer, w http.ResponseWriter, r *http.Request) error {
	s := h.siteOf(r.Host)
	p := s.behaviour(r.URL.Path)
	if p == nil {
		p = &h.usual
		if f := s.files[r.URL.Path]; f != nil && f.page == nil && len(s.cookies) == 0 {
			return h.file(from, w, r, s, p) // the shortest way to what most requests are for
		}
	}
	ctx := from.ctx
	if len(p.EarlyHints) > 0 {
		w.Header()["Link"] = p.EarlyHints
		w.WriteHeader(http.StatusEarlyHints)
	}
	pause(ctx, time.Duration(p.Delay))
	if p.CORS != nil && p.CORS.allow(w, r) {
		return nil
	}
	for name, value := range p.Headers {
		w.Header().Set(name, value)
	}
	h.caching(w.Header(), p)
	h.setCookies(w, r, s.cookies)
	h.setCookies(w, r, p.Cookies)
	if p.Close {
		w.Header().Set("Connection", "close")
	}
	if p.Ranges == "none" {
		r.Header.Del("Range")
	}
	if p.bad() {
		return h.misbehave(from, w, r, s, p)
	}
	if p.Rate > 0 {
		w = &throttle{ResponseWriter: w, ctx: ctx, rate: int(p.Rate)}
	}
	if len(p.Trailers) > 0 {
		w = &trailing{ResponseWriter: w, names: p.Trailers}
		defer w.(*trailing).end()
	}
	var made *compressor
	if offered := p.codings(); len(offered) > 0 && (p.ChunkDelay > 0 || p.produced(s, r)) {
		made = &compressor{ResponseWriter: w, request: r, offered: offered}
		w = made
	}
	if p.ChunkDelay > 0 {
		w = &slowWriter{ResponseWriter: w, ctx: ctx, size: p.ChunkSize, delay: time.Duration(p.ChunkDelay)}
	}
	err := h.content(from, w, r, s, p)
	if made != nil { // not where a panic ended the response: what is cut short must not look whole
		// A client that is gone is told of by its connection.
		_ = made.close()
	}
	return err
}

// codings are the content codings that are offered for the path.
func (p *Path) codings() []string {
	if p.Compress == nil {
		return codings()
	}
	return *p.Compress
}

// produced says that the response is made for the request, so that it is compressed then.
func (p *Path) produced(s *site, r *http.Request) bool {
	if p.Status != 0 || p.Body != "" || p.Echo != "" || p.Comments != "" || p.Settings != nil {
		return true
	}
	f, _ := s.find(r.URL.Path)
	return f != nil && f.page != nil
}

// content answers with what the path holds.
func (h *handler) content(from *peer, w http.ResponseWriter, r *http.Request, s *site, p *Path) error {
	if len(p.Methods) > 0 && !slices.Contains(p.Methods, r.Method) {
		w.Header().Set("Allow", strings.Join(p.Methods, ", "))
		sendPage(w, r, http.StatusMethodNotAllowed)
		return nil
	}
	if p.Require != "" && !h.admit(w, r, s, p) {
		return nil
	}
	switch {
	case p.Endless != "":
		endless(from.ctx, w, r, p)
	case p.Login != nil && r.Method == http.MethodPost:
		h.login(from, w, r, s, p)
	case p.Logout != nil:
		h.logout(w, r, p)
	case p.Settings != nil:
		h.settings(w, r, p)
	case p.Comments != "":
		return h.comments(w, r, s, p)
	case p.Location != "":
		w.Header().Set("Location", p.Location)
		sendStatus(w, r, cmp.Or(p.Status, http.StatusFound), p.Body)
	case p.Echo != "":
		echo(w, r, p.Echo)
	case p.Status != 0 || p.Body != "":
		sendStatus(w, r, cmp.Or(p.Status, http.StatusOK), p.Body)
	case p.Size > 0:
		serveSize(w, r, p)
	default:
		return h.file(from, w, r, s, p)
	}
	return nil
}

const (
	fileMethods = "GET, HEAD"
	pageMethods = "GET, HEAD, POST"
)

// known says that a method is one of the registry (RFC 9110, section 16.1.1) or of caches and SSDP, whether or not a path has
// it: of others a server says that it has never heard of them.
func known(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY", "CONNECT", "TRACE",
		"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY",
		"MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND", "PROPPATCH", "REBIND", "REPORT",
		"SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
		"PURGE", "M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "SOURCE":
		return true
	}
	return false
}

// file answers with the site's file for the request's path.
func (h *handler) file(from *peer, w http.ResponseWriter, r *http.Request, s *site, p *Path) error {
	f, folder := s.find(r.URL.Path)
	status := http.StatusOK
	switch {
	case folder != "":
		w.Header().Set("Location", folder)
		sendPage(w, r, http.StatusMovedPermanently)
		return nil
	case f == nil:
		if f, status = s.files[missingFile], http.StatusNotFound; f == nil {
			sendPage(w, r, status)
			return nil
		}
	}
	if status == http.StatusOK && f.page == nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		f.serve(w, r, p)
		return nil
	}
	allow := fileMethods
	if f.page != nil {
		allow = pageMethods
	}
	switch {
	case status == http.StatusOK && !slices.Contains(strings.Split(allow, ", "), r.Method):
		w.Header().Set("Allow", allow)
		if r.Method == http.MethodOptions {
			send(w, r, http.StatusOK, "", nil)
		} else {
			sendPage(w, r, http.StatusMethodNotAllowed)
		}
	case f.page != nil:
		return h.make(from, w, r, f, status, p)
	default:
		send(w, r, status, f.contentType, f.body)
	}
	return nil
}

// siteOf returns the site of a Host field.
func (h *handler) siteOf(host string) *site {
	if len(h.sites) == 1 {
		return h.sites[""]
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if s := h.sites[strings.ToLower(strings.TrimSuffix(host, "."))]; s != nil {
		return s
	}
	return h.sites[""]
}

func (h *handler) setCookies(w http.ResponseWriter, r *http.Request, cookies []Cookie) {
	for _, cookie := range cookies {
		_, err := r.Cookie(cookie.Name)
		if brought := err == nil; cookie.Always || brought == cookie.Delete {
			random := ""
			if cookie.Random {
				random = h.random()
			}
			http.SetCookie(w, cookie.header(random))
		}
	}
}

// random is a new identifier of 16 hexadecimal digits.
func (h *handler) random() string {
	h.mu.Lock()
	n := h.source.Uint64()
	h.mu.Unlock()
	var id [8]byte
	for i := range id {
		id[i] = byte(n >> (8 * i))
	}
	return hex.EncodeToString(id[:])
}

// readBody replaces the request's body by what the client sent.
func readBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == http.NoBody {
		return nil
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return control.SetReadDeadline(time.Time{})
}

// bodyStatus is the answer to a request whose body could not be read.
func bodyStatus(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// clientOf is the client's IP address, as the server sees it.
func clientOf(r *http.Request) string {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return client.Addr().Unmap().WithZone("").String()
}

// pause waits; where the connection ends before, it ends the response with it.
func pause(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		panic(http.ErrAbortHandler)
	}
}
