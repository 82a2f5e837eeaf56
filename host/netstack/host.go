package netstack

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"

	"scenario/host"
	"scenario/host/local"
)

// Host is a [Machine] as one role sees it.
type Host struct {
	*local.Node
	machine *Machine
}

var (
	_ host.Host       = (*Host)(nil)
	_ host.Resolving  = (*Host)(nil)
	_ host.Storage    = (*Host)(nil)
	_ host.Pinger     = (*Host)(nil)
	_ host.Backlog    = (*Host)(nil)
	_ host.FileSystem = (*Host)(nil)
)

// Dial implements [host.Host].
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := local.CheckAddr("dial", network, addr, "tcp", "udp", "unix", "unixgram"); err != nil {
		return nil, err
	}
	switch network {
	case "unix":
		return h.machine.files.Dial(ctx, network, addr)
	case "unixgram":
		return h.machine.files.DialPacket(ctx, network, addr)
	}
	to, err := parse(network, addr)
	if err != nil {
		return nil, opError("dial", network, nil, nil, err)
	}
	if to.Addr().IsUnspecified() { // means the machine itself
		to = netip.AddrPortFrom(loopbackOf(network), to.Port())
	}
	dial := h.machine.dialTCP
	if isUDP(network) {
		dial = h.machine.dialUDP
	}
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", network, nil, netAddr(network, to), err)
	}
	h.machine.await("dial %s %s", network, to)
	conn, err := dial(ctx, network, to)
	if err != nil {
		return nil, opError("dial", network, nil, netAddr(network, to), err)
	}
	return conn, nil
}

// Listen implements [host.Host].
func (h *Host) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	return h.ListenBacklog(ctx, network, addr, backlog)
}

// ListenBacklog implements [host.Backlog].
func (h *Host) ListenBacklog(_ context.Context, network, addr string, backlog int) (net.Listener, error) {
	if err := local.CheckAddr("listen", network, addr, "tcp", "unix"); err != nil {
		return nil, err
	}
	if backlog < 0 {
		return nil, fmt.Errorf("listen %s %s: a backlog of %d", network, addr, backlog)
	}
	if network == "unix" {
		return h.machine.files.Listen(network, addr, backlog)
	}
	at, err := parse(network, addr)
	if err != nil {
		return nil, opError("listen", network, nil, nil, err)
	}
	h.machine.await("listen %s %s", network, addr)
	l, err := h.machine.listenTCP(network, at, backlog)
	if err != nil {
		return nil, opError("listen", network, nil, netAddr(network, at), err)
	}
	return l, nil
}

// ListenPacket implements [host.Host].
func (h *Host) ListenPacket(_ context.Context, network, addr string) (net.PacketConn, error) {
	if err := local.CheckAddr("listen", network, addr, "udp", "unixgram"); err != nil {
		return nil, err
	}
	if network == "unixgram" {
		return h.machine.files.ListenPacket(network, addr)
	}
	at, err := parse(network, addr)
	if err != nil {
		return nil, opError("listen", network, nil, nil, err)
	}
	h.machine.await("listen %s %s", network, addr)
	c, err := h.machine.listenUDP(network, at)
	if err != nil {
		return nil, opError("listen", network, nil, netAddr(network, at), err)
	}
	return c, nil
}

// Interfaces implements [host.Host].
func (h *Host) Interfaces() ([]host.Interface, error) {
	list := slices.Clone(h.machine.interfaces)
	for i := range list {
		list[i].MAC = slices.Clone(list[i].MAC)
		list[i].Addrs = slices.Clone(list[i].Addrs)
	}
	return list, nil
}

// Lstat implements [host.FileSystem].
func (h *Host) Lstat(path string) (fs.FileInfo, error) { return h.machine.files.Lstat(path) }

// Create implements [host.FileSystem].
func (h *Host) Create(path string, mode fs.FileMode) error { return h.machine.files.Create(path, mode) }

// Mkdir implements [host.FileSystem].
func (h *Host) Mkdir(path string, mode fs.FileMode) error { return h.machine.files.Mkdir(path, mode) }

// Chmod implements [host.FileSystem].
func (h *Host) Chmod(path string, mode fs.FileMode) error { return h.machine.files.Chmod(path, mode) }

// Remove implements [host.FileSystem].
func (h *Host) Remove(path string) error { return h.machine.files.Remove(path) }

// RemoveStale implements [host.FileSystem].
func (h *Host) RemoveStale(path string) error { return h.machine.files.RemoveStale(path) }

// parse reads a literal "IP:port" that local.CheckAddr has passed, for the network's family. Without an IP the address is not
// valid, but the port is.
func parse(network, addr string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		number, err := strconv.ParseUint(port, 10, 16)
		return netip.AddrPortFrom(netip.Addr{}, uint16(number)), err
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return netip.AddrPort{}, err
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if strings.HasSuffix(network, "4") && at.Addr().Is6() || strings.HasSuffix(network, "6") && at.Addr().Is4() {
		return netip.AddrPort{}, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return at, nil
}

func isUDP(network string) bool { return strings.HasPrefix(network, "udp") }

func loopbackOf(network string) netip.Addr {
	if strings.HasSuffix(network, "6") {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// netAddr is an address in the type that package net has for the network.
func netAddr(network string, at netip.AddrPort) net.Addr {
	if isUDP(network) {
		return net.UDPAddrFromAddrPort(at)
	}
	return net.TCPAddrFromAddrPort(at)
}

// family is how an endpoint that listens is made: for one protocol, or for both at once.
type family struct {
	number tcpip.NetworkProtocolNumber
	both   bool // IPv6 and IPv4 by one endpoint
}

// familyFor is the family of a socket that is bound to an address, as package net chooses it: all addresses are those of
// both protocols unless the network names one.
func (m *Machine) familyFor(network string, at netip.Addr) (family, error) {
	wildcard := !at.IsValid() || at.IsUnspecified()
	switch {
	case at.Is6() && !m.dual && !wildcard:
		return family{}, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
	case strings.HasSuffix(network, "6") && !m.dual:
		return family{}, os.NewSyscallError("socket", syscall.EAFNOSUPPORT)
	case !m.dual || strings.HasSuffix(network, "4") || at.Is4() && !wildcard:
		return family{number: ipv4.ProtocolNumber}, nil
	}
	return family{number: ipv6.ProtocolNumber, both: wildcard && !strings.HasSuffix(network, "6")}, nil
}

// boundAddr is the address of a socket of the family: where it is bound to all addresses the stack names none.
func (f family) boundAddr(at netip.AddrPort) netip.AddrPort {
	if at.Addr().IsValid() {
		return at
	}
	if f.number == ipv4.ProtocolNumber {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())
}
