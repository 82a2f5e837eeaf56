package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/nodes"
	"scenario/nodes/role"
	"scenario/scenarios"
)

// Kinds are the roles that the suite's plans name. Where an engine's nodes are processes, those must know them.
func Kinds() []role.Kind {
	return append(nodes.Kinds(scenarios.Sites()), role.Kind{
		Name: "greeter", Doc: "Greet whoever connects.", Options: options{}, Certificate: certificate,
		New: func(text json.RawMessage) (role.Role, error) {
			g := &greeter{failure: make(chan error, 1)}
			return g, json.Unmarshal(text, &g.options)
		},
	})
}

// certificate is what a greeter asks for that speaks TLS.
func certificate(text json.RawMessage) *role.Certificate {
	var o options
	switch err := json.Unmarshal(text, &o); {
	case err != nil || o.TLS == "":
		return nil
	case o.TLS == sound:
		return &role.Certificate{}
	}
	return &role.Certificate{Flaw: role.Flaw(o.TLS)}
}

// sound is the certificate that nothing is wrong with.
const sound = "sound"

// options say how a greeter starts.
type options struct {
	Delay role.Duration `json:"delay,omitempty" jsonschema:"description=before it listens"`
	First string        `json:"first,omitempty" jsonschema:"description=whom it connects to before it is ready"`
	Fail  string        `json:"fail,omitempty" jsonschema:"description=why it does not start"`
	TLS   string        `json:"tls,omitempty" jsonschema:"description=it listens at port 443 too: sound or what is wrong with its certificate"`
	Never bool          `json:"never,omitempty" jsonschema:"description=it is never ready"`
}

// greeter says hello at port 80 (and, by TLS, at 443), and repeats at port 7 what it hears.
type greeter struct {
	options options
	failure chan error
}

// what the greeter says when it begins to start.
const starting = "starting"

func (g *greeter) Serve(ctx context.Context, h host.Host, ready func()) error {
	event.Emit(ctx, h.Log(), event.LogLine{Message: starting})
	switch {
	case g.options.Fail != "":
		return errors.New(g.options.Fail)
	case g.options.Never:
		repeat(ctx, h, starting)
		return nil
	}
	select {
	case <-time.After(time.Duration(g.options.Delay)):
	case <-ctx.Done():
		return nil
	}
	if g.options.First != "" {
		if _, err := greet(ctx, h, g.options.First); err != nil {
			return err
		}
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	for addr, answer := range map[string]func(net.Conn){":80": hello(ctx, h), ":7": echo} {
		listener, err := h.Listen(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		serving.Go(func() { serve(ctx, listener, answer) })
	}
	if g.options.TLS != "" {
		listener, err := secured(ctx, h)
		if err != nil {
			return err
		}
		serving.Go(func() { serve(ctx, listener, hello(ctx, h)) })
	}
	ready()
	select {
	case err := <-g.failure:
		return err
	case <-ctx.Done():
		return nil
	}
}

// repeat says the same again and again until ctx ends: an engine may hold back what was told in an instant of virtual time
// until that is over, and it goes on only where somebody waits for it.
func repeat(ctx context.Context, h host.Host, message string) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		event.Emit(ctx, h.Log(), event.LogLine{Message: message})
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// serve answers connections until ctx ends, and returns when all are closed.
func serve(ctx context.Context, listener net.Listener, answer func(net.Conn)) {
	var open sync.WaitGroup
	defer open.Wait()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		open.Go(func() {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			defer conn.Close()
			answer(conn)
		})
	}
}

func hello(ctx context.Context, h host.Host) func(net.Conn) {
	return func(conn net.Conn) {
		event.Emit(ctx, h.Log(), event.SocketAccept{
			Network: "tcp", Local: conn.LocalAddr().String(), Remote: conn.RemoteAddr().String(),
		})
		_, _ = io.WriteString(conn, "hello "+conn.RemoteAddr().String())
	}
}

func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

// greet connects to a greeter and returns what it says.
func greet(ctx context.Context, h host.Host, to string) (string, error) {
	conn, err := h.Dial(ctx, "tcp", to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// Do knows the actions greet, greet-securely, search, tell, keep, wait and fail.
func (g *greeter) Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	var argument string
	if err := json.Unmarshal(args, &argument); err != nil {
		return nil, err
	}
	switch action {
	case "greet":
		return greet(ctx, h, argument)
	case "greet-securely":
		return greetSecurely(ctx, h, argument)
	case "search":
		return fmt.Sprint(host.SearchDomains(h)), nil
	case "tell":
		within := event.Begin(ctx, h.Log(), event.LogLine{Message: argument})
		for i := range told {
			event.Emit(within, h.Log(), event.LogLine{Message: fmt.Sprintf("%s %d", argument, i)})
		}
		return told, nil
	case "keep":
		return nil, h.(host.Storage).WriteFile("note.txt", []byte(argument))
	case "wait":
		repeat(ctx, h, argument)
		return nil, ctx.Err()
	case "fail":
		g.failure <- errors.New(argument)
		return nil, nil
	}
	return nil, fmt.Errorf("no such action: %s", action)
}

// told is how many lines tell tells, after the first.
const told = 200
