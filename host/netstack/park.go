package netstack

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// parking keeps a stack paused in a bubble of testing/synctest.
//
// Time in a bubble goes on when all of its goroutines wait for each other. The goroutines in which netstack processes TCP
// segments wait for work in a way that does not count as such. While the stack is paused they wait in a receive from an
// ordinary channel, which does. So the stack stays paused, and is resumed and paused again when it may have work: Pause
// returns when the queue of each of these goroutines is empty.
type parking struct {
	stack *stack.Stack
	work  chan struct{} // has an element when there may be work
	quit  chan struct{}
	done  chan struct{}
}

func park(s *stack.Stack) *parking {
	p := &parking{stack: s, work: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	s.Pause()
	go p.run()
	return p
}

func (p *parking) run() {
	defer close(p.done)
	for {
		select {
		case <-p.quit:
			p.stack.Resume()
			return
		case <-p.work:
			p.stack.Resume()
			p.stack.Pause()
		}
	}
}

func (p *parking) kick() {
	select {
	case p.work <- struct{}{}:
	default: // it will be resumed anyway, and finds this work too
	}
}

// end leaves the stack running.
func (p *parking) end() {
	close(p.quit)
	<-p.done
}

// clock is a tcpip.Clock all of whose timers can be ended.
type clock struct {
	tcpip.Clock
	after func() // is called after each timer's function; nil: nothing is

	mu      sync.Mutex
	timers  map[*timer]struct{} // that may still fire
	ended   bool
	running sync.WaitGroup // functions of timers
}

func newClock(c tcpip.Clock) *clock { return &clock{Clock: c, timers: make(map[*timer]struct{})} }

// timer is a tcpip.Timer that its clock knows of while it may fire.
type timer struct {
	clock *clock
	inner tcpip.Timer
	f     func()
}

// AfterFunc implements [tcpip.Clock]. After the end of the clock the function is never called.
func (c *clock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	t := &timer{clock: c, f: f}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.timers[t] = struct{}{}
		t.inner = c.Clock.AfterFunc(d, t.fire)
	}
	return t
}

func (t *timer) fire() {
	c := t.clock
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	delete(c.timers, t)
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	t.f()
	if c.after != nil {
		c.after()
	}
}

// Stop implements [tcpip.Timer].
func (t *timer) Stop() bool {
	c := t.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.timers, t)
	return t.inner != nil && t.inner.Stop()
}

// Reset implements [tcpip.Timer].
func (t *timer) Reset(d time.Duration) {
	c := t.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || t.inner == nil {
		return
	}
	c.timers[t] = struct{}{}
	t.inner.Reset(d)
}

// end stops all timers and waits for functions that run.
func (c *clock) end() {
	c.mu.Lock()
	c.ended = true
	for t := range c.timers {
		t.inner.Stop()
	}
	clear(c.timers)
	c.mu.Unlock()
	c.running.Wait()
}
