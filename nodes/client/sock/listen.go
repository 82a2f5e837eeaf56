package sock

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"scenario/event"
	"scenario/host"
)

// Listener is a listening socket that tells of itself and of what it accepts.
type Listener struct {
	inner    net.Listener
	ctx      context.Context
	log      *slog.Logger
	role     string
	accepted int
	once     sync.Once
}

// Listen listens on a literal "IP:port", or ":port" for all addresses. role is part of the name of each connection's trace,
// since other roles of the node count theirs too.
func Listen(ctx context.Context, h host.Host, role, addr string) (*Listener, error) {
	inner, err := h.Listen(ctx, network, addr)
	if err != nil {
		failure := Failure("listen", err)
		failure.Local = addr
		event.Emit(ctx, h.Log(), failure)
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	event.Emit(ctx, h.Log(), event.SocketListen{Network: network, Local: inner.Addr().String()})
	return &Listener{inner: inner, ctx: ctx, log: h.Log(), role: role}, nil
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Accept returns the next connection; its events follow from its socket.accept. It is for one goroutine.
func (l *Listener) Accept() (*Conn, error) {
	inner, err := l.inner.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted++
	ctx := event.WithTrace(l.ctx, fmt.Sprintf("conn/%s/%d", l.role, l.accepted), "")
	accept := event.SocketAccept{
		Network: network, Local: inner.LocalAddr().String(), Remote: inner.RemoteAddr().String(),
	}
	return newConn(event.Begin(ctx, l.log, accept), l.log, inner), nil
}

// Close ends Accept. Connections that were accepted stay.
func (l *Listener) Close() (err error) {
	l.once.Do(func() {
		err = l.inner.Close()
		event.Emit(l.ctx, l.log, event.SocketClose{Network: network, Local: l.Addr().String(), By: byLocal})
	})
	return err
}
