package client

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
)

// peer is a server's end of a connection.
type peer struct {
	net.Conn
	in *bufio.Reader
}

func newPeer(c net.Conn) *peer { return &peer{c, bufio.NewReader(c)} }

// request reads one request to its end; nil where none came.
func (p *peer) request() *http.Request {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return nil
	}
	_, _ = io.Copy(io.Discard, r.Body)
	return r
}

// answering serves a response as it stands.
func answering(response string) func(*peer) {
	return func(p *peer) {
		if p.request() != nil {
			_, _ = io.WriteString(p, response)
		}
	}
}

func TestFetch(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5<<10) // 80 KiB
	tests := []struct {
		name, response string
		want           FetchResult // Status, Headers, Body, BodyBase64, Size, Phase
	}{
		{
			"length",
			"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nVary: x\r\nVary: y\r\n\r\nhello",
			FetchResult{Status: 200, Body: "hello", Size: 5, Headers: map[string]string{
				"Content-Type": "text/html", "Content-Length": "5", "Set-Cookie": "a=1\nb=2", "Vary": "x, y",
			}},
		}, {
			"chunked, after an interim response",
			"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n5\r\n here\r\n0\r\n\r\n",
			FetchResult{Status: 404, Body: "not here", Size: 8},
		}, {
			"to the end of the connection",
			"HTTP/1.0 200 OK\r\n\r\nuntil it ends",
			FetchResult{Status: 200, Body: "until it ends", Size: 13},
		}, {
			"no text",
			"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xfe\x00",
			FetchResult{Status: 200, BodyBase64: "//4A", Size: 3, Headers: map[string]string{"Content-Length": "3"}},
		}, {
			"long",
			"HTTP/1.0 200 OK\r\n\r\n" + long,
			FetchResult{Status: 200, Body: long[:maxBody], Size: int64(len(long))},
		}, {
			"cut short",
			"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
			func() FetchResult {
				r := FetchResult{Status: 200, Body: "half", Size: 4, Headers: map[string]string{"Content-Length": "10"}}
				r.Phase = phaseResponse
				return r
			}(),
		}, {
			"closed without a response", "",
			func() (r FetchResult) { r.Phase = phaseResponse; return r }(),
		}, {
			"no HTTP", "* what is your name?\r\n\r\n",
			func() (r FetchResult) { r.Phase = phaseResponse; return r }(),
		}, {
			"endless head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead),
			func() (r FetchResult) { r.Phase = phaseResponse; return r }(),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.serve("10.0.0.1:8080", answering(test.response))
				got := do[FetchResult](w, "fetch", `{"url": "http://shop.example:8080/a?b=c"}`)
				if (got.Error != "") != (test.want.Phase != "") || got.Remote != "10.0.0.1:8080" || got.Local == "" {
					t.Errorf("outcome %+v", got.Outcome)
				}
				seen := FetchResult{Status: got.Status, Headers: got.Headers, Body: got.Body, BodyBase64: got.BodyBase64, Size: got.Size}
				seen.Phase = got.Phase
				if test.want.Headers == nil {
					test.want.Headers = map[string]string{}
				}
				if diff := cmp.Diff(test.want, seen); diff != "" {
					t.Errorf("result differs (-want +got):\n%s", diff)
				}
				if got, want := w.story(), "socket.connect http.request http.response socket.close"; got != want {
					t.Errorf("told %q, want %q", got, want)
				}
				told, _ := event.As[event.HTTPResponse](w.records[2])
				shown := int64(len(told.Raw)) + told.Truncated
				if told.RawBase64 == "" && test.name != "endless head" && shown != int64(len(test.response)) || told.Error != got.Error {
					t.Errorf("the response is told as %d bytes of %d: %+v", shown, len(test.response), told)
				}
			})
		})
	}
}

// R9: the request as bytes on the wire.
func TestFetchRequest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.serve("10.0.0.1:80", answering("HTTP/1.1 204 No Content\r\n\r\n"))
		r := do[FetchResult](w, "fetch", `{"url": "http://shop.example/form?x=1", "method": "POST", "body": "a=b",
			"headers": {"host": "other.example", "Cookie": "id=7", "User-Agent": "test"}, "timeout": "0s"}`)
		if r.Status != 204 || r.Error != "" {
			t.Errorf("result %+v", r)
		}
		told, ok := event.As[event.HTTPRequest](w.records[1])
		if !ok {
			t.Fatalf("told %s", w.story())
		}
		wire := "POST /form?x=1 HTTP/1.1\r\nHost: other.example\r\nUser-Agent: test\r\nConnection: close\r\nContent-Length: 3\r\n" +
			"Accept: */*\r\nCookie: id=7\r\n\r\na=b"
		want := event.HTTPRequest{
			Side: "client", Local: r.Local, Remote: "10.0.0.1:80", Method: "POST", URL: "http://shop.example/form?x=1",
			Proto: "HTTP/1.1", Host: "other.example", UserAgent: "test", Cookie: "id=7", Raw: wire,
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("request differs (-want +got):\n%s", diff)
		}
	})
}

// R3
func TestFetchFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.serve("10.0.0.1:80", func(p *peer) { p.request(); time.Sleep(time.Minute) })
		tests := []struct {
			args, phase, errno string
			seconds            float64
		}{
			{`{"url": "http://shop.example/"}`, phaseResponse, "ETIMEDOUT", 10},
			{`{"url": "http://shop.example:81/"}`, "connect", "ECONNREFUSED", 0},
			{`{"url": "http://10.0.0.9/", "timeout": "2s"}`, "connect", "ETIMEDOUT", 2},
			{`{"url": "http://nowhere.example/"}`, "lookup", "", 0},
		}
		for _, test := range tests {
			r := do[FetchResult](w, "fetch", test.args)
			if r.Phase != test.phase || r.Errno != test.errno || r.Duration != test.seconds || r.Error == "" {
				t.Errorf("%s: %+v", test.args, r)
			}
		}
		for _, bad := range []string{
			`{"url": "https://shop.example/"}`, `{"url": "shop.example"}`, `{"url": "http://"}`, `{"url": "http://a:99999/"}`,
			`{"url": "http://a/", "method": "G T"}`, `{"url": "http://a\n/"}`, `{"url": "http://a/", "timeout": "-1s"}`,
		} {
			w.fails("fetch", bad)
		}
	})
}
