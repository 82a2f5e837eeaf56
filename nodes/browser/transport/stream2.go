package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"golang.org/x/net/http2"

	"scenario/nodes/browser/weburl"
	"scenario/nodes/h2frames"
)

// stream2 is a stream of an HTTP/2 connection. It is under the connection's mutex; news has a value when it changed.
type stream2 struct {
	id   uint32
	news chan struct{}

	heads   []head2 // interim ones, then that of the response, until they are taken
	interim int
	status  int   // of the response; 0: not yet
	told    int64 // the length that its head names; -1: none
	headed  int   // bytes of heads so far
	trailer http.Header
	data    pieces // of the body, until it is read
	got     int64  // bytes of the body
	ended   bool   // by the server
	closed  bool   // reset, by either end
	err     error
	unseen  bool // the server did not see the request

	window     int64 // bytes that may be sent
	allowed    int64 // bytes that the server may send
	unreported int64 // bytes read since it was allowed more
	bodiless   bool

	first time.Time
	kept  kept
}

// head2 is a head of a response.
type head2 struct {
	status      int
	header      http.Header
	wire, plain int
	end         bool
}

func (s *stream2) wake() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// fail ends the stream; unseen says that the server did not see the request.
func (s *stream2) fail(err error, unseen bool) {
	if s.err == nil && !s.ended {
		s.err, s.unseen = err, unseen
	}
	s.wake()
}

// handleHead takes the head of a response, an interim one or trailers.
func (c *conn2) handleHead(f *http2.MetaHeadersFrame) error {
	s := c.streams[f.StreamID]
	if s == nil {
		return c.unknown(f.StreamID)
	}
	if s.first.IsZero() {
		s.first = time.Now()
	}
	if s.headed += c.block; f.Truncated || s.headed > maxHead {
		c.reset(s, http2.ErrCodeCancel, errHeadTooLong)
		return nil
	}
	s.kept.head = append(s.kept.head, h2frames.Text(f.Fields)...)
	header := make(http.Header, len(f.Fields))
	for _, field := range f.RegularFields() {
		key := textproto.CanonicalMIMEHeaderKey(field.Name)
		header[key] = append(header[key], field.Value)
	}
	if s.status != 0 {
		return c.handleTrailer(s, header, f.StreamEnded())
	}
	text := f.PseudoValue("status")
	status, err := strconv.Atoi(text)
	bad := ""
	switch {
	case err != nil || len(text) != 3 || status < 100:
		bad = fmt.Sprintf("its status %.10q is none", text)
	case status == http.StatusSwitchingProtocols:
		bad = "it switches protocols, which there is no way to do" // RFC 9113, section 8.6
	case status < 200 && f.StreamEnded():
		bad = "it ends with an interim response"
	case status < 200 && s.interim == maxInterim:
		bad = fmt.Sprintf("it sends more than %d interim responses", maxInterim)
	}
	if bad != "" {
		c.reset(s, http2.ErrCodeProtocol, errors.New("the server breaks the rules of HTTP/2: "+bad))
		return nil
	}
	s.heads = append(s.heads, head2{status, header, c.block, h2frames.Plain(f.Fields), f.StreamEnded()})
	if status < 200 {
		s.interim++
	} else {
		c.answered(s, status, header, f.StreamEnded())
	}
	s.wake()
	return nil
}

// answered takes note of the head of a response.
func (c *conn2) answered(s *stream2, status int, header http.Header, end bool) {
	s.status, s.told = status, -1
	if lengths := header["Content-Length"]; len(lengths) > 0 {
		n, err := strconv.ParseInt(lengths[0], 10, 64)
		if len(lengths) > 1 || err != nil || !digits(lengths[0]) {
			c.reset(s, http2.ErrCodeProtocol, fmt.Errorf("its Content-Length %.30q is not one number", lengths))
			return
		}
		s.told = n
	}
	s.bodiless = s.bodiless || bodiless("", status)
	if end {
		c.end(s)
	}
}

func (c *conn2) handleTrailer(s *stream2, header http.Header, end bool) error {
	if !end || s.ended {
		c.reset(s, http2.ErrCodeProtocol, errors.New("the server breaks the rules of HTTP/2: a second head does not end the response"))
		return nil
	}
	s.trailer = header
	c.end(s)
	return nil
}

// end takes note that the response is complete, if it is.
func (c *conn2) end(s *stream2) {
	if s.told >= 0 && s.got != s.told && !(s.bodiless && s.got == 0) {
		c.reset(s, http2.ErrCodeProtocol, early(s.got, s.told, io.ErrUnexpectedEOF))
		return
	}
	s.ended = true
	s.wake()
}

// unknown says what a frame of a stream is that is not open: late, or against the rules.
func (c *conn2) unknown(id uint32) error {
	if id%2 == 0 || id >= c.nextID {
		return protocolError{http2.ErrCodeProtocol, fmt.Sprintf("nobody has opened stream %d", id)}
	}
	return nil
}

