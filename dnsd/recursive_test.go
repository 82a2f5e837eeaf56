package dnsd

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"scenario/event"
	"scenario/host/hosttest/memnet"
)

const (
	rootZone = `.
		@ NS a.root.
		a.root A 198.51.100.1
		example NS ns.example.
		ns.example A 198.51.100.2`
	exampleZone = `example
		@ NS ns
		ns A 198.51.100.2
		shop NS ns.shop
		ns.shop A 198.51.100.3
		store NS ns.shop`
	storeZone = `store.example
		www CNAME shop.example.`
	shopZone = `shop.example
		@ NS ns
		ns A 198.51.100.3
		@ 60 A 198.51.100.80
		www CNAME shop.example.
		big TXT "start"`
)

// usual starts the servers of root, example and shop.example, and a resolver.
func (l *lab) usual() (resolver, client *memnet.Host) {
	l.t.Helper()
	l.authority("root", "198.51.100.1", rootZone)
	l.authority("tld", "198.51.100.2", exampleZone)
	l.authority("ns", "198.51.100.3", shopZone, storeZone)
	return l.resolver(), l.net.Host("client", "198.51.100.99")
}

// R2: the resolver asks root, TLD and authority; the second time it knows, and counts the TTL down.
func TestRecursion(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		resolver, client := l.usual()
		m := l.ask(client, "www.shop.example.", dns.TypeA)
		l.expect(m, dns.RcodeSuccess, "www.shop.example. 300 CNAME shop.example.", "shop.example. 60 A 198.51.100.80")
		if m.Authoritative || !m.RecursionAvailable || !m.RecursionDesired {
			t.Errorf("flags: %s", m.MsgHdr.String())
		}
		want := []string{
			"www.shop.example. A 198.51.100.1",
			"www.shop.example. A 198.51.100.2",
			"www.shop.example. A 198.51.100.3",
		}
		if diff := cmp.Diff(want, asked(resolver)); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}

		resolver.Forget()
		time.Sleep(20 * time.Second)
		l.expect(l.ask(client, "WWW.shop.example.", dns.TypeA), dns.RcodeSuccess,
			"www.shop.example. 280 CNAME shop.example.", "shop.example. 40 A 198.51.100.80")
		if got := asked(resolver); got != nil {
			t.Errorf("asked %q for what is in the cache", got)
		}
		answers := memnet.Told[event.DNSAnswer](resolver)
		if len(answers) != 1 || !answers[0].Cached || answers[0].TTL != 40 || answers[0].Kind != "answer" {
			t.Errorf("answers told: %+v", answers)
		}

		resolver.Forget()
		time.Sleep(41 * time.Second)
		l.expect(l.ask(client, "www.shop.example.", dns.TypeA), dns.RcodeSuccess,
			"www.shop.example. 239 CNAME shop.example.", "shop.example. 60 A 198.51.100.80")
		if diff := cmp.Diff([]string{"shop.example. A 198.51.100.3"}, asked(resolver)); diff != "" {
			t.Errorf("after the TTL: asked (-want +got):\n%s", diff)
		}
	})
}

