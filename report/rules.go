package report

import (
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"scenario/event"
)

// mostRows bounds tables that have a row for each address.
const mostRows = 60

// upgrades tells where the browser went to https though an address said http.
func (t *teller) upgrades() {
	reasons := map[string]string{
		"hsts":          "the site had said that it is to be reached by https alone (HSTS, RFC 6797)",
		"https-record":  "the name has an HTTPS record (RFC 9460)",
		"mixed-content": "a page over https asks for it",
	}
	for _, u := range pick[event.URLUpgrade](t.step.records) {
		reason := reasons[u.is.Reason]
		if reason == "" {
			reason = clean(u.is.Reason)
		}
		t.put(u.Time, "", say("instead of ").in(name, clean(u.is.From)).say(" goes to ").in(name, clean(u.is.To)).say(": "+reason), "")
	}
}

// cached tells what the browser's cache did.
func (t *teller) cached() {
	all := pick[event.HTTPCache](t.step.records)
	if len(all) == 0 {
		return
	}
	t.head(in(strong, "Cache: ").say(cacheCounts(all)))
	groups := cacheGroups(all)
	for i, g := range groups[:min(len(groups), mostRows)] {
		style := plain
		if g.result == "hit" || g.result == "revalidated" {
			style = good
		}
		w := in(style, pad(clean(g.result), len("revalidated")+1)).in(name, g.listed(hostOf(t.step.Target), t.room-len("revalidated")-3)).say(": " + clean(g.reason))
		t.put(g.at, branch(i, len(groups)), w.in(faint, g.times), "")
	}
	t.left(len(groups))
}

// cacheGroup is what the cache did alike, for the same reason.
type cacheGroup struct {
	at             time.Time
	result, reason string
	urls           []string
	times          string // how old and how fresh, where that is of one
}

func cacheGroups(all []seen[event.HTTPCache]) []*cacheGroup {
	var groups []*cacheGroup
	for _, c := range all {
		i := slices.IndexFunc(groups, func(g *cacheGroup) bool { return g.result == c.is.Result && g.reason == c.is.Reason })
		if i < 0 {
			i, groups = len(groups), append(groups, &cacheGroup{at: c.Time, result: c.is.Result, reason: c.is.Reason, times: cacheTimes(c.is)})
		} else {
			groups[i].times = ""
		}
		groups[i].urls = with(groups[i].urls, c.is.URL)
	}
	return groups
}

// cacheTimes says how old a response is and how long it is fresh.
func cacheTimes(c event.HTTPCache) string {
	var times []string
	// Many reasons say it themselves.
	if c.Age > 0 && c.Result != "stored" && !strings.Contains(c.Reason, " old") {
		times = append(times, lasting(c.Age)+" old")
	}
	if c.Fresh > 0 && !strings.Contains(c.Reason, "fresh for") {
		times = append(times, "fresh for "+lasting(c.Fresh))
	}
	if len(times) == 0 {
		return ""
	}
	return "  " + strings.Join(times, ", ")
}

// listed names the group's addresses, those of the page's own host by their paths.
func (g *cacheGroup) listed(own string, room int) string {
	if len(g.urls) > 1 {
		room /= 3
	}
	var names []string
	for _, u := range g.urls {
		names = append(names, middle(clean(withoutOrigin(u, own)), room))
	}
	return listed(names, 5)
}

// left says that a table was cut.
func (t *teller) left(n int) {
	if n > mostRows {
		t.note("└ ", in(faint, "and "+strconv.Itoa(n-mostRows)+" more"))
	}
}

// cacheCounts sums up how requests were answered.
func cacheCounts(all []seen[event.HTTPCache]) string {
	counts := make(map[string]int)
	for _, c := range all {
		counts[c.is.Result]++
	}
	var parts []string
	for _, r := range []struct{ result, text string }{
		{"hit", "%d came from it without a question"}, {"stale", "%d though stale"}, {"revalidated", "%d the server confirmed"},
		{"miss", "%d it did not have"}, {"stored", "%d stored"}, {"not-stored", "%d not stored"}, {"invalidated", "%d invalidated"},
	} {
		if n := counts[r.result]; n > 0 {
			parts = append(parts, fmt.Sprintf(r.text, n))
		}
	}
	return strings.Join(parts, ", ")
}

