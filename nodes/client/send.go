package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// Bounds of what a step sends, in bytes.
const (
	maxSend     = 1 << 30
	maxDatagram = 1 << 20 // more than any network takes, so that its answer is seen
	sendCall    = 64 << 10
)

// SendArgs are the arguments of the action send.
type SendArgs struct {
	Socket  string        `json:"socket,omitempty" jsonschema_description:"the socket to send through" jsonschema:"default=main"`
	Text    string        `json:"text,omitempty" jsonschema_description:"what is sent; no line end is added"`
	Base64  string        `json:"base64,omitempty" jsonschema_description:"what is sent, where it is no text"`
	Size    int64         `json:"size,omitempty" jsonschema_description:"send so many bytes of numbered lines, 16 bytes each" jsonschema:"minimum=0,maximum=1073741824"`
	Piece   int           `json:"piece,omitempty" jsonschema_description:"bytes of one send; 0: all at once, of a stream 64 KiB at most" jsonschema:"minimum=0,maximum=1048576"`
	Pause   role.Duration `json:"pause,omitempty" jsonschema_description:"wait so long between sends"`
	To      string        `json:"to,omitempty" jsonschema_description:"host:port or path, of a socket that was bound and has no one other end"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=10s"`
}

// SendResult is what came of the action send.
type SendResult struct {
	Socket   string  `json:"socket"`
	Sent     int64   `json:"sent" jsonschema_description:"bytes that the system took; it may still hold some of them"`
	Calls    int     `json:"calls" jsonschema_description:"in how many sends"`
	Complete bool    `json:"complete" jsonschema_description:"the system took everything"`
	SHA256   string  `json:"sha256" jsonschema_description:"of what was sent"`
	Local    string  `json:"local"`
	Remote   string  `json:"remote"`
	Duration float64 `json:"duration_s"`
	sock.Outcome
}

func defaultSend() SendArgs {
	return SendArgs{Socket: mainSocket, Timeout: role.Duration(10 * time.Second)}
}