// R36: what the resolver asks stands below the query that it serves.
func TestQueryLog(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		resolver, client := l.usual()
		l.ask(client, "shop.example.", dns.TypeA)
		l.ask(client, "shop.example.", dns.TypeA)
		var got []string
		for _, r := range resolver.Records() {
			if strings.HasPrefix(r.Event, "dns.") {
				kind, _ := r.Attrs["kind"].(string)
				line := []string{r.Event, r.Attrs["side"].(string), r.Trace(), r.ID(), r.Parent(), kind}
				got = append(got, strings.Join(line, "|"))
			}
		}
		want := []string{
			"dns.query|server|dns/1|dns/1.1||",
			"dns.query|client|dns/1|dns/1.2|dns/1.1|",
			"dns.answer|client|dns/1||dns/1.2|referral",
			"dns.query|client|dns/1|dns/1.3|dns/1.1|",
			"dns.answer|client|dns/1||dns/1.3|referral",
			"dns.query|client|dns/1|dns/1.4|dns/1.1|",
			"dns.answer|client|dns/1||dns/1.4|answer",
			"dns.answer|server|dns/1||dns/1.1|answer",
			"dns.query|server|dns/2|dns/2.1||",
			"dns.answer|server|dns/2||dns/2.1|answer",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// RFC 2308: that there is no such name, or no such data, is remembered for the SOA's time.
func TestNegativeCache(t *testing.T) {
	for _, test := range []struct {
		name, question string
		qtype          uint16
		rcode          int
	}{
		{"no name", "none.shop.example.", dns.TypeA, dns.RcodeNameError},
		{"no data", "shop.example.", dns.TypeAAAA, dns.RcodeSuccess},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				resolver, client := l.usual()
				l.expect(l.ask(client, test.question, test.qtype), test.rcode)
				resolver.Forget()
				time.Sleep(50 * time.Second)
				m := l.ask(client, test.question, test.qtype)
				l.expect(m, test.rcode)
				if len(m.Ns) != 1 || m.Ns[0].Header().Ttl != 10 {
					t.Errorf("authority is %v", m.Ns)
				}
				if got := asked(resolver); got != nil {
					t.Errorf("asked %q", got)
				}
				time.Sleep(11 * time.Second)
				l.expect(l.ask(client, test.question, test.qtype), test.rcode)
				if got := asked(resolver); len(got) != 1 {
					t.Errorf("after the TTL: asked %q", got)
				}
			})
		})
	}
}

// A name that does not exist has no records of any type: one question is enough (RFC 2308, section 5).
func TestNoNameForAllTypes(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		resolver, client := l.usual()
		l.ask(client, "none.shop.example.", dns.TypeA)
		resolver.Forget()
		l.expect(l.ask(client, "none.shop.example.", dns.TypeMX), dns.RcodeNameError)
		if got := asked(resolver); got != nil {
			t.Errorf("asked %q", got)
		}
	})
}

func TestServersThatFail(t *testing.T) {
	refuse := func(query *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(query)
		m.Rcode = dns.RcodeRefused
		return m
	}
	upward := func(query *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(query)
		m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "a.root."}}
		return m
	}
	for _, test := range []struct {
		name string
		at   func(l *lab) // what is at the server of shop.example
		want []string     // in the extended error
		most time.Duration
	}{
		{"dead", func(l *lab) { l.net.Silence("198.51.100.3") }, []string{"No Reachable Authority", "ns.shop.example. (198.51.100.3) did not answer", "servers of shop.example."}, 2100 * time.Millisecond},
		{"nothing listens", func(l *lab) { l.net.Host("ns", "198.51.100.3") }, []string{"Network Error", "ns.shop.example. (198.51.100.3)", "connection refused"}, 100 * time.Millisecond},
		{"refuses", func(l *lab) { l.rogue("ns", "198.51.100.3", refuse) }, []string{"No Reachable Authority", "(198.51.100.3) answered REFUSED"}, 100 * time.Millisecond},
		{"refers upward", func(l *lab) { l.rogue("ns", "198.51.100.3", upward) }, []string{"(198.51.100.3) is not a server of the zone: it refers to ."}, 100 * time.Millisecond},
		{"lame", func(l *lab) { l.authority("ns", "198.51.100.3", "other.example\n@ A 192.0.2.1") }, []string{"answered REFUSED"}, 100 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.authority("root", "198.51.100.1", rootZone)
				l.authority("tld", "198.51.100.2", exampleZone)
				test.at(l)
				l.resolver()
				client := l.net.Host("client", "198.51.100.99")
				began := time.Now()
				m := l.ask(client, "shop.example.", dns.TypeA)
				l.expect(m, dns.RcodeServerFailure)
				for _, want := range test.want {
					if !strings.Contains(extended(m), want) {
						t.Errorf("extended error is %q, want it to have %q", extended(m), want)
					}
				}
				if took := time.Since(began); took > test.most {
					t.Errorf("took %s, want at most %s", took, test.most)
				}
			})
		})
	}
}

