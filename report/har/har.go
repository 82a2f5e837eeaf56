package har

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"scenario/event"
	"scenario/report/loads"
)

// Make returns a file for each page load, in their order. The loads are those of one recording: what the first ones left
// in a browser's cache is told with the later ones.
func Make(all []loads.Load) []File {
	files := make([]File, 0, len(all))
	known := make(caches)
	for _, l := range all {
		files = append(files, known.file(l))
	}
	return files
}

// Bytes is the file's content. Control characters that pages sent stand in it as escapes alone.
func (f File) Bytes() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(f); err != nil {
		return nil, fmt.Errorf("HAR: %w", err)
	}
	return escapeControls(out.Bytes()), nil
}

// escapeControls writes as escapes what JSON lets stand, but what may move a cursor or turn the writing round.
func escapeControls(text []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(text) {
		if r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.Bytes()
}

// pageID is the only page's of a file.
const pageID = "page_1"

func (c caches) file(l loads.Load) File {
	title := l.URL
	if l.Sum != nil {
		title = cmp.Or(l.Sum.URL, title)
	}
	log := Log{
		Version: "1.2", Creator: Program{"scenario", "1"}, Browser: program(l),
		Pages:   []Page{{Started: started(l.Start), ID: pageID, Title: title, Timings: Moments{-1, -1}}},
		Entries: []Entry{},
	}
	for _, m := range l.Milestones {
		switch m.Milestone {
		case "dom_content_loaded":
			log.Pages[0].Timings.ContentLoad = ms(m.Since)
		case "load":
			log.Pages[0].Timings.Load = ms(m.Since)
		}
	}
	for _, f := range l.Fetches {
		log.Entries = append(log.Entries, c.entry(l, f))
	}
	return File{log}
}

// program is the browser, as it calls itself to servers.
func program(l loads.Load) Program {
	p := Program{Name: cmp.Or(l.Role, "browser"), Version: "unknown"}
	for _, f := range l.Fetches {
		if f.Request == nil || f.Request.UserAgent == "" {
			continue
		}
		for product := range strings.FieldsSeq(f.Request.UserAgent) {
			name, version, ok := strings.Cut(product, "/")
			if ok && (p.Version == "unknown" || strings.HasSuffix(name, "Chrome")) {
				p = Program{name, version}
			}
		}
		break
	}
	return p
}

func (c caches) entry(l loads.Load, f loads.Fetch) Entry {
	begun := l.Start.Add(duration(f.Start))
	e := Entry{
		Page: pageID, Started: started(begun), Timings: timings(f), Connection: connection(f),
		Priority: priority(f.Priority), ResourceType: resourceType(f.Destination), Initiator: initiator(f),
	}
	for _, t := range []float64{e.Timings.Blocked, e.Timings.DNS, e.Timings.Connect, e.Timings.Send, e.Timings.Wait, e.Timings.Receive} {
		e.Time += max(t, 0)
	}
	e.Time = micro(e.Time)
	if a, err := netip.ParseAddrPort(f.Remote); err == nil {
		e.ServerIP = a.Addr().Unmap().WithZone("").String()
	}
	if f.From == fromCache {
		e.FromCache = "disk"
	}
	question, answer := message{head: -1}, message{head: -1}
	if q := f.Request; q != nil {
		question = newMessage(q.Raw, q.RawBase64, q.Truncated)
	}
	if a := f.Response; a != nil {
		answer = newMessage(a.Raw, a.RawBase64, a.Truncated)
	}
	e.Request = request(f, question)
	at := place{l.Node, f.URL}
	held, ok := c[at]
	switch {
	case f.From == fromCache && ok:
		e.Response = response(f, held.message, held.message, begun)
	case f.From == revalidated && ok:
		e.Response = response(f, answer, held.message, begun)
	default:
		e.Response = response(f, answer, answer, begun)
	}
	e.Cache = c.use(at, f, answer, begun)
	return e
}

// fromCache is the origin of what came from the cache without a question to the server; revalidated: after one.
const (
	fromCache   = "cache"
	revalidated = "revalidated"
)

func request(f loads.Fetch, m message) Request {
	q := Request{
		Method: cmp.Or(f.Method, http.MethodGet), URL: uri(f.URL), HTTPVersion: version(f.Proto),
		Cookies: cookiesSent(m.all("Cookie")...), Headers: headers(m), Query: []Pair{}, HeadersSize: m.head,
	}
	if u, err := url.Parse(q.URL); err == nil {
		q.Query = parameters(u.RawQuery)
	}
	if f.Request == nil {
		return q
	}
	if len(q.Cookies) == 0 {
		q.Cookies = cookiesSent(f.Request.Cookie)
	}
	if f.Request.HeaderBytes > 0 {
		q.HeadersSize = int64(f.Request.HeaderBytes)
	}
	if length := m.get("Content-Length"); length != "" {
		n, err := strconv.ParseInt(length, 10, 64)
		if q.BodySize = n; err != nil || n < 0 {
			q.BodySize = -1
		}
	}
	if m.whole && len(m.body) > 0 {
		q.BodySize = int64(len(m.body))
		q.PostData = postData(m)
	}
	return q
}

func postData(m message) *PostData {
	p := PostData{MIMEType: m.get("Content-Type")}
	p.Text, _ = text(m.body)
	if kind, _, _ := strings.Cut(p.MIMEType, ";"); strings.TrimSpace(kind) == "application/x-www-form-urlencoded" {
		p.Params = parameters(string(m.body))
	}
	return &p
}

// response is made of the message that came, and of the one whose body the page got: from the cache, where that is another.
func response(f loads.Fetch, m, shown message, begun time.Time) Response {
	a := Response{
		Status: f.Status, StatusText: http.StatusText(f.Status), HTTPVersion: version(f.Proto),
		Headers: headers(m), Cookies: cookiesSet(m.all("Set-Cookie"), begun), RedirectURL: f.Redirect,
		HeadersSize: m.head, BodySize: f.Size, Content: content(f, shown),
	}
	if f.Response != nil && f.Response.Status != 0 {
		a.Status, a.StatusText = f.Response.Status, http.StatusText(f.Response.Status)
		if f.Response.HeaderBytes > 0 {
			a.HeadersSize = int64(f.Response.HeaderBytes)
		}
	}
	if a.RedirectURL == "" && a.Status/100 == 3 {
		a.RedirectURL = m.get("Location")
	}
	if f.From == fromCache {
		a.BodySize = 0
	} else {
		a.TransferSize = max(a.HeadersSize, 0) + max(a.BodySize, 0)
	}
	if a.Status == 0 {
		a.HeadersSize, a.BodySize = -1, -1
	}
	if f.Error != "" || f.Failed != "" {
		problem := cmp.Or(f.Error, f.Failed)
		a.Error = &problem
	}
	return a
}

func content(f loads.Fetch, m message) Content {
	c := Content{Size: cmp.Or(f.Decoded, f.Size), MIMEType: cmp.Or(m.get("Content-Type"), f.MIME, "x-unknown")}
	if f.From != fromCache && f.From != revalidated && f.Decoded > f.Size {
		c.Compression = f.Decoded - f.Size
	}
	body, ok := m.decoded()
	switch {
	case !m.known || c.Size == 0:
	case ok && int64(len(body)) == c.Size:
		c.Text, c.Encoding = text(body)
	default:
		c.Comment = "the log does not have the body whole"
	}
	return c
}

func headers(m message) []Pair {
	if m.headers == nil {
		return []Pair{}
	}
	return m.headers
}

// version names a protocol version as the browsers' HAR files do.
func version(proto string) string {
	if proto == "HTTP/2" || strings.EqualFold(proto, "h2") {
		return "HTTP/2.0"
	}
	return cmp.Or(proto, "unknown")
}

// timings are the phases; those of the connection belong to the request that it was made for.
func timings(f loads.Fetch) Timings {
	t := Timings{Blocked: ms(f.Queued), DNS: -1, Connect: -1, SSL: -1, Send: ms(f.Send), Wait: ms(f.Wait), Receive: ms(f.Receive)}
	if f.Lookup > 0 {
		t.DNS = ms(f.Lookup)
	}
	if f.Connect > 0 || f.TLS > 0 || !f.Reused && f.Local != "" {
		t.Connect = micro(ms(f.Connect) + ms(f.TLS))
	}
	if f.TLS > 0 {
		t.SSL = ms(f.TLS)
	}
	return t
}

// ms writes seconds as milliseconds to the microsecond; what is no length of time is none.
func ms(seconds float64) float64 {
	if !(seconds > 0) || math.IsInf(seconds, 0) {
		return 0
	}
	return micro(seconds * 1e3)
}

// micro rounds milliseconds to the microsecond.
func micro(ms float64) float64 { return math.Round(ms*1e3) / 1e3 }

// duration is a length in seconds, within a day.
func duration(seconds float64) time.Duration {
	const most = 24 * 60 * 60
	if !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, most) * float64(time.Second)).Round(time.Microsecond)
}

