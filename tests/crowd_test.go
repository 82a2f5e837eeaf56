package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"scenario/engine"
	"scenario/engine/docker"
	"scenario/engine/embedded"
	"scenario/engine/enginetest"
	"scenario/internal/bubble"
	"scenario/internal/needs"
	"scenario/nodes"
	"scenario/scenarios"
	"scenario/topology"
)

// crowdAddr is where the room of crowdPlan is.
const crowdAddr = "10.0.0.2:5555"

// crowdPlan has a room, with further options, and nodes from which people come to it.
func crowdPlan(tb testing.TB, name, room string, people int) *topology.Plan {
	tb.Helper()
	var text strings.Builder
	text.WriteString("networks: {lan: 10.0.0.0/16}\nnodes:\n")
	fmt.Fprintf(&text, "  room: {networks: {lan: 10.0.0.2}, chat: {listen: \":5555\"%s}}\n", room)
	for i := range people {
		fmt.Fprintf(&text, "  people%d: {networks: {lan: 10.0.1.%d}}\n", i, i+1)
	}
	spec, err := topology.Parse(name+".yaml", []byte(text.String()), nodes.Kinds(scenarios.Sites()))
	if err != nil {
		tb.Fatal(err)
	}
	plan, err := topology.Compile(spec, topology.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return plan
}

// crowd are people in one room, some of whom speak, one after the other. Everybody looks at what arrives: of each speaker
// every message, once and in order.
type crowd struct {
	people, speakers, messages int
	// window is how many messages may be under way, less than a room's queue for a member has room for.
	window int
	dial   func(ctx context.Context, i int) (net.Conn, error)

	heard []atomic.Int64  // how many have heard each message
	all   []chan struct{} // closed when everybody has
	in    []*bufio.Reader
	conns []net.Conn
}

// join has everybody come into the room, some at a time.
func (c *crowd) join(ctx context.Context, side int) error {
	c.conns, c.in = make([]net.Conn, c.people), make([]*bufio.Reader, c.people)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(side)
	for i := range c.people {
		group.Go(func() error {
			conn, err := c.dial(ctx, i)
			if err != nil {
				return fmt.Errorf("person %d: %w", i, err)
			}
			c.conns[i], c.in[i] = conn, bufio.NewReaderSize(conn, 128)
			if err := c.read(i, "# what is your name?\n"); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(conn, "p%d\n", i); err != nil {
				return err
			}
			return c.read(i, fmt.Sprintf("* p%d joined\n", i))
		})
	}
	return group.Wait()
}

func (c *crowd) read(i int, want string) error {
	got, err := c.in[i].ReadString('\n')
	if got != want {
		return fmt.Errorf("person %d received %q (%w), want %q", i, got, err, want)
	}
	return nil
}

// talk has the speakers say their messages, and returns when everybody has heard them.
func (c *crowd) talk(ctx context.Context) error {
	c.heard, c.all = make([]atomic.Int64, c.messages), make([]chan struct{}, c.messages)
	for i := range c.all {
		c.all[i] = make(chan struct{})
	}
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, c.leave)
	defer stop()
	for i := range c.people {
		group.Go(func() error { return c.listen(i) })
	}
	group.Go(func() error {
		for n := range c.messages {
			if n >= c.window {
				select {
				case <-c.all[n-c.window]:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if _, err := fmt.Fprintf(c.conns[n%c.speakers], "%d\n", n); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// listen hears one person's share: what all but itself say. Each speaker says every so many'th message, so that its next one
// is known.
func (c *crowd) listen(i int) error {
	next, left := make(map[string]int, c.speakers), c.messages
	for s := range c.speakers {
		if s == i {
			left -= (c.messages - s + c.speakers - 1) / c.speakers
			continue
		}
		next["p"+strconv.Itoa(s)] = s
	}
	for left > 0 {
		text, err := c.in[i].ReadString('\n')
		if err != nil {
			return fmt.Errorf("person %d, %d messages before the end: %w", i, left, err)
		}
		if strings.HasPrefix(text, "# ") {
			continue // who is here
		}
		name, said, _ := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		n, known := next[name]
		if !known || said != strconv.Itoa(n) {
			return fmt.Errorf("person %d received %q, want %d of %s", i, text, n, name)
		}
		next[name] = n + c.speakers
		left--
		if c.heard[n].Add(1) == int64(c.people-1) {
			close(c.all[n])
		}
	}
	return nil
}

// leave closes all connections.
func (c *crowd) leave() {
	for _, conn := range c.conns {
		if conn != nil {
			_ = conn.Close() // closed twice where a test was stopped
		}
	}
}

// startCrowd brings a room up. The function that ends it is for the bubble's test, or the caller's deferred functions.
func startCrowd(tb testing.TB, e engine.Engine, name, room string, people int) (run engine.Run, stop func()) {
	tb.Helper()
	run, err := e.Start(context.WithoutCancel(tb.Context()), crowdPlan(tb, name, room, people), enginetest.NewOutput(tb))
	if err != nil {
		tb.Fatal(err)
	}
	var once sync.Once
	return run, func() {
		once.Do(func() {
			if err := run.Stop(context.Background()); err != nil {
				tb.Error(err)
			}
		})
	}
}

// hostDial connects by the nodes' own stacks.
func hostDial(tb testing.TB, run engine.Run, people int) func(context.Context, int) (net.Conn, error) {
	tb.Helper()
	hosts := make([]interface {
		Dial(context.Context, string, string) (net.Conn, error)
	}, people)
	for i := range hosts {
		h, err := run.(embedded.Hosts).Host(fmt.Sprintf("people%d", i), "crowd")
		if err != nil {
			tb.Fatal(err)
		}
		hosts[i] = h
	}
	return func(ctx context.Context, i int) (net.Conn, error) {
		return hosts[i%people].Dial(ctx, "tcp", crowdAddr)
	}
}

// R23: a thousand in one room, in virtual time: nothing is lost, doubled or told in another order than it was said in.
func TestCrowd(t *testing.T) {
	const nodesOfPeople = 10
	bubble.Test(t, func(t *testing.T, beat func()) {
		e := embedded.New(embedded.Options{Kinds: nodes.Kinds(scenarios.Sites()), Virtual: true, Beat: beat})
		run, stop := startCrowd(t, e, "crowd", ", quiet: true", nodesOfPeople)
		defer stop()
		c := &crowd{people: 1000, speakers: 20, messages: 40, window: 16, dial: hostDial(t, run, nodesOfPeople)}
		defer c.leave()
		if err := errors.Join(c.join(t.Context(), 50), c.talk(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// R23: a thousand connections between containers.
func TestCrowdOnDocker(t *testing.T) {
	needs.Docker(t)
	const nodesOfPeople = 2
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run, stop := startCrowd(t, docker.New(docker.Options{Binary: binary()}), "crowd", ", quiet: true", nodesOfPeople)
	defer stop()
	c := &crowd{
		people: 1000, speakers: 50, messages: 100, window: 16,
		dial: func(ctx context.Context, i int) (net.Conn, error) {
			return run.(engine.Inside).Dial(ctx, fmt.Sprintf("people%d", i%nodesOfPeople), "tcp", crowdAddr)
		},
	}
	defer c.leave()
	start := time.Now()
	if err := c.join(ctx, 50); err != nil {
		t.Fatal(err)
	}
	joined := time.Since(start)
	if err := c.talk(ctx); err != nil {
		t.Error(err)
	}
	t.Logf("joined in %v, %d deliveries in %v", joined, c.messages*(c.people-1), time.Since(start)-joined)
}
