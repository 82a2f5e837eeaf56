package engine

import (
	"context"
	"net"
)

// Inside is a [Run] from which somebody outside of it can use its network, such as a person's browser through a proxy.
type Inside interface {
	// Dial connects from a node to addr, "host:port": the name is looked up by the node's own resolver, and the
	// connection is the node's. network is tcp. The connection has CloseWrite and SetLinger, as *net.TCPConn does. An
	// error of the look-up is a [*net.DNSError]; one of the connection answers errors.Is as those of host.Host do. Where
	// the node is not there the error is neither. Connections end with the run.
	Dial(ctx context.Context, node, network, addr string) (net.Conn, error)
}
