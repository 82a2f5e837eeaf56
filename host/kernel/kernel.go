// Package kernel is a [host.Host] on the machine's own TCP/IP: what a node's roles run on in a container.
//
// Addresses are literal on purpose: names are the business of the node's stub resolver, and nothing here reads
// /etc/hosts, /etc/resolv.conf or /etc/services. On Linux the Host is a [host.Pinger] as well (ping_linux.go).
package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"scenario/host"
)

// Options of a [Host].
type Options struct {
	Log         *slog.Logger     // the node's log; nil: nothing is logged
	Seed        uint64           // of the node's randomness
	NameServers []netip.AddrPort // best first
	// WriteFile takes the contents of the node's files, one call at a time. nil: they are kept in memory only.
	WriteFile func(name string, data []byte) error
}

// Host is a node on the machine's own TCP/IP, in the network namespace of the calling thread.
type Host struct {
	opts    Options
	sources atomic.Uint64 // sources of randomness handed out so far

	filesMu sync.Mutex
	files   map[string][]byte
}

var (
	_ host.Host      = (*Host)(nil)
	_ host.Resolving = (*Host)(nil)
	_ host.Storage   = (*Host)(nil)
)

// New returns the Host. It opens nothing.
func New(opts Options) *Host {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.NameServers = slices.Clone(opts.NameServers)
	return &Host{opts: opts, files: make(map[string][]byte)}
}

// Dial implements [host.Host].
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := checkAddr("dial", network, addr, []string{"tcp", "udp"}); err != nil {
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
	if err := checkAddr("listen", network, addr, []string{"tcp", "unix"}); err != nil {
		return nil, err
	}
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	return c.Listen(ctx, network, addr)
}

// ListenPacket implements [host.Host].
func (h *Host) ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error) {
	if err := checkAddr("listen", network, addr, []string{"udp"}); err != nil {
		return nil, err
	}
	var c net.ListenConfig
	return c.ListenPacket(ctx, network, addr)
}

// checkAddr refuses what package net would look up or guess: names of hosts, names of ports, other networks.
func checkAddr(op, network, addr string, families []string) error {
	if network == "unix" && slices.Contains(families, network) {
		return nil
	}
	bad := func(why string) error { return fmt.Errorf("%s %s %q: %s", op, network, addr, why) }
	if !slices.Contains(families, strings.TrimRight(network, "46")) {
		return bad("this host has no such network; it has " + strings.Join(families, ", "))
	}
	ip, port, err := net.SplitHostPort(addr)
	if err != nil {
		return bad(`not "IP:port"`)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return bad(fmt.Sprintf("port %q is not a number from 0 to 65535", port))
	}
	if ip == "" && op == "listen" {
		return nil
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		return bad(fmt.Sprintf("%q is not an IP address; names are looked up by the node's resolver", ip))
	}
	return nil
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

// Rand implements [host.Host]: the seed and the number of calls so far decide the source.
func (h *Host) Rand() rand.Source {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], h.opts.Seed)
	binary.LittleEndian.PutUint64(seed[8:], h.sources.Add(1))
	return rand.NewChaCha8(seed)
}

// Log implements [host.Host].
func (h *Host) Log() *slog.Logger { return h.opts.Log }

// NameServers implements [host.Resolving].
func (h *Host) NameServers() []netip.AddrPort { return slices.Clone(h.opts.NameServers) }

// ReadFile implements [host.Storage].
func (h *Host) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	h.filesMu.Lock()
	defer h.filesMu.Unlock()
	data, ok := h.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(data), nil
}

// WriteFile implements [host.Storage]. Where Options.WriteFile fails, the file stays as it was.
func (h *Host) WriteFile(name string, data []byte) error {
	if !fs.ValidPath(name) || name == "." {
		return &fs.PathError{Op: "write", Path: name, Err: fs.ErrInvalid}
	}
	// The lock is held over the call so that the run's folder gets contents in the order in which they are read back.
	h.filesMu.Lock()
	defer h.filesMu.Unlock()
	if h.opts.WriteFile != nil {
		if err := h.opts.WriteFile(name, data); err != nil {
			return &fs.PathError{Op: "write", Path: name, Err: err}
		}
	}
	h.files[name] = slices.Clone(data)
	return nil
}
