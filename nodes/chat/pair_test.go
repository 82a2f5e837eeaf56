package chat

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/host/hosttest/memnet"
)

// inPair has ann, who listens, and bob talk to each other in a way.
func inPair(t *testing.T, way string, test func(t *testing.T, w *world, ann, bob *person)) {
	o := listening()
	o.Pair = way
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.New())
		ann := w.person("10.0.0.1", o)
		bob := w.person("10.0.0.2", o.client())
		test(t, w, ann, bob)
		w.cancel()
		w.served.Wait()
	})
}

func (p *person) call() {
	p.w.t.Helper()
	if r := do[JoinResult](p, "join", `{"server": "10.0.0.1:5555"}`); !r.Joined {
		p.w.t.Fatalf("join: %+v", r)
	}
}

func (p *person) says(text string) {
	p.w.t.Helper()
	if r := do[SayResult](p, "say", fmt.Sprintf(`{"text": %q}`, text)); !r.Sent {
		p.w.t.Fatalf("say: %+v", r)
	}
}

func (p *person) hears(want string) {
	p.w.t.Helper()
	if r := do[HearResult](p, "hear", `{}`); r.Text != want {
		p.w.t.Fatalf("heard %+v, want %q", r, want)
	}
}

// R22: people take turns, and either may speak first.
func TestTurns(t *testing.T) {
	for _, first := range []string{"server", "client"} {
		t.Run(first, func(t *testing.T) {
			inPair(t, pairTurns, func(t *testing.T, w *world, ann, bob *person) {
				bob.call()
				one, other := ann, bob
				if first == "client" {
					one, other = bob, ann
				}
				for i := range 3 {
					one.says(fmt.Sprintf("one %d", i))
					r := do[SayResult](one, "say", `{"text": "and another thing", "timeout": "1s"}`)
					if r.Sent || r.Error != errNotYourTurn.Error() {
						t.Errorf("a second line in one turn: %+v", r)
					}
					other.hears(fmt.Sprintf("one %d", i))
					other.says(fmt.Sprintf("other %d", i))
					one.hears(fmt.Sprintf("other %d", i))
				}
				if r := do[LeaveResult](one, "leave", `{}`); !r.Left {
					t.Errorf("leave: %+v", r)
				}
				if r := do[HearResult](other, "hear", `{"kind": "leave"}`); !r.Heard || r.Text != "" {
					t.Errorf("heard %+v", r)
				}
			})
		})
	}
}

// R22: who speaks while the other does has said a line and heard one, and goes on.
func TestTurnsBegunByBoth(t *testing.T) {
	inPair(t, pairTurns, func(t *testing.T, w *world, ann, bob *person) {
		bob.call()
		var speaking sync.WaitGroup
		for _, p := range []*person{ann, bob} {
			speaking.Go(func() {
				for i := range 5 {
					p.says(fmt.Sprint(i))
				}
			})
		}
		speaking.Wait()
		for _, p := range []*person{ann, bob} {
			for i := range 5 {
				p.hears(fmt.Sprint(i))
			}
		}
	})
}

// R22: both at once, as fast as they can; and another comes when the first has gone.
func TestBoth(t *testing.T) {
	inPair(t, pairBoth, func(t *testing.T, w *world, ann, bob *person) {
		for range 2 {
			bob.call()
			var speaking sync.WaitGroup
			for _, p := range []*person{ann, bob} {
				speaking.Go(func() {
					for i := range 100 {
						p.says(fmt.Sprint(i))
					}
				})
				speaking.Go(func() {
					for i := range 100 {
						p.hears(fmt.Sprint(i))
					}
				})
			}
			speaking.Wait()
			if r := do[LeaveResult](bob, "leave", `{}`); !r.Left || r.Name != "10.0.0.2" {
				t.Errorf("leave: %+v", r)
			}
			if r := do[HearResult](ann, "hear", `{"kind": "leave"}`); r.From != "10.0.0.2" || r.Text != "" {
				t.Errorf("heard %+v", r)
			}
		}
	})
}

// R22, R8: with nc at the other end, which does not know of turns: what it says too soon waits in the network.
func TestPairWithPlainLines(t *testing.T) {
	inPair(t, pairTurns, func(t *testing.T, w *world, ann, _ *person) {
		c, err := w.net.Host("10.0.0.3", "10.0.0.3").Dial(w.ctx, "tcp", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		nc := &raw{c, t, bufio.NewReader(c)}
		nc.send("one\ntwo\n")
		ann.hears("one")
		if r := do[HearResult](ann, "hear", `{"timeout": "1s"}`); r.Heard {
			t.Errorf("out of turn ann heard %+v", r)
		}
		ann.says("three")
		nc.want("three")
		ann.hears("two")
		ann.says("four")
		nc.want("four")
		nc.send("exit\n")
		if r := do[HearResult](ann, "hear", `{"kind": "leave"}`); r.From != "10.0.0.3" {
			t.Errorf("heard %+v", r)
		}
		if _, err := nc.in.ReadByte(); err != io.EOF {
			t.Errorf("after the leave word: %v, want the end of the stream", err)
		}
	})
}

// R27: the other end is gone without a word, in each of the ways in which it can be.
func TestPairLost(t *testing.T) {
	tests := []struct {
		name   string
		end    func(net.Conn) error
		reason string
	}{
		{"closed", net.Conn.Close, "connection closed"},
		{"half-closed", func(c net.Conn) error { return c.(interface{ CloseWrite() error }).CloseWrite() }, "connection closed"},
		{"reset", func(c net.Conn) error {
			_ = c.(interface{ SetLinger(int) error }).SetLinger(0)
			return c.Close()
		}, "connection lost (ECONNRESET)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inPair(t, pairBoth, func(t *testing.T, w *world, ann, _ *person) {
				c, err := w.net.Host("10.0.0.3", "10.0.0.3").Dial(w.ctx, "tcp", serverAddr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				synctest.Wait()
				if err := test.end(c); err != nil {
					t.Fatal(err)
				}
				r := do[HearResult](ann, "hear", `{"kind": "leave"}`)
				if r.From != "10.0.0.3" || r.Text != test.reason {
					t.Errorf("heard %+v", r)
				}
				if r := do[SayResult](ann, "say", `{"text": "hello?", "timeout": "1s"}`); r.Sent {
					t.Errorf("said to nobody: %+v", r)
				}
			})
		})
	}
}

// The events of a conversation, on both sides.
func TestPairEvents(t *testing.T) {
	inPair(t, pairTurns, func(t *testing.T, w *world, ann, bob *person) {
		w.served.Go(func() { // before anybody is there
			ann.says("who is it?")
		})
		time.Sleep(time.Second)
		bob.call()
		bob.hears("who is it?")
		bob.says("bob")
		ann.hears("bob")
		do[LeaveResult](ann, "leave", `{}`)
		synctest.Wait()
		want := map[string][]string{
			"10.0.0.1": {
				"chat.join server 10.0.0.2", "chat.message server 10.0.0.1 who is it?", "chat.message server 10.0.0.2 bob",
				"chat.leave server 10.0.0.1",
			},
			"10.0.0.2": {
				"chat.join client 10.0.0.1", "chat.message client 10.0.0.1 who is it?", "chat.message client 10.0.0.2 bob",
				"chat.leave client 10.0.0.1",
			},
		}
		if diff := cmp.Diff(want, w.story("chat.")); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}
