package report

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"scenario/event"
)

// Bounds of what is drawn of a step.
const (
	maxDuets = 6  // talks
	maxHead  = 30 // calls of one talk, from its beginning
	maxTail  = 8  // and from its end, where there are more
)

// duets draws the step's talks: who began on the left, who was spoken to on the right, an arrow for what goes over the
// network.
func (t *teller) duets() {
	for i, p := range t.talks {
		if i == maxDuets {
			t.note("", in(faint, fmt.Sprintf("… and %s more", count(len(t.talks)-i, "conversation"))))
			return
		}
		if i > 0 {
			t.note("", nil)
		}
		d := newDuet(t, p)
		t.row(time.Time{}, "", d.names(), "")
		for j := 0; j < len(p.calls); {
			if rest := len(p.calls) - j - maxTail; j >= maxHead && rest > 0 {
				t.row(time.Time{}, "", d.row(cell{}, in(faint, fmt.Sprintf("… %d more …", rest)), cell{}), "")
				j += rest
				continue
			}
			j += d.draw(p.calls[j:])
		}
	}
}

// duet draws one talk.
type duet struct {
	part
	to        *teller
	side, mid int // columns
	fin       map[*talker]bool
}

// cell is what stands beside a rail.
type cell struct {
	text  string
	style style
}

func newDuet(to *teller, p part) *duet {
	mid := min(max(to.room/4, 12), 24)
	return &duet{
		part: p, to: to, mid: mid, side: (to.room - mid - 4) / 2,
		fin: make(map[*talker]bool),
	}
}

// names stands above the rails: each end's node, address and socket.
func (d *duet) names() words {
	var left, right string
	switch {
	case d.left == nil:
		left, right = d.far(d.right), d.near(d.right)
	case d.right == nil:
		left, right = d.near(d.left), d.far(d.left)
	default:
		left, right = d.near(d.left), d.near(d.right)
		if address(d.left.local).IsUnspecified() && d.to.run.who.owner(d.right.node, d.right.remote) == d.left.node {
			left = d.far(d.right)
		}
		if address(d.right.local).IsUnspecified() && d.to.run.who.owner(d.left.node, d.left.remote) == d.right.node {
			right = d.far(d.left)
		}
	}
	return in(name, padLeft(middle(left, d.side), d.side)).say(strings.Repeat(" ", d.mid+4)).in(name, middle(right, d.side))
}

// near names an end that tells of itself.
func (d *duet) near(t *talker) string {
	text := clean(t.node)
	if t.local != "" {
		text += " " + clean(t.local)
	}
	return text
}

// far names the other end of t, which tells nothing.
func (d *duet) far(t *talker) string {
	if t.remote == "" {
		return "somebody"
	}
	if owner := d.to.run.who.owner(t.node, t.remote); owner != "" {
		return clean(owner) + " " + clean(t.remote)
	}
	return clean(t.remote)
}

// row is one line: the left cell, what goes over the network, the right cell.
func (d *duet) row(left cell, mid words, right cell) words {
	w := in(left.style, padLeft(clip(safe(left.text), d.side), d.side)).in(faint, " │")
	return w.add(mid).say(strings.Repeat(" ", max(d.mid-mid.width(), 0))).in(faint, "│ ").in(right.style, clip(safe(right.text), d.side))
}

// put adds a row; by is the end that c is beside.
func (d *duet) put(at time.Time, by *talker, mine cell, mid words, other cell) {
	if by == d.left {
		d.to.row(at, "", d.row(mine, mid, other), "")
	} else {
		d.to.row(at, "", d.row(other, mid, mine), "")
	}
}

// arrow leads from one end to the other: ├── label ──→.
func (d *duet) arrow(from *talker, label string, s style) words {
	label = clip(label, d.mid-5)
	rest := d.mid - 1
	if label != "" {
		label = " " + label + " "
	}
	rest -= len([]rune(label))
	before := rest / 2
	line := strings.Repeat("─", before) + label + strings.Repeat("─", rest-before)
	if from == d.left {
		return in(s, line+"→")
	}
	return in(s, "←"+line)
}

// lost is an arrow that does not arrive.
func (d *duet) lost(from *talker, label string) words {
	half := max(d.mid*2/3-len(label)-4, 1)
	line := strings.Repeat("─", half) + " " + label + " ─"
	if from == d.left {
		return in(bad, line+"✗")
	}
	line = "✗" + line
	return in(bad, strings.Repeat(" ", max(d.mid-len([]rune(line)), 0))+line)
}

// dots says something of what came over the network before.
func (d *duet) dots(label string) words {
	label = clip(label, d.mid-2)
	before := (d.mid - len([]rune(label))) / 2
	return in(faint, strings.Repeat(" ", max(before, 0))+label)
}

// other is the end that c is not of; nil where it tells nothing.
func (d *duet) other(c *call) *talker {
	if c.by == d.left {
		return d.right
	}
	return d.left
}