// One of two servers is enough, whichever is asked first.
func TestOneServerDead(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.authority("root", "198.51.100.1", `.
			@ NS a.root.
			shop NS ns1.shop.
			shop NS ns2.shop.
			ns1.shop A 198.51.100.3
			ns2.shop A 198.51.100.4`)
		l.authority("ns2", "198.51.100.4", "shop\n@ NS ns1\n@ NS ns2\n* 0 A 198.51.100.80")
		resolver := l.resolver()
		client := l.net.Host("client", "198.51.100.99")
		for i := range 20 {
			name := fmt.Sprintf("www%d.shop.", i)
			l.expect(l.ask(client, name, dns.TypeA), dns.RcodeSuccess, name+" 0 A 198.51.100.80")
		}
		if !slices.ContainsFunc(asked(resolver), func(q string) bool { return strings.HasSuffix(q, "198.51.100.3") }) {
			t.Error("the dead server was never asked: the test shows nothing")
		}
	})
}

// Servers without glue are looked up; where that leads in a circle the search ends.
func TestServersWithoutGlue(t *testing.T) {
	const root = `.
		@ NS a.root.
		shop NS ns.host.
		host NS ns.host.
		ns.host A 198.51.100.4
		a NS ns.b.
		b NS ns.a.
		self NS ns.self.
		blank NS ns.blank.host.`
	inLab(t, func(t *testing.T, l *lab) {
		l.authority("root", "198.51.100.1", root)
		l.authority("host", "198.51.100.4", "host\nns A 198.51.100.4", "shop\n@ A 198.51.100.80")
		resolver := l.resolver()
		client := l.net.Host("client", "198.51.100.99")
		l.expect(l.ask(client, "shop.", dns.TypeA), dns.RcodeSuccess, "shop. 300 A 198.51.100.80")
		for name, want := range map[string]string{
			"www.a.":     "its address is needed to find its address",
			"www.self.":  "its address is needed to find its address",
			"www.blank.": "the name of this server has no address",
		} {
			resolver.Forget()
			m := l.ask(client, name, dns.TypeA)
			l.expect(m, dns.RcodeServerFailure)
			if !strings.Contains(extended(m), want) {
				t.Errorf("%s: extended error is %q, want %q", name, extended(m), want)
			}
			if n := len(asked(resolver)); n > 8 {
				t.Errorf("%s: %d queries", name, n)
			}
		}
	})
}

// A server may speak for its own zone only: what it says of others is neither answered nor remembered (RFC 5452).
func TestBailiwick(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.authority("root", "198.51.100.1", `.
			@ NS a.root.
			evil NS ns.evil.
			ns.evil A 198.51.100.66
			shop NS ns.shop.
			ns.shop A 198.51.100.3`)
		l.authority("ns", "198.51.100.3", "shop\n@ NS ns\nns A 198.51.100.3\nwww A 198.51.100.80")
		l.rogue("evil", "198.51.100.66", func(query *dns.Msg) *dns.Msg {
			switch name := query.Question[0].Name; name {
			case "deep.evil.":
				m := reply(t, query, nil, []string{"deep.evil. NS ns.shop.", "shop. NS ns.evil."}, []string{"ns.shop. A 198.51.100.66"})
				m.Authoritative = false
				return m
			case "alias.evil.":
				return reply(t, query, []string{"alias.evil. CNAME www.shop.", "www.shop. A 198.51.100.66"}, nil, nil)
			default:
				return reply(t, query, []string{name + " A 198.51.100.67", "www.shop. A 198.51.100.66"},
					[]string{"shop. NS ns.evil.", ". NS ns.evil."}, []string{"ns.shop. A 198.51.100.66", "www.shop. A 198.51.100.66"})
			}
		})
		l.resolver()
		client := l.net.Host("client", "198.51.100.99")
		l.expect(l.ask(client, "www.evil.", dns.TypeA), dns.RcodeSuccess, "www.evil. 300 A 198.51.100.67")
		l.expect(l.ask(client, "alias.evil.", dns.TypeA), dns.RcodeSuccess,
			"alias.evil. 300 CNAME www.shop.", "www.shop. 300 A 198.51.100.80")
		l.ask(client, "deep.evil.", dns.TypeA)
		l.expect(l.ask(client, "www.shop.", dns.TypeA), dns.RcodeSuccess, "www.shop. 300 A 198.51.100.80")
		l.expect(l.ask(client, "ns.shop.", dns.TypeA), dns.RcodeSuccess, "ns.shop. 300 A 198.51.100.3")
	})
}

