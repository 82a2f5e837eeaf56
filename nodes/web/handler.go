package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
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
	log    *slog.Logger
	server string
	sites  map[string]*site // by host name; "": of every other name

	mu     sync.Mutex
	source rand.Source
}

type connKey struct{}

// ServeHTTP answers one request and has its connection tell of it. The body is read before anything is answered: so the
// log shows a request whole, and templates have its form.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{}).(*conn)
	c.expect()
	err := readBody(w, r)
	c.receive()

	if h.server != "" {
		w.Header().Set("Server", h.server)
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		sendPage(w, r, bodyStatus(err))
		return
	}
	if r.RequestURI == "*" {
		w.Header().Set("Allow", pageMethods)
		send(w, r, http.StatusOK, "", nil)
		return
	}
	if err := h.answer(c.ctx, w, r); err != nil {
		h.log.Error("page failed", "url", r.RequestURI, "error", err)
	}
}

// answer does for the request's path what its site does for it. The context ends with the connection.
func (h *handler) answer(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	s := h.siteOf(r.Host)
	p := s.behaviour(r.URL.Path)
	pause(ctx, time.Duration(p.Delay))
	for name, value := range p.Headers {
		w.Header().Set(name, value)
	}
	h.setCookies(w, r, slices.Concat(s.cookies, p.Cookies))
	if p.Close {
		w.Header().Set("Connection", "close")
	}
	if p.ChunkDelay > 0 {
		w = &slowWriter{ResponseWriter: w, ctx: ctx, size: p.ChunkSize, delay: time.Duration(p.ChunkDelay)}
	}
	switch {
	case p.Location != "":
		w.Header().Set("Location", p.Location)
		sendStatus(w, r, cmp.Or(p.Status, http.StatusFound), p.Body)
	case p.EchoAddress:
		send(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte(clientOf(r)+"\n"))
	case p.Status != 0 || p.Body != "":
		sendStatus(w, r, cmp.Or(p.Status, http.StatusOK), p.Body)
	default:
		return h.file(w, r, s)
	}
	return nil
}

const (
	fileMethods = "GET, HEAD"
	pageMethods = "GET, HEAD, POST"
)

// file answers with the site's file for the request's path.
func (h *handler) file(w http.ResponseWriter, r *http.Request, s *site) error {
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
	allow := fileMethods
	if f.page != nil {
		allow = pageMethods
	}
	switch {
	case status == http.StatusOK && !slices.Contains(strings.Split(allow, ", "), r.Method):
		w.Header().Set("Allow", allow)
		sendPage(w, r, http.StatusMethodNotAllowed)
	case f.page != nil:
		return f.make(w, r, status, h.random)
	case status == http.StatusOK:
		f.serve(w, r)
	default:
		send(w, r, status, f.contentType, f.body)
	}
	return nil
}

// siteOf returns the site of a Host field.
func (h *handler) siteOf(host string) *site {
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

// sendStatus answers with a status and a body of the scenario's, or a page that names the status.
func sendStatus(w http.ResponseWriter, r *http.Request, status int, body string) {
	switch {
	case body != "":
		send(w, r, status, http.DetectContentType([]byte(body)), []byte(body))
	case status < 300 || status == http.StatusNotModified:
		send(w, r, status, "", nil)
	default:
		sendPage(w, r, status)
	}
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

// slowWriter sends a body in chunks (RFC 9112, section 7.1) with a pause between them.
type slowWriter struct {
	http.ResponseWriter
	ctx   context.Context // ends with the connection
	size  int             // bytes of a chunk
	delay time.Duration
	begun bool
}

func (s *slowWriter) WriteHeader(status int) {
	s.Header().Del("Content-Length")
	s.ResponseWriter.WriteHeader(status)
}

func (s *slowWriter) Write(p []byte) (int, error) {
	const defaultSize = 512
	written := 0
	for chunk := range slices.Chunk(p, cmp.Or(s.size, defaultSize)) {
		if s.begun {
			pause(s.ctx, s.delay)
		}
		s.begun = true
		n, err := s.ResponseWriter.Write(chunk)
		written += n
		if err == nil {
			err = http.NewResponseController(s.ResponseWriter).Flush()
		}
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