// origins tells what the page may see of other origins.
func (t *teller) origins() {
	all := pick[event.CORSCheck](t.step.records)
	if len(all) == 0 {
		return
	}
	t.head(in(strong, "Other origins: ").say("may the page see their answers? (CORS)"))
	for i, c := range all[:min(len(all), mostRows)] {
		w := in(bad, "no:  ")
		if c.is.Allowed {
			w = in(good, "yes: ")
		}
		w = w.in(name, clean(c.is.URL)).say(" for " + clean(c.is.Origin))
		switch {
		case c.is.Mode == "preflight":
			w = w.say(", asked before the request itself (preflight)")
		case c.is.Preflight:
			w = w.say(", which is asked first (preflight)")
		case c.is.Mode == "no-cors":
			w = w.say(", which is loaded without being shown to scripts (no-cors)")
		}
		t.put(c.Time, branch(i, len(all)), w.say(": "+clean(c.is.Reason)), "")
	}
	t.left(len(all))
}

// blocks tells what the rules of the web kept the browser from.
func (t *teller) blocks() {
	all := pick[event.PageBlock](t.step.records)
	if len(all) == 0 {
		return
	}
	t.head(in(strong, "Blocked: ").say("not loaded or not shown, because a rule of the web forbids it"))
	for i, b := range all[:min(len(all), mostRows)] {
		t.put(b.Time, branch(i, len(all)), in(bad, clean(b.is.Rule)+" ").in(name, clean(b.is.URL)).say(": "+clean(b.is.Reason)), "")
	}
	t.left(len(all))
}

// contentRange is what part of a resource a response holds (RFC 9110, section 14.4): the bytes from First to Last of Whole;
// Whole is -1 where the server does not know it.
type contentRange struct{ First, Last, Whole int64 }

func parseContentRange(text string) (contentRange, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "bytes ")
	span, whole, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return contentRange{}, false
	}
	r := contentRange{Whole: -1}
	var err error
	if r.First, err = strconv.ParseInt(first, 10, 64); err != nil || r.First < 0 {
		return contentRange{}, false
	}
	if r.Last, err = strconv.ParseInt(last, 10, 64); err != nil || r.Last < r.First {
		return contentRange{}, false
	}
	if whole != "*" {
		if r.Whole, err = strconv.ParseInt(whole, 10, 64); err != nil || r.Whole <= r.Last {
			return contentRange{}, false
		}
	}
	return r, true
}

// parts tells of files that came in parts (RFC 9110, section 14).
func (t *teller) parts() {
	type download struct {
		url   string
		parts []*exchange
	}
	var all []*download
	for _, x := range t.sent {
		if x.status() != 206 {
			continue
		}
		i := slices.IndexFunc(all, func(d *download) bool { return sameURL(d.url, x.request.URL) })
		if i < 0 {
			i, all = len(all), append(all, &download{url: x.request.URL})
		}
		all[i].parts = append(all[i].parts, x)
	}
	if len(all) == 0 {
		return
	}
	t.head(in(strong, "In parts: ").say("206 Partial Content holds the bytes that were asked for"))
	for _, d := range all {
		used := make(map[string]bool)
		var sum int64
		whole := ""
		for _, x := range d.parts {
			used[x.request.Local] = true
			sum += x.response.is.Size
			if r, ok := parseContentRange(x.responseField("Content-Range")); ok && r.Whole >= 0 {
				whole = " of " + size(r.Whole)
			}
		}
		t.note("", in(name, clean(d.url)).say(": "+count(len(d.parts), "part")+" over "+count(len(used), "connection")+", "+size(sum)+whole))
		for i, x := range d.parts[:min(len(d.parts), mostRows)] {
			text := "a part"
			if r, ok := parseContentRange(x.responseField("Content-Range")); ok {
				text = fmt.Sprintf("bytes %d to %d", r.First, r.Last)
			}
			w := say(pad(text, 30)).in(faint, connUse(x)).say("  " + size(x.response.is.Size))
			t.put(x.Time, branch(i, len(d.parts)), w, seconds(x.response.is.Duration))
		}
		t.left(len(d.parts))
	}
}

// responseField is the value of a field of the response, as far as the log has its head; of several the first.
func (x *exchange) responseField(field string) string {
	return rawField(x.responseBytes(), field)
}

// requestField is the value of a field of the request, as far as the log has its head; of several the first.
func (x *exchange) requestField(field string) string { return rawField(x.requestBytes(), field) }

func rawField(v rawView, field string) string {
	head, _, _ := strings.Cut(v.bytes, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, field) {
			return textproto.TrimString(value)
		}
	}
	return ""
}

// compression says what content codings saved; nothing where there were none.
func (t *teller) compression() words {
	var wire, plain int64
	n := 0
	for _, x := range t.sent {
		if a := x.response; a != nil && a.is.Coding != "" && a.is.Decoded > 0 {
			n++
			wire += a.is.Size
			plain += a.is.Decoded
		}
	}
	if n == 0 {
		return nil
	}
	verb := "saved "
	saved := plain - wire
	if saved < 0 {
		verb, saved = "cost ", -saved
	}
	return say("compression " + verb + size(saved) + ": " + count(n, "response") + " of " + size(plain) + " went as " + size(wire))
}
