package report

import (
	"context"
	"strings"
	"testing"

	"scenario/event"
	"scenario/topology"
)

// both emits the events of two ends of a talk.
type both struct {
	*script
	here, there                      string // nodes
	ctx, serve                       context.Context
	local, remote, at, seen, network string
	mine, theirs                     int // numbers of the sockets
	sent, got                        int64
}

// open makes a connection; seen is what the server sees of the client's address.
func (s *script) open(ctx context.Context, here, there string, mine, theirs int, accepted bool) *both {
	s.port += 2
	b := &both{
		script: s, here: here, there: there, ctx: ctx, serve: s.server("conn/echo"), network: "tcp",
		local: s.address(here, s.port), remote: s.address(there, 10000), mine: mine, theirs: theirs,
	}
	b.at, b.seen = b.remote, s.seen(here, b.local)
	s.emit(ctx, here, event.SocketCreate{Network: "tcp", Socket: event.SocketConnection, Number: mine})
	s.after(1.2)
	if accepted {
		b.accept()
	}
	s.after(0.1)
	s.emit(ctx, here, event.SocketConnect{
		Network: "tcp", Local: b.local, Remote: b.remote, Socket: event.SocketConnection, Number: mine, Duration: 0.0012,
		ISN: 1000, PeerISN: 2000, MSS: 1448, WindowScale: 7, PeerWindowScale: 9, SACK: true, Timestamps: true,
	})
	return b
}

func (b *both) accept() {
	b.emit(b.serve, b.there, event.SocketAccept{
		Network: b.network, Local: b.at, Remote: b.seen, Socket: event.SocketConnection, Number: b.theirs, Listening: 1,
	})
}

func (b *both) send(text string) {
	b.emit(b.ctx, b.here, event.SocketSend{
		Network: b.network, Local: b.local, Remote: b.remote, Socket: event.SocketConnection, Number: b.mine,
		Bytes: len(text), Offset: b.sent, Data: text,
	})
	b.sent += int64(len(text))
}

func (b *both) reply(n int) {
	b.emit(b.serve, b.there, event.SocketSend{
		Network: b.network, Local: b.at, Remote: b.seen, Socket: event.SocketConnection, Number: b.theirs, Bytes: n,
	})
}

func (b *both) recv(text string, end bool) {
	b.emit(b.serve, b.there, event.SocketRecv{
		Network: b.network, Local: b.at, Remote: b.seen, Socket: event.SocketConnection, Number: b.theirs,
		Bytes: len(text), Offset: b.got, Data: text, End: end,
	})
	b.got += int64(len(text))
}

func (b *both) closes(server bool, by, reason string) {
	end := event.SocketClose{
		Network: b.network, Local: b.local, Remote: b.remote, Socket: event.SocketConnection, Number: b.mine, By: by, Reason: reason,
	}
	ctx, node := b.ctx, b.here
	if server {
		end.Local, end.Remote, end.Number = b.at, b.seen, b.theirs
		ctx, node = b.serve, b.there
	}
	b.emit(ctx, node, end)
}

// sockets are talks of all kinds: through NAT, in pieces, told out of order, half closed, reset, refused; datagrams; a path.
func sockets(t *testing.T) *script {
	s := web(t, "sockets", "")
	step := func(id, node, action, target string, do func(ctx context.Context)) {
		s.step(topology.Step{ID: id, Node: node, Role: "client", Action: action, Target: target}, func(ctx context.Context) string {
			do(ctx)
			return ""
		})
	}
	var a, b *both
	step("open", "laptop", "open", "shop:10000", func(ctx context.Context) { a = s.open(ctx, "laptop", "shop", 1, 2, true) })
	step("pieces", "laptop", "send", "a long message", func(context.Context) {
		s.after(0.2)
		a.recv("a message that i", false) // told before it was sent
		a.send("a message that is longer than sixteen bytes\n")
		s.after(0.1)
		a.recv("s longer than si", false)
		a.reply(16)
		a.recv("xteen bytes\n", false)
	})
	step("two-in-one", "laptop", "send", "one two", func(context.Context) {
		a.send("one")
		a.send("two\x00")
		s.after(0.2)
		a.recv("onetwo\x00", false)
	})
	step("half-close", "laptop", "shutdown", "", func(context.Context) {
		s.emit(a.ctx, "laptop", event.SocketShutdown{Network: "tcp", Local: a.local, Remote: a.remote, Socket: event.SocketConnection, Number: 1, How: "write"})
		s.after(0.3)
		a.recv("", true)
		a.closes(true, "remote", "")
		s.after(0.3)
		s.emit(a.ctx, "laptop", event.SocketRecv{Network: "tcp", Local: a.local, Remote: a.remote, Socket: event.SocketConnection, Number: 1, Bytes: 16, Data: "a message that i"})
		a.closes(false, "local", "")
	})
	step("backlog", "laptop", "open", "shop:10000", func(ctx context.Context) {
		b = s.open(ctx, "laptop", "shop", 2, 3, false)
		b.send("is anybody there?")
	})
	step("reset", "shop", "accept", "", func(context.Context) {
		b.accept()
		b.recv("is anybody there?", false)
		b.closes(true, "local", "enough")
		s.emit(b.ctx, "laptop", event.SocketError{
			Network: "tcp", Op: "read", Local: b.local, Remote: b.remote, Socket: event.SocketConnection, Number: 2,
			Errno: "ECONNRESET", Error: "read: connection reset by peer", Meaning: "the other end broke the connection off instead of closing it",
		})
		b.closes(false, "remote", "ECONNRESET")
	})
	number := 3
	for _, errno := range []string{"ECONNREFUSED", "EHOSTUNREACH", "ETIMEDOUT", "ENETUNREACH"} {
		step(strings.ToLower(errno), "laptop", "open", "shop:1", func(ctx context.Context) {
			number++
			s.emit(ctx, "laptop", event.SocketCreate{Network: "tcp", Socket: event.SocketConnection, Number: number})
			s.after(3)
			s.emit(ctx, "laptop", event.SocketError{
				Network: "tcp", Op: "connect", Remote: s.address("shop", 1), Socket: event.SocketConnection, Number: number,
				Errno: errno, Error: "dial", Meaning: "what " + errno + " means", Duration: 0.003,
			})
		})
	}
	step("datagrams", "laptop", "send", "udp", func(ctx context.Context) { datagrams(s, ctx) })
	step("path", "shop", "open", "/run/echo.sock", func(ctx context.Context) {
		u := &both{script: s, here: "shop", there: "shop", ctx: ctx, serve: s.server("conn/echo"), network: "unix", remote: "/run/echo.sock", at: "/run/echo.sock", mine: 20, theirs: 21}
		s.emit(ctx, "shop", event.SocketConnect{Network: "unix", Remote: u.remote, Socket: event.SocketConnection, Number: 20})
		u.accept()
		u.send("by path")
		u.recv("by path", false)
		u.closes(false, "local", "")
		u.recv("", true)
		u.closes(true, "remote", "")
	})
	step("stranger", "shop", "wait", "", func(context.Context) { stranger(s) })
	return s
}