// handleData takes a piece of a body.
func (c *conn2) handleData(f *http2.DataFrame) error {
	size := int64(f.Length) // with its padding (RFC 9113, section 6.1)
	if c.allowed -= size; c.allowed < 0 {
		return protocolError{http2.ErrCodeFlowControl, "it sends more than it may"}
	}
	s := c.streams[f.StreamID]
	data := f.Data()
	if s == nil {
		c.consumed(nil, size)
		if c.late -= size; c.late < 0 {
			return protocolError{http2.ErrCodeStreamClosed, "it goes on with what nobody wants"}
		}
		return c.unknown(f.StreamID)
	}
	if s.allowed -= size; s.allowed < 0 {
		return protocolError{http2.ErrCodeFlowControl, "it sends more than it may"}
	}
	if s.closed || s.err != nil {
		c.consumed(nil, size)
		return nil
	}
	bad, code := "", http2.ErrCodeProtocol
	switch {
	case s.status == 0:
		bad = "a body comes without a head"
	case s.ended:
		bad, code = "it goes on behind the end", http2.ErrCodeStreamClosed
	case s.bodiless && len(data) > 0:
		bad = "a body comes where there is none"
	case s.told >= 0 && s.got+int64(len(data)) > s.told:
		bad = "the body is longer than its Content-Length"
	}
	if bad != "" {
		c.consumed(nil, size)
		c.reset(s, code, errors.New("the server breaks the rules of HTTP/2: "+bad))
		return nil
	}
	s.got += int64(len(data))
	s.kept.record(data)
	s.data.Write(data)
	c.consumed(s, size-int64(len(data)))
	if f.StreamEnded() {
		c.end(s)
	}
	s.wake()
	return nil
}

// consumed lets the server send so many more bytes, once it is worth a frame.
func (c *conn2) consumed(s *stream2, n int64) {
	if c.dead != nil || n == 0 {
		return
	}
	if c.unreported += n; c.unreported >= connWindow/2 {
		c.frames(c.framer.WriteWindowUpdate(0, uint32(c.unreported)))
		c.allowed += c.unreported
		c.unreported = 0
	}
	if s == nil || s.ended || s.closed {
		return
	}
	if s.unreported += n; s.unreported >= streamWindow/2 {
		c.frames(c.framer.WriteWindowUpdate(s.id, uint32(s.unreported)))
		s.allowed += s.unreported
		s.unreported = 0
	}
}

func (t *Transport) lease2(p *Place, c *conn2) *Lease {
	x := &exchange2{conn: c, url: p.url, urgency: p.urgency, reused: c.uses.Add(1) > 1}
	l := c.lease(p, "HTTP/2", x)
	l.Reused = x.reused
	return l
}

// exchange2 is one request on an HTTP/2 connection and its response.
type exchange2 struct {
	conn    *conn2
	url     *weburl.URL
	urgency int
	reused  bool

	ctx        context.Context
	interrupts func() bool
	stream     *stream2 // nil: nothing was sent
	failing    error    // there could be no stream
	writes     bool     // its goroutine writes; under the connection's mutex
}

func (x *exchange2) first() time.Time {
	if x.stream == nil {
		return time.Time{}
	}
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	return x.stream.first
}

func (x *exchange2) raw() Raw {
	if x.stream == nil {
		return Raw{}
	}
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	return x.stream.kept.raw()
}

func (x *exchange2) stale(error) bool {
	if x.stream == nil {
		return x.failing != nil
	}
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	return x.stream.unseen && x.stream.first.IsZero() && x.ctx.Err() == nil
}

func (x *exchange2) send(ctx context.Context, r *Request) (*Response, error) {
	x.ctx = ctx
	if err := x.open(r); err != nil {
		x.failing = err
		return nil, &Error{Phase: PhaseRequest, Err: err}
	}
	x.interrupts = context.AfterFunc(ctx, x.cancel)
	if err := x.write(r.Body); err != nil {
		return nil, &Error{Phase: PhaseRequest, Err: err}
	}
	for {
		h, err := x.head()
		switch {
		case err != nil:
			return nil, &Error{Phase: PhaseResponse, Err: err}
		case h.status >= 200:
			resp := &Response{
				Status: h.status, Proto: "HTTP/2", Header: h.header, Trailer: make(http.Header), First: x.first(),
				Length: -1, Stream: x.stream.id, HeaderBytes: h.wire, HeaderPlain: h.plain,
			}
			if lengths := h.header["Content-Length"]; len(lengths) == 1 {
				resp.Length, _ = strconv.ParseInt(lengths[0], 10, 64) // it was read before
			}
			resp.Body = &body2{x: x, trailer: resp.Trailer}
			return resp, nil
		case r.Interim != nil:
			r.Interim(h.status, h.header)
		}
	}
}

