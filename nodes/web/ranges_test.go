package web

import (
	"bufio"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// R13: several ranges come in one body, which is the same in each run; a server without ranges says so.
func TestSeveralRanges(t *testing.T) {
	const options = `{"files": {"/letters.txt": "abcdefghijklmnopqrstuvwxyz"}, "paths": {
		"/size": {"size": 64}, "/none": {"size": 64, "ranges": "none"}, "/letters.txt": {"headers": {"ETag": "\"1\""}}}}`
	synctest.Test(t, func(t *testing.T) {
		ask := func(path, fields string) string {
			l := newLab()
			_, stop := l.serve(t, options)
			defer stop()
			return l.talk(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+fields+"\r\n")
		}
		const some = "Range: bytes=0-1,30-\r\n"
		text := ask("/size", some)
		if again := ask("/size", some); again != text {
			t.Errorf("asked again:\n%s\nat first:\n%s", again, text)
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err != nil || resp.StatusCode != http.StatusPartialContent {
			t.Fatalf("%d %v, %v", resp.StatusCode, resp.Header, err)
		}
		parts := multipart.NewReader(resp.Body, parameters["boundary"])
		for _, want := range []string{"bytes 0-1/64: 00", "bytes 30-63/64: 6\n000000000000032\n000000000000048\n"} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(part)
			if got := part.Header.Get("Content-Range") + ": " + string(body); err != nil || got != want {
				t.Errorf("part %q, %v, want %q", got, err, want)
			}
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("behind the last part: %v", err)
		}
		for request, want := range map[[2]string]string{
			{"/none", some}: "HTTP/1.1 200 OK\r\nAccept-Ranges: none\r\n",
			{"/none", ""}:   "HTTP/1.1 200 OK\r\nAccept-Ranges: none\r\n",
			{"/size", ""}:   "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\n",
			{"/letters.txt", "Range: bytes=24-\r\nIf-Range: \"1\"\r\n"}: "\r\n\r\nyz",
			{"/letters.txt", "Range: bytes=24-\r\nIf-Range: \"0\"\r\n"}: "\r\n\r\nabcdefghijklmnopqrstuvwxyz",
		} {
			if got := ask(request[0], request[1]); !strings.Contains(got, want) {
				t.Errorf("%q:\n%s\nwant in it %q", request, got, want)
			}
		}
	})
}
