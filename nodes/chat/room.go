package chat

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"scenario/event"
	"scenario/host/errno"
	"scenario/nodes/client/sock"
)

// maxBehind is how many lines a member may be behind before the room goes on without it.
const maxBehind = 64

// flushTimeout bounds how long a member that left may take to read what it was still told.
const flushTimeout = 5 * time.Second

// member is a connection to the room. conn and out are shared with its reader and writer, the rest
// belongs to the room's goroutine.
type member struct {
	conn *sock.Conn
	out  chan string // lines to send; closed by the room when the member is gone
	end  string      // why the connection is to be closed; set before out is closed
	name string      // empty: not in the room yet
	gone bool
}

// input is what a member's connection brought: a line, or an error in its place.
type input struct {
	from *member
	line string
	err  error // a badLine: the member goes on; any other: the connection has ended
}

// room is the state of a chat. One goroutine owns it: it takes inputs one by one and never waits for a member.
type room struct {
	log     *slog.Logger
	members []*member // with a name, in the order in which they joined
}

// run serves inputs until ctx ends.
func (r *room) run(ctx context.Context, inputs <-chan input) {
	for {
		select {
		case in := <-inputs:
			r.take(in)
		case <-ctx.Done():
			return
		}
	}
}

func (r *room) take(in input) {
	m := in.from
	var bad badLine
	switch {
	case m.gone:
	case errors.As(in.err, &bad):
		r.refuse(m, bad.Error())
	case errors.Is(in.err, os.ErrDeadlineExceeded):
		const why = "no name came in time"
		r.refuse(m, why)
		r.remove(m, why)
	case in.err != nil:
		r.remove(m, lossOf(in.err))
	case in.line == leaveWord:
		r.tell(m, line{kind: lineRemark, text: "goodbye"}.String())
		r.remove(m, "")
	case m.name == "":
		r.join(m, in.line)
	case in.line != "":
		event.Emit(m.conn.Context(), r.log, event.ChatMessage{Side: event.SideServer, Name: m.name, Text: in.line})
		r.broadcast(line{kind: lineMessage, name: m.name, text: in.line}, m)
	}
}

// join gives the member its name, or says why it cannot have it.
func (r *room) join(m *member, name string) {
	if err := checkName(name); err != nil {
		r.refuse(m, err.Error())
		return
	}
	if slices.ContainsFunc(r.members, func(o *member) bool { return strings.EqualFold(o.name, name) }) {
		r.refuse(m, "the name "+name+" is taken")
		return
	}
	// The time for the name is over; a member may be silent as long as it likes. On a connection that has ended this
	// fails, and its end is the next input.
	_ = m.conn.SetReadDeadline(time.Time{})
	m.name = name
	event.Emit(m.conn.Context(), r.log, event.ChatJoin{Side: event.SideServer, Name: name, Remote: m.conn.Remote()})
	here := []string{line{kind: lineJoin, name: name}.String()}
	for _, o := range r.members {
		here = append(here, line{kind: lineRemark, text: o.name + " is here"}.String())
	}
	r.members = append(r.members, m)
	r.broadcast(line{kind: lineJoin, name: name}, m)
	r.tell(m, strings.Join(here, "\n"))
}

func (r *room) refuse(m *member, why string) {
	r.log.Info("refused", "role", Name, "remote", m.conn.Remote(), "name", m.name, "why", why)
	r.tell(m, line{kind: lineRefusal, text: why}.String())
}

// broadcast tells everybody but one.
func (r *room) broadcast(l line, but *member) {
	for _, m := range slices.Clone(r.members) {
		if m != but {
			r.tell(m, l.String())
		}
	}
}

// tell hands a member lines to send. One that is too far behind is removed: the others do not wait for it.
func (r *room) tell(m *member, text string) {
	if m.gone {
		return
	}
	select {
	case m.out <- text:
	default:
		const why = "too slow"
		r.remove(m, why)
		// It does not read: what it has not read yet is given up with the connection.
		_ = m.conn.CloseFor(why)
	}
}

// remove takes a member out of the room and tells the others; an empty reason is a leave that was asked for.
func (r *room) remove(m *member, reason string) {
	if m.gone {
		return
	}
	m.gone, m.end = true, cmp.Or(reason, "left")
	// Fails on a connection that has ended, where nothing is to be written any more.
	_ = m.conn.SetWriteDeadline(time.Now().Add(flushTimeout))
	close(m.out)
	if m.name == "" {
		return
	}
	r.members = slices.DeleteFunc(r.members, func(o *member) bool { return o == m })
	event.Emit(m.conn.Context(), r.log, event.ChatLeave{Side: event.SideServer, Name: m.name, Reason: reason})
	r.broadcast(line{kind: lineLeave, name: m.name, text: reason}, m)
}

// lossOf says how a connection ended that was not left by the leave word.
func lossOf(err error) string {
	if name := errno.Name(err); name != "" {
		return "connection lost (" + name + ")"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return "connection closed"
	}
	return "connection lost"
}
