package chat

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const webAddr = "10.0.0.1:8080"

// onWeb are the options of a room by TCP and by WebSocket.
func onWeb() Options {
	o := listening()
	o.WebSocket = ":8080"
	return o
}

func (p *person) joinWeb(name, more string) JoinResult {
	p.w.t.Helper()
	return do[JoinResult](p, "join", fmt.Sprintf(`{"server": "ws://chat.example:8080/chat", "name": %q%s}`, name, more))
}

// frames are the ws events of a node in short.
func (w *world) frames(node string) (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		if r.Node != node || !strings.HasPrefix(r.Event, "ws.") && !strings.HasPrefix(r.Event, "http.") {
			continue
		}
		words := []string{r.Event}
		for _, key := range []string{"direction", "opcode", "status", "by", "code", "text", "reason"} {
			if v, ok := r.Attrs[key]; ok && v != "" {
				words = append(words, fmt.Sprint(v))
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// R17, R26: members by TCP and by WebSocket are in one room.
func TestRoomByBoth(t *testing.T) {
	inWorldOf(t, onWeb(), func(t *testing.T, w *world) {
		ann := w.raw("10.0.0.2")
		ann.send("ann\n")
		ann.want("* ann joined")
		bob := w.person("10.0.0.3", defaultOptions())
		r := bob.joinWeb("bob", "")
		if !r.Joined || r.Status != 101 || r.Protocol != subprotocol || r.Remote != webAddr {
			t.Fatalf("join: %+v", r)
		}
		ann.want("* bob joined")
		do[SayResult](bob, "say", `{"text": "hello ann"}`)
		ann.want("bob: hello ann")
		ann.send("hello bob ☺\n")
		if r := do[HearResult](bob, "hear", `{"from": "ann"}`); r.Text != "hello bob ☺" {
			t.Errorf("bob heard %+v", r)
		}
		if r := do[LeaveResult](bob, "leave", `{}`); !r.Left {
			t.Errorf("leave: %+v", r)
		}
		ann.want("* bob left")
		synctest.Wait()
		// What is sent and what is received may pass each other.
		var sent, rest []string
		for _, line := range w.frames("10.0.0.3") {
			if strings.HasPrefix(line, "ws.frame sent text ") {
				sent = append(sent, line)
			} else {
				rest = append(rest, line)
			}
		}
		if diff := cmp.Diff([]string{
			"ws.frame sent text bob", "ws.frame sent text hello ann", "ws.frame sent text exit",
		}, sent); diff != "" {
			t.Errorf("what the client sent differs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{
			"http.request", "http.response 101", "ws.open",
			"ws.frame received text # what is your name?", "ws.frame received text * bob joined",
			"ws.frame received text # ann is here", "ws.frame received text ann: hello bob ☺",
			"ws.frame received text # goodbye", "ws.frame received close 1000 left", "ws.frame sent close 1000 left",
			"ws.close remote 1000 left",
		}, rest); diff != "" {
			t.Errorf("the client's other events differ (-want +got):\n%s", diff)
		}
		told := w.frames("10.0.0.1")
		if n := len(told); n != 14 || told[n-1] != "ws.close local 1000 left" {
			t.Errorf("the server told %q", told)
		}
		for _, r := range w.records {
			if raw, _ := r.Attrs["raw"].(string); r.Event == "http.request" && !strings.HasPrefix(raw, "GET /chat HTTP/1.1\r\nHost: chat.example:8080\r\n") ||
				r.Event == "http.response" && !strings.HasPrefix(raw, "HTTP/1.1 101 Switching Protocols\r\n") {
				t.Errorf("%s shows %q", r.Event, raw)
			}
		}
	})
}

// R17: the server decides whose pages may open a WebSocket.
func TestOrigin(t *testing.T) {
	o := onWeb()
	o.Origins = []string{"shop.example", "http://*.partner.example"}
	inWorldOf(t, o, func(t *testing.T, w *world) {
		for i, test := range []struct {
			origin string
			status int
		}{
			{"http://chat.example:8080", 101},
			{"http://shop.example", 101},
			{"https://shop.example", 101},
			{"http://a.partner.example", 101},
			{"https://a.partner.example", 403},
			{"http://chat.example", 403},
			{"http://evil.example", 403},
			{"null", 403},
		} {
			p := w.person(fmt.Sprintf("10.0.1.%d", i+1), defaultOptions())
			r := p.joinWeb(fmt.Sprintf("p%d", i), fmt.Sprintf(`, "origin": %q`, test.origin))
			if r.Status != test.status || r.Joined != (test.status == 101) {
				t.Errorf("from %s: %+v, want %d", test.origin, r, test.status)
			}
			if want := "the server answered 403 Forbidden: A page of " + test.origin + " may not open a WebSocket here"; !r.Joined && !strings.HasPrefix(r.Error, want) {
				t.Errorf("from %s: %q, want %q", test.origin, r.Error, want)
			}
		}
	})
}

// R17, R23: a member that is silent is pinged; one that answers stays, one that does not is lost.
func TestPing(t *testing.T) {
	o := onWeb()
	o.Heartbeat.UnmarshalText([]byte("10s"))
	inWorldOf(t, o, func(t *testing.T, w *world) {
		bob := w.person("10.0.0.3", defaultOptions())
		bob.joinWeb("bob", "")
		mute := w.dialWeb("10.0.0.4", "")
		mute.want(text("# what is your name?"))
		mute.send(masked(0x81, "mute"))
		mute.want(text("* mute joined"), text("# bob is here"), "89 1")
		mute.want(closing(1011, "silent for 20s"))
		mute.send(masked(0x88, "\x03\xf3"))
		mute.end()
		time.Sleep(time.Minute)
		if r := do[HearResult](bob, "hear", `{"kind": "leave"}`); r.From != "mute" || r.Text != "silent for 20s" {
			t.Errorf("bob heard %+v", r)
		}
		if _, err := bob.role.client.session(); err != nil {
			t.Errorf("bob, who answers pings: %v", err)
		}
	})
}
