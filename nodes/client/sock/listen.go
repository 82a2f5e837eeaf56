package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"scenario/event"
	"scenario/host"
)

// Listener is a listening socket that tells of itself and of what it accepts.
type Listener struct {
	inner    net.Listener
	sockets  Sockets
	parent   context.Context // the listener's own, without the trace of a connection
	socket   socket
	accepted int
	once     sync.Once
}

// backlogger is a host that lets the length of the queue of connections be chosen.
type backlogger interface {
	ListenBacklog(ctx context.Context, network, addr string, backlog int) (net.Listener, error)
}

// Listen listens on a literal "IP:port", ":port" for all addresses, or a path. The error names the address.
func (s Sockets) Listen(ctx context.Context, network, addr string) (*Listener, error) {
	return s.listen(ctx, network, addr, 0, func() (net.Listener, error) { return s.Host.Listen(ctx, network, addr) })
}

// ListenBacklog is Listen with a limit on how many connections wait to be accepted; 0 is the system's own limit.
func (s Sockets) ListenBacklog(ctx context.Context, network, addr string, backlog int) (*Listener, error) {
	if backlog == 0 {
		return s.Listen(ctx, network, addr)
	}
	h, ok := s.Host.(backlogger)
	if !ok {
		return nil, fmt.Errorf("listen on %s: this host has no limit of waiting connections to set", addr)
	}
	return s.listen(ctx, network, addr, backlog, func() (net.Listener, error) {
		return h.ListenBacklog(ctx, network, addr, backlog)
	})
}

func (s Sockets) listen(ctx context.Context, network, addr string, backlog int, open func() (net.Listener, error)) (*Listener, error) {
	made := s.create(ctx, network, event.SocketListening)
	inner, err := open()
	if err != nil {
		made.local = addr
		made.fail("listen", err, 0)
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	made.bound(inner.Addr())
	made.emit(event.SocketListen{
		Network: made.network, Local: made.local, Socket: made.kind, Number: made.number, Backlog: backlog,
	})
	return &Listener{inner: inner, sockets: s, parent: ctx, socket: made}, nil
}

// Listen listens on a literal "IP:port", or ":port" for all addresses, for connections that tell their life alone.
func Listen(ctx context.Context, h host.Host, role, addr string) (*Listener, error) {
	return Sockets{Host: h, Role: role}.Listen(ctx, "tcp", addr)
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Number is the listening socket's among those of its node; 0 where the host does not count them.
func (l *Listener) Number() int { return l.socket.number }

// Accept returns the next connection; its events follow from its socket.accept. It is for one goroutine.
func (l *Listener) Accept() (*Conn, error) {
	inner, err := l.inner.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted++
	made := l.socket
	made.kind, made.number = event.SocketConnection, host.NextSocket(l.sockets.Host)
	c := newConn(made, inner)
	accept := Accepted(l.sockets.Host, inner)
	accept.Network, accept.Number, accept.Listening = c.network, c.number, l.socket.number
	return c.begin(event.WithTrace(l.parent, fmt.Sprintf("conn/%s/%d", l.sockets.Role, l.accepted), ""), accept), nil
}

// SetUnlinkOnClose says whether Close removes the file of a Unix-domain socket, as it does unless it is told otherwise.
func (l *Listener) SetUnlinkOnClose(unlink bool) error {
	file, ok := l.inner.(interface{ SetUnlinkOnClose(bool) })
	if !ok {
		return fmt.Errorf("keep the file of %s: %w", l.Addr(), errors.ErrUnsupported)
	}
	file.SetUnlinkOnClose(unlink)
	return nil
}

// Close ends Accept. Connections that were accepted stay.
func (l *Listener) Close() (err error) {
	l.once.Do(func() {
		err = l.inner.Close()
		s := &l.socket
		s.emit(event.SocketClose{Network: s.network, Local: s.local, Socket: s.kind, Number: s.number, By: byLocal})
	})
	return err
}
