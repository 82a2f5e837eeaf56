// Package wire puts one question to one DNS server and brings its answer: over UDP, and over TCP where the answer was
// too long for a datagram (RFC 1035, section 4.2; RFC 7766).
package wire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
)

const (
	// UDPSize is the size of a UDP response, in bytes, that we ask for (EDNS0, RFC 6891): it fits every path's MTU.
	UDPSize = 1232
	// readSize is the size of a UDP response that is still read, in bytes, where a server sends more than was asked for.
	readSize = 4096
	// DefaultTimeout is how long a server has for an answer.
	DefaultTimeout = 2 * time.Second
)

// Options configure a [Client].
type Options struct {
	Timeout time.Duration // for an answer over UDP, and again over TCP; 0: DefaultTimeout
}

// Client asks DNS servers. Its methods may be called from any goroutine.
type Client struct {
	host    host.Host
	timeout time.Duration

	mu   sync.Mutex
	rand *rand.Rand // of query ids
}

// New returns a client on h.
func New(h host.Host, o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return &Client{host: h, timeout: o.Timeout, rand: rand.New(h.Rand())}
}

// Exchange asks server the question and returns its response, whatever the response code. Only a response with the
// query's id and question counts (RFC 5452, section 9); the socket is connected, so it comes from server. A server that
// does not know EDNS0 is asked again without (RFC 6891, section 7). The error wraps what the socket said:
// syscall.ECONNREFUSED, os.ErrDeadlineExceeded, …
func (c *Client) Exchange(ctx context.Context, server netip.AddrPort, q dns.Question, recursionDesired bool) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.Id = c.id()
	query.RecursionDesired = recursionDesired
	query.Question = []dns.Question{q}
	query.SetEdns0(UDPSize, false)

	response, err := c.try(ctx, "udp", server, query)
	if err == nil && response.Rcode == dns.RcodeFormatError && response.IsEdns0() == nil {
		query.Id, query.Extra = c.id(), nil
		response, err = c.try(ctx, "udp", server, query)
	}
	if err == nil && response.Truncated {
		response, err = c.try(ctx, "tcp", server, query)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", server, err)
	}
	return response, nil
}

func (c *Client) id() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint16(c.rand.Uint32())
}

// Families says of which families h has addresses to ask from; where it has none but loopback ones, those count.
func Families(h host.Host) (v4, v6 bool, err error) {
	interfaces, err := h.Interfaces()
	if err != nil {
		return false, false, fmt.Errorf("list interfaces: %w", err)
	}
	var loop4, loop6 bool
	for _, itf := range interfaces {
		for _, prefix := range itf.Addrs {
			switch addr := prefix.Addr(); {
			case addr.IsLinkLocalUnicast():
			case addr.IsLoopback():
				loop4, loop6 = loop4 || addr.Is4(), loop6 || addr.Is6()
			default:
				v4, v6 = v4 || addr.Is4(), v6 || addr.Is6()
			}
		}
	}
	if !v4 && !v6 {
		return loop4, loop6, nil
	}
	return v4, v6, nil
}

// try makes one exchange and tells it.
func (c *Client) try(ctx context.Context, network string, server netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(c.timeout))
	defer cancel()
	q := query.Question[0]
	asked := event.DNSQuery{
		Side: event.SideClient, Remote: server.String(), Transport: network, QueryID: query.Id,
		Name: q.Name, Type: dns.Type(q.Qtype).String(), Recursion: query.RecursionDesired,
	}
	conn, err := c.host.Dial(ctx, network, server.String())
	if err != nil {
		err = cause(ctx, err)
	} else {
		defer conn.Close()
		asked.Local = conn.LocalAddr().String()
	}
	ctx = event.Begin(ctx, c.host.Log(), asked)
	var (
		response *dns.Msg
		size     int
	)
	if err == nil {
		response, size, err = exchange(ctx, conn, network, query)
	}
	if ctx.Err() != nil { // questions that were asked side by side are given up at once
		host.Turn(c.host, fmt.Sprintf("query %s %d ends", q.Name, q.Qtype))
	}
	answer := event.DNSAnswer{
		Side: event.SideClient, Local: asked.Local, Remote: asked.Remote, Transport: network, QueryID: query.Id,
		Name: asked.Name, Type: asked.Type, Duration: time.Since(began).Seconds(),
	}
	if err != nil {
		answer.Kind, answer.Error = KindError, err.Error()
		if meaning := errno.Meaning(err); meaning != "" {
			answer.Error += ": " + meaning
		}
	} else {
		Describe(&answer, response)
		answer.Size = size
	}
	event.Emit(ctx, c.host.Log(), answer)
	return response, err
}

// exchange writes the query and reads until its response comes or ctx ends.
func exchange(ctx context.Context, conn net.Conn, network string, query *dns.Msg) (*dns.Msg, int, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	// dns.Conn knows the framing of both transports; it is no more than a reader and writer of messages.
	messages := &dns.Conn{Conn: conn, UDPSize: readSize}
	if network == "udp" {
		messages.Conn = datagrams{conn}
	}
	if err := messages.WriteMsg(query); err != nil {
		return nil, 0, cause(ctx, err)
	}
	for {
		raw, err := messages.ReadMsgHeader(nil)
		switch {
		case errors.Is(err, dns.ErrShortRead) && network == "udp":
			continue // no message at all
		case err != nil:
			return nil, 0, cause(ctx, err)
		}
		response := new(dns.Msg)
		if err := response.Unpack(raw); err != nil || !Answers(query, response) {
			continue // somebody else's, or nobody's: the true one may still come
		}
		return response, len(raw), nil
	}
}

// datagrams marks a connection as one of datagrams for dns.Conn, which frames messages on any other.
type datagrams struct{ net.Conn }

func (d datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := d.Read(b)
	return n, d.RemoteAddr(), err
}

func (d datagrams) WriteTo(b []byte, _ net.Addr) (int, error) { return d.Write(b) }

// Answers says whether a response is one to the query: it has its id and its question.
func Answers(query, response *dns.Msg) bool {
	if !response.Response || response.Id != query.Id {
		return false
	}
	// A server that could not read the question may leave it out.
	if len(response.Question) == 0 {
		return response.Rcode == dns.RcodeFormatError || response.Rcode == dns.RcodeNotImplemented
	}
	got, want := response.Question[0], query.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// cause prefers the reason why ctx ended to the closed connection that follows from it. Time that ran out is
// os.ErrDeadlineExceeded, as from a socket's own deadline.
func cause(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return os.ErrDeadlineExceeded
	}
	return ctx.Err()
}
