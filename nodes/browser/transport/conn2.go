package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"scenario/event"
	"scenario/host/errno"
	"scenario/nodes/h2frames"
)

// What we allow a server, as browsers do (RFC 9113, section 6.5.2), and what we assume before it has said what it allows.
const (
	streamWindow   = 6 << 20  // bytes of one response that may be under way
	connWindow     = 15 << 20 // bytes of all of them
	initialWindow  = 65535    // bytes that may be sent before the other end has said more
	initialStreams = 100
	maxFrame       = 16 << 10 // bytes of a payload
	maxQueue       = 64 << 10 // bytes that wait to be sent
	maxStreamID    = 1<<31 - 1
	maxRefusals    = 200  // of streams, after which another connection is made
	maxTold        = 2000 // frames of one connection that events tell of
)

// conn2 is an HTTP/2 connection (RFC 9113). Requests share it, each on a stream of its own.
//
// Whoever has something to send puts it into a queue with the lock held; the first one writes, without the lock, what the
// others add meanwhile. One goroutine reads and hands each stream its part.
type conn2 struct {
	*base
	origins  []origin // whose requests it takes; under the transport's mutex
	unshared bool     // it takes no more; likewise

	received *h2frames.Watcher // of the reader
	sent     *h2frames.Watcher // of who writes
	block    int               // bytes of the field block that was read last

	mu      sync.Mutex
	queue   bytes.Buffer // what is to be sent
	framer  *http2.Framer
	writing bool
	written chan struct{} // closed when the queue has been written, then another one
	encoder *hpack.Encoder
	fields  bytes.Buffer // what the encoder made

	streams    map[uint32]*stream2
	nextID     uint32
	leased     int // streams that were granted and not given back
	told       int // frames that events told of
	refusals   int
	maxStreams int
	changed    bool  // since the transport was told
	window     int64 // bytes that may be sent on all streams
	peerWindow int64 // of a new stream
	peerFrame  int
	allowed    int64 // bytes that the server may send on all streams
	unreported int64 // bytes read since it was allowed more
	late       int64 // bytes that may still come on streams that were given up
	draining   bool  // it takes no more streams
	goneAway   string
	dead       error

	closing atomic.Bool
}

func newConn2(b *base) *conn2 {
	c := &conn2{
		base: b, written: make(chan struct{}), streams: make(map[uint32]*stream2), nextID: 1,
		maxStreams: initialStreams, window: initialWindow, peerWindow: initialWindow, peerFrame: maxFrame, allowed: connWindow,
	}
	c.received = h2frames.New(func(f h2frames.Frame) {
		switch f.Type {
		case http2.FrameHeaders:
			c.block = f.Bytes
		case http2.FrameContinuation:
			c.block += f.Bytes
		}
		c.tell(f, "received")
	}, nil)
	c.sent = h2frames.New(func(f h2frames.Frame) { c.tell(f, "sent") }, nil)
	c.framer = http2.NewFramer(&c.queue, io.TeeReader(bufio.NewReaderSize(c.nc, maxFrame), feeder{c.received}))
	c.framer.SetMaxReadFrameSize(maxFrame)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = maxHead
	c.encoder = hpack.NewEncoder(&c.fields)
	return c
}

// feeder gives a watcher what the framer reads.
type feeder struct{ to *h2frames.Watcher }

func (f feeder) Write(p []byte) (int, error) {
	f.to.Feed(p)
	return len(p), nil
}

// tell makes an event of a frame. Of many, the first ones say enough.
func (c *conn2) tell(f h2frames.Frame, direction string) {
	c.mu.Lock()
	c.told++
	enough := c.told > maxTold
	c.mu.Unlock()
	if !enough {
		event.Emit(c.opened, c.transport.host.Log(), f.Event(event.SideClient, c.local, c.remote, direction))
	}
}

// begin says hello, which goes along with the first request, and starts to read.
func (c *conn2) begin() {
	c.mu.Lock()
	c.queue.WriteString(http2.ClientPreface)
	c.frames(
		c.framer.WriteSettings(
			http2.Setting{ID: http2.SettingEnablePush, Val: 0},
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
			http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHead},
			http2.Setting{ID: http2.SettingNoRFC7540Priorities, Val: 1},
		),
		c.framer.WriteWindowUpdate(0, connWindow-initialWindow),
	)
	c.transport.running.Go(c.read)
	c.mu.Unlock()
}

// frames takes note of what could not be put into the queue: nothing, unless we have made a frame that may not be.
func (c *conn2) frames(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		c.die(err)
	}
}

