// Package cookie is a browser's cookie jar: it stores what servers set and says what goes along with a request
// (RFC 6265bis, with cookies partitioned by top-level site as in CHIPS).
//
// It does no I/O and takes the time as an argument. [Jar.Store], [Jar.Send] and [Jar.Expire] give the reason of each
// decision as a clause that reads on after "because", so that a person can see it.
//
// Where the standard leaves the choice to the browser, the jar does as Chromium: plain http to the machine itself counts
// as secure; a cookie without SameSite is Lax, but goes along with a POST that opens a page within two minutes after it
// was made; a redirect through another site changes nothing; a cookie without a name is kept where the policy says so.
package cookie

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Cookie is a cookie that a jar holds.
type Cookie struct {
	Name      string    `json:"name"`
	Value     string    `json:"value"`
	Domain    string    `json:"domain"`
	HostOnly  bool      `json:"host_only"` // goes to Domain alone, not to names below it
	Path      string    `json:"path"`
	Secure    bool      `json:"secure"`
	HTTPOnly  bool      `json:"http_only"`
	SameSite  SameSite  `json:"same_site"`                // as it counts: never empty
	Unstated  bool      `json:"same_site_unset,omitzero"` // the server named no SameSite
	Session   bool      `json:"session"`                  // ends with the browser
	Expires   time.Time `json:"expires,omitzero"`
	Created   time.Time `json:"created"`
	Accessed  time.Time `json:"accessed"`
	Partition Partition `json:"partition,omitzero"` // the jar within the jar that holds it
}

// Partition is the key of a jar within the jar, for the pages of one site. The zero value is no partition.
type Partition struct {
	TopSite   string `json:"top_site"`            // scheme and registrable domain of the page in the address bar, such as https://shop.example
	CrossSite bool   `json:"cross_site,omitzero"` // for what other sites contribute to such pages
}

func (c *Cookie) expired(at time.Time) bool { return !c.Session && !c.Expires.After(at) }

// same says that a cookie of the one replaces the other.
func (c *Cookie) same(o *Cookie) bool {
	return c.Name == o.Name && c.Domain == o.Domain && c.HostOnly == o.HostOnly && c.Path == o.Path && c.Partition == o.Partition
}

// ThirdParty is what the person at the browser chose for the cookies of other sites than the page's.
type ThirdParty string

// The choices for third-party cookies; the empty value is AllowThirdParty.
const (
	AllowThirdParty ThirdParty = "allow"
	// BlockThirdParty neither stores nor sends them, but for those that are Partitioned: they tell nobody where else the
	// person was.
	BlockThirdParty ThirdParty = "block-third-party"
	// PartitionThirdParty keeps them in a jar for each top-level site, be they Partitioned or not.
	PartitionThirdParty ThirdParty = "partition"
)

// Policy is what the person at the browser chose.
type Policy struct {
	ThirdParty ThirdParty
	// LooseSameSite treats a cookie that names no SameSite as None, and lets None be without Secure, as all browsers
	// did before 2020. Without it such a cookie is Lax: no plain http page can have third-party cookies then.
	LooseSameSite bool
	// Nameless stores a field without a name, such as "Set-Cookie: x", as RFC 6265bis and browsers do. Without it such a
	// field is dropped, as in RFC 6265: servers write it by mistake.
	Nameless bool
}

// Jar holds cookies. It may be used from several goroutines.
type Jar struct {
	policy Policy

	mu      sync.Mutex
	cookies []*entry // in the order of creation
}

// entry is a cookie with what is looked up for each decision.
type entry struct {
	Cookie
	site string // of its domain
}

func newEntry(c Cookie) *entry { return &entry{Cookie: c, site: Site(c.Domain)} }

// NewJar returns an empty jar.
func NewJar(policy Policy) *Jar { return &Jar{policy: policy} }

// Kind is what became of a cookie.
type Kind string

// The kinds of a [Change].
const (
	New       Kind = "new"
	Replaced  Kind = "replaced"
	Deleted   Kind = "deleted"   // by an expiry in the past
	Unchanged Kind = "unchanged" // deleted, but the jar had no such cookie
	Refused   Kind = "refused"
	Expired   Kind = "expired" // its time is over
	Evicted   Kind = "evicted" // there were too many
)

// Change is what became of a cookie.
type Change struct {
	Kind    Kind
	Cookie  Cookie   // name and value alone where the field was refused
	Reason  string   // a clause that reads on after "because"; never empty
	Evicted []Change // what went before it: cookies whose time was over, and those that were too many
}

// Expire removes the cookies whose time is over and returns them.
func (j *Jar) Expire(at time.Time) []Change {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.expire(at)
}

func (j *Jar) expire(at time.Time) []Change {
	var gone []Change
	j.cookies = slices.DeleteFunc(j.cookies, func(c *entry) bool {
		if !c.expired(at) {
			return false
		}
		reason := "its time ended at " + c.Expires.UTC().Format(time.RFC3339)
		gone = append(gone, Change{Kind: Expired, Cookie: c.Cookie, Reason: reason})
		return true
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
		all[i] = c.Cookie
	}
	return all
}

// Header is the value of the Cookie field for what [Jar.Send] returned; empty for no cookie.
func Header(cookies []Sent) string {
	pairs := make([]string, len(cookies))
	for i, c := range cookies {
		pairs[i] = c.Value
		if c.Name != "" {
			pairs[i] = c.Name + "=" + c.Value
		}
	}
	return strings.Join(pairs, "; ")
}
