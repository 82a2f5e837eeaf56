package chat

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/client/sock"
)

// The ways in which two people talk over one connection, as the option says.
const (
	pairTurns = "turns" // who has said a line waits for the other's before the next; either may begin
	pairBoth  = "both"  // each sends and receives as it likes
)

// errOtherLeft is how a conversation ends that the other end left by the leave word.
var errOtherLeft = errors.New("the other left")

// errNotYourTurn is why a line could not be said.
var errNotYourTurn = errors.New("it is the other's turn, and it said nothing in time")

// pair is what a session of two people has beside that of a room: there is no server, and no names are sent. People are
// called by their addresses.
type pair struct {
	side        string // of the events: the server is who listens
	turns       bool
	word        string // to leave by
	self, other string

	said, heard int // lines; under the session's lock
}

// newPair makes a session of a connection with another person.
func newPair(log *slog.Logger, conn *sock.Conn, o Options, side, server string) *session {
	s := newSession(log, newStream(conn, maxServerLine), JoinArgs{Server: server})
	s.pair = &pair{
		side: side, turns: o.Pair == pairTurns, word: o.Leave, self: hostOf(conn.Local()), other: hostOf(conn.Remote()),
	}
	s.joined = true
	joined := event.ChatJoin{Side: side, Name: s.pair.other, Remote: conn.Remote()}
	event.Emit(conn.Context(), log, joined)
	return s
}

func hostOf(addr string) string {
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return name
}

// mayRead waits, where people take turns, until it is the other's: meanwhile the network keeps what it sends. It returns
// false when ctx ends first.
func (s *session) mayRead(ctx context.Context) bool {
	if s.pair == nil || !s.pair.turns {
		return true
	}
	return s.until(ctx, func() bool { return s.pair.heard <= s.pair.said }) == nil
}

// takeTurn waits, where people take turns, until this end may say a line, and counts it.
func (s *session) takeTurn(ctx context.Context) error {
	if s.pair == nil || !s.pair.turns {
		return nil
	}
	err := s.until(ctx, func() bool {
		mine := s.pair.said <= s.pair.heard
		if mine {
			s.pair.said++
		}
		return mine
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return errNotYourTurn
	}
	return err
}

// until waits for a condition, which is looked at under the lock. An error is ctx's or why nothing more will be received.
func (s *session) until(ctx context.Context, holds func() bool) error {
	for {
		s.mu.Lock()
		yes, news, err := s.ended == nil && holds(), s.news, s.ended
		if yes {
			s.wake()
		}
		s.mu.Unlock()
		if yes || err != nil {
			return err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// parse reads a line that was received. left says that it was the other's word to leave by.
func (s *session) parse(text string) (l line, left bool) {
	if s.pair == nil {
		return parseLine(text), false
	}
	return line{kind: lineMessage, name: s.pair.other, text: text}, text == s.pair.word
}

// servePair waits for people to talk to, for one at a time: who comes meanwhile waits in the listener's queue.
func (c *client) servePair(ctx context.Context, h host.Host, ready func()) error {
	l, err := sock.Listen(ctx, h, Name, c.options.Listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var closing sync.WaitGroup
	defer closing.Wait()
	defer cancel()
	closing.Go(func() {
		<-ctx.Done()
		_ = l.Close()
	})
	ready()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		s := newPair(h.Log(), conn, c.options, event.SideServer, conn.Remote())
		if err := c.enterAs(s); err != nil {
			_ = conn.CloseFor("talking to somebody else")
			continue
		}
		s.receive(ctx)
	}
}
