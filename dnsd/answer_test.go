package dnsd

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/event"
	"scenario/host/hosttest/memnet"
)

// bare is a server of shop.example that is asked without a network.
func bare(t testing.TB, o Options) (*Server, *memnet.Host) {
	t.Helper()
	h := memnet.New().Host("ns", "198.51.100.3")
	return New(h, o), h
}

func shop(t *testing.T) Options {
	return Options{Zones: (&lab{t: t}).zones(shopZone)}
}

var client = peer{transport: "udp", local: "198.51.100.3:53", remote: "198.51.100.99:40000"}

// put asks s the packed query as if it had come from a peer; nil where s is silent.
func put(t *testing.T, s *Server, from peer, packed []byte) *dns.Msg {
	t.Helper()
	packed = s.answer(s.begin(t.Context()), from, packed)
	if packed == nil {
		return nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(packed); err != nil {
		t.Fatal(err)
	}
	return m
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// What is asked in unusual ways is answered as the RFCs say, and never with silence where there is a header to answer.
func TestUnusualQueries(t *testing.T) {
	query := func(change func(*dns.Msg)) func(testing.TB) []byte {
		return func(t testing.TB) []byte {
			m := new(dns.Msg).SetQuestion("shop.example.", dns.TypeA)
			m.Id = 7
			change(m)
			return pack(t, m)
		}
	}
	raw := func(b ...byte) func(testing.TB) []byte { return func(testing.TB) []byte { return b } }
	for _, test := range []struct {
		name  string
		query func(testing.TB) []byte
		want  string // "" for silence
	}{
		{"usual", query(func(*dns.Msg) {}), "NOERROR"},
		{"unknown opcode", query(func(m *dns.Msg) { m.Opcode = 9 }), "NOTIMP"},
		{"notify", query(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), "NOTIMP"},
		{"update", query(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), "NOTIMP"},
		{"a response", query(func(m *dns.Msg) { m.Response = true }), ""},
		{"no question", query(func(m *dns.Msg) { m.Question = nil }), "FORMERR"},
		{"two questions", query(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), "FORMERR"},
		{"newer EDNS", query(func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }), "BADVERS"},
		{"two OPT", query(func(m *dns.Msg) { m.SetEdns0(1232, false); m.SetEdns0(1232, false) }), "FORMERR"},
		{"class CH", query(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), "REFUSED"},
		{"transfer", query(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), "REFUSED"},
		{"type OPT", query(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeOPT }), "FORMERR"},
		{"type TKEY", query(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTKEY }), "NOTIMP"},
		{"ANY", query(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY }), "NOERROR"},
		{"type that nobody knows", query(func(m *dns.Msg) { m.Question[0].Qtype = 65400 }), "NOERROR"},
		{"other zone", query(func(m *dns.Msg) { m.Question[0].Name = "other.example." }), "REFUSED"},
		{"nothing", raw(), ""},
		{"part of a header", raw(0, 7, 0, 0, 0), ""},
		{"header alone, one question promised", raw(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0), "FORMERR"},
		{"question cut off", raw(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 's', 'h'), "FORMERR"},
		{"name that points to itself", raw(0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1), "FORMERR"},
		{"unknown opcode cut off", raw(0, 7, 0x48, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 's'), "NOTIMP"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, h := bare(t, shop(t))
			m := put(t, s, client, test.query(t))
			if m == nil {
				if test.want != "" {
					t.Errorf("no answer, want %s", test.want)
				}
				return
			}
			if got := wire.RCode(m.Rcode); got != test.want {
				t.Errorf("code is %s, want %q", got, test.want)
			}
			if m.Id != 7 || !m.Response {
				t.Errorf("header: %s", m.MsgHdr.String())
			}
			answers := memnet.Told[event.DNSAnswer](h)
			if len(answers) != 1 || answers[0].RCode != test.want || answers[0].Side != event.SideServer {
				t.Errorf("told %+v", answers)
			}
		})
	}
}

// The question comes back as it was written (RFC 1035, section 2.3.3), and flags as they must be.
func TestHeader(t *testing.T) {
	s, _ := bare(t, shop(t))
	m := put(t, s, client, pack(t, &dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: 9, RecursionDesired: true, CheckingDisabled: true},
		Question: []dns.Question{{Name: "ShOp.ExAmPlE.", Qtype: dns.TypeA, Qclass: dns.ClassINET}},
	}))
	if got := m.Question[0].Name; got != "ShOp.ExAmPlE." {
		t.Errorf("question is %s", got)
	}
	want := dns.MsgHdr{Id: 9, Response: true, Authoritative: true, RecursionDesired: true, CheckingDisabled: true}
	if diff := cmp.Diff(want, m.MsgHdr); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if m.IsEdns0() != nil {
		t.Error("OPT in answer to a query without")
	}
}

