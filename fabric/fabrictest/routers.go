package fabrictest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"scenario/host"
)

// The island cannot be reached from n0: r2 has been told to send packets for it back.
const fiveRouters = `
networks:
  n0: [10.0.0.0/24, fd00:0::/64]
  n1: [10.0.1.0/24, fd00:1::/64]
  n2: [10.0.2.0/24, fd00:2::/64]
  n3: [10.0.3.0/24, fd00:3::/64]
  n4: [10.0.4.0/24, fd00:4::/64]
  n5: [10.0.5.0/24, fd00:5::/64]
  n6: [10.0.6.0/24, fd00:6::/64]
nodes:
  client: {networks: [n0]}
  hermit: {networks: [n0], gateway: none}
  r1: {networks: [n0, n1], router: }
  r2:
    networks: [n1, n2]
    router:
    routes: [{to: n6, via: r1}]
  r3: {networks: [n2, n3, n6], router: }
  r4: {networks: [n3, n4], router: }
  r5: {networks: [n4, n5], router: }
  server: {networks: [n5]}
  island: {networks: [n6]}
`

// thereAndBack: nodes with five routers between them see each other's own addresses (R31).
func thereAndBack(l *lab) {
	client, server := l.at("client", "n0", 80), l.at("server", "n5", 80)
	l.both("client", "server", server, server, client.Addr())
	l.both("server", "client", client, client, server.Addr())
	l.dialFails("client", l.at("server", "n5", 81), syscall.ECONNREFUSED)
	l.udpFails("client", l.at("server", "n5", 81), syscall.ECONNREFUSED)
	l.ping("client", host.Echo{To: server.Addr(), Size: 4000}, host.EchoReply, 0, server.Addr())

	listener := l.listen("server", server)
	c, err := l.hosts["client"].Dial(l.ctx, "tcp", server.String())
	l.must("dial", err)
	defer c.Close()
	s, err := listener.Accept()
	l.must("accept", err)
	defer s.Close()
	l.guard(c)
	l.guard(s)
	l.stream(c, s, 1<<20)
	l.stream(s, c, 1<<20)
}

// hops: each router takes one from the TTL, and where none is left says so, from its address on the network from which
// the packet came (R31). What two addresses of that kind there could be, loop tells.
func hops(l *lab) {
	l.trace("client", l.addr("server", "n5"),
		l.addr("r1", "n0"), l.addr("r2", "n1"), l.addr("r3", "n2"), l.addr("r4", "n3"), l.addr("r5", "n4"))
	l.trace("server", l.addr("client", "n0"),
		l.addr("r5", "n5"), l.addr("r4", "n4"), l.addr("r3", "n3"), l.addr("r2", "n2"), l.addr("r1", "n1"))
	l.trace("client", l.addr("r3", "n2"), l.addr("r1", "n0"), l.addr("r2", "n1"))
}

// routerItself: a router is a node with all of its addresses, the far ones too, and no TTL is taken for itself.
func routerItself(l *lab) {
	client := l.addr("client", "n0")
	for _, at := range []netip.AddrPort{l.at("r1", "n0", 80), l.at("r1", "n1", 80)} {
		l.both("client", "r1", at, at, client)
		l.ping("client", host.Echo{To: at.Addr(), TTL: 1}, host.EchoReply, 0, at.Addr())
		l.dialFails("client", netip.AddrPortFrom(at.Addr(), 81), syscall.ECONNREFUSED)
		l.udpFails("client", netip.AddrPortFrom(at.Addr(), 81), syscall.ECONNREFUSED)
	}
	far := l.at("r3", "n6", 80)
	l.both("server", "r3", far, far, l.addr("server", "n5"))
	// It calls from its address on the network that the packets leave by.
	l.both("r3", "server", l.at("server", "n5", 80), l.at("server", "n5", 80), l.addr("r3", "n3"))
	l.both("r3", "client", l.at("client", "n0", 80), l.at("client", "n0", 80), l.addr("r3", "n2"))
	l.trace("r3", client, l.addr("r2", "n2"), l.addr("r1", "n1"))
}

