package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"scenario/event"
)

// Columns of the tables of assets.
const (
	kindWidth   = 7
	statusWidth = 4
	typeWidth   = 16
	sizeWidth   = 9
	connWidth   = 11
	timeWidth   = 9  // at the right edge
	leastURL    = 16 // before notes beside it are left out
)

// found tells what the parser came upon, and how much of the page had arrived by then.
func (t *teller) found(v visit) {
	if len(v.assets) == 0 {
		return
	}
	early := 0
	for _, a := range v.assets {
		if !a.is.Complete {
			early++
		}
	}
	found := strconv.Itoa(early)
	if early == 0 {
		found = "none"
	}
	w := in(strong, "Parsing: ").say("the HTML is read as it arrives; of " + count(len(v.assets), "resource") + " ")
	t.head(w.say(found + " found before its end"))
	page := ""
	if x := v.page(); x != nil {
		page = x.request.URL
	}
	for i, a := range v.assets {
		e := a.is
		after := "after " + size(e.PageBytes)
		if e.Complete {
			after = "page complete"
		}
		note := party(e.ThirdParty)
		if page != "" && !sameURL(e.Page, page) {
			note = note.in(faint, "  in "+middle(clean(path(e.Page)), t.room/4))
		}
		room := t.room - kindWidth - len(after) - 2*gap - 2
		if room >= leastURL+note.width() {
			room -= note.width()
		} else {
			note = nil // a narrow page shows the address rather
		}
		url := middle(clean(withoutOrigin(e.URL, hostOf(page))), room)
		t.row(a.Time, branch(i, len(v.assets)), say(pad(clean(e.Destination), kindWidth)+" ").in(name, url).add(note), after)
	}
}

// fetched tells, host by host, how everything but the page itself was got.
func (t *teller) fetched(v visit) {
	hosts := v.hosts()
	if len(hosts) == 0 {
		return
	}
	t.head(in(strong, "Assets: ").say("each host needs a lookup and connections, which are kept alive for more requests"))
	own := ""
	if x := v.page(); x != nil {
		own = hostOf(x.request.URL)
	}
	for _, host := range hosts {
		w := in(name, clean(host))
		switch {
		case host == own:
			w = w.say(": the page's own host")
		case v.thirdParty(host):
			w = w.say(": a third party")
		default:
			w = w.say(": another host of the same site")
		}
		t.note("", w)
		t.fromHost(v, host)
	}
	for _, q := range t.asked {
		if !t.toldQuery[q] {
			t.question(q)
		}
	}
	for _, c := range t.made {
		if !t.toldConn[c] {
			t.connection(c, "")
		}
	}
}

// fromHost tells the lookups, connections and requests for one host's assets.
func (t *teller) fromHost(v visit, host string) {
	for _, q := range t.asked {
		if !t.toldQuery[q] && sameHost(q.ask.Name, host) {
			t.question(q)
		}
	}
	addresses := t.addresses(host)
	for _, c := range t.made {
		if c.failed != nil && !t.toldConn[c] && slices.Contains(addresses, address(c.remote).String()) {
			t.connection(c, "")
		}
	}
	var requests []*exchange
	for _, x := range v.rest {
		if hostOf(x.request.URL) == host {
			requests = append(requests, x)
		}
	}
	var missing []seen[event.HTMLAsset]
	for _, a := range v.assets {
		asked := func(x *exchange) bool {
			return sameURL(x.request.URL, a.is.URL) || sameURL(x.request.URL, t.upgraded(a.is.URL))
		}
		if hostOf(a.is.URL) == host && !slices.ContainsFunc(t.sent, asked) {
			missing = append(missing, a)
		}
	}
	t.newConns(requests)
	for i, x := range requests {
		t.assetRow(v, x, branch(i, len(requests)+len(missing)))
	}
	for i, a := range missing {
		why := t.unsent(v, a.is.URL)
		room := t.room - kindWidth - why.width() - gap - 3
		w := say(pad(clean(a.is.Destination), kindWidth)+" ").in(name, middle(clean(path(a.is.URL)), room)).say("  ").add(why)
		tree := branch(len(requests)+i, len(requests)+len(missing))
		t.row(time.Time{}, tree, w, "")
		if f := v.fetch(a.is.URL); f != nil {
			t.clipped(tree, f.Error, t.room/2)
		}
	}
}

