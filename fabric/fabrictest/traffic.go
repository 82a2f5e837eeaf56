package fabrictest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"scenario/host"
)

// ends is what the two ends of an exchange know of the client.
type ends struct {
	own  netip.AddrPort // as the client has it
	seen netip.AddrPort // as the server sees it
}

// tcp makes a TCP connection from a node to an address at which another one listens at that moment, and has something
// said both ways.
func (l *lab) tcp(from, to string, listen, dial netip.AddrPort) ends {
	l.Helper()
	listener := l.listen(to, listen)
	defer listener.Close()
	client, err := l.hosts[from].Dial(l.ctx, "tcp", dial.String())
	if err != nil {
		l.Fatalf("%s dials %s: %v", from, dial, err)
	}
	defer client.Close()
	server, err := listener.Accept()
	l.must("accept", err)
	defer server.Close()
	l.guard(client)
	l.guard(server)
	l.say(client, server, "question")
	l.say(server, client, "answer")
	if got := l.addrPort(client.RemoteAddr()); got != dial {
		l.Errorf("%s dials %s and is connected with %s", from, dial, got)
	}
	if got := l.addrPort(server.LocalAddr()); got != listen {
		l.Errorf("%s is connected at %s, want %s", to, got, listen)
	}
	return ends{l.addrPort(client.LocalAddr()), l.addrPort(server.RemoteAddr())}
}

// udp sends a datagram from a node to an address at which another one listens at that moment, and one back.
func (l *lab) udp(from, to string, listen, dial netip.AddrPort) ends {
	l.Helper()
	server := l.listenPacket(to, listen)
	defer server.Close()
	client := l.dialUDP(from, dial)
	defer client.Close()
	return l.askUDP(client, server)
}

// askUDP sends a datagram there and one back.
func (l *lab) askUDP(client net.Conn, server net.PacketConn) ends {
	l.Helper()
	_, err := client.Write([]byte("question"))
	l.must("send a datagram", err)
	seen := l.receive(server, "question")
	l.answer(server, seen, "answer")
	buffer := make([]byte, 64)
	n, err := client.Read(buffer)
	l.must("receive an answer", err)
	if got := string(buffer[:n]); got != "answer" {
		l.Errorf("the answer is %q", got)
	}
	return ends{l.addrPort(client.LocalAddr()), seen}
}

// both makes the exchange by TCP and by UDP and wants the server to see the client at that address.
func (l *lab) both(from, to string, listen, dial netip.AddrPort, want netip.Addr) {
	l.Helper()
	if got := l.tcp(from, to, listen, dial).seen; got.Addr() != want {
		l.Errorf("TCP from %s to %s: seen at %s, want %s", from, dial, got, want)
	}
	if got := l.udp(from, to, listen, dial).seen; got.Addr() != want {
		l.Errorf("UDP from %s to %s: seen at %s, want %s", from, dial, got, want)
	}
}

// receive wants the next datagram to be that text and returns where it comes from.
func (l *lab) receive(c net.PacketConn, want string) netip.AddrPort {
	l.Helper()
	buffer := make([]byte, 64)
	n, from, err := c.ReadFrom(buffer)
	l.must("receive a datagram", err)
	if got := string(buffer[:n]); got != want {
		l.Errorf("received %q from %s, want %q", got, from, want)
	}
	return l.addrPort(from)
}

func (l *lab) answer(c net.PacketConn, to netip.AddrPort, text string) {
	l.Helper()
	_, err := c.WriteTo([]byte(text), net.UDPAddrFromAddrPort(to))
	l.must("send a datagram to "+to.String(), err)
}

// say has one end send a text that the other one receives.
func (l *lab) say(from, to net.Conn, text string) {
	l.Helper()
	_, err := io.WriteString(from, text)
	l.must("write", err)
	got := make([]byte, len(text))
	_, err = io.ReadFull(to, got)
	l.must("read", err)
	if string(got) != text {
		l.Errorf("received %q, want %q", got, text)
	}
}

// stream has one end send that many bytes and then no more, and the other one receive them.
func (l *lab) stream(from, to net.Conn, size int) {
	l.Helper()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(data)
		sent <- errors.Join(err, from.(interface{ CloseWrite() error }).CloseWrite())
	}()
	got, err := io.ReadAll(to)
	l.must("read", err)
	l.must("write", <-sent)
	if !bytes.Equal(got, data) {
		l.Errorf("%d bytes arrive of %d, or they differ", len(got), size)
	}
}

func (l *lab) listen(node string, at netip.AddrPort) net.Listener {
	l.Helper()
	listener, err := l.hosts[node].Listen(l.ctx, "tcp", at.String())
	l.must(node+" listens", err)
	l.Cleanup(func() { listener.Close() })
	return listener
}

func (l *lab) listenPacket(node string, at netip.AddrPort) net.PacketConn {
	l.Helper()
	c, err := l.hosts[node].ListenPacket(l.ctx, "udp", at.String())
	l.must(node+" listens", err)
	l.Cleanup(func() { c.Close() })
	l.must("set deadline", c.SetDeadline(time.Now().Add(limit)))
	return c
}

