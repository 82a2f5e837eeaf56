package chat

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"scenario/host"
	"scenario/nodes/client/sock"
)

// nameTimeout bounds the time from a connection to its name.
const nameTimeout = time.Minute

// serve serves a room until ctx ends, and returns when everything it started has ended.
func serve(ctx context.Context, h host.Host, listen string, ready func()) error {
	l, err := sock.Listen(ctx, h, Name, listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()

	inputs := make(chan input)
	r := &room{log: h.Log()}
	running.Go(func() { r.run(ctx, inputs) })
	ready()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return l.Close() // by now another goroutine closes it: wait until it has told so
		}
		if err != nil {
			return errors.Join(err, l.Close())
		}
		m := &member{conn: conn, out: make(chan string, maxBehind)}
		m.out <- line{kind: lineRemark, text: "what is your name?"}.String()
		running.Go(func() { m.read(ctx, inputs) })
		running.Go(func() { m.write(ctx) })
	}
}

// read hands the room what the connection brings, until it ends. It closes the connection when ctx ends.
func (m *member) read(ctx context.Context, inputs chan<- input) {
	const stopped = "the server stops"
	stop := context.AfterFunc(ctx, func() { _ = m.conn.CloseFor(stopped) })
	defer stop()
	// Fails only on a connection that has ended; then the first read says so.
	_ = m.conn.SetReadDeadline(time.Now().Add(nameTimeout))
	lines := newLineReader(m.conn, maxLine)
	for {
		in := input{from: m}
		in.line, in.err = lines.next()
		select {
		case inputs <- in:
		case <-ctx.Done():
			_ = m.conn.CloseFor(stopped)
			return
		}
		var bad badLine
		if in.err != nil && !errors.As(in.err, &bad) {
			return
		}
	}
}

// write sends the room's lines until the member is gone, and closes the connection.
func (m *member) write(ctx context.Context) {
	var failed error
	for {
		select {
		case text, more := <-m.out:
			if !more {
				_ = m.conn.CloseFor(m.end)
				return
			}
			if failed == nil {
				// The reader finds the connection ended too, and tells the room.
				_, failed = io.WriteString(m.conn, text+"\n")
			}
		case <-ctx.Done():
			return
		}
	}
}
