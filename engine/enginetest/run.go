package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"scenario/engine"
	"scenario/event"
)

// serves goes through all that a run does while it is up, and takes it down while it is at work.
func serves(b *bench) {
	plan := b.plan(b.name, "", "")
	run, out := b.start(plan)
	b.translates(run, out)
	b.keeps(run, out)
	b.mistakes(run)
	b.traces(run, out)
	held := b.dials(run)
	b.stopsAtWork(run, out)
	if held != nil {
		if _, err := held.Read(make([]byte, 1)); err == nil {
			b.Error("a connection from outside outlasts the run")
		}
		held.Close()
	}
	b.states(out)
}

// translates expects that the server sees the router's address (R29), and that its log says so after Sync.
func (b *bench) translates(run engine.Run, out *Output) {
	if got := b.do(run, "laptop", "greet", "198.51.100.80:80"); !strings.HasPrefix(got, `"hello 198.51.100.1:`) {
		b.Errorf("the server greeted %s, want the router's address", got)
	}
	b.sync(run)
	accepts := out.Find("server", "socket.accept")
	if len(accepts) != 1 || !strings.HasPrefix(accepts[0].Attrs["remote"].(string), "198.51.100.1:") {
		b.Errorf("the server's log has %v, want one connection from the router", accepts)
	}
}

// keeps expects files and many events in the output after Sync.
func (b *bench) keeps(run engine.Run, out *Output) {
	b.do(run, "laptop", "keep", "first")
	b.do(run, "laptop", "keep", "kept")
	b.do(run, "laptop", "tell", "one of many")
	b.sync(run)
	if got := out.files["laptop/note.txt"]; got != "kept" {
		b.Errorf("the kept file holds %q", got)
	}
	lines := 0
	for _, r := range out.Find("laptop", "log") {
		if line, ok := event.As[event.LogLine](r); ok && strings.HasPrefix(line.Message, "one of many ") {
			if want := fmt.Sprintf("one of many %d", lines); line.Message != want {
				b.Errorf("the log has %q where %q should stand", line.Message, want)
			}
			lines++
		}
	}
	if lines != told {
		b.Errorf("%d lines have arrived after Sync, want %d", lines, told)
	}
}

