// Package carry takes TCP connections through a stream of bytes between two processes, with what such a stream alone
// cannot tell: why a connection could not be made, the end of one direction, and a connection that was broken off.
//
// One stream carries one connection. [Dial] asks for it at one end, [Serve] makes it at the other; both then speak in
// frames (conn.go). [Relay] joins two connections, and is what Serve does when it has one.
//
// A request is a line {"network":"tcp","addr":"shop.example:80"}; the answer is a line {"local":…,"remote":…}, after which
// frames follow in both directions, or {"error":{…}}. Empty lines before a request are passed over.
package carry

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"scenario/host/errno"
)

// maxLine bounds a request and an answer, in bytes.
const maxLine = 8 << 10

// DialFunc makes a connection, as [net.Dialer.DialContext] does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

type request struct {
	Network string `json:"network"`
	Addr    string `json:"addr"`
}

type answer struct {
	Local  string   `json:"local,omitempty"`
	Remote string   `json:"remote,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

// failure is an error on its way to another process.
type failure struct {
	Text   string  `json:"text"`
	Errno  string  `json:"errno,omitempty"`
	Lookup *lookup `json:"lookup,omitempty"` // a [net.DNSError]
}

type lookup struct {
	Err      string `json:"err"`
	Name     string `json:"name"`
	Server   string `json:"server,omitempty"`
	NotFound bool   `json:"not_found,omitempty"`
	Timeout  bool   `json:"timeout,omitempty"`
}

func newFailure(err error) *failure {
	f := &failure{Text: err.Error(), Errno: errno.Name(err)}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		f.Lookup = &lookup{Err: dns.Err, Name: dns.Name, Server: dns.Server, NotFound: dns.IsNotFound, Timeout: dns.IsTimeout}
	}
	return f
}

func (f *failure) Error() string { return f.Text }

// Unwrap makes errors.Is and errors.As answer as where the error comes from.
func (f *failure) Unwrap() error {
	if l := f.Lookup; l != nil {
		return &net.DNSError{Err: l.Err, Name: l.Name, Server: l.Server, IsNotFound: l.NotFound, IsTimeout: l.Timeout}
	}
	return errno.Named(f.Errno)
}

// Dial asks the [Serve] at the other end of stream for a connection, which owns the stream from then on. When ctx ends
// first the error is ctx's. The stream is closed where there is an error.
func Dial(ctx context.Context, stream net.Conn, network, addr string) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { sever(stream) })
	c, err := dial(stream, network, addr)
	if !stop() {
		sever(stream)
		return nil, fmt.Errorf("dial %s %s: %w", network, addr, ctx.Err())
	}
	if err != nil {
		sever(stream)
		return nil, err
	}
	return c, nil
}

func dial(stream net.Conn, network, addr string) (*Conn, error) {
	if err := writeLine(stream, request{Network: network, Addr: addr}); err != nil {
		return nil, fmt.Errorf("dial %s %s: %w", network, addr, err)
	}
	in := newReader(stream)
	var a answer
	if err := readLine(in, &a); err != nil {
		return nil, fmt.Errorf("dial %s %s: no answer: %w", network, addr, err)
	}
	if a.Error != nil {
		return nil, a.Error
	}
	return newConn(stream, in, parseAddr(a.Local), parseAddr(a.Remote)), nil
}

// Serve makes the connection that the [Dial] at the other end of stream asks for and carries it until both directions have
// ended, either end breaks it off, or ctx ends. It closes the stream. The error tells that the stream is not spoken as it
// should be; that a connection could not be made or broke is no error.
func Serve(ctx context.Context, stream net.Conn, dial DialFunc) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { sever(stream) })
	defer stop()
	defer sever(stream)

	in := newReader(stream)
	var req request
	if err := readLine(in, &req); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("request for a connection: %w", err)
	}
	dialCtx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	watched := Watch(in, giveUp)
	// Whatever ends this call ends the watch.
	defer func() {
		stream.SetReadDeadline(time.Unix(1, 0))
		<-watched
	}()
	inner, err := dial(dialCtx, req.Network, req.Addr)
	if err != nil {
		if ctx.Err() == nil && dialCtx.Err() == nil {
			_ = writeLine(stream, answer{Error: newFailure(err)}) // whoever asked has gone where it fails
		}
		return nil
	}
	if err := writeLine(stream, answer{Local: inner.LocalAddr().String(), Remote: inner.RemoteAddr().String()}); err != nil {
		inner.Close()
		return nil
	}
	outer := newConn(stream, in, inner.LocalAddr(), inner.RemoteAddr())
	outer.watched = watched
	outer.gone = func() {
		inner.Close()
		sever(stream) // a write may wait for an end that takes nothing any more
	}
	Relay(ctx, outer, inner)
	outer.awaiting.Wait()
	return nil
}

// Watch waits for the first byte that comes in, which stays to be read, and calls gone where the other end goes away
// instead. Until the channel is closed nobody else may use the reader.
func Watch(in *bufio.Reader, gone func()) <-chan struct{} {
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if _, err := in.Peek(1); err != nil {
			gone()
		}
	}()
	return watched
}

func writeLine(to io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = to.Write(append(text, '\n'))
	return err
}

func readLine(from *bufio.Reader, v any) error {
	var line []byte
	for {
		piece, err := from.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(line) > maxLine:
			return fmt.Errorf("a line of more than %d bytes", maxLine)
		case err != nil:
			continue
		}
		if len(line) > 1 {
			return json.Unmarshal(line, v)
		}
		line = line[:0]
	}
}

// newReader returns a reader that holds a whole frame.
func newReader(stream io.Reader) *bufio.Reader { return bufio.NewReaderSize(stream, frameSize) }

// parseAddr is the address of a connection as package net has it.
func parseAddr(text string) net.Addr {
	addr, err := netip.ParseAddrPort(text)
	if err != nil {
		return &net.TCPAddr{} // a stack that does not tell
	}
	return net.TCPAddrFromAddrPort(addr)
}
