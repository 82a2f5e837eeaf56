// Package tunnel lets connections come out of a node's container: the engine's end of them is a process elsewhere,
// perhaps on another machine.
//
// The agent listens on a socket in its container ([Listen]) and makes the connections, so that they are told like all
// that the node does. A second process in the container ([Pipe]), started with docker exec, joins that socket to its
// standard streams; the engine holds their other end and has many connections over it ([Session]).
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"scenario/internal/carry"
)

// writeLimit is when a write to the other end is given up: there is no such end any more, or it takes nothing.
const writeLimit = 10 * time.Minute

// config is that of both ends. Nothing is sent while nothing is asked for: the end of the stream tells of a lost end.
func config() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = writeLimit
	c.StreamOpenTimeout, c.StreamCloseTimeout = 0, 0
	c.LogOutput = io.Discard // what goes wrong is seen by those who use the connections
	return c
}

// Listen makes connections with dial for whoever comes to the Unix socket at path, until the returned close is called,
// which ends them too and waits for it.
func Listen(path string, dial carry.DialFunc) (close func(), err error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // only close ends a listener on a socket
			}
			running.Go(func() { serve(ctx, conn, dial) })
		}
	})
	return func() {
		cancel()
		listener.Close()
		running.Wait()
	}, nil
}

// serve makes the connections that are asked for over conn until it, or ctx, ends.
func serve(ctx context.Context, conn net.Conn, dial carry.DialFunc) {
	defer conn.Close()
	session, err := yamux.Server(conn, config())
	if err != nil {
		return // the configuration is constant
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	for {
		stream, err := session.Accept()
		if err != nil {
			return
		}
		// An end that does not speak as it should is this very program's other version; its stream is closed.
		running.Go(func() { _ = carry.Serve(ctx, stream, dial) })
	}
}

// Pipe joins in and out to the socket at path until either ends.
func Pipe(ctx context.Context, path string, in io.Reader, out io.Writer) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(conn, in)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(out, conn)
		ended <- err
	}()
	// The other direction may wait for ever: the process ends with this call.
	return <-ended
}

// Session is the engine's end of a tunnel.
type Session struct {
	mux *yamux.Session
}

// NewSession has connections over the standard streams of a Pipe. It owns them.
func NewSession(pipe io.ReadWriteCloser) (*Session, error) {
	mux, err := yamux.Client(pipe, config())
	if err != nil {
		return nil, err
	}
	return &Session{mux: mux}, nil
}

// ErrEnded is the error of a connection over a session that has ended.
var ErrEnded = errors.New("the way into the node has ended")

// Dial makes a connection from the node.
func (s *Session) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	stream, err := s.mux.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnded, err)
	}
	conn, err := carry.Dial(ctx, stream, network, addr)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Ended says whether the session is of no more use.
func (s *Session) Ended() bool { return s.mux.IsClosed() }

// Close ends the session and its connections.
func (s *Session) Close() error { return s.mux.Close() }
