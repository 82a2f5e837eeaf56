package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"scenario/event"
)

// conn is a client's connection that speaks HTTP/1: it records what goes over it, tells of every request and response, and
// keeps from net/http what breaks the rules of HTTP/1.1.
//
// All events are emitted by the goroutine that serves the connection: it calls receive, answered, Write and Close. Read is
// called by another goroutine of net/http too, and abort by anybody; what these share stands under the link's mutex.
type conn struct {
	*link
	stream net.Conn   // what HTTP goes over: the link, or TLS on it
	tls    *tls.Conn  // nil: there is none
	budget *allowance // of what is told in full

	now      *exchange // the request that is being answered
	requests int       // how many have been told of
	last     string    // why the last response ends the connection, where it does

	in, out recorder
	busy    bool   // a request is being answered
	light   bool   // it is counted and not told of: nothing of it is recorded
	fresh   bool   // nothing of the response to it has been written
	held    []byte // a request that is refused, and what follows it: net/http is not given them
	refused string // why; empty: nothing is held
	over    bool   // the refusal has been sent
	more    bool   // the last Read was full: there may be more than that
	other   bool   // the client speaks HTTP/2: nothing is recorded here
}

// exchange is a request that is being answered.
type exchange struct {
	ctx     context.Context // its events follow from the request
	request event.HTTPRequest
	start   time.Time // the request had been read
	quiet   bool      // it is counted and not told of

	ambiguous bool // it has a Content-Length beside its Transfer-Encoding
}

// newConn has HTTP/1 spoken over a link, or over TLS on it.
func newConn(l *link, secured *tls.Conn, budget *allowance, bodyLimit int) *conn {
	c := &conn{
		link: l, stream: l, tls: secured, budget: budget,
		in:  recorder{bodyLimit: bodyLimit},
		out: recorder{bodyLimit: bodyLimit, responses: true},
	}
	if secured != nil {
		c.stream = secured
	}
	return c
}

// Read reads what the client sends and records it.
func (c *conn) Read(p []byte) (int, error) {
	for {
		if n, err := c.withheld(p); n > 0 || err != nil {
			return n, err
		}
		if c.broken() {
			return 0, &net.OpError{Op: "read", Net: network, Err: errRefused}
		}
		n, err := c.read(p)
		c.mu.Lock()
		c.more = n == len(p)
		if c.tls == nil {
			c.received += int64(n)
		}
		n = c.arrived(p[:n])
		switch {
		case c.busy && errors.Is(err, os.ErrDeadlineExceeded): // net/http woke its own read, or a body is late: that gets a response
		case !c.in.idle():
			c.lost(err, "request timeout")
		case c.received > 0 && (c.tls == nil || c.requests > 0):
			c.lost(err, "idle timeout")
		default:
			c.lost(err, "no request came")
		}
		c.mu.Unlock()
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// arrived records what was read and returns how much of it net/http may see. The caller holds the mutex.
func (c *conn) arrived(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	if c.other {
		return len(p)
	}
	if c.preface(p) {
		c.other = true // before net/http sees any of it: nobody else looks yet
		return len(p)
	}
	if !c.busy && !c.light && c.in.idle() && (c.quiet || c.budget.spent()) && simple(p) {
		c.light, c.fresh = true, true
		return len(p)
	}
	n := c.in.write(p, time.Now())
	if n < len(p) {
		c.held, c.refused = bytes.Clone(p[n:]), c.in.cur.refused
	}
	// net/http refuses empty lines that it need not.
	for _, blank := range slices.Backward(c.in.blanks) {
		if blank.to <= n {
			n = blank.from + copy(p[blank.from:], p[blank.to:n])
		}
	}
	return n
}

// withheld refuses the request that is held back, once all before it have been answered. Until then whoever reads beside
// that, to see whether the client is still there, sees bytes of it.
func (c *conn) withheld(p []byte) (int, error) {
	c.mu.Lock()
	refused := c.refused
	answer := refused != "" && !c.busy && len(c.in.done) == 0 && !c.over
	switch {
	case refused == "":
		c.mu.Unlock()
		return 0, nil
	case !answer && !c.over && len(c.held) > 0:
		n := copy(p, c.held)
		c.held = c.held[n:]
		c.mu.Unlock()
		return n, nil
	}
	c.over = c.over || answer
	c.mu.Unlock()
	if answer {
		// It is told of as whatever is answered without a handler. A failed write is told of there.
		_, _ = c.Write(refusal(refused))
		if c.more {
			c.linger()
		}
	}
	return 0, &net.OpError{Op: "read", Net: network, Err: errRefused}
}

// broken says that the body of the request that is being read breaks the rules: nothing of it can be relied on any more.
func (c *conn) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.cur.refused != "" && c.refused == ""
}

// read reads from the client, and for TLS from what counts below it.
func (c *conn) read(p []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(p)
	}
	return c.Conn.Read(p)
}

