package announce

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/host/hosttest/memnet"
	"scenario/nodes/role"
)

// program is an announcer on a host in memory.
type program struct {
	t    *testing.T
	host *memnet.Host
	role role.Actor
}

// inWorld runs a test in virtual time with an announcer at 10.0.0.N for each of the options.
func inWorld(t *testing.T, test func(network *memnet.Net, programs []program), options ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		ctx, stop := context.WithCancel(t.Context())
		var served sync.WaitGroup
		var programs []program
		for i, o := range options {
			r, err := Kind().New([]byte(o))
			if err != nil {
				t.Fatal(err)
			}
			p := program{t, network.Host(fmt.Sprintf("node%d", i+1), fmt.Sprintf("10.0.0.%d", i+1)), r.(role.Actor)}
			ready := make(chan struct{})
			served.Go(func() {
				if err := r.Serve(ctx, p.host, func() { close(ready) }); err != nil {
					t.Errorf("serve: %v", err)
				}
			})
			<-ready
			programs = append(programs, p)
		}
		test(network, programs)
		stop()
		served.Wait()
	})
}

func (p program) announce(args string) AnnounceResult {
	p.t.Helper()
	result, err := p.role.Do(p.t.Context(), p.host, "announce", json.RawMessage(args))
	if err != nil {
		p.t.Fatalf("announce %s: %v", args, err)
	}
	return result.(AnnounceResult)
}

func (p program) heard(args string) HeardResult {
	p.t.Helper()
	result, err := p.role.Do(p.t.Context(), p.host, "heard", json.RawMessage(args))
	if err != nil {
		p.t.Fatalf("heard %s: %v", args, err)
	}
	return result.(HeardResult)
}

// R24: one announces to many, and every one of them hears it; many to one likewise, told apart by their addresses.
func TestOneToManyToOne(t *testing.T) {
	inWorld(t, func(_ *memnet.Net, p []program) {
		for range 2 { // what one step names is no other step's list
			p[0].announce(`{"text": "only you", "to": ["10.0.0.3:9999"]}`)
		}
		sent := p[0].announce(`{"text": "hello", "count": 2, "pause": "1s"}`)
		if sent.First != 3 || sent.Last != 4 || sent.Sent != 4 || len(sent.To) != 2 || sent.To[0].Address != "10.0.0.2:9999" {
			t.Errorf("announced: %+v", sent)
		}
		if got := p[1].heard(`{"count": 2}`); !got.Complete || got.Total != 2 {
			t.Errorf("heard %+v", got)
		} else if diff := cmp.Diff([]Announcement{{"10.0.0.1:9999", 3, "hello"}, {"10.0.0.1:9999", 4, "hello"}}, got.Heard); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		} else if diff := cmp.Diff([]Sender{{From: "10.0.0.1:9999", Heard: 2, Missing: 2}}, got.Senders); diff != "" {
			t.Errorf("senders (-want +got):\n%s", diff)
		}
		for _, one := range p[1:] {
			one.announce(`{"text": "here", "to": ["10.0.0.1:9999"]}`)
		}
		want := []Sender{{From: "10.0.0.2:9999", Heard: 1}, {From: "10.0.0.3:9999", Heard: 1}}
		if diff := cmp.Diff(want, p[0].heard(`{"count": 2}`).Senders); diff != "" {
			t.Errorf("senders (-want +got):\n%s", diff)
		}
	}, `{"to": ["10.0.0.2:9999", "10.0.0.3:9999"]}`, `{}`, `{}`)
}

// What the options say is announced again and again, as often as they say.
func TestEvery(t *testing.T) {
	inWorld(t, func(_ *memnet.Net, p []program) {
		start := time.Now()
		if got := p[1].heard(`{"count": 3, "timeout": "0"}`); got.Heard[2].Number != 3 || time.Since(start).Round(time.Second) != 30*time.Second {
			t.Errorf("heard after %v: %+v", time.Since(start), got)
		}
		if got := p[1].heard(`{"count": 4, "timeout": "1h"}`); got.Complete {
			t.Errorf("heard once too often: %+v", got)
		}
	}, `{"to": ["10.0.0.2:9999"], "text": "again", "every": "10s", "count": 3}`, `{}`)
}

// R24: that nobody listens, or that one of many cannot be sent to, is nothing to the others.
func TestNobodyThere(t *testing.T) {
	inWorld(t, func(network *memnet.Net, p []program) {
		network.NoRoute("10.9.9.9")
		got := p[0].announce(`{"text": "hello", "count": 2, "to": ["10.0.0.2:1", "10.9.9.9:9999", "nowhere.example:9999", "10.0.0.2:9999"]}`)
		if got.To[0].Sent != 2 || got.To[3].Sent != 2 || got.Sent != 4 {
			t.Errorf("sent: %+v", got)
		}
		if got.To[1].Errno != "ENETUNREACH" || got.To[1].Phase != "send" || got.To[2].Phase != "lookup" || got.To[2].Error == "" {
			t.Errorf("failed: %+v", got)
		}
		if got := p[1].heard(`{"count": 2}`); !got.Complete {
			t.Errorf("heard: %+v", got)
		}
		if got := p[0].announce(`{"text": "still here?", "to": ["10.0.0.2:9999"]}`); got.Sent != 1 {
			t.Errorf("after that: %+v", got)
		}
	}, `{}`, `{}`)
}

