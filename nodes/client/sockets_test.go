package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scenario/event"
)

// R19: a socket's whole life on both sides, call by call, each told with its addresses.
func TestSocketLife(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if r := do[ListenResult](w, "listen", `{"at": "10.0.0.2:9000"}`); !r.Listening || r.Local != "10.0.0.2:9000" {
			t.Fatalf("listen: %+v", r)
		}
		open := do[OpenResult](w, "open", `{"to": "10.0.0.2:9000", "socket": "client"}`)
		if !open.Connected || open.Network != "tcp" || open.Remote != "10.0.0.2:9000" {
			t.Fatalf("open: %+v", open)
		}
		accept := do[AcceptResult](w, "accept", `{"socket": "server"}`)
		if !accept.Accepted || accept.Local != "10.0.0.2:9000" || accept.Remote != open.Local {
			t.Fatalf("accept: %+v", accept)
		}
		if r := do[SendResult](w, "send", `{"socket": "client", "text": "hello\nworld"}`); r.Sent != 11 || r.Calls != 1 || !r.Complete {
			t.Errorf("send: %+v", r)
		}
		line := do[RecvResult](w, "recv", `{"socket": "server", "line": true}`)
		if line.Text != "hello\n" || !line.Complete || line.End || line.Remote != open.Local {
			t.Errorf("recv of a line: %+v", line)
		}
		do[CloseResult](w, "shutdown", `{"socket": "client"}`)
		rest := do[RecvResult](w, "recv", `{"socket": "server", "end": true}`)
		if rest.Text != "world" || !rest.Complete || !rest.End {
			t.Errorf("recv of the rest: %+v", rest)
		}
		for _, name := range []string{"server", "client", "listener"} {
			if r := do[CloseResult](w, "close", fmt.Sprintf(`{"socket": %q}`, name)); r.Error != "" {
				t.Errorf("close %s: %+v", name, r)
			}
		}
		want := "socket.create socket.bind socket.listen socket.create socket.connect socket.accept socket.send socket.recv " +
			"socket.shutdown socket.recv socket.close socket.close socket.close"
		if got := w.story(); got != want {
			t.Errorf("told\n%s, want\n%s", got, want)
		}
		for _, r := range w.records {
			if recv, ok := event.As[event.SocketRecv](r); ok && !recv.End && (recv.Local != "10.0.0.2:9000" || recv.Data != "hello\nworld") {
				t.Errorf("told is %+v", recv)
			}
		}
	})
}

// pair opens a connection and accepts it: sockets a and b of the node.
func (w *world) pair() {
	w.t.Helper()
	do[ListenResult](w, "listen", `{"at": "10.0.0.2:9000"}`)
	do[OpenResult](w, "open", `{"to": "10.0.0.2:9000", "socket": "a"}`)
	do[AcceptResult](w, "accept", `{"socket": "b"}`)
}

