package nat

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// behaviour draws any kind of NAT, with time-outs short enough to be met.
func behaviour(t *rapid.T) Behaviour {
	second := func(name string) time.Duration {
		return time.Duration(rapid.IntRange(1, 20).Draw(t, name)) * time.Second
	}
	return Behaviour{
		Mapping:      rapid.SampledFrom([]Dependence{ByConnection, ByAddress, Independent}).Draw(t, "mapping"),
		Filtering:    rapid.SampledFrom([]Dependence{ByConnection, ByAddress, Independent}).Draw(t, "filtering"),
		Ports:        rapid.SampledFrom([]Ports{Overload, Preserve, Random}).Draw(t, "ports"),
		Hairpin:      rapid.Bool().Draw(t, "hairpin"),
		OutboundOnly: rapid.Bool().Draw(t, "outbound only"),
		Timeouts:     Timeouts{UDP: second("udp"), UDPStream: second("stream"), ICMP: second("icmp"), Established: second("established")},
	}
}

// arrival is a packet drawn from few addresses and ports, so that they meet.
type arrival struct {
	from int
	p    Packet
	wait time.Duration
}

func arrivals() *rapid.Generator[arrival] {
	inside := []string{"A", "B", "A6", "P"}
	outside := []string{"S", "T", "R", "A", "S6", "R6", "A6", "r"}
	return rapid.Custom(func(t *rapid.T) arrival {
		a := arrival{from: rapid.SampledFrom([]int{lan, lan, wan, wan, office, -1}).Draw(t, "from")}
		src, dst := inside, outside
		if a.from == wan {
			src, dst = []string{"S", "T", "S6"}, outside
		} else if a.from < 0 {
			src = []string{"R", "r", "R6"}
		}
		end := func(of []string, name string) netip.AddrPort {
			port := rapid.SampledFrom([]uint16{53, 600, 5000, 5001, 8080}).Draw(t, name+" port")
			return netip.AddrPortFrom(netip.MustParseAddr(names[rapid.SampledFrom(of).Draw(t, name)]), port)
		}
		flow := func() Flow {
			f := Flow{Protocol: rapid.SampledFrom([]uint8{UDP, UDP, TCP, ICMP, 47}).Draw(t, "protocol"), Src: end(src, "src"), Dst: end(dst, "dst")}
			switch f.Protocol {
			case ICMP:
				f.Echo = rapid.SampledFrom([]Echo{EchoRequest, EchoReply}).Draw(t, "echo")
				if f.Echo == EchoRequest {
					f.Dst = netip.AddrPortFrom(f.Dst.Addr(), 0)
				} else {
					f.Src = netip.AddrPortFrom(f.Src.Addr(), 0)
				}
			case 47:
				f.Src, f.Dst = netip.AddrPortFrom(f.Src.Addr(), 0), netip.AddrPortFrom(f.Dst.Addr(), 0)
			}
			return f
		}
		a.p.Flow = flow()
		a.p.Flags = Flags(rapid.SampledFrom([]Flags{SYN, SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST, 0}).Draw(t, "flags"))
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			a.p.Kind = Error
			a.p.Inner = flow().Reverse()
		}
		a.wait = time.Duration(rapid.IntRange(0, 3000).Draw(t, "wait")) * time.Millisecond
		return a
	})
}

func propertyConfig(t *rapid.T) Config {
	return Config{
		Interfaces: interfaces(), Behaviour: behaviour(t), Seed: rapid.Uint64().Draw(t, "seed"), Max: rapid.IntRange(1, 40).Draw(t, "max"),
		Forwards: []Forward{forwardTo(UDP, 8080, "A:53"), forwardTo(TCP, 8080, "B:8080")},
	}
}

// Whatever comes: no two connections look alike on either side, there and back is the identity, what is over does not
// pass, the books balance, and the same again has the same results.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := propertyConfig(t)
		table, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		twin, _ := New(config)
		r, again := &router{table, start}, &router{twin, start}
		count := rapid.IntRange(1, 60).Draw(t, "count") // uniform: a slice of its own accord is mostly short
		for i, a := range rapid.SliceOfN(arrivals(), count, count).Draw(t, "packets") {
			r.at, again.at = r.at.Add(a.wait), again.at.Add(a.wait)
			p, q := a.p, a.p
			to, v := r.send(a.from, &p)
			if to2, v2 := again.send(a.from, &q); to2 != to || v2 != v || q.Flow != p.Flow || q.Inner != p.Inner {
				t.Fatalf("packet %d: %s %s, and the same again %s %s", i, v, formatPacket(&p), v2, formatPacket(&q))
			}
			if v == Accept && a.p.Kind == Tracked && p.conn != nil && p.conn.place >= 0 {
				thereAndBack(t, r, a, to, p)
				thereAndBack(t, again, a, to, q)
			}
			balance(t, r.Table)
		}
		r.at = r.at.Add(10 * 24 * time.Hour)
		for _, c := range slices.Clone(r.ends) {
			for _, f := range c.flows {
				if found, _ := r.find(f, r.at.UnixNano()); found != nil {
					t.Fatalf("%s passes after its time", formatFlow(f))
				}
			}
		}
		r.Expire(r.at)
		if len(r.conns)+len(r.ends)+len(r.sources)+len(r.mappings)+len(r.outside) != 0 {
			t.Fatalf("left when everything is over: %d connections, %d sources, %d mappings", len(r.ends), len(r.sources), len(r.mappings))
		}
	})
}

