package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"

	"scenario/internal/carry"
)

// Dial connects from a node to addr, as [engine.Inside] says. The error wraps [ErrGone] where the run has ended.
func (c *Client) Dial(ctx context.Context, node, network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	stream, err := dialer.DialContext(ctx, "unix", c.socket)
	if err == nil {
		err = json.NewEncoder(stream).Encode(request{Op: opDial, Node: node})
		if err != nil {
			stream.Close()
		}
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil: // whose errno is not that of a connection in the run
		return nil, fmt.Errorf("%w: %v", ErrGone, err)
	}
	conn, err := carry.Dial(ctx, stream, network, addr)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// carry serves a dial request until its connection or the run ends. in may have read more than the request.
func (s *Server) carry(conn net.Conn, in *json.Decoder, node string) {
	stream := started{Conn: conn, in: io.MultiReader(in.Buffered(), conn)}
	// What goes wrong with the stream is the end of it, and the client sees that.
	_ = carry.Serve(s.ctx, stream, func(ctx context.Context, network, addr string) (net.Conn, error) {
		return s.run.Dial(ctx, node, network, addr)
	})
}

// started is a connection of which some bytes have been read already.
type started struct {
	net.Conn
	in io.Reader
}

func (s started) Read(p []byte) (int, error) { return s.in.Read(p) }