// started is a moment in a form that every reader takes.
func started(t time.Time) string { return cmp.Or(stamp(t), stamp(time.Unix(0, 0))) }

// connection names the connection: by the client's port where the browser has no name for it.
func connection(f loads.Fetch) string {
	if f.Connection != "" {
		return f.Connection
	}
	if a, err := netip.ParseAddrPort(f.Local); err == nil {
		return strconv.Itoa(int(a.Port()))
	}
	return ""
}

// priority is an urgency (RFC 9218) as Chromium names it.
func priority(urgency int) string {
	names := [...]string{"VeryHigh", "High", "Medium", "Low", "VeryLow"}
	return names[max(0, min(urgency, len(names)-1))]
}

// resourceType is a destination (Fetch, section 2.2.5) as DevTools name it.
func resourceType(destination string) string {
	switch destination {
	case "document", "iframe", "frame":
		return "document"
	case "style":
		return "stylesheet"
	case "script", "image", "font", "manifest", "fetch", "xhr", "preflight", "websocket", "ping":
		return destination
	case "audio", "video":
		return "media"
	case "track":
		return "texttrack"
	}
	return "other"
}

func initiator(f loads.Fetch) *Initiator {
	switch {
	case f.Destination == "fetch" || f.Destination == "xhr":
		return &Initiator{Type: "script", URL: f.Page}
	case strings.Contains(f.Initiator, "://"):
		return &Initiator{Type: "parser", URL: f.Initiator}
	case f.Initiator == "parser":
		return &Initiator{Type: "parser", URL: f.Page}
	}
	return &Initiator{Type: "other"}
}

