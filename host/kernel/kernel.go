// Package kernel is a [host.Host] on the machine's own TCP/IP: what a node's roles run on in a container.
//
// Addresses are literal on purpose: names are the business of the node's stub resolver, and nothing here reads
// /etc/hosts, /etc/resolv.conf or /etc/services. On Linux the Host is a [host.Pinger] and a [host.Inspector] as well. Its files, a
// [host.FileSystem], are the process's.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"scenario/host"
	"scenario/host/local"
)

// Options of a [Host].
type Options = local.Options

// Host is a node on the machine's own TCP/IP, in the network namespace of the calling thread.
type Host struct {
	*local.Node
}

var (
	_ host.Host       = (*Host)(nil)
	_ host.Resolving  = (*Host)(nil)
	_ host.Storage    = (*Host)(nil)
	_ host.Backlog    = (*Host)(nil)
	_ host.FileSystem = (*Host)(nil)
)

// New returns the Host. It opens nothing.
func New(opts Options) *Host { return &Host{local.New(opts)} }

// Dial implements [host.Host].
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := local.CheckAddr("dial", network, addr, "tcp", "udp", "unix", "unixgram"); err != nil {
		return nil, err
	}
	var d net.Dialer
	d.SetMultipathTCP(false) // its options would stand in every handshake
	conn, err := d.DialContext(ctx, network, addr)
	// When ctx's deadline passes, package net gives one of two errors, by which of two timers was faster.
	var op *net.OpError
	if errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &op) {
		op.Err = context.DeadlineExceeded
	}
	return conn, err
}

// Listen implements [host.Host].
func (h *Host) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	if err := local.CheckAddr("listen", network, addr, "tcp", "unix"); err != nil {
		return nil, err
	}
	defer lockPath(network, addr)()
	c := net.ListenConfig{Control: saveSYN}
	c.SetMultipathTCP(false)
	return c.Listen(ctx, network, addr)
}

// ListenPacket implements [host.Host].
func (h *Host) ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error) {
	if err := local.CheckAddr("listen", network, addr, "udp", "unixgram"); err != nil {
		return nil, err
	}
	defer lockPath(network, addr)()
	var c net.ListenConfig
	return c.ListenPacket(ctx, network, addr)
}

// Interfaces implements [host.Host].
func (h *Host) Interfaces() ([]host.Interface, error) {
	found, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	list := make([]host.Interface, 0, len(found))
	for _, f := range found {
		addrs, err := f.Addrs()
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", f.Name, err)
		}
		i := host.Interface{Name: f.Name, MAC: f.HardwareAddr, MTU: f.MTU}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				return nil, fmt.Errorf("interface %s: %w", f.Name, err)
			}
			i.Addrs = append(i.Addrs, prefix)
		}
		list = append(list, i)
	}
	return list, nil
}