// open sends the head of a request on a new stream.
func (x *exchange2) open(r *Request) error {
	c := x.conn
	fields := r.head2(x.url, x.urgency)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead != nil:
		return fmt.Errorf("request to %s: %w", c.remote, c.dead)
	case c.draining:
		return fmt.Errorf("request to %s: %s", c.remote, c.goneAway)
	}
	s := &stream2{
		id: c.nextID, news: make(chan struct{}, 1), told: -1, window: c.peerWindow, allowed: streamWindow,
		data: pieces{spare: c.transport.spare}, bodiless: r.Method == http.MethodHead, kept: newKept(c.transport.views, c.transport.options.LogBody),
	}
	if c.nextID += 2; c.nextID > maxStreamID-2 {
		c.drain("its stream numbers are used up")
	}
	c.streams[s.id], x.stream = s, s
	c.fields.Reset()
	for _, f := range fields {
		c.frames(c.encoder.WriteField(f))
	}
	block := c.fields.Bytes()
	if r.Sending != nil {
		r.Sending(Head{Text: h2frames.Text(fields), Stream: s.id, Bytes: len(block), Plain: h2frames.Plain(fields)})
	}
	c.writeHead(s.id, block, len(r.Body) == 0)
	if len(r.Body) > 0 { // its data goes along with the head, as far as it may
		return nil
	}
	x.flush()
	return nil
}

// writeHead queues a head in as many frames as it takes.
func (c *conn2) writeHead(id uint32, block []byte, end bool) {
	first := block[:min(len(block), c.peerFrame)]
	block = block[len(first):]
	c.frames(c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0,
	}))
	for len(block) > 0 {
		part := block[:min(len(block), c.peerFrame)]
		block = block[len(part):]
		c.frames(c.framer.WriteContinuation(id, len(block) == 0, part))
	}
}

// flush writes the queue, in a way that the end of the request's context interrupts. The connection's mutex is held.
func (x *exchange2) flush() {
	x.writes = !x.conn.writing
	x.conn.flush()
	x.writes = false
}

// write sends the body of the request, as the server has room for it.
func (x *exchange2) write(body []byte) error {
	if len(body) == 0 {
		return nil
	}
	c, s := x.conn, x.stream
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(body) > 0 {
		n := int(min(int64(len(body)), s.window, c.window, int64(c.peerFrame)))
		switch {
		case s.err != nil:
			return s.err
		case s.ended || s.closed: // the server has answered and needs no more of it
			return nil
		case n <= 0:
			x.flush()
			c.mu.Unlock()
			<-s.news
			c.mu.Lock()
			continue
		}
		c.frames(c.framer.WriteData(s.id, len(body) == n, body[:n]))
		body = body[n:]
		s.window -= int64(n)
		c.window -= int64(n)
		x.flush()
		for c.queue.Len() > maxQueue && c.dead == nil {
			written := c.written
			c.mu.Unlock()
			<-written
			c.mu.Lock()
		}
	}
	return nil
}

// cancel resets the stream when the request's context ends.
func (x *exchange2) cancel() {
	c := x.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset(x.stream, http2.ErrCodeCancel, nil)
	x.stream.fail(x.ctx.Err(), false)
	if x.writes { // and the server does not read
		c.wire.SetWriteDeadline(time.Unix(1, 0)) // an error means that the connection has ended already
	}
	c.flush()
}

// head waits for the next head.
func (x *exchange2) head() (head2, error) {
	c, s := x.conn, x.stream
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case len(s.heads) > 0:
			h := s.heads[0]
			s.heads = s.heads[1:]
			return h, nil
		case s.err != nil:
			return head2{}, s.err
		}
		c.mu.Unlock()
		<-s.news
		c.mu.Lock()
	}
}

// release gives the stream back; what is still to come of it is not needed.
func (x *exchange2) release() {
	c := x.conn
	if x.interrupts != nil {
		x.interrupts()
	}
	c.mu.Lock()
	if s := x.stream; s != nil {
		if !s.ended {
			c.reset(s, http2.ErrCodeCancel, nil)
			c.late += s.allowed
		}
		c.consumed(nil, int64(s.data.Len()))
		s.data.Drop()
		s.kept.release()
		delete(c.streams, s.id)
	} else {
		c.uses.Add(-1)
	}
	c.flush()
	c.mu.Unlock()
	c.unreserve()
}

// body2 is the body of an HTTP/2 response.
type body2 struct {
	x       *exchange2
	trailer http.Header
	err     error
}

func (b *body2) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	c, s := b.x.conn, b.x.stream
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case s.data.Len() > 0:
			n := s.data.Read(p)
			c.consumed(s, int64(n))
			c.flush()
			return n, nil
		case s.err != nil:
			b.err = &Error{Phase: PhaseResponse, Err: s.err}
			return 0, b.err
		case s.ended:
			for name, values := range s.trailer {
				b.trailer[name] = values
			}
			b.err = io.EOF
			return 0, io.EOF
		}
		c.mu.Unlock()
		<-s.news
		c.mu.Lock()
	}
}
