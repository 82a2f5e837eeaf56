package netstack

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Keep-alive as package net sets it on each connection (net.KeepAliveConfig).
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 9
)

// tcpConn is a TCP connection with the methods of [net.TCPConn] that concern the network.
type tcpConn struct {
	socket
}

var _ net.Conn = (*tcpConn)(nil)

// newTCP takes over an endpoint that is or will be connected.
func (m *Machine) newTCP(network string, endpoint tcpip.Endpoint, queue *waiter.Queue) *tcpConn {
	c := &tcpConn{}
	c.init(m, network, endpoint, queue)
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true})
	return c
}

// connected notes the addresses of a connection that is up.
func (c *tcpConn) connected(local, remote tcpip.FullAddress) {
	c.local = net.TCPAddrFromAddrPort(addrPort(local))
	c.remote = net.TCPAddrFromAddrPort(addrPort(remote))
}

func (m *Machine) dialTCP(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if to.Addr().Is6() && !m.dual {
		return nil, os.NewSyscallError("connect", syscall.ENETUNREACH)
	}
	full, err := m.target(to)
	if err != nil {
		return nil, err
	}
	queue := &waiter.Queue{}
	endpoint, fault := m.stack.NewEndpoint(tcp.ProtocolNumber, protocol(to.Addr()), queue)
	if fault != nil {
		return nil, failed("socket", fault)
	}
	c := m.newTCP(network, endpoint, queue)
	if err := m.open(&c.socket); err != nil {
		return nil, err
	}
	if err := c.connect(ctx, full); err != nil {
		c.finish(endpoint.Close)
		m.Kick()
		return nil, err
	}
	return c, nil
}

// connect brings the connection up.
func (c *tcpConn) connect(ctx context.Context, to tcpip.FullAddress) error {
	defer c.machine.Kick()
	switch fault := c.endpoint.Connect(to).(type) {
	case nil:
	case *tcpip.ErrConnectStarted:
		c.machine.Kick()
		if err := c.established(ctx, to); err != nil {
			return err
		}
	default:
		return failed("connect", fault)
	}
	local, fault := c.endpoint.GetLocalAddress()
	if fault != nil {
		return failed("getsockname", fault)
	}
	c.connected(local, to)
	return nil
}

