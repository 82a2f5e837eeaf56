package stub_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"scenario/dnsd"
	"scenario/dnsd/stub"
	"scenario/dnsd/zone"
	"scenario/event"
	"scenario/host/hosttest/memnet"
)

// serveRecords starts a server of example at 198.51.100.53 that is silent about some names.
func serveRecords(t *testing.T, n *memnet.Net, records string, ignore ...string) {
	t.Helper()
	z, err := zone.Parse(zone.Config{Origin: "example", Records: strings.Split(strings.TrimSpace(records), "\n"), TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	set, err := zone.NewSet(z)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	server := dnsd.New(n.Host("ns", "198.51.100.53"), dnsd.Options{Zones: set, Ignore: ignore})
	go func() { ended <- server.Serve(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func asked(h *memnet.Host) string {
	var names []string
	for _, q := range memnet.Told[event.DNSQuery](h) {
		names = append(names, q.Name)
	}
	return strings.Join(names, " ")
}

// R2: short names are searched for in the node's domains, as resolv.conf(5) says with ndots 1.
func TestSearch(t *testing.T) {
	const records = "wiki.corp A 198.51.100.81\nwiki.lab A 198.51.100.82\nonly.lab A 198.51.100.83\nempty.corp TXT x\nempty.lab A 198.51.100.84\na.b A 198.51.100.85"
	for _, test := range []struct {
		name, lookup, found, addr string
		asked                     string
		fails                     string // part of the error
	}{
		{"first domain", "wiki", "wiki.corp.example.", "198.51.100.81", "wiki.corp.example.", ""},
		{"second domain", "only", "only.lab.example.", "198.51.100.83", "only.corp.example. only.lab.example.", ""},
		{"no address in the first", "empty", "empty.lab.example.", "198.51.100.84", "empty.corp.example. empty.lab.example.", ""},
		{"nowhere", "none", "", "", "none.corp.example. none.lab.example. none.", "lookup none: REFUSED"},
		{"with a dot", "wiki.lab.example", "wiki.lab.example.", "198.51.100.82", "wiki.lab.example.", ""},
		{"with a dot, in a domain", "a.b.example", "a.b.example.", "198.51.100.85", "a.b.example.", ""},
		{"with a dot, nowhere", "x.example", "", "", "x.example. x.example.corp.example. x.example.lab.example.", "lookup x.example: no such name"},
		{"absolute", "wiki.", "", "", "wiki.", "lookup wiki.: REFUSED"},
		{"silence ends the search", "mute", "", "", "mute.corp.example.", "lookup mute.corp.example: the name server 198.51.100.53:53 did not answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				serveRecords(t, n, records, "mute.corp.example")
				h := node(n, "198.51.100.99")
				h.Search = []string{"corp.example", "lab.example.", "."}
				answer, err := stub.NewWith(h, stub.Options{Attempts: 1}).Lookup(t.Context(), test.lookup)
				switch {
				case test.fails != "":
					if err == nil || !strings.Contains(err.Error(), test.fails) {
						t.Errorf("error is %v, want %q in it", err, test.fails)
					}
				case err != nil:
					t.Fatal(err)
				case answer.Name != test.found || answer.Addrs[0] != netip.MustParseAddr(test.addr):
					t.Errorf("answer %+v", answer)
				}
				if got := asked(h); got != test.asked {
					t.Errorf("asked for %s, want %s", got, test.asked)
				}
			})
		})
	}
}

// parts are the parts of a lookup with the milliseconds after which they came.
func parts(l *stub.Lookup) (lines []string) {
	began := time.Now()
	for p := range l.Parts {
		line := fmt.Sprintf("%d %s", time.Since(began).Milliseconds(), dns.Type(p.Type))
		for _, addr := range p.Addrs {
			line += " " + addr.String()
		}
		for _, s := range p.Services {
			line += fmt.Sprintf(" %d %s:%d %v %v", s.Priority, s.Target, s.Port, s.Protocols(), s.Hints)
		}
		var failure *stub.Error
		if errors.As(p.Err, &failure) {
			line += fmt.Sprintf(" not found: %t", failure.NotFound)
		}
		lines = append(lines, line)
	}
	return lines
}

// delayed starts a server at 198.51.100.53 that answers questions for each type after a time of its own; none: never.
func delayed(t *testing.T, n *memnet.Net, after map[uint16]time.Duration, records ...string) {
	t.Helper()
	packets, err := n.Host("ns", "198.51.100.53").ListenPacket(t.Context(), "udp", "198.51.100.53:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close() })
	go func() {
		buffer := make([]byte, dns.MaxMsgSize)
		for {
			size, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			query := new(dns.Msg)
			if err := query.Unpack(buffer[:size]); err != nil {
				t.Error(err)
				return
			}
			response := new(dns.Msg).SetReply(query)
			for _, text := range records {
				if rr, _ := dns.NewRR(text); rr.Header().Rrtype == query.Question[0].Qtype {
					response.Answer = append(response.Answer, rr)
				}
			}
			packed, err := response.Pack()
			if err != nil {
				t.Error(err)
			}
			if delay, ok := after[query.Question[0].Qtype]; ok {
				time.AfterFunc(delay, func() { _, _ = packets.WriteTo(packed, from) })
			}
		}
	}()
}

// R2: RFC 8305, section 3: all questions at once, AAAA first, and each answer as it comes. That there is no address is said
// when all have been answered; HTTPS records hold nothing up.
func TestResolveAsTheyCome(t *testing.T) {
	const four, six, web = "a.example. A 198.51.100.80", "a.example. AAAA 2001:db8::80", "a.example. HTTPS 1 . alpn=h2"
	ms := func(a, aaaa, https int) map[uint16]time.Duration {
		return map[uint16]time.Duration{
			dns.TypeA: time.Duration(a) * time.Millisecond, dns.TypeAAAA: time.Duration(aaaa) * time.Millisecond,
			dns.TypeHTTPS: time.Duration(https) * time.Millisecond,
		}
	}
	without := func(kind uint16) map[uint16]time.Duration {
		after := ms(10, 10, 10)
		delete(after, kind)
		return after
	}
	for _, test := range []struct {
		name    string
		after   map[uint16]time.Duration
		records []string
		want    []string
	}{
		{
			"in any order", ms(8, 98, 48), []string{four, six, web},
			[]string{"10 A 198.51.100.80", "50 HTTPS 1 a.example.:0 [h2 http/1.1] []", "100 AAAA 2001:db8::80"},
		},
		{
			"no IPv6 waits for IPv4", ms(98, 8, 48), []string{four},
			[]string{"100 AAAA not found: true", "100 HTTPS not found: true", "100 A 198.51.100.80"},
		},
		{
			"IPv4 does not wait", ms(8, 98, 998), []string{four},
			[]string{"10 A 198.51.100.80", "100 AAAA not found: true", "1000 HTTPS not found: true"},
		},
		{
			"nothing", ms(8, 18, 998), nil,
			[]string{"20 A not found: true", "20 AAAA not found: true", "1000 HTTPS not found: true"},
		},
		{
			"HTTPS never comes", without(dns.TypeHTTPS), []string{four, six},
			[]string{"12 AAAA 2001:db8::80", "12 A 198.51.100.80", "3000 HTTPS not found: false"},
		},
		{
			"AAAA never comes", without(dns.TypeAAAA), []string{four, web},
			[]string{"12 A 198.51.100.80", "12 HTTPS 1 a.example.:0 [h2 http/1.1] []", "3000 AAAA not found: false"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				delayed(t, n, test.after, test.records...)
				h := node(n, "198.51.100.99", "2001:db8::99")
				r := stub.NewWith(h, stub.Options{Timeout: 3 * time.Second, Attempts: 1})
				got := parts(r.Resolve(t.Context(), "a.example", stub.Want{Services: true}))
				sorted := cmpopts.SortSlices(strings.Compare) // what comes at one instant
				if diff := cmp.Diff(test.want, got, sorted); diff != "" {
					t.Errorf("parts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A lookup that is left ends at once when it is closed, and with its context.
func TestResolveClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.Silence("198.51.100.53")
		r := stub.New(node(n, "198.51.100.99"))
		began := time.Now()
		l := r.Resolve(t.Context(), "a.example", stub.Want{Services: true})
		synctest.Wait()
		l.Close()
		l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for p := range r.Resolve(ctx, "a.example", stub.Want{}).Parts {
			if !errors.Is(p.Err, context.DeadlineExceeded) {
				t.Errorf("error is %v", p.Err)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// R2: HTTPS records in service mode and as aliases (RFC 9460).
func TestServices(t *testing.T) {
	const records = `
shop HTTPS 2 . alpn=h2,h3 port=8443 ipv6hint=2001:db8::1 ipv4hint=198.51.100.80
shop HTTPS 1 fast alpn=h2 no-default-alpn
_8443._https.shop HTTPS 1 . alpn=h2
alias HTTPS 0 shop
far HTTPS 0 alias
cname CNAME shop
plain A 198.51.100.80
toplain HTTPS 0 plain
tonowhere HTTPS 0 nowhere
loop HTTPS 0 pool
pool HTTPS 0 loop
none HTTPS 0 .
strange HTTPS 1 . mandatory=key667 key667=x
strange HTTPS 2 . mandatory=alpn alpn=h2
onlystrange HTTPS 1 . mandatory=ech ech=AAAA
lacking HTTPS 1 . mandatory=port`
	for _, test := range []struct {
		name     string
		port     uint16
		want     string
		notFound bool // where want is empty
	}{
		{"shop", 0, "1 fast.example.:0 [h2] [] 2 shop.example.:8443 [h2 h3 http/1.1] [2001:db8::1 198.51.100.80]", false},
		{"shop", 443, "1 fast.example.:0 [h2] [] 2 shop.example.:8443 [h2 h3 http/1.1] [2001:db8::1 198.51.100.80]", false},
		{"shop", 8443, "1 _8443._https.shop.example.:0 [h2 http/1.1] []", false},
		{"shop", 8444, "", true},
		{"alias", 0, "1 fast.example.:0 [h2] [] 2 shop.example.:8443 [h2 h3 http/1.1] [2001:db8::1 198.51.100.80]", false},
		{"far", 0, "1 fast.example.:0 [h2] [] 2 shop.example.:8443 [h2 h3 http/1.1] [2001:db8::1 198.51.100.80]", false},
		{"cname", 0, "1 fast.example.:0 [h2] [] 2 shop.example.:8443 [h2 h3 http/1.1] [2001:db8::1 198.51.100.80]", false},
		{"plain", 0, "", true},
		{"toplain", 0, "0 plain.example.:0 [http/1.1] []", false},
		{"tonowhere", 0, "0 nowhere.example.:0 [http/1.1] []", false},
		{"loop", 0, "", false},
		{"none", 0, "", true},
		{"strange", 0, "2 strange.example.:0 [h2 http/1.1] []", false},
		{"onlystrange", 0, "", false},
		{"lacking", 0, "", false},
	} {
		t.Run(fmt.Sprintf("%s:%d", test.name, test.port), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				serveRecords(t, n, records)
				r := stub.New(node(n, "198.51.100.99"))
				got := parts(r.Resolve(t.Context(), test.name+".example", stub.Want{Services: true, Port: test.port}))
				i := slices.IndexFunc(got, func(line string) bool { return strings.Contains(line, " HTTPS") })
				_, text, _ := strings.Cut(got[i], " HTTPS")
				want := " " + test.want
				if test.want == "" {
					want = fmt.Sprintf(" not found: %t", test.notFound)
				}
				if text != want {
					t.Errorf("services are %q, want %q", text, want)
				}
			})
		})
	}
}

// FuzzServices: whatever an HTTPS record holds, it is read or left out.
func FuzzServices(f *testing.F) {
	for _, text := range []string{
		"a. HTTPS 1 . alpn=h2 port=1", "a. HTTPS 0 b.", "a. HTTPS 1 . mandatory=alpn alpn=h3 no-default-alpn ipv4hint=192.0.2.1 ipv6hint=::1", "a. HTTPS 1 . key9=x",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m := &dns.Msg{Answer: []dns.RR{rr}}
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Add([]byte("\x00\x00\x80\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x41\x00\x01\x00\x00\x00\x01\x00\x02\x00\x00")) // no target
	f.Fuzz(func(t *testing.T, packed []byte) {
		m := new(dns.Msg)
		if err := m.Unpack(packed); err != nil {
			return
		}
		for _, s := range stub.Services(m) {
			if s.Target == "" || len(s.Protocols()) == 0 && s.Priority > 0 {
				t.Errorf("%+v of %s", s, m)
			}
		}
	})
}
