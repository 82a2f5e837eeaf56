package transport

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzResponse: whatever a server sends is refused or read as net/http reads it, and within bounds.
func FuzzResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false)
	f.Add("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\\\"\"\r\nabc\r\n0\r\nSum: 1\r\n\r\n", false)
	f.Add("\r\nHTTP/1.0 404 \r\nA:\t b\t\r\n\r\nrest", true)
	f.Fuzz(func(t *testing.T, text string, head bool) {
		w := &conn1{base: &base{wire: &wire{}}}
		w.in = bufio.NewReaderSize(strings.NewReader(text), 64)
		x := &exchange1{conn: w, ctx: context.Background(), kept: kept{limit: 10}}
		r := &Request{Method: "GET"}
		if head {
			r.Method = "HEAD"
		}
		resp, err := x.read(r)
		if err != nil {
			return
		}
		body := resp.Body.(*body1)
		var got strings.Builder
		buffer := make([]byte, 7)
		for err == nil && !body.whole {
			var n int
			n, err = body.read(buffer)
			got.Write(buffer[:n])
		}
		if err == io.EOF && body.whole {
			err = nil
		}
		if len(x.kept.body) > 10 || len(x.kept.head) > len(text) {
			t.Errorf("%d bytes of body and %d of head are kept", len(x.kept.body), len(x.kept.head))
		}
		if err != nil || resp.Proto == "HTTP/0.9" || resp.Proto == "HTTP/2.0" {
			return
		}
		in := bufio.NewReader(strings.NewReader(strings.TrimLeft(text, "\r\n")))
		for {
			other, err := http.ReadResponse(in, &http.Request{Method: r.Method})
			if err != nil {
				return // net/http knows fewer codings and lengths
			}
			if other.StatusCode < 200 && other.StatusCode != 101 {
				continue
			}
			want, err := io.ReadAll(other.Body)
			if other.StatusCode != resp.Status || err == nil && string(want) != got.String() {
				t.Errorf("%d %q, net/http: %d %q", resp.Status, got.String(), other.StatusCode, want)
			}
			return
		}
	})
}
