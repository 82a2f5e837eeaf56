package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"scenario/event"
)

// exposure is what somebody on the path between a node and all others could read of a step: the packets, but not what is
// encrypted in them.
type exposure struct {
	names     []string // asked for in plain
	asked     []string // addresses of who was
	resolvers []encryptedTalk
	requests  []*exchange // in plain
	cookies   []string    // that went in plain, either way
	content   int64       // bytes of bodies that came in plain
	servers   []encryptedTalk
}

// encryptedTalk is a connection, or several to one end, of which an onlooker sees no more than that it is there.
type encryptedTalk struct {
	node, remote string
	name         string // that it says in the clear (SNI)
	exchanges    int    // inside, which the onlooker cannot count
	sent         int64  // bytes; 0: not known
	received     int64
}

// exposed is what could be read of the step.
func (r *run) exposed(s *step) exposure {
	var e exposure
	conns := ofStep(s, r.sides.conns)
	for _, q := range ofStep(s, r.sides.questions) {
		switch {
		case q.ask.Remote == "":
		case q.ask.Transport == "tls" || q.ask.Transport == "https":
			talk := find(&e.resolvers, q.Node, q.ask.Remote)
			talk.exchanges++
		default:
			e.names = with(e.names, hostName(q.ask.Name))
			e.asked = with(e.asked, q.ask.Remote)
		}
	}
	for _, x := range ofStep(s, r.sides.exchanges) {
		if strings.HasPrefix(x.request.URL, "https:") || x.conn != nil && x.conn.tls != nil {
			find(&e.servers, x.Node, x.request.Remote).exchanges++
			continue
		}
		e.requests = append(e.requests, x)
		for c := range strings.SplitSeq(x.request.Cookie, ";") {
			e.cookies = with(e.cookies, strings.TrimSpace(c))
		}
		if c, _, _ := strings.Cut(x.responseField("Set-Cookie"), ";"); c != "" {
			e.cookies = with(e.cookies, strings.TrimSpace(c))
		}
		if x.response != nil {
			e.content += x.response.is.Size
		}
	}
	for _, c := range conns {
		if c.failed != nil {
			continue
		}
		talk := known(e.resolvers, c.remote)
		if talk == nil && (c.tls != nil || known(e.servers, c.remote) != nil) {
			talk = find(&e.servers, c.Node, c.remote)
		}
		if talk == nil {
			continue
		}
		if c.tls != nil {
			talk.name = cmp.Or(talk.name, c.tls.is.ServerName)
		}
		if c.closed != nil {
			talk.sent += c.closed.is.Sent
			talk.received += c.closed.is.Received
		}
	}
	return e
}

// known is the talk with remote; nil where there is none.
func known(talks []encryptedTalk, remote string) *encryptedTalk {
	for i := range talks {
		if talks[i].remote == remote {
			return &talks[i]
		}
	}
	return nil
}

// find is the talk with remote, which is made where there is none.
func find(talks *[]encryptedTalk, node, remote string) *encryptedTalk {
	if t := known(*talks, remote); t != nil {
		return t
	}
	*talks = append(*talks, encryptedTalk{node: node, remote: remote})
	return &(*talks)[len(*talks)-1]
}