// thereAndBack sends the answer to a packet, which must reach whoever sent it, from where it was sent to.
func thereAndBack(t *rapid.T, r *router, a arrival, to int, p Packet) {
	if p.conn.flows[original] == p.conn.flows[reply] {
		return // a node that talks to itself by its outside address
	}
	back := Packet{Flow: p.Flow.Reverse(), Flags: ACK}
	c, d := r.find(back.Flow, r.at.UnixNano())
	if c != p.conn || d != p.dir.other() {
		t.Fatalf("the answer to %s, %s, is of another connection", formatPacket(&a.p), formatPacket(&back))
	}
	there := c.flows[p.dir]
	if there != a.p.Flow || c.flows[d.other()].Reverse() != a.p.Flow.Reverse() {
		t.Fatalf("%s is answered as %s", formatFlow(a.p.Flow), formatFlow(there))
	}
	if a.p.Flow.Protocol == TCP {
		return // its answer depends on its state
	}
	got, v := r.send(to, &back)
	from := r.route(a.p.Flow.Src.Addr()) // where it should have come from
	if v == Accept && (got != from || back.Flow != a.p.Flow.Reverse()) {
		t.Fatalf("%s is answered at %s by %s", formatFlow(a.p.Flow), portName(got), formatFlow(back.Flow))
	}
	if v != Accept && v != Isolated {
		t.Fatalf("the answer to %s: %s", formatFlow(a.p.Flow), v)
	}
}

// balance compares what the table counts with what it holds.
func balance(t *rapid.T, table *Table) {
	seen := make(map[key]*conn)
	conns, holds := make(map[*mapping]int), make(map[*mapping]int)
	sources := make(map[*source]int)
	if len(table.ends) > table.max {
		t.Fatalf("%d connections, %d allowed", len(table.ends), table.max)
	}
	for i, c := range table.ends {
		if c.place != i || c.due > c.expires {
			t.Fatalf("connection %s is due after it expires", formatFlow(c.flows[original]))
		}
		for _, f := range c.flows {
			if other := seen[f.key()]; other != nil && other != c {
				t.Fatalf("two connections look like %s", formatFlow(f))
			}
			seen[f.key()] = c
			if table.conns[f.key()] != c {
				t.Fatalf("%s is not found", formatFlow(f))
			}
		}
		for d, m := range c.by {
			if m == nil {
				continue
			}
			conns[m]++
			if c.holds[d] {
				holds[m]++
			}
			if table.mappings[m.mappingKey] != m || table.outside[endpoint{m.protocol, m.outside}] != m {
				t.Fatalf("the mapping of %s is not found", formatFlow(c.flows[original]))
			}
		}
		if c.source != nil {
			sources[c.source]++
		}
	}
	if len(seen) != len(table.conns) || len(conns) != len(table.mappings) || len(conns) != len(table.outside) || len(sources) != len(table.sources) {
		t.Fatalf("more is known than connections need")
	}
	for m, n := range conns {
		if m.conns != n || m.holds != holds[m] {
			t.Fatalf("mapping %s: counts %d and %d, has %d and %d", formatAddr(m.outside), m.conns, m.holds, n, holds[m])
		}
	}
	for s, n := range sources {
		if s.conns != n {
			t.Fatalf("source %s: counts %d, has %d", formatAddr(s.outside), s.conns, n)
		}
	}
}

