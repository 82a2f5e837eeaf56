package stub_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
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

const records = `@ 60 A 198.51.100.80
@ 90 AAAA 2001:db8::80
www 300 CNAME shop.example.
four 60 A 198.51.100.81
both A 198.51.100.82
both AAAA fd00::82
both AAAA 2001:db8::82
text TXT "hello"
silent A 198.51.100.83
zero 0 A 198.51.100.84`

// serve starts a server of shop.example on h until the test ends.
func serve(t *testing.T, h *memnet.Host) {
	t.Helper()
	z, err := zone.Parse(zone.Config{Origin: "shop.example", Records: strings.Split(records, "\n"), TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	set, err := zone.NewSet(z)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- dnsd.New(h, dnsd.Options{Zones: set, Ignore: []string{"silent.shop.example"}}).Serve(ctx, func() { close(ready) })
	}()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// node is a client with the server 198.51.100.53.
func node(n *memnet.Net, addrs ...string) *memnet.Host {
	h := n.Host("laptop", addrs...)
	h.Servers = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.53:53")}
	return h
}

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

var compareAddrs = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// R2, R35: addresses of the families that the node has.
func TestLookup(t *testing.T) {
	four, both := []string{"198.51.100.99"}, []string{"198.51.100.99", "2001:db8::99"}
	for _, test := range []struct {
		name   string
		node   []string
		lookup string
		want   stub.Answer
		asked  int
	}{
		{"IPv4", four, "shop.example", stub.Answer{Addrs: addrs("198.51.100.80"), TTL: 60 * time.Second}, 1},
		{"both", both, "shop.example.", stub.Answer{Addrs: addrs("2001:db8::80", "198.51.100.80"), TTL: 60 * time.Second}, 2},
		{"alias", four, "WWW.shop.example", stub.Answer{Addrs: addrs("198.51.100.80"), TTL: 60 * time.Second, CNAMEs: []string{"shop.example."}}, 1},
		{"one family is enough", both, "four.shop.example", stub.Answer{Addrs: addrs("198.51.100.81"), TTL: 60 * time.Second}, 2},
		{"best first", both, "both.shop.example", stub.Answer{Addrs: addrs("2001:db8::82", "198.51.100.82", "fd00::82"), TTL: 60 * time.Second}, 2},
		{"address", four, "192.0.2.1", stub.Answer{Addrs: addrs("192.0.2.1"), Cached: true}, 0},
		{"address in brackets", four, "[2001:db8::1]", stub.Answer{Addrs: addrs("2001:db8::1"), Cached: true}, 0},
		{"localhost", both, "localhost", stub.Answer{Addrs: addrs("::1", "127.0.0.1"), Cached: true}, 0},
		{"below localhost", four, "app.LOCALHOST.", stub.Answer{Addrs: addrs("127.0.0.1"), Cached: true}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				serve(t, n.Host("ns", "198.51.100.53"))
				h := node(n, test.node...)
				got, err := stub.New(h).Lookup(t.Context(), test.lookup)
				if err != nil {
					t.Fatal(err)
				}
				if test.asked > 0 {
					test.want.Name = strings.TrimSuffix(test.lookup, ".") + "."
				}
				if diff := cmp.Diff(test.want, got, compareAddrs); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				if asked := len(memnet.Told[event.DNSQuery](h)); asked != test.asked {
					t.Errorf("asked %d questions, want %d", asked, test.asked)
				}
			})
		})
	}
}

