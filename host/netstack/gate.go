package netstack

import (
	"net"
	"os"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// gate is where the calls in one direction of a socket wait: for each other, and then for the stack, for their deadline and
// for the end of the socket. All waiting is on channels, which time in a bubble goes on past.
type gate struct {
	deadline
	entry waiter.Entry
	turn  chan struct{} // has an element while a call is inside
	ready chan struct{} // has an element when the stack has told something
	ended <-chan struct{}
}

// watch has the gate wait for events of an endpoint.
func (g *gate) watch(queue *waiter.Queue, events waiter.EventMask, ended <-chan struct{}) {
	g.deadline.passed = make(chan struct{})
	g.turn = make(chan struct{}, 1)
	g.ready = make(chan struct{}, 1)
	g.ended = ended
	g.entry.Init(g, events|waiter.EventHUp|waiter.EventErr)
	queue.EventRegister(&g.entry)
}

// NotifyEvent implements [waiter.EventListener].
func (g *gate) NotifyEvent(waiter.EventMask) {
	select {
	case g.ready <- struct{}{}:
	default:
	}
}

// enter lets one call in, which leaves at its end. The error is net.ErrClosed or os.ErrDeadlineExceeded, and then the call is
// not inside.
func (g *gate) enter() error {
	select {
	case <-g.ended:
		return net.ErrClosed
	case g.turn <- struct{}{}:
	}
	err := g.check()
	if err != nil {
		g.leave()
	}
	return err
}

func (g *gate) leave() { <-g.turn }

// check says whether the call must end.
func (g *gate) check() error {
	select {
	case <-g.ended:
		return net.ErrClosed
	default:
	}
	select {
	case <-g.deadline.channel():
		return os.ErrDeadlineExceeded
	default:
	}
	return nil
}

// wait returns when the stack may have what the call inside could not get before.
func (g *gate) wait() error {
	select {
	case <-g.ready:
	case <-g.ended:
	case <-g.deadline.channel():
	}
	return g.check()
}

// deadline is a point in time that can be moved while somebody waits for it.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer   // nil: none is set
	passed chan struct{} // closed when it has passed
}

// set moves the deadline; the zero time is none.
func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.passed // its function runs
	}
	d.timer = nil
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if at.IsZero() {
		return
	}
	passed := d.passed
	if left := time.Until(at); left > 0 {
		d.timer = time.AfterFunc(left, func() { close(passed) })
		return
	}
	close(passed)
}

func (d *deadline) channel() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

// clear lets go of the timer.
func (d *deadline) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}
