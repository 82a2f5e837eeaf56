package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"scenario/event"
	"scenario/host/errno"
)

// sendTimeout bounds one write to a client that does not read.
const sendTimeout = time.Minute

// link is a client's connection below HTTP and TLS: it counts what goes over it and knows who ended it and why.
//
// It is used by several goroutines: what they share stands under the mutex, which is its user's too.
type link struct {
	net.Conn
	ctx     context.Context // ends when the connection does; carries its trace
	cancel  context.CancelFunc
	log     *slog.Logger
	quiet   bool // nothing is told of the connection: there were too many within one second
	number  int64
	local   string
	remote  string
	address netip.Addr // of the client
	onClose func(*link)

	serverName string // that the client asks for in its TLS handshake (RFC 6066, section 3)

	mu             sync.Mutex
	sent, received int64
	by, reason     string // who ended the connection and why, once that is known
	failed         error  // of the first write that failed
	closed         bool
	patience       time.Time // when the deadline of writes was set last
}

// newLink wraps a connection and tells that it was accepted, with that event.
func newLink(ctx context.Context, log *slog.Logger, inner net.Conn, accept func() event.SocketAccept, quiet bool) *link {
	l := &link{Conn: inner, log: log, quiet: quiet, local: inner.LocalAddr().String(), remote: inner.RemoteAddr().String()}
	if address, err := netip.ParseAddrPort(l.remote); err == nil {
		l.address = address.Addr().Unmap()
	}
	if !quiet {
		ctx = event.Begin(ctx, log, accept())
	}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l
}

// Read reads what the client sends. Why reading ended is for the caller to note: see lost.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.mu.Lock()
	l.received += int64(n)
	l.mu.Unlock()
	return n, err
}

// Write sends to the client.
func (l *link) Write(p []byte) (int, error) {
	if err := l.patient(0); err != nil {
		return 0, err
	}
	n, err := l.Conn.Write(p)
	l.mu.Lock()
	l.wrote(n, err)
	l.mu.Unlock()
	return n, err
}

// patient sets the deadline of the next write, where the one that stands was set longer ago than that: a deadline for
// each of many small writes costs more than they do.
func (l *link) patient(since time.Duration) error {
	now := time.Now()
	if since > 0 && now.Sub(l.patience) < since {
		return nil
	}
	l.patience = now
	return l.Conn.SetWriteDeadline(now.Add(sendTimeout))
}

// wrote counts a write. The caller holds the mutex.
func (l *link) wrote(n int, err error) {
	l.sent += int64(n)
	if l.failed == nil {
		l.failed = err
	}
	l.lost(err, "send timeout")
}

// lost notes from an error of Read or Write, if there is one, why the connection ends; late is the reason where it is a
// deadline that passed. The caller holds the mutex.
func (l *link) lost(err error, late string) {
	switch {
	case err == nil || l.by != "":
	case errors.Is(err, os.ErrDeadlineExceeded):
		l.reason = late
	default:
		l.by = byRemote
		if !errors.Is(err, io.EOF) {
			l.reason = cmp.Or(errno.Name(err), err.Error())
		}
	}
}

// CloseWrite tells the client that nothing more will come, where the connection can.
func (l *link) CloseWrite() error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// end tells how the connection, which has been closed, ended; the reason is told where nothing else has ended it.
func (l *link) end(reason string) {
	l.mu.Lock()
	end := event.SocketClose{
		Network: network, Local: l.local, Remote: l.remote, Socket: event.SocketConnection,
		By: l.by, Sent: l.sent, Received: l.received, Reason: l.reason,
	}
	l.mu.Unlock()
	if end.By == "" {
		end.By = byLocal
	}
	if end.Reason == "" && end.By == byLocal {
		end.Reason = reason
		if l.ctx.Err() != nil {
			end.Reason = serverStops
		}
	}
	if !l.quiet {
		event.Emit(l.ctx, l.log, end)
	}
	l.cancel()
	l.onClose(l)
}

// abort ends the connection for a reason; the goroutine that serves it finds it closed and does the rest.
func (l *link) abort(reason string) {
	l.mu.Lock()
	if l.by == "" {
		l.by, l.reason = byLocal, reason
	}
	l.mu.Unlock()
	l.cancel()
	// The error is of no use: Close, which follows, meets it again.
	_ = l.Conn.Close()
}

// reset ends the connection with a reset (RFC 9293, section 3.5.2), where the host can, instead of an orderly end.
func (l *link) reset(reason string) {
	if linger, ok := l.Conn.(interface{ SetLinger(int) error }); ok {
		// Where the connection has ended already there is nothing left to reset.
		_ = linger.SetLinger(0)
	}
	l.abort(reason)
}

// network is what every socket of this role is.
const network = "tcp"

// serverStops is the reason of a connection's end when the role ends.
const serverStops = "the server stops"

// Who ended a connection, as events name them.
const (
	byLocal  = "local"
	byRemote = "remote"
)

// tell emits an event of the connection, unless nothing is told of it.
func (l *link) tell(e func() event.Event) {
	if !l.quiet {
		event.Emit(l.ctx, l.log, e())
	}
}
