package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// Phases of sockets, as outcomes name them.
const (
	phaseListen = "listen"
	phaseAccept = "accept"
	phaseBind   = "bind"
)

// OpenArgs are the arguments of the action open.
type OpenArgs struct {
	To      string        `json:"to" jsonschema_description:"host:port, or the path of a Unix-domain socket; the host is a name or an IP address" jsonschema:"required"`
	Network string        `json:"network,omitempty" jsonschema_description:"default: unix for a path, else tcp" jsonschema:"enum=tcp,enum=udp,enum=unix,enum=unixgram"`
	Socket  string        `json:"socket,omitempty" jsonschema_description:"what further steps of the node call it" jsonschema:"default=main"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=5s"`
}

// OpenResult is what came of the action open.
type OpenResult struct {
	Socket    string  `json:"socket"`
	To        string  `json:"to"`
	Network   string  `json:"network"`
	Connected bool    `json:"connected" jsonschema_description:"of udp: the address of the other end is set, whether it is there or not"`
	Local     string  `json:"local" jsonschema_description:"this end's IP:port or path"`
	Remote    string  `json:"remote" jsonschema_description:"the IP:port or path that was connected to, or tried last"`
	Duration  float64 `json:"duration_s" jsonschema_description:"until the connection stood or had failed, lookup included"`
	sock.Outcome
}

// ListenArgs are the arguments of the action listen.
type ListenArgs struct {
	At      string `json:"at" jsonschema_description:"IP:port, :port for every address of the node, or a path that begins with /" jsonschema:"required"`
	Backlog int    `json:"backlog,omitempty" jsonschema_description:"how many connections may wait to be accepted; 0: as many as the system allows" jsonschema:"minimum=0,maximum=4096"`
	Socket  string `json:"socket,omitempty" jsonschema_description:"what further steps of the node call it" jsonschema:"default=listener"`
}

// ListenResult is what came of the action listen.
type ListenResult struct {
	Socket    string `json:"socket"`
	Listening bool   `json:"listening"`
	Local     string `json:"local" jsonschema_description:"where it listens"`
	sock.Outcome
}

// AcceptArgs are the arguments of the action accept.
type AcceptArgs struct {
	Socket   string        `json:"socket,omitempty" jsonschema_description:"what further steps of the node call the connection" jsonschema:"default=main"`
	Listener string        `json:"listener,omitempty" jsonschema_description:"the socket that listens" jsonschema:"default=listener"`
	Pause    role.Duration `json:"pause,omitempty" jsonschema_description:"wait so long before: a busy server"`
	Timeout  role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=10s"`
}

// AcceptResult is what came of the action accept.
type AcceptResult struct {
	Socket   string  `json:"socket"`
	Accepted bool    `json:"accepted"`
	Local    string  `json:"local" jsonschema_description:"this end's IP:port or path: that of the listener"`
	Remote   string  `json:"remote" jsonschema_description:"the client's IP:port"`
	Waited   float64 `json:"waited_s"`
	sock.Outcome
}

// BindArgs are the arguments of the action bind.
type BindArgs struct {
	At      string `json:"at" jsonschema_description:"IP:port, :port for every address of the node, or a path that begins with /" jsonschema:"required"`
	Network string `json:"network,omitempty" jsonschema_description:"default: unixgram for a path, else udp" jsonschema:"enum=udp,enum=unixgram"`
	Socket  string `json:"socket,omitempty" jsonschema_description:"what further steps of the node call it" jsonschema:"default=main"`
}

// BindResult is what came of the action bind.
type BindResult struct {
	Socket string `json:"socket"`
	Bound  bool   `json:"bound"`
	Local  string `json:"local" jsonschema_description:"where it receives"`
	sock.Outcome
}

func defaultOpen() OpenArgs {
	return OpenArgs{Socket: mainSocket, Timeout: role.Duration(5 * time.Second)}
}

func defaultAccept() AcceptArgs {
	return AcceptArgs{Socket: mainSocket, Listener: listenerSocket, Timeout: role.Duration(10 * time.Second)}
}

