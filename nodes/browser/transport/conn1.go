package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"scenario/host/errno"
	"scenario/nodes/browser/weburl"
)

// conn1 is an HTTP/1.1 connection. One request at a time owns it; between requests it waits in a line.
type conn1 struct {
	*base
	in    *bufio.Reader
	ended bool // by the server; under the transport's mutex

	// While nobody uses the connection a watcher waits for the next byte, so that a server's close is seen. Who takes the
	// connection then has the reader once came has a value.
	watched bool
	came    chan error

	closing atomic.Bool
}

const readBuffer = 32 << 10 // bytes: most assets come with their head in one read

func newConn1(b *base) *conn1 {
	c := &conn1{base: b, came: make(chan error, 1)}
	c.in = bufio.NewReaderSize(c.nc, readBuffer)
	return c
}

// watch waits for what comes of a connection that nobody uses.
func (c *conn1) watch(t *Transport) {
	if c.watched {
		return
	}
	c.watched = true
	t.running.Go(func() {
		_, err := c.in.Peek(1)
		c.came <- err
		if err != nil {
			t.lost(c)
		}
	})
}

// unasked says that data came on a connection that waits for a request: it is of no more use.
func (c *conn1) unasked() bool {
	return c.uses.Load() > 0 && c.watched && len(c.came) > 0
}

// claim waits for the next byte, whoever reads it.
func (c *conn1) claim() error {
	if c.watched {
		c.watched = false
		return <-c.came
	}
	_, err := c.in.Peek(1)
	return err
}

// close closes the connection, the first time it is called.
func (c *conn1) close(by, reason string) {
	if !c.closing.Swap(true) {
		c.closed(by, reason)
	}
}

func (t *Transport) lease1(p *Place, c *conn1) *Lease {
	x := &exchange1{conn: c, url: p.url, reused: c.uses.Load() > 0, kept: newKept(t.views, t.options.LogBody)}
	l := c.lease(p, "HTTP/1.1", x)
	l.Reused = x.reused
	return l
}

// exchange1 is one request on an HTTP/1.1 connection and its response.
type exchange1 struct {
	conn   *conn1
	url    *weburl.URL
	reused bool

	ctx        context.Context // of the request, from when it is sent
	interrupts func() bool     // stops what interrupts the connection when ctx ends
	firstByte  time.Time       // of the response; zero: none came
	kept       kept
	close      bool  // the connection ends with the response
	whole      bool  // the response was read to its end
	eof        bool  // so was the connection
	err        error // what ended the exchange
}

func (x *exchange1) first() time.Time { return x.firstByte }

func (x *exchange1) raw() Raw { return x.kept.raw() }

func (x *exchange1) stale(error) bool {
	return x.reused && x.firstByte.IsZero() && x.ctx != nil && x.ctx.Err() == nil
}

func (x *exchange1) send(ctx context.Context, r *Request) (*Response, error) {
	c := x.conn
	x.ctx, x.interrupts = ctx, context.AfterFunc(ctx, c.interrupt)
	text := r.head1(x.url)
	if r.Sending != nil {
		r.Sending(Head{Text: string(text)})
	}
	c.uses.Add(1)
	_, err := c.nc.Write(append(text, r.Body...))
	if err != nil {
		c.interrupt()
		c.claim() // the reader is ours again; what it says adds nothing
		return nil, x.fail(PhaseRequest, fmt.Errorf("request to %s: %w", c.remote, err))
	}
	if err := c.claim(); err != nil {
		return nil, x.fail(PhaseResponse, fmt.Errorf("no response from %s: %w", c.remote, err))
	}
	x.firstByte = time.Now()
	resp, err := x.read(r)
	if err != nil {
		return nil, x.fail(PhaseResponse, fmt.Errorf("response from %s: %w", c.remote, err))
	}
	return resp, nil
}

// fail notes what ended the exchange.
func (x *exchange1) fail(phase string, err error) error {
	x.eof = x.eof || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if x.ctx.Err() != nil && !x.eof {
		err = x.ctx.Err()
	}
	x.err = &Error{Phase: phase, Err: err}
	return x.err
}

// read reads the response up to its body, through interim ones.
func (x *exchange1) read(r *Request) (*Response, error) {
	in := headReader{from: x.conn.in, raw: &x.kept.head}
	for interim := 0; ; interim++ {
		h, err := in.read()
		switch {
		case err != nil:
			return nil, err
		case h.status == http.StatusSwitchingProtocols:
			return nil, errors.New("the server switches to a protocol that nobody asked for")
		case h.status >= 200:
			return x.response(r, h)
		case interim == maxInterim:
			return nil, fmt.Errorf("more than %d interim responses", maxInterim)
		case r.Interim != nil:
			r.Interim(h.status, h.header)
		}
	}
}

// response is the response that a head begins.
func (x *exchange1) response(r *Request, h head1) (*Response, error) {
	frame, err := h.framing(r.Method)
	if err != nil {
		return nil, err
	}
	x.close = frame.close
	resp := &Response{
		Status: h.status, Proto: h.proto, Header: h.header, Trailer: make(http.Header), First: x.firstByte,
		Length: frame.told, ConnectionClose: frame.close,
	}
	body := &body1{x: x, in: x.conn.in, left: frame.length, want: frame.length, chunked: frame.chunked, trailer: resp.Trailer}
	body.whole = frame.none
	x.whole = frame.none
	resp.Body = body
	return resp, nil
}

// release closes the connection or has it take another request.
func (x *exchange1) release() {
	c := x.conn
	x.kept.release()
	if x.interrupts == nil { // nothing was sent
		c.transport.put(c)
		return
	}
	undisturbed := x.interrupts()
	switch {
	case undisturbed && x.whole && !x.close && !x.eof && c.in.Buffered() == 0:
		c.transport.put(c)
		return
	case x.eof || errno.Name(x.err) == "ECONNRESET":
		c.close(byRemote, "")
	case undisturbed && x.whole && x.close:
		c.close(byLocal, "the response says that the connection ends with it")
	case undisturbed && x.whole:
		c.close(byLocal, "data came that nobody asked for")
	case x.err != nil:
		c.close(byLocal, "the exchange failed")
	case undisturbed:
		c.close(byLocal, "the rest of the response is not needed")
	default:
		c.close(byLocal, "the request was called off")
	}
	c.transport.drop(c.origin)
}