// preface says that the connection begins as one of HTTP/2 does (RFC 9113, section 3.4). The caller holds the mutex.
func (c *conn) preface(p []byte) bool {
	const line = "PRI * HTTP/2.0\r\n"
	begun := c.in.cur.head
	if c.requests > 0 || c.busy || len(c.in.done) > 0 || len(begun) >= len(line) || c.in.phase != inHead {
		return false
	}
	n := min(len(p), len(line)-len(begun))
	if !bytes.Equal(begun, []byte(line[:len(begun)])) || string(p[:n]) != line[len(begun):len(begun)+n] || len(begun)+n < len(line) {
		return false
	}
	c.in.reset()
	return true
}

// errRefused ends the reading of a connection whose client broke the rules.
var errRefused = errors.New("the request was refused")

// linger half-closes the connection and leaves the client time to read what it was told: what it has sent and nobody reads
// would make the end a reset, which takes the response with it.
func (c *conn) linger() {
	const delay = 500 * time.Millisecond
	if err := c.CloseWrite(); err != nil {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// Write sends to the client and records what was sent. What net/http sends while no request is being answered is its own
// refusal of a request that it cannot understand.
func (c *conn) Write(p []byte) (int, error) {
	if c.light {
		return c.writeLight(p)
	}
	if c.other {
		return c.stream.Write(p)
	}
	if c.tls == nil {
		if err := c.patient(0); err != nil {
			return 0, err
		}
		n, err := c.Conn.Write(p)
		c.mu.Lock()
		c.wrote(n, err)
		c.mu.Unlock()
		c.written(p[:n])
		return n, err
	}
	n, err := c.stream.Write(p)
	c.written(p[:n])
	return n, err
}

// written records what was sent.
func (c *conn) written(p []byte) {
	c.out.write(p, time.Now())
	if c.now == nil {
		c.expect()
		c.receive()
		c.answered()
		c.last = "request refused"
	}
}

// writeLight sends a response of which the status alone is noted.
func (c *conn) writeLight(p []byte) (int, error) {
	const status = len("HTTP/1.1 ")
	if c.fresh && len(p) > status+3 {
		c.fresh = false
		c.budget.count(int(p[status]-'0')*100 + int(p[status+1]-'0')*10 + int(p[status+2]-'0'))
	}
	if c.tls != nil {
		c.budget.sent(len(p))
		return c.stream.Write(p)
	}
	if err := c.patient(time.Second); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.budget.sent(n)
	c.mu.Lock()
	c.wrote(n, err)
	c.mu.Unlock()
	return n, err
}

// SetDeadline, SetReadDeadline and SetWriteDeadline are those of TLS, where there is TLS: it has to know of them.
func (c *conn) SetDeadline(t time.Time) error      { return c.stream.SetDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.stream.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }

// CloseWrite tells the client that nothing more will come.
func (c *conn) CloseWrite() error {
	if c.tls != nil {
		return c.tls.CloseWrite()
	}
	return c.link.CloseWrite()
}

// Close closes the connection and tells how it ended and what became of requests that were not answered.
func (c *conn) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return net.ErrClosed
	}
	c.answered()
	var err error
	if c.tls != nil {
		err = c.tls.Close()
	} else {
		err = c.Conn.Close()
	}
	c.mu.Lock()
	unanswered := c.in.rest()
	c.mu.Unlock()
	for _, m := range unanswered {
		c.abandon(m)
	}
	c.end(c.last)
	return err
}