// Only a response with the query's id and question counts (RFC 5452, section 9).
func TestForgery(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.rogue("root", "198.51.100.1", func(query *dns.Msg) *dns.Msg {
			m := reply(t, query, []string{query.Question[0].Name + " A 198.51.100.66"}, nil, nil)
			switch query.Question[0].Name {
			case "id.":
				m.Id++
			case "name.":
				m.Question[0].Name = "other."
			case "type.":
				m.Question[0].Qtype = dns.TypeAAAA
			case "query.":
				m.Response = false
			}
			return m
		})
		l.resolver()
		client := l.net.Host("client", "198.51.100.99")
		for _, name := range []string{"id.", "name.", "type.", "query."} {
			l.expect(l.ask(client, name, dns.TypeA), dns.RcodeServerFailure)
		}
		l.expect(l.ask(client, "honest.", dns.TypeA), dns.RcodeSuccess, "honest. 300 A 198.51.100.66")
	})
}

// A server that does not know EDNS0 is asked without it (RFC 6891, section 7).
func TestWithoutEDNS(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.rogue("root", "198.51.100.1", func(query *dns.Msg) *dns.Msg {
			if query.IsEdns0() != nil {
				m := new(dns.Msg).SetReply(query)
				m.Rcode = dns.RcodeFormatError
				return m
			}
			return reply(t, query, []string{"old. A 198.51.100.80"}, nil, nil)
		})
		l.resolver()
		l.expect(l.ask(l.net.Host("client", "198.51.100.99"), "old.", dns.TypeA), dns.RcodeSuccess, "old. 300 A 198.51.100.80")
	})
}

// Aliases are followed across zones, up to a limit, and not in a circle.
func TestAliases(t *testing.T) {
	var long strings.Builder
	for i := range 30 {
		fmt.Fprintf(&long, "\nc%d CNAME c%d", i, i+1)
	}
	inLab(t, func(t *testing.T, l *lab) {
		l.authority("root", "198.51.100.1", ".\n@ NS a.root.\na NS ns.a.\nns.a A 198.51.100.3\nb NS ns.b.\nns.b A 198.51.100.4")
		l.authority("ns.a", "198.51.100.3", "a\nwww CNAME www.b.\nloop CNAME loop.b.\nself CNAME self\nlost CNAME none.b.\nbare CNAME bare.b."+
			"\nold DNAME b.")
		l.authority("ns.b", "198.51.100.4", "b\nwww CNAME host\nhost A 198.51.100.80\nloop CNAME loop.a.\nbare TXT x"+long.String())
		l.resolver()
		client := l.net.Host("client", "198.51.100.99")
		l.expect(l.ask(client, "www.a.", dns.TypeA), dns.RcodeSuccess,
			"www.a. 300 CNAME www.b.", "www.b. 300 CNAME host.b.", "host.b. 300 A 198.51.100.80")
		l.expect(l.ask(client, "www.a.", dns.TypeCNAME), dns.RcodeSuccess, "www.a. 300 CNAME www.b.")
		l.expect(l.ask(client, "lost.a.", dns.TypeA), dns.RcodeNameError, "lost.a. 300 CNAME none.b.")
		l.expect(l.ask(client, "bare.a.", dns.TypeA), dns.RcodeSuccess, "bare.a. 300 CNAME bare.b.")
		l.expect(l.ask(client, "host.old.a.", dns.TypeA), dns.RcodeSuccess, "host.old.a. 300 CNAME host.b.", "host.b. 300 A 198.51.100.80")
		for name, want := range map[string]string{
			"loop.a.": "leads back to itself",
			"self.a.": "leads back to itself",
			"c0.b.":   "more than 16 aliases in a row",
		} {
			for range 2 { // the second time from the cache
				m := l.ask(client, name, dns.TypeA)
				l.expect(m, dns.RcodeServerFailure)
				if !strings.Contains(extended(m), want) {
					t.Errorf("%s: extended error is %q, want %q", name, extended(m), want)
				}
			}
		}
	})
}