// die ends the connection: the reader sees it and cleans up. c.mu is held.
func (c *conn2) die(err error) {
	if c.dead == nil {
		c.dead = err
		c.wire.Close() // an error would say no more than that it is closed
	}
}

// flush writes what is in the queue, unless somebody does already. c.mu is held, and released while it writes.
func (c *conn2) flush() {
	if c.writing {
		return
	}
	c.writing = true
	for c.queue.Len() > 0 && c.dead == nil {
		data := bytes.Clone(c.queue.Bytes())
		c.queue.Reset()
		c.mu.Unlock()
		c.sent.Feed(data)
		c.wire.SetWriteDeadline(time.Now().Add(c.transport.options.ConnectTimeout)) // an error comes with the write again
		_, err := c.nc.Write(data)
		c.mu.Lock()
		if err != nil {
			c.die(err)
		}
		close(c.written)
		c.written = make(chan struct{})
	}
	c.writing = false
}

// reserve takes the leave for a stream, where there may be one more.
func (c *conn2) reserve() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || c.dead != nil || c.leased >= c.maxStreams {
		return false
	}
	c.leased++
	return true
}

// unreserve gives it back.
func (c *conn2) unreserve() {
	c.mu.Lock()
	c.leased--
	over := c.draining && c.leased == 0 && c.dead == nil
	reason := c.goneAway
	c.mu.Unlock()
	if over {
		c.close(byLocal, reason)
	}
	c.transport.streams(c)
}

// retire has a connection that nobody uses take no more streams; false: somebody uses it.
func (c *conn2) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leased > 0 {
		return false
	}
	c.draining = true
	return true
}

// close says goodbye and closes the connection, the first time it is called.
func (c *conn2) close(by, reason string) {
	if c.closing.Swap(true) {
		return // without waiting for whoever was first: it may wait for the network
	}
	c.mu.Lock()
	if c.dead == nil {
		c.frames(c.framer.WriteGoAway(0, http2.ErrCodeNo, nil))
		c.flush()
	}
	c.mu.Unlock()
	c.closed(by, reason)
}

// read reads frames until the connection ends.
func (c *conn2) read() {
	err := c.loop()
	c.mu.Lock()
	if c.dead == nil {
		c.dead = err
	}
	err, reason := c.dead, c.goneAway
	c.draining = true
	for _, s := range c.streams {
		s.fail(fmt.Errorf("response from %s: %w", c.remote, err), true)
	}
	c.mu.Unlock()
	c.transport.unshare(c)
	switch broken := new(protocolError); {
	case errors.As(err, broken):
		c.close(byLocal, err.Error())
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errno.Name(err) == "ECONNRESET":
		if reason == "" {
			reason = serverClosed
		}
		c.close(byRemote, reason)
	default:
		c.close(byLocal, "the exchange failed")
	}
}

// protocolError is how a server broke the rules of HTTP/2.
type protocolError struct {
	code http2.ErrCode
	text string
}

func (e protocolError) Error() string {
	return fmt.Sprintf("the server breaks the rules of HTTP/2: %s (%s)", e.text, e.code)
}

func (c *conn2) loop() error {
	for {
		frame, err := c.framer.ReadFrame()
		var ofStream http2.StreamError
		var ofConn http2.ConnectionError
		switch {
		case errors.As(err, &ofStream):
			c.streamBroken(ofStream)
			continue
		case errors.As(err, &ofConn):
			err = protocolError{http2.ErrCode(ofConn), fmt.Sprint(c.framer.ErrorDetail())}
		case errors.Is(err, http2.ErrFrameTooLarge):
			err = protocolError{http2.ErrCodeFrameSize, "a frame is larger than allowed"}
		case err == nil:
			if err = c.handle(frame); err == nil {
				c.settle()
			}
		}
		var broken protocolError
		if errors.As(err, &broken) {
			c.mu.Lock()
			c.frames(c.framer.WriteGoAway(0, broken.code, nil))
			c.flush()
			c.mu.Unlock()
		}
		if err != nil {
			return err
		}
	}
}

// settle tells the transport, whose lock is above ours, what has changed.
func (c *conn2) settle() {
	c.mu.Lock()
	changed, draining := c.changed, c.draining
	over, reason := draining && c.leased == 0, c.goneAway
	c.changed = false
	c.mu.Unlock()
	switch {
	case draining:
		c.transport.unshare(c)
	case changed:
		c.transport.streams(c)
	}
	if over {
		c.close(byLocal, reason)
	}
}

