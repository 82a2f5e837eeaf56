package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"scenario/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"

// R11: a connection is kept for 65 seconds without a request, and every request begins them anew.
func TestIdleTimeout(t *testing.T) {
	tests := []struct {
		name, options string
		want          time.Duration
	}{
		{"default", `{"site": "shop"}`, 65 * time.Second},
		{"given", `{"site": "shop", "idle_timeout": "3s"}`, 3 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				l.serve(t, test.options)
				c := l.connect(t, "198.51.100.7")
				for range 3 {
					c.send(get)
					if status, body := c.receive(); status != 200 || body != "<h1>Shop</h1>" {
						t.Errorf("got %d %q", status, body)
					}
					time.Sleep(test.want - time.Millisecond)
				}
				c.send(get)
				c.receive()
				if got := c.ended(); got != test.want {
					t.Errorf("closed after %v, want %v", got, test.want)
				}
				synctest.Wait()
				want := []event.SocketClose{{
					Network: "tcp", Local: "192.0.2.80:80", Remote: "198.51.100.7:49152", Socket: event.SocketConnection, By: "local", Reason: "idle timeout",
					Received: int64(4 * len(get)),
				}}
				got := told[event.SocketClose](l)
				if len(got) == 1 {
					want[0].Sent = got[0].Sent
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("socket.close (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// R11: how connections end, and who ends them.
func TestEnds(t *testing.T) {
	tests := []struct {
		name    string
		options string
		play    func(t *testing.T, c *client)
		want    event.SocketClose
	}{
		{"connection: close", `{}`, func(_ *testing.T, c *client) {
			c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			c.receive()
			c.ended()
		}, event.SocketClose{By: "local", Reason: "connection: close"}},
		{"HTTP/1.0", `{}`, func(_ *testing.T, c *client) {
			c.send("GET / HTTP/1.0\r\n\r\n")
			c.receive()
			c.ended()
		}, event.SocketClose{By: "local", Reason: "connection: close"}},
		{"HTTP/1.0 kept alive, client closes", `{}`, func(_ *testing.T, c *client) {
			c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			c.receive()
			c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			c.receive()
			c.Close()
		}, event.SocketClose{By: "remote"}},
		{"nothing said", `{}`, func(t *testing.T, c *client) {
			if got := c.ended(); got != headTimeout {
				t.Errorf("closed after %v, want %v", got, headTimeout)
			}
		}, event.SocketClose{By: "local", Reason: "no request came"}},
		{"slow loris", `{}`, func(t *testing.T, c *client) {
			var writing sync.WaitGroup
			writing.Go(func() {
				for {
					if _, err := io.WriteString(c, "G"); err != nil {
						return
					}
					time.Sleep(7 * time.Second)
				}
			})
			begin := time.Now()
			if status, _ := c.receive(); status != http.StatusBadRequest || time.Since(begin) != headTimeout {
				t.Errorf("got %d after %v", status, time.Since(begin))
			}
			c.ended()
			writing.Wait()
		}, event.SocketClose{By: "local", Reason: "request timeout"}},
		{"body that does not come", `{}`, func(t *testing.T, c *client) {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
			begin := time.Now()
			if status, _ := c.receive(); status != http.StatusRequestTimeout || time.Since(begin) != bodyTimeout {
				t.Errorf("got %d after %v", status, time.Since(begin))
			}
			c.ended()
		}, event.SocketClose{By: "local", Reason: "connection: close"}},
		{"client that does not read", `{"paths": {"/": {"body": "` + strings.Repeat("more than is under way ", 4<<10) + `"}}}`, func(t *testing.T, c *client) {
			c.send(get)
			time.Sleep(sendTimeout + time.Second)
		}, event.SocketClose{By: "local", Reason: "send timeout"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				l.serve(t, test.options)
				test.play(t, l.connect(t, "198.51.100.7"))
				synctest.Wait()
				got := told[event.SocketClose](l)
				if len(got) != 1 || got[0].By != test.want.By || got[0].Reason != test.want.Reason {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
			})
		})
	}
}

// R11: requests sent together are answered in their order, each with its own events.
func TestPipelining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.serve(t, `{"paths": {"/slow": {"delay": "2s", "body": "slow"}, "/b": {"body": "b"}, "/c": {"body": "c", "close": true}}}`)
		c := l.connect(t, "198.51.100.7")
		c.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" +
			"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" +
			"GET /c HTTP/1.1\r\nHost: a\r\n\r\n" +
			"GET /never HTTP/1.1\r\nHost: a\r\n\r\nGET /half")
		begin := time.Now()
		for _, want := range []string{"slow", "b", "c"} {
			if status, body := c.receive(); status != 200 || body != want {
				t.Errorf("got %d %q, want %q", status, body, want)
			}
		}
		if got := time.Since(begin); got != 2*time.Second {
			t.Errorf("answered after %v, want 2s", got)
		}
		c.ended()
		synctest.Wait()
		type line struct{ Word, Raw, Error string }
		var got []line
		for _, r := range l.Records() {
			if e, ok := event.As[event.HTTPRequest](r); ok {
				got = append(got, line{e.Word(), e.Raw, ""})
			}
			if e, ok := event.As[event.HTTPResponse](r); ok {
				_, body, _ := strings.Cut(e.Raw, "\r\n\r\n")
				got = append(got, line{e.Word(), body, e.Error})
			}
		}
		want := []line{
			{"http.request", "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", ""},
			{"http.response", "slow", ""},
			{"http.request", "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", ""},
			{"http.response", "b", ""},
			{"http.request", "GET /c HTTP/1.1\r\nHost: a\r\n\r\n", ""},
			{"http.response", "c", ""},
			{"http.request", "GET /never HTTP/1.1\r\nHost: a\r\n\r\n", ""},
			{"http.response", "", "the connection ended before the request was answered"},
			{"http.request", "GET /half", ""},
			{"http.response", "", "the connection ended before the request was complete"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// R1, R12: a page arrives piece by piece, at times that the scenario sets.
func TestSlowPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.serve(t, `{"site": "shop", "paths": {"/": {"delay": "1s", "chunk_delay": "100ms", "chunk_size": 5}}}`)
		c := l.connect(t, "198.51.100.7")
		c.send(get)
		begin := time.Now()
		response, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"chunked"}, response.TransferEncoding); diff != "" {
			t.Errorf("transfer coding (-want +got):\n%s", diff)
		}
		type piece struct {
			After time.Duration
			Text  string
		}
		var got []piece
		for {
			buffer := make([]byte, 100)
			n, err := response.Body.Read(buffer)
			if n > 0 {
				got = append(got, piece{time.Since(begin), string(buffer[:n])})
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		want := []piece{{time.Second, "<h1>S"}, {1100 * time.Millisecond, "hop</"}, {1200 * time.Millisecond, "h1>"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pieces (-want +got):\n%s", diff)
		}
		synctest.Wait()
		e := told[event.HTTPResponse](l)[0]
		if e.Size != 13 || e.Duration != 1.2 || e.Error != "" || !strings.HasSuffix(e.Raw, "5\r\n<h1>S\r\n5\r\nhop</\r\n3\r\nh1>\r\n0\r\n\r\n") {
			t.Errorf("response %+v", e)
		}
	})
}

// R6: the cookies of the options are set for whoever does not bring them.
func TestCookies(t *testing.T) {
	const options = `{
		"cookies": [{"name": "uid", "random": true, "max_age": "1h", "domain": "a.example", "same_site": "none", "secure": true}],
		"paths": {"/x": {"body": "x", "cookies": [
			{"name": "hits", "value": "1", "always": true, "http_only": true, "path": "/x"}, {"name": "old", "delete": true}]}}}`
	tests := []struct {
		name, head string
		want       []string
	}{
		{"first visit", "", []string{
			"uid=ID; Path=/; Domain=a.example; Max-Age=3600; Secure; SameSite=None",
			"hits=1; Path=/x; HttpOnly",
		}},
		{"later visit", "Cookie: uid=7; hits=1; old=2\r\n", []string{"hits=1; Path=/x; HttpOnly", "old=; Path=/; Max-Age=0"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				l.serve(t, options)
				answer := l.talk(t, "GET /x HTTP/1.0\r\n"+test.head+"\r\n")
				var got []string
				for line := range strings.SplitSeq(answer, "\r\n") {
					if cookie, found := strings.CutPrefix(line, "Set-Cookie: "); found {
						got = append(got, regexp.MustCompile(`uid=[0-9a-f]{16}`).ReplaceAllString(cookie, "uid=ID"))
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("cookies (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// R30: a banned address is shut out, connections that stand included, until it is let in again.
func TestBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		s, _ := l.serve(t, `{"deny": ["203.0.113.0/24"], "site": "address"}`)
		do := func(action, address string) string {
			t.Helper()
			result, err := s.Do(t.Context(), l, action, json.RawMessage(`{"address": "`+address+`"}`))
			if err != nil {
				return err.Error()
			}
			text, err := json.Marshal(result)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		l.connect(t, "203.0.113.9").ended()

		kept, other := l.connect(t, "198.51.100.7"), l.connect(t, "198.51.100.8")
		kept.send(get)
		kept.receive()
		steps := []struct{ action, address, want string }{
			{"ban", "198.51.100.7", `{"banned":["198.51.100.7","203.0.113.0/24"]}`},
			{"ban", "198.51.100.7", `{"banned":["198.51.100.7","203.0.113.0/24"]}`},
			{"unban", "203.0.113.9", `203.0.113.9 is not banned`},
			{"unban", "203.0.113.0/24", `{"banned":["198.51.100.7"]}`},
		}
		for _, step := range steps {
			if got := do(step.action, step.address); got != step.want {
				t.Errorf("%s %s: got %s, want %s", step.action, step.address, got, step.want)
			}
		}
		kept.ended()
		l.connect(t, "198.51.100.7").ended()
		other.send(get)
		if status, body := other.receive(); status != 200 || body != "198.51.100.8\n" {
			t.Errorf("another client got %d %q", status, body)
		}
		do("unban", "198.51.100.7")
		again := l.connect(t, "198.51.100.7")
		again.send(get)
		again.receive()

		synctest.Wait()
		want := []event.AccessDeny{
			{Local: "192.0.2.80:80", Remote: "203.0.113.9:49152", Rule: "203.0.113.0/24"},
			{Local: "192.0.2.80:80", Remote: "198.51.100.7:49153", Rule: "198.51.100.7"},
		}
		if diff := cmp.Diff(want, told[event.AccessDeny](l)); diff != "" {
			t.Errorf("access.deny (-want +got):\n%s", diff)
		}
		for _, e := range told[event.SocketClose](l) {
			if e.By != "local" || e.Reason != "denied" {
				t.Errorf("closed as %+v", e)
			}
		}
	})
}

// R27, R28: a server that cannot listen says why and fails, and leaves nothing open.
func TestListenFails(t *testing.T) {
	tests := []struct {
		name, options string
		want          event.SocketError
		err           string
	}{
		{
			"no such address", `{"listen": "192.0.2.1:80"}`,
			event.SocketError{Network: "tcp", Op: "listen", Local: "192.0.2.1:80", Errno: "EADDRNOTAVAIL"},
			"listen on 192.0.2.1:80: listen tcp 192.0.2.1:80: bind: cannot assign requested address",
		},
		{
			"port in use", `{"listen": [":80", "192.0.2.80:80"]}`,
			event.SocketError{Network: "tcp", Op: "listen", Local: "192.0.2.80:80", Errno: "EADDRINUSE"},
			"listen on 192.0.2.80:80: listen tcp 192.0.2.80:80: bind: address already in use",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab()
			r, err := Kind(testSites()).New(json.RawMessage(test.options))
			if err != nil {
				t.Fatal(err)
			}
			err = r.Serve(t.Context(), l, func() { t.Error("ready") })
			if err == nil || err.Error() != test.err {
				t.Errorf("got error %v, want %s", err, test.err)
			}
			got := told[event.SocketError](l)
			if len(got) != 1 || got[0].Error == "" || got[0].Meaning == "" {
				t.Fatalf("events %+v", got)
			}
			got[0].Error, got[0].Meaning = "", ""
			if diff := cmp.Diff(test.want, got[0]); diff != "" {
				t.Errorf("socket.error (-want +got):\n%s", diff)
			}
			_, err = l.net.Host("198.51.100.7", "198.51.100.7").Dial(t.Context(), "tcp", "192.0.2.80:80")
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial after the failure: %v", err)
			}
		})
	}
}

// The end of the context ends everything at once: what waits, what is idle, what is half sent.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		_, stop := l.serve(t, `{"listen": [":80", ":8080"], "paths": {
			"/late": {"delay": "1h"}, "/slow": {"body": "abcdef", "chunk_size": 1, "chunk_delay": "1h"}}}`)
		late, slow, idle, half := l.connect(t, "10.0.0.1"), l.connect(t, "10.0.0.2"), l.connect(t, "10.0.0.3"), l.connect(t, "10.0.0.4")
		late.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
		slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := slow.in.ReadString('a'); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, slow) }()
		idle.send(get)
		idle.receive()
		half.send("GET / HT")
		begin := time.Now()
		synctest.Wait()
		stop()
		if got := time.Since(begin); got != 0 {
			t.Errorf("the end took %v", got)
		}
		type end struct{ Local, Remote, By, Reason string }
		var got []end
		for _, e := range told[event.SocketClose](l) {
			if e.Remote == "" {
				got = append(got, end{e.Local, e.Remote, e.By, e.Reason})
			} else if e.By != "local" || e.Reason != "the server stops" {
				t.Errorf("closed as %+v", e)
			}
		}
		want := []end{{Local: "[::]:80", By: "local"}, {Local: "[::]:8080", By: "local"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("listeners (-want +got):\n%s", diff)
		}
		if n := len(told[event.SocketClose](l)); n != 6 {
			t.Errorf("%d sockets closed, want 6", n)
		}
		for _, e := range told[event.HTTPResponse](l) {
			if (e.Error == "") != (e.URL == "http://shop.example/") {
				t.Errorf("response %+v", e)
			}
		}
	})
}

func TestDoErrors(t *testing.T) {
	r, err := newServer(testSites(), json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ action, args, want string }{
		{"ban", `{"address": "nowhere"}`, `"nowhere" is no IP address and no prefix such as 203.0.113.0/24`},
		{"ban", `{}`, "no address is given"},
		{"ban", `{"addres": "10.0.0.1"}`, `json: unknown field "addres"`},
		{"dance", `{"address": "10.0.0.1"}`, "no such action: dance"},
	} {
		_, err := r.Do(context.Background(), newLab(), test.action, json.RawMessage(test.args))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %s: got %v, want %s", test.action, test.args, err, test.want)
		}
	}
}
