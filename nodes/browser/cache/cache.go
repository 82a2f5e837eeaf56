// Package cache is a browser's HTTP cache: it says whether a request has to go to the server, and keeps what comes from
// there (RFC 9111, as a private cache; with RFC 5861, stale-while-revalidate and stale-if-error; RFC 8246, immutable; and
// ranges of RFC 9110, section 14).
//
// It does no I/O and takes the time as an argument. A browser calls [Cache.Lookup] before it sends a request, and does as
// the [Decision] says. Of what comes it tells the cache once the body has been read:
//
//   - [Cache.Validated] for a 304 (Not Modified) that answers the decision's fields,
//   - [Cache.Store] for any other final response,
//   - [Cache.Failed] for no response, or one with a server error: perhaps an old one may be shown instead,
//   - [Cache.Invalidate] after a method that changes something on the server, before Store.
//
// Each answer has a Reason: a clause that reads on after "because".
//
// Responses are kept apart by the site of the page in the address bar (Fetch, section 2.9), so that no site learns from
// the time an answer takes what was loaded for another.
package cache

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mode is how a request wants the cache to be used (Fetch, section 2.2.5). The empty value is Default.
type Mode string

// The modes of Fetch.
const (
	Default      Mode = "default"
	NoStore      Mode = "no-store"       // as if there were no cache
	Reload       Mode = "reload"         // from the server (a forced reload); the answer is kept
	NoCache      Mode = "no-cache"       // the server is asked whether what is kept is right (a reload)
	ForceCache   Mode = "force-cache"    // what is kept, however old
	OnlyIfCached Mode = "only-if-cached" // what is kept, however old, or nothing
)

// Request is a request that a browser wants to make or has made.
type Request struct {
	Partition string // scheme and registrable domain of the page in the address bar
	URL       string // absolute, without a fragment
	Method    string // empty: GET
	Mode      Mode
	// Header is as the request would be sent without a cache, with all that Vary may name: Accept-Encoding, Cookie, Origin.
	Header http.Header
}

// method is the request's, GET by default.
func (r Request) method() string { return cmp.Or(r.Method, http.MethodGet) }

// Response is a final response. Cookies are set by what servers send alone: Set-Cookie in a response from the cache has
// been obeyed when it came.
type Response struct {
	Status int
	Header http.Header
	// Body is the content as it came, after the transfer coding and before the content coding. A cache's Body is not to be
	// changed.
	Body []byte
	// Incomplete says that the connection ended before the body did.
	Incomplete bool
	// Sent and Received are when the request for it was sent, and when its header came. Zero: at the time of the call.
	Sent, Received time.Time
}

// Limits bound a cache; what was used the longest ago goes first.
type Limits struct {
	Total    int64 // bytes of all responses; 0: 64 MiB
	Response int64 // bytes of one; 0: an eighth of Total
}

// overhead is what an entry counts besides its text.
const overhead = 256

// maxVariants is how many responses of one URL are kept.
const maxVariants = 32

// Cache holds responses. It may be used from several goroutines.
type Cache struct {
	limits Limits

	mu      sync.Mutex
	entries map[key][]*entry
	size    int64
	clock   uint64 // counts uses, so that the order of uses at the same instant is known
}

// key is what responses are kept under; those of one key differ by what Vary names.
type key struct{ partition, url string }

func (r Request) key() key { return key{r.Partition, r.URL} }

// New returns an empty cache.
func New(limits Limits) *Cache {
	limits.Total = cmp.Or(limits.Total, 64<<20)
	limits.Response = cmp.Or(limits.Response, limits.Total/8)
	return &Cache{limits: limits, entries: make(map[key][]*entry)}
}

// Dropped is a response that the cache gave up, or does not use any more without asking.
type Dropped struct {
	Partition, URL string
	Reason         string
}

// Len is how many responses the cache holds, and Size their bytes as they count for the limits.
func (c *Cache) Len() (responses int, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, variants := range c.entries {
		responses += len(variants)
	}
	return responses, c.size
}

// Clear empties the cache.
func (c *Cache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.size = 0
}

// match is the stored response that a request may get (RFC 9111, section 4): the newest of those whose Vary fits. A
// response to HEAD has no content, and only answers HEAD.
func (c *Cache) match(r Request) *entry {
	var best *entry
	for _, e := range c.entries[r.key()] {
		if !e.fits(r.Header) || e.head && r.method() != http.MethodHead {
			continue
		}
		if best == nil || e.newer(best) {
			best = e
		}
	}
	return best
}

// use notes that e was used just now.
func (c *Cache) use(e *entry) {
	c.clock++
	e.used = c.clock
}

// add puts e into the cache, in place of those that it replaces, and returns what had to go for it.
func (c *Cache) add(e *entry) []Dropped {
	c.removeIf(e.key, func(o *entry) bool { return o != e && o.variant() == e.variant() })
	if !slices.Contains(c.entries[e.key], e) {
		c.entries[e.key] = append(c.entries[e.key], e)
	} else {
		c.size -= e.size
	}
	e.size = e.measure()
	c.size += e.size
	c.use(e)

	var dropped []Dropped
	if variants := c.entries[e.key]; len(variants) > maxVariants {
		oldest := slices.MinFunc(variants, func(a, b *entry) int { return cmp.Compare(a.used, b.used) })
		c.remove(oldest)
		dropped = append(dropped, oldest.dropped("the cache keeps no more variants of one address, and this one was used the longest ago"))
	}
	for c.size > c.limits.Total {
		oldest := c.leastUsed()
		c.remove(oldest)
		dropped = append(dropped, oldest.dropped("the cache is full, and this response was used the longest ago"))
	}
	return dropped
}

func (c *Cache) leastUsed() *entry {
	var oldest *entry
	for _, variants := range c.entries {
		for _, e := range variants {
			if oldest == nil || e.used < oldest.used {
				oldest = e
			}
		}
	}
	return oldest
}

func (c *Cache) remove(gone *entry) {
	c.removeIf(gone.key, func(e *entry) bool { return e == gone })
}

func (c *Cache) removeIf(k key, of func(*entry) bool) {
	c.entries[k] = slices.DeleteFunc(c.entries[k], func(e *entry) bool {
		if of(e) {
			c.size -= e.size
			return true
		}
		return false
	})
	if len(c.entries[k]) == 0 {
		delete(c.entries, k)
	}
}

// selecting is what counts of a request's fields for a Vary that names name: its values with the same spaces between
// them, and for negotiated fields, whose order says nothing, in the same order and case.
func selecting(h http.Header, name string) string {
	var items []string
	for _, line := range h.Values(name) {
		items = append(items, list(line)...)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Accept-Language", "Accept-Encoding", "Accept-Charset":
		for i := range items {
			items[i] = strings.ToLower(strings.ReplaceAll(items[i], " ", ""))
		}
		slices.Sort(items)
	}
	return strings.Join(items, ", ")
}