// expect says that a request is about to be answered: what is written from now on belongs to its response. It returns
// whether the request is told of.
func (c *conn) expect() bool {
	c.mu.Lock()
	c.busy = true
	light := c.light
	c.mu.Unlock()
	if light {
		return false
	}
	c.now = &exchange{}
	return true
}

// receive tells of the request that is about to be answered, as it went over the wire, and returns what is wrong with its
// body; empty: nothing.
func (c *conn) receive() string {
	c.mu.Lock()
	m := c.in.take()
	c.mu.Unlock()
	c.now = c.tell(m)
	c.now.ambiguous = m.ambiguous
	return m.refused
}

// tell emits the event of a request, or counts it where there were too many.
func (c *conn) tell(m message) *exchange {
	e := event.HTTPRequest{Side: event.SideServer, Local: c.local, Remote: c.remote, Reused: c.requests > 0}
	if r := m.request; r != nil {
		e.Method, e.Proto, e.Host = r.Method, r.Proto, r.Host
		e.URL = r.RequestURI
		if !r.URL.IsAbs() && r.URL.Path != "" {
			e.URL = c.scheme() + "://" + cmp.Or(r.Host, c.local) + "/" + strings.TrimPrefix(r.RequestURI, "/")
		}
		e.UserAgent, e.Cookie = r.UserAgent(), strings.Join(r.Header.Values("Cookie"), "; ")
	}
	c.requests++
	x := &exchange{ctx: c.ctx, request: e, start: time.Now(), quiet: c.quiet || !c.budget.take()}
	if !x.quiet {
		e.Raw, e.RawBase64, e.Truncated = m.raw()
		x.ctx = event.Begin(c.ctx, c.log, e)
	}
	return x
}

func (c *conn) scheme() string {
	if c.tls != nil {
		return "https"
	}
	return "http"
}

// answered tells of the response to the request that was being answered: all of it has been written.
func (c *conn) answered() {
	if c.light {
		c.mu.Lock()
		c.light, c.busy = false, false
		c.requests++
		c.mu.Unlock()
		return
	}
	if c.now == nil {
		return
	}
	x := c.now
	c.now = nil
	m := c.out.cut(x.request.Method)
	c.mu.Lock()
	failed := c.failed
	c.busy = false
	c.mu.Unlock()

	e := x.response()
	e.Size = m.size
	e.Duration = max(0, m.at.Sub(x.start).Seconds())
	if r := m.response; r != nil {
		e.Status, e.ContentType, e.Location = r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Location")
		e.Coding = r.Header.Get("Content-Encoding")
		if r.Close {
			c.last = "connection: close"
		}
	}
	if x.quiet {
		c.budget.count(e.Status)
		c.budget.sent(int(e.Size))
		return
	}
	e.Raw, e.RawBase64, e.Truncated = m.raw()
	switch {
	case m.whole:
	case failed != nil:
		e.Error = failed.Error()
	default:
		e.Error = "the connection ended before the response was complete"
	}
	event.Emit(x.ctx, c.log, e)
}

// abandon tells of a request that came, whole or not, and was not answered.
func (c *conn) abandon(m message) {
	x := c.tell(m)
	if x.quiet {
		c.budget.count(0)
		return
	}
	e := x.response()
	e.Error = "the connection ended before the request was complete"
	if m.whole {
		e.Error = "the connection ended before the request was answered"
	}
	event.Emit(x.ctx, c.log, e)
}

// response is what an event of a response says of its request.
func (x *exchange) response() event.HTTPResponse {
	return event.HTTPResponse{
		Side: event.SideServer, Local: x.request.Local, Remote: x.request.Remote,
		Method: x.request.Method, URL: x.request.URL,
	}
}
