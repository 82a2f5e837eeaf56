// Package cookie is a browser's cookie jar: it stores what servers set and says what goes along with a request
// (RFC 6265bis).
//
// It does no I/O and takes the time as an argument. [Jar.Store] and [Jar.Send] also tell what was refused and why, so
// that a person can see it.
package cookie

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cookie is a cookie that a jar holds.
type Cookie struct {
	Name     string    `json:"name"`
	Value    string    `json:"value"`
	Domain   string    `json:"domain"`
	HostOnly bool      `json:"host_only"` // goes to Domain alone, not to names below it
	Path     string    `json:"path"`
	Secure   bool      `json:"secure"`
	HTTPOnly bool      `json:"http_only"`
	SameSite SameSite  `json:"same_site"` // as it counts: never empty
	Session  bool      `json:"session"`   // ends with the browser
	Expires  time.Time `json:"expires,omitzero"`
	Created  time.Time `json:"created"`
	Accessed time.Time `json:"accessed"`
}

func (c *Cookie) expired(at time.Time) bool { return !c.Session && !c.Expires.After(at) }

// same says that a cookie of the one replaces the other.
func (c *Cookie) same(o *Cookie) bool {
	return c.Name == o.Name && c.Domain == o.Domain && c.HostOnly == o.HostOnly && c.Path == o.Path
}

// Policy is what the person at the browser chose.
type Policy struct {
	BlockThirdParty bool // neither store nor send cookies of other sites than the page's
	// LooseSameSite treats a cookie that names no SameSite as None, and lets None be without Secure, as all browsers
	// did before 2020. Without it such a cookie is Lax: no plain http page can have third-party cookies then.
	LooseSameSite bool
}

// Limits of a jar (RFC 6265bis, section 6.1, asks for at least 50 and 3000).
const (
	maxPerSite = 180
	maxTotal   = 3000
)

// Jar holds cookies. It may be used from several goroutines.
type Jar struct {
	policy Policy

	mu      sync.Mutex
	cookies []*Cookie // in the order of creation
}

// NewJar returns an empty jar.
func NewJar(policy Policy) *Jar { return &Jar{policy: policy} }

// Kind is what became of a cookie that a server set.
type Kind string

// The kinds of a [Change].
const (
	New       Kind = "new"
	Replaced  Kind = "replaced"
	Deleted   Kind = "deleted"   // by an expiry in the past
	Unchanged Kind = "unchanged" // deleted, but the jar had no such cookie
	Refused   Kind = "refused"
)

// Change is what a Set-Cookie field did to a jar.
type Change struct {
	Kind   Kind
	Cookie Cookie // the name alone where the field was refused
	Reason string // why it was refused
}

