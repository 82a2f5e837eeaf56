package nat

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The network of these tests, and what its addresses are called in them:
//
//	A, B ─ lan ─ r:router:R ─ wan ─ S, T
//	           p:   └─ office (isolated) ─ P
var names = map[string]string{
	"A": "192.168.1.10", "B": "192.168.1.11", "r": "192.168.1.1",
	"R": "198.51.100.1", "S": "198.51.100.80", "T": "203.0.113.9",
	"p": "10.9.0.1", "P": "10.9.0.9",
	"A6": "fd00:1::10", "r6": "fd00:1::1", "R6": "2001:db8::1", "S6": "2001:db8::80",
}

const (
	lan = iota
	wan
	office
)

var (
	ports = []string{"lan", "wan", "office"}
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func interfaces() []Interface {
	prefixes := func(of ...string) (all []netip.Prefix) {
		for _, p := range of {
			all = append(all, netip.MustParsePrefix(p))
		}
		return all
	}
	return []Interface{
		lan:    {Addresses: prefixes("192.168.1.1/24", "fd00:1::1/64")},
		wan:    {Addresses: prefixes("198.51.100.1/24", "2001:db8::1/64"), Masquerade: true},
		office: {Addresses: prefixes("10.9.0.1/24"), Isolated: true},
	}
}

func forwardTo(protocol uint8, port uint16, to string) Forward {
	return Forward{Interface: wan, Protocol: protocol, Port: port, To: parseAddr(to)}
}

// router does with a table what a router does.
type router struct {
	*Table
	at time.Time
}

func newRouter(t testing.TB, c Config) *router {
	t.Helper()
	if c.Interfaces == nil {
		c.Interfaces = interfaces()
	}
	table, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &router{table, start}
}

// route returns the interface that leads to an address, or -1: the router itself.
func (r *router) route(to netip.Addr) int {
	for i, itf := range r.interfaces {
		for _, p := range itf.Addresses {
			if p.Addr() == to {
				return -1
			}
			if p.Contains(to) {
				return i
			}
		}
	}
	return wan
}

// send takes a packet from an interface, or from the router itself, to where it ends.
func (r *router) send(from int, p *Packet) (to int, v Verdict) {
	if p.In = from; from < 0 {
		p.Out = r.route(p.Flow.Dst.Addr())
		v = r.Output(r.at, p)
		return r.route(p.Flow.Dst.Addr()), v
	}
	if v := r.Prerouting(r.at, p); v != Accept {
		return 0, v
	}
	if p.Out = r.route(p.Flow.Dst.Addr()); p.Out < 0 {
		return -1, r.Input(r.at, p)
	}
	return p.Out, r.Forward(r.at, p)
}

// play runs a diagram: lines of "interface: packet => interface: packet", or "=> verdict", or "+time"; what follows # is a
// comment. A port that is written * is any but the inside one, and is the same wherever *1, *2 … stands.
func (r *router) play(t *testing.T, diagram string) {
	t.Helper()
	wild := map[string]string{}
	for number, line := range strings.Split(diagram, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.HasPrefix(line, "+") {
			d, err := time.ParseDuration(line[1:])
			if err != nil {
				t.Fatal(err)
			}
			r.at = r.at.Add(d)
			continue
		}
		left, want, ok := strings.Cut(line, "=>")
		from, text, ok2 := strings.Cut(left, ":")
		if !ok || !ok2 {
			t.Fatalf("line %d: %q is no step", number, line)
		}
		for name, port := range wild {
			text, want = strings.ReplaceAll(text, name, port), strings.ReplaceAll(want, name, port)
		}
		p := parsePacket(t, strings.TrimSpace(text))
		kept := fmt.Sprint(p.Flow.Src.Port())
		to, v := r.send(portNumber(from), &p)
		got := v.String()
		if v == Accept {
			got = portName(to) + ": " + formatPacket(&p)
		}
		want = strings.Join(strings.Fields(want), " ")
		if i := strings.IndexByte(want, '*'); i >= 0 && v == Accept {
			name := want[i : i+2]
			port := fmt.Sprint(p.Flow.Src.Port())
			if before, _, _ := strings.Cut(want, ">"); !strings.Contains(before, name) {
				t.Fatalf("line %d: %s is not known yet", number, name)
			}
			for other, taken := range wild {
				if taken == port {
					t.Errorf("line %d: %s and %s are both %s", number, other, name, port)
				}
			}
			if port == kept {
				t.Errorf("line %d: port %s is kept", number, port)
			}
			wild[name] = port
			want = strings.ReplaceAll(want, name, port)
		}
		if got != want {
			t.Errorf("line %d: %s\n got %s\nwant %s", number, line, got, want)
		}
	}
}

func portNumber(name string) int {
	for i, n := range ports {
		if n == name {
			return i
		}
	}
	return -1
}

func portName(i int) string {
	if i < 0 {
		return "router"
	}
	return ports[i]
}

var protocols = map[string]uint8{"tcp": TCP, "udp": UDP, "ping": ICMP, "pong": ICMP, "icmp": ICMP, "gre": 47, "other": ICMP, "nd": ICMPv6}

// parsePacket reads "udp A:1 > S:2", "tcp/SA A:1 > S:2", "ping A:7 > S", "pong S > A:7", "icmp S > R [udp R:1 > S:2]".
func parsePacket(t testing.TB, text string) Packet {
	outer, inner, _ := strings.Cut(text, "[")
	f := strings.Fields(outer)
	if len(f) != 4 {
		t.Fatalf("%q is no packet", text)
	}
	kind, flags, _ := strings.Cut(f[0], "/")
	p := Packet{Flow: Flow{Protocol: protocols[kind], Src: parseAddr(f[1]), Dst: parseAddr(f[3])}}
	for _, c := range flags {
		p.Flags |= map[rune]Flags{'F': FIN, 'S': SYN, 'R': RST, 'A': ACK}[c]
	}
	switch kind {
	case "ping":
		p.Flow.Echo = EchoRequest
	case "pong":
		p.Flow.Echo = EchoReply
	case "icmp":
		p.Kind = Error
		p.Inner = parsePacket(t, strings.TrimSuffix(inner, "]")).Flow
	case "nd", "other":
		p.Kind = Untracked
	}
	if p.Flow.Src.Addr().Is6() && p.Flow.Protocol == ICMP {
		p.Flow.Protocol = ICMPv6
	}
	return p
}

func parseAddr(text string) netip.AddrPort {
	name, port, _ := strings.Cut(text, ":")
	number := 0
	fmt.Sscan(port, &number)
	return netip.AddrPortFrom(netip.MustParseAddr(names[name]), uint16(number))
}

func formatPacket(p *Packet) string {
	text := formatFlow(p.Flow)
	switch p.Kind {
	case Error:
		return strings.NewReplacer("ip58", "icmp", "ip1", "icmp").Replace(text) + " [" + formatFlow(p.Inner) + "]"
	case Untracked:
		return strings.NewReplacer("ip58", "nd", "ip1", "other").Replace(text)
	}
	if p.Flow.Protocol != TCP {
		return text
	}
	flags := ""
	for i, c := range "FSR_A" {
		if p.Flags&(1<<i) != 0 {
			flags += string(c)
		}
	}
	return "tcp/" + flags + text[3:]
}

func formatFlow(f Flow) string {
	protocol := fmt.Sprintf("ip%d", f.Protocol)
	switch {
	case f.Echo == EchoRequest:
		protocol = "ping"
	case f.Echo == EchoReply:
		protocol = "pong"
	case f.Protocol == TCP:
		protocol = "tcp"
	case f.Protocol == UDP:
		protocol = "udp"
	case f.Protocol == 47:
		protocol = "gre"
	}
	return fmt.Sprintf("%s %s > %s", protocol, formatAddr(f.Src), formatAddr(f.Dst))
}

func formatAddr(a netip.AddrPort) string {
	text := a.Addr().String()
	for name, addr := range names {
		if addr == text {
			text = name
		}
	}
	if a.Port() != 0 {
		text += fmt.Sprintf(":%d", a.Port())
	}
	return text
}

func addrPort(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}
