package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"

	"scenario/event"
)

// long is a text that is worth compressing, as JSON has it.
func long() string { return strings.Repeat("a line of a page that is worth compressing ", 30) }

// R10–R14, R18, R29: what a path can be told to do, by the lines of the answer that show it.
func TestPaths(t *testing.T) {
	file := `"files": {"/a.txt": "0123456789", "/long.txt": "` + long() + `", "/p.tmpl.html": "` + long() + `"}`
	tests := []struct {
		name, path, request string
		want                []string // parts of the answer
		not                 []string // what it does not have
	}{
		{"trailers", `"/a.txt": {"trailers": {"X-Sum": "42"}}`, "GET /a.txt",
			[]string{"Transfer-Encoding: chunked\r\n", "Trailer: X-Sum\r\n", "\r\n0\r\nX-Sum: 42\r\n\r\n"}, []string{"Content-Length"}},
		{"cache", `"/a.txt": {"cache": "max-age=60, immutable", "vary": "Accept-Language", "age": "30s", "expires": "1h", "etag": "weak"}`, "GET /a.txt",
			[]string{"Cache-Control: max-age=60, immutable\r\n", "Vary: Accept-Language\r\n", "Age: 30\r\n", "Expires: Sat, 01 Jan 2000 01:00:00 GMT\r\n", `Etag: W/"`}, nil},
		{"no entity tag", `"/a.txt": {"etag": "none"}`, "GET /a.txt", []string{" 200 OK"}, []string{"Etag"}},
		{"last modified", `"/a.txt": {"last_modified": "24h"}`, "GET /a.txt", []string{"Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT\r\n"}, nil},
		{"not modified since", `"/a.txt": {"last_modified": "1999-12-24T00:00:00Z"}`, "GET /a.txt\r\nIf-Modified-Since: Fri, 24 Dec 1999 00:00:00 GMT",
			[]string{" 304 Not Modified"}, []string{"0123456789"}},
		{"one range", ``, "GET /a.txt\r\nRange: bytes=2-4", []string{" 206 Partial Content", "Content-Range: bytes 2-4/10\r\n", "\r\n\r\n234"}, nil},
		{"last bytes", ``, "GET /a.txt\r\nRange: bytes=-2", []string{"Content-Range: bytes 8-9/10\r\n", "\r\n\r\n89"}, nil},
		{"several ranges", ``, "GET /a.txt\r\nRange: bytes=0-0,5-6", []string{" 206 ", "Content-Type: multipart/byteranges; boundary=", "Content-Range: bytes 0-0/10\r\n", "Content-Range: bytes 5-6/10\r\n"}, nil},
		{"range that is not there", ``, "GET /a.txt\r\nRange: bytes=20-", []string{" 416 ", "Content-Range: bytes */10\r\n"}, nil},
		{"range if unchanged", ``, "GET /a.txt\r\nRange: bytes=0-1\r\nIf-Range: \"other\"", []string{" 200 OK", "0123456789"}, nil},
		{"no ranges", `"/a.txt": {"ranges": "none"}`, "GET /a.txt\r\nRange: bytes=2-4", []string{" 200 OK", "Accept-Ranges: none\r\n", "\r\n\r\n0123456789"}, nil},
		{"made up", `"/size": {"size": "40B"}`, "GET /size", []string{"Content-Length: 40\r\n", "\r\n\r\n000000000000000\n000000000000016\n00000000"}, nil},
		{"part of what is made up", `"/size": {"size": "2MiB"}`, "GET /size\r\nRange: bytes=1000003-1000012", []string{"Content-Range: bytes 1000003-1000012/2097152\r\n", "\r\n\r\n0000010000"}, nil},
		{"early hints", `"/a.txt": {"early_hints": ["</style.css>; rel=preload; as=style"]}`, "GET /a.txt",
			[]string{"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\nServer: scenario\r\n\r\nHTTP/1.1 200 OK"}, nil},
		{"methods", `"/a.txt": {"methods": ["GET"], "body": "x"}`, "PUT /a.txt", []string{" 405 ", "Allow: GET\r\n"}, nil},
		{"options of a file", ``, "OPTIONS /a.txt", []string{" 200 OK", "Allow: GET, HEAD\r\n"}, nil},
		{"TRACE", ``, "TRACE /a.txt", []string{" 405 "}, nil},
		{"a method of nobody's", ``, "JUMP /a.txt", []string{" 501 "}, nil},
		{"echo of the address", `"/e": {"echo": "address"}`, "GET /e", []string{"\r\n\r\n198.51.100.7\n"}, nil},
		{"echo of the fields", `"/e": {"echo": "headers"}`, "GET /e\r\nX-Mine: yes", []string{"\r\n\r\nHost: a\nConnection: close\nX-Mine: yes\n"}, nil},
		{"echo of the cookies", `"/e": {"echo": "cookies"}`, "GET /e\r\nCookie: a=1; b=2", []string{"\r\n\r\na=1\nb=2\n"}, nil},
		{"echo of the request", `"/e": {"echo": "request"}`, "GET /e?q=1", []string{"\r\n\r\nGET /e?q=1 HTTP/1.1\nHost: a\n"}, nil},
		{"another origin", `"/a.txt": {"cors": "*"}`, "GET /a.txt\r\nOrigin: http://b.example", []string{"Access-Control-Allow-Origin: *\r\n"}, []string{"Vary"}},
		{"an origin with cookies", `"/a.txt": {"cors": {"origins": ["*"], "credentials": true, "expose": ["X-A", "X-B"]}}`, "GET /a.txt\r\nOrigin: http://b.example",
			[]string{"Access-Control-Allow-Origin: http://b.example\r\n", "Access-Control-Allow-Credentials: true\r\n", "Vary: Origin\r\n", "Access-Control-Expose-Headers: X-A, X-B\r\n"}, nil},
		{"an origin that may not", `"/a.txt": {"cors": "http://c.example"}`, "GET /a.txt\r\nOrigin: http://b.example", []string{" 200 OK", "Vary: Origin\r\n"}, []string{"Access-Control"}},
		{"a browser asks first", `"/a.txt": {"cors": {"origins": ["http://b.example"], "methods": ["PUT"], "headers": ["X-A"], "max_age": "10m"}}`,
			"OPTIONS /a.txt\r\nOrigin: http://b.example\r\nAccess-Control-Request-Method: PUT",
			[]string{" 204 No Content", "Access-Control-Allow-Methods: PUT\r\n", "Access-Control-Allow-Headers: X-A\r\n", "Access-Control-Max-Age: 600\r\n"}, nil},
		{"a browser asks first in vain", `"/a.txt": {"cors": "http://c.example"}`, "OPTIONS /a.txt\r\nOrigin: http://b.example\r\nAccess-Control-Request-Method: PUT",
			[]string{" 403 "}, []string{"Access-Control"}},
		{"no coding asked for", ``, "GET /long.txt", []string{"Vary: Accept-Encoding\r\n", "a line of a page"}, []string{"Content-Encoding"}},
		{"brotli is best", ``, "GET /long.txt\r\nAccept-Encoding: gzip, br", []string{"Content-Encoding: br\r\n", `-br"`, "Content-Length:"}, []string{"a line of a page that is worth"}},
		{"weights", ``, "GET /long.txt\r\nAccept-Encoding: gzip;q=1.0, br;q=0.5, *;q=0", []string{"Content-Encoding: gzip\r\n"}, nil},
		{"none that the server has", ``, "GET /long.txt\r\nAccept-Encoding: compress", []string{" 200 OK", "a line"}, []string{"Content-Encoding"}},
		{"nothing at all", ``, "GET /long.txt\r\nAccept-Encoding: compress, identity;q=0", []string{" 406 "}, nil},
		{"codings of the path", `"/long.txt": {"compress": ["deflate"]}`, "GET /long.txt\r\nAccept-Encoding: gzip, br, deflate;q=0.1", []string{"Content-Encoding: deflate\r\n"}, nil},
		{"no codings", `"/long.txt": {"compress": false}`, "GET /long.txt\r\nAccept-Encoding: gzip", []string{"a line"}, []string{"Content-Encoding", "Vary"}},
		{"too small", ``, "GET /a.txt\r\nAccept-Encoding: gzip", []string{"\r\n\r\n0123456789"}, []string{"Content-Encoding"}},
		{"a page that is made", ``, "GET /p.html\r\nAccept-Encoding: zstd", []string{"Content-Encoding: zstd\r\n", "Vary: Accept-Encoding\r\n"}, []string{"a line of a page that is worth compressing a line of a page that"}},
		{"a coded representation has its own tag", ``, "GET /long.txt\r\nAccept-Encoding: gzip\r\nIf-None-Match: \"TAG-gzip\"", []string{" 304 "}, nil},
		{"the tag of another representation", ``, "GET /long.txt\r\nIf-None-Match: \"TAG-gzip\"", []string{" 200 "}, nil},
		{"too long by far", `"/a.txt": {"content_length": "+100"}`, "GET /a.txt", []string{"Content-Length: 110\r\n", "\r\n\r\n0123456789"}, nil},
		{"too short", `"/a.txt": {"content_length": "-4"}`, "GET /a.txt", []string{"Content-Length: 6\r\n", "\r\n\r\n0123456789"}, nil},
		{"length of its own", `"/a.txt": {"content_length": "3"}`, "GET /a.txt", []string{"Content-Length: 3\r\n"}, nil},
		{"closed too early", `"/a.txt": {"close_after": 4}`, "GET /a.txt", []string{"Content-Length: 10\r\n", "\r\n\r\n0123"}, []string{"01234"}},
		{"odd status line", `"/a.txt": {"status_line": "HTTP/9 okay"}`, "GET /a.txt", []string{"HTTP/9 okay\r\n"}, nil},
		{"redirects without end", `"/r": {"endless": "redirects"}`, "GET /r?hop=7", []string{" 302 Found", "Location: /r?hop=8\r\n"}, nil},
		{"redirects that end at last", `"/r": {"endless": "redirects"}`, "GET /r?hop=1000", []string{" 508 "}, nil},
		{"busy", `"/b": {"status": 503, "headers": {"Retry-After": "120"}}`, "GET /b", []string{" 503 ", "Retry-After: 120\r\n"}, nil},
		{"password wanted", `"/a.txt": {"require": "basic"}`, "GET /a.txt", []string{" 401 ", `Www-Authenticate: Basic realm="scenario"`}, []string{"0123"}},
		{"wrong password", `"/a.txt": {"require": "basic"}`, "GET /a.txt\r\nAuthorization: Basic YW5uOndyb25n", []string{" 401 "}, []string{"0123"}},
		{"right password", `"/a.txt": {"require": "basic"}`, "GET /a.txt\r\nAuthorization: Basic YW5uOnNlY3JldA==", []string{" 200 ", "0123"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				r, _ := l.serve(t, `{"accounts": {"ann": "secret"}, `+file+`, "paths": {`+test.path+`}}`)
				first, rest, _ := strings.Cut(test.request, "\r\n")
				request := first + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
				if rest != "" {
					tag := strings.Trim(r.sites[""].files["/long.txt"].tag, `"`)
					request += strings.ReplaceAll(rest, "TAG", tag) + "\r\n"
				}
				answer := l.talk(t, request+"\r\n")
				for _, want := range test.want {
					if !strings.Contains(answer, want) {
						t.Errorf("%q is not in\n%q", want, answer)
					}
				}
				for _, not := range test.not {
					if strings.Contains(answer, not) {
						t.Errorf("%q is in\n%q", not, answer)
					}
				}
			})
		})
	}
}

