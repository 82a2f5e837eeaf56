package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// JoinArgs are the arguments of the action join.
type JoinArgs struct {
	Server  string        `json:"server" jsonschema_description:"host:port of the room; the host is a name or an IP address" jsonschema:"required"`
	Name    string        `json:"name" jsonschema_description:"the name to be known by; the server says what is wrong with it" jsonschema:"required"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=5s"`
}

// JoinResult is what came of the action join.
type JoinResult struct {
	Server   string  `json:"server"`
	Name     string  `json:"name"`
	Joined   bool    `json:"joined"`
	Answer   string  `json:"answer" jsonschema_description:"why the server refused the name, where it did"`
	Local    string  `json:"local" jsonschema_description:"this end's IP:port"`
	Remote   string  `json:"remote" jsonschema_description:"the server's IP:port"`
	Duration float64 `json:"duration_s"`
	sock.Outcome
}

// SayArgs are the arguments of the action say.
type SayArgs struct {
	Text string `json:"text" jsonschema_description:"one line" jsonschema:"required"`
}

// SayResult is what came of the action say.
type SayResult struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Sent bool   `json:"sent" jsonschema_description:"handed to the network; what the server refuses can be heard"`
	sock.Outcome
}

// HearArgs are the arguments of the action hear.
type HearArgs struct {
	Text    string        `json:"text,omitempty" jsonschema_description:"what is said has this in it; empty: anything"`
	From    string        `json:"from,omitempty" jsonschema_description:"who says it, joins or leaves; empty: anybody"`
	Kind    string        `json:"kind,omitempty" jsonschema_description:"what is waited for" jsonschema:"enum=message,enum=join,enum=leave,enum=refusal,default=message"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=10s"`
}

// HearResult is what was heard. What was heard once is not heard again.
type HearResult struct {
	Heard  bool    `json:"heard"`
	Kind   string  `json:"kind"`
	From   string  `json:"from"`
	Text   string  `json:"text" jsonschema_description:"of a leave: the reason, where it was not asked for"`
	Waited float64 `json:"waited_s"`
	Error  string  `json:"error" jsonschema_description:"why nothing was heard"`
}

// LeaveArgs are the arguments of the action leave.
type LeaveArgs struct {
	Word string `json:"word,omitempty" jsonschema_description:"the room's word to leave by; default: the node's option leave"`
}

// LeaveResult is what came of the action leave.
type LeaveResult struct {
	Server string `json:"server"`
	Name   string `json:"name"`
	Left   bool   `json:"left" jsonschema_description:"the server closed the connection in answer"`
	sock.Outcome
}

func defaultJoin() JoinArgs { return JoinArgs{Timeout: role.Duration(5 * time.Second)} }

func defaultHear() HearArgs {
	return HearArgs{Kind: string(lineMessage), Timeout: role.Duration(10 * time.Second)}
}

// Phases of being in a room, as outcomes name them.
const (
	phaseJoin  = "join"
	phaseSay   = "say"
	phaseLeave = "leave"
)

// client is the person of a node, who is in one room at a time.
type client struct {
	lookup    lookup // from the start of Serve
	leaveWord string
	sessions  chan *session
	stopped   chan struct{}

	mu      sync.Mutex
	current *session // the last that was joined; nil before the first
}

func newClient(leaveWord string) *client {
	return &client{leaveWord: leaveWord, sessions: make(chan *session), stopped: make(chan struct{})}
}

// serve keeps sessions receiving until ctx ends, and returns when all have ended.
func (c *client) serve(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	defer close(c.stopped)
	for {
		select {
		case s := <-c.sessions:
			running.Go(func() { s.receive(ctx) })
		case <-ctx.Done():
			return
		}
	}
}

