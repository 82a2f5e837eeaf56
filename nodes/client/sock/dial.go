package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
)

// Phases of making a connection, as [Error] names them.
const (
	PhaseLookup  = "lookup"
	PhaseConnect = "connect"
)

// Error is a connection that could not be made, as a person would see it.
type Error struct {
	Phase  string
	Remote string // "IP:port" that was tried last; empty where none was
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Dialer makes connections for a client.
type Dialer struct {
	Host host.Host
	Telling
	// Lookup finds the addresses of a name, in the order in which they are to be tried.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
}

// Target is whom to connect to.
type Target struct {
	Name string // of the host, or its IP address
	Port uint16
}

// ParseTarget reads "host:port"; the host is a name or an IP address, an IPv6 address in brackets.
func ParseTarget(text string) (Target, error) {
	name, port, err := net.SplitHostPort(text)
	if err != nil || name == "" {
		return Target{}, fmt.Errorf(`%q is not "host:port"`, text)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Target{}, fmt.Errorf("%q: port %q is not a number from 1 to 65535", text, port)
	}
	return Target{Name: name, Port: uint16(n)}, nil
}

func (t Target) String() string { return net.JoinHostPort(t.Name, strconv.Itoa(int(t.Port))) }

// Addrs returns the address that name is, or those that it has. An error is an [*Error].
func (d Dialer) Addrs(ctx context.Context, name string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := d.Lookup(ctx, name)
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("%s has no address", name)
	}
	if err != nil {
		return nil, &Error{Phase: PhaseLookup, Err: err}
	}
	return addrs, nil
}

// Dial connects by TCP to the first address of the target that answers; every try has an even share of the time that ctx
// leaves. The events of the connection follow from its socket.connect. An error is an [*Error].
func (d Dialer) Dial(ctx context.Context, target Target) (*Conn, error) {
	return d.DialOn(ctx, "tcp", target)
}

// DialOn is Dial on tcp or udp.
func (d Dialer) DialOn(ctx context.Context, network string, target Target) (*Conn, error) {
	addrs, err := d.Addrs(ctx, target.Name)
	if err != nil {
		return nil, err
	}
	var failure *Error
	for i, addr := range addrs {
		remote := netip.AddrPortFrom(addr, target.Port).String()
		c, err := d.try(ctx, network, remote, len(addrs)-i)
		if err == nil {
			return c, nil
		}
		failure = &Error{Phase: PhaseConnect, Remote: remote, Err: err}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failure
}

// try connects to one address of left ones.
func (d Dialer) try(ctx context.Context, network, remote string, left int) (*Conn, error) {
	share := ctx
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		share, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return Sockets{Host: d.Host, Telling: d.Telling}.Dial(share, network, remote)
}

// Dial connects to a literal "IP:port" or a path. The events of the connection follow from its socket.connect. The error
// is the host's.
func (s Sockets) Dial(ctx context.Context, network, addr string) (*Conn, error) {
	kind := event.SocketConnection
	if strings.HasPrefix(network, "udp") || network == "unixgram" {
		kind = event.SocketDatagram
	}
	made := s.create(ctx, network, kind)
	start := time.Now()
	inner, err := s.Host.Dial(ctx, network, addr)
	took := time.Since(start).Seconds()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			made.remote = addr
			made.fail("connect", err, took)
		}
		return nil, err
	}
	c := newConn(made, inner)
	connect := Connected(s.Host, inner, took)
	connect.Network, connect.Socket, connect.Number = c.network, c.kind, c.number
	return c.begin(ctx, connect), nil
}

// Outcome is what a person sees of a connection that failed; the zero value where none did. Results of actions embed it.
type Outcome struct {
	Phase   string `json:"phase" jsonschema_description:"what failed: lookup, connect …; empty where nothing did"`
	Errno   string `json:"errno" jsonschema_description:"the system's name of the error, such as ECONNREFUSED, where it has one"`
	Error   string `json:"error" jsonschema_description:"the error as programs print it"`
	Meaning string `json:"meaning" jsonschema_description:"what the error means, in one sentence"`
}

// OutcomeOf describes err: in the phase that an [*Error] names, else in the given one.
func OutcomeOf(phase string, err error) Outcome {
	if err == nil {
		return Outcome{}
	}
	var failure *Error
	if errors.As(err, &failure) {
		phase = failure.Phase
	}
	return Outcome{Phase: phase, Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err)}
}
