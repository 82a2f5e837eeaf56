package chat

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/host"
	"scenario/host/hosttest/memnet"
)

const serverAddr = "10.0.0.1:5555"

// world is a server and people on a network in memory, in the bubble of a test.
type world struct {
	t      *testing.T
	net    *memnet.Net
	ctx    context.Context
	cancel context.CancelFunc
	served sync.WaitGroup

	mu      sync.Mutex
	records []event.Record
}

// inWorld runs a test in virtual time, against a server at serverAddr, and ends everything after it.
func inWorld(t *testing.T, test func(*testing.T, *world)) { inWorldOf(t, listening(), test) }

// listening are the options of a room.
func listening() Options {
	o := defaultOptions()
	o.Listen = ":5555"
	return o
}

func inWorldOf(t *testing.T, room Options, test func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.NewWindow(1))
		w.person("10.0.0.1", room)
		test(t, w)
		w.cancel()
		w.served.Wait()
	})
}

func newWorld(t *testing.T, net *memnet.Net) *world {
	w := &world{t: t, net: net}
	w.ctx, w.cancel = context.WithCancel(t.Context())
	return w
}

func (w *world) Record(r event.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
}

// person is a node that plays the role.
type person struct {
	w    *world
	host host.Host
	role *chat
}

func (w *world) person(addr string, o Options) *person {
	w.t.Helper()
	names := func(host.Host) lookup {
		return func(_ context.Context, name string) ([]netip.Addr, error) {
			if name != "chat.example" {
				return nil, fmt.Errorf("%s: no such name", name)
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}
	}
	h := w.net.Host(addr, addr)
	h.Sink = w
	p := &person{w, h, newChat(o, names)}
	ready := make(chan struct{})
	w.served.Go(func() {
		if err := p.role.Serve(w.ctx, p.host, func() { close(ready) }); err != nil {
			w.t.Errorf("%s: serve: %v", addr, err)
		}
	})
	<-ready
	return p
}

// do carries out an action; args is JSON.
func do[T any](p *person, action, args string) T {
	p.w.t.Helper()
	result, err := p.role.Do(p.w.t.Context(), p.host, action, json.RawMessage(args))
	if err != nil {
		p.w.t.Fatalf("%s %s: %v", action, args, err)
	}
	return result.(T)
}

func (p *person) join(name string) {
	p.w.t.Helper()
	if r := do[JoinResult](p, "join", fmt.Sprintf(`{"server": "chat.example:5555", "name": %q}`, name)); !r.Joined {
		p.w.t.Fatalf("join as %s: %+v", name, r)
	}
}

// raw is a connection as a person with nc has it.
type raw struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (w *world) raw(addr string) *raw {
	w.t.Helper()
	c, err := w.net.Host(addr, addr).Dial(w.ctx, "tcp", serverAddr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	r := &raw{c, w.t, bufio.NewReader(c)}
	r.want("# what is your name?")
	return r
}

func (r *raw) send(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r, text); err != nil {
		r.t.Fatalf("send %q: %v", text, err)
	}
}

// want reads lines and fails the test unless they are these.
func (r *raw) want(lines ...string) {
	r.t.Helper()
	for _, want := range lines {
		got, err := r.in.ReadString('\n')
		if got != want+"\n" {
			r.t.Fatalf("received %q (%v), want %q", got, err, want)
		}
	}
}

// R22, R23
func TestConversation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.person("10.0.0.2", defaultOptions()), w.person("10.0.0.3", defaultOptions())
		ann.join("ann")
		bob.join("bob")
		if r := do[HearResult](ann, "hear", `{"kind": "join", "from": "bob"}`); !r.Heard {
			t.Errorf("ann did not hear bob join: %+v", r)
		}
		do[SayResult](bob, "say", `{"text": "hello: all"}`)
		if r := do[HearResult](ann, "hear", `{"text": "hello"}`); !r.Heard || r.From != "bob" || r.Text != "hello: all" {
			t.Errorf("ann heard %+v", r)
		}
		do[SayResult](ann, "say", `{"text": "hello bob"}`)
		if r := do[HearResult](bob, "hear", `{"from": "ann"}`); !r.Heard || r.Text != "hello bob" {
			t.Errorf("bob heard %+v", r)
		}
		if r := do[LeaveResult](ann, "leave", `{}`); !r.Left || r.Error != "" {
			t.Errorf("leave: %+v", r)
		}
		if r := do[HearResult](bob, "hear", `{"kind": "leave"}`); r.From != "ann" || r.Text != "" {
			t.Errorf("bob heard %+v", r)
		}
		ann.join("ann") // the name is free again, and so is she

		synctest.Wait()
		want := map[string][]string{
			"10.0.0.1": {
				"chat.join server ann", "chat.join server bob", "chat.message server bob hello: all",
				"chat.message server ann hello bob", "chat.leave server ann", "chat.join server ann",
			},
			"10.0.0.2": {
				"chat.join client ann", "chat.join client bob", "chat.message client bob hello: all",
				"chat.message client ann hello bob", "chat.leave client ann", "chat.join client ann",
			},
			"10.0.0.3": {
				"chat.join client bob", "chat.message client bob hello: all", "chat.message client ann hello bob",
				"chat.leave client ann", "chat.join client ann",
			},
		}
		if diff := cmp.Diff(want, w.story("chat.")); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}

