package transport

import (
	"context"
	"crypto/tls"
	"time"

	"scenario/dnsd/stub"
	"scenario/host"
	"scenario/nodes/browser/weburl"
)

// Transport makes connections and keeps them. Its methods may be called from any goroutine.
type Transport struct{}

// Resolver finds the addresses of a name, best first. One that is also a ServiceResolver is asked as that.
type Resolver interface {
	Lookup(ctx context.Context, name string) (stub.Answer, error)
}

// New returns the transport of a browser on h. Its Rand is asked for here.
func New(h host.Host, r Resolver, o Options) *Transport { return nil }

// Place is a request's place in line. What stands in its fields is filled by Acquire, also where that fails.
type Place struct {
	Timing  Timing
	Remote  string // the address that was connected to, or that failed
	Lookups int    // that asked a server for this request, not for another one
	Opened  int    // connections that were made for it
}

// Reserve takes a request's place in line. The order of these calls decides within an urgency (RFC 9218, section 4.1: 0 goes
// first, 7 last). Every place is acquired once.
func (t *Transport) Reserve(u *weburl.URL, partition string, urgency int) *Place { return nil }

// Acquire waits for a free connection, or makes one: it looks the server up, connects and has TLS prove who it is. The
// events belong to the trace of ctx. An error is an [*Error] or an [*UpgradeError]; a place is given up with it.
func (t *Transport) Acquire(ctx context.Context, p *Place) (*Lease, error) { return nil, nil }

// Preconnect makes a connection that a request is going to need, unless there is one that can take it (rel=preconnect),
// and returns when it is there. It has a Turn of its own, so the caller takes none.
func (t *Transport) Preconnect(ctx context.Context, u *weburl.URL, partition string) error {
	return nil
}

// CloseIdle closes the connections that nobody uses, in the order in which they were opened.
func (t *Transport) CloseIdle(reason string) {}

// Close is CloseIdle, and waits until the goroutines of all connections have ended: nobody may hold a lease. Connections
// can be made again afterwards.
func (t *Transport) Close(reason string) {}

// Lease is the use of a connection, or of a stream of one, for one request.
type Lease struct {
	Timing        Timing
	ID            string // tells the connections of a transport apart: 1, 2 … in the order in which they were opened
	Local, Remote string
	Proto         string               // HTTP/1.1 or HTTP/2.0
	Reused        bool                 // it is not the connection's first request
	CachedLookup  bool                 // the address was known without asking
	TLS           *tls.ConnectionState // nil: plain
}

// Send sends the request and reads the response up to its body. When ctx ends, so does the exchange, up to Release. An
// error is an [*Error] of PhaseRequest or PhaseResponse.
func (l *Lease) Send(ctx context.Context, r *Request) (*Response, error) { return nil, nil }

// Stale says that the server closed the connection before it saw the request, which failed with err: it can be sent again
// on another one.
func (l *Lease) Stale(err error) bool { return false }

// First is when the first byte of the response came, zero where none did.
func (l *Lease) First() time.Time { return time.Time{} }

// Raw is what has come of the response so far, whether or not it could be read.
func (l *Lease) Raw() Raw { return Raw{} }

// Release gives the connection back: for another request where the response was read to its end, else it is closed, or
// the stream reset. Every lease is released once, after the events about its exchange were told.
func (l *Lease) Release() {}
