package hosttest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"scenario/host"
)

func tcpEcho(ctx context.Context, t *testing.T, p Pair, f family) {
	for _, way := range []struct {
		name           string
		client, server host.Host
		from, to       netip.Addr
	}{
		{"A to B", p.A, p.B, f.A, f.B},
		{"B to A", p.B, p.A, f.B, f.A},
		{"A to itself", p.A, p.A, f.A, f.A},
	} {
		l := listen(ctx, t, way.server, "tcp", f.listenAddr(way.to))
		c := dial(ctx, t, way.client, "tcp", l.Addr().String())
		s := accept(t, l)
		if c.LocalAddr().String() != s.RemoteAddr().String() || c.RemoteAddr().String() != s.LocalAddr().String() {
			t.Errorf("%s: ends disagree: %s→%s and %s→%s", way.name, c.LocalAddr(), c.RemoteAddr(), s.RemoteAddr(), s.LocalAddr())
		}
		if got := c.RemoteAddr().String(); got != l.Addr().String() {
			t.Errorf("%s: remote address %s, want the listener's %s", way.name, got, l.Addr())
		}
		go func() { // ends when the client closes its side
			_, _ = io.Copy(s, s)
			_ = s.Close()
		}()
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
		go func() {
			_, _ = c.Write(sent)
			_ = closeWrite(c)
		}()
		if got := readAll(t, c); got != string(sent) {
			t.Errorf("%s: %d bytes came back of %d, or they differ", way.name, len(got), len(sent))
		}
	}
}

// closeWrite ends the stream that c sends; what it receives goes on.
func closeWrite(c net.Conn) error {
	return c.(interface{ CloseWrite() error }).CloseWrite()
}

func tcpHalfClose(ctx context.Context, t *testing.T, p Pair, f family) {
	a, b := connect(ctx, t, p, f)
	_, err := io.WriteString(a, "question")
	must(t, "write", err)
	must(t, "close for writing", closeWrite(a))
	if got := readAll(t, b); got != "question" {
		t.Errorf("got %q before the end of the stream", got)
	}
	_, err = io.WriteString(b, "answer")
	must(t, "write to an end that sends no more", err)
	must(t, "close", b.Close())
	if got := readAll(t, a); got != "answer" {
		t.Errorf("got %q after the half close", got)
	}
	_, err = a.Write([]byte("more"))
	wantError(t, "write after the half close", err, syscall.EPIPE)
}

func tcpReset(ctx context.Context, t *testing.T, p Pair, f family) {
	a, b := connect(ctx, t, p, f)
	must(t, "set linger", b.(interface{ SetLinger(int) error }).SetLinger(0))
	must(t, "close", b.Close())
	_, err := a.Read(make([]byte, 1))
	wantError(t, "read from a connection that was reset", err, syscall.ECONNRESET)
}

func tcpRefused(ctx context.Context, t *testing.T, p Pair, f family) {
	_, err := p.A.Dial(ctx, "tcp", closedPort(ctx, t, p, f))
	wantError(t, "dial a closed port", err, syscall.ECONNREFUSED)
}

func tcpAddressInUse(ctx context.Context, t *testing.T, p Pair, f family) {
	l := listen(ctx, t, p.B, f.tcp, f.listenAddr(f.B))
	_, err := p.B.Listen(ctx, f.tcp, l.Addr().String())
	wantError(t, "listen twice", err, syscall.EADDRINUSE)
	must(t, "close", l.Close())
	again, err := p.B.Listen(ctx, f.tcp, l.Addr().String())
	must(t, "listen again after close", err)
	must(t, "close", again.Close())
}

func tcpAddressNotAvailable(ctx context.Context, t *testing.T, p Pair, f family) {
	_, err := p.B.Listen(ctx, f.tcp, f.listenAddr(f.Absent))
	wantError(t, "listen on an address that the host does not have", err, syscall.EADDRNOTAVAIL)
}

