package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"scenario/event"
	"scenario/host/errno"
)

// sendTimeout bounds one write to a client that does not read.
const sendTimeout = time.Minute

// conn is a client's connection that records what goes over it and tells of every request and response.
//
// All events are emitted by the goroutine that serves the connection: it calls receive, answered, Write and Close. Read is
// called by another goroutine of net/http too, and abort by anybody; what these share stands under the mutex.
type conn struct {
	net.Conn
	ctx     context.Context // ends when the connection does; carries its trace
	cancel  context.CancelFunc
	log     *slog.Logger
	number  int64
	local   string
	remote  string
	address netip.Addr // of the client
	onClose func(*conn)

	now      *exchange // the request that is being answered
	requests int       // how many have been told of
	last     string    // why the last response ends the connection, where it does
	closed   bool

	mu             sync.Mutex
	in, out        recorder
	busy           bool // a request is being answered
	sent, received int64
	by, reason     string // who ended the connection and why, once that is known
	failed         error  // of the first write that failed
}

// exchange is a request that is being answered.
type exchange struct {
	ctx     context.Context // its events follow from the request
	request event.HTTPRequest
	start   time.Time // the request had been read
}

// newConn wraps a connection and tells that it was accepted, with that event.
func newConn(ctx context.Context, log *slog.Logger, inner net.Conn, accept event.SocketAccept, bodyLimit int) *conn {
	c := &conn{
		Conn: inner, log: log,
		local: inner.LocalAddr().String(), remote: inner.RemoteAddr().String(),
		in:  recorder{bodyLimit: bodyLimit},
		out: recorder{bodyLimit: bodyLimit, responses: true},
	}
	if address, err := netip.ParseAddrPort(c.remote); err == nil {
		c.address = address.Addr().Unmap()
	}
	c.ctx, c.cancel = context.WithCancel(event.Begin(ctx, log, accept))
	return c
}

// Read reads what the client sends and records it.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received += int64(n)
	c.in.write(p[:n], time.Now())
	switch {
	case c.busy && errors.Is(err, os.ErrDeadlineExceeded): // net/http woke its own read, or a body is late: that gets a response
	case !c.in.idle():
		c.lost(err, "request timeout")
	case c.received > 0:
		c.lost(err, "idle timeout")
	default:
		c.lost(err, "no request came")
	}
	return n, err
}

// Write sends to the client and records what was sent. What net/http sends while no request is being answered is its own
// refusal of a request that it cannot understand.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	c.sent += int64(n)
	c.out.write(p[:n], time.Now())
	if c.failed == nil {
		c.failed = err
	}
	c.lost(err, "send timeout")
	c.mu.Unlock()
	if c.now == nil {
		c.expect()
		c.receive()
		c.answered()
		c.last = "request refused"
	}
	return n, err
}

// lost notes from an error of Read or Write, if there is one, why the connection ends; late is the reason where it is a
// deadline that passed. The caller holds the mutex.
func (c *conn) lost(err error, late string) {
	switch {
	case err == nil || c.by != "":
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.reason = late
	default:
		c.by = byRemote
		if !errors.Is(err, io.EOF) {
			c.reason = cmp.Or(errno.Name(err), err.Error())
		}
	}
}

// CloseWrite tells the client that nothing more will come, where the connection can.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close closes the connection and tells how it ended and what became of requests that were not answered.
func (c *conn) Close() error {
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.answered()
	err := c.Conn.Close()
	c.mu.Lock()
	unanswered := c.in.rest()
	end := event.SocketClose{
		Network: network, Local: c.local, Remote: c.remote, Socket: event.SocketConnection,
		By: c.by, Sent: c.sent, Received: c.received, Reason: c.reason,
	}
	c.mu.Unlock()
	if end.By == "" {
		end.By = byLocal
	}
	if end.Reason == "" && end.By == byLocal {
		end.Reason = c.last
		if c.ctx.Err() != nil {
			end.Reason = serverStops
		}
	}
	for _, m := range unanswered {
		c.abandon(m)
	}
	event.Emit(c.ctx, c.log, end)
	c.cancel()
	c.onClose(c)
	return err
}

// abort ends the connection for a reason; the goroutine that serves it finds it closed and does the rest.
func (c *conn) abort(reason string) {
	c.mu.Lock()
	if c.by == "" {
		c.by, c.reason = byLocal, reason
	}
	c.mu.Unlock()
	c.cancel()
	// The error is of no use: Close, which follows, meets it again.
	_ = c.Conn.Close()
}

// expect says that a request is about to be answered: what is written from now on belongs to its response.
func (c *conn) expect() {
	c.now = &exchange{}
	c.mu.Lock()
	c.busy = true
	c.mu.Unlock()
}

// receive tells of the request that is about to be answered, as it went over the wire.
func (c *conn) receive() {
	c.mu.Lock()
	m := c.in.take()
	c.mu.Unlock()
	c.now = c.tell(m)
}

// tell emits the event of a request.
func (c *conn) tell(m message) *exchange {
	e := event.HTTPRequest{Side: event.SideServer, Local: c.local, Remote: c.remote, Reused: c.requests > 0}
	e.Raw, e.RawBase64, e.Truncated = m.raw()
	if r := m.request; r != nil {
		e.Method, e.Proto, e.Host = r.Method, r.Proto, r.Host
		e.URL = r.RequestURI
		if !r.URL.IsAbs() && r.URL.Path != "" {
			e.URL = "http://" + cmp.Or(r.Host, c.local) + "/" + strings.TrimPrefix(r.RequestURI, "/")
		}
		e.UserAgent, e.Cookie = r.UserAgent(), strings.Join(r.Header.Values("Cookie"), "; ")
	}
	c.requests++
	return &exchange{ctx: event.Begin(c.ctx, c.log, e), request: e, start: time.Now()}
}

// answered tells of the response to the request that was being answered: all of it has been written.
func (c *conn) answered() {
	if c.now == nil {
		return
	}
	x := c.now
	c.now = nil
	c.mu.Lock()
	m := c.out.cut(x.request.Method)
	failed := c.failed
	c.busy = false
	c.mu.Unlock()

	e := x.response()
	e.Size = m.size
	e.Duration = max(0, m.at.Sub(x.start).Seconds())
	e.Raw, e.RawBase64, e.Truncated = m.raw()
	if r := m.response; r != nil {
		e.Status, e.ContentType, e.Location = r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Location")
		if r.Close {
			c.last = "connection: close"
		}
	}
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

// network is what every socket of this role is.
const network = "tcp"

// serverStops is the reason of a connection's end when the role ends.
const serverStops = "the server stops"

// Who ended a connection, as events name them.
const (
	byLocal  = "local"
	byRemote = "remote"
)
