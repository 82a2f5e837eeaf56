package nat

import (
	"strings"
	"testing"
	"time"
)

// What fabric/kernel/rules.go has Linux do, packet by packet. R29, R30 (port forward), R34.
func TestLinux(t *testing.T) {
	tests := []struct {
		name    string
		config  Config
		diagram string
	}{
		{name: "masquerade keeps the port", diagram: `
			lan: udp A:5000 > S:53    => wan: udp R:5000 > S:53
			wan: udp S:53 > R:5000    => lan: udp S:53 > A:5000`},
		{name: "one port for connections to two servers", diagram: `
			lan: udp A:5000 > S:53    => wan: udp R:5000 > S:53
			lan: udp A:5000 > T:53    => wan: udp R:5000 > T:53`},
		{name: "and for two nodes, as long as they talk to different servers", diagram: `
			lan: udp A:5000 > S:53    => wan: udp R:5000 > S:53
			lan: udp B:5000 > T:53    => wan: udp R:5000 > T:53
			wan: udp T:53 > R:5000    => lan: udp T:53 > B:5000`},
		{name: "to the same server the second has another port, and keeps it for the next server", diagram: `
			lan: udp A:5000 > S:53    => wan: udp R:5000 > S:53
			lan: udp B:5000 > S:53    => wan: udp R:*1 > S:53
			wan: udp S:53 > R:*1      => lan: udp S:53 > B:5000
			lan: udp B:5000 > T:53    => wan: udp R:*1 > T:53`},
		{name: "a stranger's packet is for the router itself", diagram: `
			lan: udp A:5000 > S:53    => wan: udp R:5000 > S:53
			wan: udp S:54 > R:5000    => router: udp S:54 > R:5000
			wan: udp T:53 > R:5000    => router: udp T:53 > R:5000`},
		{name: "nothing comes in unasked", diagram: `
			wan: tcp/S S:999 > A:80   => unasked
			wan: udp S:999 > A:80     => unasked
			wan: ping S:1 > A         => unasked
			wan: gre S > A            => unasked
			wan: other S > A          => unasked
			wan: udp S6:999 > A6:80   => unasked
			wan: nd S6 > A6           => unasked`},
		{name: "IPv6 is filtered and not rewritten (RFC 6092, section 3.2.2)", diagram: `
			lan: udp A6:5000 > S6:53  => wan: udp A6:5000 > S6:53
			wan: udp S6:53 > A6:5000  => lan: udp S6:53 > A6:5000
			wan: udp S6:54 > A6:5000  => unasked
			wan: icmp S6 > A6 [udp A6:5000 > S6:53]  => lan: icmp S6 > A6 [udp A6:5000 > S6:53]
			wan: icmp S6 > A6 [udp A6:5001 > S6:53]  => unasked`},
		{name: "an isolated network has no way out or in", diagram: `
			office: udp P:1 > S:2     => isolated
			office: udp P:1 > A:2     => isolated
			lan: udp A:1 > P:2        => isolated
			office: udp P:1 > p:2     => router: udp P:1 > p:2
			office: udp P:1 > r:2     => router: udp P:1 > r:2
			router: udp p:2 > P:1     => office: udp p:2 > P:1`},
		{
			name: "a port forward leads in", config: Config{Forwards: []Forward{forwardTo(TCP, 8080, "A:80")}}, diagram: `
			wan: tcp/S S:999 > R:8080   => lan: tcp/S S:999 > A:80
			lan: tcp/SA A:80 > S:999    => wan: tcp/SA R:8080 > S:999
			wan: tcp/A S:999 > R:8080   => lan: tcp/A S:999 > A:80
			wan: udp S:999 > R:8080     => router: udp S:999 > R:8080
			wan: tcp/S S:999 > A:80     => unasked`,
		},
		{
			name: "and serves the inside: the server sees the router", config: Config{Forwards: []Forward{forwardTo(TCP, 8080, "A:80")}}, diagram: `
			lan: tcp/S B:999 > R:8080   => lan: tcp/S r:999 > A:80
			lan: tcp/SA A:80 > r:999    => lan: tcp/SA R:8080 > B:999
			lan: tcp/S A:999 > R:8080   => lan: tcp/S r:*1 > A:80
			lan: tcp/SA A:80 > r:*1     => lan: tcp/SA R:8080 > A:999`,
		},
		{
			name: "IPv6 too", config: Config{Forwards: []Forward{forwardTo(TCP, 8080, "A6:80")}}, diagram: `
			wan: tcp/S S6:999 > R6:8080  => lan: tcp/S S6:999 > A6:80
			lan: tcp/SA A6:80 > S6:999   => wan: tcp/SA R6:8080 > S6:999
			lan: tcp/S A6:999 > R6:8080  => lan: tcp/S r6:999 > A6:80
			wan: tcp/S S:999 > R:8080    => router: tcp/S S:999 > R:8080`,
		},
		{
			name: "the first of two forwards counts", diagram: `
			wan: udp S:999 > R:80   => lan: udp S:999 > A:80`,
			config: Config{Forwards: []Forward{forwardTo(UDP, 80, "A:80"), forwardTo(UDP, 80, "B:80")}},
		},
		{
			name: "the router's own packets are not forwarded inside", config: Config{Forwards: []Forward{forwardTo(TCP, 8080, "A:80")}}, diagram: `
			router: tcp/S R:999 > R:8080   => router: tcp/S R:999 > R:8080`,
		},
		{name: "a ping's identifier is its port", diagram: `
			lan: ping A:7 > S     => wan: ping R:7 > S
			lan: ping B:7 > S     => wan: ping R:*1 > S
			wan: pong S > R:*1    => lan: pong S > B:7
			wan: pong S > R:7     => lan: pong S > A:7
			wan: pong S > R:8     => router: pong S > R:8
			wan: ping S:7 > R     => router: ping S:7 > R
			router: pong R > S:7  => wan: pong R > S:7`},
		{name: "protocols without ports have one connection between two addresses", diagram: `
			lan: gre A > S        => wan: gre R > S
			wan: gre S > R        => lan: gre S > A
			lan: gre B > S        => ports exhausted
			lan: gre B > T        => wan: gre R > T`},
		{name: "the router's own connections are masqueraded and in nobody's way", diagram: `
			router: udp R:5000 > S:53   => wan: udp R:5000 > S:53
			lan: udp A:5000 > S:53      => wan: udp R:*1 > S:53
			wan: udp S:53 > R:5000      => router: udp S:53 > R:5000
			wan: udp S:53 > R:*1        => lan: udp S:53 > A:5000
			router: udp r:6000 > S:53   => wan: udp R:6000 > S:53
			wan: udp S:53 > R:6000      => router: udp S:53 > r:6000`},
		{name: "classes of ports", diagram: `
			lan: udp A:100 > S:53   => wan: udp R:100 > S:53
			lan: udp A:600 > S:53   => wan: udp R:600 > S:53
			lan: udp B:100 > S:53   => wan: udp R:*1 > S:53
			lan: udp B:600 > S:53   => wan: udp R:*2 > S:53`},
		{
			name: "what a node drops", config: Config{Drop: []Filter{{Protocol: TCP, Port: 81}, {Protocol: ICMP}}}, diagram: `
			lan: tcp/S A:1 > r:81   => rejected
			lan: udp A:1 > r:81     => router: udp A:1 > r:81
			lan: tcp/S A:1 > r:82   => router: tcp/S A:1 > r:82
			lan: ping A:1 > r       => rejected
			lan: tcp/S A:1 > S:81   => wan: tcp/S R:1 > S:81`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { newRouter(t, test.config).play(t, test.diagram) })
	}
}

