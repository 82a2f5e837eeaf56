package chat

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scenario/nodes/role"
)

// enter gives a name and reads that it was taken.
func (r *raw) enter(name string) {
	r.t.Helper()
	r.send(name + "\n")
	r.want("* " + name + " joined")
}

// R23: who comes late is told what was said before, as much as the room keeps.
func TestHistory(t *testing.T) {
	o := listening()
	o.History = 2
	inWorldOf(t, o, func(t *testing.T, w *world) {
		ann := w.raw("10.0.0.2")
		ann.enter("ann")
		ann.send("one\ntwo\nthree\n")
		synctest.Wait()
		bob := w.raw("10.0.0.3")
		bob.enter("bob")
		bob.want("# ann is here", "# the last 2 of 3 messages so far:", "ann: two", "ann: three")
		ann.send("four\n")
		bob.want("ann: four")
	})
}

// R23: a member that is gone without a sign is asked, lost after as long again, and announced; one that answers is not.
func TestHeartbeat(t *testing.T) {
	o := listening()
	o.Heartbeat = role.Duration(10 * time.Second)
	inWorldOf(t, o, func(t *testing.T, w *world) {
		start := time.Now()
		gone, ann := w.raw("10.0.0.2"), w.person("10.0.0.3", defaultOptions())
		gone.enter("gone")
		ann.join("ann")
		gone.want("* ann joined", "? are you there")
		if at := time.Since(start); at != 10*time.Second {
			t.Errorf("asked after %s", at)
		}
		gone.send("\n")
		gone.want("? are you there")
		r := do[HearResult](ann, "hear", `{"kind": "leave", "timeout": "0s"}`)
		if at := time.Since(start); r.From != "gone" || r.Text != "silent for 20s" || at != 30*time.Second {
			t.Errorf("after %s ann heard %+v", at, r)
		}
		if _, err := gone.in.ReadByte(); err != io.EOF {
			t.Errorf("who is lost reads %v, want the end", err)
		}
		time.Sleep(time.Hour) // the client of the role answers by itself
		do[SayResult](ann, "say", `{"text": "still here"}`)
		if r := do[HearResult](ann, "hear", `{"timeout": "1s"}`); r.Error != "nothing like it was received in 1s" {
			t.Errorf("ann is no more in the room: %+v", r)
		}
	})
}

// A room that is full says so.
func TestLimit(t *testing.T) {
	o := listening()
	o.Limit = 2
	inWorldOf(t, o, func(t *testing.T, w *world) {
		ann := w.raw("10.0.0.2")
		ann.enter("ann")
		w.raw("10.0.0.3") // without a name it counts too
		full, err := w.net.Host("10.0.0.4", "10.0.0.4").Dial(w.ctx, "tcp", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		if text, err := io.ReadAll(full); string(text) != "! the room is full\n" || err != nil {
			t.Errorf("received %q, %v", text, err)
		}
		ann.send("exit\n")
		ann.want("# goodbye")
		synctest.Wait()
		w.raw("10.0.0.4").enter("eve")
	})
}

// Names that are given: the first line is a message already.
func TestNamesGiven(t *testing.T) {
	o := listening()
	o.Names, o.Leave = namesGiven, "q"
	inWorldOf(t, o, func(t *testing.T, w *world) {
		one, two := w.person("10.0.0.2", o.client()), w.person("10.0.0.3", o.client())
		for i, p := range []*person{one, two} {
			if r := do[JoinResult](p, "join", `{"server": "10.0.0.1:5555"}`); !r.Joined || r.Name != fmt.Sprintf("guest%d", i+1) {
				t.Errorf("join: %+v", r)
			}
		}
		do[SayResult](one, "say", `{"text": "exit"}`) // a word like any other here
		if r := do[HearResult](two, "hear", `{}`); r.From != "guest1" || r.Text != "exit" {
			t.Errorf("heard %+v", r)
		}
		if r := do[LeaveResult](one, "leave", `{}`); !r.Left || r.Name != "guest1" {
			t.Errorf("leave: %+v", r)
		}
	})
}

// client are the options of a node that joins a room of these.
func (o Options) client() Options {
	o.Listen = ""
	return o
}

// A quiet room tells of nobody's coming and going.
func TestQuiet(t *testing.T) {
	o := listening()
	o.Quiet = true
	inWorldOf(t, o, func(t *testing.T, w *world) {
		ann, bob := w.raw("10.0.0.2"), w.raw("10.0.0.3")
		ann.enter("ann")
		bob.enter("bob")
		bob.send("hello\nexit\n")
		ann.want("bob: hello")
		synctest.Wait()
		eve := w.raw("10.0.0.4")
		eve.enter("eve")
		eve.want("# ann is here")
		eve.send("hello\n")
		ann.want("eve: hello")
	})
}

// In a room of many a newcomer is told some names, and how many there are beside.
func TestManyAreHere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i := range maxHere + 3 {
			w.raw(fmt.Sprintf("10.0.1.%d", i)).enter(fmt.Sprintf("p%d", i))
			synctest.Wait()
		}
		last := w.raw("10.0.0.2")
		last.enter("last")
		for i := range maxHere {
			last.want(fmt.Sprintf("# p%d is here", i))
		}
		last.want("# and 3 more are here")
	})
}

