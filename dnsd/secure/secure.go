// Package secure puts questions to DNS servers over connections that nobody on the path can read: DNS over TLS (RFC 7858)
// and DNS over HTTPS (RFC 8484).
//
// secure.go has the client, connection.go the connections that it keeps, tls.go and https.go what is said over them.
package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
)

// Protocol is how messages are carried.
type Protocol string

// The protocols, named as in events.
const (
	TLS   Protocol = "tls"
	HTTPS Protocol = "https"
)

// Port is where servers of the protocol listen.
func (p Protocol) Port() uint16 {
	if p == HTTPS {
		return 443
	}
	return 853
}

// Path is where a server of DNS over HTTPS answers; RFC 8484 leaves it open, this one is what all have.
const Path = "/dns-query"

// MediaType is that of DNS messages (RFC 8484, section 6).
const MediaType = "application/dns-message"

const (
	// idleTimeout is how long a connection is kept that nobody uses (RFC 7858, section 3.4).
	idleTimeout = 10 * time.Second
	// queryBlock is what the length of queries is padded to a multiple of, in bytes (RFC 8467, section 4.1).
	queryBlock = 128
)

// ErrEnded is the error of a question on a connection that ended before the answer.
var ErrEnded = errors.New("the resolver closed the connection before it answered")

// ErrClosed is the error of a question to a client that is closed.
var ErrClosed = errors.New("the resolver's client is closed")

// CertificateError is the failure of a server to prove that it has the address that was asked.
type CertificateError struct {
	Reason  string // in short: expired, wrong-name, untrusted …
	Meaning string // one plain sentence
	Err     error
}

func (e *CertificateError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the resolver's certificate is refused: %v", e.Err)
	}
	return fmt.Sprintf("the resolver's certificate is refused (%s): %v", e.Reason, e.Err)
}

func (e *CertificateError) Unwrap() error { return e.Err }

// Options configure a [Client].
type Options struct {
	Protocol Protocol
	Timeout  time.Duration // for an answer, the connection included; 0: wire.DefaultTimeout
}

// Client asks DNS servers, each over one connection that it keeps for a while. Its methods may be called from any
// goroutine.
type Client struct {
	host     host.Host
	protocol Protocol
	timeout  time.Duration
	sessions tls.ClientSessionCache
	life     context.Context // of the connections
	end      context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	kept  map[netip.AddrPort]*connection
	rand  *rand.Rand // of query ids
	ended bool
}

// New returns a client on h, which verifies servers by their address against the authorities that h trusts.
func New(h host.Host, o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = wire.DefaultTimeout
	}
	life, end := context.WithCancel(context.Background())
	return &Client{
		host: h, protocol: o.Protocol, timeout: o.Timeout, sessions: tls.NewLRUClientSessionCache(0), life: life, end: end,
		kept: make(map[netip.AddrPort]*connection), rand: rand.New(h.Rand()),
	}
}

// Close closes the connections and waits for what ran on them. Questions under way fail.
func (c *Client) Close() {
	c.mu.Lock()
	c.ended = true
	var open []*connection
	for _, k := range c.kept {
		open = append(open, k)
	}
	c.mu.Unlock()
	c.end()
	for _, k := range open {
		k.close("not needed any more")
	}
	c.running.Wait()
}

// Exchange asks server the question and returns its response, whatever the response code. There is no way back to what
// others can read: a server that cannot prove its address is a [*CertificateError]. Other errors are as those of
// [wire.Client.Exchange].
func (c *Client) Exchange(ctx context.Context, server netip.AddrPort, q dns.Question, recursionDesired bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	response, again, err := c.try(ctx, server, q, recursionDesired)
	if again {
		response, _, err = c.try(ctx, server, q, recursionDesired)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", server, err)
	}
	return response, nil
}

// try makes one exchange and tells it; again says that a connection kept from before had ended meanwhile (RFC 7766, section
// 6.2.4).
func (c *Client) try(ctx context.Context, server netip.AddrPort, q dns.Question, recursionDesired bool) (response *dns.Msg, again bool, err error) {
	began := time.Now()
	query := c.query(q, recursionDesired)
	conn, made, err := c.connection(ctx, server)
	if err == nil {
		defer conn.release()
	}
	host.Turn(c.host, fmt.Sprintf("ask %s %s %d", server, q.Name, q.Qtype)) // several may have waited for the connection
	asked := event.DNSQuery{
		Side: event.SideClient, Remote: server.String(), Transport: string(c.protocol), QueryID: query.Id,
		Name: q.Name, Type: dns.Type(q.Qtype).String(), Recursion: recursionDesired,
	}
	if err == nil {
		asked.Local = conn.local()
	}
	tell := event.Begin(ctx, c.host.Log(), asked)
	size := 0
	if err == nil {
		response, size, err = conn.exchange(ctx, query)
		host.Turn(c.host, fmt.Sprintf("answer %s %s %d", server, q.Name, q.Qtype)) // several may have come at once
	}
	err = cause(ctx, err)
	answer := event.DNSAnswer{
		Side: event.SideClient, Local: asked.Local, Remote: asked.Remote, Transport: asked.Transport, QueryID: query.Id,
		Name: asked.Name, Type: asked.Type, Duration: time.Since(began).Seconds(),
	}
	if err != nil {
		answer.Kind, answer.Error = wire.KindError, err.Error()
		if meaning := errno.Meaning(err); meaning != "" {
			answer.Error += ": " + meaning
		}
	} else {
		wire.Describe(&answer, response)
		answer.Size = size
	}
	event.Emit(tell, c.host.Log(), answer)
	return response, errors.Is(err, ErrEnded) && !made, err
}

// query makes a query, padded so that its length tells little (RFC 7830).
func (c *Client) query(q dns.Question, recursionDesired bool) *dns.Msg {
	m := new(dns.Msg)
	m.RecursionDesired = recursionDesired
	m.Question = []dns.Question{q}
	m.SetEdns0(wire.UDPSize, false)
	wire.Pad(m, queryBlock)
	if c.protocol == HTTPS {
		return m // id 0: RFC 8484, section 4.1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Id = uint16(c.rand.Uint32())
	return m
}

// refused makes a [*CertificateError] of a handshake that failed because of the certificate; it returns any other error as
// it is.
func refused(err error, reason, meaning string) error {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return &CertificateError{Reason: reason, Meaning: meaning, Err: certificate.Err}
	}
	return fmt.Errorf("tls handshake: %w", err)
}

// cause prefers the reason why ctx ended to what follows from it.
func cause(ctx context.Context, err error) error {
	switch {
	case err == nil, ctx.Err() == nil:
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return os.ErrDeadlineExceeded
	}
	return ctx.Err()
}