// established waits for the end of the handshake.
func (c *tcpConn) established(ctx context.Context, to tcpip.FullAddress) error {
	var told <-chan syscall.Errno
	if local, fault := c.endpoint.GetLocalAddress(); fault == nil {
		flow := flow{addrPort(local), addrPort(to)}
		told = c.machine.icmp.expect(flow)
		defer c.machine.icmp.ignore(flow)
	}
	for {
		switch state := tcp.EndpointState(c.endpoint.State()); state {
		case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
		case tcp.StateError, tcp.StateClose:
			fault := c.endpoint.LastError()
			if fault == nil {
				fault = &tcpip.ErrConnectionAborted{}
			}
			return failed("connect", fault)
		default:
			return nil
		}
		select {
		case <-c.out.ready:
		case number := <-told:
			return os.NewSyscallError("connect", number)
		case <-c.ended:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Read implements [net.Conn].
func (c *tcpConn) Read(p []byte) (int, error) {
	if err := c.in.enter(); err != nil {
		return 0, c.fail("read", err)
	}
	defer c.in.leave()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		w := tcpip.SliceWriter(p)
		result, fault := c.endpoint.Read(&w, tcpip.ReadOptions{})
		switch fault.(type) {
		case nil:
			c.endpoint.ModerateRecvBuf(result.Count)
			c.machine.Kick()
			return result.Count, nil
		case *tcpip.ErrWouldBlock:
			if err := c.in.wait(); err != nil {
				return 0, c.fail("read", err)
			}
		case *tcpip.ErrClosedForReceive:
			if c.isEnded() {
				return 0, c.fail("read", net.ErrClosed)
			}
			return 0, io.EOF
		default:
			return 0, c.fail("read", failed("read", fault))
		}
	}
}

// Write implements [net.Conn].
func (c *tcpConn) Write(p []byte) (n int, err error) {
	if err := c.out.enter(); err != nil {
		return 0, c.fail("write", err)
	}
	defer c.out.leave()
	var rest bytes.Reader
	for n < len(p) {
		rest.Reset(p[n:])
		written, fault := c.endpoint.Write(&rest, tcpip.WriteOptions{})
		n += int(written)
		switch fault.(type) {
		case nil:
			c.machine.Kick()
		case *tcpip.ErrWouldBlock:
			if err := c.out.wait(); err != nil {
				return n, c.fail("write", err)
			}
		default:
			return n, c.fail("write", failed("write", fault))
		}
	}
	return n, nil
}

// CloseWrite ends the stream that the connection sends.
func (c *tcpConn) CloseWrite() error {
	return c.shutdown(tcpip.ShutdownWrite)
}

// CloseRead ends the stream that the connection receives.
func (c *tcpConn) CloseRead() error { return c.shutdown(tcpip.ShutdownRead) }

func (c *tcpConn) shutdown(how tcpip.ShutdownFlags) error {
	if c.isEnded() {
		return c.fail("close", net.ErrClosed)
	}
	if fault := c.endpoint.Shutdown(how); fault != nil {
		return c.fail("close", failed("shutdown", fault))
	}
	c.machine.Kick()
	return nil
}

// set changes the endpoint's options, unless the connection is closed.
func (c *tcpConn) set(change func(*tcpip.SocketOptions)) error {
	if c.isEnded() {
		return c.fail("set", net.ErrClosed)
	}
	change(c.endpoint.SocketOptions())
	c.machine.Kick()
	return nil
}

// SetLinger says what Close does with data that was not yet sent: sec < 0 sends it on, 0 drops it and resets the connection.
func (c *tcpConn) SetLinger(sec int) error {
	return c.set(func(o *tcpip.SocketOptions) {
		o.SetLinger(tcpip.LingerOption{Enabled: sec >= 0, Timeout: time.Duration(max(sec, 0)) * time.Second})
	})
}

// SetNoDelay says whether data is sent at once (the default) or gathered into fewer segments (Nagle's algorithm).
func (c *tcpConn) SetNoDelay(noDelay bool) error {
	return c.set(func(o *tcpip.SocketOptions) { o.SetDelayOption(!noDelay) })
}

// SetKeepAlive says whether a connection on which nothing is sent is probed.
func (c *tcpConn) SetKeepAlive(keep bool) error {
	return c.set(func(o *tcpip.SocketOptions) { o.SetKeepAlive(keep) })
}

// SetKeepAlivePeriod sets the time before the first probe and between probes.
func (c *tcpConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: d, Interval: d, Count: -1})
}

// SetKeepAliveConfig sets all of keep-alive. As in package net, 0 is the default and what is negative stays as it is.
func (c *tcpConn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	choose := func(d, standard time.Duration) time.Duration {
		if d == 0 {
			return standard
		}
		return d
	}
	return c.set(func(o *tcpip.SocketOptions) {
		if d := choose(config.Idle, keepAliveIdle); d > 0 {
			idle := tcpip.KeepaliveIdleOption(d)
			_ = c.endpoint.SetSockOpt(&idle)
		}
		if d := choose(config.Interval, keepAliveInterval); d > 0 {
			interval := tcpip.KeepaliveIntervalOption(d)
			_ = c.endpoint.SetSockOpt(&interval)
		}
		if config.Count >= 0 {
			count := config.Count
			if count == 0 {
				count = keepAliveCount
			}
			_ = c.endpoint.SetSockOptInt(tcpip.KeepaliveCountOption, count)
		}
		o.SetKeepAlive(config.Enable)
	})
}
