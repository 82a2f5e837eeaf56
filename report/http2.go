package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"scenario/event"
)

// multiplexed is what went over one HTTP/2 connection in a step.
type multiplexed struct {
	at        link
	exchanges []*exchange
	frames    []seen[event.HTTP2Frame]
}

// multiplexed returns the step's HTTP/2 connections in the order in which they were used.
func (t *teller) multiplexed() []*multiplexed {
	byLink := make(map[link]*multiplexed)
	var all []*multiplexed
	get := func(at link) *multiplexed {
		if byLink[at] == nil {
			byLink[at] = &multiplexed{at: at}
			all = append(all, byLink[at])
		}
		return byLink[at]
	}
	for _, x := range t.sent {
		if strings.HasPrefix(x.request.Proto, "HTTP/2") {
			m := get(link{x.Node, x.request.Local, x.request.Remote})
			m.exchanges = append(m.exchanges, x)
		}
	}
	for _, f := range pick[event.HTTP2Frame](t.step.records) {
		if f.is.Side == event.SideClient {
			m := get(link{f.Node, f.is.Local, f.is.Remote})
			m.frames = append(m.frames, f)
		}
	}
	return all
}

// streams tells what HTTP/2 made of the step's requests: how they shared connections, what their header fields took, and
// which frames went to and fro.
func (t *teller) streams() {
	all := t.multiplexed()
	if len(all) == 0 {
		return
	}
	t.head(in(strong, "HTTP/2: ").say("requests are streams, side by side on one connection"))
	for _, m := range all {
		w := say("port " + port(m.at.local) + " → ").add(t.run.who.short(m.at.node, m.at.remote)).say(": " + count(len(m.exchanges), "request"))
		w = w.say(m.numbers())
		if most := sideBySide(m.exchanges); most > 1 {
			w = w.say(fmt.Sprintf(", up to %d at once", most))
		}
		t.note("", w)
		var lines []framed
		if plain, packed := m.fields(); plain > 0 {
			lines = append(lines, framed{text: say(size(plain) + " of header fields went as " + size(packed) + " (HPACK)")})
		}
		lines = slices.Concat(lines, m.counts(), m.ends())
		for i, l := range lines {
			if l.at.IsZero() {
				t.note(branch(i, len(lines)), l.text)
			} else {
				t.put(l.at, branch(i, len(lines)), l.text, "")
			}
		}
	}
}

// framed is a line about a connection's frames, of one moment or of none.
type framed struct {
	at   time.Time
	text words
}

// numbers says which streams the requests were.
func (m *multiplexed) numbers() string {
	var ids []uint32
	for _, x := range m.exchanges {
		if x.request.Stream > 0 {
			ids = append(ids, x.request.Stream)
		}
	}
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" as stream %d", ids[0])
	}
	return fmt.Sprintf(" as streams %d…%d", slices.Min(ids), slices.Max(ids))
}

// fields are the bytes of all header fields, as text and as they went.
func (m *multiplexed) fields() (plain, packed int64) {
	for _, x := range m.exchanges {
		if x.request.HeaderPlain > 0 {
			plain += int64(x.request.HeaderPlain)
			packed += int64(x.request.HeaderBytes)
		}
		if x.response != nil && x.response.is.HeaderPlain > 0 {
			plain += int64(x.response.is.HeaderPlain)
			packed += int64(x.response.is.HeaderBytes)
		}
	}
	return plain, packed
}

// counts are the frames of each direction by type.
func (m *multiplexed) counts() []framed {
	type kind struct {
		frames int
		bytes  int64
	}
	counted := map[string]map[string]*kind{}
	for _, f := range m.frames {
		if counted[f.is.Direction] == nil {
			counted[f.is.Direction] = make(map[string]*kind)
		}
		k := counted[f.is.Direction][f.is.Type]
		if k == nil {
			k = new(kind)
			counted[f.is.Direction][f.is.Type] = k
		}
		k.frames++
		k.bytes += int64(max(f.is.Bytes, 0))
	}
	var lines []framed
	for _, direction := range []string{"sent", "received"} {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(counted[direction])) {
			k := counted[direction][name]
			parts = append(parts, fmt.Sprintf("%d %s (%s)", k.frames, clean(name), size(k.bytes)))
		}
		if len(parts) > 0 {
			lines = append(lines, framed{text: in(faint, "frames "+direction+": "+listed(parts, 12))})
		}
	}
	return lines
}

// ends are the frames that end a stream or the connection, but for those with which a connection that is not needed any
// more ends.
func (m *multiplexed) ends() []framed {
	const most = 8
	var lines []framed
	told := 0
	for _, f := range m.frames {
		if f.is.Type != "GOAWAY" && f.is.Type != "RST_STREAM" || f.is.Type == "GOAWAY" && strings.HasPrefix(f.is.Detail, "NO_ERROR") {
			continue
		}
		if told++; told > most {
			continue
		}
		w := in(strong, clean(f.is.Type)).say(" " + clean(f.is.Direction))
		if f.is.Stream > 0 {
			w = w.say(fmt.Sprintf(" on stream %d", f.is.Stream))
		}
		if f.is.Detail != "" {
			w = w.say(": " + clean(f.is.Detail))
		}
		lines = append(lines, framed{f.Time, w})
	}
	if told > most {
		lines = append(lines, framed{text: say(fmt.Sprintf("and %d more that end streams", told-most))})
	}
	return lines
}

// sideBySide is the largest number of exchanges that were under way at one time.
func sideBySide(all []*exchange) int {
	type edge struct {
		at   time.Time
		step int
	}
	var edges []edge
	for _, x := range all {
		edges = append(edges, edge{x.Time, 1}, edge{x.ended(), -1})
	}
	slices.SortStableFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.step, b.step)) })
	now, most := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}
