package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"scenario/record"
	"scenario/report/compare"
	"scenario/report/loads"
)

// Beside sets beside each other what the run did in two ways: a page in plain and encrypted, over HTTP/1.1 and HTTP/2, in
// two browsers; and tells what third parties learned over all of it. It writes nothing where there is nothing of the kind.
// The only errors are those of w.
func Beside(w io.Writer, rec *record.Recording, o Options) error {
	return newRun(rec).writeBeside(w, o)
}

func (r *run) writeBeside(w io.Writer, o Options) error {
	n := pageWidth(o.Width)
	p := &printer{w: w, color: o.Color}
	if len(o.Steps) > 0 {
		return nil
	}
	for _, s := range r.beside(n) {
		p.section(s, n)
	}
	return p.err
}

// beside are the sections that Beside writes.
func (r *run) beside(n int) []section {
	var all []section
	for _, s := range []*section{r.contrastLookups(n), r.contrast(n)} {
		if s != nil {
			all = append(all, *s)
		}
	}
	all = append(all, r.protocols(n)...)
	all = append(all, r.browsers(n)...)
	return append(all, r.trackers(n)...)
}

// protocols compares loads of the same page by the same kind of browser over HTTP/1.1 and HTTP/2 (R16): of each the first
// one that came from servers. A load over https is compared with one over https, where there is one.
func (r *run) protocols(n int) []section {
	exact := r.byProtocol(func(url string) string { return url })
	told := make(map[string]bool)
	var all []section
	for _, pairs := range [][]protocolPair{exact, r.byProtocol(withoutScheme)} {
		for _, p := range pairs {
			page := withoutScheme(p.two.Document().URL)
			if told[p.two.Role+" "+page] {
				continue
			}
			told[p.two.Role+" "+page] = true
			all = append(all, section{
				title: in(strong, "Over HTTP/1.1 and HTTP/2: ").in(name, clean(page)),
				lines: r.protocolTable(*p.one, *p.two).lines(n),
			})
		}
	}
	return all
}

// protocolPair are loads of a page over HTTP/1.1 and HTTP/2.
type protocolPair struct{ one, two *loads.Load }

// byProtocol pairs loads of pages that are the same by that name of theirs.
func (r *run) byProtocol(same func(url string) string) []protocolPair {
	var pages []string
	byPage := make(map[string]*protocolPair)
	for i, l := range r.loads {
		d := l.Document()
		if d == nil || d.From != "network" || d.Status != 200 {
			continue
		}
		page := l.Role + " " + same(d.URL)
		if byPage[page] == nil {
			byPage[page] = new(protocolPair)
			pages = append(pages, page)
		}
		switch p := byPage[page]; {
		case strings.HasPrefix(d.Proto, "HTTP/1") && p.one == nil:
			p.one = &r.loads[i]
		case strings.HasPrefix(d.Proto, "HTTP/2") && p.two == nil:
			p.two = &r.loads[i]
		}
	}
	var whole []protocolPair
	for _, page := range pages {
		if p := byPage[page]; p.one != nil && p.two != nil {
			whole = append(whole, *p)
		}
	}
	return whole
}

func (r *run) protocolTable(one, two loads.Load) table {
	t := table{heads: []string{"HTTP/1.1: " + loadName(one), "HTTP/2: " + loadName(two)}}
	a, b := r.measure(one), r.measure(two)
	t.row("requests", strconv.Itoa(a.requests), strconv.Itoa(b.requests))
	t.row("connections", strconv.Itoa(a.connections), strconv.Itoa(b.connections))
	t.row("at once on one", strconv.Itoa(a.atOnce), strconv.Itoa(b.atOnce))
	t.row("TLS handshakes", a.handshakes, b.handshakes)
	t.row("header fields", a.headers(), b.headers())
	t.row("queued", seconds(a.queued)+" in all", seconds(b.queued)+" in all")
	t.row("bodies", size(a.bytes), size(b.bytes))
	t.row("until load", a.duration, b.duration)
	return t
}

// measures are what a load took.
type measures struct {
	requests, connections, atOnce int
	handshakes                    string
	packed, plain                 int64 // bytes of header fields as they went, and as text
	queued                        float64
	bytes                         int64
	duration                      string
}

func (m measures) headers() string {
	if m.plain == 0 {
		return ""
	}
	if m.packed == m.plain {
		return size(m.plain) + " as text"
	}
	return size(m.plain) + " as " + size(m.packed) + " (HPACK)"
}

// measure counts what the log tells of a load.
func (r *run) measure(l loads.Load) measures {
	var m measures
	perConn := make(map[string][]*exchange)
	for _, f := range l.Fetches {
		m.queued += max(f.Queued, 0)
		m.bytes += f.Size
		if f.Request == nil {
			continue
		}
		m.requests++
		plain, packed := headBytes(f)
		m.plain += plain
		m.packed += packed
	}
	var used []*conn
	for _, x := range r.sides.exchanges {
		if x.Node == l.Node && slices.ContainsFunc(l.Fetches, func(f loads.Fetch) bool { return f.HTTPFetch.Request == x.ID() && x.ID() != "" }) {
			perConn[x.request.Local] = append(perConn[x.request.Local], x)
			if x.conn != nil && !slices.Contains(used, x.conn) {
				used = append(used, x.conn)
			}
		}
	}
	m.connections = len(perConn)
	for _, all := range perConn {
		m.atOnce = max(m.atOnce, sideBySide(all))
	}
	if full, resumed := handshakes(used); full+resumed > 0 {
		m.handshakes = strconv.Itoa(full + resumed)
		if resumed > 0 {
			m.handshakes += fmt.Sprintf(", %d of them resumed", resumed)
		}
	}
	if l.Sum != nil {
		m.duration = seconds(l.Sum.Duration)
	}
	return m
}

