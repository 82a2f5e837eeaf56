package devtools

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/chromedp/cdproto/network"

	"scenario/event"
)

// request tells of a request as it went over the wire.
func (t *telling) request(x *exchange, f *Fetch, below *told) *told {
	r := x.response
	fields := x.sent.Request.Headers
	if x.question != nil {
		fields = x.question.Headers
	}
	version := version(x)
	var head strings.Builder
	target := "/"
	if u, err := url.Parse(f.URL); err == nil {
		target = u.RequestURI()
	}
	if version != protoTwo {
		fmt.Fprintf(&head, "%s %s %s\r\n", f.Method, target, version)
	} else if field(fields, ":method") == "" {
		fmt.Fprintf(&head, ":method: %s\r\n:authority: %s\r\n:scheme: https\r\n:path: %s\r\n", f.Method, authority(f.URL), target)
	}
	writeFields(&head, fields)
	head.WriteString("\r\n")
	body := posted(x.sent.Request)
	shown := body[:min(len(body), max(t.load.options.LogBody, 0))]
	e := event.HTTPRequest{
		Side: event.SideClient, Local: f.Local, Remote: f.Remote, Method: f.Method, URL: f.URL, Proto: version, Host: authority(f.URL),
		UserAgent: bounded(field(fields, "User-Agent")), Cookie: bounded(field(fields, "Cookie")), Reused: f.Reused,
		Truncated: int64(len(body) - len(shown)),
	}
	e.Raw, e.RawBase64 = raw(head.String(), shown, len(shown) < len(body))
	at := x.sent.Timestamp.Float64()
	if r != nil && r.Timing != nil {
		at = max(at, r.Timing.RequestTime+max(r.Timing.SendStart, 0)/1e3)
	}
	return t.add(t.load.wall(at), below, e)
}

// version is the protocol of an exchange.
func version(x *exchange) string {
	switch {
	case x.response != nil && x.response.Protocol != "":
		return proto(x.response.Protocol)
	case x.question != nil && field(x.question.Headers, ":method") != "":
		return protoTwo
	}
	return "HTTP/1.1"
}

// authority is host and port of an address, as the Host field has it.
func authority(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// posted is the body of a request, as far as DevTools tell it.
func posted(r *network.Request) []byte {
	var body []byte
	for _, entry := range r.PostDataEntries {
		if entry != nil {
			body = append(body, entry.Bytes...)
		}
	}
	return body
}

// response tells of the response to a request.
func (t *telling) response(x *exchange, f *Fetch, request *told) {
	l, r := t.load, x.response
	end := l.wall(max(x.end, x.first()))
	e := event.HTTPResponse{
		Side: event.SideClient, Local: f.Local, Remote: f.Remote, Method: f.Method, URL: f.URL, Status: f.Status,
		Size: f.Size, TTFB: f.TTFB, Duration: max(end.Sub(request.at).Seconds(), 0),
	}
	if f.Error != nil {
		e.Error = f.Error.Message
	}
	if r == nil {
		if x.answer != nil { // it came, and the page may not see it
			e.Proto, e.Raw = version(x), l.responseHead(x, e.Status)
		}
		t.add(end, request, e)
		return
	}
	e.Proto = f.Proto
	e.ContentType, e.Location, e.Coding = bounded(field(r.Headers, "Content-Type")), bounded(field(r.Headers, "Location")), bounded(coding(r))
	if e.Coding != "" {
		e.Decoded = f.Decoded
	}
	body := x.body
	if f.From == "revalidated" {
		e.Status, e.Size, body = 304, 0, nil
	}
	e.Raw, e.RawBase64 = raw(l.responseHead(x, e.Status), body, int64(len(body)) < e.Size)
	e.Truncated = max(e.Size-int64(len(body)), 0)
	t.add(end, request, e)
}

// responseHead is the head of a response: of HTTP/1 the text that came, of HTTP/2 a field a line.
func (l *Load) responseHead(x *exchange, status int) string {
	var fields network.Headers
	if x.response != nil {
		fields = x.response.Headers
	}
	if x.answer != nil {
		if text := x.answer.HeadersText; text != "" {
			if head, _, ok := strings.Cut(text[:min(len(text), maxFields)], "\r\n\r\n"); ok {
				return strings.ToValidUTF8(head, "\uFFFD") + "\r\n\r\n"
			}
		}
		fields = x.answer.Headers
	}
	var head strings.Builder
	if v := version(x); v != protoTwo {
		fmt.Fprintf(&head, "%s %d %s\r\n", v, status, http.StatusText(status))
	} else if field(fields, ":status") == "" {
		fmt.Fprintf(&head, ":status: %d\r\n", status)
	}
	writeFields(&head, fields)
	head.WriteString("\r\n")
	return head.String()
}

// writeFields writes header fields a line each: pseudo-fields first, then Host, then by name. DevTools do not tell their order.
func writeFields(head *strings.Builder, fields network.Headers) {
	first := []string{":method", ":status", ":authority", ":scheme", ":path", "host"}
	rank := func(name string) int {
		if i := slices.Index(first, strings.ToLower(name)); i >= 0 {
			return i
		}
		return len(first)
	}
	plain := strings.NewReplacer("\r", " ", "\n", " ")
	keys := slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return strings.Compare(a, b)
	})
	for _, name := range keys {
		value, ok := fields[name].(string)
		if !ok {
			continue
		}
		for line := range strings.SplitSeq(value, "\n") { // fields of one name stand together, a line each
			if head.Len()+len(name)+len(line) > maxFields {
				return
			}
			fmt.Fprintf(head, "%s: %s\r\n", plain.Replace(name), plain.Replace(line))
		}
	}
}

// raw is how an event shows a message: as text where its body is text, or else the body in base64.
func raw(head string, body []byte, cut bool) (text, base string) {
	head = strings.ToValidUTF8(head, "\uFFFD")
	if isText(body, cut) {
		return head + strings.ToValidUTF8(string(body), ""), ""
	}
	return head, base64.StdEncoding.EncodeToString(body)
}

// isText says that a body is UTF-8 without NUL; where it was cut, its last character may be incomplete.
func isText(body []byte, cut bool) bool {
	if slices.Contains(body, 0) {
		return false
	}
	for drop := 0; cut && drop < utf8.UTFMax && drop < len(body); drop++ {
		if utf8.Valid(body[:len(body)-drop]) {
			return true
		}
	}
	return utf8.Valid(body)
}