// R21: what recv waits for, however the stream was cut into pieces on its way.
func TestRecv(t *testing.T) {
	tests := []struct {
		name, send, recv string
		text             string
		pieces           []int
		complete, end    bool
	}{
		{"what is there", `"text": "hello"`, `"buffer": 16`, "hello", []int{5}, true, false},
		{"a piece", `"text": "hello"`, `"buffer": 3`, "hel", []int{3}, true, false},
		{"so many bytes", `"text": "hello world"`, `"bytes": 7, "buffer": 3`, "hello w", []int{3, 3, 1}, true, false},
		{"a line", `"text": "one\ntwo\n"`, `"line": true`, "one\n", []int{8}, true, false},
		{"a text", `"text": "one, two, three"`, `"until": "two"`, "one, two", []int{15}, true, false},
		{"a text across pieces", `"text": "aaab"`, `"until": "aab", "buffer": 1`, "aaab", []int{1, 1, 1, 1}, true, false},
		{"a text that does not come", `"text": "one"`, `"until": "two", "timeout": "1s"`, "one", []int{3}, false, false},
		{"too few bytes", `"text": "one"`, `"bytes": 4, "timeout": "1s"`, "one", []int{3}, false, false},
		{"no end", `"text": "one"`, `"end": true, "timeout": "1s"`, "one", []int{3}, false, false},
	}
	for _, test := range tests {
		inWorld(t, func(t *testing.T, w *world) {
			w.pair()
			do[SendResult](w, "send", fmt.Sprintf(`{"socket": "a", %s}`, test.send))
			r := do[RecvResult](w, "recv", fmt.Sprintf(`{"socket": "b", %s}`, test.recv))
			if r.Text != test.text || !slices.Equal(r.Pieces, test.pieces) || r.Complete != test.complete || r.End != test.end ||
				r.Size != int64(len(test.text)) || r.Calls != len(test.pieces) || r.SHA256 != sumOf(test.text) {
				t.Errorf("%s: %+v", test.name, r)
			}
			if !test.complete && (r.Errno != "ETIMEDOUT" || r.Phase != "recv" || r.Meaning != "nothing more came in time") {
				t.Errorf("%s: %+v", test.name, r.Outcome)
			}
		})
	}
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// What one recv brought and nobody waited for is what the next one gets first.
func TestRecvKeepsTheRest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		do[SendResult](w, "send", `{"socket": "a", "text": "one\ntwo\nthree, four"}`)
		for _, want := range []struct{ args, text string }{
			{`"line": true`, "one\n"}, {`"line": true`, "two\n"}, {`"until": ", "`, "three, "}, {`"bytes": 1`, "f"}, {`"buffer": 16`, "our"},
		} {
			if r := do[RecvResult](w, "recv", `{"socket": "b", `+want.args+`}`); r.Text != want.text {
				t.Errorf("received %q, want %q", r.Text, want.text)
			}
		}
		do[CloseResult](w, "close", `{"socket": "a"}`)
		if r := do[RecvResult](w, "recv", `{"socket": "b"}`); !r.Complete || !r.End || r.Size != 0 || r.Error != "" {
			t.Errorf("recv at the end: %+v", r)
		}
		r := do[RecvResult](w, "recv", `{"socket": "b", "bytes": 1}`)
		if r.Complete || !r.End || r.Meaning != "the other end closed the connection" {
			t.Errorf("recv after the end: %+v", r)
		}
	})
}

// What is no text is sent and received in base64.
func TestBinary(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		do[SendResult](w, "send", `{"socket": "a", "base64": "AP8B"}`)
		if r := do[RecvResult](w, "recv", `{"socket": "b"}`); r.Text != "" || r.Base64 != "AP8B" || r.Size != 3 {
			t.Errorf("received %+v", r)
		}
	})
}

// R21: sent in pieces, with pauses between them.
func TestSendInPieces(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		sent := do[SendResult](w, "send", `{"socket": "a", "text": "hello world", "piece": 4, "pause": "1s"}`)
		if sent.Calls != 3 || sent.Sent != 11 || sent.Duration != 2 || !sent.Complete {
			t.Errorf("sent %+v", sent)
		}
		slow := do[RecvResult](w, "recv", `{"socket": "b", "bytes": 11, "buffer": 4, "pause": "1s"}`)
		if !slices.Equal(slow.Pieces, []int{4, 4, 3}) || slow.Duration != 3 || slow.SHA256 != sent.SHA256 {
			t.Errorf("received %+v", slow)
		}
	})
}

// R32: a reader that does not read stops the sender, which goes on when it reads; nothing is lost.
func TestBackpressure(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		stuck := do[SendResult](w, "send", `{"socket": "a", "size": 1000000, "timeout": "1s"}`)
		if stuck.Complete || stuck.Sent != 64<<10 || stuck.Errno != "ETIMEDOUT" || !strings.Contains(stuck.Meaning, "does not take") {
			t.Fatalf("send to nobody who reads: %+v", stuck)
		}
		all := do[RecvResult](w, "recv", fmt.Sprintf(`{"socket": "b", "bytes": %d}`, stuck.Sent))
		if all.SHA256 != stuck.SHA256 || !strings.HasPrefix(all.Text, "000000000000000\n000000000000001\n") {
			t.Errorf("received %d bytes that begin with %q", all.Size, all.Text[:32])
		}
		var both sync.WaitGroup
		var sent SendResult
		both.Go(func() { sent = do[SendResult](w, "send", `{"socket": "a", "size": 1000000}`) })
		got := do[RecvResult](w, "recv", `{"socket": "b", "bytes": 1000000, "buffer": 100000, "pause": "100ms"}`)
		both.Wait()
		if !sent.Complete || !got.Complete || sent.SHA256 != got.SHA256 {
			t.Errorf("sent %+v, received %d bytes", sent.Outcome, got.Size)
		}
		if sent.Duration < 1 {
			t.Errorf("the reader takes 100 ms for 64 KiB at most, and everything was sent after %v s", sent.Duration)
		}
	})
}

