package client

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"scenario/dnsd/stub"
	"scenario/host"
)

// zone is a resolver that answers from master file lines, and with a response code for some names.
type zone struct {
	records []string
	rcodes  map[string]int
}

func (z zone) Query(_ context.Context, name string, kind uint16) (*dns.Msg, error) {
	response := new(dns.Msg)
	name = dns.Fqdn(name)
	switch code := z.rcodes[name]; code {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		response.Rcode = code
		return response, nil
	default:
		return response, &stub.Error{Name: name, RCode: dns.RcodeToString[code], Server: netip.MustParseAddrPort("10.0.0.53:53")}
	}
	for _, text := range z.records {
		rr, err := dns.NewRR(text)
		if err != nil {
			return nil, err
		}
		if rr.Header().Name != name {
			continue
		}
		if alias, ok := rr.(*dns.CNAME); ok && kind != dns.TypeCNAME {
			name = alias.Target
		} else if rr.Header().Rrtype != kind {
			continue
		}
		response.Answer = append(response.Answer, rr)
	}
	return response, nil
}

func (z zone) Close() {}

func (z zone) Lookup(_ context.Context, name string) (stub.Answer, error) {
	if code := z.rcodes[dns.Fqdn(name)]; code != dns.RcodeSuccess {
		return stub.Answer{}, &stub.Error{Name: name, RCode: dns.RcodeToString[code], NotFound: code == dns.RcodeNameError}
	}
	return stub.Answer{
		Addrs: []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.1")},
		TTL:   time.Minute, Cached: true, CNAMEs: []string{"shop.example."},
	}, nil
}

