package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// phaseRecv is the phase of a receive, as outcomes name it.
const phaseRecv = "recv"

// Bounds of a recv.
const (
	maxReceiveBuffer = 1 << 20 // bytes
	maxShown         = 64 << 10
	maxPieces        = 1000 // in the result
)

// RecvArgs are the arguments of the action recv.
type RecvArgs struct {
	Socket  string        `json:"socket,omitempty" jsonschema_description:"the socket to receive from" jsonschema:"default=main"`
	Bytes   int64         `json:"bytes,omitempty" jsonschema_description:"receive until there are so many bytes" jsonschema:"minimum=0"`
	Until   string        `json:"until,omitempty" jsonschema_description:"receive until this text has come"`
	Line    bool          `json:"line,omitempty" jsonschema_description:"receive until the end of a line"`
	End     bool          `json:"end,omitempty" jsonschema_description:"receive until the other end sends no more"`
	Buffer  int           `json:"buffer,omitempty" jsonschema_description:"bytes of the receive buffer: the most that one recv returns" jsonschema:"minimum=1,maximum=1048576,default=65536"`
	Pause   role.Duration `json:"pause,omitempty" jsonschema_description:"wait so long before each recv: a slow reader"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=10s"`
}

// RecvResult is what came of the action recv.
type RecvResult struct {
	Socket   string  `json:"socket"`
	Size     int64   `json:"size" jsonschema_description:"bytes received"`
	Text     string  `json:"text" jsonschema_description:"the first 64 KiB of it; empty where it is no text"`
	Base64   string  `json:"base64,omitempty" jsonschema_description:"the same where it is no text"`
	SHA256   string  `json:"sha256" jsonschema_description:"of what was received"`
	Pieces   []int   `json:"pieces" jsonschema_description:"bytes that each recv returned, the first 1000 of them"`
	Calls    int     `json:"calls" jsonschema_description:"how many there were"`
	Complete bool    `json:"complete" jsonschema_description:"what was waited for has come"`
	End      bool    `json:"end" jsonschema_description:"the other end sends no more"`
	Local    string  `json:"local"`
	Remote   string  `json:"remote" jsonschema_description:"who sent it"`
	Duration float64 `json:"duration_s"`
	sock.Outcome
}

func defaultRecv() RecvArgs {
	return RecvArgs{Socket: mainSocket, Buffer: 64 << 10, Timeout: role.Duration(10 * time.Second)}
}

// goal checks the arguments and returns the text to wait for; empty where it is none.
func (a RecvArgs) goal(s *socket) (until string, err error) {
	given := 0
	for _, is := range []bool{a.Bytes != 0, a.Until != "", a.Line, a.End} {
		if is {
			given++
		}
	}
	switch {
	case s.listener != nil:
		return "", fmt.Errorf("socket %q listens: what it accepts can be received from", s.name)
	case given > 1:
		return "", errors.New("bytes, until, line and end: give one")
	case given > 0 && s.datagrams():
		return "", errors.New("bytes, until, line and end are for streams: one recv is one datagram")
	case a.Bytes < 0:
		return "", fmt.Errorf("bytes: %d is negative", a.Bytes)
	case a.Buffer < 1 || a.Buffer > maxReceiveBuffer:
		return "", fmt.Errorf("buffer: %d is not from 1 to %d", a.Buffer, maxReceiveBuffer)
	case a.Line:
		return "\n", nil
	}
	return a.Until, nil
}

func (c *client) recv(ctx context.Context, h host.Host, args RecvArgs) (any, error) {
	s, err := c.sockets.get(args.Socket)
	if err != nil {
		return nil, err
	}
	goal, err := args.goal(s)
	if err != nil {
		return nil, err
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	result := RecvResult{Socket: args.Socket, Pieces: []int{}}
	result.Local, result.Remote = s.addresses()
	in := &receiving{socket: s, host: h, args: args, until: []byte(goal), sum: sha256.New(), result: &result}
	start := time.Now()
	err = in.all(limited)
	result.Duration = time.Since(start).Seconds()
	result.Text, result.Base64 = text(in.shown, result.Size > int64(len(in.shown)))
	result.SHA256 = hex.EncodeToString(in.sum.Sum(nil))
	result.Complete = err == nil
	result.Outcome = sock.OutcomeOf(phaseRecv, err)
	if isLate(err) {
		result.Meaning = "nothing more came in time"
	}
	return result, ctx.Err()
}

// receiving is a receive under way.
type receiving struct {
	socket *socket
	host   host.Host
	args   RecvArgs
	until  []byte
	result *RecvResult

	sum   hash.Hash
	shown []byte // the beginning of what was received
	tail  []byte // its end, as far as until may begin in it
}

// all receives until there is what the step waits for.
func (r *receiving) all(ctx context.Context) error {
	s := r.socket
	if err := s.in.enter(ctx); err != nil {
		return err
	}
	defer s.in.leave()
	defer until(ctx, s.setReadDeadline())()
	buffer := make([]byte, r.args.Buffer)
	for {
		if err := pause(ctx, r.host, time.Duration(r.args.Pause), s.name+" recv"); err != nil {
			return err
		}
		space := buffer
		if r.args.Bytes > 0 {
			space = space[:min(int64(len(space)), r.args.Bytes-r.result.Size)]
		}
		n, err := r.one(space)
		if errors.Is(err, io.EOF) {
			r.result.End = true
			if r.args.End || len(r.until) == 0 && r.args.Bytes == 0 {
				return nil
			}
			return err
		}
		if err != nil {
			return err
		}
		r.result.Calls++
		if len(r.result.Pieces) < maxPieces {
			r.result.Pieces = append(r.result.Pieces, n)
		}
		if r.take(space[:n]) {
			return nil
		}
	}
}

// one is one recv, or what an earlier one brought and nobody waited for.
func (r *receiving) one(p []byte) (int, error) {
	s := r.socket
	if len(s.rest) > 0 {
		n := copy(p, s.rest)
		s.rest = s.rest[n:]
		return n, nil
	}
	if s.packets != nil {
		n, from, err := s.packets.ReadFrom(p)
		if from != nil {
			r.result.Remote = from.String()
		}
		return n, err
	}
	return s.conn.Read(p)
}

// take takes what a recv brought; true where that is all that the step waits for. What is beyond it is kept for later.
func (r *receiving) take(p []byte) (done bool) {
	switch {
	case len(r.until) > 0:
		before := len(r.tail)
		window := append(r.tail, p...)
		if i := bytes.Index(window, r.until); i >= 0 {
			end := i + len(r.until) - before
			r.socket.rest = append(bytes.Clone(p[end:]), r.socket.rest...)
			p, done = p[:end], true
		}
		r.tail = bytes.Clone(window[max(0, len(window)-len(r.until)+1):])
	case r.args.Bytes > 0:
		done = r.result.Size+int64(len(p)) >= r.args.Bytes
	default:
		done = !r.args.End
	}
	r.result.Size += int64(len(p))
	r.sum.Write(p)
	r.shown = append(r.shown, p[:min(len(p), maxShown-len(r.shown))]...)
	return done
}

func (s *socket) setReadDeadline() func(time.Time) error {
	if s.packets != nil {
		return s.packets.SetReadDeadline
	}
	return s.conn.SetReadDeadline
}
