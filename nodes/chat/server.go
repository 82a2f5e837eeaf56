package chat

import (
	"context"
	"errors"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/ws"
)

// serve serves a room until ctx ends, and returns when everything it started has ended.
func serve(ctx context.Context, h host.Host, options Options, ready func()) (err error) {
	r := newRoom(h, options)
	var streams, sockets *sock.Listener
	if options.Listen != "" {
		if streams, err = sock.Listen(ctx, h, Name, options.Listen); err != nil {
			return err
		}
	}
	if options.WebSocket != "" {
		if sockets, err = sock.Listen(ctx, h, webName, options.WebSocket); err != nil {
			if streams != nil {
				err = errors.Join(err, streams.Close())
			}
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { r.run(ctx); return nil })
	if streams != nil {
		group.Go(func() error { return r.serveStreams(ctx, streams) })
	}
	if sockets != nil {
		group.Go(func() error { return ws.Serve(ctx, h, sockets, r.web(ctx)) })
	}
	ready()
	return group.Wait()
}

// serveStreams admits everybody who connects until ctx ends.
func (r *room) serveStreams(ctx context.Context, l *sock.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	stop := context.AfterFunc(ctx, func() {
		host.Turn(r.host, "chat stops")
		_ = l.Close()
	})
	defer stop()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return l.Close() // by now another goroutine closes it: wait until it has told so
		}
		if err != nil {
			return errors.Join(err, l.Close())
		}
		running.Go(func() { r.admit(ctx, newStream(conn, maxLine)) })
	}
}
