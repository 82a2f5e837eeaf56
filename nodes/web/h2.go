package web

//lint:file-ignore SA1019 net/http shows neither frames nor schedulers: only x/net serves a connection that is given to it.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"scenario/event"
	"scenario/nodes/h2frames"
)

const (
	maxStreams = 250  // that a client may have open at once
	maxWatched = 1000 // exchanges that are watched at once: more are no client's
)

// h2conn is a client's connection that speaks HTTP/2. Its events are made of the bytes that go over it alone: every frame,
// and a request and a response of each stream (RFC 9113, section 8.1).
type h2conn struct {
	*link
	stream io.ReadWriteCloser // what HTTP/2 goes over: TLS, or the link
	budget *allowance
	limit  int // bytes of a body that are kept

	watch   sync.Mutex // held while bytes are looked at, and events told of them
	writing int        // writes that have begun and were not looked at
	written sync.Cond  // one of them was
	in, out direction
	streams map[uint32]*h2exchange
	newest  uint32 // stream that was seen
	blind   bool   // the budget was spent: no further streams are told of
	filter  filter
	buffer  []byte
	passing bool // nothing is looked at any more
	end     sync.Once
}

// direction is what is watched of one way.
type direction struct {
	frames *h2frames.Watcher
	cut    cutter
}

// h2exchange is a request and its response, on one stream.
type h2exchange struct {
	stream  uint32
	in, out h2message
	begun   bool // the request has been told of
	request event.HTTPRequest
	ctx     context.Context // the response follows from the request
	start   time.Time       // the request had come
}

// h2message is what one end sends on a stream.
type h2message struct {
	text    strings.Builder // heads and trailers
	body    []byte
	size    int64 // of the body
	head    []hpack.HeaderField
	wire    int // bytes of the head on the wire
	last    time.Time
	started bool
}

// newH2Conn has HTTP/2 spoken over a stream on a link.
func newH2Conn(l *link, stream io.ReadWriteCloser, budget *allowance, limit int) *h2conn {
	c := &h2conn{link: l, stream: stream, budget: budget, limit: limit, streams: make(map[uint32]*h2exchange)}
	c.written.L = &c.watch
	c.in.frames = h2frames.New(func(f h2frames.Frame) { c.frame(f, "received") }, func(h h2frames.Head) { c.head(h, true) })
	c.out.frames = h2frames.New(func(f h2frames.Frame) { c.frame(f, "sent") }, func(h h2frames.Head) { c.head(h, false) })
	c.in.cut.data = func(stream uint32, p []byte) { c.data(stream, p, true) }
	c.out.cut.data = func(stream uint32, p []byte) { c.data(stream, p, false) }
	c.out.cut.status = func(status int) {
		if c.blind {
			c.budget.count(status)
		}
	}
	c.filter.look = func(p []byte) {
		c.in.cut.feed(p)
		c.in.frames.Feed(p)
	}
	c.blind = l.quiet
	return c
}

// Read reads what the client sends and watches it.
func (c *h2conn) Read(p []byte) (int, error) {
	for len(c.filter.ready) == 0 {
		if c.passing {
			return c.receive(p)
		}
		if c.buffer == nil {
			c.buffer = make([]byte, 4<<10)
		}
		n, err := c.receive(c.buffer)
		c.watch.Lock()
		c.filter.feed(c.buffer[:n])
		if c.idle() {
			c.filter.flush()
			c.passing = true
		}
		c.watch.Unlock()
		if err != nil && len(c.filter.ready) == 0 {
			return 0, err
		}
	}
	n := copy(p, c.filter.ready)
	if c.filter.ready = c.filter.ready[n:]; len(c.filter.ready) == 0 {
		c.filter.ready = nil
	}
	return n, nil
}

// receive reads from the stream and notes why it ends.
func (c *h2conn) receive(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	if err != nil {
		c.mu.Lock()
		c.lost(err, "idle timeout")
		c.mu.Unlock()
	}
	return n, err
}

