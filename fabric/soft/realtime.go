package soft

import (
	"sync"
	"time"
)

// RealTime is a [Scheduler] on the machine's clock. It starts to work with the first event that has to wait.
type RealTime struct {
	start time.Time

	mu    sync.Mutex
	list  agenda
	seq   uint64
	alarm alarm // nil until the first event
	armed int64 // what the alarm is set to
	over  bool
	gone  chan struct{}
}

// alarm is what wakes the scheduler.
type alarm interface {
	// set has wait return after d, or soon where d is not positive. It may be called while another goroutine waits.
	set(d time.Duration)
	wait()
	close()
}

// never is an alarm that is not set.
const never = int64(1<<63 - 1)

var _ Scheduler = (*RealTime)(nil)

// NewRealTime returns the scheduler.
func NewRealTime() *RealTime {
	return &RealTime{start: time.Now(), armed: never, gone: make(chan struct{})}
}

// Close ends the scheduler; what still waits for its time is dropped.
func (s *RealTime) Close() {
	s.mu.Lock()
	waiting, working := s.list, s.alarm != nil
	s.list, s.over = nil, true
	if working {
		s.alarm.set(0)
	}
	s.mu.Unlock()
	if working {
		<-s.gone
	}
	waiting.release()
}

// Now implements [Scheduler].
func (s *RealTime) Now() time.Time { return time.Now() }

// Virtual implements [Scheduler].
func (s *RealTime) Virtual() bool { return false }

// Send implements [Scheduler].
func (s *RealTime) Send(at time.Time, f Frame, to Sink) {
	if !s.push(event{at: int64(at.Sub(s.start)), frame: f, to: to}) {
		f.Release()
	}
}

// At implements [Scheduler].
func (s *RealTime) At(at time.Time, call func()) {
	s.push(event{at: int64(at.Sub(s.start)), call: call})
}

func (s *RealTime) push(e event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.seq++
	e.seq = s.seq
	s.list.push(e)
	if s.alarm == nil {
		s.alarm = newAlarm()
		go s.run(s.alarm)
	}
	if e.at < s.armed {
		s.arm(e.at)
	}
	return true
}

// arm sets the alarm. s.mu is held.
func (s *RealTime) arm(at int64) {
	s.armed = at
	s.alarm.set(time.Duration(at) - time.Since(s.start))
}

func (s *RealTime) run(alarm alarm) {
	defer close(s.gone)
	defer alarm.close()
	var due []event
	for {
		var over bool
		due, over = s.due(due[:0])
		if over {
			return
		}
		for i := range due {
			due[i].run()
			due[i] = event{}
		}
		if len(due) == 0 {
			alarm.wait()
		}
	}
}

// quantum is how far in the future an event may be to count as due: frames that are this close leave together, which
// saves a wake-up each.
const quantum = 20 * time.Microsecond

// due takes the events whose time has come; where there are none it sets the alarm for the next.
func (s *RealTime) due(due []event) (_ []event, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := int64(time.Since(s.start) + quantum)
	for len(s.list) > 0 && s.list[0].at <= now {
		due = append(due, s.list.pop())
	}
	switch {
	case s.over:
	case len(due) > 0:
		s.armed = 0 // it looks again before it waits
	case len(s.list) > 0:
		s.arm(s.list[0].at)
	default:
		s.armed = never
	}
	return due, s.over
}