// Datagrams of other programs are heard too, whatever is in them; those that are too many are counted alone.
func TestOtherPrograms(t *testing.T) {
	inWorld(t, func(network *memnet.Net, p []program) {
		c, err := network.Host("other", "10.0.0.9").Dial(t.Context(), "udp", "10.0.0.1:9999")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, text := range []string{"hello", "", "#2 two", "\xff"} {
			send(t, c, text)
		}
		got := p[0].heard(`{"count": 4}`)
		from := c.LocalAddr().String()
		want := []Announcement{{from, 0, "hello"}, {from, 0, ""}, {from, 2, "two"}, {from, 0, "\ufffd"}}
		if diff := cmp.Diff(want, got.Heard); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
		for n := range maxHeard {
			send(t, c, "#3 flood")
			if n%50 == 49 { // more than that may not fit into the receiver's buffer
				p[0].heard(fmt.Sprintf(`{"count": %d}`, min(n+5, maxHeard)))
			}
		}
		synctest.Wait()
		if got := p[0].heard(`{}`); got.Total != maxHeard+4 || len(got.Heard) != maxHeard {
			t.Errorf("%d heard, %d remembered", got.Total, len(got.Heard))
		}
	}, `{}`)
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// R24: loss, reordering and repetition, as the numbers show them.
func TestAccount(t *testing.T) {
	tests := []struct {
		name    string
		numbers []int
		want    Sender
	}{
		{"in order", []int{1, 2, 3}, Sender{Heard: 3}},
		{"one lost", []int{1, 3}, Sender{Heard: 2, Missing: 1}},
		{"the first lost", []int{3}, Sender{Heard: 1, Missing: 2}},
		{"overtaken", []int{1, 3, 2, 4}, Sender{Heard: 4, Late: 1}},
		{"twice", []int{1, 1, 2, 1}, Sender{Heard: 4, Repeated: 2}},
		{"without numbers", []int{0, 0}, Sender{Heard: 2}},
		{"all at once", []int{5, 0, 2, 2, 9}, Sender{Heard: 5, Missing: 6, Late: 1, Repeated: 1}},
	}
	for _, test := range tests {
		if got := accountOf("", test.numbers); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// What makes no sense is refused with what would be right.
func TestMistakes(t *testing.T) {
	for options, want := range map[string]string{
		`{"listen": "here"}`: `listen: "here" is no IP:port and no :port`,
		`{"to": ["ann"]}`:    `to: "ann" is not "host:port"`,
		`{"count": -1}`:      "count: -1 is not from 0 to 10000",
		`{"text": "a"}`:      "every says how often",
		`{"every": "1s"}`:    "every: text and to say what is announced",
		`{"port": 1}`:        `unknown field "port"`,
	} {
		if _, err := Kind().New([]byte(options)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", options, err, want)
		}
	}
	inWorld(t, func(_ *memnet.Net, p []program) {
		for _, test := range []struct{ action, args, want string }{
			{"announce", `{"text": "a"}`, "to: nobody is named"},
			{"announce", `{"text": "a", "to": [":1"]}`, "to: "},
			{"announce", `{"text": "a", "to": ["10.0.0.1:1"], "count": 0}`, "count: 0 is not from 1"},
			{"announce", `{"text": "` + strings.Repeat("a", maxText+1) + `", "to": ["10.0.0.1:1"]}`, "text: 65001 bytes"},
			{"heard", `{"count": 10001}`, "count: 10001 is not from 0"},
			{"heard", `{"until": 1}`, `unknown field "until"`},
			{"listen", `{}`, "no such action"},
		} {
			_, err := p[0].role.Do(t.Context(), p[0].host, test.action, json.RawMessage(test.args))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %s", test.action, err, test.want)
			}
		}
	}, `{}`)
}

func TestParse(t *testing.T) {
	for datagram, want := range map[string]Announcement{
		"#1 hello":          {Number: 1, Text: "hello"},
		"#12  two":          {Number: 12, Text: " two"},
		"#3 ":               {Number: 3},
		"#3":                {Text: "#3"},
		"#0 a":              {Text: "#0 a"},
		"#01 a":             {Text: "#01 a"},
		"#-1 a":             {Text: "#-1 a"},
		"# a":               {Text: "# a"},
		"#1234567890 a":     {Text: "#1234567890 a"},
		"hello\n":           {Text: "hello\n"},
		"#1 caf\xc3":        {Number: 1, Text: "caf\ufffd"},
		"#1 line\nand line": {Number: 1, Text: "line\nand line"},
	} {
		number, text := parse([]byte(datagram))
		if got := (Announcement{Number: number, Text: text}); got != want {
			t.Errorf("%q is read as %+v, want %+v", datagram, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("#1 hello"))
	f.Add([]byte("#999999999 \xff"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		number, text := parse(datagram)
		if number < 0 || number == 0 && text != clean(datagram) {
			t.Errorf("%q is read as %d %q", datagram, number, text)
		}
		if number > 0 {
			if again, same := parse(format(number, text)); again != number || same != text {
				t.Errorf("%q is read as %d %q, and written again as %d %q", datagram, number, text, again, same)
			}
		}
	})
}
