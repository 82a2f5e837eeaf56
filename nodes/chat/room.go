package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
	"scenario/nodes/ws"
)

const (
	// nameTimeout bounds the time from a connection to its name.
	nameTimeout = time.Minute
	// flushTimeout bounds how long a member that is gone may take to read what it was still told.
	flushTimeout = 5 * time.Second
	// maxHere is how many members a newcomer is told the names of.
	maxHere = 16
	// yields is how often the room lets others go first where a member's queue is full, since its writer may only be
	// waiting for a processor. One that waits for its reader does so however often.
	yields = 32
)

// room is the state of a chat. One goroutine owns it: it takes inputs one by one and never waits for a member.
type room struct {
	host    host.Host
	log     *slog.Logger
	options Options
	inputs  chan input

	callers []*member          // without a name, in the order in which they came
	members []*member          // with a name, in the order in which they joined
	names   map[string]*member // by folded name
	guests  int                // names that were given
	history [][]byte           // the latest messages as lines, oldest first
	said    int                // messages, ever
	slow    []*member          // to be removed
	alarm   *time.Timer
	due     time.Time // when the alarm goes off; zero: never
}

func newRoom(h host.Host, options Options) *room {
	alarm := time.NewTimer(0)
	alarm.Stop()
	return &room{
		host: h, log: h.Log(), options: options, inputs: make(chan input), names: make(map[string]*member), alarm: alarm,
	}
}

// run serves inputs until ctx ends.
func (r *room) run(ctx context.Context) {
	defer r.alarm.Stop()
	for {
		select {
		case in := <-r.inputs:
			r.take(in)
		case <-r.alarm.C:
			host.Turn(r.host, "chat room")
			r.look(time.Now())
		case <-ctx.Done():
			return
		}
		for len(r.slow) > 0 {
			m := r.slow[0]
			r.slow = r.slow[1:]
			r.drop(m)
		}
	}
}

func (r *room) take(in input) {
	m := in.from
	if m.gone {
		return
	}
	if in.came || m.name != "" { // lines that are no good as names do not make the time for one longer
		m.heard, m.asked = time.Now(), false
	}
	var bad badLine
	switch {
	case in.came:
		r.welcome(m)
	case errors.As(in.err, &bad):
		r.refuse(m, bad.Error())
	case in.err != nil:
		r.remove(m, lossOf(in.err))
	case in.line == r.options.Leave:
		r.tell(m, line{kind: lineRemark, text: "goodbye"})
		r.remove(m, "")
	case m.name == "":
		r.name(m, in.line)
	case in.line != "":
		r.say(m, in.line)
	}
}

// welcome takes a connection in, which has no name yet.
func (r *room) welcome(m *member) {
	r.callers = append(r.callers, m)
	switch limit := r.options.Limit; {
	case limit > 0 && len(r.members)+len(r.callers) > limit:
		r.refuse(m, endFull)
		r.remove(m, endFull)
	case r.options.Names == namesGiven:
		for {
			r.guests++
			name := fmt.Sprintf("guest%d", r.guests)
			if r.names[fold(name)] == nil {
				r.join(m, name)
				return
			}
		}
	default:
		r.tell(m, line{kind: lineRemark, text: "what is your name?"})
		r.wake(m.heard.Add(nameTimeout))
	}
}

// name gives the member the name that it wants, or says why it cannot have it.
func (r *room) name(m *member, name string) {
	err := checkName(name)
	switch {
	case err != nil:
	case strings.EqualFold(name, r.options.Leave):
		err = fmt.Errorf("%q is the word to leave by, not a name", name)
	case r.names[fold(name)] != nil:
		err = fmt.Errorf("the name %s is taken", name)
	}
	if err != nil {
		r.refuse(m, err.Error())
		return
	}
	r.join(m, name)
}

func (r *room) join(m *member, name string) {
	m.name, m.heard = name, time.Now()
	r.callers = without(r.callers, m)
	socket := m.peer.socket()
	event.Emit(socket.Context(), r.log, event.ChatJoin{Side: event.SideServer, Name: name, Remote: socket.Remote()})
	joined := line{kind: lineJoin, name: name}
	here := [][]byte{joined.encode()}
	for i, o := range r.members {
		if i == maxHere {
			here = append(here, line{kind: lineRemark, text: fmt.Sprintf("and %d more are here", len(r.members)-i)}.encode())
			break
		}
		here = append(here, line{kind: lineRemark, text: o.name + " is here"}.encode())
	}
	if n := len(r.history); n > 0 {
		text := fmt.Sprintf("the last %d of %d messages so far:", n, r.said)
		here = append(append(here, line{kind: lineRemark, text: text}.encode()), r.history...)
	}
	if !r.options.Quiet {
		r.broadcast(joined)
	}
	r.members = append(r.members, m)
	r.names[fold(name)] = m
	r.push(m, here)
	if beat := time.Duration(r.options.Heartbeat); beat > 0 {
		r.wake(m.heard.Add(beat))
	}
}

