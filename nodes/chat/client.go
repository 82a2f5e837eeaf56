package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
	"scenario/nodes/ws"
)

// JoinArgs are the arguments of the action join.
type JoinArgs struct {
	Server  string        `json:"server" jsonschema_description:"host:port of the room, or of the other person, or ws://host:port/chat; the host is a name or an IP address" jsonschema:"required"`
	Name    string        `json:"name,omitempty" jsonschema_description:"the name to be known by; the server says what is wrong with it; where names are given, or two talk to each other, leave it out"`
	Origin  string        `json:"origin,omitempty" jsonschema_description:"by WebSocket: the origin of the page to pass for, such as http://shop.example; default: none, as programs have that are no browsers"`
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
	Status   int     `json:"status" jsonschema_description:"by WebSocket: the status of the server's HTTP response, 101 where the connection was upgraded; else 0"`
	Protocol string  `json:"protocol" jsonschema_description:"by WebSocket: the subprotocol that both ends agreed on"`
	Duration float64 `json:"duration_s"`
	sock.Outcome
}

// SayArgs are the arguments of the action say.
type SayArgs struct {
	Text    string        `json:"text" jsonschema_description:"one line" jsonschema:"required"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long, where the turn is the other's or the network takes no more; 0: only with the step" jsonschema:"default=10s"`
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
	Word    string        `json:"word,omitempty" jsonschema_description:"the room's word to leave by; default: the node's option leave"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=10s"`
}

// LeaveResult is what came of the action leave.
type LeaveResult struct {
	Server string `json:"server"`
	Name   string `json:"name"`
	Left   bool   `json:"left" jsonschema_description:"the server closed the connection in answer"`
	sock.Outcome
}

func defaultJoin() JoinArgs { return JoinArgs{Timeout: role.Duration(5 * time.Second)} }

func defaultSay() SayArgs { return SayArgs{Timeout: role.Duration(10 * time.Second)} }

func defaultLeave() LeaveArgs { return LeaveArgs{Timeout: role.Duration(10 * time.Second)} }

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
	options  Options
	lookup   lookup // from the start of Serve
	random   rand.Source
	sessions chan *session
	stopped  chan struct{}

	mu      sync.Mutex
	current *session      // the last that was joined; nil before the first
	news    chan struct{} // closed and replaced whenever current changes
}

