package chat

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"scenario/event"
	"scenario/nodes/client/sock"
)

// maxServerLine bounds a line of a server, in bytes: a message of the greatest length, its sender, and room to spare.
const maxServerLine = 2 * maxLine

// maxKept is how many lines a session keeps that nobody waited for yet.
const maxKept = 1000

// nodeStops is why a session ends with its node.
const nodeStops = "the node stops"

var errNodeStops = errors.New(nodeStops)

// errLeft is how a session ends that was left on purpose.
var errLeft = errors.New("the room was left")

// session is a connection to a room, from the client's side.
type session struct {
	peer   peer       // the other end
	conn   *sock.Conn // below it
	log    *slog.Logger
	server string        // as written
	name   string        // under mu until the room is joined
	pair   *pair         // nil: in a room
	done   chan struct{} // closed when nothing more will be received

	mu      sync.Mutex
	kept    []line        // what was received and not awaited yet, oldest first
	news    chan struct{} // closed and replaced whenever kept or ended changes
	told    bool          // a line
	joined  bool
	leaving bool
	ended   error // why nothing more will be received
}

func newSession(log *slog.Logger, p peer, args JoinArgs) *session {
	return &session{
		peer: p, conn: p.socket(), log: log, server: args.Server, name: args.Name,
		done: make(chan struct{}), news: make(chan struct{}),
	}
}

// receive keeps what the server sends until the connection or ctx ends; then it closes the connection.
func (s *session) receive(ctx context.Context) {
	defer close(s.done)
	// Who receives closes the connection too, so that one goroutine tells of all that.
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for s.mayRead(ctx) {
		text, err := s.peer.receive()
		var bad badLine
		switch {
		case errors.As(err, &bad):
			s.log.Info("a line is passed over", "role", Name, "remote", s.conn.Remote(), "why", bad.Error())
			continue
		case ctx.Err() != nil:
			s.finish(errNodeStops)
			return
		case err != nil:
			s.finish(err)
			return
		}
		l, left := s.parse(text)
		switch {
		case left:
			s.finish(errOtherLeft)
			return
		case l.kind == lineAsk:
			_ = s.peer.send([][]byte{[]byte("\n")}) // an error is the next read's too
		default:
			s.learn(l)
			s.tell(l)
			s.keep(l)
		}
	}
	s.finish(errNodeStops)
}

// learn takes the name that the room gives to one that has none: what such a room says first is who joined.
func (s *session) learn(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name == "" && !s.told && l.kind == lineJoin {
		s.name = l.name
	}
	s.told = true
}

// keep stores a line and wakes who waits for one.
func (s *session) keep(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.kind == lineJoin && l.name == s.name {
		s.joined = true
	}
	if len(s.kept) == maxKept {
		s.kept = s.kept[1:]
	}
	s.kept = append(s.kept, l)
	if s.pair != nil && l.kind == lineMessage {
		s.pair.heard++
	}
	s.wake()
}

// wake is called under the lock.
func (s *session) wake() {
	close(s.news)
	s.news = make(chan struct{})
}

// finish closes the connection, which ended with err, and tells who is no more in the room.
func (s *session) finish(err error) {
	s.mu.Lock()
	joined, leaving, reason, end := s.joined, s.leaving, "", endLeft
	switch {
	case leaving:
		s.ended = errLeft
	case errors.Is(err, errOtherLeft):
		s.ended = err
	case errors.Is(err, errNodeStops):
		// As where the server's node stops first: both stop with the run, in no order.
		s.ended, reason, end = err, connectionClosed, nodeStops
	default:
		reason = lossOf(err)
		end = reason
		s.ended = err
		if errors.Is(err, io.EOF) && s.pair == nil {
			s.ended = errors.New("the server closed the connection")
		} else if errors.Is(err, io.EOF) {
			s.ended = errors.New("the other closed the connection")
		}
	}
	gone := line{kind: lineLeave, name: s.name, text: reason}
	if s.pair != nil {
		gone.name = s.pair.self
		if !leaving {
			gone.name = s.pair.other
			s.kept = append(s.kept, gone)
		}
	}
	s.wake()
	s.mu.Unlock()
	if joined {
		event.Emit(s.conn.Context(), s.log, event.ChatLeave{Side: s.side(), Name: gone.name, Reason: reason})
	}
	s.peer.close(end)
}

// side is this end's, in events.
func (s *session) side() string {
	if s.pair != nil {
		return s.pair.side
	}
	return event.SideClient
}

// self is what this end is called.
func (s *session) self() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pair != nil {
		return s.pair.self
	}
	return s.name
}

// over says why nothing more will be received; nil while the session goes on.
func (s *session) over() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// await takes the first line that matches out of what is kept; where there is none it waits for one. An error is ctx's or
// why nothing more will be received.
func (s *session) await(ctx context.Context, match func(line) bool) (line, error) {
	for {
		l, found, news, err := s.find(match)
		if found || err != nil {
			return l, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return line{}, ctx.Err()
		}
	}
}

func (s *session) find(match func(line) bool) (l line, found bool, news <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.kept {
		if match(l) {
			s.kept = append(s.kept[:i:i], s.kept[i+1:]...)
			return l, true, nil, nil
		}
	}
	return line{}, false, s.news, s.ended
}

// send writes one line. When ctx ends first the connection is of no more use: it is closed.
func (s *session) send(ctx context.Context, text string) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Unix(1, 0)) })
	err := s.peer.send([][]byte{[]byte(text + "\n")})
	if !stop() { // the deadline is set, or about to be
		s.peer.close("the other end does not read")
		return ctx.Err()
	}
	return err
}

// say sends a message. A server does not send it back to who said it, so this end tells of it.
func (s *session) say(ctx context.Context, text string) error {
	if err := s.over(); err != nil {
		return err
	}
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	event.Emit(s.conn.Context(), s.log, event.ChatMessage{Side: s.side(), Name: s.self(), Text: text})
	return s.send(ctx, text)
}

// leave sends the word to leave by and waits for the other end to close the connection.
func (s *session) leave(ctx context.Context, word string) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	if err := s.send(ctx, word); err != nil {
		return err
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.peer.close("the other end does not answer")
		return ctx.Err()
	}
}

// tell emits the event of a line that was received.
func (s *session) tell(l line) {
	ctx := s.conn.Context()
	switch l.kind {
	case lineMessage:
		event.Emit(ctx, s.log, event.ChatMessage{Side: s.side(), Name: l.name, Text: l.text})
	case lineJoin:
		joined := event.ChatJoin{Side: event.SideClient, Name: l.name}
		if l.name == s.name {
			joined.Remote = s.conn.Remote()
		}
		event.Emit(ctx, s.log, joined)
	case lineLeave:
		event.Emit(ctx, s.log, event.ChatLeave{Side: event.SideClient, Name: l.name, Reason: l.text})
	case lineRefusal:
		s.log.Info("refused by the server", "role", Name, "server", s.server, "why", l.text)
	}
}
