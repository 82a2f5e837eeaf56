package fabrictest

import (
	"net/netip"
	"syscall"

	"scenario/host"
)

const oneNetwork = `
networks:
  lan: [10.0.0.0/24, fd00::/64]
nodes:
  alice: {networks: [lan]}
  bob: {networks: [lan]}
  carol: {networks: [lan]}
`

// twoNodes: nodes on a switch reach each other, at what they listen on (R28).
func twoNodes(l *lab) {
	alice, bob := l.addr("alice", "lan"), l.addr("bob", "lan")
	l.both("alice", "bob", netip.AddrPortFrom(bob, 80), netip.AddrPortFrom(bob, 80), alice)
	l.both("bob", "alice", netip.AddrPortFrom(alice, 80), netip.AddrPortFrom(alice, 80), bob)
	l.both("bob", "bob", netip.AddrPortFrom(bob, 80), netip.AddrPortFrom(bob, 80), bob)
	l.trace("alice", bob)
	l.ping("carol", host.Echo{To: bob, Size: 4000}, host.EchoReply, 0, bob)

	loopback := l.either("127.0.0.1", "::1")
	defer l.listen("bob", netip.AddrPortFrom(loopback, 81)).Close()
	l.dialFails("alice", netip.AddrPortFrom(bob, 81), syscall.ECONNREFUSED)
	l.dialFails("alice", netip.AddrPortFrom(loopback, 81), syscall.ECONNREFUSED)
	l.udpFails("alice", netip.AddrPortFrom(bob, 81), syscall.ECONNREFUSED)
}

// nobody: an address of the network that no node has. The sender's own stack says so, when its questions for the
// address (ARP, neighbour solicitation) get no answer.
func nobody(l *lab) {
	l.dialFails("alice", netip.AddrPortFrom(l.either("10.0.0.99", "fd00::99"), 80), syscall.EHOSTUNREACH)
}

const twoNetworks = `
networks:
  red: [10.1.0.0/24, fd00:1::/64]
  blue: [10.2.0.0/24, fd00:2::/64]
nodes:
  both: {networks: {red: [10.1.0.9, "fd00:1::9"], blue: [10.2.0.9, "fd00:2::9"]}}
  ruby:
    networks: [red]
    routes: [{to: blue, via: 10.1.0.9}, {to: blue, via: "fd00:1::9"}]
  azure:
    networks: [blue]
    routes: [{to: red, via: 10.2.0.9}, {to: red, via: "fd00:2::9"}]
`

// onTwoNetworks: a node on two networks has an address on each, and serves the one that it listens on (R28).
func onTwoNetworks(l *lab) {
	l.both("ruby", "both", l.at("both", "red", 80), l.at("both", "red", 80), l.addr("ruby", "red"))
	l.both("azure", "both", l.at("both", "blue", 80), l.at("both", "blue", 80), l.addr("azure", "blue"))
	// The node itself calls from the address that it has on the other's network.
	l.both("both", "ruby", l.at("ruby", "red", 80), l.at("ruby", "red", 80), l.addr("both", "red"))
	l.both("both", "azure", l.at("azure", "blue", 80), l.at("azure", "blue", 80), l.addr("both", "blue"))

	defer l.listen("both", l.at("both", "red", 81)).Close()
	l.dialFails("azure", l.at("both", "blue", 81), syscall.ECONNREFUSED)
}

// noRouter: a node on two networks that is no router passes nothing on, without a word.
func noRouter(l *lab) {
	l.nothing("ruby", "azure", l.at("azure", "blue", 80), l.at("azure", "blue", 80))
	l.pingSilent("ruby", l.addr("azure", "blue"))
}

