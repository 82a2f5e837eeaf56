package recursor

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"scenario/host"
	"scenario/host/hosttest/memnet"
)

// script answers queries by server and name in place of a network.
type script struct {
	mu      sync.Mutex
	queries int
	answer  func(ctx context.Context, server netip.Addr, q dns.Question) (*dns.Msg, error)
}

func (s *script) Exchange(ctx context.Context, server netip.AddrPort, q dns.Question, _ bool) (*dns.Msg, error) {
	s.mu.Lock()
	s.queries++
	s.mu.Unlock()
	return s.answer(ctx, server.Addr(), q)
}

// scripted is a recursor with one root server, 198.51.100.1, whose servers are the script.
func scripted(t *testing.T, h host.Host, s *script) *Recursor {
	t.Helper()
	return newRecursor(h, s, Options{Hints: parsed(t, ". 3600 NS a.root.", "a.root. 3600 A 198.51.100.1")})
}

// parsed reads master file lines.
func parsed(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

func message(authoritative bool, answer, authority []dns.RR) *dns.Msg {
	m := new(dns.Msg)
	m.Response, m.Authoritative = true, authoritative
	m.Answer, m.Ns = answer, authority
	return m
}

// R2: who waits for the same question is not failed by the one who asked first and gave up.
func TestFirstAskerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: func(ctx context.Context, _ netip.Addr, q dns.Question) (*dns.Msg, error) {
			select {
			case <-time.After(100 * time.Millisecond):
				return message(true, parsed(t, q.Name+" 60 A 192.0.2.1"), nil), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		r := scripted(t, memnet.New().Host("resolver", "198.51.100.53"), s)
		first, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if got := r.Resolve(first, "shop.example.", dns.TypeA); got.RCode != dns.RcodeServerFailure {
				t.Errorf("who gave up got %s", dns.RcodeToString[got.RCode])
			}
		})
		synctest.Wait()
		for range 3 {
			group.Go(func() {
				got := r.Resolve(t.Context(), "shop.example.", dns.TypeA)
				if got.RCode != dns.RcodeSuccess || len(got.Answer) != 1 {
					t.Errorf("who waited got %s (%v)", dns.RcodeToString[got.RCode], got.Extended)
				}
			})
		}
		synctest.Wait()
		cancel()
		group.Wait()
		if s.queries != 2 {
			t.Errorf("%d queries, want that of the first and one for the others", s.queries)
		}
	})
}

// R2: a server that is not authoritative is of no use, whatever it answers.
func TestNotAuthoritative(t *testing.T) {
	for name, m := range map[string]*dns.Msg{
		"answer":       message(false, parsed(t, "shop.example. 60 A 192.0.2.66"), nil),
		"alias":        message(false, parsed(t, "shop.example. 60 CNAME www.shop.example."), nil),
		"nodata":       message(false, nil, parsed(t, "example. 60 SOA ns.example. host.example. 1 2 3 4 60")),
		"no such name": {MsgHdr: dns.MsgHdr{Response: true, Rcode: dns.RcodeNameError}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := read(m, "example.", "shop.example.", dns.TypeA); err == nil {
				t.Errorf("taken for %+v", got)
			}
		})
	}
}

// R2: a dead zone is not asked for by every client anew (RFC 9520).
func TestFailureIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: func(context.Context, netip.Addr, dns.Question) (*dns.Msg, error) {
			time.Sleep(time.Second)
			return nil, context.DeadlineExceeded
		}}
		r := scripted(t, memnet.New().Host("resolver", "198.51.100.53"), s)
		first := r.Resolve(t.Context(), "shop.example.", dns.TypeA)
		asked := s.queries
		again := r.Resolve(t.Context(), "shop.example.", dns.TypeA)
		if s.queries != asked || !again.Cached || again.RCode != dns.RcodeServerFailure {
			t.Errorf("%d queries, then %d more; cached: %v", asked, s.queries-asked, again.Cached)
		}
		if first.Extended.ExtraText != again.Extended.ExtraText {
			t.Errorf("reason %q, then %q", first.Extended.ExtraText, again.Extended.ExtraText)
		}
		time.Sleep(failureTTL)
		if r.Resolve(t.Context(), "shop.example.", dns.TypeA); s.queries == asked {
			t.Errorf("not asked again after %s", failureTTL)
		}
	})
}

// counting is a host that counts how often it is asked for its interfaces: once for each server that is considered.
type counting struct {
	*memnet.Host
	considered int
}

func (c *counting) Interfaces() ([]host.Interface, error) {
	c.considered++
	if c.considered > 100_000 {
		return nil, fmt.Errorf("asked for the interfaces %d times", c.considered)
	}
	return c.Host.Interfaces()
}

// R2: zones whose servers are all named in each other do not make work without end, even where no query is sent
// (CVE-2020-8616).
func TestServersNamedInEachOther(t *testing.T) {
	const zones, servers = 8, 12
	h := &counting{Host: memnet.New().Host("resolver", "198.51.100.53")}
	s := &script{answer: func(_ context.Context, _ netip.Addr, q dns.Question) (*dns.Msg, error) {
		labels := dns.SplitDomainName(q.Name)
		var n int
		if _, err := fmt.Sscanf(labels[len(labels)-1], "z%d", &n); err != nil {
			return message(true, nil, nil), nil
		}
		var set []dns.RR
		for i := range servers {
			set = append(set, parsed(t, fmt.Sprintf("z%d. 3600 NS ns%d.z%d.", n, i, (n+1)%zones))...)
		}
		return message(false, nil, set), nil
	}}
	r := scripted(t, h, s)
	got := r.Resolve(t.Context(), "www.z0.", dns.TypeA)
	if got.RCode != dns.RcodeServerFailure {
		t.Errorf("got %s", dns.RcodeToString[got.RCode])
	}
	if s.queries > maxQueries {
		t.Errorf("%d queries", s.queries)
	}
	if h.considered > 10*maxQueries {
		t.Errorf("%d servers considered", h.considered)
	}
}
