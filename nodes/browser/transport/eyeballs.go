package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
	"scenario/nodes/client/sock"
)

// maxAddresses bounds how many addresses of a server are tried.
const maxAddresses = 20

// errOtherFirst ends the attempts that were too slow.
var errOtherFirst = errors.New("another address answered first")

// errNoAddress is the failure of a lookup that did not fail.
var errNoAddress = errors.New("the name has no address")

// notFound says that a name, or an address for it, does not exist, which says less than any other failure.
func notFound(err error) bool {
	var known *stub.Error
	return errors.As(err, &known) && known.NotFound
}

// attempt is what came of a connection to one address.
type attempt struct {
	to   netip.AddrPort
	conn net.Conn
	err  error
}

// race connects to the addresses of a server, each one a while after the one before or when that failed, until one answers
// (RFC 8305, section 5). The others are given up.
func (t *Transport) race(ctx context.Context, p *Place, a *addresses, port uint16) (net.Conn, error) {
	a.read()
	if a.ended && len(a.list) == 1 { // there is nothing to race with
		to := netip.AddrPortFrom(a.pick(), port)
		p.Remote = to.String()
		return t.dial(ctx, to)
	}
	r := &racers{transport: t, place: p, port: port, results: make(chan attempt, maxAddresses)}
	racing, cancel := context.WithCancelCause(ctx)
	won, err := r.run(racing, a)
	cancel(errOtherFirst)
	for ; r.running > 0; r.running-- {
		if late := <-r.results; late.conn != nil {
			discard(ctx, t, late.conn, errOtherFirst.Error())
		}
	}
	if err != nil {
		return nil, err
	}
	p.Remote = won.to.String()
	return won.conn, nil
}

// racers are the attempts to connect to one server.
type racers struct {
	transport *Transport
	place     *Place
	port      uint16
	results   chan attempt
	started   int
	running   int
	telling   attempt // the failure that says most
}

func (r *racers) run(ctx context.Context, a *addresses) (attempt, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := true
	for {
		changed := a.read()
		if len(a.list) > 0 && (due || r.running == 0) && r.started < maxAddresses {
			r.start(ctx, netip.AddrPortFrom(a.pick(), r.port))
			due = false
			timer.Reset(r.transport.options.AttemptDelay)
			continue
		}
		if r.running == 0 && (a.ended || r.started == maxAddresses) {
			if r.started == 0 {
				return attempt{}, cmp.Or(a.failure, errNoAddress)
			}
			r.place.Remote = r.telling.to.String()
			return attempt{}, r.telling.err
		}
		select {
		case <-changed:
		case <-timer.C:
			due = true
		case done := <-r.results:
			r.running--
			if done.err == nil {
				return done, nil
			}
			due = true
			// An address of a family that this machine does not have says little about the server.
			if r.telling.err == nil || errno.Name(r.telling.err) == "ENETUNREACH" {
				r.telling = done
			}
		case <-ctx.Done():
			return attempt{}, ctx.Err()
		}
	}
}

// start begins an attempt.
func (r *racers) start(ctx context.Context, to netip.AddrPort) {
	r.started++
	r.running++
	if r.place.Remote == "" {
		r.place.Remote = to.String()
	}
	key := fmt.Sprintf("transport %06d %02d", r.place.serial, r.started)
	go func() { // race waits for its result
		host.Turn(r.transport.host, key)
		conn, err := r.transport.dial(ctx, to)
		r.results <- attempt{to, conn, err}
	}()
}

// dial makes one connection and says so, or why it could not.
func (t *Transport) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, t.options.ConnectTimeout)
	defer cancel()
	begun := time.Now()
	conn, err := t.host.Dial(dialCtx, "tcp", to.String())
	took := time.Since(begun).Seconds()
	switch {
	case err == nil:
		event.Emit(ctx, t.host.Log(), sock.Connected(t.host, conn, took))
	case errors.Is(context.Cause(ctx), errOtherFirst):
		event.Emit(ctx, t.host.Log(), event.SocketClose{
			Network: "tcp", Remote: to.String(), Socket: event.SocketConnection, By: byLocal, Reason: errOtherFirst.Error(),
		})
	default:
		event.Emit(ctx, t.host.Log(), event.SocketError{
			Network: "tcp", Op: "connect", Remote: to.String(),
			Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err), Duration: took,
		})
	}
	return conn, err // which names the address
}

// discard closes a connection that was made and is not needed.
func discard(ctx context.Context, t *Transport, conn net.Conn, reason string) {
	conn.Close() // an error would say no more than that it is closed
	event.Emit(ctx, t.host.Log(), event.SocketClose{
		Network: "tcp", Local: conn.LocalAddr().String(), Remote: conn.RemoteAddr().String(),
		Socket: event.SocketConnection, By: byLocal, Reason: reason,
	})
}
