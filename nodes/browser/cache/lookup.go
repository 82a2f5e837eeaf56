package cache

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Use is what a browser is to do with a request.
type Use string

// The uses. Hit, Stale and Miss are results of the event http.cache as they stand; what came of Validate and Complete is
// known when the server has answered.
const (
	Hit         Use = "hit"         // show Response, without asking the server
	Stale       Use = "stale"       // show Response, and then ask the server with Fields, where there are any
	Validate    Use = "validate"    // ask the server with Fields: is what is kept still right?
	Complete    Use = "complete"    // Response is the beginning; ask the server for the rest with Fields
	Miss        Use = "miss"        // ask the server, with Fields where there are any
	Unavailable Use = "unavailable" // the request wants an answer from the cache alone, and there is none: a network error
)

// Decision says what to do with a request.
type Decision struct {
	Use      Use
	Response *Response     // for Hit, Stale and Complete
	Fields   http.Header   // to set on the request that is sent; nil: none
	Reason   string        // a clause that reads on after "because"; never empty
	Age      time.Duration // of what is stored, where there is something
	Fresh    time.Duration // how long that is fresh from when it was made
}

// Lookup says whether the cache answers r, and how (RFC 9111, section 4).
func (c *Cache) Lookup(at time.Time, r Request) Decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	control := parseControl(r.Header)
	switch own := condition(r.Header); {
	case r.method() != http.MethodGet && r.method() != http.MethodHead:
		return Decision{Use: Miss, Reason: "only answers to GET and HEAD are kept, and this is a " + r.method()}
	case r.Mode == NoStore || control.has("no-store"):
		return Decision{Use: Miss, Reason: "the request passes the cache by (no-store)"}
	case r.Mode == Reload:
		return Decision{Use: Miss, Reason: "the request is a forced reload", Fields: http.Header{
			"Cache-Control": {"no-cache"}, "Pragma": {"no-cache"},
		}}
	case own != "":
		return Decision{Use: Miss, Reason: "the request has a condition of its own, " + own}
	}
	d := c.decide(at, r, control)
	if r.Mode == NoCache && d.Use != Hit && d.Use != Stale && r.Header.Get("Cache-Control") == "" {
		if d.Fields == nil {
			d.Fields = make(http.Header)
		}
		d.Fields.Set("Cache-Control", "max-age=0") // also where nothing is stored: caches on the way may have something
	}
	if (r.Mode == OnlyIfCached || control.has("only-if-cached")) && d.Use != Hit && d.Use != Stale {
		d = Decision{Use: Unavailable, Reason: "the request wants an answer from the cache alone, and " + d.Reason, Age: d.Age, Fresh: d.Fresh}
	}
	return d
}

// condition is the name of a precondition that the request brings along (RFC 9110, section 13.1).
func condition(h http.Header) string {
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range"} {
		if h.Get(name) != "" {
			return name
		}
	}
	return ""
}

// decide looks at what is stored.
func (c *Cache) decide(at time.Time, r Request, control directives) Decision {
	e := c.match(r)
	if e == nil {
		return c.nothing(r)
	}
	v := e.verdict(at, r, control)
	d := Decision{Use: v.use, Reason: v.reason, Age: e.age(at), Fresh: e.lifetime().lifetime}
	if v.use == Hit || v.use == Stale {
		answer, missing := e.answer(at, r)
		if missing == "" {
			c.use(e)
			d.Response = answer
			if v.use == Stale {
				d.Fields = e.conditions(r)
			}
			return d
		}
		d.Use, d.Reason = Miss, missing
	}
	get, ranged := r.method() == http.MethodGet, r.Header.Get("Range") != ""
	switch rest := e.rest(); {
	case get && !ranged && !e.whole() && rest != nil:
		d.Use, d.Fields, d.Response = Complete, rest, e.response(r.method())
		d.Reason = fmt.Sprintf("the first %d bytes are stored, and the rest can be joined to them", e.prefix())
		c.use(e)
	case get && !e.whole() && d.Use == Validate:
		if _, missing := e.answer(at, r); missing != "" {
			d.Use, d.Reason = Miss, missing
			break
		}
		fallthrough
	case d.Use == Validate:
		if d.Fields = e.conditions(r); d.Fields == nil {
			d.Use, d.Reason = Miss, d.Reason+", and the stored response has nothing to ask by"
		}
	}
	return d
}

// nothing is the decision where no stored response fits.
func (c *Cache) nothing(r Request) Decision {
	var tags, names []string
	for _, e := range c.entries[r.key()] {
		for name := range e.vary {
			names = append(names, http.CanonicalHeaderKey(name))
		}
		if tag, _ := etag(e.header); tag != "" && !e.head && e.whole() {
			tags = append(tags, tag)
		}
	}
	d := Decision{Use: Miss, Reason: "nothing is stored for this address"}
	if len(names) > 0 {
		slices.Sort(names)
		d.Reason = "what is stored is for other values of " + strings.Join(slices.Compact(names), ", ") + ", which Vary names"
		slices.Sort(tags)
		if tags = slices.Compact(tags); len(tags) > 0 && r.Header.Get("Range") == "" {
			d.Use, d.Fields = Validate, http.Header{"If-None-Match": {strings.Join(tags, ", ")}}
		}
		return d
	}
	for k := range c.entries {
		if k.url == r.URL && k.partition != r.Partition {
			d.Reason = "it is stored for pages of another site alone"
		}
	}
	return d
}

// verdict is whether a stored response may be used.
type verdict struct {
	use    Use
	reason string
}

