package fabrictest

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"scenario/host"
)

// The server has routes back inside, so that only the router's rules keep strangers out.
const home = `
networks:
  lan: [192.168.1.0/24, fd00:1::/64]
  internet: [198.51.100.0/24, "2001:db8::/64"]
nodes:
  laptop: {networks: {lan: [192.168.1.10, "fd00:1::10"]}}
  phone: {networks: {lan: [192.168.1.11, "fd00:1::11"]}}
  gate:
    networks: {lan: [192.168.1.1, "fd00:1::1"], internet: [198.51.100.1, "2001:db8::1"]}
    router: {nat: internet, forwards: ["8080:laptop:80", "8080:laptop:80/udp", "8081:laptop:81"]}
  server:
    networks: {internet: [198.51.100.80, "2001:db8::80"]}
    gateway: [198.51.100.1, "2001:db8::1"]
  guest:
    networks: {internet: [198.51.100.90, "2001:db8::90"]}
    gateway: [198.51.100.1, "2001:db8::1"]
`

// masquerade: all insiders are seen at the router's address; IPv6 is passed on as it is (R29, R35).
func masquerade(l *lab) {
	server, router := l.at("server", "internet", 80), l.addr("gate", "internet")
	l.both("laptop", "server", server, server, l.translated(l.addr("laptop", "lan"), router))
	l.both("phone", "server", server, server, l.translated(l.addr("phone", "lan"), router))
	// Among themselves there is no router between them.
	l.both("phone", "laptop", l.at("laptop", "lan", 80), l.at("laptop", "lan", 80), l.addr("phone", "lan"))
	// Several at once: each gets its own answers.
	listener := l.listenPacket("server", server)
	var clients []net.Conn
	for _, node := range []string{"laptop", "phone", "laptop"} {
		clients = append(clients, l.dialUDP(node, server))
	}
	for range 2 {
		for _, client := range clients {
			l.askUDP(client, listener)
		}
	}
}

// portKept: a client's port is kept where it is free.
func portKept(l *lab) {
	server := l.at("server", "internet", 80)
	for range 3 {
		if e := l.tcp("laptop", "server", server, server); e.own.Port() != e.seen.Port() {
			l.Errorf("TCP: the client's port %d is seen as %d", e.own.Port(), e.seen.Port())
		}
		if e := l.udp("laptop", "server", server, server); e.own.Port() != e.seen.Port() {
			l.Errorf("UDP: the client's port %d is seen as %d", e.own.Port(), e.seen.Port())
		}
	}
}

// portTaken: where two insiders use the same port to the same server, the second one gets another, and each its own
// answers. The port is from 1024 on as the client's is.
func portTaken(l *lab) {
	server := l.listenPacket("server", l.at("server", "internet", 53))
	laptop := l.listenPacket("laptop", l.at("laptop", "lan", 5000))
	phone := l.listenPacket("phone", l.at("phone", "lan", 5000))
	l.answer(laptop, l.at("server", "internet", 53), "laptop")
	first := l.receive(server, "laptop")
	l.answer(phone, l.at("server", "internet", 53), "phone")
	second := l.receive(server, "phone")
	if router := l.addr("gate", "internet"); first != netip.AddrPortFrom(router, 5000) {
		l.Errorf("the first is seen at %s, want the router's address and its own port", first)
	}
	if second.Addr() != first.Addr() || second.Port() == first.Port() || second.Port() < 1024 {
		l.Errorf("the first is seen at %s and the second at %s", first, second)
	}
	l.answer(server, second, "for the phone")
	l.answer(server, first, "for the laptop")
	for _, reply := range []struct {
		to   net.PacketConn
		text string
	}{{phone, "for the phone"}, {laptop, "for the laptop"}} {
		if from := l.receive(reply.to, reply.text); from != l.at("server", "internet", 53) {
			l.Errorf("%s comes from %s", reply.text, from)
		}
	}
	// The ports stay while there is traffic.
	l.answer(phone, l.at("server", "internet", 53), "phone again")
	if again := l.receive(server, "phone again"); again != second {
		l.Errorf("the second was seen at %s, and now at %s", second, again)
	}
}

