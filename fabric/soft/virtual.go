package soft

import (
	"sync"
	"time"
)

// VirtualTime is a [Scheduler] for a testing/synctest bubble. Each event has a nanosecond of its own, and time goes on only
// when everything in the bubble waits: so one event's consequences have all come about before the next one happens, and
// a run repeats whatever the machine's processors do at one time.
type VirtualTime struct {
	start time.Time
	beat  func()
	kick  chan struct{}
	quit  chan struct{}
	gone  chan struct{}

	mu   sync.Mutex
	list agenda
	seq  uint64
	last int64 // of the latest event
	over bool
}

var _ Scheduler = (*VirtualTime)(nil)

// NewVirtualTime returns the scheduler. It must be called in the bubble, and Close too. beat, which may be nil, is called
// before each event.
func NewVirtualTime(beat func()) *VirtualTime {
	if beat == nil {
		beat = func() {}
	}
	s := &VirtualTime{
		start: time.Now(), beat: beat, kick: make(chan struct{}, 1), quit: make(chan struct{}), gone: make(chan struct{}), last: -1,
	}
	go s.run()
	return s
}

// Close ends the scheduler; what still waits for its time is dropped, and who waits for a turn has it.
func (s *VirtualTime) Close() {
	s.mu.Lock()
	waiting := s.list
	s.list, s.over = nil, true
	s.mu.Unlock()
	close(s.quit)
	<-s.gone
	waiting.release()
}

// Now implements [Scheduler].
func (s *VirtualTime) Now() time.Time { return time.Now() }

// Virtual implements [Scheduler].
func (s *VirtualTime) Virtual() bool { return true }

// Send implements [Scheduler]. Frames of one time that belong to different flows arrive in an order that depends on the
// flows alone: who sends at the same instant does so in any order. Those of one flow keep theirs.
func (s *VirtualTime) Send(at time.Time, f Frame, to Sink) {
	if !s.push(event{at: int64(at.Sub(s.start)), flow: f.flow(), frame: f, to: to}) {
		f.Release()
	}
}

// At implements [Scheduler].
func (s *VirtualTime) At(at time.Time, call func()) {
	s.push(event{at: int64(at.Sub(s.start)), call: call})
}

// Turn waits for the caller's turn. Those who ask at the same time have their turns in the order of their keys, whoever
// asked first, and one's turn lasts until everything waits again.
func (s *VirtualTime) Turn(key string) {
	turn := make(chan struct{})
	if !s.push(event{key: key, call: func() { close(turn) }}) {
		return
	}
	select {
	case <-turn:
	case <-s.quit:
	}
}

// push plans an event, after the present instant: everybody who acts now does so before it.
func (s *VirtualTime) push(e event) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	s.seq++
	e.seq = s.seq
	e.at = max(e.at, int64(time.Since(s.start))+1)
	s.list.push(e)
	first := s.list[0].seq == e.seq
	s.mu.Unlock()
	if first {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	return true
}

func (s *VirtualTime) run() {
	defer close(s.gone)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		e, due, wait := s.next()
		if due {
			s.beat()
			e.run()
			continue
		}
		// With nothing planned there is no timer either, so that a bubble in which nothing will ever happen is found out.
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-s.quit:
			return
		case <-s.kick:
		case <-timer.C:
		}
	}
}

// next returns the event whose time has come, or how long to wait for one; 0: there is none.
func (s *VirtualTime) next() (e event, due bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return event{}, false, 0
	}
	now, at := int64(time.Since(s.start)), max(s.list[0].at, s.last+1)
	if at > now {
		return event{}, false, time.Duration(at - now)
	}
	s.last = now
	return s.list.pop(), true, 0
}
