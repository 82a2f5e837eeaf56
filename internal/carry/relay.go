package carry

import (
	"context"
	"io"
	"net"
	"sync"
)

// Relay passes on what comes in at a to b and the reverse, until both directions have ended, and closes both. The end of
// one direction is passed on; where one connection breaks, or ctx ends, both are broken off. However long nothing comes,
// that is no end.
func Relay(ctx context.Context, a, b net.Conn) {
	stop := context.AfterFunc(ctx, func() { abort(ctx.Err(), a, b) })
	defer stop()
	var directions sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if err == nil {
			err = closeWrite(to)
		}
		if err != nil {
			abort(err, to, from)
		}
	}
	directions.Go(func() { pass(a, b) })
	directions.Go(func() { pass(b, a) })
	directions.Wait()
	a.Close()
	b.Close()
}

// closeWrite ends one direction. A connection that cannot do so has to end as a whole.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// abort breaks connections off, so that nobody takes what came for all there is.
func abort(cause error, conns ...net.Conn) {
	for _, c := range conns {
		switch c := c.(type) {
		case interface{ Abort(error) error }:
			c.Abort(cause)
		case interface{ SetLinger(int) error }:
			c.SetLinger(0)
			c.(net.Conn).Close()
		default:
			c.Close()
		}
	}
}
