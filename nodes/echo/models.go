package echo

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"scenario/host"
	"scenario/nodes/client/sock"
)

// Why the server closes a connection, as its events say it.
const (
	reasonStop = "the server stops"
	reasonQuit = "the word to quit"
)

// serving is a server that listens.
type serving struct {
	options  Options
	host     host.Host
	listener *sock.Listener
	packets  *sock.PacketConn   // nil: no UDP
	end      context.CancelFunc // has serve return

	mu    sync.Mutex
	conns []*sock.Conn // of the model threads, by age
}

// serve serves until ctx ends. Then it closes the sockets one after the other, by age: their events come in an order that
// repeats.
func (s *serving) serve(ctx context.Context) error {
	ctx, s.end = context.WithCancel(ctx)
	defer s.end()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	closed := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		defer stop()
		err := s.listener.Close()
		if s.packets != nil {
			err = errors.Join(err, s.packets.Close())
		}
		closed <- err
	})
	var group errgroup.Group
	if s.packets != nil {
		group.Go(s.datagrams)
	}
	group.Go(func() error {
		defer s.end()
		switch s.options.Model {
		case modelOne:
			return s.one(serving)
		case modelLoop:
			return s.loop(serving)
		}
		return s.threads(serving)
	})
	return errors.Join(group.Wait(), <-closed)
}

// one serves one connection at a time. Who connects meanwhile waits in the backlog: connected, as far as it can tell.
func (s *serving) one(ctx context.Context) error {
	return s.acceptAll(func(c *sock.Conn) {
		stop := context.AfterFunc(ctx, func() { _ = c.CloseFor(reasonStop) })
		defer stop()
		s.echo(ctx, c)
	})
}

// threads serves each connection in a goroutine of its own.
func (s *serving) threads(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	err := s.acceptAll(func(c *sock.Conn) {
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		running.Go(func() {
			s.echo(ctx, c)
			s.forget(c)
		})
	})
	s.end()
	<-ctx.Done()
	for _, c := range s.open() {
		_ = c.CloseFor(reasonStop)
	}
	return err
}

func (s *serving) open() []*sock.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

func (s *serving) forget(gone *sock.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(c *sock.Conn) bool { return c == gone })
}

// acceptAll hands each connection to do, until the listener is closed.
func (s *serving) acceptAll(do func(*sock.Conn)) error {
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		do(c)
	}
}

// echo serves a connection until it ends, and closes it.
func (s *serving) echo(ctx context.Context, c *sock.Conn) {
	_ = c.CloseFor(s.talk(ctx, c)) // what went wrong before has been told
}

// talk is the whole of an echo server: receive, send, until there is no more. It returns why this end closes the
// connection, where the other did not.
func (s *serving) talk(ctx context.Context, c *sock.Conn) (reason string) {
	buffer := make([]byte, s.options.Buffer)
	ending := quitter{word: s.options.Quit}
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return ""
		}
		if !s.work(ctx, c) {
			return reasonStop
		}
		n, quit := ending.hear(buffer[:n])
		if _, err := c.Write(buffer[:n]); err != nil {
			return ""
		}
		if quit {
			return reasonQuit
		}
	}
}

// work takes the time that the server needs for a piece; false where ctx ended.
func (s *serving) work(ctx context.Context, c *sock.Conn) bool {
	if s.options.Pause == 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(s.options.Pause))
	defer timer.Stop()
	select {
	case <-timer.C:
		host.Turn(s.host, Name+" "+c.Remote()) // others may have worked as long
		return true
	case <-ctx.Done():
		return false
	}
}
