package web

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/internal/needs"
)

// R9: the log has the bytes of every request and response as they went over the wire.
func TestRawView(t *testing.T) {
	type view struct {
		Raw, Base64 string
		Truncated   int64
	}
	tests := []struct {
		name, options, request string
		wantRequest            view
		wantResponse           view // of raw, what follows the head
		wantSize               int64
	}{
		{
			"text", `{"site": "shop"}`, "GET / HTTP/1.1\r\nhost:  shop.example \r\nConnection: close\r\nX-Odd:\r\n\r\n",
			view{Raw: "GET / HTTP/1.1\r\nhost:  shop.example \r\nConnection: close\r\nX-Odd:\r\n\r\n"},
			view{Raw: "<h1>Shop</h1>"}, 13,
		},
		{
			"bounded bodies", `{"log_body": 3, "paths": {"/": {"body": "héllo"}}}`,
			"POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\nxyäz?",
			view{Raw: "POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\nxy", Truncated: 4}, view{Raw: "hé", Truncated: 3}, 6,
		},
		{
			"no bodies", `{"log_body": 0, "paths": {"/": {"body": "hello"}}}`, "GET / HTTP/1.0\r\n\r\n",
			view{Raw: "GET / HTTP/1.0\r\n\r\n"}, view{Truncated: 5}, 5,
		},
		{
			"bytes that are no text", `{"site": "shop"}`, "GET /pixel.gif HTTP/1.0\r\nX: \xff\r\n\r\n",
			view{Base64: "GET /pixel.gif HTTP/1.0\r\nX: \xff\r\n\r\n"}, view{Base64: "GIF89a\xff\x00"}, 8,
		},
		{
			"HEAD", `{"site": "shop"}`, "HEAD / HTTP/1.0\r\n\r\n", view{Raw: "HEAD / HTTP/1.0\r\n\r\n"}, view{}, 0,
		},
		{
			"interim response", `{"paths": {"/": {"body": "ok"}}}`,
			"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
			view{Raw: "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"},
			view{Raw: "ok"}, 2,
		},
		{
			"long head", `{"paths": {"/": {"body": "ok"}}}`, "GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\n",
			view{Raw: "GET / HTTP/1.0\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\n"}, view{Raw: "ok"}, 2,
		},
	}
	plain := func(t *testing.T, encoded string) string {
		text, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				l.serve(t, test.options)
				answer := l.talk(t, test.request)
				synctest.Wait()
				request, response := told[event.HTTPRequest](l)[0], told[event.HTTPResponse](l)[0]
				got := view{request.Raw, plain(t, request.RawBase64), request.Truncated}
				if diff := cmp.Diff(test.wantRequest, got); diff != "" {
					t.Errorf("request (-want +got):\n%s", diff)
				}
				body := strings.LastIndex(answer, "\r\n\r\n") + 4
				want := test.wantResponse
				if want.Base64 != "" {
					want.Base64 = answer[:body] + want.Base64
				} else {
					want.Raw = answer[:body] + want.Raw
				}
				got = view{response.Raw, plain(t, response.RawBase64), response.Truncated}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("response (-want +got):\n%s", diff)
				}
				if response.Size != test.wantSize || response.Error != "" {
					t.Errorf("size %d, error %q, want %d and none", response.Size, response.Error, test.wantSize)
				}
			})
		})
	}
}

