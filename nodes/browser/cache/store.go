package cache

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Result is what became of a response; they are results of the event http.cache.
type Result string

// The results.
const (
	Stored      Result = "stored"
	NotStored   Result = "not-stored"
	Revalidated Result = "revalidated"
	Invalidated Result = "invalidated" // what was stored is not used any more without asking
)

// Outcome is what became of a response that a server sent.
type Outcome struct {
	Result Result
	// Response is what answers the request; nil: what the server sent. After a 304 it is the stored response, after the
	// rest of an incomplete one the whole.
	Response *Response
	// Again says that what the server sent cannot answer the request: it is to be looked up once more, without what the
	// cache thought it had. A server can bring that about each time: once is enough.
	Again  bool
	Reason string        // a clause that reads on after "because"; never empty
	Age    time.Duration // of what is stored now
	Fresh  time.Duration
	Gone   []Dropped // what had to go for it
}

// Store takes a final response to r, other than a 304, with its body (RFC 9111, section 3). r is as it was looked up,
// without the fields of the [Decision].
func (c *Cache) Store(at time.Time, r Request, resp Response) Outcome {
	resp = resp.timed(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	if resp.Status == http.StatusRequestedRangeNotSatisfiable && r.Header.Get("Range") == "" {
		c.drop(r)
		return Outcome{Result: NotStored, Again: true, Reason: "the server has no rest of what is stored"}
	}
	reason, bypassed := c.forbidden(r, resp)
	if reason != "" {
		if !bypassed && r.method() == http.MethodGet && resp.Status < 500 && resp.Status != http.StatusPartialContent {
			c.drop(r) // a newer response takes its place, though it is not kept
		}
		return Outcome{Result: NotStored, Reason: reason}
	}
	switch {
	case r.method() == http.MethodHead:
		if e := c.match(r); e != nil && !e.head {
			return c.storeHead(at, e, resp)
		}
	case resp.Status == http.StatusPartialContent:
		return c.storePart(at, r, resp)
	}
	e := c.newEntry(r, resp)
	if reason := e.useless(); reason != "" {
		c.drop(r)
		return Outcome{Result: NotStored, Reason: reason}
	}
	if resp.Incomplete && r.method() != http.MethodHead {
		if e.rest() == nil || resp.Status != http.StatusOK {
			return Outcome{Result: NotStored, Reason: "the connection ended early, and the rest could not be joined to what came: that needs a strong validator"}
		}
		e.total = -1
		if n, ok := parseLength(resp.Header.Get("Content-Length")); ok && n > int64(len(resp.Body)) {
			e.total = n
		}
	}
	return c.put(at, e, e.lasting())
}

// timed is resp with the times that are missing.
func (resp Response) timed(at time.Time) Response {
	if resp.Received.IsZero() {
		resp.Received = at
	}
	if resp.Sent.IsZero() {
		resp.Sent = resp.Received
	}
	return resp
}

// drop removes what r would get.
func (c *Cache) drop(r Request) {
	if e := c.match(r); e != nil {
		c.remove(e)
	}
}

// put stores e.
func (c *Cache) put(at time.Time, e *entry, reason string) Outcome {
	if size := e.measure(); size > c.limits.Response {
		c.remove(e)
		return Outcome{Result: NotStored, Reason: fmt.Sprintf("it has %d bytes, and the cache keeps responses of up to %d", size, c.limits.Response)}
	}
	gone := c.add(e)
	return Outcome{Result: Stored, Reason: reason, Age: e.age(at), Fresh: e.lifetime().lifetime, Gone: gone}
}

// forbidden says why the response must not be stored (RFC 9111, section 3); bypassed: because of the request, so that
// what is stored stays as it is.
func (c *Cache) forbidden(r Request, resp Response) (reason string, bypassed bool) {
	request, answer := parseControl(r.Header), parseControl(resp.Header)
	understood := resp.Status == http.StatusPartialContent || heuristic(resp.Status) || resp.Status >= 300 && resp.Status < 400
	switch own := condition(r.Header); {
	case r.Mode == NoStore || request.has("no-store"):
		return "the request passes the cache by (no-store)", true
	case own != "":
		return "the request has a condition of its own, " + own, true
	case r.method() != http.MethodGet && r.method() != http.MethodHead && !postIsGet(r, resp):
		return "answers to " + r.method() + " are not kept", true
	case resp.Status < 200 || resp.Status == http.StatusNotModified:
		return fmt.Sprintf("a status of %d is no response of its own", resp.Status), true
	case answer.has("must-understand") && !understood:
		return fmt.Sprintf("the server wants it kept only by who knows the status %d (must-understand)", resp.Status), false
	case answer.has("no-store") && !answer.has("must-understand"):
		return "the server says that it is not to be kept (no-store)", false
	case slices.Contains(varies(resp.Header), "*"):
		return "the server says that it is for no other request (Vary: *)", false
	case int64(len(resp.Body)) > c.limits.Response:
		return fmt.Sprintf("its body has %d bytes, and the cache keeps responses of up to %d", len(resp.Body), c.limits.Response), false
	}
	stated := answer.has("max-age") || answer.has("public") || answer.has("private") || len(resp.Header.Values("Expires")) > 0
	if !stated && !heuristic(resp.Status) {
		return fmt.Sprintf("a response with the status %d is kept only where the server says for how long", resp.Status), false
	}
	return "", false
}

// postIsGet says that the answer to a POST is what a GET of its address would get (RFC 9110, section 9.3.3).
func postIsGet(r Request, resp Response) bool {
	answer := parseControl(resp.Header)
	location, ok := resolve(r.URL, resp.Header.Get("Content-Location"))
	return r.method() == http.MethodPost && resp.Status == http.StatusOK && ok && location == r.URL &&
		(answer.has("max-age") || len(resp.Header.Values("Expires")) > 0)
}

// useless says why it makes no sense to keep the response.
func (e *entry) useless() string {
	control, fresh := parseControl(e.header), e.lifetime()
	_, revalidate := control.seconds("stale-while-revalidate")
	_, onError := control.seconds("stale-if-error")
	_, noCache := control.fields("no-cache")
	asks := e.header.Get("ETag") != "" || e.header.Get("Last-Modified") != ""
	switch {
	case asks, !noCache && (fresh.lifetime > 0 || revalidate || onError):
		return ""
	case noCache:
		return "the server wants to be asked each time (no-cache), but gave no ETag or Last-Modified to ask by"
	case fresh.explicit:
		return "it is not fresh at all (" + fresh.source + "), and there is no ETag or Last-Modified to ask by"
	}
	return "it says neither how long it is fresh nor, by ETag or Last-Modified, how to ask whether it changed"
}

// lasting says how long the response will be fresh.
func (e *entry) lasting() string {
	fresh := e.lifetime()
	_, noCache := parseControl(e.header).fields("no-cache")
	switch {
	case !e.whole() && !e.head:
		return "it came in part, and the rest can be joined to it"
	case noCache:
		return "it can be used again where the server, asked each time, says that it is still right (no-cache)"
	case fresh.lifetime == 0:
		return "it can be used again where the server says that it is still right"
	}
	return fmt.Sprintf("it is fresh for %s (%s)", seconds(fresh.lifetime), fresh.source)
}

// newEntry is the response to r as it would be stored.
func (c *Cache) newEntry(r Request, resp Response) *entry {
	e := &entry{
		key: r.key(), head: r.method() == http.MethodHead, status: resp.Status, header: kept(resp.Header),
		total: int64(len(resp.Body)), sent: resp.Sent, received: resp.Received,
	}
	if len(resp.Body) > 0 {
		e.parts = []part{{0, bytes.Clone(resp.Body)}}
	}
	e.selectBy(r)
	return e
}

// selectBy notes what of r's fields Vary names.
func (e *entry) selectBy(r Request) {
	e.vary = nil
	for _, name := range varies(e.header) {
		if e.vary == nil {
			e.vary = make(map[string]string)
		}
		e.vary[name] = selecting(r.Header, name)
	}
}

// varies are the field names of Vary, in lower case.
func varies(h http.Header) []string {
	var names []string
	for _, line := range h.Values("Vary") {
		for _, name := range list(line) {
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// kept is a response's header without the fields that are about the connection, and those that the server does not want
// to see again without being asked (RFC 9111, section 3.1).
func kept(h http.Header) http.Header {
	h = h.Clone()
	if h == nil {
		h = make(http.Header)
	}
	names, _ := parseControl(h).fields("no-cache")
	for _, line := range h.Values("Connection") {
		names = append(names, list(line)...)
	}
	for _, name := range slices.Concat(names, []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection",
		"TE", "Trailer", "Transfer-Encoding", "Upgrade",
	}) {
		h.Del(name)
	}
	return h
}

// storePart joins a 206 to what is stored, where a strong validator says that both are of the same content (RFC 9111,
// section 3.4), or stores it alone.
func (c *Cache) storePart(at time.Time, r Request, resp Response) Outcome {
	span, ok := parseContentRange(resp.Header.Get("Content-Range"))
	length := int64(len(resp.Body))
	switch {
	case !ok:
		return Outcome{Result: NotStored, Reason: "its Content-Range is not that of one part"}
	case length > span.end-span.start, length < span.end-span.start && !resp.Incomplete:
		return Outcome{Result: NotStored, Reason: "its Content-Range is not that of its body"}
	}
	fresh := c.newEntry(r, resp)
	fresh.status = http.StatusOK
	fresh.header.Del("Content-Range")
	fresh.header.Del("Content-Length")
	validator := strongValidator(resp.Received, resp.Header)
	e := c.match(r)
	joinable := e != nil && !e.head && e.status == http.StatusOK && validator != "" && validator == strongValidator(e.received, e.header) &&
		(e.total < 0 || span.total < 0 || e.total == span.total)
	reason := "it is a part, which answers requests for bytes of it"
	if joinable {
		fresh.header = updated(e.header, fresh.header)
		fresh.parts, fresh.total = e.parts, max(e.total, span.total)
		reason = "it was joined to the stored parts of the same content, " + validator
	} else {
		fresh.parts, fresh.total = nil, span.total
		if useless := fresh.useless(); useless != "" {
			return Outcome{Result: NotStored, Reason: useless}
		}
		if e != nil {
			c.remove(e)
		}
	}
	fresh.join(part{span.start, bytes.Clone(resp.Body)})
	fresh.selectBy(r)
	o := c.put(at, fresh, reason)
	if r.Header.Get("Range") == "" {
		if fresh.whole() {
			o.Response = fresh.response(r.method())
		} else {
			o.Again = true
		}
	}
	return o
}

// storeHead brings the fields of an answer to HEAD into the stored response to GET (RFC 9111, section 4.3.5).
func (c *Cache) storeHead(at time.Time, e *entry, resp Response) Outcome {
	if resp.Status != http.StatusOK {
		return Outcome{Result: NotStored, Reason: fmt.Sprintf("a status of %d to HEAD says nothing about the stored response to GET", resp.Status)}
	}
	for _, name := range []string{"ETag", "Last-Modified", "Content-Length"} {
		value := resp.Header.Get(name)
		was := e.header.Get(name)
		if name == "Content-Length" && e.whole() {
			was = fmt.Sprint(len(e.content()))
		}
		if value != "" && value != was {
			e.invalid = true
			return Outcome{Result: Invalidated, Reason: "the answer to HEAD has another " + name + " than the stored response to GET"}
		}
	}
	c.freshen(e, resp)
	o := c.put(at, e, "the answer to HEAD brings newer fields of the stored response to GET")
	o.Result = Revalidated
	return o
}

// freshen takes the fields of a response that confirms the stored one (RFC 9111, section 3.2).
func (c *Cache) freshen(e *entry, resp Response) {
	e.header = updated(e.header, kept(resp.Header))
	e.sent, e.received, e.invalid = resp.Sent, resp.Received, false
}

// updated is a stored header with the fields of a newer response of the same content: all but those that are about its
// stored bytes. Age and Date are of the newer response or not there.
func updated(stored, newer http.Header) http.Header {
	h := stored.Clone()
	h.Del("Age")
	h.Del("Date")
	for name, values := range newer {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range":
			continue
		}
		h[name] = slices.Clone(values)
	}
	return h
}

// resolve is the address that a field names, without a fragment.
func resolve(base, reference string) (string, bool) {
	from, err := url.Parse(base)
	if err != nil || reference == "" {
		return "", false
	}
	to, err := from.Parse(reference)
	if err != nil {
		return "", false
	}
	to.Fragment, to.RawFragment = "", ""
	return to.String(), to.Scheme == from.Scheme && to.Host == from.Host
}
