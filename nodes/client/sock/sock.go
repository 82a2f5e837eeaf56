// Package sock has the sockets that roles use: they tell what happens to them as events.
//
// [Sockets] makes them on a host: listening sockets, connections and datagram sockets of tcp, udp and unix. [Dialer]
// connects as ordinary programs do: it looks the name up and tries the addresses one after another. Every connection that
// a [Listener] accepts has a trace of its own. What a socket always tells is its life: listen, accept, connect, error,
// close. What [Telling] asks for is told too: the calls create, bind, send, recv and shutdown, with or without the data.
package sock

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"strings"
	"unicode/utf8"

	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
)

// Which end closed a connection, as events say it.
const (
	byLocal  = "local"
	byRemote = "remote"
)

// Telling is what sockets tell beyond their life.
type Telling struct {
	Calls bool // each call: socket.create, socket.bind, socket.send, socket.recv, socket.shutdown
	Data  int  // bytes of each send and recv that its event shows, where calls are told
}

// Sockets makes the sockets of a role. Networks are tcp, tcp4, tcp6, udp, udp4, udp6, unix and unixgram, as far as the host
// has them; addresses are as host.Host takes them: a literal "IP:port", ":port" to listen, or a path.
type Sockets struct {
	Host host.Host
	Role string // part of the name of each accepted connection's trace, since other roles of the node count theirs too
	Telling
}

// socket is what all kinds of sockets have in common.
type socket struct {
	ctx           context.Context // carries the trace of the events; never canceled
	log           *slog.Logger
	telling       Telling
	network       string // tcp, udp, unix, unixgram
	kind          string
	number        int
	local, remote string // "IP:port" or a path; empty where there is none
}

// create makes a socket that has no address yet, and tells of it.
func (s Sockets) create(ctx context.Context, network, kind string) socket {
	made := socket{
		ctx: context.WithoutCancel(ctx), log: s.Host.Log(), telling: s.Telling,
		network: plain(network), kind: kind, number: host.NextSocket(s.Host),
	}
	if s.Calls {
		made.emit(event.SocketCreate{Network: made.network, Socket: kind, Number: made.number})
	}
	return made
}

func (s *socket) emit(e event.Event) { event.Emit(s.ctx, s.log, e) }

// bound tells of the socket's own address, where that is told.
func (s *socket) bound(local net.Addr) {
	s.local = text(local)
	if s.telling.Calls {
		s.emit(event.SocketBind{Network: s.network, Local: s.local, Socket: s.kind, Number: s.number})
	}
}

// fail tells of a call that failed.
func (s *socket) fail(op string, err error, took float64) {
	s.emit(event.SocketError{
		Network: s.network, Op: op, Local: s.local, Remote: s.remote, Socket: s.kind, Number: s.number,
		Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err), Duration: took,
	})
}

// sent tells of a send, offset bytes into the stream.
func (s *socket) sent(remote string, p []byte, offset int64) {
	if !s.telling.Calls {
		return
	}
	e := event.SocketSend{
		Network: s.network, Local: s.local, Remote: remote, Socket: s.kind, Number: s.number, Bytes: len(p), Offset: offset,
	}
	e.Data, e.DataBase64, e.Truncated = s.telling.show(p)
	s.emit(e)
}

// received tells of a receive, offset bytes into the stream; end says that the stream ended there.
func (s *socket) received(remote string, p []byte, offset int64, end bool) {
	if !s.telling.Calls {
		return
	}
	e := event.SocketRecv{
		Network: s.network, Local: s.local, Remote: remote, Socket: s.kind, Number: s.number,
		Bytes: len(p), Offset: offset, End: end,
	}
	e.Data, e.DataBase64, e.Truncated = s.telling.show(p)
	s.emit(e)
}

// show is what an event shows of data: its beginning as text, or in base64 where it is none, and how much it leaves out.
// The pieces of a stream may begin and end within a character: then they are no text.
func (t Telling) show(p []byte) (data, base string, truncated int64) {
	if t.Data <= 0 || len(p) == 0 {
		return "", "", 0
	}
	part := p[:min(len(p), t.Data)]
	if len(part) < len(p) && utf8.Valid(p) {
		for len(part) > 0 && !utf8.RuneStart(p[len(part)]) { // a cut made here ends between characters
			part = part[:len(part)-1]
		}
	}
	truncated = int64(len(p) - len(part))
	if utf8.Valid(part) {
		return string(part), "", truncated
	}
	return "", base64.StdEncoding.EncodeToString(part), truncated
}

// plain is a network as events name it, without the version of IP.
func plain(network string) string { return strings.TrimRight(network, "46") }

// text is an address as events write it: empty for the end of a Unix-domain socket that has no path.
func text(a net.Addr) string {
	if a == nil || a.String() == "@" {
		return ""
	}
	return a.String()
}
