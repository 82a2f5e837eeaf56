package sock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
)

// Conn is a connection, or a datagram socket with one other end, that tells of its errors and its end. One goroutine may read
// while another writes.
type Conn struct {
	net.Conn
	socket
	once sync.Once

	mu                  sync.Mutex
	outBytes, inBytes   int64
	ended               error  // the first error that ended a direction; io.EOF: the other end closed it
	told                string // the last error that was told
	shutWrite, shutRead bool
}

// newConn takes over a connection that is up; s has no addresses yet.
func newConn(s socket, inner net.Conn) *Conn {
	s.local, s.remote = text(inner.LocalAddr()), text(inner.RemoteAddr())
	return &Conn{Conn: inner, socket: s}
}

// begin has the connection's further events follow from this one.
func (c *Conn) begin(ctx context.Context, e event.Event) *Conn {
	c.ctx = context.WithoutCancel(event.Begin(ctx, c.log, e))
	return c
}

// Context carries the connection's trace, for events about what goes over it. It is never canceled.
func (c *Conn) Context() context.Context { return c.ctx }

// Local and Remote are the connection's addresses as "IP:port", or paths; empty for an end without a path.
func (c *Conn) Local() string  { return c.local }
func (c *Conn) Remote() string { return c.remote }

// Number is the socket's among those of its node; 0 where the host does not count them.
func (c *Conn) Number() int { return c.number }

// Ended is the first error that ended a direction of the connection; io.EOF: the other end closed it. It is nil while none has.
// Systems tell of an error once: whoever reads after a write that failed may find no more than the end of the stream.
func (c *Conn) Ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	offset := c.inBytes
	c.inBytes += int64(n)
	c.mu.Unlock()
	if n > 0 || err == nil && len(p) > 0 {
		c.received(c.remote, p[:n], c.position(offset), false)
	}
	c.failed("read", err)
	return n, err
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	offset := c.outBytes
	c.outBytes += int64(n)
	c.mu.Unlock()
	if n > 0 || err == nil {
		c.sent(c.remote, p[:n], c.position(offset))
	}
	c.failed("write", err)
	return n, err
}

// position is an offset as it is told: datagrams have none.
func (c *Conn) position(offset int64) int64 {
	if c.kind == event.SocketDatagram {
		return 0
	}
	return offset
}

// failed tells of the first error that the network, not this end, is the cause of, or where calls are told of each other
// one too; of a datagram socket of each, since they end nothing.
func (c *Conn) failed(op string, err error) {
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	if c.kind == event.SocketDatagram {
		c.fail(op, err, 0)
		return
	}
	c.mu.Lock()
	eof, what, offset := errors.Is(err, io.EOF), op+" "+errno.Name(err), c.inBytes
	news := c.ended == nil || c.telling.Calls && c.told != what && !eof
	if c.ended == nil && !(op == "write" && c.shutWrite) { // what this end did itself says nothing of the connection
		c.ended = err
	}
	if news {
		c.told = what
	}
	c.mu.Unlock()
	switch {
	case !news:
	case eof:
		c.received(c.remote, nil, offset, true)
	default:
		c.fail(op, err, 0)
	}
}

// CloseWrite ends this end's direction; what the other end sends can still be read.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("close writing to %s: %w", c.remote, errors.ErrUnsupported)
	}
	return c.shutdown("write", half.CloseWrite, &c.shutWrite)
}

// CloseRead says that this end takes no more of what the other end sends.
func (c *Conn) CloseRead() error {
	half, ok := c.Conn.(interface{ CloseRead() error })
	if !ok {
		return fmt.Errorf("close reading from %s: %w", c.remote, errors.ErrUnsupported)
	}
	return c.shutdown("read", half.CloseRead, &c.shutRead)
}

// shutdown ends a direction and tells of it, the first time.
func (c *Conn) shutdown(how string, half func() error, done *bool) error {
	if err := half(); err != nil {
		c.failed("shutdown", err)
		return err
	}
	c.mu.Lock()
	again := *done
	*done = true
	c.mu.Unlock()
	if c.telling.Calls && !again {
		c.emit(event.SocketShutdown{
			Network: c.network, Local: c.local, Remote: c.remote, Socket: c.kind, Number: c.number, How: how,
		})
	}
	return nil
}

// SetLinger is that of *net.TCPConn: with 0, Close breaks the connection off with a reset.
func (c *Conn) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return fmt.Errorf("linger for %s: %w", c.remote, errors.ErrUnsupported)
}

// Close implements [net.Conn].
func (c *Conn) Close() error { return c.CloseFor("") }

// CloseFor closes the connection and tells why. Only the first call does anything.
func (c *Conn) CloseFor(reason string) (err error) {
	c.once.Do(func() {
		err = c.Conn.Close()
		c.mu.Lock()
		end := event.SocketClose{
			Network: c.network, Local: c.local, Remote: c.remote, Socket: c.kind, Number: c.number, By: byLocal,
			Sent: c.outBytes, Received: c.inBytes, Reason: reason,
		}
		if c.ended != nil {
			end.By = byRemote
			if !errors.Is(c.ended, io.EOF) {
				end.Reason = cmp.Or(reason, errno.Name(c.ended), c.ended.Error())
			}
		}
		c.mu.Unlock()
		c.emit(end)
	})
	return err
}

// Accepted is the event of a connection that a listener of h returned, with what its ends agreed on as far as h tells.
func Accepted(h host.Host, inner net.Conn) event.SocketAccept {
	agreed := handshake(h, inner)
	return event.SocketAccept{
		Network: networkOf(inner), Local: text(inner.LocalAddr()), Remote: text(inner.RemoteAddr()), Socket: event.SocketConnection,
		ISN: agreed.ISN, PeerISN: agreed.PeerISN, MSS: agreed.MSS,
		WindowScale: agreed.WindowScale, PeerWindowScale: agreed.PeerWindowScale,
		SACK: agreed.SACK, Timestamps: agreed.Timestamps,
	}
}

// Connected is the event of a connection that h made in so many seconds, with what its ends agreed on as far as h tells.
func Connected(h host.Host, inner net.Conn, took float64) event.SocketConnect {
	agreed := handshake(h, inner)
	return event.SocketConnect{
		Network: networkOf(inner), Local: text(inner.LocalAddr()), Remote: text(inner.RemoteAddr()), Socket: event.SocketConnection,
		ISN: agreed.ISN, PeerISN: agreed.PeerISN, MSS: agreed.MSS,
		WindowScale: agreed.WindowScale, PeerWindowScale: agreed.PeerWindowScale,
		SACK: agreed.SACK, Timestamps: agreed.Timestamps, Duration: took,
	}
}

func networkOf(inner net.Conn) string {
	if a := inner.LocalAddr(); a != nil {
		return plain(a.Network())
	}
	return ""
}

// handshake is what the ends of a connection agreed on, as far as the host tells.
func handshake(h host.Host, inner net.Conn) host.Handshake {
	if inspector, ok := h.(host.Inspector); ok {
		agreed, _ := inspector.Handshake(inner)
		return agreed
	}
	return host.Handshake{}
}
