package chat

import (
	"errors"
	"io"

	"scenario/nodes/client/sock"
)

// peer carries one member's lines, whatever the transport: what sends lines in and takes lines out can be in a room.
// [room.admit] has it take part. receive is called by one goroutine, send and ask by another, close by any.
type peer interface {
	// receive returns the next line that came, without its end; an empty one is a sign of life and nothing else. After a
	// [badLine] it can be called again; any other error is the end of the connection.
	receive() (string, error)
	// send sends lines, each of which ends in "\n". They are shared with other members' and must not be changed. It
	// ends, at the latest, with the write deadline of the socket.
	send(lines [][]byte) error
	// ask asks for a sign of life, which receive then gets in any form.
	ask() error
	// close ends the connection for a reason, one of the room's or the word of an error. Only the first call counts.
	close(why string)
	// socket is what lies below. The room takes addresses and the trace from it, and sets its write deadline.
	socket() *sock.Conn
}

// Reasons for which a room ends a connection.
const (
	endLeft    = "left"
	endSlow    = "too slow"
	endSilent  = "silent"
	endNoName  = "no name came in time"
	endFull    = "the room is full"
	endStopped = "the server stops"
)

// maxSpare bounds the buffer that a stream keeps for its next lines, in bytes.
const maxSpare = 2048

// stream is a peer whose lines follow one another as bytes: over TCP, or whatever else is a connection.
type stream struct {
	conn  *sock.Conn
	lines *lineReader
	spare []byte
}

var _ peer = (*stream)(nil)

// newStream reads lines of max bytes at most.
func newStream(conn *sock.Conn, max int) *stream {
	return &stream{conn: conn, lines: newLineReader(conn, max)}
}

func (s *stream) receive() (string, error) {
	text, err := s.lines.next()
	if errors.Is(err, io.EOF) && s.conn.Ended() != nil {
		err = s.conn.Ended() // it may have ended when something was sent
	}
	return text, err
}

func (s *stream) send(lines [][]byte) error {
	text := lines[0]
	if len(lines) > 1 {
		text = s.spare[:0]
		for _, l := range lines {
			text = append(text, l...)
		}
		if cap(text) <= maxSpare {
			s.spare = text
		}
	}
	_, err := s.conn.Write(text)
	return err
}

func (s *stream) ask() error {
	_, err := s.conn.Write(line{kind: lineAsk, text: areYouThere}.encode())
	return err
}

func (s *stream) close(why string) { _ = s.conn.CloseFor(why) }

func (s *stream) socket() *sock.Conn { return s.conn }