func TestRefusedSaysWhy(t *testing.T) {
	s, _ := bare(t, shop(t))
	query := new(dns.Msg).SetQuestion("other.example.", dns.TypeA)
	query.SetEdns0(1232, true)
	m := put(t, s, client, pack(t, query))
	if want := "Not Authoritative: this server serves shop.example."; extended(m) != want {
		t.Errorf("extended error is %q, want %q", extended(m), want)
	}
	if !m.IsEdns0().Do() {
		t.Error("the DO bit is not copied (RFC 3225, section 3)")
	}
}

// An extended error is cut, and left out where it does not fit (RFC 8914, section 3).
func TestLongReason(t *testing.T) {
	var zones []string
	for i := range 60 {
		zones = append(zones, fmt.Sprintf("zone%d.example", i))
	}
	s, _ := bare(t, Options{Zones: (&lab{t: t}).zones(zones...)})
	for size, want := range map[uint16]string{1232: "…", 512: ""} {
		query := new(dns.Msg).SetQuestion(strings.Repeat(strings.Repeat("x", 62)+".", 3), dns.TypeA)
		query.SetEdns0(size, false)
		packed := s.answer(s.begin(t.Context()), client, pack(t, query))
		m := new(dns.Msg)
		if err := m.Unpack(packed); err != nil {
			t.Fatal(err)
		}
		if got := extended(m); !strings.HasSuffix(got, want) || (got == "") != (want == "") || len(packed) > int(size) || m.Truncated {
			t.Errorf("%d bytes asked for: %d, %q", size, len(packed), got)
		}
	}
}

// A response is as large as the client says, within bounds; additional records go first, and only then is TC set.
func TestSize(t *testing.T) {
	records := "big.example"
	for range 20 {
		records += "\nten TXT \"" + string(rune('a'+strings.Count(records, "ten"))) + strings.Repeat("z", 89) + "\""
	}
	for i := range 12 {
		records += strings.ReplaceAll("\nmx MX 10 h%\nh% A 192.0.2.1\nh% AAAA 2001:db8::1\ncut NS ns%.cut\nns%.cut A 192.0.2.1\nns%.cut AAAA 2001:db8::1", "%", string(rune('a'+i)))
	}
	s, _ := bare(t, Options{Zones: (&lab{t: t}).zones(records)})
	for _, test := range []struct {
		name      string
		question  string
		qtype     uint16
		transport string
		size      uint16 // 0: no EDNS
		most      int
		truncated bool
		additions bool
	}{
		{"no EDNS", "ten.big.example.", dns.TypeTXT, "udp", 0, 512, true, false},
		{"small EDNS is 512", "ten.big.example.", dns.TypeTXT, "udp", 100, 512, true, false},
		{"EDNS", "ten.big.example.", dns.TypeTXT, "udp", 1000, 1000, true, false},
		{"more than we send", "ten.big.example.", dns.TypeTXT, "udp", 4096, 1232, true, false},
		{"TCP", "ten.big.example.", dns.TypeTXT, "tcp", 0, dns.MaxMsgSize, false, false},
		{"additional records left out", "mx.big.example.", dns.TypeMX, "udp", 0, 512, false, false},
		{"additional records", "mx.big.example.", dns.TypeMX, "udp", 1232, 1232, false, true},
		{"glue is no addition", "www.cut.big.example.", dns.TypeA, "udp", 0, 512, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			query := new(dns.Msg).SetQuestion(test.question, test.qtype)
			if test.size > 0 {
				query.SetEdns0(test.size, false)
			}
			from := client
			from.transport = test.transport
			packed := s.answer(s.begin(t.Context()), from, pack(t, query))
			if len(packed) > test.most {
				t.Errorf("%d bytes, want at most %d", len(packed), test.most)
			}
			m := new(dns.Msg)
			if err := m.Unpack(packed); err != nil {
				t.Fatal(err)
			}
			additions := len(m.Extra)
			if m.IsEdns0() != nil {
				additions--
			}
			if m.Truncated != test.truncated || additions > 0 != test.additions {
				t.Errorf("truncated %v, %d additional records", m.Truncated, additions)
			}
		})
	}
}

// R2: a server that does not answer for some names.
func TestIgnore(t *testing.T) {
	o := shop(t)
	o.Ignore = []string{"WWW.shop.example"}
	s, h := bare(t, o)
	for name, want := range map[string]bool{
		"www.shop.example.": false, "a.www.shop.example.": false, "shop.example.": true, "xwww.shop.example.": true,
	} {
		h.Forget()
		m := put(t, s, client, pack(t, new(dns.Msg).SetQuestion(name, dns.TypeA)))
		if m != nil != want {
			t.Errorf("%s: answered %v, want %v", name, m != nil, want)
		}
		if answers := memnet.Told[event.DNSAnswer](h); len(answers) != 1 || (answers[0].Error == "") != want {
			t.Errorf("%s: told %+v", name, answers)
		}
	}
}