// R2: what can go wrong, and how it is said.
func TestLookupErrors(t *testing.T) {
	server := netip.MustParseAddrPort("198.51.100.53:53")
	for _, test := range []struct {
		name   string
		lookup string
		at     func(*testing.T, *memnet.Net) // what is at the server's address
		want   stub.Error
		text   string
		takes  time.Duration
	}{
		{"no such name", "none.shop.example", nil, stub.Error{RCode: "NXDOMAIN", NotFound: true}, "no such name (NXDOMAIN from 198.51.100.53:53)", 2 * memnet.Latency},
		{"no address", "text.shop.example", nil, stub.Error{RCode: "NOERROR", NotFound: true}, "the name has no address", 2 * memnet.Latency},
		{
			"refused", "bank.example", nil, stub.Error{RCode: "REFUSED", ExtendedError: "Not Authoritative: this server serves shop.example."},
			"REFUSED from 198.51.100.53:53: Not Authoritative: this server serves shop.example.", 2 * memnet.Latency,
		},
		{"silent", "silent.shop.example", nil, stub.Error{Timeout: true}, "the name server 198.51.100.53:53 did not answer in time", 10 * time.Second},
		{"no such host", "shop.example", func(_ *testing.T, n *memnet.Net) { n.Silence("198.51.100.53") }, stub.Error{Timeout: true}, "did not answer in time", 10 * time.Second},
		{
			"nothing listens", "shop.example", func(_ *testing.T, n *memnet.Net) { n.Host("ns", "198.51.100.53") },
			stub.Error{}, "no name server listens on 198.51.100.53:53 (ECONNREFUSED)", memnet.Latency,
		},
		{"no domain name", "shop..example", nil, stub.Error{}, "this is no domain name", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				if test.at == nil {
					serve(t, n.Host("ns", "198.51.100.53"))
				} else {
					test.at(t, n)
				}
				began := time.Now()
				_, err := stub.New(node(n, "198.51.100.99")).Lookup(t.Context(), test.lookup)
				var got *stub.Error
				if !errors.As(err, &got) {
					t.Fatalf("error is %v", err)
				}
				test.want.Name = test.lookup
				if test.name != "no domain name" {
					test.want.Server = server
				}
				if diff := cmp.Diff(test.want, *got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.IgnoreFields(stub.Error{}, "Err")); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
				if want := "lookup " + test.lookup + ": "; !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("error is %q, want %q", err, want+test.text)
				}
				if took := time.Since(began); took > test.takes+memnet.Latency || took < test.takes {
					t.Errorf("took %s, want %s", took, test.takes)
				}
			})
		})
	}
}

func TestRefusedIsWrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.Host("ns", "198.51.100.53")
		if _, err := stub.New(node(n, "198.51.100.99")).Lookup(t.Context(), "a"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestNoServers(t *testing.T) {
	h := memnet.New().Host("laptop", "198.51.100.99")
	if _, err := stub.New(h).Lookup(t.Context(), "shop.example"); !errors.Is(err, stub.ErrNoServers) {
		t.Errorf("error is %v", err)
	}
}

// The second server answers where the first is silent, refuses, or is not there; the silent one alone is asked again.
func TestServersInTurn(t *testing.T) {
	for _, test := range []struct {
		name, first, lookup string
		asked               string
		fails               bool
	}{
		{"silent", "198.51.100.51", "shop.example", "51 53", false},
		{"nothing listens", "198.51.100.52", "shop.example", "52 53", false},
		{"both fail", "198.51.100.51", "bank.example", "51 53 51", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				serve(t, n.Host("ns", "198.51.100.53"))
				n.Host("empty", "198.51.100.52")
				n.Silence("198.51.100.51")
				h := node(n, "198.51.100.99")
				h.Servers = slices.Insert(h.Servers, 0, netip.AddrPortFrom(netip.MustParseAddr(test.first), 53))
				_, err := stub.New(h).Lookup(t.Context(), test.lookup)
				if (err != nil) != test.fails {
					t.Errorf("error is %v", err)
				}
				var e *stub.Error
				if test.fails && (!errors.As(err, &e) || e.RCode != "REFUSED") {
					t.Errorf("error is %v: what a server said tells more than silence", err)
				}
				var asked []string
				for _, q := range memnet.Told[event.DNSQuery](h) {
					asked = append(asked, strings.TrimSuffix(strings.TrimPrefix(q.Remote, "198.51.100."), ":53"))
				}
				if got := strings.Join(asked, " "); got != test.asked {
					t.Errorf("asked %s, want %s", got, test.asked)
				}
			})
		})
	}
}

