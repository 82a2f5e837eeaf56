package soft

import (
	"sync"
	"time"
)

// timer is a timer of a [Clock]. An event that has been put off stays with the scheduler, and does nothing when its time
// comes: a TCP connection resets its timers with every segment, and most of them never go off.
type timer struct {
	clock *clock
	call  func()

	mu    sync.Mutex
	armed bool
	due   time.Time
	next  time.Time // when the scheduler looks; zero: it does not
}

// Stop keeps the timer from going off; it says whether it would have.
func (t *timer) Stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.armed
	t.armed = false
	return was
}

// Reset has the timer go off after d, and not before.
func (t *timer) Reset(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = true
	t.due = t.clock.scheduler.Now().Add(d)
	if t.next.IsZero() || t.due.Before(t.next) {
		t.look(t.due)
	}
}

// look has the scheduler look at the timer at a time. t.mu is held.
func (t *timer) look(at time.Time) {
	t.next = at
	t.clock.scheduler.At(at, func() { t.looked(at) })
}

// looked is called when the scheduler looks. A look that a nearer one took the place of comes to nothing.
func (t *timer) looked(at time.Time) {
	t.mu.Lock()
	if !t.next.Equal(at) {
		t.mu.Unlock()
		return
	}
	t.next = time.Time{}
	switch {
	case !t.armed:
		t.mu.Unlock()
		return
	case t.clock.scheduler.Now().Before(t.due):
		t.look(t.due)
		t.mu.Unlock()
		return
	}
	t.armed = false
	t.mu.Unlock()
	t.call()
}