// loop: packets that two routers send to and fro end, and the sender is told by the router where their TTL did. An IPv4
// router speaks from its address on the way back to the sender, an IPv6 router of Linux from that on the network from
// which the packet came: here from the other router. TCP gives up at once with EHOSTUNREACH.
func loop(l *lab) {
	island := l.addr("island", "n6")
	first, again, other := l.addr("r1", "n0"), l.addr("r1", "n0"), l.addr("r2", "n1")
	if l.six {
		again = l.addr("r1", "n1")
	}
	for _, hop := range []struct {
		ttl int
		at  netip.Addr
	}{{1, first}, {2, other}, {3, again}, {4, other}, {63, again}, {64, other}, {255, again}} {
		l.ping("client", host.Echo{To: island, TTL: hop.ttl}, host.TimeExceeded, 0, hop.at)
	}
	l.dialFails("client", netip.AddrPortFrom(island, 80), syscall.EHOSTUNREACH)
	l.both("server", "island", l.at("island", "n6", 80), l.at("island", "n6", 80), l.addr("server", "n5"))
}

// noRoute: without a route the sender's own stack says that the network is unreachable (R3).
func noRoute(l *lab) {
	server := l.at("server", "n5", 80)
	l.dialFails("hermit", server, syscall.ENETUNREACH)
	l.udpFails("hermit", server, syscall.ENETUNREACH)
	if _, err := l.pinger("hermit").Ping(l.ctx, host.Echo{To: server.Addr()}); !errors.Is(err, syscall.ENETUNREACH) {
		l.Errorf("ping without a route: %v, want ENETUNREACH", err)
	}
	l.both("hermit", "client", l.at("client", "n0", 80), l.at("client", "n0", 80), l.addr("hermit", "n0"))
}

// networkUnreachable: a router without a route says so to the sender: ICMP code 0 in both families. r1, at the edge, leads
// everything to r2, which is in the middle and has routes to networks alone. To a UDP socket this is no error, as it may
// pass (RFC 1122, section 4.1.3.3); TCP does not wait for that.
func networkUnreachable(l *lab) {
	nowhere := l.either("192.0.2.1", "2001:db8::1")
	l.ping("client", host.Echo{To: nowhere}, host.DestinationUnreachable, 0, l.addr("r2", "n1"))
	l.dialFails("client", netip.AddrPortFrom(nowhere, 80), syscall.ENETUNREACH)
	c := l.dialUDP("client", netip.AddrPortFrom(nowhere, 80))
	_, err := c.Write([]byte("anybody?"))
	l.must("send a datagram", err)
	l.readSilent(c)
}

// hostUnreachable: the last router finds nobody at an address of its network: ICMP code 1, and 3 in IPv6.
func hostUnreachable(l *lab) {
	absent := l.either("10.0.5.99", "fd00:5::99")
	code := 1
	if l.six {
		code = 3
	}
	l.ping("client", host.Echo{To: absent}, host.DestinationUnreachable, code, l.addr("r5", "n4"))
	l.dialFails("client", netip.AddrPortFrom(absent, 80), syscall.EHOSTUNREACH)
}

// IPv6 asks for 1280 bytes at least (RFC 8200, section 5).
const smallMTU = `
networks:
  near: [10.0.0.0/24, fd00:0::/64]
  narrow: {subnet: [10.0.1.0/24, fd00:1::/64], mtu: 1300}
  far: [10.0.2.0/24, fd00:2::/64]
nodes:
  client: {networks: [near]}
  r1: {networks: [near, narrow], router: }
  r2: {networks: [narrow, far], router: }
  server: {networks: [far]}
`

