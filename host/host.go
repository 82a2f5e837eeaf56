// Package host is what a node sees of its machine: its network, its randomness and its log.
//
// Roles are written against [Host] once and run on every implementation: the machine's own TCP/IP (host/kernel) or a
// TCP/IP stack in this process. What not every host has is an optional interface, found by assertion: [Pinger],
// [Storage], [Resolving], [Searching], [Trusting], [Turner], [Counting], [Inspector]. All implementations answer errors.Is alike: syscall.ECONNREFUSED, ECONNRESET, EADDRINUSE,
// EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, os.ErrDeadlineExceeded, net.ErrClosed.
package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// Host is one node's machine. Its methods may be called from any goroutine.
type Host interface {
	// Dial connects to addr, a literal "IP:port" (tcp, tcp4, tcp6, udp, udp4 or udp6) or a path (unix, unixgram). Names are not
	// looked up here: that is the work of the node's stub resolver. A TCP connection also has CloseRead, CloseWrite and
	// SetLinger, as *net.TCPConn does, a Unix connection CloseRead and CloseWrite; accepted ones likewise. When ctx ends
	// first the error is context.Canceled or context.DeadlineExceeded.
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
	// Listen listens on a literal "IP:port" (tcp; an empty IP means all addresses) or a path (unix). The mode of the
	// socket file is 0755. A Unix listener also has SetUnlinkOnClose, as *net.UnixListener does: unless that has said
	// false, as a server that crashes does without saying so, Close removes the file.
	Listen(ctx context.Context, network, addr string) (net.Listener, error)
	// ListenPacket opens a datagram socket on a literal "IP:port" (udp) or a path (unixgram). The file of the latter stays
	// when it closes, as with package net. A sender without a path of its own has no address: it is nil.
	ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error)
	// Interfaces returns the node's interfaces with their addresses, loopback included.
	Interfaces() ([]Interface, error)
	// Rand returns a new source of randomness, seeded by the plan. Each call returns another source; a source is for
	// one goroutine. A role asks for it when it starts, in an order that does not depend on timing.
	Rand() rand.Source
	// Log is the node's log. Events go through it: see package event.
	Log() *slog.Logger
}

// Interface is one network interface of a node.
type Interface struct {
	Name  string
	MAC   net.HardwareAddr
	MTU   int // bytes
	Addrs []netip.Prefix
}

// Resolving is a Host that knows the node's DNS resolvers, best first.
type Resolving interface {
	NameServers() []netip.AddrPort
}

// NameServers returns h's DNS resolvers; none where h does not know any.
func NameServers(h Host) []netip.AddrPort {
	if r, ok := h.(Resolving); ok {
		return r.NameServers()
	}
	return nil
}

// Searching is a Host that knows in which domains short names are searched for.
type Searching interface {
	// SearchDomains are tried in order for a name without a dot (resolv.conf(5): search, ndots 1).
	SearchDomains() []string
}

// SearchDomains returns h's search list; none where h does not know any.
func SearchDomains(h Host) []string {
	if s, ok := h.(Searching); ok {
		return s.SearchDomains()
	}
	return nil
}

// Trusting is a Host that has certificates: its role's own, and those of the authorities that its node trusts.
type Trusting interface {
	// Certificate is what the role proves its node's names with; nil: it has none.
	Certificate() *tls.Certificate
	// Roots are the authorities that the node trusts. Do not change them: Clone them first.
	Roots() *x509.CertPool
}

// Certificate returns what h's role proves its names with; nil where it has nothing.
func Certificate(h Host) *tls.Certificate {
	if t, ok := h.(Trusting); ok {
		return t.Certificate()
	}
	return nil
}

// Roots returns the authorities that h's node trusts; an empty pool where there are none.
func Roots(h Host) *x509.CertPool {
	if t, ok := h.(Trusting); ok {
		if roots := t.Roots(); roots != nil {
			return roots
		}
	}
	return x509.NewCertPool()
}

// KeyLogging is a Host that keeps the secrets of TLS sessions for its captures, in the format of SSLKEYLOGFILE.
type KeyLogging interface {
	// KeyLog takes lines of a key log; nil: nobody wants them. It may be used by several goroutines.
	KeyLog() io.Writer
}

// KeyLog returns where h's TLS sessions write their secrets; nil: nowhere.
func KeyLog(h Host) io.Writer {
	if k, ok := h.(KeyLogging); ok {
		return k.KeyLog()
	}
	return nil
}

// Storage is a Host that keeps files for its node in the run's folder. Names are slash-separated, relative and without
// ".." (io/fs.ValidPath).
type Storage interface {
	// ReadFile returns what was last written; an error that is fs.ErrNotExist where nothing was.
	ReadFile(name string) ([]byte, error)
	// WriteFile replaces the file.
	WriteFile(name string, data []byte) error
}

