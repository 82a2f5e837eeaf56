package cookie

import (
	"cmp"
	"slices"
	"time"
)

// recent is how long a cookie that names no SameSite goes along with a POST of another site's page that opens one
// (RFC 6265bis, section 5.6.7.2, "Lax-Allowing-Unsafe"). Single sign-on of the years before 2020 needs it.
const recent = 2 * time.Minute

// Sent is a cookie that goes along with a request.
type Sent struct {
	Cookie
	Reason string // a clause that reads on after "because"; never empty
}

// Withheld is a cookie that belongs to a request's address and yet does not go along.
type Withheld struct {
	Cookie Cookie
	Reason string // a clause that reads on after "because"; never empty
}

// Send returns the cookies that go with the request to, in the order they are written (RFC 6265bis, section 5.8.3),
// and those that stay behind. With to.Script it is what a script sees.
func (j *Jar) Send(at time.Time, to Request) (send []Sent, withheld []Withheld) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.cookies) == 0 { // to find out about the request takes longer than to find that
		return nil, nil
	}
	to = to.canonical()
	d := decision{
		at: at, policy: j.policy, to: to,
		secure: to.secure(), thirdParty: to.ThirdParty(), relation: to.relation(), partition: to.partition(),
	}
	for _, c := range j.cookies {
		if !c.addressed(to) || c.expired(at) {
			continue
		}
		if reason := d.withhold(&c.Cookie); reason != "" {
			withheld = append(withheld, Withheld{c.Cookie, reason})
			continue
		}
		c.Accessed = at
		send = append(send, Sent{c.Cookie, d.reason(&c.Cookie)})
	}
	slices.SortStableFunc(send, func(a, b Sent) int { return cmp.Compare(len(b.Path), len(a.Path)) })
	return send, withheld
}

// addressed says that the cookie belongs to the request's host and path. A domain that has become a public suffix since
// it was stored does not count any more.
func (c *entry) addressed(to Request) bool {
	host := c.Domain == to.Host || !c.HostOnly && domainMatch(to.Host, c.Domain)
	return host && pathMatch(to.Path, c.Path) && (c.HostOnly || !publicSuffix(c.Domain))
}

// decision is what counts of a request for each of its cookies.
type decision struct {
	at         time.Time
	policy     Policy
	to         Request
	secure     bool
	thirdParty bool
	relation   relation
	partition  Partition
}

// withhold says why c does not go along; empty: it does.
func (d *decision) withhold(c *Cookie) string {
	switch {
	case c.Secure && !d.secure:
		return "Secure needs https"
	case c.HTTPOnly && d.to.Script:
		return "HttpOnly hides it from scripts"
	case c.Partition != (Partition{}) && c.Partition != d.partition:
		return "it belongs to the part of the jar for " + c.Partition.String() + ", and this request to that for " + d.partition.String()
	case c.Partition == Partition{} && d.thirdParty && d.policy.ThirdParty == BlockThirdParty:
		return "third-party cookies are blocked"
	case c.Partition == Partition{} && d.thirdParty && d.policy.ThirdParty == PartitionThirdParty:
		return "third parties have a jar for each top-level site, and this cookie was not set in that of " + d.partition.TopSite
	case c.SameSite == None, d.relation == sameSite, c.SameSite == Lax && d.relation == crossOpen, d.lately(c):
		return ""
	case d.relation == crossSite:
		return c.sameSiteName() + " does not go along with a part of another site's page"
	case c.SameSite == Lax:
		return c.sameSiteName() + " does not go along when another site's page opens this one with " + d.to.Method
	}
	return c.sameSiteName() + " does not go along when another site's page opens this one"
}

// lately says that c is new enough to go along with another site's POST although it is Lax by default.
func (d *decision) lately(c *Cookie) bool {
	return d.relation == crossOpenByAct && c.Unstated && d.at.Sub(c.Created) <= recent
}

// reason says why c goes along.
func (d *decision) reason(c *Cookie) string {
	switch {
	case c.Partition != Partition{}:
		return "it is in the part of the jar for " + c.Partition.String()
	case d.relation == sameSite && d.to.topLevel():
		return "the request opens a page of its site"
	case d.relation == sameSite:
		return "the page in the address bar is of its site"
	case d.thirdParty && c.Unstated:
		return "third-party cookies are allowed, and one that names no SameSite counts as none"
	case d.thirdParty:
		return "third-party cookies are allowed, and SameSite=none lets it go along with another site's page"
	case c.SameSite == None:
		return "SameSite=none lets it go along wherever the request comes from"
	case d.relation == crossOpenByAct:
		return "it names no SameSite and is not older than two minutes, so it goes along with another site's " + d.to.Method
	}
	return c.sameSiteName() + " goes along when another site's page opens this one"
}

// String names the partition for a person.
func (p Partition) String() string {
	if p.CrossSite {
		return "other sites in pages of " + p.TopSite
	}
	return "pages of " + p.TopSite
}
