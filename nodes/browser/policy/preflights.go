package policy

import (
	"sync"
	"time"
)

// maxPreflights is how many permissions are remembered.
const maxPreflights = 1000

// Preflights remembers what other origins have allowed (Fetch, section 4.9: CORS-preflight cache). It may be used from
// several goroutines.
type Preflights struct {
	mu      sync.Mutex
	granted map[preflightKey]time.Time // until when
}

type preflightKey struct {
	site, origin, url string
	credentials       bool
	method, field     string // one of both
}

// NewPreflights returns an empty memory.
func NewPreflights() *Preflights { return &Preflights{granted: make(map[preflightKey]time.Time)} }

func (r *CORSRequest) key(site string) preflightKey {
	return preflightKey{site: site, origin: r.Origin, url: r.URL.Bare(), credentials: r.Credentials}
}

// Allows says that all of r was allowed before, and still is at that time. site is that of the page in the address bar.
func (p *Preflights) Allows(at time.Time, site string, r *CORSRequest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := r.key(site)
	has := func(method, field string) bool {
		k.method, k.field = method, field
		return at.Before(p.granted[k])
	}
	if !safeMethod(r.Method) && !has(r.Method, "") && (r.Credentials || !has("*", "")) {
		return false
	}
	for _, name := range r.Unsafe() {
		wild := !r.Credentials && name != "authorization"
		if !has("", name) && !(wild && has("", "*")) {
			return false
		}
	}
	return true
}

// Add remembers what a preflight for r allowed.
func (p *Preflights) Add(at time.Time, site string, r *CORSRequest, g Grant) {
	if g.MaxAge <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, until := range p.granted {
		if !at.Before(until) {
			delete(p.granted, k)
		}
	}
	until := at.Add(time.Duration(g.MaxAge) * time.Second)
	put := func(method, field string) {
		if len(p.granted) < maxPreflights {
			k := r.key(site)
			k.method, k.field = method, field
			p.granted[k] = until
		}
	}
	for _, method := range g.Methods {
		put(method, "")
	}
	for _, field := range g.Fields {
		put("", field)
	}
}

// Forget drops what u's origin allowed of the request r, because it did not hold.
func (p *Preflights) Forget(site string, r *CORSRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := r.key(site)
	for k := range p.granted {
		k2 := k
		k2.method, k2.field = "", ""
		if k2 == want {
			delete(p.granted, k)
		}
	}
}