// with adds what is not empty and not there yet.
func with(all []string, one string) []string {
	if one == "" || slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

// empty says that nothing went over the path.
func (e exposure) empty() bool {
	return len(e.asked)+len(e.resolvers)+len(e.requests)+len(e.servers) == 0
}

// onlooker tells what somebody on the path could read of the page load, and what not.
func (t *teller) onlooker() {
	e := t.run.exposed(t.step)
	if e.empty() {
		return
	}
	t.head(in(strong, "What somebody on the path could read"))
	who := t.run.who
	node := t.step.Node
	if len(e.names) > 0 {
		noun := "the names "
		if len(e.names) == 1 {
			noun = "the name "
		}
		w := say("lookups: ").in(bad, noun).in(strong, clean(listed(e.names, 6))).say(", asked of ")
		for i, a := range e.asked[:min(len(e.asked), 3)] {
			if i > 0 {
				w = w.say(", ")
			}
			w = w.add(who.at(node, a))
		}
		t.note("", w)
	}
	for _, r := range e.resolvers {
		t.note("", say("lookups: ").in(good, "that ").add(who.at(node, r.remote)).in(good, " is asked something").
			say(r.amount()+", but not which names"))
	}
	if len(e.requests) > 0 {
		w := say("http: ").in(bad, "everything: ").say(count(len(e.requests), "request") + " (")
		var urls []string
		for _, x := range e.requests {
			urls = with(urls, clean(x.request.URL))
		}
		w = w.in(strong, listed(urls, 3)+")").say(", " + size(e.content) + " of pages and files")
		if len(e.cookies) > 0 {
			w = w.say(", the cookies ").in(strong, clean(listed(e.cookies, 4)))
		}
		t.note("", w)
	}
	for _, s := range e.servers {
		w := say("https: ").in(good, "that ").in(name, node).in(good, " talks to ").add(who.at(node, s.remote))
		if s.name != "" {
			w = w.say(", which it calls ").in(strong, clean(s.name)).say(" (SNI)")
		}
		t.note("", w.say(s.amount()+", but no path, cookie or page"))
	}
}

// amount is what the lengths of packets tell.
func (s encryptedTalk) amount() string {
	if s.sent+s.received == 0 {
		return ""
	}
	return fmt.Sprintf(": %s there, %s back", size(s.sent), size(s.received))
}

// contrast sets a page load in plain and an encrypted one of the same page beside each other.
func (r *run) contrast(n int) *section {
	plainly, secretly := r.twoWays(true,
		func(e exposure) bool { return len(e.requests) > 0 && len(e.servers) == 0 },
		func(e exposure) bool { return len(e.servers) > 0 && len(e.requests) == 0 })
	if plainly == nil {
		return nil
	}
	a, b := r.exposed(plainly), r.exposed(secretly)
	t := table{heads: []string{stepName(plainly), stepName(secretly)}}
	t.row("names looked up", a.namesText(), b.namesText())
	t.row("servers", a.serversText(), b.serversText())
	t.row("host", a.hostsText(), b.hostsText())
	t.row("URLs", a.urlsText(), b.urlsText())
	t.row("cookies", strings.Join(a.cookies, ", "), strings.Join(b.cookies, ", "))
	t.row("pages and files", a.contentText(), b.contentText())
	title := in(strong, "What somebody on the path could read").say(" of the same page, in plain and encrypted")
	return &section{title: title, lines: t.lines(n)}
}

// contrastLookups sets a lookup in plain and an encrypted one of the same name beside each other, where they are steps of
// their own.
func (r *run) contrastLookups(n int) *section {
	alone := func(e exposure) bool { return len(e.requests)+len(e.servers) == 0 }
	plainly, secretly := r.twoWays(false,
		func(e exposure) bool { return alone(e) && len(e.names) > 0 && len(e.resolvers) == 0 },
		func(e exposure) bool { return alone(e) && len(e.names) == 0 && len(e.resolvers) > 0 })
	if plainly == nil {
		return nil
	}
	a, b := r.exposed(plainly), r.exposed(secretly)
	t := table{heads: []string{stepName(plainly), stepName(secretly)}}
	t.row("asked", strings.Join(a.asked, ", "), b.resolversText())
	t.row("for the names", strings.Join(a.names, ", "), "")
	title := in(strong, "What somebody on the path could read").say(" of the same lookup, in plain and encrypted")
	return &section{title: title, lines: t.lines(n)}
}

// twoWays finds the first steps, one of each kind, that are about the same thing: page loads or none; nil, nil where there
// are no two.
func (r *run) twoWays(pages bool, plain, secret func(exposure) bool) (plainly, secretly *step) {
	type pair struct{ plainly, secretly *step }
	about := make(map[string]*pair)
	for _, s := range r.steps {
		if !s.begun || s.isPage() != pages {
			continue
		}
		target := s.Target
		if pages {
			target = withoutScheme(r.visit(s, nil).url)
		}
		if about[target] == nil {
			about[target] = new(pair)
		}
		p, e := about[target], r.exposed(s)
		if p.plainly == nil && plain(e) {
			p.plainly = s
		}
		if p.secretly == nil && secret(e) {
			p.secretly = s
		}
		if p.plainly != nil && p.secretly != nil {
			return p.plainly, p.secretly
		}
	}
	return nil, nil
}

// stepName names a step and its node.
func stepName(s *step) string { return s.ID + " (" + s.Node + ")" }

func (e exposure) resolversText() string {
	var all []string
	for _, r := range e.resolvers {
		all = append(all, r.remote+r.amount())
	}
	return listed(all, 4)
}

func (e exposure) namesText() string {
	text := strings.Join(e.names, ", ")
	for _, r := range e.resolvers {
		text = strings.TrimPrefix(text+"; none: "+r.remote+" is asked, that is all", "; ")
	}
	return text
}

func (e exposure) serversText() string {
	var all []string
	for _, x := range e.requests {
		all = with(all, x.request.Remote)
	}
	for _, s := range e.servers {
		all = with(all, s.remote)
	}
	return listed(all, 4)
}

func (e exposure) hostsText() string {
	var all []string
	for _, x := range e.requests {
		all = with(all, hostOf(x.request.URL))
	}
	for _, s := range e.servers {
		if s.name != "" {
			all = with(all, s.name+" (SNI)")
		}
	}
	return listed(all, 4)
}

func (e exposure) urlsText() string {
	var all []string
	for _, x := range e.requests {
		all = with(all, path(x.request.URL))
	}
	return listed(all, 4)
}

func (e exposure) contentText() string {
	if len(e.requests) > 0 {
		return size(e.content) + ", each byte"
	}
	var received int64
	for _, s := range e.servers {
		received += s.received
	}
	if received == 0 {
		return ""
	}
	return "none: " + size(received) + " went back, that is all"
}

// withoutScheme is what a URL says behind its scheme, which is the same page over http and https.
func withoutScheme(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	return rest
}

// handshakes counts those that the step's connections made, resumed ones too.
func handshakes(conns []*conn) (full, resumed int) {
	for _, c := range conns {
		if c.tls == nil || c.tls.is.Side != event.SideClient {
			continue
		}
		if c.tls.is.Resumed {
			resumed++
		} else {
			full++
		}
	}
	return full, resumed
}
