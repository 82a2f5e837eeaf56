package ws

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"scenario/event"
	"scenario/host/errno"
	"scenario/nodes/client/sock"
)

// Values of events.
const (
	sent     = "sent"
	received = "received"
	byLocal  = "local"
	byRemote = "remote"
)

// maxKept is how much of a request, and of a response, an event shows, in bytes.
const maxKept = 4096

// stream is a connection that tells what goes over it: HTTP at first, frames when it has been upgraded.
type stream struct {
	*sock.Conn
	log  *slog.Logger
	side string

	// in is for who reads and out for who writes, of whom there is one each at a time.
	in, out scanner
	ctx     context.Context // of the WebSocket's events; nil: not upgraded

	mu        sync.Mutex
	read      record
	written   record
	now       *exchange
	requests  int
	told      []event.WSFrame // frames that went by and are to be told of
	closing   *event.WSClose  // from the first close frame
	lost      error           // the first error of Read that the other end or the network caused
	whole     int             // messages that have come to their end
	over      bool            // closed
	endReason string          // why this end closes the connection, where it says so
}

// record is what went by in one direction while HTTP was spoken: the beginning, and how much there was.
type record struct {
	kept []byte
	size int64
}

func (r *record) write(p []byte) {
	r.size += int64(len(p))
	r.kept = append(r.kept, p[:min(len(p), maxKept-len(r.kept))]...)
}

// cut takes out what is kept, up to the end of a head, and leaves what follows.
func (r *record) cut() (head []byte) {
	at := bytes.Index(r.kept, []byte("\r\n\r\n"))
	if at < 0 {
		head = r.kept
		*r = record{}
		return head
	}
	head = r.kept[:at+4]
	rest := bytes.Clone(r.kept[at+4:])
	*r = record{kept: rest, size: r.size - int64(len(head))}
	return head
}

// exchange is a request that is being answered.
type exchange struct {
	ctx     context.Context // its events follow from the request
	request event.HTTPRequest
	start   time.Time
}

func newStream(conn *sock.Conn, log *slog.Logger, side string) *stream {
	s := &stream{Conn: conn, log: log, side: side}
	s.in.tell = func(f frame) { s.note(received, f) }
	s.out.tell = func(f frame) { s.note(sent, f) }
	return s
}

// Read implements [net.Conn].
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.ctx != nil {
		s.in.write(p[:n])
		s.tell()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.read.write(p[:n])
	}
	if err != nil && s.lost == nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
		s.lost = err
	}
	return n, err
}

// Write implements [net.Conn].
func (s *stream) Write(p []byte) (int, error) {
	if s.ctx == nil {
		n, err := s.Conn.Write(p)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.written.write(p[:n])
		return n, err
	}
	if s.out.mask != nil { // what is to be written is not this end's to change
		p = bytes.Clone(p)
	}
	s.out.write(p)
	n, err := s.Conn.Write(p)
	s.tell()
	return n, err
}

// Close implements [net.Conn] and tells how what went over the connection ended.
func (s *stream) Close() error {
	s.mu.Lock()
	first := !s.over
	s.over = true
	s.mu.Unlock()
	if !first {
		return nil
	}
	return s.Conn.CloseFor(s.end())
}

// closeFor is Close for a reason.
func (s *stream) closeFor(reason string) {
	s.mu.Lock()
	s.endReason = cmp.Or(s.endReason, reason)
	s.mu.Unlock()
	_ = s.Close() // whoever uses the connection finds it closed
}

// end tells of the last exchange, or of the end of the WebSocket, and returns the reason that the socket is closed for.
func (s *stream) end() string {
	s.mu.Lock()
	asked := s.now != nil || s.read.size > 0
	reason := s.endReason
	s.mu.Unlock()
	if s.ctx == nil {
		if asked && s.side == event.SideServer {
			s.requested(nil) // where net/http has refused what came by itself
			s.answered()
		}
		return reason
	}
	s.mu.Lock()
	end, lost := s.closing, s.lost
	s.mu.Unlock()
	if end == nil {
		end = &event.WSClose{By: byLocal, Code: int(Abnormal), Reason: reason}
		if lost != nil {
			end.By, end.Reason = byRemote, errno.Name(lost)
		}
	}
	end.Side, end.Local, end.Remote, end.Meaning = s.side, s.Local(), s.Remote(), Code(end.Code).Meaning()
	event.Emit(s.ctx, s.log, *end)
	return cmp.Or(reason, end.Reason)
}