func TestErrorsAreTranslated(t *testing.T) {
	tests := []struct {
		name    string
		config  Config
		diagram string
	}{
		{name: "from outside: a hop's and the server's own", diagram: `
			lan: udp A:5000 > S:53                  => wan: udp R:5000 > S:53
			wan: icmp T > R [udp R:5000 > S:53]     => lan: icmp T > A [udp A:5000 > S:53]
			wan: icmp S > R [udp R:5000 > S:53]     => lan: icmp S > A [udp A:5000 > S:53]
			wan: udp S:53 > R:5000                  => lan: udp S:53 > A:5000`},
		{name: "with another port", diagram: `
			lan: udp A:5000 > S:53                  => wan: udp R:5000 > S:53
			lan: udp B:5000 > S:53                  => wan: udp R:*1 > S:53
			wan: icmp S > R [udp R:*1 > S:53]       => lan: icmp S > B [udp B:5000 > S:53]`},
		{name: "from inside, about an answer", diagram: `
			lan: udp A:5000 > S:53                  => wan: udp R:5000 > S:53
			wan: udp S:53 > R:5000                  => lan: udp S:53 > A:5000
			lan: icmp A > S [udp S:53 > A:5000]     => wan: icmp R > S [udp S:53 > R:5000]`},
		{name: "about pings", diagram: `
			lan: ping A:7 > S                       => wan: ping R:7 > S
			wan: icmp T > R [ping R:7 > S]          => lan: icmp T > A [ping A:7 > S]`},
		{
			name: "about a forwarded port", config: Config{Forwards: []Forward{forwardTo(UDP, 8080, "A:80")}}, diagram: `
			wan: udp S:999 > R:8080                 => lan: udp S:999 > A:80
			lan: icmp A > S [udp S:999 > A:80]      => wan: icmp R > S [udp S:999 > R:8080]
			lan: udp A:80 > S:999                   => wan: udp R:8080 > S:999
			wan: icmp T > R [udp R:8080 > S:999]    => lan: icmp T > A [udp A:80 > S:999]`,
		},
		{
			name: "hairpin", config: Config{Forwards: []Forward{forwardTo(UDP, 8080, "A:80")}}, diagram: `
			lan: udp B:999 > R:8080                 => lan: udp r:999 > A:80
			lan: icmp A > r [udp r:999 > A:80]      => lan: icmp R > B [udp B:999 > R:8080]`,
		},
		{name: "the router's own: what it quotes as it came in stays", diagram: `
			lan: udp A:5000 > S:53                  => wan: udp R:5000 > S:53
			router: icmp r > A [udp A:5000 > S:53]  => lan: icmp r > A [udp A:5000 > S:53]
			router: icmp R > S [udp S:53 > R:5000]  => wan: icmp R > S [udp S:53 > R:5000]`},
		{name: "what had left already is translated back", diagram: `
			lan: udp A:5000 > S:53                  => wan: udp R:5000 > S:53
			router: icmp R > R [udp R:5000 > S:53]  => lan: icmp R > A [udp A:5000 > S:53]`},
		{name: "about nothing that is known, or to somebody else than its sender", diagram: `
			lan: udp A:5000 > S:53                  => wan: udp R:5000 > S:53
			wan: icmp S > R [udp R:5001 > S:53]     => router: icmp S > R [udp R:5001 > S:53]
			wan: icmp S > A [udp R:5000 > S:53]     => unasked`},
		{name: "an error ends nothing (RFC 4787, REQ-12)", diagram: `
			lan: udp A:5000 > S:53                  => wan: udp R:5000 > S:53
			+29s
			wan: icmp S > R [udp R:5000 > S:53]     => lan: icmp S > A [udp A:5000 > S:53]
			wan: udp S:53 > R:5000                  => lan: udp S:53 > A:5000`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { newRouter(t, test.config).play(t, test.diagram) })
	}
}