// story is what each node told, of events whose word begins so.
func (w *world) story(prefix string) map[string][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := make(map[string][]string)
	for _, r := range w.records {
		if !strings.HasPrefix(r.Event, prefix) {
			continue
		}
		words := []string{r.Event}
		for _, key := range []string{"side", "name", "text", "op", "errno", "by", "reason"} {
			if v, ok := r.Attrs[key].(string); ok && v != "" {
				words = append(words, v)
			}
		}
		told[r.Node] = append(told[r.Node], strings.Join(words, " "))
	}
	return told
}

// R23: the room answers clearly to what it cannot take, and goes on.
func TestRefusals(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann := w.raw("10.0.0.2")
		ann.send("ann\n")
		ann.want("* ann joined")
		bob := w.raw("10.0.0.3")
		for _, try := range []struct{ send, want string }{
			{"\n", "! the name is empty"},
			{"Ann\n", "! the name Ann is taken"},
			{"b b\n", "! a name has no spaces and no colons"},
			{"#bob\n", "! a name does not begin with #"},
			{strings.Repeat("b", 33) + "\n", "! the name is longer than 32 bytes"},
			{"bob\x07\n", "! the line has control characters"},
			{"b\xffb\n", "! the line is not UTF-8"},
			{"bob\r\n", "* bob joined"},
		} {
			bob.send(try.send)
			bob.want(try.want)
		}
		bob.want("# ann is here")
		ann.want("* bob joined")
		for _, try := range []struct{ send, want string }{
			{strings.Repeat("x", 5000) + "\n", "! the line is longer than 1024 bytes"},
			{"\x1b[2J\n", "! the line has control characters"},
			{"\xc3\x28\n", "! the line is not UTF-8"},
		} {
			bob.send(try.send)
			bob.want(try.want)
		}
		bob.send("\n") // nothing to say is nothing to tell
		bob.send("* ann left\n")
		ann.want("bob: * ann left")
		bob.send("exit\n")
		bob.want("# goodbye")
		ann.want("* bob left")
		if _, err := bob.in.ReadByte(); err != io.EOF {
			t.Errorf("after the leave word: %v, want the end of the stream", err)
		}
	})
}

// R23, R27: somebody who is gone without a word is announced; somebody who never gave a name is not.
func TestLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann, bob, nobody := w.raw("10.0.0.2"), w.raw("10.0.0.3"), w.raw("10.0.0.4")
		ann.send("ann\n")
		ann.want("* ann joined")
		bob.send("bob\n")
		ann.want("* bob joined")
		nobody.Close()
		bob.want("* bob joined", "# ann is here")
		bob.send("so lo") // and the connection ends: the words before the end count
		bob.Close()
		ann.want("bob: so lo", "* bob left: connection closed")
	})
}