// R2: an answer too long for a datagram comes over TCP, to the resolver and to its client.
func TestTruncation(t *testing.T) {
	text := strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 8)
	inLab(t, func(t *testing.T, l *lab) {
		l.authority("root", "198.51.100.1", ".\n@ NS a.root.\nbig TXT "+text)
		resolver := l.resolver()
		client := l.net.Host("client", "198.51.100.99")
		m := l.ask(client, "big.", dns.TypeTXT)
		l.expect(m, dns.RcodeSuccess, "big. 300 TXT "+strings.TrimSpace(text))
		for _, h := range []*memnet.Host{resolver, client} {
			var got []string
			for _, a := range memnet.Told[event.DNSAnswer](h) {
				if a.Side == event.SideClient {
					got = append(got, a.Transport)
					if a.Truncated != (a.Transport == "udp") {
						t.Errorf("over %s: truncated is %v", a.Transport, a.Truncated)
					}
				}
			}
			if !slices.Equal(got, []string{"udp", "tcp"}) {
				t.Errorf("asked over %q", got)
			}
		}
	})
}

// Those who ask the same at once share one search.
func TestSameQuestionAtOnce(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		resolver, _ := l.usual()
		var group sync.WaitGroup
		for _, addr := range []string{"198.51.100.97", "198.51.100.98", "198.51.100.99"} {
			client := l.net.Host("client", addr)
			group.Go(func() {
				l.expect(l.ask(client, "shop.example.", dns.TypeA), dns.RcodeSuccess, "shop.example. 60 A 198.51.100.80")
			})
		}
		group.Wait()
		if got := asked(resolver); len(got) != 3 {
			t.Errorf("asked %q", got)
		}
	})
}

// Without the wish for recursion only what is there is answered.
func TestNoRecursionDesired(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.authority("root", "198.51.100.1", ".\n@ NS a.root.\nwww A 198.51.100.80")
		resolver := l.resolver("home\nprinter A 198.51.100.20")
		client := l.net.Host("client", "198.51.100.99")
		const server = "198.51.100.53:53"
		m := l.askAt(server, client, "www.", dns.TypeA, false)
		l.expect(m, dns.RcodeRefused)
		if want := "Not Authoritative: not in the cache, and recursion was not asked for"; extended(m) != want {
			t.Errorf("extended error is %q", extended(m))
		}
		if m := l.askAt(server, client, "printer.home.", dns.TypeA, false); !m.Authoritative {
			t.Error("the answer from the own zone is not authoritative")
		}
		if got := asked(resolver); got != nil {
			t.Errorf("asked %q", got)
		}
		l.ask(client, "www.", dns.TypeA)
		l.expect(l.askAt(server, client, "www.", dns.TypeA, false), dns.RcodeSuccess, "www. 300 A 198.51.100.80")
	})
}

// R34: own zones come before what the rest of the world says; their delegations and aliases are followed.
func TestOwnZonesFirst(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.usual()
		resolver := l.start(Options{
			Zones:     l.zones("shop.example\n@ A 10.0.0.80\nns A 198.51.100.3\nalias CNAME www.store.example.\nsub NS ns.sub\nns.sub A 198.51.100.4"),
			Recursive: true, Hints: hints(t, "a.root.", "198.51.100.1"),
		}, "inside", "198.51.100.54")
		l.authority("sub", "198.51.100.4", "sub.shop.example\nwww A 10.0.0.81")
		client := l.net.Host("client2", "198.51.100.98")
		const server = "198.51.100.54:53"
		m := l.askAt(server, client, "shop.example.", dns.TypeA, true)
		l.expect(m, dns.RcodeSuccess, "shop.example. 300 A 10.0.0.80")
		if !m.Authoritative {
			t.Error("not authoritative")
		}
		l.expect(l.askAt(server, client, "none.shop.example.", dns.TypeA, true), dns.RcodeNameError)
		if got := asked(resolver); got != nil {
			t.Errorf("asked %q", got)
		}
		l.expect(l.askAt(server, client, "www.sub.shop.example.", dns.TypeA, true), dns.RcodeSuccess, "www.sub.shop.example. 300 A 10.0.0.81")
		if got := asked(resolver); !slices.Equal(got, []string{"www.sub.shop.example. A 198.51.100.4"}) {
			t.Errorf("asked %q", got)
		}
		l.expect(l.askAt(server, client, "alias.shop.example.", dns.TypeA, true), dns.RcodeSuccess,
			"alias.shop.example. 300 CNAME www.store.example.", "www.store.example. 300 CNAME shop.example.", "shop.example. 300 A 10.0.0.80")
	})
}