func (c *client) join(ctx context.Context, h host.Host, args JoinArgs) (any, error) {
	target, err := sock.ParseTarget(args.Server)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(args.Name, "\r\n") {
		return nil, errors.New("the name is one line")
	}
	if s, err := c.session(); err == nil {
		return nil, fmt.Errorf("already in the room of %s as %s: leave it first", s.server, s.name)
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	start := time.Now()
	result := JoinResult{Server: args.Server, Name: args.Name}
	conn, err := sock.Dialer{Host: h, Lookup: c.lookup}.Dial(limited, target)
	if err == nil {
		result.Local, result.Remote = conn.Local(), conn.Remote()
		result.Joined, result.Answer, err = c.enter(limited, newSession(h.Log(), conn, args))
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var failure *sock.Error
	if errors.As(err, &failure) {
		result.Remote = failure.Remote
	}
	result.Outcome = sock.OutcomeOf(phaseJoin, err)
	result.Duration = time.Since(start).Seconds()
	return result, nil
}

// enter gives the server the session's name and waits for what it says to that.
func (c *client) enter(ctx context.Context, s *session) (joined bool, answer string, err error) {
	select {
	case c.sessions <- s:
	case <-c.stopped:
		err = context.Canceled
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		_ = s.conn.CloseFor("not joined")
		return false, "", err
	}
	var l line
	if err = s.send(ctx, s.name); err == nil {
		l, err = s.await(ctx, func(l line) bool {
			return l.kind == lineRefusal || l.kind == lineJoin && l.name == s.name
		})
	}
	if err == nil && l.kind == lineJoin {
		err = c.enterAs(s)
		joined = err == nil
	}
	if !joined {
		_ = s.conn.CloseFor("not joined")
	}
	return joined, l.text, err
}

// enterAs makes s the client's session, where another join was not faster.
func (c *client) enterAs(s *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.over() == nil {
		return errors.New("another join was faster")
	}
	c.current = s
	return nil
}

// session returns the session that the client is in.
func (c *client) session() (*session, error) {
	s := c.last()
	if s == nil || s.over() != nil {
		return nil, errNotInRoom
	}
	return s, nil
}

// last returns the session that was joined last, whether it goes on or not.
func (c *client) last() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

func (c *client) say(ctx context.Context, args SayArgs) (any, error) {
	switch {
	case args.Text == "" || strings.ContainsAny(args.Text, "\r\n"):
		return nil, errors.New("text is one line, and not empty")
	case args.Text == c.leaveWord:
		return nil, fmt.Errorf("%q is the word to leave by: use the action leave", c.leaveWord)
	}
	s := c.last()
	if s == nil {
		return nil, errNotInRoom
	}
	err := s.say(ctx, args.Text)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return SayResult{Name: s.name, Text: args.Text, Sent: err == nil, Outcome: sock.OutcomeOf(phaseSay, err)}, nil
}

func (c *client) hear(ctx context.Context, args HearArgs) (any, error) {
	switch lineKind(args.Kind) {
	case lineMessage, lineJoin, lineLeave, lineRefusal:
	default:
		return nil, fmt.Errorf("kind %q is not message, join, leave or refusal", args.Kind)
	}
	s := c.last()
	if s == nil {
		return nil, errNotInRoom
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	start := time.Now()
	l, err := s.await(limited, func(l line) bool {
		return string(l.kind) == args.Kind && strings.Contains(l.text, args.Text) && (args.From == "" || l.name == args.From)
	})
	result := HearResult{Heard: err == nil, Kind: args.Kind, From: l.name, Text: l.text, Waited: time.Since(start).Seconds()}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		result.Error = fmt.Sprintf("nothing like it was received in %s", time.Duration(args.Timeout))
	default:
		result.Error = "nothing like it was received before the end: " + err.Error()
	}
	return result, nil
}

func (c *client) leave(ctx context.Context, args LeaveArgs) (any, error) {
	s, err := c.session()
	if err != nil {
		return nil, err
	}
	err = s.leave(ctx, cmp.Or(args.Word, c.leaveWord))
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return LeaveResult{Server: s.server, Name: s.name, Left: err == nil, Outcome: sock.OutcomeOf(phaseLeave, err)}, nil
}

// within returns a context that ends after limit at the latest; 0 is no limit.
func within(ctx context.Context, limit role.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(limit))
}

// tell emits the event of a server's line, as the client sees it.
func (s *session) tell(l line) {
	ctx := s.conn.Context()
	switch l.kind {
	case lineMessage:
		event.Emit(ctx, s.log, event.ChatMessage{Side: event.SideClient, Name: l.name, Text: l.text})
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
