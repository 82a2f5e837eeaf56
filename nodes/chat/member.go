package chat

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"scenario/event"
	"scenario/host"
)

// maxBatch is how many entries of its queue a member's writer sends at once.
const maxBatch = 64

// member is a connection to a room. peer and out are shared with its reader and writer, the rest belongs to the room's
// goroutine.
type member struct {
	peer peer
	key  string        // of its turns
	out  chan [][]byte // lines to send, nil: ask for a sign of life; closed by the room when the member is gone
	end  string        // why the connection is to be closed; set before out is closed

	name  string // empty: not in the room yet
	gone  bool
	slow  bool      // to be removed as such
	asked bool      // for a sign of life, since it was heard of
	heard time.Time // when the last line came; of one without a name, when the connection did
}

// input is what a member's connection brought: itself, a line, or an error in its place.
type input struct {
	from *member
	came bool
	line string
	err  error // a badLine: the member goes on; any other: the connection has ended
}

// admit has a peer take part in the room until its connection is closed, by either side or with the end of ctx, which must
// be that of the room. It returns then, and nothing that it started is left.
func (r *room) admit(ctx context.Context, p peer) {
	socket := p.socket()
	trace, _ := event.Cause(socket.Context())
	m := &member{
		peer: p, out: make(chan [][]byte, r.options.Behind),
		key: fmt.Sprintf("chat %s %s %s", socket.Local(), socket.Remote(), trace),
	}
	stop := context.AfterFunc(ctx, func() {
		host.Turn(r.host, m.key+" stops")
		p.close(endStopped)
	})
	defer stop()
	defer p.close(endStopped)
	if !r.hand(ctx, input{from: m, came: true}) {
		return
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { m.write(ctx) })
	for {
		in := input{from: m}
		in.line, in.err = p.receive()
		var bad badLine
		if !r.hand(ctx, in) || in.err != nil && !errors.As(in.err, &bad) {
			return
		}
	}
}

// hand gives the room an input, unless ctx ends first. What comes at one instant of virtual time comes one by one, and
// everybody has been told of one before the next.
func (r *room) hand(ctx context.Context, in input) bool {
	host.Turn(r.host, in.from.key)
	select {
	case r.inputs <- in:
		return true
	case <-ctx.Done():
		return false
	}
}

// write sends what the room has for the member until it is gone, and closes the connection.
func (m *member) write(ctx context.Context) {
	var (
		failed error
		batch  [][]byte
	)
	for {
		select {
		case lines, more := <-m.out:
			if !more {
				m.peer.close(m.end)
				return
			}
			if failed != nil {
				continue // the reader finds the connection ended too, and tells the room
			}
			var ask bool
			if batch, ask = m.gather(batch[:0], lines); len(batch) > 0 {
				failed = m.peer.send(batch)
			}
			if ask && failed == nil {
				failed = m.peer.ask()
			}
			if cap(batch) > maxBatch {
				batch = nil
			}
		case <-ctx.Done():
			return
		}
	}
}

// gather takes what else is waiting, up to the point where the peer is to be asked for a sign of life.
func (m *member) gather(batch, lines [][]byte) (all [][]byte, ask bool) {
	for range maxBatch {
		if lines == nil {
			return batch, true
		}
		batch = append(batch, lines...)
		select {
		case next, more := <-m.out:
			if !more {
				return batch, false // and closed it stays
			}
			lines = next
		default:
			return batch, false
		}
	}
	return append(batch, lines...), lines == nil
}