// say tells everybody but the member itself what it said.
func (r *room) say(m *member, text string) {
	event.Emit(m.peer.socket().Context(), r.log, event.ChatMessage{Side: event.SideServer, Name: m.name, Text: text})
	said := r.broadcast(line{kind: lineMessage, name: m.name, text: text}, m)
	r.said++
	if r.options.History == 0 {
		return
	}
	if len(r.history) == r.options.History {
		r.history = append(r.history[:0], r.history[1:]...)
	}
	r.history = append(r.history, said...)
}

func (r *room) refuse(m *member, why string) {
	r.log.Info("refused", "role", Name, "remote", m.peer.socket().Remote(), "name", m.name, "why", why)
	r.tell(m, line{kind: lineRefusal, text: why})
}

// broadcast tells all members but some, in the order in which they joined, and returns what it told them.
func (r *room) broadcast(l line, but ...*member) [][]byte {
	text := [][]byte{l.encode()}
	for _, m := range r.members {
		if !slices.Contains(but, m) {
			r.push(m, text)
		}
	}
	return text
}

// tell hands one member a line to send.
func (r *room) tell(m *member, l line) { r.push(m, [][]byte{l.encode()}) }

// push hands a member lines to send, which are an entry of its queue. One whose queue is full, since it does not read, is
// to be removed: the others do not wait for it.
func (r *room) push(m *member, lines [][]byte) {
	if m.gone || m.slow {
		return
	}
	for range yields {
		select {
		case m.out <- lines:
			return
		default:
			runtime.Gosched()
		}
	}
	m.slow = true
	r.slow = append(r.slow, m)
}

// drop removes a member that does not read. What waits for it is given up, in favour of a word of what came of it, which
// it sees where it begins to read again soon.
func (r *room) drop(m *member) {
	if m.gone {
		return
	}
	for range cap(m.out) {
		select {
		case <-m.out:
		default:
		}
	}
	word := line{kind: lineRefusal, text: fmt.Sprintf("too slow: more than %d lines wait for you", cap(m.out))}
	m.out <- [][]byte{word.encode()} // none but the room fills the queue
	r.remove(m, endSlow)
}

// remove takes a member out of the room and tells the others; an empty reason is a leave that was asked for.
func (r *room) remove(m *member, reason string) {
	if m.gone {
		return
	}
	m.gone, m.end = true, cmp.Or(reason, endLeft)
	socket := m.peer.socket()
	// Fails on a connection that has ended, where nothing is to be written any more.
	_ = socket.SetWriteDeadline(time.Now().Add(flushTimeout))
	if m.name == "" {
		r.callers = without(r.callers, m)
		close(m.out)
		return
	}
	r.members = without(r.members, m)
	delete(r.names, fold(m.name))
	event.Emit(socket.Context(), r.log, event.ChatLeave{Side: event.SideServer, Name: m.name, Reason: reason})
	close(m.out) // by which its writer closes the connection, and tells of that after the leave
	if !r.options.Quiet {
		r.broadcast(line{kind: lineLeave, name: m.name, text: reason})
	}
}

// wake has the room look at its members' silence at a time, or before.
func (r *room) wake(at time.Time) {
	if r.due.IsZero() || at.Before(r.due) {
		r.due = at
		r.alarm.Reset(time.Until(at))
	}
}

// look removes those who gave no name in time, asks members that have been silent whether they are there, and removes those
// who did not answer.
func (r *room) look(now time.Time) {
	r.due = time.Time{}
	for _, m := range slices.Clone(r.callers) {
		if at := m.heard.Add(nameTimeout); at.After(now) {
			r.wake(at)
			continue
		}
		r.refuse(m, endNoName)
		r.remove(m, endNoName)
	}
	beat := time.Duration(r.options.Heartbeat)
	if beat == 0 {
		return
	}
	for _, m := range slices.Clone(r.members) {
		silent := now.Sub(m.heard)
		switch {
		case silent >= 2*beat:
			r.remove(m, fmt.Sprintf("%s for %s", endSilent, 2*beat))
			continue
		case silent >= beat && !m.asked:
			m.asked = true
			r.push(m, nil)
		}
		next := m.heard.Add(beat)
		if m.asked {
			next = next.Add(beat)
		}
		// Many members would have the room look all the time; a little later will do.
		r.wake(later(next, now.Add(beat/100)))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func without(all []*member, one *member) []*member {
	return slices.DeleteFunc(all, func(m *member) bool { return m == one })
}

// fold is the same for names that strings.EqualFold takes for equal.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// connectionClosed is how a connection ended that ended without an error.
const connectionClosed = "connection closed"

// lossOf says how a connection ended that was not left by the leave word. The end of a member's stream is taken for its
// leaving: one that sends no more (a half-close) and one that is gone look alike to the room until it is told something.
func lossOf(err error) string {
	if end, ok := errors.AsType[*ws.Ended](err); ok {
		return lossOfWebSocket(end)
	}
	if name := errno.Name(err); name != "" {
		return "connection lost (" + name + ")"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return connectionClosed
	}
	return "connection lost"
}