func TestRecursiveANY(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		resolver, client := l.usual()
		l.expect(l.ask(client, "shop.example.", dns.TypeANY), dns.RcodeSuccess, `shop.example. 3600 HINFO "RFC8482" ""`)
		if got := asked(resolver); got != nil {
			t.Errorf("asked %q", got)
		}
	})
}

// RFC 7766: several queries on one connection; it is closed when none comes, and when the server ends.
func TestTCP(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.authority("ns", "198.51.100.3", shopZone)
		conn, err := l.net.Host("client", "198.51.100.99").Dial(l.ctx, "tcp", "198.51.100.3:53")
		if err != nil {
			t.Fatal(err)
		}
		packed := pack(t, new(dns.Msg).SetQuestion("shop.example.", dns.TypeA))
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
		for range 3 {
			time.Sleep(9 * time.Second)
			if _, err := conn.Write(framed); err != nil {
				t.Fatal(err)
			}
			var length uint16
			if err := binary.Read(conn, binary.BigEndian, &length); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, conn, int64(length)); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v", err)
		}
		if waited := time.Since(began); waited != idleTimeout {
			t.Errorf("closed after %s", waited)
		}

		open, err := l.net.Host("client2", "198.51.100.98").Dial(l.ctx, "tcp", "198.51.100.3:53")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { open.Close() })
	})
}

func TestListenAddrs(t *testing.T) {
	h := memnet.New().Host("ns", "10.0.0.1", "127.0.0.1", "2001:db8::1", "fe80::1")
	for _, test := range []struct {
		listen []string
		want   string
	}{
		{nil, "10.0.0.1:53 127.0.0.1:53 [2001:db8::1]:53"},
		{[]string{":5353"}, "10.0.0.1:5353 127.0.0.1:5353 [2001:db8::1]:5353"},
		{[]string{"0.0.0.0"}, "10.0.0.1:53 127.0.0.1:53"},
		{[]string{"[::]:53", "127.0.0.1:53"}, "10.0.0.1:53 127.0.0.1:53 [2001:db8::1]:53"},
		{[]string{"127.0.0.1", "::1"}, "127.0.0.1:53 [::1]:53"},
		{[]string{"[::1]"}, "[::1]:53"},
	} {
		addrs, err := listenAddrs(h, test.listen, Port)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%q: %q, %v; want %q", test.listen, got, err, test.want)
		}
	}
	for _, text := range []string{"shop", ":http", ":70000", "10.0.0.1:x", ""} {
		if addr, err := ParseListen(text, Port); err == nil {
			t.Errorf("%q is read as %s", text, addr)
		}
	}
}

// R27: an address in use is an error that names the socket, and nothing stays open.
func TestAddressInUse(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		h := l.net.Host("ns", "198.51.100.3")
		taken, err := h.Listen(l.ctx, "tcp", "198.51.100.3:53")
		if err != nil {
			t.Fatal(err)
		}
		err = New(h, Options{}).Serve(l.ctx, func() { t.Error("ready") })
		if err == nil || !strings.Contains(err.Error(), "listen on tcp 198.51.100.3:53") {
			t.Errorf("error is %v", err)
		}
		if told := memnet.Told[event.SocketError](h); len(told) != 1 || told[0].Errno != "EADDRINUSE" {
			t.Errorf("told %+v", told)
		}
		taken.Close()
		ctx, cancel := context.WithCancel(l.ctx)
		if err := New(h, Options{}).Serve(ctx, cancel); err != nil {
			t.Errorf("second time: %v", err)
		}
	})
}

// Whatever bytes come, the server does not fail, and what it answers is a response with the id of what came.
func FuzzAnswer(f *testing.F) {
	query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	f.Add(pack(f, query))
	query.SetEdns0(4096, true)
	f.Add(pack(f, query))
	query.Opcode = dns.OpcodeUpdate
	f.Add(pack(f, query))
	f.Add([]byte("\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, packed []byte) {
		s, _ := bare(t, shop(t))
		m := put(t, s, client, packed)
		if m == nil {
			return
		}
		if !m.Response || m.Id != binary.BigEndian.Uint16(packed) {
			t.Errorf("answered with %s", m.MsgHdr.String())
		}
	})
}

func TestServerSideAddresses(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		h := l.start(Options{Zones: l.zones(shopZone)}, "ns", "198.51.100.3", "10.0.0.3")
		c := l.net.Host("client", "198.51.100.99")
		l.askAt("10.0.0.3:53", c, "shop.example.", dns.TypeA, true)
		q := memnet.Told[event.DNSQuery](h)[0]
		if q.Local != "10.0.0.3:53" || netip.MustParseAddrPort(q.Remote).Addr().String() != "198.51.100.99" {
			t.Errorf("told %+v", q)
		}
		if listens := memnet.Told[event.SocketListen](h); len(listens) != 4 {
			t.Errorf("listens on %+v", listens)
		}
	})
}
