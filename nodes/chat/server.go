package chat

import (
	"context"
	"errors"
	"net"
	"sync"

	"scenario/host"
	"scenario/nodes/client/sock"
)

// serve serves a room until ctx ends, and returns when everything it started has ended.
func serve(ctx context.Context, h host.Host, options Options, ready func()) error {
	l, err := sock.Listen(ctx, h, Name, options.Listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()

	r := newRoom(h, options)
	running.Go(func() { r.run(ctx) })
	ready()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return l.Close() // by now another goroutine closes it: wait until it has told so
		}
		if err != nil {
			return errors.Join(err, l.Close())
		}
		running.Go(func() { r.admit(ctx, newStream(conn)) })
	}
}