// draw draws the first of the calls, with what of the next stands on the same line, and returns how many it drew.
func (d *duet) draw(calls []*call) int {
	c, next := calls[0], (*call)(nil)
	if len(calls) > 1 && calls[1].by != calls[0].by {
		next = calls[1]
	}
	switch e := c.is.(type) {
	case event.SocketCreate:
		text := "socket"
		if e.Number > 0 {
			text += fmt.Sprintf(" #%d", e.Number)
		}
		d.put(c.Time, c.by, cell{text: text}, nil, cell{})
	case event.SocketBind:
		d.put(c.Time, c.by, cell{text: "bind " + e.Local}, nil, cell{})
	case event.SocketConnect:
		return d.connect(c, e, next)
	case event.SocketAccept:
		d.put(c.Time, c.by, cell{text: acceptText(e)}, nil, cell{})
	case event.SocketSend:
		return d.send(c, e, next)
	case event.SocketRecv:
		d.recv(c, e)
	case event.SocketShutdown:
		return d.shutdown(c, e, next)
	case event.SocketError:
		d.fail(c, e)
	case event.SocketClose:
		return d.close(c, e, next)
	}
	return 1
}

func acceptText(e event.SocketAccept) string {
	text := "accept"
	if e.Number > 0 {
		text += fmt.Sprintf(" → socket #%d", e.Number)
	}
	if e.Listening > 0 {
		text += fmt.Sprintf(" (by #%d)", e.Listening)
	}
	return text
}

// connect draws the handshake (RFC 9293, section 3.5).
func (d *duet) connect(c *call, e event.SocketConnect, next *call) int {
	drawn, other := 1, cell{}
	if next != nil {
		if a, ok := next.is.(event.SocketAccept); ok {
			drawn, other = 2, cell{text: acceptText(a)}
		}
	}
	begun := c.Time.Add(-time.Duration(e.Duration * float64(time.Second)))
	switch {
	case c.by.datagrams:
		d.put(begun, c.by, cell{text: "connect"}, d.dots("nothing is sent"), cell{})
	case isPath(c.by.network):
		d.put(begun, c.by, cell{text: "connect"}, d.arrow(c.by, "", plain), other)
	default:
		d.put(begun, c.by, cell{text: "connect"}, d.arrow(c.by, "SYN", plain), cell{})
		d.put(time.Time{}, c.by, cell{}, d.arrow(d.other(c), "SYN, ACK", plain), cell{})
		d.put(c.Time, c.by, cell{text: "connected", style: good}, d.arrow(c.by, "ACK", plain), other)
		d.to.agreed(e)
	}
	return drawn
}

// agreed tells the options of a handshake (R3), where the recording has them.
func (t *teller) agreed(e event.SocketConnect) {
	var all []string
	if e.ISN > 0 && e.PeerISN > 0 {
		all = append(all, fmt.Sprintf("sequence numbers begin at %d and %d", e.ISN, e.PeerISN))
	}
	if e.MSS > 0 {
		all = append(all, fmt.Sprintf("segments of up to %d B", e.MSS))
	}
	if e.WindowScale > 0 || e.PeerWindowScale > 0 {
		all = append(all, fmt.Sprintf("windows × %d and × %d", 1<<min(e.WindowScale, 14), 1<<min(e.PeerWindowScale, 14)))
	}
	if e.SACK {
		all = append(all, "selective acknowledgements")
	}
	if e.Timestamps {
		all = append(all, "timestamps")
	}
	if len(all) > 0 {
		t.note("  ", in(faint, "agreed: "+strings.Join(all, ", ")))
	}
}

// send draws what was sent, with the first piece that arrives where that is the next thing that happens.
func (d *duet) send(c *call, e event.SocketSend, next *call) int {
	drawn, other := 1, cell{}
	if next != nil {
		r, ok := next.is.(event.SocketRecv)
		same := r.Offset == e.Offset && next.piece.sends <= 1
		if c.by.datagrams {
			same = next.piece.known && r.Data == e.Data // else it is one that was sent earlier
		}
		if ok && !r.End && same {
			drawn, other = 2, cell{text: dataText("recv", r.Bytes, r.Data, r.DataBase64, r.Truncated)}
		}
	}
	mine := cell{text: dataText("send", e.Bytes, e.Data, e.DataBase64, e.Truncated)}
	d.put(c.Time, c.by, mine, d.arrow(c.by, size(int64(e.Bytes)), plain), other)
	return drawn
}

// recv draws what arrived earlier, or is a further piece of it.
func (d *duet) recv(c *call, e event.SocketRecv) {
	mine := cell{text: dataText("recv", e.Bytes, e.Data, e.DataBase64, e.Truncated)}
	var mid words
	switch p := c.piece; {
	case e.End:
		mine = cell{text: "recv: no more comes", style: faint}
	case d.other(c) == nil || !d.other(c).tells || c.by.datagrams && !c.piece.known:
		from := d.left
		if c.by == d.left {
			from = d.right
		}
		mid = d.arrow(from, size(int64(e.Bytes)), plain)
	case c.by.datagrams:
	case p.known && p.sends > 1:
		mid = d.dots(fmt.Sprintf("of %d sends", p.sends))
	case p.known && int64(e.Bytes) != p.of:
		mid = d.dots(fmt.Sprintf("%d–%d of %d B", p.from+1, p.from+int64(e.Bytes), p.of))
	}
	d.put(c.Time, c.by, mine, mid, cell{})
}