// No input panics, and none makes the table grow beyond its maximum.
func FuzzTable(f *testing.F) {
	f.Add([]byte("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"), uint8(0))
	f.Add([]byte("a packet and another packet, and one more of them, and the answers"), uint8(255))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		b := Behaviour{Mapping: Dependence(kind % 3), Filtering: Dependence(kind / 3 % 3), Ports: Ports(kind / 9 % 3), Hairpin: kind > 127}
		table, err := New(Config{
			Interfaces: interfaces(), Behaviour: b, Max: 8,
			Forwards: []Forward{forwardTo(UDP, 1, "A:2"), forwardTo(TCP, 1, "A6:2")}, Drop: []Filter{{Protocol: UDP, Port: 9}},
		})
		if err != nil {
			t.Fatal(err)
		}
		next := func() (b byte) {
			if len(data) > 0 {
				b, data = data[0], data[1:]
			}
			return b
		}
		at := start
		addresses := []netip.Addr{{}, netip.MustParseAddr("::ffff:192.168.1.10"), netip.MustParseAddr("fe80::1%x"), netip.IPv4Unspecified()}
		for _, name := range []string{"A", "B", "R", "r", "S", "A6", "R6", "S6", "P"} {
			addresses = append(addresses, netip.MustParseAddr(names[name]))
		}
		end := func() netip.AddrPort {
			return netip.AddrPortFrom(addresses[int(next())%len(addresses)], uint16(next()))
		}
		protocols := []uint8{TCP, UDP, ICMP, ICMPv6, 47, 0}
		flow := func() Flow {
			return Flow{Protocol: protocols[int(next())%len(protocols)], Echo: Echo(next() % 4), Src: end(), Dst: end()}
		}
		for len(data) > 0 {
			at = at.Add(time.Duration(int8(next())) * time.Second)
			p := Packet{In: int(int8(next())) % 5, Out: int(int8(next())) % 5, Kind: Kind(next() % 4), Flags: Flags(next()), Flow: flow(), Inner: flow()}
			switch next() % 4 {
			case 0:
				table.Output(at, &p)
			case 1:
				table.Prerouting(at, &p)
				table.Input(at, &p)
			case 2:
				table.Forward(at, &p)
			default:
				table.Prerouting(at, &p)
				table.Forward(at, &p)
			}
			if table.Len() > 8 {
				t.Fatalf("%d connections", table.Len())
			}
			table.Connections(at)
		}
		table.Expire(at.Add(100 * 24 * time.Hour))
		if len(table.conns)+len(table.ends)+len(table.sources)+len(table.mappings)+len(table.outside) != 0 {
			t.Fatal("something is left when everything is over")
		}
	})
}

// Two packets of one new flow at once are of one connection: whichever is later follows the other.
func TestRace(t *testing.T) {
	for name, b := range map[string]Behaviour{"linux": {}, "full cone": FullCone(), "symmetric": Symmetric()} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, Config{Behaviour: b})
			first, second := parsePacket(t, "udp A:1 > S:53"), parsePacket(t, "udp A:1 > S:53")
			for _, p := range []*Packet{&first, &second} {
				if v := r.Prerouting(start, p); v != Accept {
					t.Fatal(v)
				}
			}
			for _, p := range []*Packet{&first, &second} {
				p.Out = wan
				if v := r.Forward(start, p); v != Accept {
					t.Fatal(v)
				}
			}
			if first.Flow != second.Flow || r.Len() != 1 {
				t.Errorf("%s and %s, %d connections", formatPacket(&first), formatPacket(&second), r.Len())
			}
		})
	}
}

// A mapping that ends while a packet for it is on its way through the router leads nowhere any more.
func TestMappingEndsOnTheWay(t *testing.T) {
	r := newRouter(t, Config{Behaviour: FullCone()})
	r.play(t, "lan: udp A:5000 > S:53 => wan: udp R:5000 > S:53")
	p := parsePacket(t, "udp T:1 > R:5000")
	p.In, p.Out = wan, lan
	if v := r.Prerouting(r.at, &p); v != Accept || formatPacket(&p) != "udp T:1 > A:5000" {
		t.Fatal(v, formatPacket(&p))
	}
	r.at = r.at.Add(5 * time.Minute)
	if v := r.Forward(r.at, &p); v != Filtered || r.Len() != 0 {
		t.Errorf("%v, %d connections", v, r.Len())
	}
}

func TestConcurrent(t *testing.T) {
	r := newRouter(t, Config{Behaviour: FullCone(), Max: 300})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			mine := &router{r.Table, start}
			for i := range 2000 {
				p := Packet{Flow: Flow{Protocol: UDP, Src: addrPort("192.168.1.10", uint16(1+(i+g)%200)), Dst: addrPort("203.0.113.9", uint16(1+i%3))}}
				mine.at = start.Add(time.Duration(i) * 10 * time.Millisecond)
				if to, v := mine.send(lan, &p); v == Accept && to != wan {
					t.Errorf("%s went to %s", formatPacket(&p), portName(to))
				}
			}
		})
	}
	all.Wait()
}

func TestConnections(t *testing.T) {
	r := newRouter(t, Config{})
	r.play(t, `
		lan: udp B:2 > S:53    => wan: udp R:2 > S:53
		lan: udp A:1 > S:53    => wan: udp R:1 > S:53
		lan: tcp/S A:1 > S:53  => wan: tcp/S R:1 > S:53`)
	got := ""
	for _, c := range r.Connections(r.at) {
		got += fmt.Sprintf("%s, %s, %s\n", formatFlow(c.Original), formatFlow(c.Reply), c.Expires.Sub(r.at))
	}
	want := "tcp A:1 > S:53, tcp S:53 > R:1, 2m0s\nudp A:1 > S:53, udp S:53 > R:1, 30s\nudp B:2 > S:53, udp S:53 > R:2, 30s\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
