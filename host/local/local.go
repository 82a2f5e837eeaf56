// Package local is what a host has beside its network, whatever TCP/IP it runs on: its log, its randomness, its files and
// the names of its resolvers. It also says which addresses a host takes.
//
// Implementations of [host.Host] embed a [Node] and check what they are given with [CheckAddr].
package local

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"scenario/host"
)

// Options of a [Node].
type Options struct {
	Log         *slog.Logger     // the node's log; nil: nothing is logged
	Seed        uint64           // of the node's randomness
	NameServers []netip.AddrPort // best first
	Search      []string         // domains in which short names are searched for
	Certificate *tls.Certificate // of the role; nil: it has none
	Roots       *x509.CertPool   // that the node trusts; nil: none
	KeyLog      io.Writer        // takes the secrets of TLS sessions; nil: nobody wants them
	Sockets     *atomic.Int64    // counts the sockets of all hosts of one machine; nil: of this one alone
	// WriteFile takes the contents of the node's files, one call at a time. nil: they are kept in memory only.
	WriteFile func(name string, data []byte) error
}

// Node is a [host.Host] without a network.
type Node struct {
	opts    Options
	sources atomic.Uint64 // sources of randomness handed out so far

	filesMu sync.Mutex
	files   map[string][]byte
}

var (
	_ host.Resolving  = (*Node)(nil)
	_ host.Searching  = (*Node)(nil)
	_ host.Trusting   = (*Node)(nil)
	_ host.KeyLogging = (*Node)(nil)
	_ host.Storage    = (*Node)(nil)
	_ host.Counting   = (*Node)(nil)
)

// New returns a Node without files.
func New(opts Options) *Node {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Sockets == nil {
		opts.Sockets = new(atomic.Int64)
	}
	opts.NameServers = slices.Clone(opts.NameServers)
	return &Node{opts: opts}
}

// Rand implements [host.Host]: the seed and the number of calls so far decide the source.
func (n *Node) Rand() rand.Source {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], n.opts.Seed)
	binary.LittleEndian.PutUint64(seed[8:], n.sources.Add(1))
	return rand.NewChaCha8(seed)
}

// Log implements [host.Host].
func (n *Node) Log() *slog.Logger { return n.opts.Log }

// NameServers implements [host.Resolving].
func (n *Node) NameServers() []netip.AddrPort { return slices.Clone(n.opts.NameServers) }

// SearchDomains implements [host.Searching].
func (n *Node) SearchDomains() []string { return slices.Clone(n.opts.Search) }

// Certificate implements [host.Trusting].
func (n *Node) Certificate() *tls.Certificate { return n.opts.Certificate }

// Roots implements [host.Trusting].
func (n *Node) Roots() *x509.CertPool { return n.opts.Roots }

// KeyLog implements [host.KeyLogging].
func (n *Node) KeyLog() io.Writer { return n.opts.KeyLog }

// NextSocket implements [host.Counting].
func (n *Node) NextSocket() int { return int(n.opts.Sockets.Add(1)) }

// ReadFile implements [host.Storage].
func (n *Node) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	n.filesMu.Lock()
	defer n.filesMu.Unlock()
	data, ok := n.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(data), nil
}

// WriteFile implements [host.Storage]. Where Options.WriteFile fails, the file stays as it was.
func (n *Node) WriteFile(name string, data []byte) error {
	if !fs.ValidPath(name) || name == "." {
		return &fs.PathError{Op: "write", Path: name, Err: fs.ErrInvalid}
	}
	// The lock is held over the call so that the run's folder gets contents in the order in which they are read back.
	n.filesMu.Lock()
	defer n.filesMu.Unlock()
	if n.opts.WriteFile != nil {
		if err := n.opts.WriteFile(name, data); err != nil {
			return &fs.PathError{Op: "write", Path: name, Err: err}
		}
	}
	if n.files == nil {
		n.files = make(map[string][]byte)
	}
	n.files[name] = slices.Clone(data)
	return nil
}

// CheckAddr refuses what package net would look up or guess: names of hosts, names of ports, networks of other families
// than those named (tcp, udp, unix, unixgram). op is dial or listen; who listens may leave the IP out.
func CheckAddr(op, network, addr string, families ...string) error {
	bad := func(why string) error { return fmt.Errorf("%s %s %q: %s", op, network, addr, why) }
	if strings.HasPrefix(network, "unix") && slices.Contains(families, network) {
		if addr == "" || strings.ContainsRune(addr, 0) {
			return bad("not a path")
		}
		return nil
	}
	known := slices.ContainsFunc(families, func(f string) bool {
		return network == f || !strings.HasPrefix(f, "unix") && (network == f+"4" || network == f+"6")
	})
	if !known {
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