func datagrams(s *script, ctx context.Context) {
	local, remote := s.address("laptop", 50123), s.address("shop", 10000)
	s.emit(ctx, "shop", event.SocketCreate{Network: "udp", Socket: event.SocketDatagram, Number: 9})
	s.emit(ctx, "shop", event.SocketBind{Network: "udp", Local: "0.0.0.0:10000", Socket: event.SocketDatagram, Number: 9})
	s.emit(ctx, "laptop", event.SocketConnect{Network: "udp", Local: local, Remote: remote, Socket: event.SocketDatagram, Number: 8})
	s.emit(ctx, "shop", event.SocketRecv{Network: "udp", Local: "0.0.0.0:10000", Remote: s.seen("laptop", local), Socket: event.SocketDatagram, Number: 9, Bytes: 3, Data: "one"})
	s.after(0.1)
	s.emit(ctx, "laptop", event.SocketSend{Network: "udp", Local: local, Remote: remote, Socket: event.SocketDatagram, Number: 8, Bytes: 3, Data: "one"})
	s.after(5)
	s.emit(ctx, "laptop", event.SocketError{
		Network: "udp", Op: "read", Local: local, Remote: remote, Socket: event.SocketDatagram, Number: 8,
		Errno: "ECONNREFUSED", Error: "read: connection refused", Meaning: "nothing listens on this port",
	})
	s.emit(ctx, "laptop", event.SocketClose{Network: "udp", Local: local, Remote: remote, Socket: event.SocketDatagram, Number: 8, By: "local"})
}

// stranger is a program that tells nothing, and says much.
func stranger(s *script) {
	from := "198.18.1.99:5000"
	at := s.address("shop", 10000)
	serve := s.server("conn/echo")
	s.emit(serve, "shop", event.SocketAccept{Network: "tcp", Local: at, Remote: from, Socket: event.SocketConnection, Number: 30, Listening: 1})
	for i := range 80 {
		s.after(0.1)
		s.emit(serve, "shop", event.SocketRecv{Network: "tcp", Local: at, Remote: from, Socket: event.SocketConnection, Number: 30, Bytes: 1000, Offset: int64(1000 * i), DataBase64: "AP8="})
	}
	s.emit(serve, "shop", event.SocketClose{Network: "tcp", Local: at, Remote: from, Socket: event.SocketConnection, Number: 30, By: "local", Received: 80000})
}

// What is received is drawn after it was sent, whoever told of it first, and nothing is lost or told twice.
func TestCallsAreOrdered(t *testing.T) {
	s := sockets(t)
	rec := s.recording()
	r := newRun(rec)
	var drawn int
	for _, parts := range r.talks {
		for _, p := range parts {
			drawn += len(p.calls)
		}
	}
	want := 0
	for _, record := range rec.Records {
		if e, of := readCall(record); e != nil && of.kind != event.SocketListening {
			want++
		}
	}
	if drawn != want {
		t.Errorf("%d of %d calls are drawn", drawn, want)
	}
	for _, talk := range talks(r.who, r.sides, r.records) {
		sent := map[*talker]int64{}
		for _, c := range talk.calls {
			switch e := c.is.(type) {
			case event.SocketSend:
				sent[c.by] += int64(e.Bytes)
			case event.SocketRecv:
				other := talk.left
				if c.by == talk.left {
					other = talk.right
				}
				if other != nil && other.tells && !c.by.datagrams && sent[other] < e.Offset+int64(e.Bytes) {
					t.Errorf("%v is received before it was sent", e)
				}
			}
		}
	}
}