// lifetime is how long after the diagram the outside is let in by the line last.
func lifetime(t *testing.T, config Config, diagram, last string) time.Duration {
	t.Helper()
	for _, seconds := range []int{10, 30, 60, 120, 180, 300, 600, 432000} {
		d := time.Duration(seconds) * time.Second
		lets := func(after time.Duration) bool {
			r := newRouter(t, config)
			r.play(t, diagram)
			r.at = r.at.Add(after)
			from, text, _ := strings.Cut(last, ": ")
			p := parsePacket(t, text)
			to, v := r.send(portNumber(from), &p)
			return v == Accept && to == lan
		}
		if lets(d-1) && !lets(d) {
			return d
		}
	}
	return 0
}

// Time-outs are those of Linux: connections end at that time after the last packet, and not before.
func TestTimeouts(t *testing.T) {
	const (
		syn       = "lan: tcp/S A:1 > S:80 => wan: tcp/S R:1 > S:80\n"
		synAck    = "wan: tcp/SA S:80 > R:1 => lan: tcp/SA S:80 > A:1\n"
		ack       = "lan: tcp/A A:1 > S:80 => wan: tcp/A R:1 > S:80\n"
		fin       = "lan: tcp/FA A:1 > S:80 => wan: tcp/FA R:1 > S:80\n"
		answer    = "wan: tcp/A S:80 > R:1 => lan: tcp/A S:80 > A:1\n"
		finAnswer = "wan: tcp/FA S:80 > R:1 => lan: tcp/FA S:80 > A:1\n"
		reset     = "wan: tcp/R S:80 > R:1 => lan: tcp/R S:80 > A:1\n"
		in        = "wan: tcp/SA S:80 > R:1"

		ask  = "lan: udp A:1 > S:53 => wan: udp R:1 > S:53\n"
		tell = "wan: udp S:53 > R:1 => lan: udp S:53 > A:1\n"
		udp  = "wan: udp S:53 > R:1"
	)
	tests := []struct {
		name, diagram, last string
		want                time.Duration
	}{
		{"SYN sent", syn, in, 120 * time.Second},
		{"SYN sent again", syn + "+60s\n" + syn, in, 60 * time.Second},
		{"SYN received", syn + synAck, in, 60 * time.Second},
		{"established", syn + synAck + ack, in, 5 * 24 * time.Hour},
		{"fin wait", syn + synAck + ack + fin, in, 120 * time.Second},
		{"close wait", syn + synAck + ack + fin + answer, in, 60 * time.Second},
		{"last ack", syn + synAck + ack + fin + finAnswer, in, 30 * time.Second},
		{"time wait", syn + synAck + ack + fin + finAnswer + ack, in, 120 * time.Second},
		{"close", syn + synAck + ack + reset, in, 10 * time.Second},
		{"refused", syn + reset, in, 0},
		{"older than the table", ack, in, 300 * time.Second},
		{"SYN from both sides", syn + "wan: tcp/S S:80 > R:1 => lan: tcp/S S:80 > A:1", in, 120 * time.Second},
		{"UDP, unreplied", ask, udp, 30 * time.Second},
		{"UDP, replied", ask + tell, udp, 30 * time.Second},
		{"UDP, a stream", ask + tell + "+2s\n" + ask, udp, 120 * time.Second},
		{"ICMP", "lan: ping A:1 > S => wan: ping R:1 > S", "wan: pong S > R:1", 30 * time.Second},
		{"generic", "lan: gre A > S => wan: gre R > S", "wan: gre S > R", 600 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := lifetime(t, Config{}, test.diagram, test.last); got != test.want {
				t.Errorf("lasts %v, want %v", got, test.want)
			}
		})
	}
}