// mistakes expects that what cannot be done is an error that says what.
func (b *bench) mistakes(run engine.Run) {
	for _, wrong := range []struct {
		node, role, action, want string
	}{
		{"nobody", "greeter", "greet", "no such node: nobody"},
		{"laptop", "juggler", "greet", "node laptop: this node does not play the role juggler"},
		{"laptop", "greeter", "juggle", "node laptop: juggle: no such action: juggle"},
		{"router", "router", "greet", "node router: role router has no actions"},
	} {
		c := call(wrong.action, "x")
		c.Role = wrong.role
		if _, err := run.Do(b.Context(), wrong.node, c); err == nil || err.Error() != wrong.want {
			b.Errorf("%s of %s: %v, want %s", wrong.action, wrong.node, err, wrong.want)
		}
	}
	if _, err := run.Exec(b.Context(), "laptop", engine.Command{Args: []string{"true"}}); !errors.Is(err, engine.ErrNoPrograms) {
		b.Errorf("a program on a node without any: %v, want ErrNoPrograms", err)
	}
	if _, err := run.Exec(b.Context(), "nobody", engine.Command{Args: []string{"true"}}); err == nil || errors.Is(err, engine.ErrNoPrograms) {
		b.Errorf("a program on no node: %v", err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := run.Do(ctx, "laptop", call("wait", "for nothing")); !errors.Is(err, context.DeadlineExceeded) {
		b.Errorf("an action that does not end: %v, want DeadlineExceeded", err)
	}
}

// traces expects that the events of an action join the chain that it is called with.
func (b *bench) traces(run engine.Run, out *Output) {
	c := call("tell", "in a chain")
	c.Trace, c.Parent = event.StepTrace+"chain", event.StepTrace+"chain.7"
	if _, err := run.Do(b.Context(), "server", c); err != nil {
		b.Fatal(err)
	}
	b.sync(run)
	found := 0
	for _, r := range out.Find("server", "log") {
		if r.Trace() != c.Trace {
			continue
		}
		found++
		if parent := c.Parent + ".1"; found == 1 && (r.ID() != parent || r.Parent() != c.Parent) || found > 1 && r.Parent() != parent {
			b.Fatalf("event %d of the chain has the id %q and the parent %q", found, r.ID(), r.Parent())
		}
	}
	if found != told+1 {
		b.Errorf("the chain has %d events, want %d", found, told+1)
	}
}

// dials connects from outside, where the run lets it, and returns a connection that is open.
func (b *bench) dials(run engine.Run) net.Conn {
	inside, ok := run.(engine.Inside)
	if !ok {
		return nil
	}
	conn, err := inside.Dial(b.Context(), "laptop", "tcp", "server.example:80")
	if err != nil {
		b.Fatal(err)
	}
	if greeting, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(greeting), "hello 198.51.100.1:") {
		b.Errorf("by name the server greeted %q (%v)", greeting, err)
	}
	conn.Close()

	var lookup *net.DNSError
	if _, err := inside.Dial(b.Context(), "laptop", "tcp", "nobody.example:80"); !errors.As(err, &lookup) || !lookup.IsNotFound {
		b.Errorf("a name that does not exist: %v, want a DNSError that says so", err)
	}
	if _, err := inside.Dial(b.Context(), "laptop", "tcp", "198.51.100.80:9"); !errors.Is(err, syscall.ECONNREFUSED) {
		b.Errorf("nobody listens: %v, want ECONNREFUSED", err)
	}
	if _, err := inside.Dial(b.Context(), "nobody", "tcp", "server.example:80"); err == nil || errors.As(err, &lookup) {
		b.Errorf("from no node: %v", err)
	}

	held, err := inside.Dial(b.Context(), "laptop", "tcp", "198.51.100.80:7")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.WriteString(held, "repeat"); err != nil {
		b.Error(err)
	}
	answer := make([]byte, len("repeat"))
	if _, err := io.ReadFull(held, answer); err != nil || string(answer) != "repeat" {
		b.Errorf("the server repeats %q (%v)", answer, err)
	}
	if _, ok := held.(interface{ CloseWrite() error }); !ok {
		b.Error("the connection has no CloseWrite")
	}
	if _, ok := held.(interface{ SetLinger(int) error }); !ok {
		b.Error("the connection has no SetLinger")
	}
	return held
}

// stopsAtWork stops the run, from two sides, while an action is under way: that ends too.
func (b *bench) stopsAtWork(run engine.Run, out *Output) {
	working := make(chan struct{})
	var once sync.Once
	out.mu.Lock()
	out.heard = func(r event.Record) {
		if line, ok := event.As[event.LogLine](r); ok && line.Message == "until the end" {
			once.Do(func() { close(working) })
		}
	}
	out.mu.Unlock()
	var all sync.WaitGroup
	all.Go(func() {
		if result, err := run.Do(b.background(), "server", call("wait", "until the end")); err == nil {
			b.Errorf("an action that was under way when the run was stopped came to %s", result)
		}
	})
	<-working
	for range 2 {
		all.Go(func() {
			if err := run.Stop(b.background()); err != nil {
				b.Errorf("stop: %v", err)
			}
		})
	}
	all.Wait()
	out.Seal()
	select {
	case err := <-run.Lost():
		b.Errorf("a run that was stopped is lost: %v", err)
	default:
	}
	if _, err := run.Do(b.background(), "server", call("greet", "198.51.100.80:80")); err == nil {
		b.Error("an action succeeds when the run is over")
	}
}

// states expects that a person is told of every node when it is made, ready and stopped, and that their logs have that
// they were ready and ended.
func (b *bench) states(out *Output) {
	for _, name := range []string{"laptop", "names", "router", "server"} {
		created, ready, stopped := out.when(name, engine.StateCreated), out.when(name, engine.StateReady), out.when(name, engine.StateStopped)
		if created < 0 || ready <= created || stopped <= ready {
			b.Errorf("node %s was created, ready and stopped at %d, %d and %d of %q", name, created, ready, stopped, out.states)
		}
		if len(out.Find(name, "node.ready")) != 1 || len(out.Find(name, "node.exit")) != 1 {
			b.Errorf("node %s did not say that it was ready and that it ended", name)
		}
	}
}

// loses has a role fail (R41): that is noticed, the other nodes go on, and taking them down leaves nothing.
func loses(b *bench) {
	run, out := b.start(b.plan(b.name, "", ""))
	if _, err := run.Do(b.Context(), "server", call("fail", "out of luck")); err != nil {
		b.Logf("the node is gone before it can answer: %v", err)
	}
	if err := <-run.Lost(); err == nil || !strings.HasPrefix(err.Error(), "node server: ") {
		b.Errorf("lost: %v, want the node's name", err)
	}
	faults := out.Find("server", "fault")
	if len(faults) != 1 || faults[0].Attrs["fault"] != "crash" || faults[0].Attrs["target"] != "server" {
		b.Errorf("the log has the faults %v, want one crash of the server", faults)
	}
	exits := out.Find("server", "node.exit")
	if len(exits) != 1 || exits[0].Attrs["error"] != "role greeter: out of luck" {
		b.Errorf("the node's end is told as %v", exits)
	}
	if _, err := run.Do(b.Context(), "server", call("greet", "198.51.100.80:80")); err == nil {
		b.Error("an action succeeds on a node that has ended")
	}
	b.do(run, "laptop", "keep", "still there")
}

// sideBySide has two runs (R41) with the same names and addresses: they do not meet.
func sideBySide(b *bench) {
	one, outOne := b.start(b.plan(b.name+"-one", "", ""))
	two, outTwo := b.start(b.plan(b.name+"-two", "", ""))
	for _, run := range []engine.Run{one, two, one} {
		b.do(run, "laptop", "greet", "198.51.100.80:80")
		b.sync(run)
	}
	if a, b2 := len(outOne.Find("server", "socket.accept")), len(outTwo.Find("server", "socket.accept")); a != 2 || b2 != 1 {
		b.Errorf("the servers saw %d and %d connections, want 2 and 1", a, b2)
	}
}
