package cache

import (
	"fmt"
	"net/http"
	"time"
)

// Validated takes a 304 (Not Modified) that came for r with the fields of a [Decision], and returns the response that
// it confirms with its new fields (RFC 9111, section 4.3.4).
func (c *Cache) Validated(at time.Time, r Request, resp Response) Outcome {
	resp = resp.timed(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	e, reason := c.confirmed(r, resp.Header)
	if e == nil {
		if answer, why := c.confirmedWeakly(at, r, resp.Header); answer != nil {
			return Outcome{Result: Revalidated, Response: answer, Reason: why}
		}
		return Outcome{Result: NotStored, Again: true, Reason: reason}
	}
	if tag, strong := etag(resp.Header); strong {
		for _, o := range c.entries[r.key()] {
			if stored, _ := etag(o.header); o != e && stored == tag {
				c.freshen(o, resp)
			}
		}
	}
	if e.fits(r.Header) {
		c.freshen(e, resp)
	} else {
		// The response is also right for a request with other fields: that makes it another variant.
		other := *e
		other.size = 0
		c.freshen(&other, resp)
		e = &other
	}
	e.selectBy(r)
	answer, missing := e.answer(at, r)
	if missing != "" {
		return Outcome{Result: NotStored, Again: true, Reason: missing}
	}
	if answer.Header.Del("Age"); resp.Header.Get("Age") != "" {
		answer.Header.Set("Age", resp.Header.Get("Age"))
	}
	o := c.put(at, e, reason)
	if parseControl(e.header).has("no-store") {
		c.remove(e)
	}
	o.Result, o.Response = Revalidated, answer
	return o
}

// confirmed finds the stored response that a 304 with these fields is about: by its entity tag or date of change, and
// where it names neither, the one that the request would get.
func (c *Cache) confirmed(r Request, h http.Header) (e *entry, reason string) {
	tag, strong := etag(h)
	modified := h.Get("Last-Modified")
	for _, o := range c.entries[r.key()] {
		stored, _ := etag(o.header)
		var same bool
		switch {
		case o.head && r.method() != http.MethodHead:
		case strong:
			same = stored == tag
		case tag != "":
			same = sameWeakly(stored, tag)
		case modified != "":
			same = o.header.Get("Last-Modified") == modified
		default:
			same = o.fits(r.Header)
		}
		fits := o.fits(r.Header)
		if same && (e == nil || fits && !e.fits(r.Header) || fits == e.fits(r.Header) && o.newer(e)) {
			e = o
		}
	}
	switch {
	case e == nil:
		return nil, "the server confirms a response that is not stored"
	case tag != "":
		return e, "the server says that the response with the ETag " + tag + " is still right"
	case modified != "":
		return e, "the server says that it did not change since " + modified
	}
	return e, "the server says that it did not change"
}

// confirmedWeakly finds the stored response that r asked about where a 304 names another of the same content: If-None-Match
// compares weakly (RFC 9110, section 13.1.2), and servers such as nginx, which weaken the tag of what they compress, answer
// with the tag that the content had before. What is stored is right then, but is not updated (RFC 9111, section 4.3.4).
func (c *Cache) confirmedWeakly(at time.Time, r Request, h http.Header) (answer *Response, reason string) {
	tag, strong := etag(h)
	var e *entry
	for _, o := range c.entries[r.key()] {
		stored, _ := etag(o.header)
		if strong && sameWeakly(stored, tag) && o.fits(r.Header) && (!o.head || r.method() == http.MethodHead) && (e == nil || o.newer(e)) {
			e = o
		}
	}
	if e == nil {
		return nil, ""
	}
	answer, _ = e.answer(at, r) // nil: only parts of it are stored
	return answer, "the server says that what it sends as " + tag + " did not change, and so what is stored in another coding is still right"
}

// Invalidate has what is stored for r's address not used any more without asking, after the server answered the unsafe
// method of r with a status that is no error: also what Location and Content-Location name, where they are of the same
// origin (RFC 9111, section 4.4). It comes before [Cache.Store], which may keep the answer to a POST.
func (c *Cache) Invalidate(r Request, resp Response) []Dropped {
	switch r.method() {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return nil
	}
	if resp.Status < 200 || resp.Status >= 400 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.invalidate(r.key(), fmt.Sprintf("a %s to this address may have changed it", r.method()))
	for _, name := range []string{"Location", "Content-Location"} {
		if address, ok := resolve(r.URL, resp.Header.Get(name)); ok && address != r.URL {
			reason := fmt.Sprintf("the answer to a %s of %s names it as its %s", r.method(), r.URL, name)
			gone = append(gone, c.invalidate(key{r.Partition, address}, reason)...)
		}
	}
	return gone
}

func (c *Cache) invalidate(k key, reason string) []Dropped {
	var gone []Dropped
	for _, e := range c.entries[k] {
		if !e.invalid {
			e.invalid = true
			gone = append(gone, e.dropped(reason))
		}
	}
	return gone
}
