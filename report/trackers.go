package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"scenario/event"
)

// visitor is one browser as a third party's server saw it: on which pages it was, and as whom.
type visitor struct {
	client    string     // the node, or the address where the plan does not tell
	addresses []string   // that its requests came from
	seen      []sighting // in order
	brought   []string   // cookies that came with a request, name=value
	blind     int        // requests that do not say from which page
}

// sighting is a visit to a site, under the cookies that came along or were given to it.
type sighting struct {
	page    string   // host of the page, as Referer or Origin names it
	cookies []string // name=value
}

// trackers tells of each third party what it learned over the whole run, from what its server was told: which pages have a
// part of it, and who opened them.
func (r *run) trackers(n int) []section {
	third, asked := r.thirdParties()
	if len(third) == 0 {
		return nil
	}
	clients := make(map[*exchange]*exchange)
	for _, x := range r.sides.exchanges {
		if x.server != nil {
			clients[x.server] = x
		}
	}
	byHost := make(map[string][]*visitor)
	for _, x := range r.sides.handled {
		host := strings.ToLower(hostOf(x.request.URL))
		if !slices.Contains(third, host) {
			continue
		}
		from := address(x.request.Remote).String()
		client := cmp.Or(r.who.owner(x.Node, x.request.Remote), from)
		if c := clients[x]; c != nil {
			if client = c.Node; !asked[asking{c.Node, c.request.URL}] {
				continue // the host's own page
			}
		} else if x.requestField("Referer") == "" && x.requestField("Origin") == "" {
			continue // nobody says that it was for another page
		}
		v := visitorOf(byHost, host, client)
		v.addresses = with(v.addresses, from)
		v.see(x, host)
	}
	var lines []line
	for _, host := range third {
		if len(byHost[host]) == 0 {
			continue
		}
		lines = append(lines, line{flush: true, text: in(name, "  "+clean(host))})
		for _, v := range byHost[host] {
			lines = append(lines, v.lines()...)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return []section{{title: in(strong, "What third parties learned").say(" from the requests to them"), lines: lines}}
}

// asking is a browser's need of an address.
type asking struct{ node, url string }

// thirdParties are the hosts that browsers called third parties, in order, and what was asked of them as such.
func (r *run) thirdParties() (hosts []string, asked map[asking]bool) {
	asked = make(map[asking]bool)
	for _, rec := range r.records {
		url := ""
		if f, ok := event.As[event.HTTPFetch](rec); ok && f.ThirdParty {
			url = f.URL
		} else if a, ok := event.As[event.HTMLAsset](rec); ok && a.ThirdParty {
			url = a.URL
		}
		if url != "" {
			hosts = with(hosts, strings.ToLower(hostOf(url)))
			asked[asking{rec.Node, url}] = true
		}
	}
	return hosts, asked
}

func visitorOf(byHost map[string][]*visitor, host, client string) *visitor {
	for _, v := range byHost[host] {
		if v.client == client {
			return v
		}
	}
	v := &visitor{client: client}
	byHost[host] = append(byHost[host], v)
	return v
}

// see notes what one request to the host told.
func (v *visitor) see(x *exchange, host string) {
	var cookies []string
	for c := range strings.SplitSeq(x.request.Cookie, ";") {
		cookies = with(cookies, strings.TrimSpace(c))
		v.brought = with(v.brought, strings.TrimSpace(c))
	}
	page := hostOf(cmp.Or(x.requestField("Referer"), x.requestField("Origin")))
	if strings.EqualFold(page, host) {
		return // its own pages it knows anyway
	}
	if page == "" {
		v.blind++
		return
	}
	if len(cookies) == 0 {
		c, _, _ := strings.Cut(x.responseField("Set-Cookie"), ";")
		cookies = with(cookies, strings.TrimSpace(c))
	}
	i := slices.IndexFunc(v.seen, func(s sighting) bool { return s.page == page })
	if i < 0 {
		i, v.seen = len(v.seen), append(v.seen, sighting{page: page})
	}
	for _, c := range cookies {
		v.seen[i].cookies = with(v.seen[i].cookies, c)
	}
}

// lines tell what the third party knows of the visitor. What links two pages is a cookie that came from both.
func (v *visitor) lines() []line {
	var out []line
	put := func(w words) { out = append(out, line{flush: true, tree: "    ", text: w}) }
	linked := make(map[string]bool)
	for _, s := range v.seen {
		for _, c := range s.cookies {
			pages := v.pagesOf(c)
			if len(pages) < 2 || linked[c] {
				continue
			}
			linked[c] = true
			put(in(bad, "knows the visitor ").in(strong, clean(c)).in(bad, " on ").in(strong, clean(listed(pages, 8))).
				say(": one and the same").in(faint, "  ("+clean(v.client)+")"))
		}
	}
	var apart []string
	for _, s := range v.seen {
		if slices.ContainsFunc(s.cookies, func(c string) bool { return linked[c] }) {
			continue
		}
		apart = append(apart, clean(s.page)+" ("+v.told(s)+")")
	}
	switch {
	case len(apart) > 1 || len(apart) == 1 && len(linked) > 0:
		put(in(good, "cannot tell by cookies ").say("that it is the same visitor").in(faint, " ("+clean(v.client)+")").say(" on " + listed(apart, 8)))
	case len(apart) == 1:
		put(say("sees a visitor on "+apart[0]).in(faint, "  ("+clean(v.client)+")"))
	}
	if v.blind > 0 {
		put(say(count(v.blind, "request")+" did not say from which page").in(faint, "  ("+clean(v.client)+")"))
	}
	if len(out) > 0 {
		put(in(faint, fmt.Sprintf("came from %s, which others may come from as well", clean(listed(v.addresses, 4)))))
	}
	return out
}

// told is what the cookies of a sighting tell the third party.
func (v *visitor) told(s sighting) string {
	switch {
	case len(s.cookies) == 0:
		return "no cookie"
	case !slices.ContainsFunc(s.cookies, func(c string) bool { return slices.Contains(v.brought, c) }):
		return "a cookie that never came back"
	}
	return clean(listed(s.cookies, 3))
}

// pagesOf are the pages from which a cookie came.
func (v *visitor) pagesOf(cookie string) []string {
	var pages []string
	for _, s := range v.seen {
		if slices.Contains(s.cookies, cookie) {
			pages = append(pages, s.page)
		}
	}
	return pages
}
