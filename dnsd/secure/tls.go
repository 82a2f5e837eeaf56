package secure

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/miekg/dns"

	"scenario/dnsd/counted"
	"scenario/dnsd/wire"
)

// maxStrays bounds the messages of a connection that answer no question: the server is out of its mind.
const maxStrays = 32

// errNoMessage is the error of a server that sends what is no DNS message.
var errNoMessage = errors.New("the resolver sent what is no DNS message")

// stream is a connection on which questions and answers follow each other, answers in any order (RFC 7766, section 6.2.1.1).
type stream struct {
	conn    net.Conn
	writing chan struct{} // has a place for who writes
	ended   chan struct{}

	mu      sync.Mutex
	waiting map[uint16]*asker
	err     error // why it ended
}

// asker waits for the response to its query.
type asker struct {
	query    *dns.Msg
	response chan answer // has a place: nobody waits to hand it over
}

type answer struct {
	message *dns.Msg
	size    int
}

var _ session = (*stream)(nil)

// newStream begins to read; that ends with close, or with the connection.
func newStream(conn net.Conn, meter *counted.Conn, running *sync.WaitGroup) *stream {
	s := &stream{conn: conn, writing: make(chan struct{}, 1), ended: make(chan struct{}), waiting: make(map[uint16]*asker)}
	running.Go(func() {
		err := s.read()
		if errors.Is(err, ErrEnded) {
			meter.Ended()
		} else {
			meter.Because(err.Error())
		}
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		close(s.ended)
		conn.Close()
	})
	return s
}

func (s *stream) close() {
	s.conn.Close()
	<-s.ended
}

func (s *stream) usable() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

func (s *stream) exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, int, error) {
	a := &asker{query: query, response: make(chan answer, 1)}
	s.enter(a)
	defer s.leave(a)
	packed, err := query.Pack()
	if err != nil {
		return nil, 0, fmt.Errorf("pack the query: %w", err)
	}
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-s.ended:
		return nil, 0, s.why()
	}
	// Who does not read what we send is left: half a message cannot be followed by another.
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	_, err = s.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
	stop()
	<-s.writing
	if err != nil {
		s.conn.Close()
		return nil, 0, errors.Join(ErrEnded, err)
	}
	select {
	case got := <-a.response:
		return got.message, got.size, nil
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-s.ended:
		return nil, 0, s.why()
	}
}

// enter has an asker wait, under an id that nobody else waits with.
func (s *stream) enter(a *asker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiting[a.query.Id] != nil {
		a.query.Id++
	}
	s.waiting[a.query.Id] = a
}

func (s *stream) leave(a *asker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, a.query.Id)
}

func (s *stream) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// read hands responses to those who wait for them, until the connection ends; the error says how.
func (s *stream) read() error {
	strays := 0
	for {
		var length [2]byte
		if _, err := io.ReadFull(s.conn, length[:]); err != nil {
			return ended(err)
		}
		packed := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(s.conn, packed); err != nil {
			return ended(err)
		}
		response := new(dns.Msg)
		if err := response.Unpack(packed); err != nil {
			return fmt.Errorf("%w: %w", errNoMessage, err)
		}
		if !s.hand(response, len(packed)) {
			if strays++; strays > maxStrays {
				return fmt.Errorf("the resolver sent %d answers to questions that nobody asked", strays)
			}
		}
	}
}

// ended is the error of a connection that ended with err.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return ErrEnded
	}
	return fmt.Errorf("%w: %w", ErrEnded, err)
}

// hand gives a response to who waits for it; false: nobody does.
func (s *stream) hand(response *dns.Msg, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.waiting[response.Id]
	if a == nil || !wire.Answers(a.query, response) {
		return false
	}
	delete(s.waiting, response.Id)
	a.response <- answer{response, size}
	return true
}
