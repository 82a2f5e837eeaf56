package devtools

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/chromedp/cdproto/network"

	"scenario/event"
)

// Cookie is a cookie in Chromium's jar.
type Cookie struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	Domain    string `json:"domain"`
	HostOnly  bool   `json:"host_only"` // goes to Domain alone, not to names below it
	Path      string `json:"path"`
	Secure    bool   `json:"secure"`
	HTTPOnly  bool   `json:"http_only"`
	SameSite  string `json:"same_site"` // Strict, Lax or None; empty: the server named none, and it counts as Lax
	Session   bool   `json:"session"`   // ends with the browser
	Expires   string `json:"expires,omitempty"`
	Partition string `json:"partition,omitempty"` // the top-level site whose jar holds it
}

// CookieOf is one of DevTools' cookies.
func CookieOf(c *network.Cookie) Cookie {
	domain, below := strings.CutPrefix(c.Domain, ".")
	made := Cookie{
		Name: bounded(c.Name), Value: bounded(c.Value), Domain: bounded(domain), HostOnly: !below, Path: bounded(c.Path),
		Secure: c.Secure, HTTPOnly: c.HTTPOnly, SameSite: string(c.SameSite), Session: c.Session,
	}
	if !c.Session {
		made.Expires = date(c.Expires)
	}
	if c.PartitionKey != nil {
		made.Partition = bounded(c.PartitionKey.TopLevelSite)
	}
	return made
}

// Clear forgets what the jar holds, of which all is told as deleted.
func (s *Session) Clear(gone []Cookie) []event.CookieStore {
	clear(s.cookies)
	all := make([]event.CookieStore, 0, len(gone))
	for _, c := range gone {
		all = append(all, event.CookieStore{
			Name: c.Name, Value: c.Value, Domain: c.Domain, HostOnly: c.HostOnly, Path: c.Path, Secure: c.Secure, HTTPOnly: c.HTTPOnly,
			SameSite: c.SameSite, Partition: c.Partition, Expires: c.Expires, Change: "deleted", Reason: "the jar was emptied",
		})
	}
	return all
}

// cookieKey is what makes a cookie replace another (RFC 6265bis, section 5.7).
type cookieKey struct{ name, domain, path, partition string }

// cookies tells which cookies went along, which did not, and what became of those that the response sets.
func (t *telling) cookies(x *exchange, f *Fetch, request *told) {
	if x.question != nil {
		for i, a := range x.question.AssociatedCookies {
			if a == nil || a.Cookie == nil || i >= maxCookies {
				continue
			}
			name, value := bounded(a.Cookie.Name), bounded(a.Cookie.Value)
			if len(a.BlockedReasons) == 0 {
				sent := event.CookieSend{URL: f.URL, Name: name, Value: value, ThirdParty: f.ThirdParty}
				if a.Cookie.PartitionKey != nil {
					sent.Partition = bounded(a.Cookie.PartitionKey.TopLevelSite)
				}
				t.add(request.at, request, sent)
				continue
			}
			t.add(request.at, request, event.CookieBlock{URL: f.URL, Name: name, Op: "send", Reason: reasons(a.BlockedReasons)})
		}
	}
	if x.answer != nil {
		t.stored(x, f, request)
	}
}

// stored tells what became of the cookies of a response.
func (t *telling) stored(x *exchange, f *Fetch, request *told) {
	at := later(t.load.wall(x.first()), request.at)
	refused := make(map[string]int)
	for i, b := range x.answer.BlockedCookies {
		if b == nil || i >= maxCookies {
			continue
		}
		refused[b.CookieLine]++
		name, _, _ := strings.Cut(b.CookieLine, "=")
		if b.Cookie != nil {
			name = b.Cookie.Name
		}
		t.add(at, request, event.CookieBlock{URL: f.URL, Name: bounded(strings.TrimSpace(name)), Op: "store", Reason: reasons(b.BlockedReasons)})
	}
	lines := strings.Split(field(x.answer.Headers, "Set-Cookie"), "\n")
	for _, line := range lines[:min(len(lines), maxCookies)] {
		if refused[line] > 0 {
			refused[line]--
			continue
		}
		if c, err := http.ParseSetCookie(line); err == nil {
			t.add(at, request, t.store(x, f, c, at))
		}
	}
}

// store notes a cookie that the jar took.
func (t *telling) store(x *exchange, f *Fetch, c *http.Cookie, at time.Time) event.CookieStore {
	s := t.load.session
	e := event.CookieStore{
		URL: f.URL, Name: bounded(c.Name), Value: bounded(c.Value), Domain: bounded(strings.TrimPrefix(c.Domain, ".")),
		HostOnly: c.Domain == "", Path: bounded(c.Path), Secure: c.Secure, HTTPOnly: c.HttpOnly, Change: "new", ThirdParty: f.ThirdParty,
		SameSite: map[http.SameSite]string{http.SameSiteStrictMode: "strict", http.SameSiteNoneMode: "none"}[c.SameSite],
	}
	e.SameSite = cmp.Or(e.SameSite, "lax")
	e.Domain = cmp.Or(e.Domain, hostOf(f.URL))
	if !strings.HasPrefix(e.Path, "/") {
		e.Path = defaultPath(f.URL)
	}
	if key := x.answer.CookiePartitionKey; key != nil && c.Partitioned {
		e.Partition = bounded(key.TopLevelSite)
	}
	gone := false
	switch {
	case c.MaxAge > 0:
		e.Expires = at.Add(time.Duration(min(c.MaxAge, 400*24*60*60)) * time.Second).UTC().Format(time.RFC3339)
	case c.MaxAge < 0:
		gone = true
	case !c.Expires.IsZero():
		e.Expires = c.Expires.UTC().Format(time.RFC3339)
		gone = !c.Expires.After(at)
	}
	key := cookieKey{e.Name, e.Domain, e.Path, e.Partition}
	_, known := s.cookies[key]
	switch {
	case gone:
		e.Change = "deleted"
		delete(s.cookies, key)
		return e
	case known:
		e.Change = "replaced"
	}
	if len(s.cookies) < 10*maxRequests {
		s.cookies[key] = e.Value
	}
	return e
}

// defaultPath is the path of a cookie that names none (RFC 6265, section 5.1.4).
func defaultPath(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	rest, _, _ = strings.Cut(rest, "?")
	i := strings.IndexByte(rest, '/')
	if i < 0 {
		return "/"
	}
	path := rest[i:]
	if last := strings.LastIndexByte(path, '/'); last > 0 {
		return path[:last]
	}
	return "/"
}
