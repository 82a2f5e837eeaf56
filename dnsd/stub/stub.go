// Package stub is the resolver of a client: it asks the node's name servers, which do the work, and remembers what they
// said (RFC 1034, section 5.3.1).
package stub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/secure"
	"scenario/dnsd/wire"
	"scenario/event"
	"scenario/host"
)

// Defaults of [Options], as those of resolv.conf(5).
const (
	DefaultTimeout  = 5 * time.Second
	DefaultAttempts = 2
)

// Transport is how the name servers are asked.
type Transport string

// The transports. With the encrypted ones a server must prove its address with a certificate of an authority that the node
// trusts; there is no way back to the plain one.
const (
	Plain Transport = "plain" // UDP, and TCP for what is too long: everybody on the path reads it
	TLS   Transport = "tls"   // DNS over TLS (RFC 7858), port 853
	HTTPS Transport = "https" // DNS over HTTPS (RFC 8484), port 443
)

// exchanger asks one server one question.
type exchanger interface {
	Exchange(ctx context.Context, server netip.AddrPort, q dns.Question, recursionDesired bool) (*dns.Msg, error)
}

// Options configure a [Resolver].
type Options struct {
	Transport Transport     // empty: Plain
	Timeout   time.Duration // for each server, each time it is asked; 0: DefaultTimeout
	Attempts  int           // how often a server that is silent is asked; 0: DefaultAttempts
}

// Resolver resolves names for one node. Its methods may be called from any goroutine.
type Resolver struct {
	host     host.Host
	clients  map[uint16]exchanger // by type: plain questions side by side draw their ids from sources of their own, so each run has the same
	secure   *secure.Client       // nil: the transport is plain
	servers  []netip.AddrPort
	search   []string // domains
	attempts int

	mu      sync.Mutex
	cache   map[key]entry
	flights map[key]*flight
}

// flight is a question under way; those who ask the same meanwhile wait for it.
type flight struct {
	done     chan struct{}
	response *dns.Msg
	err      error
	kept     bool // the response is in the cache
}

// Error is why a name has no address. It wraps the last server's failure, where there is one.
type Error struct {
	Name          string
	Server        netip.AddrPort // the last one asked
	RCode         string         // its response code: NXDOMAIN, SERVFAIL …; empty: no response
	ExtendedError string         // RFC 8914: the server's reason
	NotFound      bool           // the name does not exist, or has no address
	Timeout       bool           // no server answered in time
	Err           error
}