// dataText is a call with its bytes, and the data where it was kept.
func dataText(what string, n int, data, base string, truncated int64) string {
	text := what + " " + size(int64(n))
	if base != "" {
		raw, err := base64.StdEncoding.DecodeString(base)
		if err != nil {
			return text
		}
		data = string(raw)
	}
	if data != "" {
		text += " " + strconv.QuoteToGraphic(data)
	}
	if truncated > 0 && data != "" {
		text += "…"
	}
	return text
}

func (d *duet) shutdown(c *call, e event.SocketShutdown, next *call) int {
	mine := cell{text: "shutdown " + e.How}
	if e.How != "write" {
		d.put(c.Time, c.by, mine, nil, cell{})
		return 1
	}
	return d.finish(c, mine, next)
}

// finish draws the end of one direction, with the other end's notice of it where that is the next thing that happens.
func (d *duet) finish(c *call, mine cell, next *call) int {
	d.fin[c.by] = true
	label := "FIN"
	if isPath(c.by.network) {
		label = "end"
	}
	drawn, other := 1, cell{}
	if next != nil {
		if r, ok := next.is.(event.SocketRecv); ok && r.End {
			drawn, other = 2, cell{text: "recv: no more comes", style: faint}
		}
	}
	d.put(c.Time, c.by, mine, d.arrow(c.by, label, plain), other)
	return drawn
}

// close draws what a close sends: the end of the stream, a reset, or nothing where that went before.
func (d *duet) close(c *call, e event.SocketClose, next *call) int {
	mine := cell{text: "close"}
	if e.Reason != "" && e.Reason != "ECONNRESET" && e.Reason != "EPIPE" {
		mine.text += ": " + briefly(e.Reason)
	}
	other := d.other(c)
	switch {
	case c.by.datagrams || c.by.failed || d.hasEnded(c, c.by) || wasReset(c.by):
		d.put(c.Time, c.by, mine, nil, cell{})
		return 1
	case other != nil && wasReset(other):
		if next != nil {
			if f, ok := next.is.(event.SocketError); ok && f.Errno == "ECONNRESET" {
				d.put(c.Time, c.by, mine, d.arrow(c.by, "RST", bad), cell{text: f.Op + ": " + f.Errno, style: bad})
				d.to.meaning("  ", f.Meaning)
				return 2
			}
		}
		d.put(c.Time, c.by, mine, d.arrow(c.by, "RST", bad), cell{})
		return 1
	}
	return d.finish(c, mine, next)
}

// hasEnded says whether the end had ended its direction before c, in this step or earlier.
func (d *duet) hasEnded(c *call, by *talker) bool {
	for _, e := range by.calls {
		if s, ok := e.is.(event.SocketShutdown); ok && s.How == "write" && !e.Time.After(c.Time) {
			return true
		}
	}
	return d.fin[by]
}

// wasReset says whether the other end broke the connection off.
func wasReset(t *talker) bool {
	for _, c := range t.calls {
		if e, ok := c.is.(event.SocketError); ok && e.Errno == "ECONNRESET" {
			return true
		}
	}
	return false
}

// fail draws a call that failed, with what came over the network to say so.
func (d *duet) fail(c *call, e event.SocketError) {
	text := cell{text: e.Op + ": " + cmp.Or(e.Errno, briefly(e.Error)), style: bad}
	if e.Op == "connect" && !isPath(c.by.network) && !c.by.datagrams {
		begun := c.Time.Add(-time.Duration(e.Duration * float64(time.Second)))
		syn := cell{text: "connect"}
		switch e.Errno {
		case "ECONNREFUSED":
			d.put(begun, c.by, syn, d.arrow(c.by, "SYN", plain), cell{text: "nothing listens here", style: faint})
			d.put(c.Time, c.by, text, d.arrow(d.other(c), "RST", bad), cell{})
		case "EHOSTUNREACH":
			d.put(begun, c.by, syn, d.lost(c.by, "SYN"), cell{})
			d.put(c.Time, c.by, text, nil, cell{})
		case "ETIMEDOUT":
			d.put(begun, c.by, syn, d.lost(c.by, "SYN"), cell{})
			d.put(c.Time, c.by, text, d.dots("no answer"), cell{})
		default:
			d.put(c.Time, c.by, text, nil, cell{})
		}
	} else {
		var mid words
		if c.by.datagrams && e.Errno == "ECONNREFUSED" && !isPath(c.by.network) {
			mid = d.arrow(d.other(c), "ICMP", bad)
		}
		d.put(c.Time, c.by, text, mid, cell{})
	}
	d.to.meaning("  ", e.Meaning)
}