// R2: the second lookup is answered from the cache until the TTL has run out; also that there is no such name.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		serve(t, n.Host("ns", "198.51.100.53"))
		h := node(n, "198.51.100.99")
		r := stub.New(h)
		lookup := func(name string) (stub.Answer, error) {
			h.Forget()
			return r.Lookup(t.Context(), name)
		}
		queries := func() int { return len(memnet.Told[event.DNSQuery](h)) }

		if a, err := lookup("shop.example"); err != nil || a.Cached || queries() != 1 {
			t.Fatalf("first: %+v, %v, %d queries", a, err, queries())
		}
		time.Sleep(20 * time.Second)
		a, err := lookup("Shop.Example")
		if err != nil || !a.Cached || a.TTL != 40*time.Second || queries() != 0 {
			t.Errorf("second: %+v, %v, %d queries", a, err, queries())
		}
		told := memnet.Told[event.DNSAnswer](h)
		want := []event.DNSAnswer{{
			Side: event.SideClient, Name: "shop.example.", Type: "A", RCode: "NOERROR", Kind: "answer",
			Answer: []string{"shop.example. 40 A 198.51.100.80"}, TTL: 40, Authoritative: true, Cached: true,
		}}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		time.Sleep(40 * time.Second)
		if a, err := lookup("shop.example"); err != nil || a.Cached || queries() != 1 {
			t.Errorf("after the TTL: %+v, %v, %d queries", a, err, queries())
		}

		if _, err := lookup("none.shop.example"); err == nil || queries() != 1 {
			t.Errorf("no name: %v, %d queries", err, queries())
		}
		time.Sleep(59 * time.Second)
		if _, err := lookup("none.shop.example"); err == nil || queries() != 0 {
			t.Errorf("no name, again: %v, %d queries", err, queries())
		}
		time.Sleep(time.Second)
		if _, err := lookup("none.shop.example"); err == nil || queries() != 1 {
			t.Errorf("no name, after the TTL: %v, %d queries", err, queries())
		}

		for range 2 {
			if a, err := lookup("zero.shop.example"); err != nil || a.Cached || queries() != 1 {
				t.Errorf("TTL 0: %+v, %v, %d queries", a, err, queries())
			}
		}
	})
}

// Lookups of one name at once share their questions; one who gives up does not spoil it for the others.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		serve(t, n.Host("ns", "198.51.100.53"))
		h := node(n, "198.51.100.99")
		r := stub.New(h)
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				if _, err := r.Lookup(t.Context(), "shop.example"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got := len(memnet.Told[event.DNSQuery](h)); got != 1 {
			t.Errorf("%d queries", got)
		}

		hasty, cancel := context.WithTimeout(t.Context(), memnet.Latency)
		defer cancel()
		group.Go(func() {
			if _, err := r.Lookup(hasty, "four.shop.example"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("hasty: %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if _, err := r.Lookup(t.Context(), "four.shop.example"); err != nil {
				t.Errorf("patient: %v", err)
			}
		})
		group.Wait()
	})
}

func TestQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		serve(t, n.Host("ns", "198.51.100.53"))
		r := stub.New(node(n, "198.51.100.99"))
		m, err := r.Query(t.Context(), "text.shop.example", dns.TypeTXT)
		if err != nil || len(m.Answer) != 1 {
			t.Errorf("TXT: %v, %v", m, err)
		}
		m, err = r.Query(t.Context(), "none.shop.example", dns.TypeTXT)
		if err != nil || m.Rcode != dns.RcodeNameError {
			t.Errorf("no name: %v, %v", m, err)
		}
		m, err = r.Query(t.Context(), "bank.example", dns.TypeTXT)
		if err == nil || m == nil || m.Rcode != dns.RcodeRefused {
			t.Errorf("refused: %v, %v", m, err)
		}
	})
}

// Time and attempts can be set.
func TestOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.Silence("198.51.100.53")
		r := stub.NewWith(node(n, "198.51.100.99"), stub.Options{Timeout: 3 * time.Second, Attempts: 3})
		began := time.Now()
		if _, err := r.Lookup(t.Context(), "shop.example"); err == nil || time.Since(began) != 9*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
