package soft

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Scheduler sends frames on, and calls functions, at their time. One serves a whole network.
type Scheduler interface {
	// Now is the present time.
	Now() time.Time
	// Send hands the frame to a sink at a time, or at once where that has passed. Frames for one time arrive in the order in
	// which they were sent.
	Send(at time.Time, f Frame, to Sink)
	// At calls a function at a time, or at once where that has passed, on the scheduler's own goroutine.
	At(at time.Time, call func())
	// Virtual says that time stands still while anything goes on: what is to repeat must then be an event of the
	// scheduler.
	Virtual() bool
}

// event is a frame or a call that waits for its time.
type event struct {
	at    int64  // nanoseconds since the scheduler's start
	key   string // orders turns that were asked for at one time, before the order of asking does
	flow  uint64 // and frames likewise
	seq   uint64
	frame Frame
	to    Sink
	call  func()
}

func (e *event) run() {
	if e.to != nil {
		e.to.Send(e.frame)
		return
	}
	e.call()
}

// agenda is a 4-ary heap of events: half as deep as a binary one, which pays since events are far apart in memory.
type agenda []event

func (e *event) before(other *event) bool {
	if e.at != other.at {
		return e.at < other.at
	}
	if e.key != other.key {
		return e.key < other.key
	}
	if e.flow != other.flow {
		return e.flow < other.flow
	}
	return e.seq < other.seq
}

func (a *agenda) push(e event) {
	*a = append(*a, e)
	heap := *a
	i := len(heap) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&heap[parent]) {
			break
		}
		heap[i] = heap[parent]
		i = parent
	}
	heap[i] = e
}

func (a *agenda) pop() event {
	heap := *a
	first, last := heap[0], heap[len(heap)-1]
	heap[len(heap)-1] = event{}
	heap = heap[:len(heap)-1]
	*a = heap
	if len(heap) == 0 {
		return first
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= len(heap) {
			break
		}
		for child := least + 1; child < min(4*i+5, len(heap)); child++ {
			if heap[child].before(&heap[least]) {
				least = child
			}
		}
		if !heap[least].before(&last) {
			break
		}
		heap[i] = heap[least]
		i = least
	}
	heap[i] = last
	return first
}

// release gives back the memory of the frames that never arrived.
func (a agenda) release() {
	for i := range a {
		if a[i].to != nil {
			a[i].frame.Release()
		}
	}
}

// Clock is the scheduler's time for a TCP/IP stack: its timers are events of the scheduler.
func Clock(s Scheduler) tcpip.Clock { return &clock{s, s.Now()} }

type clock struct {
	scheduler Scheduler
	start     time.Time
}

func (c *clock) Now() time.Time { return c.scheduler.Now() }

func (c *clock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(c.scheduler.Now().Sub(c.start))
}

func (c *clock) AfterFunc(d time.Duration, call func()) tcpip.Timer {
	t := &timer{clock: c, call: call}
	t.Reset(d)
	return t
}