// R23: a member that does not read is dropped; the others are not held up for a moment.
func TestSlow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		slow := w.raw("10.0.0.4")
		slow.send("slow\n")
		slow.want("* slow joined")
		ann, bob := w.raw("10.0.0.2"), w.raw("10.0.0.3")
		ann.send("ann\n")
		ann.want("* ann joined", "# slow is here")
		bob.send("bob\n")
		bob.want("* bob joined", "# slow is here", "# ann is here")
		ann.want("* bob joined")

		start := time.Now()
		const gone = "* slow left: too slow"
		for said, announced := 0, false; !announced; said++ {
			if said > 2*defaultOptions().Behind {
				t.Fatalf("after %d messages nobody was dropped", said)
			}
			message := fmt.Sprintf("message %d", said)
			ann.send(message + "\n")
			got, err := bob.in.ReadString('\n')
			if announced = got == gone+"\n"; announced {
				got, err = bob.in.ReadString('\n')
			}
			if got != "ann: "+message+"\n" {
				t.Fatalf("bob received %q (%v)", got, err)
			}
		}
		ann.want(gone)
		if took := time.Since(start); took != 0 {
			t.Errorf("the room was held up for %s", took)
		}
		if rest, _ := io.ReadAll(slow.in); strings.Count(string(rest), "\n") > defaultOptions().Behind+1 {
			t.Errorf("the slow member was kept %d lines", strings.Count(string(rest), "\n"))
		}
	})
}

// A member whose last lines are not read does not keep its connection for ever.
func TestGoodbyeIsNotRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann := w.raw("10.0.0.2")
		ann.send("ann\nexit\n")
		time.Sleep(flushTimeout)
		synctest.Wait()
		if _, err := ann.Write([]byte("anybody?\n")); err == nil {
			t.Error("the connection is still open")
		}
	})
}

func TestNoNameInTime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		start := time.Now()
		silent := w.raw("10.0.0.2")
		ann := w.raw("10.0.0.3")
		ann.send("ann\n")
		ann.want("* ann joined")
		silent.want("! no name came in time")
		if _, err := silent.in.ReadByte(); err != io.EOF {
			t.Errorf("then: %v, want the end of the stream", err)
		}
		if waited := time.Since(start); waited != nameTimeout {
			t.Errorf("the server waited %s for a name, want %s", waited, nameTimeout)
		}
		time.Sleep(time.Hour) // who has a name may be silent
		ann.send("exit\n")
		ann.want("# goodbye")
	})
}

// R27: what a person sees of a join that fails.
func TestJoinFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.net.Silence("10.0.0.9")
		ann, bob := w.person("10.0.0.2", defaultOptions()), w.person("10.0.0.3", defaultOptions())
		ann.join("ann")
		tests := []struct{ args, phase, errno, text string }{
			{`{"server": "10.0.0.1:5556", "name": "bob"}`, "connect", "ECONNREFUSED", "refused"},
			{`{"server": "10.0.0.8:5555", "name": "bob"}`, "connect", "EHOSTUNREACH", "no route"},
			{`{"server": "10.0.0.9:5555", "name": "bob", "timeout": "3s"}`, "connect", "ETIMEDOUT", "deadline"},
			{`{"server": "nowhere.example:5555", "name": "bob"}`, "lookup", "", "no such name"},
		}
		for _, test := range tests {
			r := do[JoinResult](bob, "join", test.args)
			if r.Joined || r.Phase != test.phase || r.Errno != test.errno || !strings.Contains(r.Error, test.text) {
				t.Errorf("join %s: %+v, want %s in phase %s", test.args, r, test.errno, test.phase)
			}
		}
		for name, answer := range map[string]string{"ann": "the name ann is taken", "": "the name is empty"} {
			r := do[JoinResult](bob, "join", fmt.Sprintf(`{"server": "10.0.0.1:5555", "name": %q}`, name))
			if r.Joined || r.Answer != answer || r.Error != "" {
				t.Errorf("join as %q: %+v, want the answer %q", name, r, answer)
			}
		}
		bob.join("bob") // nothing of it stands in the way
	})
}

