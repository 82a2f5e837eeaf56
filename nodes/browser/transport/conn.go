package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"scenario/event"
)

// maxHead bounds the head of a response, in bytes; interim responses count with it.
const maxHead = 256 << 10

// maxInterim bounds the interim responses before a response.
const maxInterim = 100

// wire counts what goes over a connection. It is below TLS.
type wire struct {
	net.Conn
	sent, received atomic.Int64
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.received.Add(int64(n))
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.sent.Add(int64(n))
	return n, err
}

// buffered is a wire for TLS, which reads each record in pieces.
type buffered struct {
	*wire
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// base is what connections of either protocol have.
type base struct {
	transport *Transport
	wire      *wire
	nc        net.Conn // the wire, or TLS over it
	state     *tls.ConnectionState
	origin    origin
	serial    int             // among the transport's connections
	opened    context.Context // of the events about the connection: the trace that opened it
	local     string
	remote    string
	uses      atomic.Int64 // requests so far
}

func (b *base) number() int { return b.serial }

// closed closes the connection and says so.
func (b *base) closed(by, reason string) {
	b.nc.Close() // an error would say no more than that it is closed
	event.Emit(b.opened, b.transport.host.Log(), event.SocketClose{
		Network: "tcp", Local: b.local, Remote: b.remote, Socket: event.SocketConnection,
		By: by, Sent: b.wire.sent.Load(), Received: b.wire.received.Load(), Reason: reason,
	})
}

// interrupt ends what is being read or written.
func (b *base) interrupt() {
	b.wire.SetDeadline(time.Unix(1, 0)) // an error means that the connection has ended already
}

// exchange is one request and its response, on a connection of either protocol.
type exchange interface {
	send(ctx context.Context, r *Request) (*Response, error)
	stale(err error) bool
	first() time.Time
	raw() Raw
	release()
}

// Lease is the use of a connection, or of a stream of one, for one request.
type Lease struct {
	Timing        Timing
	ID            string // tells the connections of a transport apart: 1, 2 … in the order in which they were opened
	Local, Remote string
	Proto         string               // HTTP/1.1 or HTTP/2
	Reused        bool                 // it is not the connection's first request
	CachedLookup  bool                 // the address was known without asking
	TLS           *tls.ConnectionState // nil: plain

	exchange exchange
	released sync.Once
}

func (b *base) lease(p *Place, proto string, x exchange) *Lease {
	p.Remote = b.remote
	return &Lease{
		Timing: p.Timing, ID: id(b.serial), Local: b.local, Remote: b.remote, Proto: proto, TLS: b.state, exchange: x,
	}
}

// Send sends the request and reads the response up to its body. When ctx ends, so does the exchange, up to Release. An
// error is an [*Error] of PhaseRequest or PhaseResponse.
func (l *Lease) Send(ctx context.Context, r *Request) (*Response, error) {
	if err := r.check(); err != nil {
		return nil, &Error{Phase: PhaseRequest, Err: err}
	}
	return l.exchange.send(ctx, r)
}

// Stale says that the server closed the connection before it saw the request, which failed with err: it can be sent again
// on another one. The first request of a connection is never stale.
func (l *Lease) Stale(err error) bool { return err != nil && l.Reused && l.exchange.stale(err) }

// First is when the first byte of the response came, zero where none did.
func (l *Lease) First() time.Time { return l.exchange.first() }

// Raw is what has come of the response so far, whether or not it could be read.
func (l *Lease) Raw() Raw { return l.exchange.raw() }

// Release gives the connection back: for another request where the response was read to its end, else it is closed, or
// the stream reset. Every lease is released once, after the events about its exchange were told.
func (l *Lease) Release() { l.released.Do(l.exchange.release) }

// kept is a response as it came: its head, and the beginning of its body. Responses share the memory for it, one after the
// other.
type kept struct {
	spare *sync.Pool // of *views; nil: there are none to share
	limit int        // bytes of the body
	total int64
	views
}

// views are bytes that Raw shows.
type views struct{ head, body []byte }

func newViews() any { return new(views) }

func newKept(spare *sync.Pool, limit int) kept {
	k := kept{spare: spare, limit: limit}
	if spare != nil {
		k.views = *spare.Get().(*views)
	}
	return k
}

func (k *kept) record(p []byte) {
	k.total += int64(len(p))
	if room := k.limit - len(k.body); room > 0 && len(p) > 0 {
		k.body = append(k.body, p[:min(len(p), room)]...)
	}
}

func (k *kept) raw() Raw { return Raw{Head: k.head, Body: k.body, Total: k.total} }

// release gives the memory back, where it is no more than usual.
func (k *kept) release() {
	const most = 64 << 10 // bytes
	if v := k.views; k.spare != nil && cap(v.head)+cap(v.body) <= most {
		k.spare.Put(&views{v.head[:0], v.body[:0]})
	}
	k.views = views{}
}

// early is the error of a body that ended before it was whole; want is -1 where its length was not told.
func early(got, want int64, err error) error {
	if want >= 0 {
		return fmt.Errorf("the response ended early: %d of %d bytes came: %w", got, want, err)
	}
	return fmt.Errorf("the response ended early: %d bytes came, and its last chunk did not: %w", got, err)
}

// bodiless says that a response has no body whatever its head says (RFC 9110, section 6.4.1).
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}