func (l *lab) dialUDP(node string, to netip.AddrPort) net.Conn {
	l.Helper()
	c, err := l.hosts[node].Dial(l.ctx, "udp", to.String())
	l.must(node+" dials "+to.String(), err)
	l.Cleanup(func() { c.Close() })
	l.guard(c)
	return c
}

// guard keeps a connection from hanging.
func (l *lab) guard(c net.Conn) {
	l.must("set deadline", c.SetDeadline(time.Now().Add(limit)))
}

// dialFails wants a TCP connection to fail with an error.
func (l *lab) dialFails(from string, to netip.AddrPort, want error) {
	l.Helper()
	c, err := l.hosts[from].Dial(l.ctx, "tcp", to.String())
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, want) {
		l.Errorf("%s dials %s: error %v, want %v", from, to, err, want)
	}
}

// udpFails wants a datagram to be answered with an error of the system's.
func (l *lab) udpFails(from string, to netip.AddrPort, want error) {
	l.Helper()
	c, err := l.hosts[from].Dial(l.ctx, "udp", to.String())
	if err == nil {
		defer c.Close()
		l.guard(c)
		_, err = c.Write([]byte("anybody?"))
	}
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, want) {
		l.Errorf("%s sends a datagram to %s: error %v, want %v", from, to, err, want)
	}
}

// nothing wants TCP and UDP to a port at which a node listens to have neither an effect there nor an answer.
func (l *lab) nothing(from, to string, listen, dial netip.AddrPort) {
	l.Helper()
	defer l.listen(to, listen).Close()
	l.tcpSilent(from, dial)
	server := l.listenPacket(to, listen)
	defer server.Close()
	l.udpSilent(from, server, dial)
}

// tcpSilent wants a connection to get no answer.
func (l *lab) tcpSilent(from string, to netip.AddrPort) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.ctx, silence)
	defer cancel()
	c, err := l.hosts[from].Dial(ctx, "tcp", to.String())
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		l.Errorf("%s dials %s: error %v, want no answer", from, to, err)
	}
}

// udpSilent wants a datagram neither to arrive at a server nor to be answered with an error.
func (l *lab) udpSilent(from string, server net.PacketConn, to netip.AddrPort) {
	l.Helper()
	c := l.dialUDP(from, to)
	defer c.Close()
	_, err := c.Write([]byte("anybody?"))
	l.must("send a datagram", err)
	l.must("set deadline", server.SetDeadline(time.Now().Add(silence)))
	if _, sender, err := server.ReadFrom(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
		l.Errorf("a datagram to %s arrives from %s (%v), want none", to, sender, err)
	}
	l.readSilent(c)
}

// readSilent wants nothing to come, neither data nor an error.
func (l *lab) readSilent(c net.Conn) {
	l.Helper()
	l.must("set deadline", c.SetDeadline(time.Now().Add(silence)))
	if n, err := c.Read(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
		l.Errorf("from %s come %d bytes, error %v; want nothing", c.RemoteAddr(), n, err)
	}
}

// ping sends an echo request and wants an answer of that kind and code from an address.
func (l *lab) ping(from string, echo host.Echo, kind host.PongKind, code int, answers netip.Addr) {
	l.Helper()
	pong, err := l.pinger(from).Ping(l.ctx, echo)
	if err != nil {
		l.Errorf("%s pings %+v: %v", from, echo, err)
		return
	}
	pong.RTT = 0
	if want := (host.Pong{From: answers, Kind: kind, Code: code}); pong != want {
		l.Errorf("%s pings %+v: %+v, want %+v", from, echo, pong, want)
	}
}

// pingSilent wants an echo request to get no answer.
func (l *lab) pingSilent(from string, to netip.Addr) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.ctx, silence)
	defer cancel()
	if pong, err := l.pinger(from).Ping(ctx, host.Echo{To: to}); !errors.Is(err, context.DeadlineExceeded) {
		l.Errorf("%s pings %s: %+v, %v, want no answer", from, to, pong, err)
	}
}

// trace wants the routers on the way to an address to be those, the nearest first.
func (l *lab) trace(from string, to netip.Addr, routers ...netip.Addr) {
	l.Helper()
	for i, router := range routers {
		l.ping(from, host.Echo{To: to, TTL: i + 1, Sequence: uint16(i)}, host.TimeExceeded, 0, router)
	}
	l.ping(from, host.Echo{To: to, TTL: len(routers) + 1}, host.EchoReply, 0, to)
}

func (l *lab) pinger(node string) host.Pinger {
	l.Helper()
	pinger, ok := l.hosts[node].(host.Pinger)
	if !ok {
		l.Fatalf("the host of %s cannot ping", node)
	}
	return pinger
}

func (l *lab) addrPort(a net.Addr) netip.AddrPort {
	l.Helper()
	addr, err := netip.ParseAddrPort(a.String())
	l.must("address "+a.String(), err)
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// must fails the case at once when there is an error.
func (l *lab) must(what string, err error) {
	l.Helper()
	if err != nil {
		l.Fatalf("%s: %v", what, err)
	}
}