// R27: what becomes of a connection whose other end breaks it off, or closes it too early.
func TestLostPeer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		do[CloseResult](w, "reset", `{"socket": "a"}`)
		if r := do[RecvResult](w, "recv", `{"socket": "b"}`); r.Errno != "ECONNRESET" || r.Meaning == "" {
			t.Errorf("recv after a reset: %+v", r.Outcome)
		}
		do[CloseResult](w, "close", `{"socket": "b"}`)
		do[OpenResult](w, "open", `{"to": "10.0.0.2:9000", "socket": "a"}`)
		do[AcceptResult](w, "accept", `{"socket": "b"}`)
		do[CloseResult](w, "close", `{"socket": "a"}`)
		if r := do[SendResult](w, "send", `{"socket": "b", "text": "hello"}`); r.Errno != "EPIPE" || r.Complete {
			t.Errorf("send to an end that was closed: %+v", r)
		}
	})
}

// R27: listening where one cannot, and accepting what does not come, are results.
func TestListenFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		do[ListenResult](w, "listen", `{"at": ":9000"}`)
		for args, errno := range map[string]string{
			`{"at": ":9000", "socket": "b"}`:           "EADDRINUSE",
			`{"at": "10.0.0.1:9001", "socket": "b"}`:   "EADDRNOTAVAIL",
			`{"at": "/nowhere/at/all", "socket": "b"}`: "ENOENT",
		} {
			if r := do[ListenResult](w, "listen", args); r.Listening || r.Errno != errno || r.Phase != "listen" || r.Meaning == "" {
				t.Errorf("%s: %+v", args, r)
			}
		}
		r := do[AcceptResult](w, "accept", `{"timeout": "1s"}`)
		if r.Accepted || r.Waited != 1 || r.Errno != "ETIMEDOUT" || r.Meaning != "nobody connected in time" {
			t.Errorf("accept: %+v", r)
		}
		do[OpenResult](w, "open", `{"to": "10.0.0.2:9000", "socket": "a"}`)
		if r := do[AcceptResult](w, "accept", `{"socket": "b", "pause": "2s"}`); !r.Accepted || r.Waited != 2 {
			t.Errorf("an accept that was given up has the next one wait: %+v", r)
		}
		if r := do[BindResult](w, "bind", `{"at": ":9000"}`); !r.Bound {
			t.Errorf("the same port of another protocol: %+v", r)
		}
		if r := do[BindResult](w, "bind", `{"at": ":9000", "socket": "c"}`); r.Bound || r.Errno != "EADDRINUSE" || r.Phase != "bind" {
			t.Errorf("a port that is taken: %+v", r)
		}
	})
}

// A listener is closed with a connection that came when nobody waited for it any more: it is broken off.
func TestCloseListener(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		do[ListenResult](w, "listen", `{"at": ":9000"}`)
		do[AcceptResult](w, "accept", `{"timeout": "1s"}`)
		do[OpenResult](w, "open", `{"to": "10.0.0.2:9000"}`)
		synctest.Wait()
		do[CloseResult](w, "close", `{"socket": "listener"}`)
		if r := do[RecvResult](w, "recv", `{"end": true}`); !r.End {
			t.Errorf("the connection goes on: %+v", r)
		}
		var waiting sync.WaitGroup
		do[ListenResult](w, "listen", `{"at": ":9000"}`)
		waiting.Go(func() {
			if r := do[AcceptResult](w, "accept", `{"socket": "never"}`); r.Accepted || r.Meaning != "this end had closed the socket" {
				t.Errorf("accept from a listener that is closed meanwhile: %+v", r)
			}
		})
		synctest.Wait()
		do[CloseResult](w, "close", `{"socket": "listener"}`)
		waiting.Wait()
	})
}