func (e *Error) Error() string {
	switch {
	case e.RCode == wire.RCode(dns.RcodeNameError):
		return fmt.Sprintf("lookup %s: no such name (NXDOMAIN from %s)", e.Name, e.Server)
	case e.NotFound:
		return fmt.Sprintf("lookup %s: the name has no address (asked %s)", e.Name, e.Server)
	case e.RCode != "" && e.ExtendedError != "":
		return fmt.Sprintf("lookup %s: %s from %s: %s", e.Name, e.RCode, e.Server, e.ExtendedError)
	case e.RCode != "":
		return fmt.Sprintf("lookup %s: %s from %s", e.Name, e.RCode, e.Server)
	case errors.As(e.Err, new(*secure.CertificateError)):
		return fmt.Sprintf("lookup %s: %v", e.Name, e.Err)
	case e.Timeout:
		return fmt.Sprintf("lookup %s: the name server %s did not answer in time", e.Name, e.Server)
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("lookup %s: no name server listens on %s (ECONNREFUSED)", e.Name, e.Server)
	}
	return fmt.Sprintf("lookup %s: %v", e.Name, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrNoServers is the error of a node that has no resolver.
var ErrNoServers = errors.New("this node has no name server: give it a resolver, or add a node with dns: {recursive: true}")

// New returns the resolver of h, which asks the host's name servers.
func New(h host.Host) *Resolver { return NewWith(h, Options{}) }

// NewWith is New with options.
func NewWith(h host.Host, o Options) *Resolver {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	r := &Resolver{
		host:     h,
		clients:  make(map[uint16]exchanger),
		servers:  slices.Clone(host.NameServers(h)),
		search:   host.SearchDomains(h),
		attempts: cmp.Or(o.Attempts, DefaultAttempts),
		cache:    make(map[key]entry),
		flights:  make(map[key]*flight),
	}
	if o.Transport == TLS || o.Transport == HTTPS {
		protocol := secure.Protocol(o.Transport)
		r.secure = secure.New(h, secure.Options{Protocol: protocol, Timeout: o.Timeout})
		for i, server := range r.servers {
			r.servers[i] = netip.AddrPortFrom(server.Addr(), protocol.Port())
		}
	}
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS} {
		if r.secure != nil {
			r.clients[kind] = r.secure
		} else {
			r.clients[kind] = wire.New(h, wire.Options{Timeout: o.Timeout})
		}
	}
	return r
}

// Close closes the connections that encrypted transports keep, and waits for what ran on them. The plain transport keeps
// nothing.
func (r *Resolver) Close() {
	if r.secure != nil {
		r.secure.Close()
	}
}

// Query asks for any type of record of a name as it is, without the search list. A response with code NXDOMAIN, or without the record, is a response here. Do not
// change it: others may have it too. With any other code the response comes beside the error.
func (r *Resolver) Query(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	response, _, err := r.query(ctx, name, dns.Fqdn(name), kind)
	var known *Error
	if errors.As(err, &known) && known.NotFound && response != nil {
		return response, nil
	}
	return response, err
}

// query returns the response from the cache, or from somebody who asks already, or asks. Errors call the name as it is called.
func (r *Resolver) query(ctx context.Context, called, name string, kind uint16) (response *dns.Msg, cached bool, err error) {
	if len(r.servers) == 0 {
		return nil, false, &Error{Name: called, Err: ErrNoServers}
	}
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, false, &Error{Name: called, Err: errors.New("this is no domain name")}
	}
	k := key{strings.ToLower(name), kind}
	for {
		r.mu.Lock()
		if e, ok := r.cache[k]; ok && time.Now().Before(e.expires) {
			r.mu.Unlock()
			response := aged(e)
			r.tellCached(ctx, k, response)
			return response, true, notFound(called, e.server, response)
		}
		under, ok := r.flights[k]
		if !ok {
			under = &flight{done: make(chan struct{})}
			r.flights[k] = under
		}
		r.mu.Unlock()
		if !ok {
			r.fly(ctx, called, k, under)
			return under.response, false, under.err
		}
		select {
		case <-under.done:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		// A flight that ended because its own asker gave up says nothing to others.
		gaveUp := errors.Is(under.err, context.Canceled) || errors.Is(under.err, context.DeadlineExceeded)
		if !under.kept && !gaveUp {
			return under.response, false, under.err
		}
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
	}
}

// fly asks the servers and ends the flight.
func (r *Resolver) fly(ctx context.Context, name string, k key, f *flight) {
	server, response, err := r.ask(ctx, dns.Question{Name: k.name, Qtype: k.kind, Qclass: dns.ClassINET})
	if err == nil {
		err = notFound(name, server, response)
	} else if ctx.Err() == nil {
		err = explain(name, server, response, err)
	}
	f.response, f.err = response, err
	r.mu.Lock()
	defer r.mu.Unlock()
	if ttl := lifetime(response); ttl > 0 {
		now := time.Now()
		r.remember(k, entry{server, response, now, now.Add(ttl)})
		f.kept = true
	}
	delete(r.flights, k)
	close(f.done)
}

// errNoUse is the error of a response whose code says that the server could not or would not find out.
var errNoUse = errors.New("the server could not answer")

// ask puts the question to the servers in turn until one knows. A server that is silent is asked again after the others,
// one that said why it does not know, or that nothing listens there, is not.
func (r *Resolver) ask(ctx context.Context, q dns.Question) (server netip.AddrPort, response *dns.Msg, err error) {
	client := r.clients[q.Qtype]
	if client == nil {
		client = r.clients[dns.TypeA]
	}
	left := slices.Clone(r.servers)
	for range r.attempts {
		var silent []netip.AddrPort
		for _, s := range left {
			got, failure := client.Exchange(ctx, s, q, true)
			switch {
			case ctx.Err() != nil:
				return s, nil, ctx.Err()
			case errors.Is(failure, os.ErrDeadlineExceeded):
				silent = append(silent, s)
			case failure != nil:
			case got.Rcode == dns.RcodeSuccess, got.Rcode == dns.RcodeNameError:
				return s, got, nil
			default:
				server, response, err = s, got, errNoUse
			}
			if response == nil { // what a server said tells more than that another said nothing
				server, err = s, failure
			}
		}
		left = silent
	}
	return server, response, err
}

// explain makes an error of a lookup that no server could answer.
func explain(name string, server netip.AddrPort, response *dns.Msg, err error) error {
	e := &Error{Name: name, Server: server, Err: err, Timeout: errors.Is(err, os.ErrDeadlineExceeded)}
	if response != nil && errors.Is(err, errNoUse) {
		var described event.DNSAnswer
		wire.Describe(&described, response)
		e.RCode, e.ExtendedError = described.RCode, described.ExtendedError
	}
	return e
}

// notFound is the error of a response that says that there is no such name; nil for any other.
func notFound(name string, server netip.AddrPort, response *dns.Msg) error {
	if response == nil || response.Rcode != dns.RcodeNameError {
		return nil
	}
	return &Error{Name: name, Server: server, RCode: dns.RcodeToString[response.Rcode], NotFound: true}
}