// verdict judges the response by its age, and by what server and request want (RFC 9111, sections 4.2.4 and 5.2).
func (e *entry) verdict(at time.Time, r Request, control directives) verdict {
	answer := parseControl(e.header)
	age, fresh := e.age(at), e.lifetime()
	old := fmt.Sprintf("it is %s old", seconds(age))
	isFresh := age < fresh.lifetime && !e.invalid
	_, noCache := answer.fields("no-cache")
	switch {
	case e.invalid:
		return verdict{Validate, "something changed at this address since it was stored"}
	case r.Mode == ForceCache || r.Mode == OnlyIfCached:
		return verdict{Hit, "the request takes what is stored, however old (" + string(r.Mode) + "): " + old}
	case r.Mode == NoCache && isFresh && answer.has("immutable"):
		return verdict{Hit, "the server says that it does not change while it is fresh (immutable): " + old}
	case r.Mode == NoCache:
		return verdict{Validate, "the request is a reload"}
	case noCache:
		return verdict{Validate, "the server wants to be asked each time (no-cache)"}
	case control.has("no-cache") || len(control) == 0 && strings.EqualFold(r.Header.Get("Pragma"), "no-cache"):
		return verdict{Validate, "the request wants the server to be asked (no-cache)"}
	}
	if limit, ok := control.seconds("max-age"); ok && (age > limit || limit == 0) {
		return verdict{Validate, fmt.Sprintf("%s, and the request takes nothing older than %s", old, seconds(limit))}
	}
	if isFresh {
		if rest, ok := control.seconds("min-fresh"); ok && fresh.lifetime-age < rest {
			return verdict{Validate, "it would not stay fresh for the " + seconds(rest) + " that the request wants"}
		}
		return verdict{Hit, fmt.Sprintf("%s and fresh for %s (%s)", old, seconds(fresh.lifetime), fresh.source)}
	}
	return e.stale(control, answer, age, fresh)
}

// stale judges a response that is no longer fresh.
func (e *entry) stale(control, answer directives, age time.Duration, fresh freshness) verdict {
	over := age - fresh.lifetime
	old := fmt.Sprintf("it is %s old and was fresh for %s (%s)", seconds(age), seconds(fresh.lifetime), fresh.source)
	if answer.has("must-revalidate") {
		return verdict{Validate, old + ", and the server forbids to use it then (must-revalidate)"}
	}
	if limit, ok := control.seconds("max-stale"); ok && (slices.Contains(control["max-stale"], "") || over <= limit) {
		return verdict{Hit, old + ", but the request takes stale ones (max-stale)"}
	}
	if limit, ok := answer.seconds("stale-while-revalidate"); ok && over <= limit {
		return verdict{Stale, fmt.Sprintf("%s, but may be shown for %s more while the server is asked (stale-while-revalidate)", old, seconds(limit))}
	}
	return verdict{Validate, old}
}

// conditions are the fields that ask the server whether the response is still right (section 4.3.1); nil: it has nothing
// to ask by.
func (e *entry) conditions(r Request) http.Header {
	if e.head && r.method() != http.MethodHead {
		return nil
	}
	h := make(http.Header)
	if tag, _ := etag(e.header); tag != "" {
		h.Set("If-None-Match", tag)
	}
	if modified := e.header.Get("Last-Modified"); modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	if len(h) == 0 {
		return nil
	}
	return h
}

// rest are the fields that ask for what is missing at the end, if the beginning is still right (RFC 9110, section
// 13.1.5); nil: it cannot be joined.
func (e *entry) rest() http.Header {
	validator := strongValidator(e.received, e.header)
	if validator == "" || e.prefix() == 0 {
		return nil
	}
	return http.Header{"Range": {fmt.Sprintf("bytes=%d-", e.prefix())}, "If-Range": {validator}}
}

// Failed says whether an old response may be shown because the server did not answer, or with the error status (RFC
// 5861, section 4). Use is Stale, and then the server is not asked again, or Miss.
func (c *Cache) Failed(at time.Time, r Request, status int) Decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := Decision{Use: Miss}
	switch status {
	case 0, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		d.Reason = fmt.Sprintf("a status of %d is no failure of the server", status)
		return d
	}
	if r.Mode == NoStore || r.Mode == Reload || condition(r.Header) != "" || r.method() != http.MethodGet && r.method() != http.MethodHead {
		d.Reason = "the request passes the cache by"
		return d
	}
	e := c.match(r)
	if e == nil {
		d.Reason = c.nothing(r).Reason
		return d
	}
	d.Age, d.Fresh = e.age(at), e.lifetime().lifetime
	answer, request := parseControl(e.header), parseControl(r.Header)
	limit, given := answer.seconds("stale-if-error")
	own, asked := request.seconds("stale-if-error")
	limit = max(limit, own)
	_, noCache := answer.fields("no-cache")
	switch {
	case answer.has("must-revalidate"), noCache, e.invalid:
		d.Reason = "the stored response is not used without the server's consent"
	case !given && !asked:
		d.Reason = "the server does not say that an old response may be shown then (stale-if-error)"
	case d.Age-d.Fresh > limit:
		d.Reason = fmt.Sprintf("the stored response is %s past its time, and may be so for %s (stale-if-error)", seconds(d.Age-d.Fresh), seconds(limit))
	default:
		answer, missing := e.answer(at, r)
		d.Reason = cmp.Or(missing, fmt.Sprintf("the server failed, and an old response may be shown then for %s (stale-if-error)", seconds(limit)))
		if missing == "" {
			c.use(e)
			d.Use, d.Response = Stale, answer
		}
	}
	return d
}
