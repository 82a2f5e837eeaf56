package report

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"scenario/event"
)

// page tells a page load as the procedure that it is (R1): URL, lookup, connection, request, response, parsing, assets,
// cookies, completion, end of the connections.
func (t *teller) page() {
	v := t.run.visit(t.step, t.sent)
	t.url(v)
	t.upgrades()
	if v.page() == nil {
		t.withoutRequest(v)
	}
	for i, x := range v.documents {
		if between := len(v.documents) - 2*shownRedirects; between > 1 && i >= shownRedirects && i < shownRedirects+between {
			if i == shownRedirects {
				t.manyRedirects(v.documents[i : i+between])
			}
			continue
		}
		if i > 0 {
			t.followed(x.request.URL)
		}
		t.way(hostOf(x.request.URL), x)
		t.head(in(strong, "Request"))
		t.request(x)
		t.head(in(strong, "Response"))
		t.response(x)
	}
	if x := v.page(); x != nil && x.redirects() { // to where no request came
		target := resolve(x.request.URL, x.response.is.Location)
		t.followed(target)
		t.way(hostOf(target), nil)
	}
	t.found(v)
	t.fetched(v)
	t.rules()
	t.milestones(v)
	if slices.ContainsFunc(t.made, func(c *conn) bool { return c.closed != nil }) {
		t.head(in(strong, "The connections end"))
		t.closings(t.made)
	}
	t.sum(v)
	t.onlooker()
}

// withoutRequest tells of a page that nobody was asked for: the cache had it, or there was no way to who has it.
func (t *teller) withoutRequest(v visit) {
	for _, f := range v.fetches {
		if f.Destination == "document" && f.From == "cache" {
			t.head(in(strong, "Response: ").say("the browser's own cache has ").in(name, clean(f.URL)).
				say(": " + statusText(f.Status) + ", " + size(f.Decoded)))
			return
		}
	}
	t.way(hostOf(v.url), nil)
}

// shownRedirects is how many requests are told at the beginning and at the end of a long chain of redirects.
const shownRedirects = 2

// manyRedirects tells what lies between.
func (t *teller) manyRedirects(documents []*exchange) {
	var urls []string
	for _, x := range documents {
		if !slices.Contains(urls, x.request.URL) {
			urls = append(urls, x.request.URL)
		}
	}
	t.head(in(strong, "Redirects: ").say(count(len(documents), "more request") + " of the same kind"))
	t.put(documents[0].Time, "", say("to ").in(name, clean(listed(urls, 4))), "")
}

func (t *teller) followed(url string) {
	t.head(in(strong, "Redirect: ").say("followed to ").in(name, clean(url)))
}

// url tells what was typed and what it means.
func (t *teller) url(v visit) {
	t.head(in(strong, "The URL: ").in(name, clean(v.url)))
	u, err := url.Parse(v.url)
	if err != nil || u.Host == "" {
		return
	}
	ports := map[string]string{"http": "80", "https": "443"}
	w := say("scheme " + u.Scheme + ", ")
	if u.Port() != "" {
		w = w.say("port " + u.Port() + " as the URL says")
	} else {
		w = w.say("and so port " + ports[u.Scheme])
	}
	t.note("", w.say(" · host "+clean(u.Hostname())+" · path "+clean(u.RequestURI())))
}

// lookedUp is how long the browser says that the lookup for a request took; 0: it says nothing, or there was none.
func (t *teller) lookedUp(x *exchange) float64 {
	for _, l := range t.run.loads {
		for _, f := range l.Fetches {
			if l.Node == x.Node && x.ID() != "" && f.HTTPFetch.Request == x.ID() {
				return f.Lookup
			}
		}
	}
	return 0
}