// portShared: to different servers two insiders keep the same port: a port is free unless both ends of the connection are
// the same.
func portShared(l *lab) {
	router := netip.AddrPortFrom(l.addr("gate", "internet"), 5000)
	for _, pair := range []struct{ client, server string }{{"laptop", "server"}, {"phone", "guest"}} {
		server := l.listenPacket(pair.server, l.at(pair.server, "internet", 53))
		client := l.listenPacket(pair.client, l.at(pair.client, "lan", 5000))
		l.answer(client, l.at(pair.server, "internet", 53), pair.client)
		seen := l.receive(server, pair.client)
		if seen != router {
			l.Errorf("%s is seen at %s, want %s", pair.client, seen, router)
		}
		l.answer(server, seen, "answer")
		l.receive(client, "answer")
	}
}

// portOfTheRouter: a port at which the router itself talks to the server is taken; one at which it only listens is not, as
// Linux asks for connections, not for sockets.
func portOfTheRouter(l *lab) {
	at := l.at("server", "internet", 53)
	server := l.listenPacket("server", at)
	router := l.listenPacket("gate", l.at("gate", "internet", 5000))
	laptop := l.listenPacket("laptop", l.at("laptop", "lan", 5000))
	l.answer(laptop, at, "while it listens")
	if seen := l.receive(server, "while it listens"); seen.Port() != 5000 {
		l.Errorf("seen at %s, want port 5000", seen)
	}
	// The other way round: the router's own packets are not masqueraded, but they must not be taken for the laptop's.
	l.answer(router, at, "router")
	seen := l.receive(server, "router")
	if seen.Addr() != l.addr("gate", "internet") || seen.Port() == 5000 {
		l.Errorf("the router is seen at %s, which is the laptop's", seen)
	}
	l.answer(server, seen, "for the router")
	l.receive(router, "for the router")
}

// unasked: from outside nothing gets in that was not asked for, even where routes lead there; the sender gets no word.
// The same holds for IPv6 (R29, R35).
func unasked(l *lab) {
	inside := l.at("laptop", "lan", 80)
	l.nothing("server", "laptop", inside, inside)
	l.pingSilent("server", inside.Addr())
	// Nor by a port that is not forwarded: that is the router's own, and closed.
	l.dialFails("server", l.at("gate", "internet", 80), syscall.ECONNREFUSED)
	l.udpFails("server", l.at("gate", "internet", 80), syscall.ECONNREFUSED)
	// An answer is something else.
	l.both("laptop", "server", l.at("server", "internet", 80), l.at("server", "internet", 80),
		l.translated(inside.Addr(), l.addr("gate", "internet")))
}

// strangers: an insider's port outside is open for that address and port alone that the insider talks with (RFC 4787,
// section 5: address and port-dependent filtering). To others it is a closed port of the router's.
func strangers(l *lab) {
	server := l.listenPacket("server", l.at("server", "internet", 53))
	client := l.dialUDP("laptop", l.at("server", "internet", 53))
	seen := l.askUDP(client, server).seen
	l.udpFails("server", seen, syscall.ECONNREFUSED) // from another port
	l.udpFails("guest", seen, syscall.ECONNREFUSED)  // from another address
	l.dialFails("guest", seen, syscall.ECONNREFUSED)
	l.askUDP(client, server)

	// So it is for a socket that talks with anybody.
	open := l.listenPacket("laptop", l.at("laptop", "lan", 5000))
	l.answer(open, l.at("server", "internet", 53), "question")
	seen = l.receive(server, "question")
	l.udpFails("guest", seen, syscall.ECONNREFUSED)
	l.answer(server, seen, "answer")
	if from := l.receive(open, "answer"); from != l.at("server", "internet", 53) {
		l.Errorf("the answer comes from %s", from)
	}
}