// Write sends to the client and watches what was sent.
func (c *h2conn) Write(p []byte) (int, error) {
	c.watch.Lock()
	c.writing++
	c.watch.Unlock()
	n, err := c.stream.Write(p)
	c.watch.Lock()
	c.out.cut.feed(p[:n])
	if c.idle() {
		c.budget.sent(n)
	} else {
		c.out.frames.Feed(p[:n])
	}
	c.writing--
	c.watch.Unlock()
	c.written.Broadcast()
	return n, err
}

// idle says that nothing more of the connection will be told, so that its bytes need not be decoded.
func (c *h2conn) idle() bool { return c.blind && len(c.streams) == 0 }

// Close closes the connection and tells how it ended and what became of requests that were not answered.
func (c *h2conn) Close() error {
	err := c.stream.Close()
	c.end.Do(func() {
		c.watch.Lock()
		for c.writing > 0 { // a client may go as soon as it has its response, which is looked at after that
			c.written.Wait()
		}
		for len(c.streams) > 0 {
			first := uint32(1<<32 - 1)
			for stream := range c.streams {
				first = min(first, stream)
			}
			c.complete(c.streams[first], "the connection ended before the response was complete")
		}
		c.blind = true
		c.watch.Unlock()
		c.link.end("the connection ended")
	})
	return err
}

// frame tells of a frame and looks whether it ends a stream.
func (c *h2conn) frame(f h2frames.Frame, way string) {
	if !c.blind {
		event.Emit(c.ctx, c.log, f.Event(event.SideServer, c.local, c.remote, way))
	}
	x := c.streams[f.Stream]
	switch {
	case x == nil:
	case f.Type == http2.FrameRSTStream:
		who := "the client"
		if way == "sent" {
			who = "the server"
		}
		c.complete(x, who+" reset the stream: "+f.Detail)
	case f.Type == http2.FrameData && f.Flags.Has(http2.FlagDataEndStream):
		c.ended(x, way == "received")
	}
}

// exchange is that of a stream; nil where nothing is told of it.
func (c *h2conn) exchange(stream uint32, received bool) *h2exchange {
	if x := c.streams[stream]; x != nil || !received || stream <= c.newest || stream == 0 {
		return x
	}
	c.newest = stream
	if c.blind || len(c.streams) >= maxWatched || !c.budget.take() {
		c.blind = true
		return nil
	}
	x := &h2exchange{stream: stream}
	c.streams[stream] = x
	return x
}

// head takes the head of a request or response, or its trailers.
func (c *h2conn) head(h h2frames.Head, received bool) {
	if received && slices.ContainsFunc(h.Fields, forbidden) {
		c.filter.malformed = true
	}
	x := c.exchange(h.Stream, received)
	if x == nil {
		return
	}
	m := &x.out
	if received {
		m = &x.in
	}
	m.last = time.Now()
	m.text.WriteString(h2frames.Text(h.Fields))
	if !m.started {
		m.head, m.wire = h.Fields, h.Wire
		m.started = true
	}
	if !received {
		c.begin(x) // a server may answer before the request has come whole
		if status := field(h.Fields, ":status"); len(status) == 3 && status[0] == '1' {
			m.started = false // the response is still to come
		}
	}
	if h.End {
		c.ended(x, received)
	}
}

// data takes a part of a body.
func (c *h2conn) data(stream uint32, p []byte, received bool) {
	x := c.exchange(stream, received)
	if x == nil {
		return
	}
	m := &x.out
	if received {
		m = &x.in
	}
	m.size += int64(len(p))
	m.last = time.Now()
	m.body = append(m.body, p[:min(len(p), max(0, c.limit-len(m.body)))]...)
}

// ended is called when one end has sent all of a stream.
func (c *h2conn) ended(x *h2exchange, received bool) {
	if received {
		c.begin(x)
		return
	}
	c.complete(x, "")
}