// R35: everything over IPv6 alone; servers that have only IPv4 are out of reach, and that is said.
func TestIPv6(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.start(Options{Zones: l.zones(".\n@ NS a.root.\nshop NS ns.shop.\nns.shop AAAA 2001:db8::3\nns.shop A 198.51.100.3\nfour NS ns.four.\nns.four A 198.51.100.4")},
			"root", "2001:db8::1")
		l.start(Options{Zones: l.zones("shop\n@ AAAA 2001:db8::80")}, "ns", "2001:db8::3")
		l.start(Options{Recursive: true, Hints: hints(t, "a.root.", "2001:db8::1")}, "resolver", "2001:db8::53")
		client := l.net.Host("client", "2001:db8::99")
		const server = "[2001:db8::53]:53"
		l.expect(l.askAt(server, client, "shop.", dns.TypeAAAA, true), dns.RcodeSuccess, "shop. 300 AAAA 2001:db8::80")
		m := l.askAt(server, client, "www.four.", dns.TypeAAAA, true)
		l.expect(m, dns.RcodeServerFailure)
		if !strings.Contains(extended(m), "ns.four.: has no address of a family that this node has") {
			t.Errorf("extended error is %q", extended(m))
		}
	})
}

// A search ends after so many queries and so much time, whatever servers say.
func TestBounds(t *testing.T) {
	t.Run("queries", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *lab) {
			l.rogue("root", "198.51.100.1", func(query *dns.Msg) *dns.Msg {
				// Every name is served by hosts that are served by hosts …
				name := query.Question[0].Name
				m := new(dns.Msg).SetReply(query)
				labels := dns.SplitDomainName(name)
				cut := labels[len(labels)-1] + "."
				for _, host := range []string{"x", "y", "z"} {
					m.Ns = append(m.Ns, &dns.NS{Hdr: dns.RR_Header{Name: cut, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: "ns." + host + cut})
				}
				return m
			})
			resolver := l.resolver()
			m := l.ask(l.net.Host("client", "198.51.100.99"), "www.a.", dns.TypeA)
			l.expect(m, dns.RcodeServerFailure)
			if got := len(asked(resolver)); got > 64 {
				t.Errorf("%d queries", got)
			}
		})
	})
	t.Run("time", func(t *testing.T) {
		inLab(t, func(t *testing.T, l *lab) {
			l.authority("root", "198.51.100.1", ".\n@ NS a.root.\nslow NS ns1.slow.\nslow NS ns2.slow.\nslow NS ns3.slow."+
				"\nns1.slow A 192.0.2.1\nns2.slow A 192.0.2.2\nns3.slow A 192.0.2.3")
			for _, silent := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
				l.net.Silence(silent)
			}
			l.resolver()
			began := time.Now()
			m := l.ask(l.net.Host("client", "198.51.100.99"), "www.slow.", dns.TypeA)
			l.expect(m, dns.RcodeServerFailure)
			if !strings.Contains(extended(m), "gave up after 4.5s: no answer from the servers of slow.") {
				t.Errorf("extended error is %q", extended(m))
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	})
}

func TestNoHints(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.start(Options{Recursive: true}, "resolver", "198.51.100.53")
		m := l.ask(l.net.Host("client", "198.51.100.99"), "www.", dns.TypeA)
		l.expect(m, dns.RcodeServerFailure)
		if want := "No Reachable Authority: no server of the zone . is known"; extended(m) != want {
			t.Errorf("extended error is %q, want %q", extended(m), want)
		}
	})
}