func tcpUnreachable(ctx context.Context, t *testing.T, p Pair, f family) {
	if !f.Unreachable.IsValid() {
		t.Skip("the pair has no unreachable address")
	}
	_, err := p.A.Dial(ctx, "tcp", netip.AddrPortFrom(f.Unreachable, 80).String())
	wantError(t, "dial an unreachable address", err, syscall.EHOSTUNREACH)
}

func tcpNoRoute(ctx context.Context, t *testing.T, p Pair, f family) {
	if !f.NoRoute.IsValid() {
		t.Skip("the pair has no address without a route")
	}
	_, err := p.A.Dial(ctx, "tcp", netip.AddrPortFrom(f.NoRoute, 80).String())
	wantError(t, "dial without a route", err, syscall.ENETUNREACH)
}

func tcpDeadlines(ctx context.Context, t *testing.T, p Pair, f family) {
	a, b := connect(ctx, t, p, f)
	past := time.Unix(1, 0)

	must(t, "set read deadline", a.SetReadDeadline(past))
	_, err := a.Read(make([]byte, 1))
	wantError(t, "read after the deadline", err, os.ErrDeadlineExceeded)
	must(t, "set write deadline", a.SetWriteDeadline(past))
	_, err = a.Write([]byte("x"))
	wantError(t, "write after the deadline", err, os.ErrDeadlineExceeded)

	must(t, "clear deadlines", a.SetDeadline(time.Time{}))
	_, err = b.Write([]byte("x"))
	must(t, "write", err)
	_, err = a.Read(make([]byte, 1))
	must(t, "read after the deadline was cleared", err)

	// A deadline that is set while a Read waits wakes it.
	woken := make(chan error)
	go func() {
		_, err := a.Read(make([]byte, 1))
		woken <- err
	}()
	must(t, "set read deadline", a.SetReadDeadline(past))
	wantError(t, "read when the deadline passes", <-woken, os.ErrDeadlineExceeded)
}

func tcpDialCanceled(ctx context.Context, t *testing.T, p Pair, f family) {
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	l := listen(ctx, t, p.B, f.tcp, f.listenAddr(f.B))
	_, err := p.A.Dial(canceled, "tcp", l.Addr().String())
	wantError(t, "dial with a canceled context", err, context.Canceled)

	if !f.Silent.IsValid() {
		t.Skip("the pair has no silent address: only a context that was canceled before was tried")
	}
	during, cancel := context.WithCancel(ctx)
	failed := make(chan error)
	go func() {
		_, err := p.A.Dial(during, "tcp", netip.AddrPortFrom(f.Silent, 80).String())
		failed <- err
	}()
	cancel()
	wantError(t, "dial when its context is canceled", <-failed, context.Canceled)
}

