package netstack

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// udpConn is a UDP socket, connected or not.
type udpConn struct {
	socket
}

var (
	_ net.Conn       = (*udpConn)(nil)
	_ net.PacketConn = (*udpConn)(nil)
)

func (m *Machine) newUDP(network string, family family) (*udpConn, error) {
	queue := &waiter.Queue{}
	endpoint, fault := m.stack.NewEndpoint(udp.ProtocolNumber, family.number, queue)
	if fault != nil {
		return nil, failed("socket", fault)
	}
	endpoint.SocketOptions().SetBroadcast(true) // as package net does
	endpoint.SocketOptions().SetV6Only(!family.both)
	// The stack does not remember what a path carries, so routers must be free to cut datagrams.
	if fault := endpoint.SetSockOptInt(tcpip.MTUDiscoverOption, int(tcpip.PMTUDiscoveryDont)); fault != nil {
		return nil, failed("setsockopt", fault)
	}
	c := &udpConn{}
	c.init(m, network, endpoint, queue)
	if err := m.open(&c.socket); err != nil {
		return nil, err
	}
	return c, nil
}

func (m *Machine) dialUDP(_ context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if to.Addr().Is6() && !m.dual {
		return nil, os.NewSyscallError("connect", syscall.ENETUNREACH)
	}
	full, err := m.target(to)
	if err != nil {
		return nil, err
	}
	c, err := m.newUDP(network, family{number: protocol(to.Addr())})
	if err != nil {
		return nil, err
	}
	fault := c.endpoint.Connect(full)
	if fault != nil {
		c.finish(c.endpoint.Close)
		return nil, failed("connect", fault)
	}
	local, fault := c.endpoint.GetLocalAddress()
	if fault != nil {
		c.finish(c.endpoint.Close)
		return nil, failed("getsockname", fault)
	}
	c.local = net.UDPAddrFromAddrPort(addrPort(local))
	c.remote = net.UDPAddrFromAddrPort(to)
	return c, nil
}

func (m *Machine) listenUDP(network string, at netip.AddrPort) (net.PacketConn, error) {
	family, err := m.familyFor(network, at.Addr())
	if err != nil {
		return nil, err
	}
	full, err := m.target(at)
	if err != nil {
		return nil, err
	}
	c, err := m.newUDP(network, family)
	if err != nil {
		return nil, err
	}
	fault := c.endpoint.Bind(full)
	if fault != nil {
		c.finish(c.endpoint.Close)
		return nil, failed("bind", fault)
	}
	local, fault := c.endpoint.GetLocalAddress()
	if fault != nil {
		c.finish(c.endpoint.Close)
		return nil, failed("getsockname", fault)
	}
	c.local = net.UDPAddrFromAddrPort(family.boundAddr(addrPort(local)))
	return c, nil
}

// Read implements [net.Conn].
func (c *udpConn) Read(p []byte) (int, error) {
	n, _, err := c.receive("read", p)
	return n, err
}

// ReadFrom implements [net.PacketConn].
func (c *udpConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.receive("recvfrom", p)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// receive reads one datagram by the system call of that name.
func (c *udpConn) receive(call string, p []byte) (int, netip.AddrPort, error) {
	if err := c.in.enter(); err != nil {
		return 0, netip.AddrPort{}, c.fail("read", err)
	}
	defer c.in.leave()
	for {
		w := tcpip.SliceWriter(p)
		result, fault := c.endpoint.Read(&w, tcpip.ReadOptions{NeedRemoteAddr: true})
		switch fault.(type) {
		case nil, *tcpip.ErrBadBuffer: // the latter for what does not fit an empty buffer
			return result.Count, addrPort(result.RemoteAddr), nil
		case *tcpip.ErrWouldBlock:
			if err := c.in.wait(); err != nil {
				return 0, netip.AddrPort{}, c.fail("read", err)
			}
		default:
			return 0, netip.AddrPort{}, c.fail("read", failed(call, fault))
		}
	}
}

// Write implements [net.Conn].
func (c *udpConn) Write(p []byte) (int, error) {
	if c.remote == nil {
		return 0, c.fail("write", os.NewSyscallError("write", syscall.EDESTADDRREQ))
	}
	return c.send("write", p, nil, c.remote)
}

// WriteTo implements [net.PacketConn].
func (c *udpConn) WriteTo(p []byte, to net.Addr) (int, error) {
	fail := func(err error) (int, error) { return 0, opError("write", c.network, c.local, to, err) }
	if c.remote != nil {
		return fail(net.ErrWriteToConnected)
	}
	addr, ok := to.(*net.UDPAddr)
	if !ok || addr == nil {
		return fail(syscall.EINVAL)
	}
	at := addr.AddrPort()
	full, err := c.machine.target(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	if err != nil {
		return fail(err)
	}
	return c.send("sendto", p, &full, to)
}

// send sends one datagram by the system call of that name.
func (c *udpConn) send(call string, p []byte, to *tcpip.FullAddress, remote net.Addr) (int, error) {
	fail := func(err error) (int, error) {
		if c.isEnded() {
			err = net.ErrClosed
		}
		return 0, opError("write", c.network, c.local, remote, err)
	}
	if err := c.out.enter(); err != nil {
		return fail(err)
	}
	defer c.out.leave()
	defer c.machine.Kick()
	for {
		n, fault := c.endpoint.Write(bytes.NewReader(p), tcpip.WriteOptions{To: to})
		switch fault.(type) {
		case nil:
			return int(n), nil
		case *tcpip.ErrWouldBlock:
			if err := c.out.wait(); err != nil {
				return fail(err)
			}
		default:
			return fail(failed(call, fault))
		}
	}
}