// begin tells of a request, once.
func (c *h2conn) begin(x *h2exchange) {
	if x.begun {
		return
	}
	x.begun, x.start = true, time.Now()
	fields := x.in.head
	e := event.HTTPRequest{
		Side: event.SideServer, Local: c.local, Remote: c.remote, Proto: "HTTP/2", Stream: x.stream, Reused: x.stream > 1,
		Method: field(fields, ":method"), Host: cmp.Or(field(fields, ":authority"), field(fields, "host")),
		UserAgent: field(fields, "user-agent"), Cookie: strings.Join(values(fields, "cookie"), "; "),
		HeaderBytes: x.in.wire, HeaderPlain: h2frames.Plain(fields),
	}
	e.URL = field(fields, ":scheme") + "://" + e.Host + field(fields, ":path")
	e.Raw, e.RawBase64, e.Truncated = x.in.raw()
	x.request = e
	x.ctx = event.Begin(c.ctx, c.log, e)
}

// complete tells of the response on a stream, or of what came in its place, and forgets the stream.
func (c *h2conn) complete(x *h2exchange, failure string) {
	delete(c.streams, x.stream)
	c.begin(x)
	fields := x.out.head
	status, _ := strconv.Atoi(field(fields, ":status")) // 0: there was none
	e := event.HTTPResponse{
		Side: event.SideServer, Local: c.local, Remote: c.remote, Method: x.request.Method, URL: x.request.URL,
		Proto: "HTTP/2", Stream: x.stream, Status: status, ContentType: field(fields, "content-type"),
		Location: field(fields, "location"), Coding: field(fields, "content-encoding"), HeaderBytes: x.out.wire,
		Size: x.out.size, Error: failure,
	}
	if fields != nil {
		e.HeaderPlain = h2frames.Plain(fields)
	}
	if !x.out.last.IsZero() {
		e.Duration = max(0, x.out.last.Sub(x.start).Seconds())
	}
	e.Raw, e.RawBase64, e.Truncated = x.out.raw()
	event.Emit(x.ctx, c.log, e)
}

// raw is the message as text, or in base64 where it is not UTF-8, and how many bytes of its body it leaves out.
func (m *h2message) raw() (text, encoded string, left int64) {
	wire := append([]byte(m.text.String()), m.body...)
	left = m.size - int64(len(m.body))
	for cut := 0; cut < utf8.UTFMax && cut <= len(wire) && (cut == 0 || left > 0); cut++ {
		if utf8.Valid(wire[:len(wire)-cut]) {
			return string(wire[:len(wire)-cut]), "", left + int64(cut)
		}
	}
	return "", base64.StdEncoding.EncodeToString(wire), left
}