// portForward: the router's port leads to the insider, who sees who calls (R30).
func portForward(l *lab) {
	inside, outside := l.at("laptop", "lan", 80), l.at("gate", "internet", 8080)
	l.both("guest", "laptop", inside, outside, l.addr("guest", "internet"))
	l.both("server", "laptop", inside, outside, l.addr("server", "internet"))
	// It is there for nothing but its port.
	l.dialFails("guest", l.at("gate", "internet", 8082), syscall.ECONNREFUSED)
	l.udpFails("guest", l.at("gate", "internet", 8081), syscall.ECONNREFUSED)
	// The insider's own calls are masqueraded as ever.
	l.both("laptop", "guest", l.at("guest", "internet", 80), l.at("guest", "internet", 80),
		l.translated(inside.Addr(), l.addr("gate", "internet")))
}

// forwardClosed: nobody listens at the insider's port: its refusal comes back, as the router's.
func forwardClosed(l *lab) {
	l.dialFails("guest", l.at("gate", "internet", 8081), syscall.ECONNREFUSED)
	l.udpFails("guest", l.at("gate", "internet", 8080), syscall.ECONNREFUSED)
	l.dialFails("phone", l.at("gate", "internet", 8081), syscall.ECONNREFUSED)
	l.udpFails("phone", l.at("gate", "internet", 8080), syscall.ECONNREFUSED)
}

// hairpin: the router's outside port serves the inside too. Packets are made to come back by the router: the insider
// sees its inside address, in IPv6 too (R30; RFC 4787, section 6).
func hairpin(l *lab) {
	inside, outside := l.at("laptop", "lan", 80), l.at("gate", "internet", 8080)
	l.both("phone", "laptop", inside, outside, l.addr("gate", "lan"))
	l.both("laptop", "laptop", inside, outside, l.addr("gate", "lan"))
	// The forward is of the outside address; at the inside one the router has a closed port.
	l.dialFails("phone", l.at("gate", "lan", 8080), syscall.ECONNREFUSED)
	// What the router itself sends to its own address does not leave it, and Linux forwards none of it.
	l.dialFails("gate", outside, syscall.ECONNREFUSED)
}

// errorsComeBack: ICMP errors find the insider whose packet they are about.
func errorsComeBack(l *lab) {
	l.udpFails("laptop", l.at("server", "internet", 81), syscall.ECONNREFUSED)
	l.udpFails("phone", l.at("server", "internet", 81), syscall.ECONNREFUSED)
	l.dialFails("laptop", l.at("server", "internet", 81), syscall.ECONNREFUSED)
	// The router's own errors.
	nowhere := l.either("192.0.2.1", "2001:db8:ffff::1")
	l.ping("laptop", host.Echo{To: nowhere}, host.DestinationUnreachable, 0, l.addr("gate", "lan"))
	l.dialFails("laptop", netip.AddrPortFrom(nowhere, 80), syscall.ENETUNREACH)
}

// pingThrough: echo requests of several insiders side by side get each its own answer.
func pingThrough(l *lab) {
	server := l.addr("server", "internet")
	answers := make(chan error)
	nodes := []string{"laptop", "phone", "laptop", "phone"}
	for _, node := range nodes {
		pinger := l.pinger(node)
		go func() {
			pong, err := pinger.Ping(l.ctx, host.Echo{To: server, Sequence: 7, Size: 56})
			if err == nil && (pong.Kind != host.EchoReply || pong.From != server) {
				err = errors.New("another answer: " + string(pong.Kind) + " from " + pong.From.String())
			}
			answers <- err
		}()
	}
	for range nodes {
		if err := <-answers; err != nil {
			l.Errorf("ping: %v", err)
		}
	}
	l.trace("laptop", server, l.addr("gate", "lan"))
	l.ping("guest", host.Echo{To: l.addr("gate", "internet")}, host.EchoReply, 0, l.addr("gate", "internet"))
	l.ping("laptop", host.Echo{To: l.addr("gate", "internet"), TTL: 1}, host.EchoReply, 0, l.addr("gate", "internet"))
}

// fragmentsThrough: only the first fragment of a datagram has its ports; all of them are translated alike, both ways.
func fragmentsThrough(l *lab) {
	server := l.addr("server", "internet")
	l.ping("laptop", host.Echo{To: server, Size: 4000}, host.EchoReply, 0, server)
	at := netip.AddrPortFrom(server, 53)
	listener := l.listenPacket("server", at)
	client := l.listenPacket("laptop", l.at("laptop", "lan", 5000))
	l.eventually(client, listener, at, 4000)
	l.eventually(listener, client, netip.AddrPortFrom(l.translated(l.addr("laptop", "lan"), l.addr("gate", "internet")), 5000), 4000)
}