// R9, R10: the events of one exchange, attribute by attribute, and that each names what caused it.
func TestExchangeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		_, stop := l.serve(t, `{"paths": {"/old": {"location": "/new", "delay": "1s"}}}`)
		c := l.connect(t, "198.51.100.7")
		c.send("GET /old?q=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n")
		c.receive()
		c.send("HEAD http://other.example/ HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
		if _, err := io.ReadAll(c.in); err != nil {
			t.Fatal(err)
		}
		stop()
		var got strings.Builder
		for _, r := range l.Records() {
			r.Time = time.Time{}
			delete(r.Attrs, "raw")
			text, err := r.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			got.Write(append(text, '\n'))
		}
		const want = `{"time":"0001-01-01T00:00:00Z","node":"server","event":"socket.listen","local":"[::]:80","network":"tcp","socket":"listening"}
{"time":"0001-01-01T00:00:00Z","node":"server","event":"socket.accept","id":"conn/web/1.1","local":"192.0.2.80:80","network":"tcp","remote":"198.51.100.7:49152","socket":"connection","trace":"conn/web/1"}
{"time":"0001-01-01T00:00:00Z","node":"server","event":"http.request","cookie":"a=1; b=2","host":"shop.example","id":"conn/web/1.2","local":"192.0.2.80:80","method":"GET","parent":"conn/web/1.1","proto":"HTTP/1.1","remote":"198.51.100.7:49152","side":"server","trace":"conn/web/1","url":"http://shop.example/old?q=1","user_agent":"test"}
{"time":"0001-01-01T00:00:00Z","node":"server","event":"http.response","content_type":"text/html; charset=utf-8","duration_s":1,"local":"192.0.2.80:80","location":"/new","method":"GET","parent":"conn/web/1.2","remote":"198.51.100.7:49152","side":"server","size":60,"status":302,"trace":"conn/web/1","url":"http://shop.example/old?q=1"}
{"time":"0001-01-01T00:00:00Z","node":"server","event":"http.request","host":"other.example","id":"conn/web/1.3","local":"192.0.2.80:80","method":"HEAD","parent":"conn/web/1.1","proto":"HTTP/1.1","remote":"198.51.100.7:49152","reused":true,"side":"server","trace":"conn/web/1","url":"http://other.example/"}
{"time":"0001-01-01T00:00:00Z","node":"server","event":"http.response","content_type":"text/html; charset=utf-8","duration_s":0,"local":"192.0.2.80:80","method":"HEAD","parent":"conn/web/1.3","remote":"198.51.100.7:49152","side":"server","size":0,"status":200,"trace":"conn/web/1","url":"http://other.example/"}
{"time":"0001-01-01T00:00:00Z","node":"server","event":"socket.close","by":"local","local":"192.0.2.80:80","network":"tcp","parent":"conn/web/1.1","reason":"connection: close","received":167,"remote":"198.51.100.7:49152","sent":415,"socket":"connection","trace":"conn/web/1"}
{"time":"0001-01-01T00:00:00Z","node":"server","event":"socket.close","by":"local","local":"[::]:80","network":"tcp","received":0,"sent":0,"socket":"listening"}
`
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// Requests that net/http refuses by itself are in the log too, with its refusal.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name, request, answer string
		want                  event.HTTPRequest
	}{
		{"no HTTP", "hello\r\n\r\n", "400 Bad Request: the request line is not made of a method, a target and a version", event.HTTPRequest{}},
		{"lines that end in a line feed alone", "GET / HTTP/1.0\n\n", "400 Bad Request: a line ends in a line feed alone", event.HTTPRequest{}},
		{
			"no Host", "GET /x HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header",
			event.HTTPRequest{Method: "GET", URL: "http://192.0.2.80:80/x", Proto: "HTTP/1.1"},
		},
		{
			"version", "GET / HTTP/3.0\r\n\r\n", "505 HTTP Version Not Supported: unsupported protocol version",
			event.HTTPRequest{Method: "GET", URL: "http://192.0.2.80:80/", Proto: "HTTP/3.0"},
		},
		{
			"transfer coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "\r\n\r\nUnsupported transfer encoding",
			event.HTTPRequest{},
		},
		{
			"expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: rain\r\n\r\n", "",
			event.HTTPRequest{Method: "GET", URL: "http://a/", Proto: "HTTP/1.1", Host: "a"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				l.serve(t, `{}`)
				answer := l.talk(t, test.request)
				if !strings.HasSuffix(answer, test.answer) {
					t.Errorf("answer %q, want the end %q", answer, test.answer)
				}
				synctest.Wait()
				want := test.want
				want.Side, want.Local, want.Remote, want.Raw = "server", "192.0.2.80:80", "198.51.100.7:49152", test.request
				if diff := cmp.Diff([]event.HTTPRequest{want}, told[event.HTTPRequest](l)); diff != "" {
					t.Errorf("http.request (-want +got):\n%s", diff)
				}
				responses := told[event.HTTPResponse](l)
				if len(responses) != 1 || responses[0].Raw != answer || responses[0].Error != "" || responses[0].Status < 400 {
					t.Errorf("http.response %+v for %q", responses, answer)
				}
				if ends := told[event.SocketClose](l); len(ends) != 1 || ends[0].Reason != "request refused" {
					t.Errorf("socket.close %+v", ends)
				}
			})
		})
	}
}

// R10, R11: every message of the conformance data is answered or refused, and the log has all that was received of it.
func TestConformance(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(needs.Conformance(t, "http1", "request"), "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no messages: %v", err)
	}
	messages := 0
	for _, page := range pages {
		for i, message := range conformanceMessages(t, page) {
			messages++
			name := strings.TrimSuffix(filepath.Base(page), ".md")
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { playMessage(t, i, message) })
			})
		}
	}
	if messages < 100 {
		t.Errorf("%d messages found, want more", messages)
	}
}