func TestLookup(t *testing.T) {
	z := zone{
		records: []string{
			"www.shop.example. 300 IN CNAME shop.example.", "shop.example. 60 IN A 10.0.0.1", "shop.example. 60 IN A 10.0.0.2",
			"shop.example. 30 IN MX 10 mail.shop.example.", "1.0.0.10.in-addr.arpa. 30 PTR shop.example.",
			"shop.example. 90 HTTPS 2 b.shop.example. port=8443", "shop.example. 90 HTTPS 1 . alpn=h2 ipv4hint=10.0.0.1",
		},
		rcodes: map[string]int{"nowhere.example.": dns.RcodeNameError, "broken.example.": dns.RcodeServerFailure},
	}
	tests := []struct {
		args string
		want LookupResult // Outcome.Error is only a part of the text
	}{
		{`{"name": "www.shop.example"}`, LookupResult{
			RCode: "NOERROR", Addresses: []string{"fd00::1", "10.0.0.1"}, CNAMEs: []string{"shop.example."}, TTL: 60, Cached: true,
		}},
		{`{"name": "www.shop.example", "type": "a"}`, LookupResult{
			RCode: "NOERROR", Addresses: []string{"10.0.0.1", "10.0.0.2"}, CNAMEs: []string{"shop.example."}, TTL: 60,
			Records: []string{"www.shop.example. 300 CNAME shop.example.", "shop.example. 60 A 10.0.0.1", "shop.example. 60 A 10.0.0.2"},
		}},
		{`{"name": "shop.example", "type": "MX"}`, LookupResult{
			RCode: "NOERROR", TTL: 30, Records: []string{"shop.example. 30 MX 10 mail.shop.example."},
		}},
		{`{"name": "shop.example", "type": "https"}`, LookupResult{
			RCode: "NOERROR", TTL: 90, Records: []string{
				`shop.example. 90 HTTPS 2 b.shop.example. port="8443"`, `shop.example. 90 HTTPS 1 . alpn="h2" ipv4hint="10.0.0.1"`,
			},
			Services: []Service{
				{Priority: 1, Target: "shop.example.", ALPN: []string{"h2", "http/1.1"}, Hints: []string{"10.0.0.1"}},
				{Priority: 2, Target: "b.shop.example.", Port: 8443, ALPN: []string{"http/1.1"}, Hints: []string{}},
			},
		}},
		{`{"name": "10.0.0.1", "type": "PTR"}`, LookupResult{
			RCode: "NOERROR", TTL: 30, Records: []string{"1.0.0.10.in-addr.arpa. 30 PTR shop.example."},
		}},
		{`{"name": "shop.example", "type": "AAAA"}`, failed("NOERROR", "has no AAAA record")},
		{`{"name": "nowhere.example"}`, failed("NXDOMAIN", "no such name")},
		{`{"name": "nowhere.example", "type": "A"}`, failed("NXDOMAIN", "no such name")},
		{`{"name": "broken.example", "type": "A"}`, failed("SERVFAIL", "SERVFAIL from 10.0.0.53:53")},
	}
	inWorld(t, func(t *testing.T, w *world) {
		w.role.names = z
		for _, test := range tests {
			got := do[LookupResult](w, "lookup", test.args)
			if !strings.Contains(got.Error, test.want.Error) || (got.Error == "") != (test.want.Error == "") {
				t.Errorf("%s: error %q, want %q in it", test.args, got.Error, test.want.Error)
			}
			got.Name, got.Error = "", test.want.Error
			for _, list := range []*[]string{&test.want.Addresses, &test.want.CNAMEs, &test.want.Records} {
				if *list == nil {
					*list = []string{} // JSON has an empty list there, not null
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s: result differs (-want +got):\n%s", test.args, diff)
			}
		}
		for _, bad := range []string{`{}`, `{"name": "a", "type": "B"}`, `{"name": "a", "dns": "doh"}`} {
			w.fails("lookup", bad)
		}
	})
}

func failed(rcode, text string) LookupResult {
	r := LookupResult{RCode: rcode}
	r.Phase, r.Error = "lookup", text
	return r
}

// R2: a lookup can say how the resolver is asked; each transport has a resolver of its own, which is closed at the end.
func TestLookupOver(t *testing.T) {
	var made []*over
	inWorld(t, func(t *testing.T, w *world) {
		w.role.resolver = func(_ host.Host, transport stub.Transport) resolver {
			made = append(made, &over{zone: zone{records: []string{"shop.example. 1 A 10.0.0.1"}}, transport: transport})
			return made[len(made)-1]
		}
		for _, args := range []string{
			`{"name": "shop.example", "type": "A", "dns": "tls"}`, `{"name": "shop.example", "type": "A", "dns": "https"}`,
			`{"name": "shop.example", "dns": "tls"}`,
		} {
			if r := do[LookupResult](w, "lookup", args); r.RCode != "NOERROR" {
				t.Errorf("%s: %+v", args, r)
			}
		}
		if r := do[LookupResult](w, "lookup", `{"name": "shop.example", "dns": "plain"}`); r.Error != "" {
			t.Errorf("plain, by the role's own resolver: %+v", r)
		}
	})
	if len(made) != 2 || made[0].transport != stub.TLS || made[1].transport != stub.HTTPS || made[0].closed != 1 || made[1].closed != 1 {
		t.Errorf("made %+v", made)
	}
	if _, err := Kind().New([]byte(`{"dns": "doh"}`)); err == nil {
		t.Error("the option dns takes anything")
	}
}

// over is a resolver of one transport.
type over struct {
	zone
	transport stub.Transport
	closed    int
}

func (o *over) Close() { o.closed++ }

// A node without a resolver says so.
func TestLookupWithoutServers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.role.names = stub.New(w.host)
		if r := do[LookupResult](w, "lookup", `{"name": "shop.example"}`); r.RCode != "" || !strings.Contains(r.Error, "no name server") {
			t.Errorf("result %+v", r)
		}
		if r := do[ConnectResult](w, "connect", `{"to": "shop.example:80"}`); r.Phase != "lookup" || !strings.Contains(r.Error, "no name server") {
			t.Errorf("result %+v", r)
		}
	})
}
