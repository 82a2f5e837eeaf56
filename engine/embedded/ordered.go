package embedded

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"scenario/engine"
	"scenario/event"
)

// ordered is an output in virtual time. Goroutines that tell something at the same instant do so in any order; it puts
// what they told in order by node and trace. Within a trace it stands as it was told: roles take turns there.
type ordered struct {
	engine.Output

	mu   sync.Mutex
	held []event.Record // all of one instant
}

// Record implements [event.Sink].
func (o *ordered) Record(r event.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.held) > 0 && !o.held[0].Time.Equal(r.Time) {
		o.pass()
	}
	o.held = append(o.held, r)
}

// passed hands on what was told before now. What has been told now stays: a timer of a role may end with the very instant in
// which the network does something, and then they come about in any order.
func (o *ordered) passed(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.held) > 0 && o.held[0].Time.Before(now) {
		o.pass()
	}
}

// flush hands on what is held: the instant is over.
func (o *ordered) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pass()
}

// pass is flush with o.mu held.
func (o *ordered) pass() {
	slices.SortStableFunc(o.held, func(a, b event.Record) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Trace(), b.Trace()))
	})
	for _, r := range o.held {
		o.Output.Record(r)
	}
	o.held = o.held[:0]
}