// Packets that belong to no state are not tracked: nothing of them comes in, and Linux lets them out as they are.
func TestTCPStrays(t *testing.T) {
	newRouter(t, Config{}).play(t, `
		lan: tcp/R A:1 > S:80    => wan: tcp/R A:1 > S:80
		lan: tcp/SA A:1 > S:80   => wan: tcp/SA A:1 > S:80
		lan: tcp/FA A:1 > S:80   => wan: tcp/FA A:1 > S:80
		lan: tcp/ A:1 > S:80     => wan: tcp/ A:1 > S:80
		lan: tcp/S A:1 > S:80    => wan: tcp/S R:1 > S:80
		lan: tcp/A A:1 > S:80    => wan: tcp/A A:1 > S:80    # nothing to acknowledge yet
		wan: tcp/FA S:80 > R:1   => router: tcp/FA S:80 > R:1
		wan: tcp/A S:80 > R:1    => lan: tcp/A S:80 > A:1    # half open: the client resets
		wan: tcp/SA S:80 > R:1   => lan: tcp/SA S:80 > A:1
		lan: tcp/S A:1 > S:80    => wan: tcp/S R:1 > S:80
		wan: tcp/S S:80 > R:1    => router: tcp/S S:80 > R:1
		lan: tcp/R A:1 > S:80    => wan: tcp/R R:1 > S:80
		lan: tcp/S A:1 > S:80    => wan: tcp/S R:1 > S:80    # again (RFC 1122, section 4.2.2.13)
		wan: tcp/SA S:80 > R:1   => lan: tcp/SA S:80 > A:1`)
}