// way tells how the client got from a host's name to a connection; x is the request that it was for, nil where it never
// came to one.
func (t *teller) way(host string, x *exchange) {
	var asked []*question
	for _, q := range t.asked {
		if !t.toldQuery[q] && sameHost(q.ask.Name, host) && (x == nil || !q.Time.After(x.Time)) {
			asked = append(asked, q)
		}
	}
	if x != nil && x.conn != nil && t.toldConn[x.conn] {
		return // the request says that it goes over a connection that was kept alive
	}
	switch _, err := netip.ParseAddr(host); {
	case len(asked) > 0:
		t.head(in(strong, "Lookup: ").say("which address has ").in(name, clean(host)).say("?"))
	case err == nil:
		t.head(in(strong, "Lookup: ").say("none, " + host + " is an address already"))
	case x != nil && t.lookedUp(x) > 0:
		t.head(in(strong, "Lookup: ").in(name, x.Node).say(" finds the address of " + clean(host) + " by itself, and tells no more of it than that it took " + seconds(t.lookedUp(x))))
	case x != nil:
		t.head(in(strong, "Lookup: ").say("none, ").in(name, x.Node).say(" still knows the address of " + clean(host)))
	}
	for _, q := range asked {
		t.question(q)
	}
	var tried []*conn
	for _, c := range t.made {
		failedBefore := c.failed != nil && x != nil && !c.Time.After(x.Time)
		if !t.toldConn[c] && (x == nil || c == x.conn || failedBefore) {
			tried = append(tried, c)
		}
	}
	if x != nil && x.conn != nil {
		tried = append(t.rivals(host, x.conn, tried), tried...)
		slices.SortStableFunc(tried, func(a, b *conn) int { return a.begun().Compare(b.begun()) })
	}
	switch {
	case len(tried) == 0:
		return
	case sideways(tried):
		t.head(in(strong, "Connection: ").say(count(len(tried), "attempt") + " that overlap, and the first that succeeds is used (Happy Eyeballs, RFC 8305)"))
	default:
		t.head(in(strong, "Connection"))
	}
	for _, c := range tried {
		t.connection(c, "")
	}
}

// rivals are the connections to the host that were made beside the one that was used, which was faster.
func (t *teller) rivals(host string, used *conn, known []*conn) []*conn {
	addresses := t.addresses(host)
	var all []*conn
	for _, c := range t.made {
		idle := !slices.ContainsFunc(t.sent, func(x *exchange) bool { return x.conn == c })
		if idle && c.failed == nil && !t.toldConn[c] && !slices.Contains(known, c) && port(c.remote) == port(used.remote) &&
			address(c.remote) != address(used.remote) && slices.Contains(addresses, address(c.remote).String()) && !c.begun().After(used.Time) {
			all = append(all, c)
		}
	}
	return all
}

// sideways says whether an attempt began before an earlier one was over.
func sideways(attempts []*conn) bool {
	for i := 1; i < len(attempts); i++ {
		if attempts[i].begun().Before(attempts[i-1].Time) {
			return true
		}
	}
	return slices.ContainsFunc(attempts, func(c *conn) bool { return c.gaveUp })
}

// milestones tells when the page was how far.
func (t *teller) milestones(v visit) {
	sentences := map[string]string{
		"early_hints":        "the server hints at what the page will need, before it answers (103 Early Hints)",
		"first_byte":         "the first byte of the page arrived",
		"parsed":             "the HTML is parsed to its end",
		"dom_content_loaded": "the HTML is parsed and the scripts that it waits for are there (DOMContentLoaded)",
		"load":               "the page and everything it needs is there",
	}
	var moments []seen[event.PageMilestone]
	for _, m := range v.milestones {
		if m.is.Milestone != "url" && m.is.Milestone != "redirect" {
			moments = append(moments, m)
		}
	}
	if len(moments) == 0 {
		return
	}
	t.head(in(strong, "How far the page was"))
	for _, m := range moments {
		sentence := sentences[m.is.Milestone]
		if sentence == "" {
			sentence = clean(m.is.Milestone)
		}
		w := say(sentence)
		if m.is.Detail != "" {
			w = w.in(faint, "  "+clean(m.is.Detail))
		}
		t.put(m.Time, "", w, "")
	}
}

// sum tells the whole load in a line.
func (t *teller) sum(v visit) {
	if v.load == nil {
		t.note("", in(bad, "the page load did not end"))
		return
	}
	l := v.load.is
	t.head(in(strong, "In all"))
	w := say(count(l.Requests, "request"))
	if l.Failed > 0 {
		w = w.in(bad, fmt.Sprintf(" (%d failed)", l.Failed))
	}
	w = w.say(" over " + count(l.Connections, "connection") + " after " + count(l.Lookups, "lookup") + ": " +
		size(l.Bytes) + " in " + seconds(l.Duration))
	if len(t.sent) == 0 {
		w = say("no request went out in " + seconds(l.Duration))
	}
	t.put(v.load.Time, "", w, "")
	if w := t.compression(); w != nil {
		t.note("", w)
	}
	if l.Title != "" {
		t.note("", say("the page is titled ").in(name, clean(l.Title)))
	}
	if l.Error != "" {
		t.note("", in(bad, "the page was not loaded: ").say(briefly(l.Error)))
	}
}

// withoutOrigin is a URL's path and query where its host is that one, else the whole URL.
func withoutOrigin(raw, host string) string {
	if strings.EqualFold(hostOf(raw), host) {
		return path(raw)
	}
	return raw
}
