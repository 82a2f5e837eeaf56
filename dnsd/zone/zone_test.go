package zone_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/txtar"

	"scenario/dnsd/wire"
	"scenario/dnsd/zone"
)

var update = flag.Bool("update", false, "write what is answered into the files")

// Each archive has zones ("zone NAME", master file lines), questions and the answers to them.
func TestAnswer(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var zones []*zone.Zone
			var got strings.Builder
			for i, f := range archive.Files {
				kind, name, _ := strings.Cut(f.Name, " ")
				switch kind {
				case "zone":
					z, err := zone.Parse(zone.Config{Origin: name, Records: lines(string(f.Data)), TTL: 5 * time.Minute})
					if err != nil {
						t.Fatal(err)
					}
					zones = append(zones, z)
				case "questions":
					set, err := zone.NewSet(zones...)
					if err != nil {
						t.Fatal(err)
					}
					for _, question := range lines(string(f.Data)) {
						name, qtype, _ := strings.Cut(question, " ")
						describe(&got, question, set.Answer(dns.Fqdn(name), dns.StringToType[qtype]))
					}
				case "answers":
					if *update {
						archive.Files[i].Data = []byte(got.String())
					} else if diff := cmp.Diff(string(f.Data), got.String()); diff != "" {
						t.Errorf("answers differ (-want +got):\n%s", diff)
					}
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

func describe(to *strings.Builder, question string, a zone.Answer) {
	flags := ""
	if a.Authoritative {
		flags = " aa"
	}
	fmt.Fprintf(to, "%s: %s%s\n", question, wire.RCode(a.RCode), flags)
	for _, section := range []struct {
		name    string
		records []dns.RR
	}{{"answer", a.Answer}, {"authority", a.Authority}, {"additional", a.Additional}} {
		for _, text := range wire.Texts(section.records) {
			fmt.Fprintf(to, "  %-10s %s\n", section.name, text)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		config zone.Config
		want   []string
	}{
		{"bad address", zone.Config{Origin: "shop.example", Records: []string{"www A 1.2.3"}}, []string{`zone shop.example.: record "www A 1.2.3": bad A A`}},
		{"unknown type", zone.Config{Origin: "a", Records: []string{"www FOO x"}}, []string{`zone a.: record "www FOO x":`}},
		{"empty", zone.Config{Origin: "a", Records: []string{""}}, []string{`record "": no record`}},
		{"comment only", zone.Config{Origin: "a", Records: []string{"; hello"}}, []string{`record "; hello": no record`}},
		{"directive", zone.Config{Origin: "a", Records: []string{"$TTL 5"}}, []string{`a directive is not a record`}},
		{"include after newline", zone.Config{Origin: "a", Records: []string{"b A 1.2.3.4\n$INCLUDE /etc/passwd"}}, []string{"$INCLUDE"}},
		{"every error", zone.Config{Origin: "a", Records: []string{"x A y", "z A w"}}, []string{`"x A y"`, `"z A w"`}},
		{"outside", zone.Config{Origin: "a", Records: []string{"www.b. A 192.0.2.1"}}, []string{"www.b. is outside the zone"}},
		{"class", zone.Config{Origin: "a", Records: []string{"x CH A 192.0.2.1"}}, []string{"class CH"}},
		{"type for messages", zone.Config{Origin: "a", Records: []string{`x TYPE252 \# 0`}}, []string{"type AXFR is for messages"}},
		{"soa below", zone.Config{Origin: "a", Records: []string{"x SOA ns mail 1 2 3 4 5"}}, []string{"an SOA record belongs at"}},
		{"two soa", zone.Config{Origin: "a", Records: []string{"@ SOA ns mail 1 2 3 4 5", "@ SOA ns mail 2 2 3 4 5"}}, []string{"more than one SOA"}},
		{"soa and negative ttl", zone.Config{Origin: "a", Records: []string{"@ SOA ns mail 1 2 3 4 5"}, NegativeTTL: new(time.Second)}, []string{"negative ttl beside an SOA"}},
		{"cname and more", zone.Config{Origin: "a", Records: []string{"x CNAME y", "x A 192.0.2.1"}}, []string{"x.a. has a CNAME and other records"}},
		{"two cnames", zone.Config{Origin: "a", Records: []string{"x CNAME y", "x CNAME z"}}, []string{"x.a. has a CNAME and other records"}},
		{"cname at apex", zone.Config{Origin: "a", Records: []string{"@ CNAME y"}}, []string{"a CNAME cannot stand at the zone's own name"}},
		{"ns at wildcard", zone.Config{Origin: "a", Records: []string{"* NS y"}}, []string{"NS at a wildcard"}},
		{"two dnames", zone.Config{Origin: "a", Records: []string{"x DNAME y", "x DNAME z"}}, []string{"more than one DNAME"}},
		{"origin", zone.Config{Origin: "a..b"}, []string{`zone "a..b": not a domain name`}},
		{"ttl", zone.Config{Origin: "a", TTL: 1500 * time.Millisecond}, []string{"not a whole number of seconds"}},
		{"negative ttl", zone.Config{Origin: "a", NegativeTTL: new(-time.Second)}, []string{"not a whole number of seconds"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := zone.Parse(test.config)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %q, want it to have %q", err, want)
				}
			}
		})
	}
}

func TestNewSetTwice(t *testing.T) {
	a := parse(t, zone.Config{Origin: "a"})
	b := parse(t, zone.Config{Origin: "A."})
	if _, err := zone.NewSet(a, b); err == nil {
		t.Error("two zones of one name are no error")
	}
}

// RFC 2308, sections 3 and 5: the SOA of a negative answer has the smaller of its TTL and its minimum.
func TestNegativeTTL(t *testing.T) {
	for _, test := range []struct {
		name   string
		config zone.Config
		want   uint32
	}{
		{"default", zone.Config{Origin: "a", TTL: time.Hour}, 60},
		{"given", zone.Config{Origin: "a", TTL: time.Hour, NegativeTTL: new(7 * time.Second)}, 7},
		{"zero", zone.Config{Origin: "a", TTL: time.Hour, NegativeTTL: new(time.Duration(0))}, 0},
		{"ttl is smaller", zone.Config{Origin: "a", TTL: 5 * time.Second}, 5},
		{"record", zone.Config{Origin: "a", TTL: time.Hour, Records: []string{"@ 100 SOA ns mail 1 2 3 4 90"}}, 90},
		{"record with a smaller ttl", zone.Config{Origin: "a", Records: []string{"@ 10 SOA ns mail 1 2 3 4 90"}}, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, err := zone.NewSet(parse(t, test.config))
			if err != nil {
				t.Fatal(err)
			}
			a := set.Answer("none.a.", dns.TypeA)
			if a.RCode != dns.RcodeNameError || len(a.Authority) != 1 {
				t.Fatalf("answer is %+v", a)
			}
			if got := a.Authority[0].Header().Ttl; got != test.want {
				t.Errorf("ttl is %d, want %d", got, test.want)
			}
		})
	}
}

// RFC 6672, section 2.2: a DNAME can make a name that is too long.
func TestTooLong(t *testing.T) {
	label := strings.Repeat("x", 60)
	set, err := zone.NewSet(parse(t, zone.Config{Origin: "a", Records: []string{"d DNAME " + label + "." + label + ".long."}}))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat(label+".", 3) + "d.a."
	if a := set.Answer(name, dns.TypeA); a.RCode != dns.RcodeYXDomain {
		t.Errorf("code is %s", wire.RCode(a.RCode))
	}
}

func parse(t *testing.T, c zone.Config) *zone.Zone {
	t.Helper()
	z, err := zone.Parse(c)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// Whatever the lines, parsing ends, and every name of a zone that was made can be asked for and packed.
func FuzzParse(f *testing.F) {
	f.Add("shop.example", "www 300 IN CNAME shop.example.", "www.shop.example", uint16(dns.TypeA))
	f.Add(".", "@ NS a.root.\na.root A 192.0.2.1\n* TXT \"x\"", "b.", uint16(dns.TypeTXT))
	f.Add("a", `\097\.b MX 10 (`+"\n mail )", "x", uint16(dns.TypeANY))
	f.Add("a", `s HTTPS 1 . alpn="h2" ipv4hint=192.0.2.1`, "s.a", uint16(dns.TypeHTTPS))
	f.Add("a", "d DNAME b.\n*.d A 192.0.2.1", "x.d.a", uint16(dns.TypeA))
	f.Add("a", `x TYPE65400 \# 3 010203`, "x.a", uint16(65400))
	f.Fuzz(func(t *testing.T, origin, text, name string, qtype uint16) {
		z, err := zone.Parse(zone.Config{Origin: origin, Records: strings.Split(text, "\n"), TTL: time.Minute})
		if err != nil {
			return
		}
		set, err := zone.NewSet(z)
		if err != nil {
			t.Fatal(err)
		}
		query := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
		if _, err := query.Pack(); err != nil {
			return // no such question comes over the wire
		}
		a := set.Answer(dns.Fqdn(name), qtype)
		m := &dns.Msg{Answer: a.Answer, Ns: a.Authority, Extra: a.Additional}
		m.Compress = true
		m.Truncate(dns.MaxMsgSize)
		if _, err := m.Pack(); err != nil {
			t.Errorf("zone %q with %q asked for %q: %v", origin, text, name, err)
		}
	})
}
