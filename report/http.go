package report

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"scenario/event"
)

// exchange tells a request and what came back.
func (t *teller) exchange(x *exchange) {
	t.request(x)
	t.response(x)
}

// request tells what was sent, and what its server made of it.
func (t *teller) request(x *exchange) {
	q := x.request
	w := in(strong, clean(q.Method+" "+path(q.URL))).say(" " + clean(q.Proto) + " to " + clean(cmp.Or(q.Host, hostOf(q.URL))))
	if q.Reused && x.conn != nil {
		w = w.in(faint, "  on the connection kept alive from port "+port(q.Local))
	}
	t.put(x.Time, "", w, "")
	if q.Cookie != "" {
		t.note("├ ", say("with cookies: ").in(name, clean(q.Cookie)))
	}
	if t.raw {
		t.bytes("> ", x.requestBytes())
	}
	if s := x.server; s != nil && s.response != nil {
		t.put(s.Time, "└ ", in(name, s.Node).say(" reads it and answers "+statusText(s.response.is.Status)), seconds(s.response.is.Duration))
	}
}

// response tells what came back.
func (t *teller) response(x *exchange) {
	r := x.response
	if r == nil {
		t.note("", in(bad, "no response is recorded"))
		return
	}
	a := r.is
	if a.Status == 0 {
		t.put(r.Time, "", in(bad, "no response: "+briefly(cmp.Or(a.Error, "unknown"))), seconds(a.Duration))
		return
	}
	style := good
	if a.Status >= 400 {
		style = bad
	}
	w := in(style, statusText(a.Status))
	if a.ContentType != "" {
		w = w.say(" · " + clean(a.ContentType))
	}
	w = w.say(" · " + size(a.Size))
	if a.Coding != "" && a.Decoded > 0 {
		w = w.say(", which are " + size(a.Decoded) + " behind " + clean(a.Coding))
	}
	if a.Location != "" {
		w = w.say(" · sends on to ").in(name, clean(a.Location))
	}
	if a.TTFB > 0 {
		w = w.in(faint, "  first byte after "+seconds(a.TTFB))
	}
	t.put(r.Time, "", w, seconds(a.Duration))
	t.meaning("", statusMeaning(a.Status))
	if a.Error != "" {
		t.note("", t.spoilt(x))
	}
	if t.raw {
		t.bytes("< ", x.responseBytes())
	}
}

// spoilt says why a response is not there as a whole, or is not used.
func (t *teller) spoilt(x *exchange) words {
	for _, b := range pick[event.PageBlock](t.step.records) {
		if sameURL(b.is.URL, x.request.URL) {
			return in(bad, "not used: "+clean(b.is.Rule)+": "+briefly(b.is.Reason))
		}
	}
	return in(bad, "cut short: "+briefly(x.response.is.Error))
}

// rawView is a message as it went over the wire, as far as it was kept.
type rawView struct {
	bytes string
	left  int64 // bytes left out
}

// newRawView reads what an event holds: text, or anything in base64.
func newRawView(text, base string, left int64) rawView {
	if decoded, err := base64.StdEncoding.DecodeString(base); text == "" && err == nil {
		text = string(decoded)
	}
	return rawView{text, left}
}

// requestBytes is the request as the client kept it, or else the server.
func (x *exchange) requestBytes() rawView {
	v := newRawView(x.request.Raw, x.request.RawBase64, x.request.Truncated)
	if v.bytes == "" && x.server != nil {
		return x.server.requestBytes()
	}
	return v
}

// responseBytes is the response as the client kept it, or else the server.
func (x *exchange) responseBytes() rawView {
	var v rawView
	if r := x.response; r != nil {
		v = newRawView(r.is.Raw, r.is.RawBase64, r.is.Truncated)
	}
	if v.bytes == "" && x.server != nil {
		return x.server.responseBytes()
	}
	return v
}

// lines are the view's, made safe to print: a body that is no text is only measured.
func (v rawView) lines() []string {
	if v.bytes == "" {
		return nil
	}
	head, body, _ := strings.Cut(v.bytes, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	switch {
	case !utf8.ValidString(body):
		lines = append(lines, "", "… "+size(int64(len(body)))+" that are no text")
	case body != "":
		lines = append(lines, "")
		lines = append(lines, strings.Split(strings.TrimRight(body, "\r\n"), "\n")...)
	}
	for i, l := range lines {
		lines[i] = clean(strings.TrimSuffix(l, "\r"))
	}
	if v.left > 0 {
		lines = append(lines, "… "+size(v.left)+" more, not kept")
	}
	return lines
}

// printable is the view as one text, made safe to print.
func (v rawView) printable() string { return strings.Join(v.lines(), "\n") }

// bytes shows a raw view line by line.
func (t *teller) bytes(mark string, v rawView) {
	const most = 60 // lines
	lines := v.lines()
	for _, l := range lines[:min(len(lines), most)] {
		t.row(time.Time{}, "│ ", in(faint, mark+clip(l, t.room-4)), "")
	}
	if len(lines) > most {
		t.note("│ ", in(faint, mark+count(len(lines)-most, "more line")))
	}
}

// statusText is a status code with its phrase: 404 Not Found.
func statusText(code int) string {
	if code == 0 {
		return "nothing"
	}
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}

// statusMeaning explains the status codes that a person meets when something is wrong (RFC 9110, section 15).
func statusMeaning(code int) string {
	switch code {
	case http.StatusBadRequest:
		return "the server does not understand the request"
	case http.StatusUnauthorized:
		return "the server wants to know who asks"
	case http.StatusForbidden:
		return "the server understands, but does not let this client have it"
	case http.StatusNotFound:
		return "the server is there, but has no page at this path"
	case http.StatusMethodNotAllowed:
		return "the page exists, but not for this method"
	case http.StatusRequestTimeout:
		return "the request took too long to arrive"
	case http.StatusTooManyRequests:
		return "the client has asked too often"
	case http.StatusInternalServerError:
		return "the server failed while it made the page"
	case http.StatusBadGateway:
		return "the server asked another server and got no usable answer"
	case http.StatusServiceUnavailable:
		return "the server cannot serve at the moment"
	case http.StatusGatewayTimeout:
		return "the server asked another server and got no answer in time"
	}
	return ""
}

// hostOf is the host of a URL, without the port.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// resolve is a redirect's target, seen from the page that names it.
func resolve(base, location string) string {
	b, err := url.Parse(base)
	if err != nil {
		return location
	}
	u, err := b.Parse(location)
	if err != nil {
		return location
	}
	return u.String()
}

// sameURL compares URLs without their fragments, which are not sent.
func sameURL(a, b string) bool {
	a, _, _ = strings.Cut(a, "#")
	b, _, _ = strings.Cut(b, "#")
	return a == b
}

// redirects says whether the exchange sends the client on.
func (x *exchange) redirects() bool {
	return x.response != nil && x.response.is.Location != "" && x.response.is.Status/100 == 3
}

// ended is when the exchange was over: when the last byte came, or what stands in its place.
func (x *exchange) ended() time.Time {
	if x.response == nil {
		return x.Time
	}
	return x.Time.Add(time.Duration(x.response.is.Duration * float64(time.Second)))
}
