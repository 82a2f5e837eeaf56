package stub

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/event"
)

const (
	// cacheSize bounds the answers that are remembered.
	cacheSize = 1000
	// maxNegativeTTL bounds how long the absence of a name is remembered (RFC 2308, section 5).
	maxNegativeTTL = 3 * time.Hour
)

type key struct {
	name string // absolute, lower case
	kind uint16
}

type entry struct {
	server          netip.AddrPort
	response        *dns.Msg
	stored, expires time.Time
}

// tellCached says that the cache answered.
func (r *Resolver) tellCached(ctx context.Context, k key, response *dns.Msg) {
	answer := event.DNSAnswer{Side: event.SideClient, Name: k.name, Type: dns.Type(k.kind).String()}
	wire.Describe(&answer, response)
	answer.Cached = true
	event.Emit(ctx, r.host.Log(), answer)
}

// remember keeps an answer; the lock is held. Where the cache is full, what has expired goes first, then anything.
func (r *Resolver) remember(k key, e entry) {
	if len(r.cache) >= cacheSize {
		now := time.Now()
		for old, known := range r.cache {
			if !now.Before(known.expires) {
				delete(r.cache, old)
			}
		}
	}
	for old := range r.cache {
		if len(r.cache) < cacheSize {
			break
		}
		delete(r.cache, old)
	}
	r.cache[k] = e
}

// lifetime is how long a response may be kept: the shortest TTL of its records, or of the absence that it states.
func lifetime(response *dns.Msg) time.Duration {
	if response == nil || response.Rcode != dns.RcodeSuccess && response.Rcode != dns.RcodeNameError {
		return 0
	}
	seconds := ^uint32(0)
	for _, rr := range response.Answer {
		seconds = min(seconds, rr.Header().Ttl)
	}
	if kind := wire.Kind(response); kind == wire.KindAnswer {
		return time.Duration(seconds) * time.Second
	}
	for _, rr := range response.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			seconds = min(seconds, soa.Hdr.Ttl, soa.Minttl)
			return min(time.Duration(seconds)*time.Second, maxNegativeTTL)
		}
	}
	return 0
}

// aged is the response with the TTLs that are left.
func aged(e entry) *dns.Msg {
	response := e.response.Copy()
	age := uint32(time.Since(e.stored) / time.Second)
	for _, rr := range slices.Concat(response.Answer, response.Ns) {
		rr.Header().Ttl -= min(age, rr.Header().Ttl)
	}
	return response
}