// R12, R14: a page is compressed while it is produced: each part can be read when it has come.
func TestStreamCompressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.serve(t, `{"paths": {"/s.html": {"stream": true}}, "files": {"/s.tmpl.html": "one{{.Pause \"2s\"}}two{{.Pause \"3s\"}}three"}}`)
		for _, coding := range []string{"gzip", "br", "identity"} {
			c := l.connect(t, "198.51.100.7")
			c.send("GET /s.html HTTP/1.1\r\nHost: a\r\nAccept-Encoding: " + coding + "\r\n\r\n")
			begin := time.Now()
			response, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			var body io.Reader = response.Body
			switch response.Header.Get("Content-Encoding") {
			case "gzip":
				if body, err = gzip.NewReader(bufio.NewReader(response.Body)); err != nil {
					t.Fatal(err)
				}
			case "br":
				body = brotli.NewReader(response.Body)
			}
			var got []string
			buffer := make([]byte, 100)
			for {
				n, err := body.Read(buffer)
				if n > 0 {
					got = append(got, fmt.Sprintf("%s after %v", buffer[:n], time.Since(begin)))
				}
				if err != nil {
					break
				}
			}
			if diff := cmp.Diff([]string{"one after 0s", "two after 2s", "three after 5s"}, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", coding, response.Header.Get("Content-Encoding"), diff)
			}
			c.Close()
		}
	})
}

