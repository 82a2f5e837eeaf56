package unixmem

import (
	"sync"
	"time"
)

// monitor is a lock on what several goroutines change and wait for.
type monitor struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change; nil: nobody waits for one
}

// tell wakes who waits; the lock is held.
func (m *monitor) tell() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// next is closed at the next change; the lock is held.
func (m *monitor) next() <-chan struct{} {
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return m.changed
}

// await waits for a change, or until a deadline passes; the zero time is none. The lock is not held.
func await(change <-chan struct{}, by time.Time) { awaitEither(change, nil, by) }

// awaitEither waits for one of two changes likewise.
func awaitEither(change, other <-chan struct{}, by time.Time) {
	var late <-chan time.Time
	if !by.IsZero() {
		timer := time.NewTimer(time.Until(by))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-change:
	case <-other:
	case <-late:
	}
}

// passed says that a deadline is over.
func passed(by time.Time) bool { return !by.IsZero() && !time.Now().Before(by) }
