package topology

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"scenario/fabric/link"
)

// links works out what the links of all ports do. Where the file says something several times, the more special one holds:
// the network's link, its up or down, the attachment's link, its up or down, key by key.
func (c *compiler) links() {
	need := &needs{}
	for _, n := range c.networks {
		for _, p := range n.ports {
			p.up = c.way(need, wayUp, n.Value.Link, p.spec.Value.Link)
			p.down = c.way(need, wayDown, n.Value.Link, p.spec.Value.Link)
		}
		if len(n.ports) == 0 { // its mistakes are mistakes all the same
			c.way(need, wayUp, n.Value.Link)
			c.way(need, wayDown, n.Value.Link)
		}
	}
	need.note(c.errs)
}

// captured says whether the frames of the port's link are kept.
func (p *port) captured() bool {
	for _, said := range []*bool{p.spec.Value.Capture, p.network.Value.Capture} {
		if said != nil {
			return *said
		}
	}
	return false
}

// way lays what is written for one way over each other, the last on top; nil where nothing is done to packets.
func (c *compiler) way(need *needs, name string, written ...*LinkSpec) *Link {
	var w WaySpec
	for _, spec := range written {
		if spec == nil {
			continue
		}
		special := &spec.Up
		if name == wayDown {
			special = &spec.Down
		}
		for _, layer := range []*WaySpec{&spec.Both, special} {
			if layer.Loss.given() && layer.Burst != nil {
				c.errs.add(layer.Burst.At, "loss and burst exclude each other", "keep one: burst has 1-k for loss outside bursts")
			}
			w.overlay(layer)
		}
	}
	need.check(&w)
	return w.plan()
}

// overlay sets what the layer gives. Loss and burst are two ways to say one thing.
func (w *WaySpec) overlay(layer *WaySpec) {
	set(&w.Delay, layer.Delay)
	set(&w.Jitter, layer.Jitter)
	set(&w.Distribution, layer.Distribution)
	set(&w.Duplicate, layer.Duplicate)
	set(&w.Reorder, layer.Reorder)
	set(&w.Corrupt, layer.Corrupt)
	set(&w.Rate, layer.Rate)
	set(&w.Queue, layer.Queue)
	if layer.Loss.given() || layer.Burst != nil {
		w.Loss, w.Burst = layer.Loss, layer.Burst
	}
}

func set[T interface{ given() bool }](target *T, v T) {
	if v.given() {
		*target = v
	}
}

// plan makes the plan's form; nil where nothing is done to packets.
func (w *WaySpec) plan() *Link {
	l := &Link{
		Delay: Duration(w.Delay.Duration), Jitter: Duration(w.Jitter.Duration), Loss: w.Loss.Value,
		Duplicate: w.Duplicate.Value, Reorder: w.Reorder.Value, Corrupt: w.Corrupt.Value, Rate: w.Rate.BitsPerSecond,
	}
	if l.Jitter > 0 {
		l.Distribution = link.Uniform
		if w.Distribution.given() {
			l.Distribution = link.Distribution(w.Distribution.Value)
		}
	}
	if l.Delay == 0 && l.Jitter == 0 {
		l.Reorder = 0 // there is no delay to skip
	}
	if b := w.Burst; b != nil {
		l.Burst = &Burst{P: b.P.Value, R: b.R.Value, Bad: 1, Good: b.Good.Value}
		if b.Bad.given() {
			l.Burst.Bad = b.Bad.Value
		}
	}
	if l.Rate > 0 {
		l.Queue = &Queue{Packets: w.Queue.Packets, Bytes: w.Queue.Bytes}
		if *l.Queue == (Queue{}) {
			l.Queue.Packets = link.DefaultQueue
		}
	}
	if *l == (Link{}) {
		return nil
	}
	return l
}

// needs are keys that do nothing without another key. One that is for several links is right if it does something on one.
type needs struct {
	order []Position
	at    map[Position]*neededBy
}

type neededBy struct {
	met             bool
	message, advice string
}

func (n *needs) check(w *WaySpec) {
	delayed := w.Delay.given() || w.Jitter.given() // if only to say that there is none here
	n.add(w.Distribution.At, w.Jitter.given(), "distribution says how jitter strays, and there is none", "add jitter: 2ms")
	n.add(w.Reorder.At, delayed || w.Reorder.Value == 0, "packets that are reordered skip the delay, and there is none", "add delay: 10ms")
	n.add(w.Queue.At, w.Rate.given(), "packets wait in a queue for their turn at a rate, and there is none", "add rate: 20mbit")
}

func (n *needs) add(at Position, met bool, message, advice string) {
	if at == (Position{}) {
		return
	}
	if n.at == nil {
		n.at = make(map[Position]*neededBy)
	}
	if n.at[at] == nil {
		n.at[at] = &neededBy{message: message, advice: advice}
		n.order = append(n.order, at)
	}
	n.at[at].met = n.at[at].met || met
}

func (n *needs) note(errs *mistakes) {
	for _, at := range n.order {
		if key := n.at[at]; !key.met {
			errs.add(at, key.message, key.advice)
		}
	}
}

// Settings returns what the link does in the terms of fabric/link; nil does nothing.
func (l *Link) Settings() link.Settings {
	if l == nil {
		return link.Settings{}
	}
	s := link.Settings{
		Delay: time.Duration(l.Delay), Jitter: time.Duration(l.Jitter), Distribution: l.Distribution,
		Loss: l.Loss, Duplicate: l.Duplicate, Reorder: l.Reorder, Corrupt: l.Corrupt, Rate: l.Rate,
	}
	if b := l.Burst; b != nil {
		s.Burst = link.Burst{Enter: b.P, Leave: b.R, Bad: b.Bad, Good: b.Good}
	}
	if l.Queue != nil {
		s.Queue = link.Queue{Packets: l.Queue.Packets, Bytes: l.Queue.Bytes}
	}
	return s
}

// LinkSeeds returns what the randomness of an interface's link starts from, each way.
func (n *Node) LinkSeeds(name string) (up, down uint64) {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, n.Seed), "link "+name...))
	return binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])
}

// String writes the link as a file has it, in one line.
func (l *Link) String() string {
	var parts []string
	add := func(when bool, format string, args ...any) {
		if when {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(l.Delay > 0, "delay %s", time.Duration(l.Delay))
	add(l.Jitter > 0, "jitter %s %s", time.Duration(l.Jitter), l.Distribution)
	add(l.Loss > 0, "loss %s", percent(l.Loss))
	if b := l.Burst; b != nil {
		add(true, "burst p %s r %s 1-h %s 1-k %s", percent(b.P), percent(b.R), percent(b.Bad), percent(b.Good))
	}
	add(l.Duplicate > 0, "duplicate %s", percent(l.Duplicate))
	add(l.Reorder > 0, "reorder %s", percent(l.Reorder))
	add(l.Corrupt > 0, "corrupt %s", percent(l.Corrupt))
	add(l.Rate > 0, "rate %s", rateText(l.Rate))
	if q := l.Queue; q != nil {
		add(q.Packets > 0, "queue %d packets", q.Packets)
		add(q.Bytes > 0, "queue %d bytes", q.Bytes)
	}
	return strings.Join(parts, ", ")
}

func percent(p float64) string { return fmt.Sprintf("%.10g%%", p*100) }

// rateText writes a rate in the largest unit in which it is whole.
func rateText(bits int64) string {
	units := []string{"bit", "kbit", "mbit", "gbit", "tbit"}
	i := 0
	for ; i < len(units)-1 && bits%1000 == 0; i++ {
		bits /= 1000
	}
	return fmt.Sprintf("%d%s", bits, units[i])
}
