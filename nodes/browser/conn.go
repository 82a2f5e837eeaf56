package browser

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"scenario/event"
)

// conn is a connection to a server. One request at a time owns it; between requests it waits in a pool.
type conn struct {
	nc     net.Conn
	serial int // in its pool
	origin string
	log    *slog.Logger
	opened context.Context // of the events about the connection: the trace that opened it
	local  string
	remote string

	tap  tap
	in   *bufio.Reader // over tap
	sent int64
	uses int // requests so far

	ended bool // by the server; under the pool's mutex

	// The watcher waits for the next byte, so that a server's close is seen while nobody uses the connection. The owner
	// has the reader from a value of came until it sends to wake.
	wake chan struct{}
	came chan error

	closing sync.Once
}

// newConn wraps nc; the caller runs watch.
func newConn(ctx context.Context, nc net.Conn, origin string, log *slog.Logger, logBody int) *conn {
	c := &conn{
		nc: nc, origin: origin, log: log, opened: context.WithoutCancel(ctx),
		local: nc.LocalAddr().String(), remote: nc.RemoteAddr().String(),
		tap:  tap{from: nc, limit: logBody},
		wake: make(chan struct{}, 1), came: make(chan error, 1),
	}
	c.in = bufio.NewReader(&c.tap)
	c.wake <- struct{}{}
	return c
}

// watch runs until the connection is closed; it calls lost where that was not done here.
func (c *conn) watch(lost func(*conn)) {
	for range c.wake {
		_, err := c.in.Peek(1)
		c.came <- err
		if err != nil {
			lost(c)
			return
		}
	}
}

// unasked says that data came on a connection that waits for a request: it is of no more use.
func (c *conn) unasked() bool { return c.uses > 0 && len(c.came) > 0 }

// interrupt ends what is being read or written.
func (c *conn) interrupt() {
	c.nc.SetDeadline(time.Unix(1, 0)) // an error means that the connection has ended already
}

// roundTrip sends a request's bytes and reads the response up to its body. first is when its first byte came; zero where
// none did. phase says what err ended.
func (c *conn) roundTrip(request []byte) (resp *http.Response, first time.Time, phase string, err error) {
	n, err := c.nc.Write(request)
	c.sent += int64(n)
	if err != nil {
		c.interrupt()
		<-c.came // the reader is the caller's again
		return nil, first, phaseRequest, fmt.Errorf("request to %s: %w", c.remote, err)
	}
	if err := <-c.came; err != nil {
		return nil, first, phaseResponse, fmt.Errorf("no response from %s: %w", c.remote, err)
	}
	first = time.Now()
	for {
		resp, err = http.ReadResponse(c.in, &http.Request{Method: http.MethodGet})
		if len(c.tap.head) > maxHead {
			err = errHeadTooLong // which net/http does not pass on
		}
		if err != nil {
			return nil, first, phaseResponse, fmt.Errorf("response from %s: %w", c.remote, err)
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, first, phaseResponse, nil
		}
	}
}

// again gives the reader back to the watcher after a response was read to its end.
func (c *conn) again() {
	c.tap.next()
	c.wake <- struct{}{}
}

// close closes the connection, the first time it is called.
func (c *conn) close(by, reason string) {
	c.closing.Do(func() {
		c.nc.Close() // an error would say no more than that it is closed
		close(c.wake)
		event.Emit(c.opened, c.log, event.SocketClose{
			Network: "tcp", Local: c.local, Remote: c.remote, Socket: event.SocketConnection,
			By: by, Sent: c.sent, Received: c.tap.total.Load(), Reason: reason,
		})
	})
}

// counter counts what is read and knows when it was all.
type counter struct {
	from io.Reader
	want int64 // -1: not known
	n    int64
	done bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if err == io.EOF || c.want >= 0 && c.n >= c.want {
		c.done = true
	}
	return n, err
}
