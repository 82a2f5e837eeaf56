// Package unixmem has the files of a machine in memory, and the Unix-domain sockets that are among them.
//
// A [Machine] begins with /run and /tmp, which are writable below a root that is not, as a node's container has them. It has
// one user, whom modes bind. Sockets, files and their errors are those of Linux as package net and package os give them
// (unix(7)); the suite in hosttest proves it. A path that begins with "@" is an abstract name: no file, and gone with
// its listener.
//
// Nothing runs between calls, and nobody waits with a lock: time in a bubble of testing/synctest goes on. There, what draws
// from what others do waits for its turn first (see [New]).
package unixmem

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Backlog is how many connections package net has wait to be accepted, less one (net.core.somaxconn).
const Backlog = 4096

// pathMax is the length of the longest path that an address has room for, in bytes.
const pathMax = 107

// Machine is the files and sockets of one machine. Its methods may be called from any goroutine.
type Machine struct {
	turn func(key string) // nil in real time

	mu       sync.Mutex
	root     *file
	abstract map[string]aborter
	open     map[aborter]struct{}
	made     int // connections so far
	closed   bool
}

// aborter is an open socket.
type aborter interface {
	// abort ends the socket as the end of its machine does.
	abort()
}

// New returns a Machine. turn is nil but in virtual time: it is called before whatever opens, accepts or reads, or looks at
// or changes files, with a key that says what is done and does not depend on time, and what is done goes on when it
// returns. Writing and closing do not call it, unless there is no room for what is written.
func New(turn func(key string)) *Machine {
	folder := func(mode fs.FileMode) *file {
		return &file{mode: fs.ModeDir | mode, system: true, modified: time.Now(), entries: make(map[string]*file)}
	}
	root := folder(0o755)
	root.readOnly = true
	root.entries["run"], root.entries["tmp"] = folder(fs.ModeSticky|0o777), folder(fs.ModeSticky|0o777)
	return &Machine{turn: turn, root: root, abstract: make(map[string]aborter), open: make(map[aborter]struct{})}
}

// Close ends all sockets; the files stay.
func (m *Machine) Close() {
	m.mu.Lock()
	m.closed = true
	open := m.open
	m.open = nil
	m.mu.Unlock()
	for s := range open {
		s.abort()
	}
}

// await waits for the turn of an operation; format and args make its key, in virtual time only.
func (m *Machine) await(format string, args ...any) {
	if m.turn != nil {
		m.turn(fmt.Sprintf(format, args...))
	}
}

// Dial connects to a path; network is unix.
func (m *Machine) Dial(ctx context.Context, network, path string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(network, path), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	m.await("dial %s %s", network, path)
	c, err := m.connect(network, path)
	if err != nil {
		return fail(os.NewSyscallError("connect", err))
	}
	return c, nil
}

// connect puts a new connection into the queue of who listens.
func (m *Machine) connect(network, path string) (*conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, net.ErrClosed
	}
	found, err := m.find(path)
	if err != nil {
		return nil, err
	}
	l, ok := found.(*listener)
	if !ok {
		return nil, syscall.EPROTOTYPE
	}
	m.made++
	near, far := join(m, network, path, m.made)
	if err := l.put(far); err != nil {
		return nil, err
	}
	m.open[near], m.open[far] = struct{}{}, struct{}{}
	return near, nil
}

// find returns the socket at a path.
func (m *Machine) find(path string) (aborter, error) {
	if len(path) > pathMax {
		return nil, syscall.EINVAL
	}
	if strings.HasPrefix(path, "@") {
		if s := m.abstract[path]; s != nil {
			return s, nil
		}
		return nil, syscall.ECONNREFUSED
	}
	f, err := m.lookup(path)
	switch {
	case err != nil:
		return nil, err
	case !f.access(2):
		return nil, syscall.EACCES
	case f.socket == nil: // also where it is no socket
		return nil, syscall.ECONNREFUSED
	}
	return f.socket, nil
}

// Listen listens at a path; network is unix. backlog+1 connections may wait to be accepted.
func (m *Machine) Listen(network, path string, backlog int) (net.Listener, error) {
	m.await("listen %s %s", network, path)
	l := newListener(m, network, path, backlog)
	if err := m.bind(l, &l.name); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: address(network, path), Err: os.NewSyscallError("bind", err)}
	}
	return l, nil
}

// name is what a socket is bound to; that of a socket that is not bound is the zero value.
type name struct {
	path string
	file *file // nil where the path is an abstract name
}

// bind gives a socket its name.
func (m *Machine) bind(s aborter, n *name) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return net.ErrClosed
	case len(n.path) > pathMax:
		return syscall.EINVAL
	case strings.HasPrefix(n.path, "@"):
		if m.abstract[n.path] != nil {
			return syscall.EADDRINUSE
		}
		m.abstract[n.path] = s
	default:
		f, err := m.make(n.path, fs.ModeSocket|0o755)
		if err == syscall.EEXIST {
			return syscall.EADDRINUSE
		}
		if err != nil {
			return err
		}
		f.socket, n.file = s, f
	}
	m.open[s] = struct{}{}
	return nil
}

// release forgets a socket, whose file becomes stale, or is removed by its name.
func (m *Machine) release(s aborter, n name, unlink bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, s)
	if n.file == nil {
		if m.abstract[n.path] == s {
			delete(m.abstract, n.path)
		}
		return
	}
	n.file.socket = nil
	if unlink {
		_ = m.remove(n.path, false) // as package net: whatever is there by now, or nothing
	}
}

func address(network, path string) net.Addr { return &net.UnixAddr{Name: path, Net: network} }