func newClient(o Options) *client {
	return &client{
		options: o, sessions: make(chan *session), stopped: make(chan struct{}), news: make(chan struct{}),
	}
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
	byWeb := ws.IsURL(args.Server)
	if err := c.checkServer(args, byWeb); err != nil {
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
	p, err := c.dial(limited, h, args, byWeb, &result)
	if err == nil {
		if c.options.Pair == "" {
			s := newSession(h.Log(), p, args)
			result.Joined, result.Answer, err = c.enter(limited, s, args.Name)
			result.Name = s.self()
		} else {
			err = c.call(limited, newPair(h.Log(), p.socket(), c.options, event.SideClient, args.Server))
			result.Joined = err == nil
		}
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

// checkServer says what is wrong with whom to join.
func (c *client) checkServer(args JoinArgs, byWeb bool) (err error) {
	switch {
	case byWeb && c.options.Pair != "":
		return errors.New("two people who talk to each other do so over a plain connection")
	case byWeb:
		_, err = ws.ParseURL(args.Server)
	case args.Origin != "":
		return errors.New("origin: only who connects by WebSocket, to ws://host:port/path, names one")
	default:
		_, err = sock.ParseTarget(args.Server)
	}
	return err
}

// dial connects to a server and notes in the result what can be said of it.
func (c *client) dial(ctx context.Context, h host.Host, args JoinArgs, byWeb bool, result *JoinResult) (peer, error) {
	dialer := sock.Dialer{Host: h, Lookup: c.lookup}
	if byWeb {
		return c.dialWeb(ctx, dialer, args, result)
	}
	target, err := sock.ParseTarget(args.Server)
	if err != nil {
		return nil, err
	}
	conn, err := dialer.Dial(ctx, target)
	if err != nil {
		return nil, err
	}
	result.Local, result.Remote = conn.Local(), conn.Remote()
	return newStream(conn, maxServerLine), nil
}

// begin has a session receive.
func (c *client) begin(ctx context.Context, s *session) (err error) {
	select {
	case c.sessions <- s:
		return nil
	case <-c.stopped:
		err = context.Canceled
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.peer.close("not joined")
	return err
}

// call begins to talk to one other person.
func (c *client) call(ctx context.Context, s *session) error {
	if err := c.begin(ctx, s); err != nil {
		return err
	}
	err := c.enterAs(s)
	if err != nil {
		s.peer.close("not joined")
	}
	return err
}

// enter gives the server a name for the session and waits for what it says to that.
func (c *client) enter(ctx context.Context, s *session, name string) (joined bool, answer string, err error) {
	if err := c.begin(ctx, s); err != nil {
		return false, "", err
	}
	var l line
	if name == "" { // the room gives it, or asks for it
		l, err = s.await(ctx, func(l line) bool { return l.kind == lineJoin || l.kind == lineRemark })
	}
	if err == nil && l.kind != lineJoin {
		if err = s.send(ctx, name); err == nil {
			l, err = s.await(ctx, func(l line) bool {
				return l.kind == lineRefusal || l.kind == lineJoin && l.name == name
			})
		}
	}
	if err == nil && l.kind == lineJoin {
		err = c.enterAs(s)
		joined = err == nil
	}
	if !joined {
		s.peer.close("not joined")
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
	close(c.news)
	c.news = make(chan struct{})
	return nil
}

// awaits says whether somebody may yet come to talk to this node.
func (c *client) awaits() bool { return c.options.Pair != "" && c.options.Listen != "" }

// present returns the session that the client is in. Where somebody may yet come, it waits for that.
func (c *client) present(ctx context.Context) (*session, error) {
	for {
		s, news := c.last()
		switch {
		case s != nil && s.over() == nil:
			return s, nil
		case !c.awaits():
			return nil, errNotInRoom
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// session returns the session that the client is in.
func (c *client) session() (*session, error) {
	s, _ := c.last()
	if s == nil || s.over() != nil {
		return nil, errNotInRoom
	}
	return s, nil
}

// last returns the session that was joined last, whether it goes on or not, and what is closed when there is another.
func (c *client) last() (*session, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.news
}

func (c *client) say(ctx context.Context, args SayArgs) (any, error) {
	switch {
	case args.Text == "" || strings.ContainsAny(args.Text, "\r\n"):
		return nil, errors.New("text is one line, and not empty")
	case args.Text == c.options.Leave:
		return nil, fmt.Errorf("%q is the word to leave by: use the action leave", c.options.Leave)
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	s, _ := c.last()
	var err error
	if c.awaits() {
		s, err = c.present(limited)
	} else if s == nil {
		return nil, errNotInRoom
	}
	if err == nil {
		err = s.say(limited, args.Text)
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	result := SayResult{Text: args.Text, Sent: err == nil, Outcome: sock.OutcomeOf(phaseSay, err)}
	if s != nil {
		result.Name = s.self()
	}
	return result, nil
}

func (c *client) hear(ctx context.Context, args HearArgs) (any, error) {
	switch lineKind(args.Kind) {
	case lineMessage, lineJoin, lineLeave, lineRefusal:
	default:
		return nil, fmt.Errorf("kind %q is not message, join, leave or refusal", args.Kind)
	}
	if s, _ := c.last(); s == nil && !c.awaits() {
		return nil, errNotInRoom
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	start := time.Now()
	l, err := c.await(limited, func(l line) bool {
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

// await takes the first line that matches from the session, or from those that follow where somebody may yet come.
func (c *client) await(ctx context.Context, match func(line) bool) (line, error) {
	for {
		s, news := c.last()
		if s != nil {
			l, err := s.await(ctx, match)
			if err == nil || ctx.Err() != nil || !c.awaits() {
				return l, err
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			return line{}, ctx.Err()
		}
	}
}

func (c *client) leave(ctx context.Context, args LeaveArgs) (any, error) {
	s, err := c.session()
	if err != nil {
		return nil, err
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	err = s.leave(limited, cmp.Or(args.Word, c.options.Leave))
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return LeaveResult{Server: s.server, Name: s.self(), Left: err == nil, Outcome: sock.OutcomeOf(phaseLeave, err)}, nil
}

// within returns a context that ends after limit at the latest; 0 is no limit.
func within(ctx context.Context, limit role.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(limit))
}