// handle does what a frame asks for. A protocolError ends the connection.
func (c *conn2) handle(frame http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.flush()
	if c.writing && c.queue.Len() > maxQueue {
		return protocolError{http2.ErrCodeEnhanceYourCalm, "it asks for more answers than it reads"}
	}
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		return c.handleHead(f)
	case *http2.DataFrame:
		return c.handleData(f)
	case *http2.SettingsFrame:
		return c.handleSettings(f)
	case *http2.WindowUpdateFrame:
		return c.handleWindow(f)
	case *http2.RSTStreamFrame:
		c.handleReset(f)
	case *http2.GoAwayFrame:
		c.handleGoAway(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.frames(c.framer.WritePing(true, f.Data))
		}
	case *http2.PushPromiseFrame:
		return protocolError{http2.ErrCodeProtocol, "it pushes, which was ruled out"}
	}
	return nil
}

func (c *conn2) handleSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return protocolError{http2.ErrCodeProtocol, fmt.Sprintf("its setting %v is out of bounds", s)}
		}
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			c.maxStreams = int(min(s.Val, 1<<20))
		case http2.SettingInitialWindowSize:
			change := int64(s.Val) - c.peerWindow
			c.peerWindow = int64(s.Val)
			for _, stream := range c.streams {
				stream.window += change
				stream.wake()
			}
		case http2.SettingMaxFrameSize:
			c.peerFrame = int(min(s.Val, maxQueue))
		case http2.SettingHeaderTableSize:
			c.encoder.SetMaxDynamicTableSize(min(s.Val, 4096))
		}
		return nil
	})
	if err == nil {
		c.frames(c.framer.WriteSettingsAck())
		c.changed = true
	}
	return err
}

func (c *conn2) handleWindow(f *http2.WindowUpdateFrame) error {
	if f.StreamID == 0 {
		c.window += int64(f.Increment)
		for _, s := range c.streams {
			s.wake()
		}
		if c.window > maxStreamID {
			return protocolError{http2.ErrCodeFlowControl, "its window is beyond all bounds"}
		}
		return nil
	}
	if s := c.streams[f.StreamID]; s != nil {
		s.window += int64(f.Increment)
		if s.window > maxStreamID {
			c.reset(s, http2.ErrCodeFlowControl, errors.New("the server's window is beyond all bounds"))
		}
		s.wake()
	}
	return nil
}

func (c *conn2) handleReset(f *http2.RSTStreamFrame) {
	s := c.streams[f.StreamID]
	if s == nil {
		return
	}
	s.closed = true
	refused := f.ErrCode == http2.ErrCodeRefusedStream
	if refused {
		if c.refusals++; c.refusals > maxRefusals {
			c.drain("the server refuses too many requests")
		}
	}
	if f.ErrCode == http2.ErrCodeNo && s.ended { // it needs no more of the request's body (RFC 9113, section 8.1)
		s.wake()
		return
	}
	s.fail(fmt.Errorf("response from %s: the server reset the stream (%s)", c.remote, f.ErrCode), refused)
}

func (c *conn2) handleGoAway(f *http2.GoAwayFrame) {
	c.drain(fmt.Sprintf("the server takes no more requests (GOAWAY, %s)", f.ErrCode))
	for id, s := range c.streams {
		if id > f.LastStreamID {
			s.closed = true
			s.fail(fmt.Errorf("response from %s: the server goes away (%s) and did not see the request", c.remote, f.ErrCode), true)
		}
	}
}

// drain has the connection take no more streams. c.mu is held.
func (c *conn2) drain(reason string) {
	if !c.draining {
		c.draining, c.goneAway = true, reason
	}
}

// streamBroken resets a stream on which the server broke the rules.
func (c *conn2) streamBroken(e http2.StreamError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.flush()
	if s := c.streams[e.StreamID]; s != nil {
		c.reset(s, e.Code, fmt.Errorf("the server breaks the rules of HTTP/2: %w", e))
		return
	}
	c.frames(c.framer.WriteRSTStream(e.StreamID, e.Code))
}

// reset ends a stream from our end. c.mu is held.
func (c *conn2) reset(s *stream2, code http2.ErrCode, err error) {
	if !s.closed && c.dead == nil {
		s.closed = true
		c.frames(c.framer.WriteRSTStream(s.id, code))
	}
	if err != nil {
		s.fail(fmt.Errorf("response from %s: %w", c.remote, err), false)
	}
}