func (c *client) send(ctx context.Context, h host.Host, args SendArgs) (any, error) {
	s, err := c.sockets.get(args.Socket)
	if err != nil {
		return nil, err
	}
	data, size, err := args.data(s)
	if err != nil {
		return nil, err
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	result := SendResult{Socket: args.Socket}
	result.Local, result.Remote = s.addresses()
	start := time.Now()
	var to net.Addr
	if s.packets != nil {
		to, err = c.destination(limited, h, s.network, args.To)
		var unknown *sock.Error
		if errors.As(err, &unknown) && ctx.Err() == nil {
			result.Outcome = sock.OutcomeOf(unknown.Phase, err)
			return result, nil
		}
		if err != nil {
			return nil, err
		}
		result.Remote = to.String()
	}
	out := &sending{socket: s, host: h, to: to, piece: args.piece(s, size), pause: time.Duration(args.Pause), sum: sha256.New()}
	err = out.all(limited, data)
	result.Sent, result.Calls, result.Complete = out.sent, out.calls, err == nil
	result.SHA256, result.Duration = hex.EncodeToString(out.sum.Sum(nil)), time.Since(start).Seconds()
	result.Outcome = sock.OutcomeOf(phaseSend, err)
	if isLate(err) {
		result.Meaning = "the other end does not take what is sent: its receive buffer is full, and so is this end's send buffer"
	}
	return result, ctx.Err()
}

// isLate says that a call was given up since it took too long.
func isLate(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// data is what the step says to send, and how many bytes it has.
func (a SendArgs) data(s *socket) (io.Reader, int64, error) {
	given := 0
	for _, is := range []bool{a.Text != "", a.Base64 != "", a.Size != 0} {
		if is {
			given++
		}
	}
	var err error
	switch {
	case s.listener != nil:
		err = fmt.Errorf("socket %q listens: what it accepts can be sent through", s.name)
	case given > 1:
		err = errors.New("text, base64 and size: give one")
	case given == 0 && !s.datagrams():
		err = errors.New("text, base64 or size: nothing is given to send")
	case (a.To == "") != (s.packets == nil):
		err = errors.New("to: a socket that was bound needs it, and no other takes it")
	case a.Size < 0 || a.Size > maxSend || s.datagrams() && a.Size > maxDatagram:
		err = fmt.Errorf("size: %d bytes are too few or too many", a.Size)
	case a.Piece < 0 || a.Piece > maxDatagram:
		err = fmt.Errorf("piece: %d is not from 0 to %d", a.Piece, maxDatagram)
	}
	if err != nil {
		return nil, 0, err
	}
	if a.Size != 0 {
		return io.LimitReader(&numberedLines{}, a.Size), a.Size, nil
	}
	data := []byte(a.Text)
	if a.Base64 != "" {
		if data, err = base64.StdEncoding.DecodeString(a.Base64); err != nil {
			return nil, 0, fmt.Errorf("base64: %w", err)
		}
	}
	return bytes.NewReader(data), int64(len(data)), nil
}

// piece is how many bytes of size one call sends.
func (a SendArgs) piece(s *socket, size int64) int {
	switch {
	case a.Piece > 0:
		return a.Piece
	case s.datagrams():
		return int(size)
	}
	return int(min(size, sendCall))
}

// destination is the address that a datagram is sent to.
func (c *client) destination(ctx context.Context, h host.Host, network, to string) (net.Addr, error) {
	if network == "unixgram" {
		return &net.UnixAddr{Name: to, Net: network}, nil
	}
	target, err := sock.ParseTarget(to)
	if err != nil {
		return nil, err
	}
	addrs, err := c.dialer(h).Addrs(ctx, target.Name)
	if err != nil {
		return nil, err
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(addrs[0], target.Port)), nil
}

// sending is a send under way.
type sending struct {
	socket *socket
	host   host.Host
	to     net.Addr
	piece  int
	pause  time.Duration

	sent  int64
	calls int
	sum   hash.Hash
}

// all sends everything, in pieces. Nothing is one empty datagram.
func (s *sending) all(ctx context.Context, data io.Reader) error {
	if err := s.socket.out.enter(ctx); err != nil {
		return err
	}
	defer s.socket.out.leave()
	set := s.socket.setWriteDeadline()
	defer until(ctx, set)()
	buffer := make([]byte, s.piece)
	for {
		n, err := io.ReadFull(data, buffer)
		if n == 0 && s.calls > 0 {
			return nil
		}
		if s.calls > 0 {
			if err := pause(ctx, s.host, s.pause, s.socket.name+" send"); err != nil {
				return err
			}
		}
		written, failed := s.one(buffer[:n])
		s.calls++
		s.sent += int64(written)
		s.sum.Write(buffer[:written])
		if failed != nil {
			return failed
		}
		if err != nil { // nothing is left
			return nil
		}
	}
}

func (s *sending) one(p []byte) (int, error) {
	if s.to != nil {
		return s.socket.packets.WriteTo(p, s.to)
	}
	return s.socket.conn.Write(p)
}

func (s *socket) setWriteDeadline() func(time.Time) error {
	if s.packets != nil {
		return s.packets.SetWriteDeadline
	}
	return s.conn.SetWriteDeadline
}

// pause waits for d, and for its turn among those who wait as long.
func pause(ctx context.Context, h host.Host, d time.Duration, key string) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		host.Turn(h, "client "+key)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// numberedLines is an endless text whose lines, 16 bytes each, count up from 0: where something is missing, twice or out
// of order, it shows.
type numberedLines struct{ offset int64 }

const lineSize = 16

// Read implements [io.Reader].
func (l *numberedLines) Read(p []byte) (n int, err error) {
	for n < len(p) {
		line := fmt.Sprintf("%0*d\n", lineSize-1, l.offset/lineSize)
		copied := copy(p[n:], line[l.offset%lineSize:])
		n += copied
		l.offset += int64(copied)
	}
	return n, nil
}