// upgraded is the address that the browser went to in place of one of plain http; empty: it did not.
func (t *teller) upgraded(url string) string {
	for _, u := range pick[event.URLUpgrade](t.step.records) {
		if sameURL(u.is.From, url) {
			return u.is.To
		}
	}
	return ""
}

// clipped tells an error as a whole that had no room in its row.
func (t *teller) clipped(tree, err string, room int) {
	if text := briefly(err); clip(text, room) != text {
		t.note(continued(tree), in(bad, text))
	}
}

// unsent says why a resource that the page needs was not asked for.
func (t *teller) unsent(v visit, url string) words {
	f := v.fetch(url)
	switch {
	case f == nil:
		return in(bad, "never requested")
	case f.From == "cache" && f.Failed == "":
		return in(good, "from the cache").say(", " + size(f.Decoded))
	}
	return in(bad, clip(briefly(cmp.Or(f.Error, f.Failed, "never requested")), t.room/2))
}

// newConns tells, in one place, of the connections that the requests opened: the first as a whole, of the rest the ports.
func (t *teller) newConns(requests []*exchange) {
	var more []string
	first := true
	for _, x := range requests {
		c := x.conn
		if c == nil || t.toldConn[c] {
			continue
		}
		if first {
			t.connection(c, "")
			first = false
			continue
		}
		t.toldConn[c] = true
		more = append(more, port(c.local))
	}
	if len(more) > 0 {
		t.note("", say("and from "+count(len(more), "more port")+": "+listed(more, 8)))
	}
}

// assetRow tells one request for an asset.
func (t *teller) assetRow(v visit, x *exchange, tree string) {
	kind := ""
	if a := v.asset(x.request.URL); a != nil {
		kind = a.Destination
	} else if f := v.fetch(x.request.URL); f != nil && f.Destination != "document" { // where a redirect led to
		kind = f.Destination
	}
	forType := typeWidth
	room := t.room - kindWidth - statusWidth - typeWidth - sizeWidth - connWidth - timeWidth - 2 - gap
	if room < kindWidth { // a narrow page has no room for types
		forType, room = 0, room+typeWidth
	}
	w := say(pad(clip(clean(kind), kindWidth), kindWidth)+" ").
		in(name, pad(middle(clean(path(x.request.URL)), room-1), room)).in(faint, pad(connUse(x), connWidth))
	r := x.response
	switch {
	case r == nil:
		t.row(x.Time, tree, w.in(bad, "no response is recorded"), "")
		return
	case r.is.Status == 0:
		w = w.in(bad, clip(briefly(cmp.Or(r.is.Error, "no response")), statusWidth+forType+sizeWidth))
	default:
		style := good
		if x.failed() {
			style = bad
		}
		kind, _, _ := strings.Cut(r.is.ContentType, ";")
		if r.is.Location != "" {
			kind = "→ " + r.is.Location
		}
		w = w.in(style, pad(strconv.Itoa(r.is.Status), statusWidth)).
			say(pad(clip(clean(kind), forType-1), forType) + padLeft(size(r.is.Size), sizeWidth-1))
	}
	t.row(x.Time, tree, w, seconds(r.is.Duration))
	switch {
	case r.is.Error == "":
	case r.is.Status == 0:
		t.clipped(tree, r.is.Error, statusWidth+forType+sizeWidth)
	default:
		t.note(continued(tree), t.spoilt(x))
	}
	if t.raw {
		t.bytes("> ", x.requestBytes())
		t.bytes("< ", x.responseBytes())
	}
}

// connUse says which connection a request used, by its client port.
func connUse(x *exchange) string {
	if x.request.Reused {
		return "kept " + port(x.request.Local)
	}
	return "new  " + port(x.request.Local)
}