// R24: datagrams keep their boundaries; a socket without one other end has many.
func TestDatagramSockets(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		do[BindResult](w, "bind", `{"at": ":9000", "socket": "server"}`)
		open := do[OpenResult](w, "open", `{"to": "10.0.0.2:9000", "network": "udp"}`)
		for _, piece := range []string{`"text": "one"`, `"text": "two, three", "piece": 4`} {
			do[SendResult](w, "send", `{`+piece+`}`)
		}
		for _, want := range []string{"one", "two,", " thr", "ee"} {
			if r := do[RecvResult](w, "recv", `{"socket": "server"}`); r.Text != want || r.Remote != open.Local {
				t.Errorf("received %+v, want %q", r, want)
			}
		}
		sent := do[SendResult](w, "send", fmt.Sprintf(`{"socket": "server", "text": "back", "to": %q}`, open.Local))
		if sent.Remote != open.Local {
			t.Errorf("sent %+v", sent)
		}
		if r := do[RecvResult](w, "recv", `{"buffer": 2}`); r.Text != "ba" {
			t.Errorf("a datagram that is cut: %+v", r)
		}
		if r := do[RecvResult](w, "recv", `{"timeout": "1s"}`); r.Errno != "ETIMEDOUT" {
			t.Errorf("its rest: %+v", r)
		}
		if r := do[SendResult](w, "send", `{}`); r.Sent != 0 || r.Calls != 1 || !r.Complete {
			t.Errorf("an empty datagram: %+v", r)
		}
		if r := do[RecvResult](w, "recv", `{"socket": "server"}`); r.Size != 0 || r.End || !r.Complete {
			t.Errorf("an empty datagram: %+v", r)
		}
		if r := do[SendResult](w, "send", `{"socket": "server", "text": "a", "to": "nowhere.example:1"}`); r.Phase != "lookup" || r.Calls != 0 {
			t.Errorf("a name that does not exist: %+v", r)
		}
	})
}

// R25: a Unix-domain socket is a path in place of an address.
func TestUnixSockets(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if r := do[OpenResult](w, "open", `{"to": "/run/a.sock"}`); r.Errno != "ENOENT" || r.Network != "unix" || r.Remote != "/run/a.sock" {
			t.Errorf("before it is there: %+v", r)
		}
		do[ListenResult](w, "listen", `{"at": "/run/a.sock"}`)
		do[OpenResult](w, "open", `{"to": "/run/a.sock", "socket": "a"}`)
		do[AcceptResult](w, "accept", `{"socket": "b"}`)
		do[SendResult](w, "send", `{"socket": "a", "text": "hello"}`)
		if r := do[RecvResult](w, "recv", `{"socket": "b"}`); r.Text != "hello" {
			t.Errorf("received %+v", r)
		}
	})
}

// R3, R27: an open that fails is told as connect tells it, and its name is free.
func TestOpenFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.serve("10.0.0.1:80", func(*peer) {})
		for to, want := range map[string]string{
			"10.0.0.1:81": "ECONNREFUSED", "10.0.0.7:80": "EHOSTUNREACH", "10.0.0.9:80": "ETIMEDOUT", "nowhere.example:80": "",
		} {
			if r := do[OpenResult](w, "open", fmt.Sprintf(`{"to": %q}`, to)); r.Connected || r.Errno != want || r.Error == "" {
				t.Errorf("%s: %+v", to, r)
			}
		}
	})
}