// R23: who was dropped as too slow and reads on is told so, and the lines before are whole.
func TestSlowIsTold(t *testing.T) {
	o := listening()
	o.Behind = 4
	inWorldOf(t, o, func(t *testing.T, w *world) {
		slow, ann := w.raw("10.0.0.2"), w.raw("10.0.0.3")
		slow.enter("slow")
		ann.enter("ann")
		ann.want("# slow is here")
		for range 10 {
			ann.send("hello\n")
			synctest.Wait()
		}
		ann.want("* slow left: too slow")
		rest, err := io.ReadAll(slow.in)
		if err != nil {
			t.Error(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(rest), "\n"), "\n")
		if n := len(lines); lines[n-1] != "! too slow: more than 4 lines wait for you" || n > 4 {
			t.Errorf("received %q", lines)
		}
	})
}

// A thousand who connect and say nothing leave the room to the others, and are sent away in the end.
func TestThousandSilent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		silent := make([]*raw, 1000)
		for i := range silent {
			silent[i] = w.raw(fmt.Sprintf("10.1.%d.%d", i/250, i%250+1))
		}
		ann, bob := w.raw("10.0.0.2"), w.raw("10.0.0.3")
		ann.enter("ann")
		bob.enter("bob")
		ann.want("* bob joined")
		bob.send("hello\n")
		ann.want("bob: hello")
		start := time.Now()
		for _, s := range silent {
			s.want("! no name came in time")
			if _, err := s.in.ReadByte(); err != io.EOF {
				t.Fatalf("a silent one reads %v, want the end", err)
			}
		}
		if took := time.Since(start); took != nameTimeout {
			t.Errorf("they were sent away after %s", took)
		}
		ann.send("alone at last\n")
		bob.want("# ann is here", "ann: alone at last")
	})
}

// Who sends without end, but no line, is not given more time for a name.
func TestNameInPieces(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		start := time.Now()
		drip := w.raw("10.0.0.2")
		w.served.Go(func() {
			for {
				if _, err := io.WriteString(drip, "x"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		drip.want("! no name came in time")
		if took := time.Since(start); took != nameTimeout {
			t.Errorf("it was sent away after %s", took)
		}
	})
}

func TestRoomOptions(t *testing.T) {
	kind := Kind()
	for _, bad := range []string{
		`{"names": "guessed"}`, `{"leave": ""}`, `{"leave": "a\nb"}`, `{"history": -1}`, `{"history": 1001}`, `{"behind": 0}`,
		`{"limit": -1}`, `{"pair": "three"}`, `{"pair": "both", "history": 1}`, `{"pair": "turns", "heartbeat": "1s"}`, `{"heartbeat": "-1s"}`,
	} {
		if _, err := kind.New([]byte(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
