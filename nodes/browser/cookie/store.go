package cookie

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Store takes the value of one Set-Cookie field that came in answer to the request from (RFC 6265bis, section 5.7), or
// that a script set there. What had to go for it is in the change's Evicted.
func (j *Jar) Store(at time.Time, from Request, field string) Change {
	from = from.canonical()
	set, err := Parse(field)
	refused := Change{Kind: Refused, Cookie: Cookie{Name: set.Name, Value: set.Value}}
	if err == nil && set.Name == "" && !j.policy.Nameless {
		err = errNameless
	}
	if err != nil {
		refused.Reason = err.Error()
		return refused
	}
	c, reason := j.admit(at, from, set)
	if reason != "" {
		refused.Reason = reason
		return refused
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	change := Change{Cookie: *c, Evicted: j.expire(at)}
	i := slices.IndexFunc(j.cookies, func(old *entry) bool { return c.same(&old.Cookie) })
	switch {
	case !from.secure() && slices.ContainsFunc(j.cookies, func(old *entry) bool { return shadows(c, &old.Cookie) }):
		change.Kind, change.Reason = Refused, "a secure cookie of this name is not replaced without https"
	case i >= 0 && from.Script && j.cookies[i].HTTPOnly:
		change.Kind, change.Reason = Refused, "a script does not replace a cookie that is HttpOnly"
	case i >= 0 && c.expired(at):
		j.cookies = slices.Delete(j.cookies, i, i+1)
		change.Kind, change.Reason = Deleted, "the server set it again with a time that is over, which deletes it"
	case c.expired(at):
		change.Kind, change.Reason = Unchanged, "the server deletes it, but the jar has no such cookie"
	case i >= 0:
		c.Created = j.cookies[i].Created
		j.cookies[i] = newEntry(*c)
		change.Kind, change.Reason = Replaced, "the jar had one of the same name, domain and path"+c.where()
	default:
		j.cookies = append(j.cookies, newEntry(*c))
		change.Kind, change.Reason = New, "the jar had none of this name, domain and path"+c.where()
		change.Evicted = append(change.Evicted, j.evict(j.cookies[len(j.cookies)-1])...)
	}
	change.Cookie.Created = c.Created
	return change
}

// where adds to a reason which jar a partitioned cookie went to.
func (c *Cookie) where() string {
	if c.Partition == (Partition{}) {
		return ""
	}
	return " in its part for pages of " + c.Partition.TopSite
}

// admit makes the cookie that set asks for, or says why it must not be stored.
func (j *Jar) admit(at time.Time, from Request, set SetCookie) (*Cookie, string) {
	c := &Cookie{
		Name: set.Name, Value: set.Value, Domain: set.Domain, Path: set.Path,
		Secure: set.Secure, HTTPOnly: set.HTTPOnly, SameSite: set.SameSite, Session: true, Created: at, Accessed: at,
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
	switch {
	case c.Secure && !from.secure():
		return nil, "Secure needs https"
	case c.HTTPOnly && from.Script:
		return nil, "a script sets no cookie that is HttpOnly"
	case set.Partitioned && !c.Secure:
		return nil, "Partitioned needs Secure"
	}
	for _, forbidden := range []string{j.place(c, from, set.Partitioned), j.sameSite(c, from), prefix(c, set)} {
		if forbidden != "" {
			return nil, forbidden
		}
	}
	c.lifetime(at, set)
	return c, ""
}

// lifetime settles when the cookie ends: Max-Age counts more than Expires, and neither more than 400 days (section 5.5).
func (c *Cookie) lifetime(at time.Time, set SetCookie) {
	switch {
	case set.HasMaxAge:
		c.Session, c.Expires = false, at.Add(set.MaxAge)
	case !set.Expires.IsZero():
		c.Session, c.Expires = false, set.Expires
	}
	if latest := at.Add(maxLifetime); c.Expires.After(latest) {
		c.Expires = latest
	}
}

// place settles which part of the jar the cookie goes to, and says whether the policy forbids to store it.
func (j *Jar) place(c *Cookie, from Request, partitioned bool) string {
	switch {
	case partitioned, from.ThirdParty() && j.policy.ThirdParty == PartitionThirdParty:
		c.Partition = from.partition()
	case from.ThirdParty() && j.policy.ThirdParty == BlockThirdParty:
		return "third-party cookies are blocked"
	}
	return ""
}

// sameSite settles how the cookie's SameSite counts, and says whether that forbids to store it (section 5.7, steps 17
// to 19).
func (j *Jar) sameSite(c *Cookie, from Request) string {
	if c.SameSite == "" {
		c.SameSite, c.Unstated = Lax, true
		if j.policy.LooseSameSite {
			c.SameSite = None
		}
	}
	switch {
	case c.SameSite != None && from.relation() == crossSite:
		return c.sameSiteName() + " is not set by a part of another site's page"
	case c.SameSite == None && !c.Secure && !j.policy.LooseSameSite:
		return "SameSite=None needs Secure"
	}
	return ""
}

// sameSiteName is how the cookie's SameSite came to be, in words.
func (c *Cookie) sameSiteName() string {
	if c.Unstated {
		return "a cookie that names no SameSite counts as " + string(c.SameSite) + " and"
	}
	return "SameSite=" + string(c.SameSite)
}

// prefix checks what the name promises (RFC 6265bis, section 5.4; __Http- and __Host-Http- are newer). A value without
// a name must not look like such a promise.
func prefix(c *Cookie, set SetCookie) string {
	host := c.Secure && c.HostOnly && set.Domain == "" && set.Path == "/"
	for _, promise := range []struct {
		prefix string
		kept   bool
		needs  string
	}{
		{"__Secure-", c.Secure, "Secure"},
		{"__Http-", c.Secure && c.HTTPOnly, "Secure and HttpOnly"},
		{"__Host-Http-", host && c.HTTPOnly, "Secure, HttpOnly, Path=/ and no Domain"},
		{"__Host-", host, "Secure, Path=/ and no Domain"},
	} {
		switch {
		case c.Name == "" && hasPrefixFold(c.Value, promise.prefix):
			return fmt.Sprintf("a cookie without a name does not begin with %s", promise.prefix)
		case hasPrefixFold(c.Name, promise.prefix) && !promise.kept:
			return fmt.Sprintf("%s needs %s", promise.prefix, promise.needs)
		}
	}
	return ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// shadows says that c, set without https, would take the place of the secure cookie old (section 5.7, step 16).
func shadows(c, old *Cookie) bool {
	return old.Secure && !c.Secure && old.Name == c.Name && old.Partition == c.Partition && pathMatch(c.Path, old.Path) &&
		(domainMatch(old.Domain, c.Domain) || domainMatch(c.Domain, old.Domain))
}