// caches are what the caches of browsers hold, as far as the recording tells.
type caches map[place]cached

// place is an address in a node's cache.
type place struct{ node, url string }

// cached is a response in a cache.
type cached struct {
	message message
	entry   *CacheEntry
}

// use notes what the fetch did with the cache, and tells what that held before and after.
func (c caches) use(at place, f loads.Fetch, answer message, when time.Time) Cache {
	held := c[at]
	out := Cache{Before: held.entry}
	if f.From == fromCache || f.From == revalidated {
		entry := CacheEntry{LastAccess: started(when), Hits: 1}
		if held.entry != nil {
			entry.ETag, entry.Expires, entry.Hits = held.entry.ETag, held.entry.Expires, held.entry.Hits+1
		}
		held.entry = &entry
		out.After = held.entry
	}
	for _, what := range f.Cache {
		switch what.Result {
		case "stored":
			held = cached{answer, &CacheEntry{ETag: answer.get("ETag"), LastAccess: started(when), Expires: expires(what, f.At)}}
			out.After = held.entry
		case revalidated:
			if held.entry != nil {
				entry := *held.entry
				entry.Expires = cmp.Or(expires(what, f.At), entry.Expires)
				held.entry = &entry
				out.After = held.entry
			}
		case "invalidated":
			held, out.After = cached{}, nil
		}
	}
	if held.entry != nil || held.message.known {
		c[at] = held
	} else {
		delete(c, at)
	}
	return out
}

// expires is when a response goes stale that the cache spoke of at that time; empty where it does not say.
func expires(what event.HTTPCache, at time.Time) string {
	if !(what.Fresh > 0) {
		return ""
	}
	return stamp(at.Add(duration(what.Fresh - what.Age)))
}