// playMessage sends one message, waits until the server ends the connection, and holds the log against both.
func playMessage(t *testing.T, i int, message string) {
	l := newLab()
	_, stop := l.serve(t, `{"log_body": 100000, "paths": {"/*": {"body": "ok"}}}`)
	c := l.connect(t, "198.51.100.7")
	go func() { _, _ = io.WriteString(c, message) }()
	if err := c.SetReadDeadline(time.Now().Add(2 * headTimeout)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("message %d, %q: %v", i, message, err)
	}
	synctest.Wait()
	stop()
	var answered bytes.Buffer
	var raw strings.Builder
	for _, r := range l.Records() {
		if e, ok := event.As[event.HTTPResponse](r); ok {
			answered.WriteString(e.Raw)
			if (e.Status == 0) == (e.Error == "") {
				t.Errorf("message %d: response without a status or an error: %+v", i, e)
			}
		}
		if e, ok := event.As[event.HTTPRequest](r); ok {
			text, err := base64.StdEncoding.DecodeString(e.RawBase64)
			if err != nil {
				t.Fatal(err)
			}
			raw.WriteString(e.Raw + string(text))
		}
	}
	if diff := cmp.Diff(string(answer), answered.String()); diff != "" {
		t.Errorf("message %d, %q: responses (-received +log):\n%s", i, message, diff)
	}
	if !strings.HasPrefix(message, strings.TrimRight(raw.String(), "\r\n")) {
		t.Errorf("message %d, %q: the log has the request as %q", i, message, raw.String())
	}
	if len(answer) == 0 && message != "" {
		if ends := told[event.SocketClose](l); len(ends) == 0 || ends[0].Reason == "" && ends[0].By != "remote" {
			t.Errorf("message %d, %q: neither answered nor refused: %+v", i, message, ends)
		}
	}
}

// conformanceMessages reads the fenced messages of a page: lines end in CRLF but where a line shows its own ends.
func conformanceMessages(t *testing.T, page string) []string {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, fence := range regexp.MustCompile("(?s)```http\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		message := strings.ReplaceAll(fence[1], "\\\n", "")
		message = strings.ReplaceAll(message, "\n", "\r\n")
		messages = append(messages, strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t", `\f`, "\f").Replace(message))
	}
	return messages
}

// FuzzRecorder: whatever comes, in whatever pieces, the recorder finds the same messages, keeps no more than it may, and
// accounts for every byte.
func FuzzRecorder(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.0\n\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"\r\n\r\n\x00",
	} {
		f.Add([]byte(seed), uint8(3), uint8(2))
	}
	f.Fuzz(func(t *testing.T, wire []byte, piece, limit uint8) {
		for _, responses := range []bool{false, true} {
			whole := recorder{bodyLimit: int(limit), responses: responses}
			whole.write(wire, time.Time{}.Add(1))
			pieces := recorder{bodyLimit: int(limit), responses: responses}
			for rest := wire; len(rest) > 0; {
				n := min(len(rest), int(piece)+1)
				pieces.write(rest[:n], time.Time{}.Add(1))
				rest = rest[n:]
			}
			got, want := recorded(&pieces, responses), recorded(&whole, responses)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("in pieces (-whole +pieces):\n%s", diff)
			}
			var total int64
			for _, m := range want {
				if len(m.Head) > headLimit || len(m.Body) > int(limit) {
					t.Errorf("keeps a head of %d and a body of %d bytes", len(m.Head), len(m.Body))
				}
				total += int64(len(m.Head)+len(m.Body)) + m.Dropped
			}
			if trimmed := len(bytes.TrimRight(wire, "\r\n")); total > int64(len(wire)) || total < int64(trimmed) {
				t.Errorf("accounts for %d bytes of %d", total, len(wire))
			}
		}
	})
}

// record is a message as tests compare it.
type record struct {
	Head, Body    string
	Dropped, Size int64
	Whole         bool
}

func recorded(r *recorder, responses bool) []record {
	var records []record
	var messages []message
	if responses {
		messages = []message{r.cut(http.MethodGet)}
	} else {
		messages = r.rest()
	}
	for _, m := range messages {
		records = append(records, record{string(m.head), string(m.body), m.dropped, m.size, m.whole})
	}
	return records
}

// The rest of a message that was taken before it was whole is passed over, and what follows it is not.
func TestRecorderTakesPartOfAMessage(t *testing.T) {
	var r recorder
	r.bodyLimit = 10
	at := time.Time{}.Add(1)
	r.write([]byte("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"), at)
	if m := r.take(); m.whole || string(m.body) != "abc" {
		t.Errorf("took %+v", m)
	}
	r.write([]byte("defGET /next HTTP/1.1\r\n\r\n"), at)
	if m := r.take(); !m.whole || m.request.RequestURI != "/next" {
		t.Errorf("took %+v", m)
	}
	if m := r.take(); len(m.head) != 0 || r.passed {
		t.Errorf("took %+v, passes over the next message: %t", m, r.passed)
	}
}
