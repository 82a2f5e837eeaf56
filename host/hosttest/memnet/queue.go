package memnet

import (
	"net"
	"os"
	"sync"
	"time"
)

// monitor is a lock on what several goroutines change and wait for.
type monitor struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, with every change
}

func (m *monitor) init() { m.changed = make(chan struct{}) }

// tell wakes who waits; the lock is held.
func (m *monitor) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait gives the lock away until something changes or the deadline passes.
func (m *monitor) wait(by time.Time) {
	changed := m.changed
	m.mu.Unlock()
	defer m.mu.Lock()
	if by.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

// passed says that a deadline is over; there is none where it is zero.
func passed(by time.Time) bool { return !by.IsZero() && !time.Now().Before(by) }

// queue is what waits in a socket for its program.
type queue[T any] struct {
	monitor
	limit  int
	items  []T
	by     time.Time // the deadline of take
	closed bool
}

func newQueue[T any](limit int) *queue[T] {
	q := &queue[T]{limit: limit}
	q.init()
	return q
}

// put adds an item; it is false where there is no room.
func (q *queue[T]) put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.items) == q.limit {
		return false
	}
	q.items = append(q.items, item)
	q.tell()
	return true
}

// take waits for an item: the error is net.ErrClosed or os.ErrDeadlineExceeded.
func (q *queue[T]) take() (item T, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.closed:
			return item, net.ErrClosed
		case passed(q.by):
			return item, os.ErrDeadlineExceeded
		case len(q.items) > 0:
			item, q.items = q.items[0], q.items[1:]
			return item, nil
		}
		q.wait(q.by)
	}
}

func (q *queue[T]) setDeadline(by time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return net.ErrClosed
	}
	q.by = by
	q.tell()
	return nil
}

// close ends the queue and returns what nobody took.
func (q *queue[T]) close() ([]T, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, net.ErrClosed
	}
	q.closed = true
	q.tell()
	return q.items, nil
}

func (q *queue[T]) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
