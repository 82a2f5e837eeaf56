package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"scenario/event"
)

// PacketConn is a datagram socket without one other end. Every datagram is a send or a recv.
type PacketConn struct {
	net.PacketConn
	socket  socket
	once    sync.Once
	out, in atomic.Int64 // bytes
}

// ListenPacket opens a datagram socket on a literal "IP:port", ":port" for all addresses, or a path. The error names the
// address.
func (s Sockets) ListenPacket(ctx context.Context, network, addr string) (*PacketConn, error) {
	made := s.create(ctx, network, event.SocketDatagram)
	inner, err := s.Host.ListenPacket(ctx, network, addr)
	if err != nil {
		made.local = addr
		made.fail("bind", err, 0)
		return nil, fmt.Errorf("bind to %s: %w", addr, err)
	}
	made.bound(inner.LocalAddr())
	return &PacketConn{PacketConn: inner, socket: made}, nil
}

// Local is the socket's address as "IP:port", or its path.
func (c *PacketConn) Local() string { return c.socket.local }

// Number is the socket's among those of its node; 0 where the host does not count them.
func (c *PacketConn) Number() int { return c.socket.number }

// ReadFrom implements [net.PacketConn].
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(p)
	if err != nil {
		c.failed("read", "", err)
		return n, from, err
	}
	c.in.Add(int64(n))
	c.socket.received(text(from), p[:n], 0, false)
	return n, from, nil
}

// WriteTo implements [net.PacketConn].
func (c *PacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	n, err := c.PacketConn.WriteTo(p, to)
	if err != nil {
		c.failed("write", text(to), err)
		return n, err
	}
	c.out.Add(int64(n))
	c.socket.sent(text(to), p[:n], 0)
	return n, nil
}

// failed tells of an error that the network, not this end, is the cause of.
func (c *PacketConn) failed(op, remote string, err error) {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	s := c.socket
	s.remote = remote
	s.fail(op, err, 0)
}

// Close implements [net.PacketConn]. Only the first call does anything.
func (c *PacketConn) Close() (err error) {
	c.once.Do(func() {
		err = c.PacketConn.Close()
		s := &c.socket
		s.emit(event.SocketClose{
			Network: s.network, Local: s.local, Socket: s.kind, Number: s.number, By: byLocal,
			Sent: c.out.Load(), Received: c.in.Load(),
		})
	})
	return err
}