const internalNetwork = `
networks:
  office: [10.1.0.0/24, fd00:1::/64]
  outside: [10.2.0.0/24, fd00:2::/64]
  vault: {subnet: [10.3.0.0/24, fd00:3::/64], internal: true}
nodes:
  clerk: {networks: [office]}
  server: {networks: {outside: [10.2.0.80, "fd00:2::80"]}}
  router:
    networks: {office: [10.1.0.1, "fd00:1::1"], outside: [10.2.0.1, "fd00:2::1"], vault: [10.3.0.1, "fd00:3::1"]}
    router:
  safe:
    networks: {vault: [10.3.0.9, "fd00:3::9"]}
    gateway: [10.3.0.1, "fd00:3::1"]
  ledger: {networks: [vault]}
`

// internal: an internal network works in itself, and nothing goes in or out, even where routes lead there (R34).
func internal(l *lab) {
	l.both("ledger", "safe", l.at("safe", "vault", 80), l.at("safe", "vault", 80), l.addr("ledger", "vault"))
	l.both("clerk", "server", l.at("server", "outside", 80), l.at("server", "outside", 80), l.addr("clerk", "office"))

	// Who has no route is told so by its own stack.
	l.dialFails("ledger", l.at("server", "outside", 80), syscall.ENETUNREACH)
	// With a route, packets get as far as the router.
	l.nothing("safe", "server", l.at("server", "outside", 80), l.at("server", "outside", 80))
	l.pingSilent("safe", l.addr("server", "outside"))
	l.nothing("clerk", "safe", l.at("safe", "vault", 80), l.at("safe", "vault", 80))
	l.pingSilent("clerk", l.addr("safe", "vault"))

	// The router itself is on the network as any other node, and answers at all of its addresses.
	l.both("safe", "router", l.at("router", "vault", 80), l.at("router", "vault", 80), l.addr("safe", "vault"))
	l.both("safe", "router", l.at("router", "outside", 80), l.at("router", "outside", 80), l.addr("safe", "vault"))
	l.both("router", "safe", l.at("safe", "vault", 80), l.at("safe", "vault", 80), l.addr("router", "vault"))
	// Linux throws away what has no time left before it asks its firewall, and says so.
	l.ping("safe", host.Echo{To: l.addr("server", "outside"), TTL: 1}, host.TimeExceeded, 0, l.addr("router", "vault"))
}

const firewall = `
networks:
  lan: [10.0.0.0/24, fd00::/64]
nodes:
  client: {networks: [lan]}
  server:
    networks: [lan]
    drop: [tcp/81, udp/53, icmp]
`

// drop: what a node drops gets no answer and has no effect; all else is as ever. Of ICMPv6 the node still hears neighbour
// discovery, or nobody would find it.
func drop(l *lab) {
	server := l.addr("server", "lan")
	listener := l.listen("server", netip.AddrPortFrom(server, 81))
	defer listener.Close()
	l.tcpSilent("client", netip.AddrPortFrom(server, 81))
	dns := l.listenPacket("server", netip.AddrPortFrom(server, 53))
	defer dns.Close()
	l.udpSilent("client", dns, netip.AddrPortFrom(server, 53))
	l.pingSilent("client", server)

	// The same ports of the other protocol.
	if got := l.tcp("client", "server", netip.AddrPortFrom(server, 53), netip.AddrPortFrom(server, 53)).seen.Addr(); got != l.addr("client", "lan") {
		l.Errorf("seen at %s", got)
	}
	if got := l.udp("client", "server", netip.AddrPortFrom(server, 81), netip.AddrPortFrom(server, 81)).seen.Addr(); got != l.addr("client", "lan") {
		l.Errorf("seen at %s", got)
	}
	l.dialFails("client", netip.AddrPortFrom(server, 82), syscall.ECONNREFUSED)
	// The firewall is for what comes in: ICMP errors that the node sends go out, and those it is sent do not come in.
	l.udpFails("client", netip.AddrPortFrom(server, 82), syscall.ECONNREFUSED)
	closed := l.dialUDP("server", l.at("client", "lan", 82))
	_, err := closed.Write([]byte("anybody?"))
	l.must("send a datagram", err)
	l.readSilent(closed)
	// Even the answers to the node's own echo requests are ICMP.
	l.pingSilent("server", l.addr("client", "lan"))
}