// R12, R33: a body comes no faster than its rate.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.serve(t, `{"paths": {"/*": {"rate": "10kB/s", "size": "30kB"}}}`)
		begin := time.Now()
		answer := l.talk(t, "GET / HTTP/1.0\r\n\r\n")
		if got := time.Since(begin); got < 2900*time.Millisecond || got > 3100*time.Millisecond {
			t.Errorf("30 kB took %v", got)
		}
		if !strings.Contains(answer, "Content-Length: 30000\r\n") {
			t.Errorf("answer %q", answer[:200])
		}
	})
}

// Bad servers are bounded on our side too, and the log says what became of the response.
func TestBadServers(t *testing.T) {
	tests := []struct {
		name, path string
		most       int           // bytes
		longest    time.Duration // until the end
		err        string        // in the event of the response; empty: none
	}{
		{"header fields without end", `{"endless": "headers", "body": "x"}`, maxEndless + 1<<20, maxEndlessTime + time.Second, ""},
		{"body without end", `{"endless": "body"}`, maxEndless + maxEndless/100, maxEndlessTime + time.Second, ""},
		{"byte by byte", `{"body": "slow", "drip": "1s"}`, 1000, 5 * time.Minute, ""},
		{"reset", `{"body": "gone", "close_after": 2, "reset": true}`, 1000, time.Second, "the connection ended before the response was complete"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				_, stop := l.serve(t, `{"paths": {"/": `+test.path+`}}`)
				c := l.dial(t, "198.51.100.7")
				defer c.Close()
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				n, err := io.Copy(io.Discard, c)
				if err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Error(err)
				}
				if n > int64(test.most) || n == 0 || time.Since(begin) > test.longest {
					t.Errorf("%d bytes in %v", n, time.Since(begin))
				}
				stop()
				if got := told[event.HTTPResponse](l); len(got) != 1 || got[0].Error != test.err && test.err != "" {
					t.Errorf("http.response %+v", got)
				}
			})
		})
	}
}