// Counting is a Host that counts its node's sockets, so that what is told of them can be told apart.
type Counting interface {
	// NextSocket is the number of a new socket: 1, 2 …
	NextSocket() int
}

// NextSocket is the number of a new socket of h's node; 0 where h does not count them.
func NextSocket(h Host) int {
	if c, ok := h.(Counting); ok {
		return c.NextSocket()
	}
	return 0
}

// Inspector is a Host that knows what the ends of its TCP connections agreed on.
type Inspector interface {
	// Handshake tells it of a connection that Dial or a listener of this host returned; false where it is not known.
	Handshake(conn net.Conn) (Handshake, bool)
}

// Handshake is what the two ends of a TCP connection told each other when it was made (RFC 9293, section 3.5).
type Handshake struct {
	ISN, PeerISN                 uint32 // initial sequence numbers: this end's, the other end's; 0: not known
	MSS                          int    // bytes of data that a segment to the other end holds at most
	WindowScale, PeerWindowScale int    // bits by which windows are shifted: this end's, the other end's
	SACK, Timestamps             bool   // both ends have them
}

// Backlog is a Host that can bound how many connections wait to be accepted.
type Backlog interface {
	// ListenBacklog is Listen with such a bound, as listen(2) takes it: backlog+1 connections wait. Of those that come
	// then, a Unix connection fails with EAGAIN at once. A TCP connection gets no answer, and its client tries again for
	// minutes; the client of one whose handshake was under way takes it for established.
	ListenBacklog(ctx context.Context, network, addr string, backlog int) (net.Listener, error)
}

// FileSystem is a Host whose role can look at, and change, the files of its node: those among which its Unix sockets are. A
// path is the node's own. Errors are *fs.PathError, as package os has them.
type FileSystem interface {
	// Lstat describes a file; fs.ModeSocket in its mode says that it is a socket, whether or not somebody listens on it.
	Lstat(path string) (fs.FileInfo, error)
	// Create makes an empty file of that mode where there is none.
	Create(path string, mode fs.FileMode) error
	// Mkdir makes a folder of that mode.
	Mkdir(path string, mode fs.FileMode) error
	// Chmod sets the mode of a file, socket or folder. Modes bind the node's roles on every engine; on host/kernel they
	// bind no process with CAP_DAC_OVERRIDE, as root has outside of the engines' containers.
	Chmod(path string, mode fs.FileMode) error
	// Remove removes a file, socket or empty folder. Who listens on the socket goes on to do so, and nobody finds it.
	Remove(path string) error
	// RemoveStale removes a socket that a server has left behind and nothing else, whatever others do meanwhile by
	// RemoveStale and Listen. Else the error is EADDRINUSE where somebody listens, who does not notice; ENOTSOCK where the
	// file is no socket; EACCES where its mode forbids to find out.
	RemoveStale(path string) error
}

// Turner is a Host in virtual time, where goroutines that act at the same instant would act in an order that does not
// repeat.
type Turner interface {
	// Turn waits for the caller's turn. Those who ask at the same time have their turns one after the other, in the order
	// of their keys; one's turn lasts until it waits for something.
	Turn(key string)
}

// Turn waits for the caller's turn, where h knows turns. What starts several goroutines that act at once has each of them
// call it first, with a key that tells them apart and does not depend on timing.
func Turn(h Host, key string) {
	if t, ok := h.(Turner); ok {
		t.Turn(key)
	}
}

// Pinger is a Host that can send ICMP echo requests (RFC 792, RFC 4443 section 4).
type Pinger interface {
	// Ping sends one echo request and waits for what answers it, until ctx ends: then the error is
	// context.DeadlineExceeded or Canceled. An ICMP error in answer is a Pong, not an error.
	Ping(ctx context.Context, echo Echo) (Pong, error)
}

// Echo is an ICMP echo request.
type Echo struct {
	To       netip.Addr
	TTL      int // hop limit; 0 means the system's own
	Sequence uint16
	Size     int // bytes of payload
}

// Pong is what answered an [Echo].
type Pong struct {
	From netip.Addr // of the destination, or of the router that sent an error
	Kind PongKind
	Code int // of the ICMP error
	RTT  time.Duration
}

// PongKind tells an echo reply from the ICMP errors.
type PongKind string

// The kinds of a Pong, named as in the ICMP standards.
const (
	EchoReply              PongKind = "echo-reply"
	TimeExceeded           PongKind = "time-exceeded"
	DestinationUnreachable PongKind = "destination-unreachable"
)