// requested tells of the request that is being made or answered; nil: of what came and was none.
func (s *stream) requested(r *http.Request) {
	s.mu.Lock()
	if r == nil && s.now != nil {
		s.mu.Unlock()
		return
	}
	in := &s.read
	if s.side == event.SideClient {
		in = &s.written
	}
	left := in.size - int64(len(in.kept))
	head := in.cut()
	e := event.HTTPRequest{Side: s.side, Local: s.Local(), Remote: s.Remote(), Reused: s.requests > 0}
	s.requests++
	s.mu.Unlock()

	e.Raw, e.RawBase64, e.Truncated = shown(head, left)
	if r != nil {
		e.Method, e.Proto, e.Host, e.UserAgent = r.Method, r.Proto, r.Host, r.UserAgent()
		e.URL = "http://" + cmp.Or(r.Host, s.Local()) + r.URL.RequestURI()
		e.Cookie = strings.Join(r.Header.Values("Cookie"), "; ")
	}
	x := &exchange{ctx: event.Begin(s.Context(), s.log, e), request: e, start: time.Now()}
	s.mu.Lock()
	s.now = x
	s.mu.Unlock()
}

// answered tells of the response, all of which has gone by.
func (s *stream) answered() {
	s.mu.Lock()
	x := s.now
	s.now = nil
	out := &s.written
	if s.side == event.SideClient {
		out = &s.read
	}
	wire, size := out.kept, out.size
	s.mu.Unlock()
	if x == nil {
		return
	}
	e := event.HTTPResponse{
		Side: s.side, Local: s.Local(), Remote: s.Remote(), Method: x.request.Method, URL: x.request.URL,
		Duration: time.Since(x.start).Seconds(),
	}
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), nil)
	switch {
	case err != nil:
		e.Error = "the connection ended before the response was complete"
	case r.StatusCode == http.StatusSwitchingProtocols:
		wire = wire[:bytes.Index(wire, []byte("\r\n\r\n"))+4]
		size = int64(len(wire))
	}
	if err == nil {
		e.Status, e.ContentType, e.Location = r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Location")
		e.Size = size - int64(bytes.Index(wire, []byte("\r\n\r\n"))+4)
	}
	e.Raw, e.RawBase64, e.Truncated = shown(wire, size-int64(len(wire)))
	event.Emit(x.ctx, s.log, e)
	s.mu.Lock()
	if e.Status == http.StatusSwitchingProtocols {
		out.cut()
	} else {
		*out = record{}
	}
	s.mu.Unlock()
}

// shown is what an event shows of bytes, more of which went by.
func shown(wire []byte, more int64) (text, encoded string, left int64) {
	if utf8.Valid(wire) {
		return string(wire), "", more
	}
	return "", base64.StdEncoding.EncodeToString(wire), more
}

// upgraded says that what goes by are frames from now on. mask is that of a [scanner] for what is sent.
func (s *stream) upgraded(open event.WSOpen, mask func() [4]byte) {
	s.mu.Lock()
	above := s.Context()
	if s.now != nil {
		above = s.now.ctx
	}
	s.mu.Unlock()
	s.answered()
	open.Side, open.Local, open.Remote = s.side, s.Local(), s.Remote()
	s.out.mask = mask
	s.ctx = event.Begin(above, s.log, open)
	s.mu.Lock()
	early := s.read.kept
	s.read, s.written = record{}, record{}
	s.mu.Unlock()
	s.in.write(early)
	s.tell()
}

// note keeps what is to be told of a frame, and what its end follows from.
func (s *stream) note(direction string, f frame) {
	e := event.WSFrame{
		Side: s.side, Local: s.Local(), Remote: s.Remote(), Direction: direction,
		Opcode: f.opcode.String(), Bytes: int64(f.length), Fragment: !f.fin, Masked: f.masked, Reserved: f.reserved,
	}
	text := f.shown
	if f.opcode == opClose && len(text) >= 2 {
		e.Code = int(binary.BigEndian.Uint16(text))
		text = text[2:]
	}
	for cut := range utf8.UTFMax { // the bound may have cut the last character in two
		if part := text[:max(0, len(text)-cut)]; utf8.Valid(part) && (cut == 0 || f.length > maxShown) {
			e.Text = string(part)
			break
		}
	}
	if e.Text != "" && f.length > maxShown {
		e.Truncated = int64(f.length) - int64(len(e.Text))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, e)
	if direction == received && f.opcode < opClose && f.fin {
		s.whole++
	}
	if f.opcode == opClose && s.closing == nil {
		s.closing = &event.WSClose{By: byRemote, Code: cmp.Or(e.Code, int(NoCode)), Reason: e.Text}
		if direction == sent {
			s.closing.By = byLocal
		}
	}
}

// tell tells of frames that were noted.
func (s *stream) tell() {
	s.mu.Lock()
	told := s.told
	s.told = nil
	s.mu.Unlock()
	for _, e := range told {
		event.Emit(s.ctx, s.log, e)
	}
}

// closeSent is the close frame that this end sent before it received one.
func (s *stream) closeSent() (code Code, reason string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == nil || s.closing.By != byLocal {
		return 0, "", false
	}
	return Code(s.closing.Code), s.closing.Reason, true
}

// broken says whether the connection ended before so many messages had come whole.
func (s *stream) broken(messages int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole < messages
}

// upgradedBody is the body of a response that says that the connection was upgraded, as package websocket takes it.
type upgradedBody struct {
	io.Reader // what has been read ahead, then the stream
	*stream
}

func (b upgradedBody) Read(p []byte) (int, error) { return b.Reader.Read(p) }
