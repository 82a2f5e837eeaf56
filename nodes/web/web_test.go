package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"scenario/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire makes a message of lines: heads end in CRLF.
func wire(lines ...string) string { return strings.Join(lines, "\r\n") }

// steady replaces what differs from run to run.
func steady(answer string) string {
	answer = regexp.MustCompile(`Date: [^\r]*`).ReplaceAllString(answer, date)
	return regexp.MustCompile(`Etag: "[0-9a-f]{16}"`).ReplaceAllString(answer, etag)
}

const (
	date = "Date: now"
	etag = "Etag: tag"
)

// R10: methods, status classes, common fields, static files and pages made for a request, errors as status lines.
func TestAnswers(t *testing.T) {
	const shop = `{"site": "shop"}`
	tests := []struct {
		name, options, request, want string
	}{
		{
			"file", shop, wire("GET /style.css HTTP/1.1", "Host: shop.example", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 5", "Content-Type: text/css; charset=utf-8",
				etag, "Server: scenario", date, "Connection: close", "", "h1 {}"),
		},
		{
			"HEAD of a file", shop, wire("HEAD /style.css HTTP/1.1", "Host: shop.example", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 5", "Content-Type: text/css; charset=utf-8",
				etag, "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"file that has not changed", shop,
			wire("GET /style.css HTTP/1.1", "Host: a", "If-None-Match: *", "Connection: close", "", ""),
			wire("HTTP/1.1 304 Not Modified", etag, "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"HTTP/1.0 without a Host", shop, wire("GET / HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 13", "Content-Type: text/html; charset=utf-8",
				etag, "Server: scenario", date, "", "<h1>Shop</h1>"),
		},
		{
			"missing file with a page of the site's", shop, wire("GET /nothing HTTP/1.1", "Host: a", "Connection: close", "", ""),
			wire("HTTP/1.1 404 Not Found", "Content-Length: 21", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				date, "Connection: close", "", "<h1>No such page</h1>"),
		},
		{
			"missing file without", `{"site": "other"}`, wire("GET /nothing HTTP/1.0", "", ""),
			wire("HTTP/1.0 404 Not Found", "Content-Length: 68", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"X-Site: other", date, "", "<!doctype html>\n<title>404 Not Found</title>\n<h1>404 Not Found</h1>\n"),
		},
		{
			"way out of the folder", shop, wire("HEAD /../other/index.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 404 Not Found", "Content-Length: 21", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				date, "", ""),
		},
		{
			"folder without its slash", shop, wire("HEAD /news HTTP/1.0", "", ""),
			wire("HTTP/1.0 301 Moved Permanently", "Content-Length: 84", "Content-Type: text/html; charset=utf-8",
				"Location: /news/", "Server: scenario", date, "", ""),
		},
		{
			"method that a file does not have", shop, wire("POST / HTTP/1.1", "Host: a", "Content-Length: 2", "Connection: close", "", "hi"),
			wire("HTTP/1.1 405 Method Not Allowed", "Allow: GET, HEAD", "Content-Length: 86",
				"Content-Type: text/html; charset=utf-8", "Server: scenario", date, "Connection: close", "",
				"<!doctype html>\n<title>405 Method Not Allowed</title>\n<h1>405 Method Not Allowed</h1>\n"),
		},
		{
			"method that a page does not have", shop, wire("DELETE /hello.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 405 Method Not Allowed", "Allow: GET, HEAD, POST", "Content-Length: 86",
				"Content-Type: text/html; charset=utf-8", "Server: scenario", date, "",
				"<!doctype html>\n<title>405 Method Not Allowed</title>\n<h1>405 Method Not Allowed</h1>\n"),
		},
		{
			"options of the server", shop, wire("OPTIONS * HTTP/1.1", "Host: a", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Allow: GET, HEAD, POST", "Content-Length: 0", "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"page from a template", shop,
			wire("POST /hello.html HTTP/1.1", "Host: Shop.example", "Cookie: visit=2; theme=dark", "Content-Type: application/x-www-form-urlencoded",
				"Content-Length: 9", "Connection: close", "", "name=%3C3"),
			wire("HTTP/1.1 200 OK", "Content-Length: 73", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"Set-Cookie: visit=3; Path=/; Max-Age=60", date, "Connection: close", "",
				"<p>POST /hello.html Shop.example 198.51.100.7 visit 3 of 1 &lt;3 dark</p>"),
		},
		{
			"template that fails", shop, wire("GET /broken.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 500 Internal Server Error", "Content-Length: 92", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				date, "", "<!doctype html>\n<title>500 Internal Server Error</title>\n<h1>500 Internal Server Error</h1>\n"),
		},
		{
			"cookie deleted, identifier made", shop, wire("GET /forget.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Content-Length: 16", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"Set-Cookie: visit=; Path=/; Max-Age=0", date, "", "10f5ee5686a5f5c4"),
		},
		{
			"redirect", `{"paths": {"/old": {"location": "http://new.example/"}}}`, wire("HEAD /old HTTP/1.0", "", ""),
			wire("HTTP/1.0 302 Found", "Content-Length: 60", "Content-Type: text/html; charset=utf-8", "Location: http://new.example/",
				"Server: scenario", date, "", ""),
		},
		{
			"redirect for good", `{"paths": {"/old": {"status": 308, "location": "/", "body": "moved"}}}`, wire("GET /old HTTP/1.0", "", ""),
			wire("HTTP/1.0 308 Permanent Redirect", "Content-Length: 5", "Content-Type: text/plain; charset=utf-8", "Location: /",
				"Server: scenario", date, "", "moved"),
		},
		{
			"status on purpose", `{"paths": {"/x/*": {"status": 204}, "/x/y*": {"status": 503, "body": "busy", "headers": {"Retry-After": "9"}}}}`,
			wire("GET /x/yz HTTP/1.1", "Host: a", "", "GET /x/a HTTP/1.1", "Host: a", "Connection: close", "", ""),
			wire("HTTP/1.1 503 Service Unavailable", "Content-Length: 4", "Content-Type: text/plain; charset=utf-8", "Retry-After: 9",
				"Server: scenario", date, "",
				"busyHTTP/1.1 204 No Content", "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"file of the scenario's before the site's", `{"site": "shop", "server": "", "files": {"/": "<b>mine</b>"}}`, wire("HEAD / HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 11", "Content-Type: text/html; charset=utf-8",
				etag, date, "", ""),
		},
		{
			"file with a media type", `{"files": {"/a": {"body": "{}", "content_type": "application/json"}}}`, wire("HEAD /a HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 2", "Content-Type: application/json",
				etag, "Server: scenario", date, "", ""),
		},
		{
			"virtual host", `{"site": "shop", "hosts": {"Other.example": "other"}}`, wire("HEAD / HTTP/1.1", "Host: other.example:80", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 14", "Content-Type: text/html; charset=utf-8",
				etag, "Server: scenario", "X-Site: other", date, "Connection: close", "", ""),
		},
		{
			"address of the client", `{"site": "address"}`, wire("GET /whatever HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Content-Length: 13", "Content-Type: text/plain; charset=utf-8", "Server: scenario", date, "", "198.51.100.7\n"),
		},
		{
			"nothing asked for", `{}`, wire("HEAD / HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 103", "Content-Type: text/html; charset=utf-8",
				etag, "Server: scenario", date, "", ""),
		},
		{
			"keep-alive off", `{"site": "shop", "keep_alive": false}`, wire("HEAD /style.css HTTP/1.1", "Host: a", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 5", "Content-Type: text/css; charset=utf-8",
				etag, "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"close on purpose", `{"paths": {"/*": {"close": true, "body": "bye"}}}`, wire("GET / HTTP/1.1", "Host: a", "", ""),
			wire("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 3", "Content-Type: text/plain; charset=utf-8",
				"Server: scenario", date, "", "bye"),
		},
		{
			"body that is asked for first", shop, wire("POST /hello.html HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 1", "Connection: close", "", "x"),
			wire("HTTP/1.1 100 Continue", "", "HTTP/1.1 200 OK", "Content-Length: 53", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"Set-Cookie: visit=1; Path=/; Max-Age=60", date, "Connection: close", "",
				"<p>POST /hello.html a 198.51.100.7 visit 1 of 1  </p>"),
		},
		{
			"body that is too large", shop, wire("POST / HTTP/1.1", "Host: a", "Content-Length: 2000000", "", strings.Repeat("x", maxBody+1)),
			wire("HTTP/1.1 413 Request Entity Too Large", "Connection: close", "Content-Length: 98", "Content-Type: text/html; charset=utf-8",
				"Server: scenario", date, "",
				"<!doctype html>\n<title>413 Request Entity Too Large</title>\n<h1>413 Request Entity Too Large</h1>\n"),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTestHost()
				start(t, h, test.options)
				if diff := cmp.Diff(test.want, steady(talk(t, h, test.request))); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// client is one connection of a test that speaks HTTP by hand.
type client struct {
	t *testing.T
	io.ReadWriteCloser
	in *bufio.Reader
}

func connect(t *testing.T, h *testHost, from string) *client {
	c := h.dial(t, from)
	t.Cleanup(func() { _ = c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(request string) {
	c.t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads one response to a GET and returns its status and body.
func (c *client) receive() (int, string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// ended waits until the server closes the connection and returns how long that took.
func (c *client) ended() time.Duration {
	c.t.Helper()
	begin := time.Now()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("the connection ends with %q, %v", rest, err)
	}
	return time.Since(begin)
}

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
				h := newTestHost()
				start(t, h, test.options)
				c := connect(t, h, "198.51.100.7")
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
					Network: "tcp", Local: "192.0.2.80:80", Remote: "198.51.100.7:40001", By: "local", Reason: "idle timeout",
					Received: int64(4 * len(get)),
				}}
				got := events[event.SocketClose](h)
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
			begin := time.Now()
			go func() { _, _ = io.Copy(io.Discard, c) }()
			for {
				if _, err := io.WriteString(c, "G"); err != nil {
					break
				}
				time.Sleep(10 * time.Second)
			}
			if got := time.Since(begin); got != headTimeout {
				t.Errorf("closed after %v, want %v", got, headTimeout)
			}
		}, event.SocketClose{By: "local", Reason: "request timeout"}},
		{"body that does not come", `{}`, func(t *testing.T, c *client) {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
			begin := time.Now()
			if status, _ := c.receive(); status != http.StatusRequestTimeout || time.Since(begin) != bodyTimeout {
				t.Errorf("got %d after %v", status, time.Since(begin))
			}
			c.ended()
		}, event.SocketClose{By: "local", Reason: "connection: close"}},
		{"client that does not read", `{}`, func(t *testing.T, c *client) {
			c.send(get)
			time.Sleep(sendTimeout + time.Second)
		}, event.SocketClose{By: "local", Reason: "send timeout"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTestHost()
				start(t, h, test.options)
				test.play(t, connect(t, h, "198.51.100.7"))
				synctest.Wait()
				got := events[event.SocketClose](h)
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
		h := newTestHost()
		start(t, h, `{"paths": {"/slow": {"delay": "2s", "body": "slow"}, "/b": {"body": "b"}, "/c": {"body": "c", "close": true}}}`)
		c := connect(t, h, "198.51.100.7")
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
		type told struct{ Word, Raw, Error string }
		var got []told
		for _, r := range h.records {
			if e, ok := event.As[event.HTTPRequest](r); ok {
				got = append(got, told{e.Word(), e.Raw, ""})
			}
			if e, ok := event.As[event.HTTPResponse](r); ok {
				_, body, _ := strings.Cut(e.Raw, "\r\n\r\n")
				got = append(got, told{e.Word(), body, e.Error})
			}
		}
		want := []told{
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
		h := newTestHost()
		start(t, h, `{"site": "shop", "paths": {"/": {"delay": "1s", "chunk_delay": "100ms", "chunk_size": 5}}}`)
		c := connect(t, h, "198.51.100.7")
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
		e := events[event.HTTPResponse](h)[0]
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
				h := newTestHost()
				start(t, h, options)
				answer := talk(t, h, "GET /x HTTP/1.0\r\n"+test.head+"\r\n")
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
		h := newTestHost()
		s, _ := start(t, h, `{"deny": ["203.0.113.0/24"], "site": "address"}`)
		do := func(action, address string) string {
			t.Helper()
			result, err := s.Do(t.Context(), h, action, json.RawMessage(`{"address": "`+address+`"}`))
			if err != nil {
				return err.Error()
			}
			text, err := json.Marshal(result)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		connect(t, h, "203.0.113.9").ended()

		kept, other := connect(t, h, "198.51.100.7"), connect(t, h, "198.51.100.8")
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
		connect(t, h, "198.51.100.7").ended()
		other.send(get)
		if status, body := other.receive(); status != 200 || body != "198.51.100.8\n" {
			t.Errorf("another client got %d %q", status, body)
		}
		do("unban", "198.51.100.7")
		again := connect(t, h, "198.51.100.7")
		again.send(get)
		again.receive()

		synctest.Wait()
		want := []event.AccessDeny{
			{Local: "192.0.2.80:80", Remote: "203.0.113.9:40001", Rule: "203.0.113.0/24"},
			{Local: "192.0.2.80:80", Remote: "198.51.100.7:40004", Rule: "198.51.100.7"},
		}
		if diff := cmp.Diff(want, events[event.AccessDeny](h)); diff != "" {
			t.Errorf("access.deny (-want +got):\n%s", diff)
		}
		for _, e := range events[event.SocketClose](h) {
			if e.By != "local" || e.Reason != "denied" {
				t.Errorf("closed as %+v", e)
			}
		}
	})
}

// R27, R28: a server that cannot listen says why and fails.
func TestListenFails(t *testing.T) {
	tests := []struct {
		name    string
		refuse  error
		options string
		want    event.SocketError
		err     string
	}{
		{
			"no such address", syscall.EADDRNOTAVAIL, `{"listen": "192.0.2.1:80"}`,
			event.SocketError{Network: "tcp", Op: "listen", Local: "192.0.2.1:80", Errno: "EADDRNOTAVAIL"},
			"listen on 192.0.2.1:80: listen tcp: cannot assign requested address",
		},
		{
			"port in use", nil, `{"listen": ["127.0.0.1:80", "127.0.0.1:80"]}`,
			event.SocketError{Network: "tcp", Op: "listen", Local: "127.0.0.1:80", Errno: "EADDRINUSE"},
			"listen on 127.0.0.1:80: listen tcp: address already in use",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newTestHost()
			h.refuse = test.refuse
			r, err := Kind(testSites()).New(json.RawMessage(test.options))
			if err != nil {
				t.Fatal(err)
			}
			err = r.Serve(t.Context(), h, func() { t.Error("ready") })
			if err == nil || err.Error() != test.err {
				t.Errorf("got error %v, want %s", err, test.err)
			}
			got := events[event.SocketError](h)
			if len(got) != 1 || got[0].Error == "" || got[0].Meaning == "" {
				t.Fatalf("events %+v", got)
			}
			got[0].Error, got[0].Meaning = "", ""
			if diff := cmp.Diff(test.want, got[0]); diff != "" {
				t.Errorf("socket.error (-want +got):\n%s", diff)
			}
			for _, l := range h.listeners {
				select {
				case <-l.closed:
				default:
					t.Errorf("%s is still open", l.address)
				}
			}
		})
	}
}

// The end of the context ends everything at once: what waits, what is idle, what is half sent.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost()
		_, stop := start(t, h, `{"listen": [":80", "127.0.0.1:8080"], "paths": {
			"/late": {"delay": "1h"}, "/slow": {"body": "abcdef", "chunk_size": 1, "chunk_delay": "1h"}}}`)
		late, slow, idle, half := connect(t, h, "10.0.0.1"), connect(t, h, "10.0.0.2"), connect(t, h, "10.0.0.3"), connect(t, h, "10.0.0.4")
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
		for _, e := range events[event.SocketClose](h) {
			if e.Remote == "" {
				got = append(got, end{e.Local, e.Remote, e.By, e.Reason})
			} else if e.By != "local" || e.Reason != "the server stops" {
				t.Errorf("closed as %+v", e)
			}
		}
		want := []end{{Local: "192.0.2.80:80", By: "local"}, {Local: "127.0.0.1:8080", By: "local"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("listeners (-want +got):\n%s", diff)
		}
		if n := len(events[event.SocketClose](h)); n != 6 {
			t.Errorf("%d sockets closed, want 6", n)
		}
		for _, e := range events[event.HTTPResponse](h) {
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
		_, err := r.Do(context.Background(), newTestHost(), test.action, json.RawMessage(test.args))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %s: got %v, want %s", test.action, test.args, err, test.want)
		}
	}
}
