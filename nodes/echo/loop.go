package echo

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"scenario/nodes/client/sock"
)

// The event loop: the goroutine of [serving.loop] owns all there is to know of every connection, decides everything and
// never waits for any one of them. It waits in a single place, for the next notice, whoever it comes from.
//
// That place stands for epoll_wait. A host has sockets whose calls wait, not ones to be asked whether they are ready, so for
// each connection there is a helper that waits in its place: the loop hands it one call to make, with the memory for it;
// the helper makes it, gives a notice of how it ended, and has nothing to do until the loop hands it the next one. It knows
// nothing else and decides nothing. So the loop is told of what is done (as by io_uring, or completion ports on Windows)
// and not of what can be done (as by epoll); who owns the state, and that nobody is waited for, is the same.

// notice is what the loop waits for: a call that ended.
type notice struct {
	client *client    // whose; nil: the listener's
	conn   *sock.Conn // accepted
	n      int        // bytes received or sent
	err    error
}

// call is what a helper is to do: receive into data, or send it.
type call struct {
	send bool
	data []byte
}

// client is what the loop keeps of one connection.
type client struct {
	conn    *sock.Conn
	calls   chan call // for the helper; closed when there will be none
	buffer  []byte    // lent to the helper while a call is under way
	ending  quitter
	sending bool // the call under way sends
	quit    bool // the connection ends when that is done
}

// loop serves all connections in one goroutine: the one that calls it.
func (s *serving) loop(ctx context.Context) error {
	notices := make(chan notice)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	helpers.Go(func() { s.waitForConnections(notices) })
	var clients []*client // by age, so that what is done for all is done in an order that repeats
	listening, stopping := true, ctx.Done()
	var failure error
	for listening || len(clients) > 0 {
		select {
		case <-stopping:
			stopping = nil
			for _, c := range clients {
				_ = c.conn.CloseFor(reasonStop) // ends the call under way, of which there is a notice
			}
		case note := <-notices:
			switch {
			case note.client != nil:
				if !s.next(ctx, note) {
					clients = slices.DeleteFunc(clients, func(c *client) bool { return c == note.client })
				}
			case note.err != nil:
				listening = false
				if !errors.Is(note.err, net.ErrClosed) {
					failure = note.err
					s.end()
				}
			case stopping == nil:
				_ = note.conn.CloseFor(reasonStop)
			default:
				clients = append(clients, s.welcome(note.conn, notices, &helpers))
			}
		}
	}
	return failure
}

// welcome starts the helper of a new connection and has it receive.
func (s *serving) welcome(conn *sock.Conn, notices chan<- notice, helpers *sync.WaitGroup) *client {
	c := &client{
		conn: conn, calls: make(chan call, 1), buffer: make([]byte, s.options.Buffer), ending: quitter{word: s.options.Quit},
	}
	helpers.Go(func() { c.help(conn, c.calls, notices) })
	c.calls <- call{data: c.buffer}
	return c
}

// next does what is to be done after a call of a connection has ended; false where that is the end of the connection.
func (s *serving) next(ctx context.Context, done notice) bool {
	c := done.client
	reason := ""
	switch {
	case done.err != nil:
	case !c.sending:
		if !s.work(ctx, c.conn) { // in this goroutine, so everybody waits
			reason = reasonStop
			break
		}
		var n int
		n, c.quit = c.ending.hear(c.buffer[:done.n])
		c.sending = true
		c.calls <- call{send: true, data: c.buffer[:n]}
		return true
	case c.quit:
		reason = reasonQuit
	default:
		c.sending = false
		c.calls <- call{data: c.buffer}
		return true
	}
	close(c.calls)
	_ = c.conn.CloseFor(reason) // what went wrong before has been told
	return false
}

// help makes the calls that the loop hands over. There is one at a time, so neither the loop nor the helper is ever waited
// for with a call in hand.
func (c *client) help(conn *sock.Conn, calls <-chan call, notices chan<- notice) {
	for call := range calls {
		done := notice{client: c}
		if call.send {
			done.n, done.err = conn.Write(call.data)
		} else {
			done.n, done.err = conn.Read(call.data)
		}
		notices <- done
	}
}

// waitForConnections is the listener's helper. Its last notice has an error.
func (s *serving) waitForConnections(notices chan<- notice) {
	for {
		conn, err := s.listener.Accept()
		notices <- notice{conn: conn, err: err}
		if err != nil {
			return
		}
	}
}