func field(fields []hpack.HeaderField, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func values(fields []hpack.HeaderField, name string) []string {
	var all []string
	for _, f := range fields {
		if f.Name == name {
			all = append(all, f.Value)
		}
	}
	return all
}

// cutter finds the bodies in the frames of one direction, and the statuses of responses as far as they can be seen without
// decoding.
type cutter struct {
	data    func(stream uint32, p []byte)
	status  func(status int)
	header  [9]byte
	have    int
	left    int // of the payload
	padding int // of the payload, at its end; -1: its length comes first
	opening bool
	preface int // bytes of a client's preface that are still to come
}

// feed takes bytes of the direction.
func (c *cutter) feed(p []byte) {
	n := min(c.preface, len(p))
	c.preface, p = c.preface-n, p[n:]
	for len(p) > 0 {
		if c.have < len(c.header) {
			n := copy(c.header[c.have:], p)
			c.have += n
			p = p[n:]
			if c.have < len(c.header) {
				return
			}
			c.left = int(c.header[0])<<16 | int(c.header[1])<<8 | int(c.header[2])
			c.padding = 0
			if c.kind() == http2.FrameData && http2.Flags(c.header[4]).Has(http2.FlagDataPadded) {
				c.padding = -1
			}
			c.opening = true
			if c.left == 0 {
				c.have = 0
			}
			continue
		}
		n := min(len(p), c.left)
		c.payload(p[:n])
		if c.left -= n; c.left == 0 {
			c.have = 0
		}
		p = p[n:]
	}
}

func (c *cutter) kind() http2.FrameType { return http2.FrameType(c.header[3]) }

// payload takes a part of a frame's payload, before it is subtracted from what is left.
func (c *cutter) payload(p []byte) {
	first := c.opening
	c.opening = false
	switch {
	case c.kind() == http2.FrameHeaders && first && c.status != nil:
		c.status(staticStatus(p))
	case c.kind() == http2.FrameData && c.data != nil:
		stream := binary.BigEndian.Uint32(c.header[5:]) & (1<<31 - 1)
		left := c.left
		if c.padding < 0 {
			c.padding = int(p[0])
			p, left = p[1:], left-1
		}
		if p = p[:max(0, min(len(p), left-c.padding))]; len(p) > 0 {
			c.data(stream, p)
		}
	}
}

// staticStatus is the status at the beginning of a field block where it is one of the static table (RFC 7541, appendix A);
// else 0.
func staticStatus(block []byte) int {
	known := [...]int{200, 204, 206, 304, 400, 404, 500}
	if i := int(block[0]) - 0x80 - 8; i >= 0 && i < len(known) {
		return known[i]
	}
	return 0
}

// tlsH2Conn is an h2conn over TLS: x/net's server wants to look at what was agreed on.
type tlsH2Conn struct {
	*h2conn
	state tls.ConnectionState
}

// ConnectionState is what the handshake agreed on.
func (c tlsH2Conn) ConnectionState() tls.ConnectionState { return c.state }

// serveHTTP2 speaks HTTP/2 over a stream on a link until it ends. secure is nil where there is no TLS; prefaced says that the
// client's preface has been read.
func (s *running) serveHTTP2(l *link, stream io.ReadWriteCloser, secure *tls.Conn, prefaced bool) {
	c := newH2Conn(l, stream, s.budget, s.options.LogBody)
	var conn net.Conn = c
	p := &peer{link: l}
	if secure != nil {
		p.state = new(tls.ConnectionState)
		*p.state = secure.ConnectionState()
		conn = tlsH2Conn{c, *p.state}
		c.in.cut.preface, c.filter.preface = len(http2.ClientPreface), len(http2.ClientPreface)
	}
	server := &http2.Server{
		MaxConcurrentStreams: maxStreams, MaxReadFrameSize: 16 << 10, IdleTimeout: time.Duration(s.options.IdleTimeout), WriteByteTimeout: sendTimeout,
		NewWriteScheduler: func() http2.WriteScheduler { return newScheduler(c) },
	}
	// A server that is configured has pools of its own. Those that all servers share hand channels from one bubble of virtual
	// time to the next, which is fatal. The server that is configured along with it is of no use.
	if err := http2.ConfigureServer(&http.Server{}, server); err != nil {
		l.log.Error("no HTTP/2", "error", err)
		_ = c.Close()
		return
	}
	server.ServeConn(conn, &http2.ServeConnOpts{
		Context: context.WithValue(l.ctx, connKey{}, p), BaseConfig: s.web, Handler: s.handler, SawClientPreface: prefaced,
	})
	// Whatever ended it, it is told of once.
	_ = c.Close()
}

// rest is what net/http has read of a connection that it gives away, and then the connection.
type rest struct {
	io.Reader
	io.WriteCloser
}

// upgrade goes on in HTTP/2 on a plain connection whose client began with its preface, without asking (RFC 9113, section 3.3).
func (s *running) upgrade(w http.ResponseWriter, c *conn) {
	inner, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "HTTP/2 cannot be spoken here", http.StatusHTTPVersionNotSupported)
		return
	}
	const tail = "SM\r\n\r\n"
	begin := make([]byte, len(tail))
	if _, err := io.ReadFull(buffered, begin); err != nil || !bytes.Equal(begin, []byte(tail)) {
		_ = inner.Close() // it tells of the end
		return
	}
	s.serveHTTP2(c.link, rest{buffered, c.link}, nil, true)
}
