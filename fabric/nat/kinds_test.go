package nat

import (
	"fmt"
	"testing"
	"time"
)

// The requirements of RFC 4787, with those of RFC 5382 and 5508 that say the same of TCP and ICMP, one by one.
func TestRFC4787(t *testing.T) {
	tests := []struct {
		name    string
		config  Config
		diagram string
	}{
		{name: "REQ-1: one outside port for all destinations", config: Config{Behaviour: FullCone()}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			lan: udp B:5000 > S:53   => wan: udp R:*1 > S:53
			lan: udp B:5000 > S:54   => wan: udp R:*1 > S:54
			lan: udp B:5000 > T:53   => wan: udp R:*1 > T:53
			lan: tcp/S B:5000 > T:53 => wan: tcp/S R:5000 > T:53`},
		{name: "REQ-3: ports are not overloaded", config: Config{Behaviour: PortRestrictedCone()}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			lan: udp B:5000 > T:53   => wan: udp R:*1 > T:53`},
		{name: "REQ-3: nor those of forwards", config: Config{Behaviour: FullCone(), Forwards: []Forward{forwardTo(UDP, 5000, "A:80")}}, diagram: `
			lan: udp B:5000 > S:53   => wan: udp R:*1 > S:53
			wan: udp T:1 > R:5000    => lan: udp T:1 > A:80`},
		{name: "REQ-5: a mapping lasts five minutes", config: Config{Behaviour: FullCone()}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			+4m59s
			wan: udp T:53 > R:5000   => lan: udp T:53 > A:5000
			+4m59s
			wan: udp T:53 > R:5000   => lan: udp T:53 > A:5000
			+5m
			wan: udp T:53 > R:5000   => router: udp T:53 > R:5000`},
		{name: "REQ-6: what goes out refreshes the mapping", config: Config{Behaviour: outboundOnly(FullCone())}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			+4m59s
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			+4m59s
			wan: udp S:53 > R:5000   => lan: udp S:53 > A:5000`},
		{name: "REQ-6: what comes in does not have to", config: Config{Behaviour: outboundOnly(FullCone())}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			+4m59s
			wan: udp S:53 > R:5000   => lan: udp S:53 > A:5000
			wan: udp T:53 > R:5000   => lan: udp T:53 > A:5000
			+1s
			wan: udp S:53 > R:5000   => router: udp S:53 > R:5000
			wan: udp T:54 > R:5000   => router: udp T:54 > R:5000
			lan: udp A:5000 > T:53   => wan: udp R:5000 > T:53
			wan: udp T:55 > R:5000   => lan: udp T:55 > A:5000`},
		{name: "REQ-8: endpoint-independent filtering", config: Config{Behaviour: FullCone()}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			wan: udp S:54 > R:5000   => lan: udp S:54 > A:5000
			wan: udp T:53 > R:5000   => lan: udp T:53 > A:5000
			lan: udp A:5000 > T:53   => wan: udp R:5000 > T:53
			wan: tcp/S T:1 > R:5000  => router: tcp/S T:1 > R:5000
			wan: udp T:53 > A:5000   => unasked`},
		{name: "REQ-8: address-dependent filtering", config: Config{Behaviour: RestrictedCone()}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			wan: udp S:54 > R:5000   => lan: udp S:54 > A:5000
			wan: udp T:53 > R:5000   => filtered
			lan: udp A:5000 > T:1    => wan: udp R:5000 > T:1
			wan: udp T:53 > R:5000   => lan: udp T:53 > A:5000`},
		{name: "address and port-dependent filtering", config: Config{Behaviour: PortRestrictedCone()}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:5000 > S:53
			wan: udp S:53 > R:5000   => lan: udp S:53 > A:5000
			wan: udp S:54 > R:5000   => filtered
			lan: udp A:5000 > S:54   => wan: udp R:5000 > S:54
			wan: udp S:54 > R:5000   => lan: udp S:54 > A:5000`},
		{name: "REQ-9: hairpin, from the outside address", config: Config{Behaviour: FullCone()}, diagram: `
			lan: udp A:5000 > S:53     => wan: udp R:5000 > S:53
			lan: udp B:6000 > R:5000   => lan: udp R:6000 > A:5000
			lan: udp A:5000 > R:6000   => lan: udp R:5000 > B:6000
			wan: udp T:1 > R:6000      => lan: udp T:1 > B:6000`},
		{name: "REQ-9: filtered like everybody else", config: Config{Behaviour: PortRestrictedCone()}, diagram: `
			lan: udp A:5000 > S:53     => wan: udp R:5000 > S:53
			lan: udp B:6000 > R:5000   => filtered
			lan: udp B:6000 > S:53     => wan: udp R:6000 > S:53
			lan: udp A:5000 > R:6000   => filtered                  # B has not sent to A,
			lan: udp B:6000 > R:5000   => filtered                  # nor A to B`},
		{name: "a node hairpins to itself", config: Config{Behaviour: FullCone()}, diagram: `
			lan: udp A:5000 > S:53     => wan: udp R:5000 > S:53
			lan: udp A:5000 > R:5000   => lan: udp R:5000 > A:5000
			lan: udp A:5001 > R:5000   => lan: udp R:5001 > A:5000
			lan: udp A:5000 > R:5001   => lan: udp R:5000 > A:5001`},
		{name: "REQ-11: port kept whatever else is in use, class by class", config: Config{Behaviour: FullCone()}, diagram: `
			lan: udp A:80 > S:53       => wan: udp R:80 > S:53
			lan: udp B:80 > S:53       => wan: udp R:*1 > S:53
			lan: udp B:81 > S:53       => wan: udp R:81 > S:53`},
		{name: "REQ-12: errors are translated, and end nothing", config: Config{Behaviour: Symmetric()}, diagram: `
			lan: udp A:5000 > S:53               => wan: udp R:*1 > S:53
			wan: icmp T > R [udp R:*1 > S:53]    => lan: icmp T > A [udp A:5000 > S:53]
			wan: udp S:53 > R:*1                 => lan: udp S:53 > A:5000`},
		{name: "symmetric: another port for each destination", config: Config{Behaviour: Symmetric()}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:*1 > S:53
			lan: udp A:5000 > S:54   => wan: udp R:*2 > S:54
			wan: udp S:54 > R:*1     => filtered
			wan: udp S:53 > R:*1     => lan: udp S:53 > A:5000`},
		{name: "address-dependent mapping", config: Config{Behaviour: Behaviour{Mapping: ByAddress, Filtering: ByAddress, Ports: Random}}, diagram: `
			lan: udp A:5000 > S:53   => wan: udp R:*1 > S:53
			lan: udp A:5000 > S:54   => wan: udp R:*1 > S:54
			lan: udp A:5000 > T:53   => wan: udp R:*2 > T:53
			wan: udp S:55 > R:*1     => lan: udp S:55 > A:5000
			wan: udp T:53 > R:*1     => filtered
			wan: udp T:53 > R:*2     => lan: udp T:53 > A:5000`},
		{name: "pings have mappings (RFC 5508, REQ-1)", config: Config{Behaviour: FullCone()}, diagram: `
			lan: ping A:7 > S   => wan: ping R:7 > S
			lan: ping B:7 > T   => wan: ping R:*1 > T
			lan: ping B:7 > S   => wan: ping R:*1 > S
			wan: pong T > R:*1  => lan: pong T > B:7
			wan: ping T:7 > R   => router: ping T:7 > R`},
		{name: "TCP from both sides (RFC 5382, REQ-2)", config: Config{Behaviour: PortRestrictedCone()}, diagram: `
			lan: tcp/S A:1 > S:80    => wan: tcp/S R:1 > S:80
			wan: tcp/S S:80 > R:1    => lan: tcp/S S:80 > A:1
			lan: tcp/SA A:1 > S:80   => wan: tcp/SA R:1 > S:80`},
		{name: "IPv6 is filtered by connection all the same", config: Config{Behaviour: FullCone()}, diagram: `
			lan: udp A6:5000 > S6:53 => wan: udp A6:5000 > S6:53
			wan: udp S6:54 > A6:5000 => unasked`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { newRouter(t, test.config).play(t, test.diagram) })
	}
}

func outboundOnly(b Behaviour) Behaviour {
	b.OutboundOnly = true
	return b
}

// A port stays free for its class, and where none is left, the answer is Exhausted; when connections end, there are ports.
func TestExhausted(t *testing.T) {
	behaviours := map[string]Behaviour{"linux": {}, "full cone": FullCone(), "symmetric": Symmetric()}
	for name, behaviour := range behaviours {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, Config{Behaviour: behaviour, Max: 1 << 20})
			given := map[uint16]bool{}
			for i := range 2000 {
				p := parsePacket(t, "udp A:600 > S:53")
				p.Flow.Src = addrPort(fmt.Sprintf("192.168.1.%d", 2+i%250), uint16(600+i/250))
				_, v := r.send(lan, &p)
				if v == Exhausted {
					continue
				}
				if port := p.Flow.Src.Port(); v != Accept || port < 600 || port > 1023 || given[port] {
					t.Fatalf("connection %d: %v, port %d", i, v, port)
				}
				given[p.Flow.Src.Port()] = true
			}
			// Linux does not look at every port; a mapping is worth that.
			if len(given) > 424 || len(given) < 400 || behaviour.Ports != Overload && len(given) != 424 {
				t.Errorf("%d ports of 424 given", len(given))
			}
			r.at = r.at.Add(time.Hour)
			r.play(t, "lan: udp A:5000 > S:53   => wan: udp R:"+map[bool]string{true: "*1", false: "5000"}[behaviour.Ports == Random]+" > S:53")
			if r.Len() != 1 {
				t.Errorf("%d connections left", r.Len())
			}
			if r.Expire(r.at.Add(time.Hour)) != 1 || len(r.conns)+len(r.sources)+len(r.mappings)+len(r.outside) != 0 {
				t.Error("something is left when everything is over")
			}
		})
	}
}

// A table that is full drops what would begin a connection and serves those that it has.
func TestFull(t *testing.T) {
	newRouter(t, Config{Max: 2}).play(t, `
		lan: udp A:1 > S:53   => wan: udp R:1 > S:53
		lan: udp A:2 > S:53   => wan: udp R:2 > S:53
		+10s
		lan: udp A:3 > S:53   => table full
		wan: udp T:3 > R:3    => table full
		router: udp R:4 > S:1 => table full
		wan: udp S:53 > R:2   => lan: udp S:53 > A:2
		+20s
		lan: udp A:3 > S:53   => wan: udp R:3 > S:53
		lan: udp A:4 > S:53   => table full`)
}

func TestNew(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{"no such interface", Config{Forwards: []Forward{{Interface: 1, Protocol: TCP, Port: 1, To: parseAddr("A:1")}}}, "forward 0: there is no interface 1"},
		{"no ports", Config{Interfaces: interfaces(), Forwards: []Forward{forwardTo(ICMP, 1, "A:1")}}, "forward 0: protocol 1 has no ports to forward"},
		{"nowhere", Config{Interfaces: interfaces(), Forwards: []Forward{forwardTo(UDP, 1, "A:0")}}, "forward 0: from port 1 to 192.168.1.10:0: needs ports and an address"},
		{"behaviour", Config{Behaviour: Behaviour{Ports: 3}}, "no such behaviour: mapping 0, filtering 0, ports 3"},
		{"maximum", Config{Max: -1}, "a table cannot hold -1 connections"},
	}
	for _, test := range tests {
		if _, err := New(test.config); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}

// An interface without an address for it masquerades nothing, and lets nothing out either.
func TestNoAddress(t *testing.T) {
	r := newRouter(t, Config{Interfaces: []Interface{lan: interfaces()[lan], wan: {Masquerade: true}}})
	r.play(t, `
		lan: udp A:1 > S:53     => no address
		lan: udp A6:1 > S6:53   => wan: udp A6:1 > S6:53`)
}