// R12: a Transfer-Encoding overrides a Content-Length, and the connection ends with the response.
func TestTransferEncodingOverrides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.serve(t, `{"paths": {"/*": {"echo": "request"}}}`)
		answer := l.talk(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
		if !strings.HasSuffix(answer, "\n\nhello") || !strings.Contains(answer, "Connection: close\r\n") {
			t.Errorf("answer %q", answer)
		}
	})
}

// R36: beyond its allowance the server counts, and says how much once a second.
func TestSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		_, stop := l.serve(t, `{"log_requests": 3, "files": {"/": "x"}}`)
		c := l.connect(t, "198.51.100.7")
		for range 2 {
			for i := range 10 {
				path := "/"
				if i%5 == 4 {
					path = "/missing"
				}
				c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
				c.receive()
			}
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
			c.receive()
			time.Sleep(2 * time.Second)
		}
		stop()
		if n := len(told[event.HTTPRequest](l)); n != 6 {
			t.Errorf("%d requests told, want 3 of each second", n)
		}
		got := told[event.HTTPSummary](l)
		for i := range got {
			if got[i].Bytes == 0 {
				t.Errorf("no bytes in %+v", got[i])
			}
			got[i].Bytes = 0
		}
		one := event.HTTPSummary{Requests: 8, Statuses: []string{"200: 5", "404: 2", "405: 1"}, Duration: 1}
		if diff := cmp.Diff([]event.HTTPSummary{one, one}, got); diff != "" {
			t.Errorf("http.summary (-want +got):\n%s", diff)
		}
	})
}