func (c *client) open(ctx context.Context, h host.Host, args OpenArgs) (any, error) {
	network := networkOf(args.Network, args.To)
	if err := checkNetwork(network, "tcp", "udp", "unix", "unixgram"); err != nil {
		return nil, err
	}
	if err := c.sockets.reserve(args.Socket); err != nil {
		return nil, err
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	start := time.Now()
	conn, err := c.dialOn(limited, h, network, args.To)
	result := OpenResult{Socket: args.Socket, To: args.To, Network: network, Duration: time.Since(start).Seconds()}
	if err == nil {
		opened := newSocket(args.Socket, network)
		opened.conn = conn
		if err := c.sockets.put(opened); err != nil {
			return nil, err
		}
		result.Connected, result.Local, result.Remote = true, conn.Local(), conn.Remote()
		return result, nil
	}
	c.sockets.release(args.Socket)
	var bad *targetError
	if ctx.Err() != nil || errors.As(err, &bad) {
		return nil, errors.Join(ctx.Err(), err)
	}
	var failure *sock.Error
	if errors.As(err, &failure) {
		result.Remote = failure.Remote
	}
	result.Outcome = sock.OutcomeOf(sock.PhaseConnect, err)
	return result, nil
}

// targetError is a step that says nowhere to connect to.
type targetError struct{ error }

// dialOn connects to a path, or to an address or name.
func (c *client) dialOn(ctx context.Context, h host.Host, network, to string) (*sock.Conn, error) {
	if network == "unix" || network == "unixgram" {
		conn, err := scripted(h, "").Dial(ctx, network, to)
		if err != nil {
			return nil, &sock.Error{Phase: sock.PhaseConnect, Remote: to, Err: err}
		}
		return conn, nil
	}
	target, err := sock.ParseTarget(to)
	if err != nil {
		return nil, &targetError{err}
	}
	d := c.dialer(h)
	d.Telling = telling()
	return d.DialOn(ctx, network, target)
}

func (c *client) listen(ctx context.Context, h host.Host, args ListenArgs) (any, error) {
	if args.Backlog < 0 {
		return nil, fmt.Errorf("backlog: %d is negative", args.Backlog)
	}
	if err := c.sockets.reserve(args.Socket); err != nil {
		return nil, err
	}
	network := networkOf("", args.At)
	role := fmt.Sprintf("client/%d", c.sockets.nextListener())
	listener, err := scripted(h, role).ListenBacklog(ctx, network, args.At, args.Backlog)
	result := ListenResult{Socket: args.Socket, Listening: err == nil, Outcome: sock.OutcomeOf(phaseListen, err)}
	if err != nil {
		c.sockets.release(args.Socket)
		return result, ctx.Err()
	}
	opened := newSocket(args.Socket, network)
	opened.listener = listener
	result.Local, _ = opened.addresses()
	return result, c.sockets.put(opened)
}

func (c *client) bind(ctx context.Context, h host.Host, args BindArgs) (any, error) {
	network := args.Network
	if network == "" {
		network = map[string]string{"tcp": "udp", "unix": "unixgram"}[networkOf("", args.At)]
	}
	if err := checkNetwork(network, "udp", "unixgram"); err != nil {
		return nil, err
	}
	if err := c.sockets.reserve(args.Socket); err != nil {
		return nil, err
	}
	packets, err := scripted(h, "").ListenPacket(ctx, network, args.At)
	result := BindResult{Socket: args.Socket, Bound: err == nil, Outcome: sock.OutcomeOf(phaseBind, err)}
	if err != nil {
		c.sockets.release(args.Socket)
		return result, ctx.Err()
	}
	opened := newSocket(args.Socket, network)
	opened.packets = packets
	result.Local = packets.Local()
	return result, c.sockets.put(opened)
}

func (c *client) accept(ctx context.Context, h host.Host, args AcceptArgs) (any, error) {
	from, err := c.sockets.get(args.Listener)
	if err != nil {
		return nil, err
	}
	if from.listener == nil {
		return nil, fmt.Errorf("socket %q does not listen", args.Listener)
	}
	if err := c.sockets.reserve(args.Socket); err != nil {
		return nil, err
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	start := time.Now()
	var conn *sock.Conn
	if err = pause(limited, h, time.Duration(args.Pause), args.Listener+" accept"); err == nil {
		conn, err = from.accept(limited)
	}
	result := AcceptResult{
		Socket: args.Socket, Accepted: err == nil, Waited: time.Since(start).Seconds(),
		Outcome: sock.OutcomeOf(phaseAccept, err),
	}
	if err != nil {
		c.sockets.release(args.Socket)
		if errors.Is(err, context.DeadlineExceeded) {
			result.Meaning = "nobody connected in time"
		}
		return result, ctx.Err()
	}
	opened := newSocket(args.Socket, from.network)
	opened.conn = conn
	result.Local, result.Remote = opened.addresses()
	return result, c.sockets.put(opened)
}

// accept waits for the next connection. A listener cannot be told to wait no longer: what comes after ctx has ended is what
// the next call returns.
func (s *socket) accept(ctx context.Context) (*sock.Conn, error) {
	if err := s.in.enter(ctx); err != nil {
		return nil, err
	}
	defer s.in.leave()
	if s.waiting == nil {
		s.waiting = make(chan accepted, 1)
		go func(result chan<- accepted) {
			conn, err := s.listener.Accept()
			result <- accepted{conn, err}
		}(s.waiting)
	}
	select {
	case got := <-s.waiting:
		s.waiting = nil
		return got.conn, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