func TestActionsThatCannotBe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann := w.person("10.0.0.2", defaultOptions())
		fails := func(action, args string) {
			t.Helper()
			if r, err := ann.role.Do(t.Context(), ann.host, action, json.RawMessage(args)); err == nil {
				t.Errorf("%s %s: no error, but %+v", action, args, r)
			}
		}
		fails("say", `{"text": "hello"}`)
		fails("hear", `{"text": "hello"}`)
		fails("leave", `{}`)
		fails("join", `{"server": "10.0.0.1", "name": "ann"}`)
		fails("join", `{"server": "10.0.0.1:5555", "name": "ann\nbob"}`)
		fails("dance", `{}`)
		ann.join("ann")
		fails("join", `{"server": "10.0.0.1:5555", "name": "eve"}`)
		fails("say", `{"text": ""}`)
		fails("say", `{"text": "exit"}`)
		fails("say", `{"text": "two\nlines"}`)
		fails("say", `{"words": "hello"}`)
		fails("hear", `{"kind": "laughter"}`)
	})
}

func TestHearWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.person("10.0.0.2", defaultOptions()), w.person("10.0.0.3", defaultOptions())
		ann.join("ann")
		bob.join("bob")
		r := do[HearResult](ann, "hear", `{"text": "hello"}`)
		if r.Heard || r.Waited != 10 || r.Error != "nothing like it was received in 10s" {
			t.Errorf("nobody spoke, and ann heard %+v", r)
		}
		w.served.Go(func() {
			time.Sleep(2 * time.Second)
			do[SayResult](bob, "say", `{"text": "one"}`)
			do[SayResult](bob, "say", `{"text": "two"}`)
		})
		if r := do[HearResult](ann, "hear", `{"text": "two"}`); !r.Heard || r.Waited != 2 {
			t.Errorf("ann heard %+v", r)
		}
		// What was said before is heard too, but only once.
		if r := do[HearResult](ann, "hear", `{}`); r.Text != "one" {
			t.Errorf("ann heard %+v", r)
		}
		if r := do[HearResult](ann, "hear", `{"timeout": "1s"}`); r.Heard {
			t.Errorf("ann heard again %+v", r)
		}
		canceled, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ann.role.Do(canceled, ann.host, "hear", json.RawMessage(`{}`)); err == nil {
			t.Error("hear when the step ends: no error")
		}
	})
}

// R27: the server goes away in the middle.
func TestServerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: memnet.NewWindow(1)}
		var stopServer context.CancelFunc
		w.ctx, stopServer = context.WithCancel(t.Context())
		w.person("10.0.0.1", listening())
		var stopPeople context.CancelFunc
		w.ctx, stopPeople = context.WithCancel(t.Context())
		ann := w.person("10.0.0.2", defaultOptions())
		ann.join("ann")

		stopServer()
		synctest.Wait()
		if r := do[SayResult](ann, "say", `{"text": "hello?"}`); r.Sent || r.Error != "the server closed the connection" {
			t.Errorf("say: %+v", r)
		}
		if r := do[HearResult](ann, "hear", `{}`); r.Heard || !strings.Contains(r.Error, "the server closed the connection") {
			t.Errorf("hear: %+v", r)
		}
		stopPeople()
		w.served.Wait()
		want := map[string][]string{
			"10.0.0.1": {"socket.listen", "socket.accept", "socket.close local", "socket.close local the server stops"},
			"10.0.0.2": {"socket.connect", "socket.close remote connection closed"},
		}
		got := w.story("socket.")
		slices.Sort(got["10.0.0.1"]) // the connections and the listener are closed side by side
		slices.Sort(want["10.0.0.1"])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}

func TestListenFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		h := w.net.Host("10.0.0.1", "10.0.0.1")
		err := newChat(listening(), func(host.Host) lookup { return nil }).Serve(t.Context(), h, func() { t.Error("ready") })
		if err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("two servers on one port: %v", err)
		}
		if got := w.story("socket.error")["10.0.0.1"]; len(got) != 1 || got[0] != "socket.error listen EADDRINUSE" {
			t.Errorf("told %q", got)
		}
	})
}

func TestOptions(t *testing.T) {
	kind := Kind()
	for _, good := range []string{`{}`, `{"listen": ":5555"}`, `{"listen": "[::1]:5555"}`, `{"listen": "127.0.0.1:1"}`} {
		if _, err := kind.New(json.RawMessage(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{`{"listen": "5555"}`, `{"listen": "localhost:5555"}`, `{"listen": ":99999"}`, `{"port": 5555}`} {
		if _, err := kind.New(json.RawMessage(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