// FuzzNegotiate: whatever a client accepts, the coding is one that is offered, and not one that the client refuses.
func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{"", "gzip, br;q=0.5", "*;q=0", "identity;q=0, *", "gzip;q=abc", ";;,,", "x-gzip"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		coding, ok := negotiate([]string{accept}, codings())
		if coding != "" && (!ok || !strings.Contains(strings.Join(codings(), " "), coding)) {
			t.Errorf("%q: %q, %t", accept, coding, ok)
		}
		if coding != "" && regexp.MustCompile(`(?i)(^|[, \t])`+coding+`[ \t]*;[ \t]*q=0(\.0*)?[ \t]*$`).MatchString(accept) && strings.Count(strings.ToLower(accept), coding) == 1 {
			t.Errorf("%q: %q, which is refused", accept, coding)
		}
	})
}

// FuzzStrict: what is simple is a request that net/http and the recorder read alike, whole and without a body.
func FuzzStrict(f *testing.F) {
	for _, seed := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "GET /\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		if !simple(wire) {
			return
		}
		r := recorder{bodyLimit: 10}
		if n := r.write(wire, time.Time{}.Add(1)); n != len(wire) || len(r.done) != 1 && r.cur.request != nil {
			t.Errorf("%q: %d bytes are in order, %d requests", wire, n, len(r.done))
		}
		if request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire))); err == nil && request.ContentLength != 0 {
			t.Errorf("%q has a body", wire)
		}
	})
}

// FuzzFilter: whatever frames come, in whatever pieces, the same goes on, and nothing is made of it but what is said; the
// bodies that are found in them are the same too.
func FuzzFilter(f *testing.F) {
	f.Add([]byte("\x00\x00\x0c\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x01\x00\x04\x00\x00\x00\x02"), uint8(2), true)
	f.Add([]byte("\x00\x00\x01\x01\x04\x00\x00\x00\x01\x82\x00\x00\x03\x00\x09\x00\x00\x00\x01\x01ab"), uint8(0), false)
	f.Fuzz(func(t *testing.T, wire []byte, piece uint8, malformed bool) {
		pass := func(size int) (out, bodies []byte) {
			cut := cutter{data: func(_ uint32, p []byte) { bodies = append(bodies, p...) }, status: func(int) {}}
			one := filter{look: cut.feed, malformed: malformed}
			for rest := wire; len(rest) > 0; {
				n := min(len(rest), size)
				one.feed(rest[:n])
				rest = rest[n:]
			}
			one.flush()
			return one.ready, bodies
		}
		whole, body := pass(len(wire) + 1)
		pieces, bodyOfPieces := pass(int(piece) + 1)
		if !bytes.Equal(whole, pieces) || !bytes.Equal(body, bodyOfPieces) {
			t.Errorf("%q becomes %q whole and %q in pieces", wire, whole, pieces)
		}
		if len(whole) > len(wire)+13 || len(body) > len(wire) {
			t.Errorf("%d bytes become %d", len(wire), len(whole))
		}
	})
}