// What cannot be done at all is an error that says what would be right.
func TestSocketMistakes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if got := w.fails("send", `{"text": "a"}`); got != `there is no socket "main": nothing is open` {
			t.Error(got)
		}
		w.pair()
		do[BindResult](w, "bind", `{"at": ":9000", "socket": "udp"}`)
		for _, test := range []struct{ action, args, want string }{
			{"open", `{"to": "10.0.0.2:9000", "socket": "a"}`, `there is a socket "a"`},
			{"open", `{"to": "here"}`, `"here" is not "host:port"`},
			{"open", `{"to": "a:1", "network": "sctp"}`, `network "sctp" is not tcp, udp, unix, unixgram`},
			{"listen", `{"at": ":9000"}`, `there is a socket "listener"`},
			{"listen", `{"at": ":9000", "backlog": -1, "socket": "x"}`, "backlog: -1 is negative"},
			{"accept", `{"listener": "a", "socket": "x"}`, `socket "a" does not listen`},
			{"accept", `{"socket": "a"}`, `there is a socket "a"`},
			{"bind", `{"at": ":1", "network": "tcp", "socket": "x"}`, `network "tcp" is not udp, unixgram`},
			{"send", `{"socket": "c", "text": "a"}`, `there is no socket "c": open are a, b, listener, udp`},
			{"send", `{"socket": "a"}`, "nothing is given to send"},
			{"send", `{"socket": "a", "text": "a", "size": 1}`, "give one"},
			{"send", `{"socket": "a", "base64": "."}`, "base64: "},
			{"send", `{"socket": "a", "size": -1}`, "size: -1 bytes"},
			{"send", `{"socket": "a", "text": "a", "piece": -1}`, "piece: -1"},
			{"send", `{"socket": "a", "text": "a", "to": "b:1"}`, "to: "},
			{"send", `{"socket": "udp", "text": "a"}`, "to: "},
			{"send", `{"socket": "udp", "text": "a", "to": "b"}`, `"b" is not "host:port"`},
			{"send", `{"socket": "listener", "text": "a"}`, `socket "listener" listens`},
			{"recv", `{"socket": "listener"}`, `socket "listener" listens`},
			{"recv", `{"socket": "a", "line": true, "end": true}`, "give one"},
			{"recv", `{"socket": "udp", "line": true}`, "one recv is one datagram"},
			{"recv", `{"socket": "a", "buffer": 0}`, "buffer: 0"},
			{"recv", `{"socket": "a", "bytes": -1}`, "bytes: -1"},
			{"shutdown", `{"socket": "udp"}`, `socket "udp" is no connection`},
			{"shutdown", `{"socket": "a", "how": "both"}`, `how: "both" is not write or read`},
			{"reset", `{"socket": "listener"}`, `socket "listener" is no connection`},
			{"close", `{"socket": "c"}`, `there is no socket "c"`},
		} {
			if got := w.fails(test.action, test.args); !strings.Contains(got, test.want) {
				t.Errorf("%s %s: %s, want %s", test.action, test.args, got, test.want)
			}
		}
	})
}

// A step that ends leaves its socket as it is.
func TestSocketStepEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, step := range []struct{ action, args string }{
			{"recv", `{"socket": "b", "timeout": "0"}`}, {"accept", `{"socket": "c", "timeout": "0"}`},
			{"send", `{"socket": "a", "size": 1000000, "timeout": "0"}`},
		} {
			_, err := w.role.Do(ctx, w.host, step.action, json.RawMessage(step.args))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s when the step ends: %v", step.action, err)
			}
		}
		do[CloseResult](w, "close", `{"socket": "a"}`)
		if r := do[RecvResult](w, "recv", `{"socket": "b", "end": true}`); !r.Complete {
			t.Errorf("recv: %+v", r)
		}
	})
}

// R41: what steps left open is closed with the node, in an order that repeats.
func TestSocketsEndWithTheNode(t *testing.T) {
	var left []string
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		do[BindResult](w, "bind", `{"at": ":9000", "socket": "z"}`)
		w.records = nil
		t.Cleanup(func() {
			for _, r := range w.records {
				if e, ok := event.As[event.SocketClose](r); ok {
					left = append(left, e.Socket)
				}
			}
		})
	})
	if want := []string{"connection", "connection", "listening", "datagram"}; !slices.Equal(left, want) {
		t.Errorf("closed are %q, want %q", left, want)
	}
}

func TestNumberedLines(t *testing.T) {
	const size = 100
	whole, err := io.ReadAll(io.LimitReader(&numberedLines{}, size))
	if err != nil || len(whole) != size || !strings.HasPrefix(string(whole), "000000000000000\n000000000000001\n") {
		t.Fatalf("%q, %v", whole, err)
	}
	var pieces []byte
	lines := &numberedLines{}
	for n := 1; len(pieces) < size; n++ {
		part := make([]byte, n%7+1)
		_, _ = lines.Read(part)
		pieces = append(pieces, part...)
	}
	if string(pieces[:size]) != string(whole) {
		t.Errorf("in pieces: %q", pieces)
	}
}