// headBytes are the bytes of a fetch's heads, as text and as they went: over HTTP/1 the same.
func headBytes(f loads.Fetch) (plain, packed int64) {
	if q := f.Request; q.HeaderPlain > 0 {
		plain, packed = int64(q.HeaderPlain), int64(q.HeaderBytes)
	} else {
		plain = newRawView(q.Raw, q.RawBase64, 0).headSize()
		packed = plain
	}
	if a := f.Response; a != nil && a.HeaderPlain > 0 {
		plain, packed = plain+int64(a.HeaderPlain), packed+int64(a.HeaderBytes)
	} else if a != nil {
		n := newRawView(a.Raw, a.RawBase64, 0).headSize()
		plain, packed = plain+n, packed+n
	}
	return plain, packed
}

// headSize is the length of a message's head with the empty line behind it; 0 where the log does not have it whole.
func (v rawView) headSize() int64 {
	if i := strings.Index(v.bytes, "\r\n\r\n"); i >= 0 {
		return int64(i + 4)
	}
	return 0
}

// loadName names a load: its step and its node.
func loadName(l loads.Load) string { return cmp.Or(l.Step, "?") + " (" + l.Node + ")" }

// browsers sets the loads of one page by two kinds of browsers beside each other.
func (r *run) browsers(n int) []section {
	var all []section
	for _, pair := range compare.Browsers(r.loads) {
		a, b := pair[0], pair[1]
		t := table{heads: []string{a.Role + ": " + loadName(a), b.Role + ": " + loadName(b)}}
		x, y := r.measure(a), r.measure(b)
		t.row("requests", strconv.Itoa(x.requests), strconv.Itoa(y.requests))
		t.row("connections", strconv.Itoa(x.connections), strconv.Itoa(y.connections))
		t.row("bodies", size(x.bytes), size(y.bytes))
		t.row("until load", x.duration, y.duration)
		for _, f := range beforeAndAfter(a, b) {
			t.row(withoutOrigin(f.url, hostOf(a.URL)), f.a, f.b)
		}
		s := section{title: in(strong, "Two browsers: ").in(name, clean(a.URL)), lines: t.lines(n)}
		differences := compare.Loads(a, b)
		if len(differences) == 0 {
			s.lines = append(s.lines, line{flush: true, text: in(good, "  both ask for the same in the same way")})
		} else {
			s.lines = append(s.lines, line{flush: true, text: in(strong, "  They differ in:")})
		}
		for _, d := range differences[:min(len(differences), mostRows)] {
			s.lines = append(s.lines, line{flush: true, tree: "    ", text: differenceWords(d, a.Role, b.Role)})
		}
		if len(differences) > mostRows {
			s.lines = append(s.lines, line{flush: true, text: in(faint, fmt.Sprintf("    and in %d more", len(differences)-mostRows))})
		}
		all = append(all, s)
	}
	return all
}

// fetchedTwice is one address as each of two loads got it.
type fetchedTwice struct{ url, a, b string }

// beforeAndAfter lists the addresses of two loads in the order in which the first one, then the second one, came to them.
func beforeAndAfter(a, b loads.Load) []fetchedTwice {
	var all []fetchedTwice
	at := func(url string) *fetchedTwice {
		i := slices.IndexFunc(all, func(f fetchedTwice) bool { return f.url == url })
		if i < 0 {
			i, all = len(all), append(all, fetchedTwice{url: url})
		}
		return &all[i]
	}
	for _, f := range a.Fetches[:min(len(a.Fetches), mostRows)] {
		at(f.URL).a = fetchText(f)
	}
	for _, f := range b.Fetches[:min(len(b.Fetches), mostRows)] {
		at(f.URL).b = fetchText(f)
	}
	return all
}

// fetchText says what came of a fetch in a few words.
func fetchText(f loads.Fetch) string {
	status := cmp.Or(strings.TrimPrefix(strconv.Itoa(f.Status), "0"), f.Failed, "failed")
	text := f.Destination + " " + status + " " + f.Proto
	if f.From != "network" {
		text += " " + f.From
	}
	if names := compare.CookieNames(f); len(names) > 0 {
		text += ", cookies " + strings.Join(names, ", ")
	}
	return text
}

func differenceWords(d compare.Difference, a, b string) words {
	w := in(name, clean(d.Method+" "+d.URL)).say(": ")
	if d.What == compare.Request {
		only, kind := a, d.A
		if d.A == "" {
			only, kind = b, d.B
		}
		return w.say("only ").in(strong, clean(only)).say(" asks for it (" + clean(kind) + ")")
	}
	return w.say(d.What+" ").in(strong, clean(cmp.Or(d.A, "none"))).say(" in "+clean(a)+", ").
		in(strong, clean(cmp.Or(d.B, "none"))).say(" in " + clean(b))
}
