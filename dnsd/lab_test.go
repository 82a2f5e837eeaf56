package dnsd

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/dnsd/zone"
	"scenario/event"
	"scenario/host/hosttest/memnet"
)

// lab is a small internet in virtual time: servers on a network in memory.
type lab struct {
	t   *testing.T
	net *memnet.Net
	ctx context.Context
}

// inLab runs a test in a bubble; it fails where a server does not end with its context.
func inLab(t *testing.T, test func(*testing.T, *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		test(t, &lab{t: t, net: memnet.New(), ctx: ctx})
		cancel()
		synctest.Wait()
	})
}

// zones makes a set; each text is the zone's name and then its records, a line each.
func (l *lab) zones(texts ...string) zone.Set {
	l.t.Helper()
	var zones []*zone.Zone
	for _, text := range texts {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		z, err := zone.Parse(zone.Config{Origin: strings.TrimSpace(lines[0]), Records: lines[1:], TTL: 5 * time.Minute})
		if err != nil {
			l.t.Fatal(err)
		}
		zones = append(zones, z)
	}
	set, err := zone.NewSet(zones...)
	if err != nil {
		l.t.Fatal(err)
	}
	return set
}

// start has a new host serve until the test ends.
func (l *lab) start(o Options, name string, addrs ...string) *memnet.Host {
	l.t.Helper()
	h := l.net.Host(name, addrs...)
	ready := make(chan struct{})
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(l.ctx)
	server := New(h, o)
	go func() { ended <- server.Serve(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		l.t.Fatalf("%s: %v", name, err)
	}
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("%s: %v", name, err)
		}
	})
	return h
}

// authority starts a server of zones.
func (l *lab) authority(name, addr string, zones ...string) *memnet.Host {
	l.t.Helper()
	return l.start(Options{Zones: l.zones(zones...)}, name, addr)
}

// resolver starts a recursive server that knows the root server 198.51.100.1.
func (l *lab) resolver(zones ...string) *memnet.Host {
	l.t.Helper()
	return l.start(Options{Zones: l.zones(zones...), Recursive: true, Hints: hints(l.t, "a.root.", "198.51.100.1")}, "resolver", "198.51.100.53")
}

func hints(t *testing.T, name, addr string) []dns.RR {
	t.Helper()
	qtype := "A"
	if strings.Contains(addr, ":") {
		qtype = "AAAA"
	}
	var rrs []dns.RR
	for _, line := range []string{". NS " + name, name + " " + qtype + " " + addr} {
		set, err := zone.ParseRecord(line, ".", 3600)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, set...)
	}
	return rrs
}

// rogue starts a server that answers as it likes; nil is no answer.
func (l *lab) rogue(name, addr string, answer func(query *dns.Msg) *dns.Msg) {
	l.t.Helper()
	packets, err := l.net.Host(name, addr).ListenPacket(l.ctx, "udp", addr+":53")
	if err != nil {
		l.t.Fatal(err)
	}
	stop := context.AfterFunc(l.ctx, func() { packets.Close() })
	l.t.Cleanup(func() { stop() })
	go func() {
		buffer := make([]byte, dns.MaxMsgSize)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			query := new(dns.Msg)
			if err := query.Unpack(buffer[:n]); err != nil {
				continue
			}
			if response := answer(query); response != nil {
				send(l.t, packets, from, response)
			}
		}
	}()
}

func send(t *testing.T, packets net.PacketConn, to net.Addr, m *dns.Msg) {
	packed, err := m.Pack()
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := packets.WriteTo(packed, to); err != nil {
		t.Error(err)
	}
}

// reply makes a response with records, written with absolute names, in its sections.
func reply(t *testing.T, query *dns.Msg, answer, authority, additional []string) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.Authoritative = true
	for section, lines := range map[*[]dns.RR][]string{&m.Answer: answer, &m.Ns: authority, &m.Extra: additional} {
		for _, line := range lines {
			rrs, err := zone.ParseRecord(line, ".", 300)
			if err != nil {
				t.Error(err)
			}
			*section = append(*section, rrs...)
		}
	}
	return m
}

// ask has a client ask the resolver once, with time enough.
func (l *lab) ask(client *memnet.Host, name string, qtype uint16) *dns.Msg {
	l.t.Helper()
	return l.askAt("198.51.100.53:53", client, name, qtype, true)
}

func (l *lab) askAt(server string, client *memnet.Host, name string, qtype uint16, recursion bool) *dns.Msg {
	l.t.Helper()
	c := wire.New(client, wire.Options{Timeout: time.Minute})
	question := dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
	m, err := c.Exchange(l.ctx, netip.MustParseAddrPort(server), question, recursion)
	if err != nil {
		l.t.Fatalf("ask %s %s: %v", name, dns.Type(qtype), err)
	}
	return m
}

// asked returns the questions that a host has sent so far, as "name type server".
func asked(h *memnet.Host) []string {
	var all []string
	for _, q := range memnet.Told[event.DNSQuery](h) {
		if q.Side == event.SideClient {
			all = append(all, strings.TrimSuffix(q.Name+" "+q.Type+" "+q.Remote, ":53"))
		}
	}
	return all
}

// expect compares the code and the answer section with want.
func (l *lab) expect(m *dns.Msg, rcode int, want ...string) {
	l.t.Helper()
	if m.Rcode != rcode {
		l.t.Errorf("code is %s, want %s; %s", wire.RCode(m.Rcode), wire.RCode(rcode), extended(m))
	}
	if got := wire.Texts(m.Answer); !slices.Equal(got, want) {
		l.t.Errorf("answer is %q, want %q", got, want)
	}
}

func extended(m *dns.Msg) string {
	var e event.DNSAnswer
	wire.Describe(&e, m)
	return e.ExtendedError
}