func tcpDialDeadline(ctx context.Context, t *testing.T, p Pair, f family) {
	if !f.Silent.IsValid() {
		t.Skip("the pair has no silent address")
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := p.A.Dial(short, "tcp", netip.AddrPortFrom(f.Silent, 80).String())
	wantError(t, "dial when nobody answers", err, context.DeadlineExceeded)
}

func tcpCloseWakes(ctx context.Context, t *testing.T, p Pair, f family) {
	l := listen(ctx, t, p.B, f.tcp, f.listenAddr(f.B))
	a := dial(ctx, t, p.A, f.tcp, l.Addr().String())
	accept(t, l)
	woken := make(chan error)
	go func() {
		_, err := l.Accept()
		woken <- err
	}()
	must(t, "close", l.Close())
	wantError(t, "accept when the listener is closed", <-woken, net.ErrClosed)
	_, err := l.Accept()
	wantError(t, "accept from a closed listener", err, net.ErrClosed)

	go func() {
		_, err := a.Read(make([]byte, 1))
		woken <- err
	}()
	must(t, "close", a.Close())
	wantError(t, "read when the connection is closed", <-woken, net.ErrClosed)
	_, err = a.Write([]byte("x"))
	wantError(t, "write to a closed connection", err, net.ErrClosed)
}

func tcpEphemeralPorts(ctx context.Context, t *testing.T, p Pair, f family) {
	l := listen(ctx, t, p.B, f.tcp, f.listenAddr(f.B))
	seen := make(map[uint16]bool)
	for range 10 {
		c := dial(ctx, t, p.A, f.tcp, l.Addr().String())
		accept(t, l)
		local, err := netip.ParseAddrPort(c.LocalAddr().String())
		must(t, "local address", err)
		if seen[local.Port()] || local.Port() < 1024 {
			t.Errorf("client port %d was given twice or is no ephemeral one", local.Port())
		}
		seen[local.Port()] = true
	}
}

func tcpWildcard(ctx context.Context, t *testing.T, p Pair, f family) {
	for _, network := range []string{"tcp", f.tcp} {
		l := listen(ctx, t, p.B, network, ":0")
		port, err := netip.ParseAddrPort(l.Addr().String())
		must(t, "listener's address", err)
		for _, h := range []struct {
			host host.Host
			addr netip.Addr
		}{{p.A, f.B}, {p.B, f.B}, {p.B, f.loopback}} {
			to := netip.AddrPortFrom(h.addr, port.Port())
			c := dial(ctx, t, h.host, "tcp", to.String())
			s := accept(t, l)
			local, err := netip.ParseAddrPort(s.LocalAddr().String())
			must(t, "local address", err)
			if got := netip.AddrPortFrom(local.Addr().Unmap(), local.Port()); got != to {
				t.Errorf("%s: the accepted connection has the local address %s, want %s", network, got, to)
			}
			must(t, "close", c.Close())
		}
	}
}

// tcpLoopbackOnly: a server bound to the loopback address is reached by its own machine alone.
func tcpLoopbackOnly(ctx context.Context, t *testing.T, p Pair, f family) {
	if f.B == f.loopback {
		t.Skip("host B is at the loopback address")
	}
	l := listen(ctx, t, p.B, f.tcp, f.listenAddr(f.loopback))
	port, err := netip.ParseAddrPort(l.Addr().String())
	must(t, "listener's address", err)
	dial(ctx, t, p.B, f.tcp, l.Addr().String())
	accept(t, l)
	_, err = p.A.Dial(ctx, "tcp", netip.AddrPortFrom(f.B, port.Port()).String())
	wantError(t, "dial a server that is bound to the loopback address", err, syscall.ECONNREFUSED)
}

// tcpBacklog: who comes when as many wait to be accepted as may gets no answer, and is let in when there is room. A few may
// pass while the handshakes of others are under way: they think that they are connected, and the server may never hear.
func tcpBacklog(ctx context.Context, t *testing.T, p Pair, f family) {
	server, ok := p.B.(host.Backlog)
	if !ok {
		t.Skip("the host has no Backlog")
	}
	l, err := server.ListenBacklog(ctx, f.tcp, f.listenAddr(f.B), 1)
	must(t, "listen", err)
	t.Cleanup(func() { l.Close() })
	defer context.AfterFunc(ctx, func() { l.Close() })() // ends an Accept that hangs
	for range 2 {
		dial(ctx, t, p.A, f.tcp, l.Addr().String())
	}
	const few = 6
	passed := 0
	for ; passed < few; passed++ {
		short, cancel := context.WithTimeout(ctx, time.Second)
		c, err := p.A.Dial(short, f.tcp, l.Addr().String())
		cancel()
		if err != nil {
			wantError(t, "dial when the queue is full", err, context.DeadlineExceeded)
			break
		}
		guard(t, c)
	}
	if passed == few {
		t.Errorf("%d clients connected with a backlog of 1", few+2)
	}
	for range 2 {
		accept(t, l)
	}
	dial(ctx, t, p.A, f.tcp, l.Addr().String())
	accept(t, l)
}