// Store takes the value of one Set-Cookie field that came in answer to the request from (RFC 6265bis, section 5.7).
func (j *Jar) Store(at time.Time, from Request, field string) Change {
	set, err := Parse(field)
	if err != nil {
		return Change{Kind: Refused, Cookie: Cookie{Name: set.Name, Value: set.Value}, Reason: err.Error()}
	}
	from.Host = strings.ToLower(from.Host)
	c, reason := j.admit(at, from, set)
	if reason != "" {
		return Change{Kind: Refused, Cookie: Cookie{Name: set.Name, Value: set.Value}, Reason: reason}
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	if !from.secure() && slices.ContainsFunc(j.cookies, func(old *Cookie) bool { return shadows(c, old) }) {
		return Change{Kind: Refused, Cookie: *c, Reason: "a secure cookie of this name is not replaced without https"}
	}
	i := slices.IndexFunc(j.cookies, c.same)
	switch {
	case i >= 0 && c.expired(at):
		j.cookies = slices.Delete(j.cookies, i, i+1)
		return Change{Kind: Deleted, Cookie: *c}
	case c.expired(at):
		return Change{Kind: Unchanged, Cookie: *c}
	case i >= 0:
		c.Created = j.cookies[i].Created
		j.cookies[i] = c
		return Change{Kind: Replaced, Cookie: *c}
	}
	j.cookies = append(j.cookies, c)
	j.evict(c)
	return Change{Kind: New, Cookie: *c}
}

// admit makes the cookie that set asks for, or says why it must not be stored.
func (j *Jar) admit(at time.Time, from Request, set SetCookie) (*Cookie, string) {
	c := &Cookie{
		Name: set.Name, Value: set.Value, Domain: set.Domain, Path: set.Path,
		Secure: set.Secure, HTTPOnly: set.HTTPOnly, SameSite: set.SameSite, Session: true, Created: at, Accessed: at,
	}
	if j.policy.BlockThirdParty && from.ThirdParty() {
		return nil, "third-party cookies are blocked"
	}
	if c.Domain == from.Host && publicSuffix(c.Domain) {
		c.Domain = ""
	}
	switch {
	case c.Domain == "":
		c.Domain, c.HostOnly = from.Host, true
	case publicSuffix(c.Domain):
		return nil, "its domain " + c.Domain + " is a public suffix"
	case !domainMatch(from.Host, c.Domain):
		return nil, "its domain " + c.Domain + " is not the server's"
	}
	if c.Path == "" {
		c.Path = defaultPath(from.Path)
	}
	if c.Secure && !from.secure() {
		return nil, "Secure needs https"
	}
	if reason := j.sameSite(c, from); reason != "" {
		return nil, reason
	}
	if reason := prefix(c, set); reason != "" {
		return nil, reason
	}
	switch {
	case set.HasMaxAge:
		c.Session, c.Expires = false, at.Add(set.MaxAge)
	case !set.Expires.IsZero():
		c.Session, c.Expires = false, set.Expires
	}
	if latest := at.Add(maxLifetime); c.Expires.After(latest) {
		c.Expires = latest
	}
	return c, ""
}

// sameSite settles how the cookie's SameSite counts, and says whether that forbids to store it.
func (j *Jar) sameSite(c *Cookie, from Request) string {
	if c.SameSite == "" {
		c.SameSite = Lax
		if j.policy.LooseSameSite {
			c.SameSite = None
		}
	}
	switch {
	case c.SameSite != None && from.crossSite():
		return "SameSite=" + string(c.SameSite) + " in a request from another site"
	case c.SameSite == None && !c.Secure && !j.policy.LooseSameSite:
		return "SameSite=None needs Secure"
	}
	return ""
}

// prefix checks what the name promises (section 4.1.3).
func prefix(c *Cookie, set SetCookie) string {
	name := strings.ToLower(c.Name)
	switch {
	case strings.HasPrefix(name, "__secure-") && !c.Secure:
		return "__Secure- needs Secure"
	case strings.HasPrefix(name, "__host-") && !(c.Secure && c.HostOnly && set.Domain == "" && set.Path == "/"):
		return "__Host- needs Secure, Path=/ and no Domain"
	}
	return ""
}

// shadows says that c, set without https, would take the place of the secure cookie old (section 5.7, step 16).
func shadows(c, old *Cookie) bool {
	return old.Secure && old.Name == c.Name && pathMatch(c.Path, old.Path) &&
		(domainMatch(old.Domain, c.Domain) || domainMatch(c.Domain, old.Domain))
}

// evict removes the cookie that was used the longest ago, where the new one c is one too many.
func (j *Jar) evict(c *Cookie) {
	site := Site(c.Domain)
	ofSite := func(o *Cookie) bool { return domainMatch(o.Domain, site) }
	count := 0
	for _, o := range j.cookies {
		if ofSite(o) {
			count++
		}
	}
	if count > maxPerSite {
		j.dropOldest(ofSite)
	}
	if len(j.cookies) > maxTotal {
		j.dropOldest(func(*Cookie) bool { return true })
	}
}

func (j *Jar) dropOldest(of func(*Cookie) bool) {
	oldest := -1
	for i, o := range j.cookies {
		if of(o) && (oldest < 0 || o.Accessed.Before(j.cookies[oldest].Accessed)) {
			oldest = i
		}
	}
	j.cookies = slices.Delete(j.cookies, oldest, oldest+1)
}

// Withheld is a cookie that belongs to a request's address and yet does not go along.
type Withheld struct {
	Cookie Cookie
	Reason string
}

// Send returns the cookies that go with the request to, in the order they are written (RFC 6265bis, section 5.8.3),
// and those that stay behind.
func (j *Jar) Send(at time.Time, to Request) (send []Cookie, withheld []Withheld) {
	to.Host = strings.ToLower(to.Host)
	if to.Path == "" {
		to.Path = "/"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.cookies {
		host := c.Domain == to.Host || !c.HostOnly && domainMatch(to.Host, c.Domain)
		if !host || !pathMatch(to.Path, c.Path) || c.expired(at) {
			continue
		}
		if reason := j.withhold(c, to); reason != "" {
			withheld = append(withheld, Withheld{*c, reason})
			continue
		}
		c.Accessed = at
		send = append(send, *c)
	}
	slices.SortStableFunc(send, func(a, b Cookie) int { return cmp.Compare(len(b.Path), len(a.Path)) })
	return send, withheld
}

func (j *Jar) withhold(c *Cookie, to Request) string {
	switch {
	case c.Secure && !to.secure():
		return "Secure needs https"
	case j.policy.BlockThirdParty && to.ThirdParty():
		return "third-party cookies are blocked"
	case c.SameSite != None && to.crossSite():
		return "SameSite=" + string(c.SameSite) + " in a request from another site"
	}
	return ""
}

// Header is the value of the Cookie field for what [Jar.Send] returned; empty for no cookie.
func Header(cookies []Cookie) string {
	pairs := make([]string, len(cookies))
	for i, c := range cookies {
		pairs[i] = c.Name + "=" + c.Value
	}
	return strings.Join(pairs, "; ")
}

// Expire removes the cookies whose time is over and returns them.
func (j *Jar) Expire(at time.Time) []Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	var gone []Cookie
	j.cookies = slices.DeleteFunc(j.cookies, func(c *Cookie) bool {
		if c.expired(at) {
			gone = append(gone, *c)
		}
		return c.expired(at)
	})
	return gone
}

// Cookies returns what the jar holds, in the order of creation.
func (j *Jar) Cookies() []Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.copies()
}

// Clear empties the jar and returns what it held.
func (j *Jar) Clear() []Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.copies()
	j.cookies = nil
	return all
}

func (j *Jar) copies() []Cookie {
	all := make([]Cookie, len(j.cookies))
	for i, c := range j.cookies {
		all[i] = *c
	}
	return all
}