// smallMTUStream: both ends learn the smaller MTU in the middle of their path, from routers that throw away what is too
// large and say so (RFC 1191, RFC 8201).
func smallMTUStream(l *lab) {
	at := l.at("server", "far", 80)
	listener := l.listen("server", at)
	c, err := l.hosts["client"].Dial(l.ctx, "tcp", at.String())
	l.must("dial", err)
	defer c.Close()
	s, err := listener.Accept()
	l.must("accept", err)
	defer s.Close()
	l.guard(c)
	l.guard(s)
	l.say(c, s, "question")
	l.stream(c, s, 1<<20)
	l.stream(s, c, 1<<20)
}

// The routers that say what is too large are beyond a NAT.
const smallMTUBeyondNAT = `
networks:
  near: [10.0.0.0/24, fd00:0::/64]
  between: [10.0.3.0/24, fd00:3::/64]
  narrow: {subnet: [10.0.1.0/24, fd00:1::/64], mtu: 1300}
  far: [10.0.2.0/24, fd00:2::/64]
nodes:
  client: {networks: [near]}
  gate: {networks: [near, between], router: {nat: between}}
  r1: {networks: [between, narrow], router: }
  r2: {networks: [narrow, far], router: }
  server: {networks: [far]}
`

// smallMTUDatagrams: larger datagrams than fit pass in fragments. Routers divide IPv4 packets further where they may; the
// first datagram may be lost, as the price of learning the MTU: always in IPv6, and where Linux sends one that fits its
// own network, which it does not let routers divide. Then its socket may say EMSGSIZE.
func smallMTUDatagrams(l *lab) {
	server := l.listenPacket("server", l.at("server", "far", 53))
	client := l.listenPacket("client", l.at("client", "near", 5353))
	for _, size := range []int{1252, 1400, 4000, 20_000} {
		l.eventually(client, server, l.at("server", "far", 53), size)
		l.eventually(server, client, l.at("client", "near", 5353), size)
	}
}

// eventually sends a datagram until one arrives.
func (l *lab) eventually(from, to net.PacketConn, dst netip.AddrPort, size int) {
	l.Helper()
	datagram := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
	buffer := make([]byte, 1<<16)
	for range 10 {
		_, err := from.WriteTo(datagram, net.UDPAddrFromAddrPort(dst))
		if err != nil && !errors.Is(err, syscall.EMSGSIZE) {
			l.Fatalf("send %d bytes: %v", size, err)
		}
		l.must("set deadline", to.SetReadDeadline(time.Now().Add(silence)))
		n, _, err := to.ReadFrom(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EMSGSIZE):
			continue
		case err != nil:
			l.Fatalf("receive %d bytes: %v", size, err)
		case !bytes.Equal(buffer[:n], datagram):
			l.Errorf("a datagram of %d bytes arrives as one of %d, or they differ", size, n)
		}
		return
	}
	l.Errorf("no datagram of %d bytes arrives at %s", size, dst)
}

// smallMTUPing: echo requests larger than fit are answered, the first ones maybe not, for the same reason. Where a router
// says that one is too large, Ping fails, with EMSGSIZE.
func smallMTUPing(l *lab) {
	server := l.addr("server", "far")
	for _, size := range []int{1252, 1400, 4000} {
		answered := false
		for range 10 {
			ctx, cancel := context.WithTimeout(l.ctx, silence)
			pong, err := l.pinger("client").Ping(ctx, host.Echo{To: server, Size: size})
			cancel()
			answered = err == nil && pong.Kind == host.EchoReply && pong.From == server
			if answered {
				break
			}
			// IPv4 says destination unreachable, fragmentation needed: code 4.
			tooBig := err == nil && pong.Kind == host.DestinationUnreachable && pong.Code == 4 && pong.From == l.addr("r1", "near")
			if !tooBig && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, syscall.EMSGSIZE) {
				l.Fatalf("ping of %d bytes: %+v, %v", size, pong, err)
			}
		}
		if !answered {
			l.Errorf("no echo request of %d bytes is answered", size)
		}
	}
}
