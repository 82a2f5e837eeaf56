package report

import (
	"slices"
	"strings"
	"time"

	"scenario/event"
)

// mostCookie is how many characters of a cookie are shown.
const mostCookie = 60

// jotting is what happened at once to cookies of one host, for one reason.
type jotting struct {
	at    time.Time
	style style
	what  string // sent to shop.example
	names []string
	more  words // where it is kept, whose it is
	why   string
}

// cookies tells in order which cookies were stored, sent and blocked; on one line those of which the same is to be said,
// and once what is sent with several requests.
func (t *teller) cookies() {
	all := slices.Concat(t.cookiesStored(), t.cookiesSent(), t.cookiesBlocked())
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b jotting) int { return a.at.Compare(b.at) })
	t.head(in(strong, "Cookies"))
	for i, j := range all[:min(len(all), mostRows)] {
		w := in(j.style, j.what+": ").in(name, listed(j.names, mostRows)).add(j.more)
		t.put(j.at, branch(i, len(all)), w.add(because(j.why)), "")
	}
	t.left(len(all))
}

// cookiesStored has a line for each change of the jar.
func (t *teller) cookiesStored() []jotting {
	var all []jotting
	for _, c := range pick[event.CookieStore](t.step.records) {
		e := c.is
		more := say(" for " + clean(e.Domain+e.Path))
		if !e.HostOnly {
			more = more.say(" and the hosts below it")
		}
		why := e.Reason
		switch e.Change {
		case "new", "replaced":
			why = "" // which needs no reason
			if e.Expires != "" {
				more = more.say(" until " + clean(e.Expires))
			} else {
				more = more.say(" until the session ends")
			}
			for _, one := range attributes(e) {
				more = more.say(", " + one)
			}
		}
		more = more.add(partition(e.Partition)).add(party(e.ThirdParty))
		all = append(all, jotting{c.Time, plain, clean(e.Change), []string{cookieText(e.Name, e.Value)}, more, why})
	}
	return all
}

// attributes are those that say where a cookie does not go, as Set-Cookie has them.
func attributes(c event.CookieStore) []string {
	var all []string
	if c.Secure {
		all = append(all, "Secure")
	}
	if c.HTTPOnly {
		all = append(all, "HttpOnly")
	}
	if c.SameSite != "" {
		all = append(all, "SameSite="+strings.ToUpper(c.SameSite[:1])+clean(c.SameSite[1:]))
	}
	return all
}

// sentCookie is a cookie that went to a host with one or more requests.
type sentCookie struct {
	event.CookieSend
	host  string
	at    time.Time
	times int
}

// cookiesSent has a line for those that went to one host for one reason, as often as each other.
func (t *teller) cookiesSent() []jotting {
	var sent []sentCookie
	for _, c := range pick[event.CookieSend](t.step.records) {
		host := hostOf(c.is.URL)
		i := slices.IndexFunc(sent, func(s sentCookie) bool {
			return s.Name == c.is.Name && s.Value == c.is.Value && s.host == host && s.Partition == c.is.Partition && s.ThirdParty == c.is.ThirdParty
		})
		if i < 0 {
			i, sent = len(sent), append(sent, sentCookie{CookieSend: c.is, host: host, at: c.Time})
		}
		sent[i].times++
	}
	var all []jotting
	for _, c := range sent {
		all = joined(all, jotting{
			at: c.at, what: "sent to " + clean(c.host) + " with " + count(c.times, "request"), names: []string{cookieText(c.Name, c.Value)},
			more: partition(c.Partition).add(party(c.ThirdParty)), why: c.Reason,
		})
	}
	return all
}

// cookiesBlocked has a line for those of one host that one reason kept back.
func (t *teller) cookiesBlocked() []jotting {
	var all []jotting
	for _, c := range pick[event.CookieBlock](t.step.records) {
		what := map[string]string{"store": "not stored for ", "send": "not sent to "}[c.is.Op]
		all = joined(all, jotting{at: c.Time, style: bad, what: what + clean(hostOf(c.is.URL)), names: []string{clean(c.is.Name)}, why: c.is.Reason})
	}
	return all
}

// joined adds a line to others, or its names to one that says the same.
func joined(all []jotting, j jotting) []jotting {
	for i := range all {
		if all[i].what == j.what && all[i].why == j.why && slices.Equal(all[i].more, j.more) {
			all[i].names = with(all[i].names, j.names[0])
			return all
		}
	}
	return append(all, j)
}

func cookieText(name, value string) string { return middle(clean(name+"="+value), mostCookie) }

// party marks what belongs to a third party.
func party(third bool) words {
	if third {
		return in(faint, "  third party")
	}
	return nil
}

// partition names the jar that a cookie is in, where each site has one of its own.
func partition(site string) words {
	if site == "" {
		return nil
	}
	return say(" in the jar of ").in(name, clean(site))
}

// because gives the reason for what a browser did with a cookie.
func because(reason string) words {
	if reason == "" {
		return nil
	}
	return in(faint, "  because "+clean(reason))
}