// natItself: a NAT router's own roles: it serves the inside at each of its addresses, the outside at its outer one, and
// calls both sides.
func natItself(l *lab) {
	inner, outer := l.at("gate", "lan", 80), l.at("gate", "internet", 80)
	l.both("laptop", "gate", inner, inner, l.addr("laptop", "lan"))
	l.both("laptop", "gate", outer, outer, l.addr("laptop", "lan"))
	l.both("server", "gate", outer, outer, l.addr("server", "internet"))
	l.both("gate", "server", l.at("server", "internet", 80), l.at("server", "internet", 80), l.addr("gate", "internet"))
	l.both("gate", "laptop", l.at("laptop", "lan", 80), l.at("laptop", "lan", 80), l.addr("gate", "lan"))
	l.ping("gate", host.Echo{To: l.addr("server", "internet")}, host.EchoReply, 0, l.addr("server", "internet"))
	l.udpFails("gate", l.at("server", "internet", 81), syscall.ECONNREFUSED)
	// Linux filters what is forwarded; what is for the router is not, whichever of its addresses it is for.
	l.both("server", "gate", inner, inner, l.addr("server", "internet"))
}

// A home network behind a provider's NAT, and two routers beyond.
const twiceNAT = `
networks:
  lan: [192.168.1.0/24, fd00:1::/64]
  provider: [100.64.0.0/24, fd00:2::/64]
  exchange: [198.51.100.0/24, "2001:db8:1::/64"]
  hosting: [203.0.113.0/24, "2001:db8:2::/64"]
nodes:
  laptop: {networks: [lan]}
  phone: {networks: [lan]}
  box:
    networks: [lan, provider]
    router: {nat: provider, forwards: ["8080:laptop:80", "8080:laptop:80/udp"]}
  neighbour: {networks: [provider]}
  carrier:
    networks: [provider, exchange]
    router: {nat: exchange, forwards: ["9090:box:8080", "9090:box:8080/udp"]}
  transit: {networks: [exchange, hosting], router: }
  server: {networks: [hosting]}
`

// natTwice: who is behind two NAT routers is seen at the outer one's address, and between them at the inner one's.
func natTwice(l *lab) {
	server := l.at("server", "hosting", 80)
	laptop := l.addr("laptop", "lan")
	l.both("laptop", "server", server, server, l.translated(laptop, l.addr("carrier", "exchange")))
	l.both("neighbour", "server", server, server, l.translated(l.addr("neighbour", "provider"), l.addr("carrier", "exchange")))
	l.both("laptop", "neighbour", l.at("neighbour", "provider", 80), l.at("neighbour", "provider", 80),
		l.translated(laptop, l.addr("box", "provider")))
	l.udpFails("laptop", l.at("server", "hosting", 81), syscall.ECONNREFUSED)
	l.dialFails("laptop", l.at("server", "hosting", 81), syscall.ECONNREFUSED)
}

// forwardTwice: a port forward to another router's port forward leads in. IPv4 only leads to a router by its outside
// address; so it does in IPv6.
func forwardTwice(l *lab) {
	inside, outside := l.at("laptop", "lan", 80), l.at("carrier", "exchange", 9090)
	l.both("server", "laptop", inside, outside, l.addr("server", "hosting"))
	l.both("transit", "laptop", inside, outside, l.addr("transit", "exchange"))
	// From the network between, the outer forward is a hairpin: the carrier's address there is seen.
	l.both("neighbour", "laptop", inside, outside, l.addr("carrier", "provider"))
}

// hopsThroughNAT: time exceeded of routers beyond a NAT finds the insider, each hop at its own address (R31).
func hopsThroughNAT(l *lab) {
	l.trace("laptop", l.addr("server", "hosting"),
		l.addr("box", "lan"), l.addr("carrier", "provider"), l.addr("transit", "exchange"))
	l.trace("neighbour", l.addr("server", "hosting"), l.addr("carrier", "provider"), l.addr("transit", "exchange"))
}
