package carry

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"scenario/host/errno"
)

// A frame is its kind (1 byte), its length (2 bytes, big endian) and so many bytes.
const (
	frameData  = 0
	frameEnd   = 1 // the direction has ended; no bytes
	frameReset = 2 // the connection is broken; the bytes are the name of the error (ECONNRESET), or none
)

const (
	frameHead = 3
	maxFrame  = 32 << 10 // bytes after the head
	frameSize = frameHead + maxFrame
)

// parting bounds how long a connection that is broken off waits for the other process to take the word.
const parting = time.Second

// Conn is one end of a connection that is carried.
type Conn struct {
	stream        net.Conn
	local, remote net.Addr

	in      *bufio.Reader
	watched <-chan struct{} // in may be read when it is closed; nil: at once
	gone    func()          // at the serving end: called when the other end has closed all of it
	left    int             // bytes of the frame under way; in is read by one goroutine at a time
	ended   error           // what further reads get; nil: goes on

	mu       sync.Mutex // of writing
	buffer   []byte
	finished error // what further writes get; nil: goes on
	half     bool  // this end has ended its direction
	broken   error // why the connection is to be broken off when it is closed; nil: it is not

	closing  sync.Once
	closed   atomic.Bool
	closeErr error
	awaiting sync.WaitGroup // for gone
}

var _ net.Conn = (*Conn)(nil)

func newConn(stream net.Conn, in *bufio.Reader, local, remote net.Addr) *Conn {
	return &Conn{stream: stream, in: in, local: local, remote: remote, buffer: make([]byte, frameSize)}
}

// Read implements [net.Conn]. Where the other process broke off, or went away, the error says so as the network would:
// ECONNRESET.
func (c *Conn) Read(p []byte) (int, error) {
	if c.watched != nil {
		<-c.watched
	}
	switch {
	case c.closed.Load():
		return 0, fmt.Errorf("read from %s: %w", c.remote, net.ErrClosed)
	case len(p) == 0:
		return 0, nil
	}
	for c.left == 0 {
		if c.ended != nil {
			return 0, c.ended
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.in.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, c.readError(err)
}

// next reads the head of a frame. An error that may pass, such as a deadline, leaves it to be read again.
func (c *Conn) next() error {
	head, err := c.in.Peek(frameHead)
	if err != nil {
		return c.readError(err)
	}
	kind, length := head[0], int(binary.BigEndian.Uint16(head[1:]))
	if kind == frameReset && length <= maxFrame {
		frame, err := c.in.Peek(frameHead + length)
		if err != nil {
			return c.readError(err)
		}
		c.ended = errno.Named(string(frame[frameHead:]))
		if c.ended == nil {
			c.ended = syscall.ECONNRESET
		}
		c.ended = fmt.Errorf("read from %s: %w", c.remote, c.ended)
		return c.ended
	}
	if kind > frameEnd || length > maxFrame || kind == frameEnd && length != 0 {
		c.ended = fmt.Errorf("read from %s: %w: frame of kind %d with %d bytes", c.remote, syscall.ECONNRESET, kind, length)
		return c.ended
	}
	if _, err := c.in.Discard(frameHead); err != nil {
		return c.readError(err)
	}
	if kind == frameEnd {
		c.ended = io.EOF
		if c.gone != nil {
			c.awaiting.Go(c.awaitGone)
		}
		return io.EOF
	}
	c.left = length
	return nil
}

// readError is what an error of the stream means for the connection.
func (c *Conn) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case c.closed.Load():
		c.ended = fmt.Errorf("read from %s: %w", c.remote, net.ErrClosed)
	case timeout(err):
		return fmt.Errorf("read from %s: %w", c.remote, os.ErrDeadlineExceeded)
	default: // an orderly end would have been told by a frame
		c.ended = fmt.Errorf("read from %s: %w: %w", c.remote, syscall.ECONNRESET, err)
	}
	return c.ended
}

// timeout says whether a deadline passed; not every stream has package os's error for it.
func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// awaitGone waits, after the other end has ended its direction, until it has closed all of the connection. Nothing else
// may follow but a reset.
func (c *Conn) awaitGone() {
	_, err := c.in.Peek(1)
	if !c.closed.Load() && !timeout(err) {
		c.gone()
	}
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	written := 0
	for written < len(p) {
		n := min(len(p)-written, maxFrame)
		if err := c.frame(frameData, p[written:written+n]); err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// frame writes one frame; c.mu is held. Where a part of it may have been written, no other can follow.
func (c *Conn) frame(kind byte, data []byte) error {
	if c.finished != nil {
		return c.finished
	}
	c.buffer = append(c.buffer[:0], kind, byte(len(data)>>8), byte(len(data)))
	c.buffer = append(c.buffer, data...)
	_, err := c.stream.Write(c.buffer)
	switch {
	case err == nil:
		return nil
	case timeout(err):
		err = os.ErrDeadlineExceeded
	case !errors.Is(err, net.ErrClosed):
		err = fmt.Errorf("%w: %w", syscall.EPIPE, err)
	}
	c.finished = fmt.Errorf("write to %s: %w", c.remote, err)
	return c.finished
}

// CloseWrite ends this end's direction.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.frame(frameEnd, nil); err != nil {
		return err
	}
	c.finished, c.half = fmt.Errorf("write to %s: %w", c.remote, syscall.EPIPE), true
	return nil
}

// SetLinger is that of [net.TCPConn]: with 0, Close breaks the connection off.
func (c *Conn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = nil
	if seconds == 0 {
		c.broken = syscall.ECONNRESET
	}
	return nil
}

// Abort breaks the connection off; at the other end, reads give an error with the errno of cause.
func (c *Conn) Abort(cause error) error {
	c.stream.SetWriteDeadline(time.Now().Add(parting)) // a write under way holds the lock
	c.mu.Lock()
	c.broken = cause
	c.mu.Unlock()
	return c.Close()
}

// Close implements [net.Conn]. What was written is still delivered, unless the other process takes nothing for a while.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.closed.Store(true)
		c.stream.SetWriteDeadline(time.Now().Add(parting)) // a write under way holds the lock
		c.mu.Lock()
		// Where a last word fails, the stream's own end says enough.
		switch {
		case c.broken != nil && (c.half || c.finished == nil):
			c.finished = nil
			_ = c.frame(frameReset, []byte(errno.Name(c.broken)))
		case c.finished == nil:
			_ = c.frame(frameEnd, nil)
		}
		c.finished = fmt.Errorf("write to %s: %w", c.remote, net.ErrClosed)
		c.mu.Unlock()
		c.closeErr = sever(c.stream)
	})
	return c.closeErr
}

// sever ends a stream and what waits for it: not every stream wakes its readers when it is closed.
func sever(stream net.Conn) error {
	return errors.Join(stream.SetDeadline(time.Unix(1, 0)), stream.Close())
}

// LocalAddr is the address from which the connection was made.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the address to which the connection was made.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error { return c.stream.SetDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.stream.SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn]. A write that it cuts short is the last.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }
