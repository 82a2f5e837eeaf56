package ws

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"scenario/nodes/client/sock"
)

// closeTimeout bounds how long the other end may take to answer a close frame.
const closeTimeout = 2 * time.Second

// Conn is a WebSocket that takes text messages.
type Conn struct {
	inner    *websocket.Conn
	stream   *stream
	protocol string

	in       chan result   // closed when nothing more will come
	closing  chan struct{} // closed by Close
	closed   chan struct{} // closed at the end of Close
	once     atomic.Bool
	failure  atomic.Pointer[Ended] // for what came
	pings    sync.WaitGroup
	lastPing context.CancelFunc // of the ping that may not have been answered; for who calls Ping
}

// result is what was received: a text, a pong, or why there will be no more.
type result struct {
	text string
	pong bool
	err  error
}

func newConn() *Conn {
	return &Conn{
		in: make(chan result, 1), closing: make(chan struct{}), closed: make(chan struct{}),
		lastPing: func() {},
	}
}

// start has the connection receive; messages have max bytes at most.
func (c *Conn) start(inner *websocket.Conn, max int64) *Conn {
	c.inner, c.protocol = inner, inner.Subprotocol()
	inner.SetReadLimit(max)
	go c.read()
	return c
}

// Socket is what lies below.
func (c *Conn) Socket() *sock.Conn { return c.stream.Conn }

// Subprotocol is what both ends agreed to speak; empty where they agreed on nothing.
func (c *Conn) Subprotocol() string { return c.protocol }

// read receives until the connection ends, or there is something wrong with what comes.
func (c *Conn) read() {
	defer close(c.in)
	for n := 1; ; n++ {
		kind, data, err := c.inner.Read(context.Background())
		if err == nil && c.stream.broken(n) { // package websocket takes the end of the connection for the message's
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err != nil:
			err = c.cause(err)
		case kind == websocket.MessageBinary:
			err = c.fail(Unsupported, "only text is taken here")
		case !utf8.Valid(data):
			err = c.fail(InvalidText, "the text is not UTF-8")
		}
		select {
		case <-c.closing: // nobody listens any more
			return
		default:
		}
		select {
		case c.in <- result{text: string(data), err: err}:
		case <-c.closing:
			return
		}
		if err != nil {
			return
		}
	}
}

// cause is why reading failed.
func (c *Conn) cause(err error) error {
	if end, ok := errors.AsType[websocket.CloseError](err); ok {
		return &Ended{Code: Code(end.Code), Reason: end.Reason, Remote: true}
	}
	if code, reason, ok := c.stream.closeSent(); ok {
		return c.fail(code, reason)
	}
	c.stream.mu.Lock()
	lost, server := c.stream.lost, c.stream.out.mask == nil
	c.stream.mu.Unlock()
	switch {
	case lost != nil:
		return lost
	case server && c.stream.in.bare: // which belongs to who reads
		return c.fail(ProtocolError, "the frames of a client are masked")
	}
	return err
}

// fail has the connection be closed with a code, whatever Close is told.
func (c *Conn) fail(code Code, reason string) error {
	e := &Ended{Code: code, Reason: reason}
	c.failure.Store(e)
	return e
}

// pong is called by the reader when a pong has come.
func (c *Conn) pong() {
	select {
	case c.in <- result{pong: true}:
	default: // something else is there to be received
	}
}

// Receive returns the next text message; pong says that it is none, but a sign of life. The error is an [*Ended] or the
// network's, and is the end. It is for one goroutine.
func (c *Conn) Receive() (text string, pong bool, err error) {
	got, more := <-c.in
	if !more {
		return "", false, errClosed
	}
	return got.text, got.pong, got.err
}

var errClosed = errors.New("the connection is closed")

// Send sends a text message. It ends, at the latest, with the write deadline of the socket.
func (c *Conn) Send(text []byte) error {
	return c.inner.Write(context.Background(), websocket.MessageText, text)
}

// Ping asks for a pong, which Receive tells of, and does not wait for it. It is for one goroutine.
func (c *Conn) Ping() {
	c.lastPing()
	var ctx context.Context
	ctx, c.lastPing = context.WithCancel(context.Background())
	c.pings.Go(func() {
		_ = c.inner.Ping(ctx) // where nobody answers, Receive tells of nothing
	})
}

// Close sends a close frame and waits a short time for the other end's. Only the first call counts, and nothing that the
// connection started is left when it returns. What came and was wrong has a code of its own.
func (c *Conn) Close(code Code, reason string) {
	if c.once.Swap(true) {
		return
	}
	close(c.closing)
	if f := c.failure.Load(); f != nil {
		code, reason = f.Code, f.Reason
	}
	reason = cutReason(reason)
	_ = c.stream.SetReadDeadline(time.Time{}) // the answer is to be read whatever was before
	late := time.AfterFunc(closeTimeout, func() { c.stream.closeFor(reason) })
	_ = c.inner.Close(websocket.StatusCode(code), reason) // it ends either way, and the stream tells how
	late.Stop()
	c.stream.closeFor(reason)
	for range c.in { // until the reader has ended
	}
	c.pings.Wait()
	c.lastPing()
	close(c.closed)
}

// Closed is closed when the connection is, and nothing of it is left.
func (c *Conn) Closed() <-chan struct{} { return c.closed }
