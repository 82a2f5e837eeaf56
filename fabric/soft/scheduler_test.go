package soft_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// numbered is a frame of one flow that can be told from others.
func numbered(n byte) soft.Frame {
	return soft.Frame{Head: buffer.NewViewWithData([]byte("flow")), Payload: buffer.MakeWithData([]byte{n})}
}

type closer interface {
	soft.Scheduler
	Close()
}

// inBoth runs a test with both schedulers, in a bubble, where real time passes at once as well.
func inBoth(t *testing.T, test func(t *testing.T, s closer)) {
	t.Run("virtual", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := soft.NewVirtualTime(nil)
			defer s.Close()
			test(t, s)
		})
	})
	t.Run("real", func(t *testing.T) {
		s := soft.NewRealTime()
		defer s.Close()
		test(t, s)
	})
}

func TestFramesArriveInOrder(t *testing.T) {
	inBoth(t, func(t *testing.T, s closer) {
		const n = 200
		random := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		var got []time.Duration
		var early []string
		done := make(chan struct{})
		start := s.Now().Add(100 * time.Millisecond) // when all are planned
		var want []time.Duration
		for i := range n {
			after := time.Duration(random.IntN(50)) * 100 * time.Microsecond
			want = append(want, after)
			s.Send(start.Add(after), numbered(byte(i)), soft.SinkFunc(func(f soft.Frame) {
				defer f.Release()
				mu.Lock()
				defer mu.Unlock()
				if at := s.Now().Sub(start); at < after-50*time.Microsecond {
					early = append(early, fmt.Sprintf("%v at %v", after, at))
				}
				if got = append(got, after); len(got) == n {
					close(done)
				}
			}))
		}
		<-done
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("order %v", got)
		}
		if len(early) > 0 {
			t.Errorf("early: %v", early)
		}
	})
}

func TestFramesOfOneTimeKeepTheirOrder(t *testing.T) {
	inBoth(t, func(t *testing.T, s closer) {
		var got []byte
		done := make(chan struct{})
		at := s.Now().Add(time.Millisecond)
		for i := range byte(100) {
			s.Send(at, numbered(i), soft.SinkFunc(func(f soft.Frame) {
				got = append(got, f.Payload.Flatten()...)
				f.Release()
				if len(got) == 100 {
					close(done)
				}
			}))
		}
		<-done
		if !slices.IsSorted(got) {
			t.Errorf("order %v", got)
		}
	})
}

func TestWhatIsPlannedWhenItClosesIsDropped(t *testing.T) {
	inBoth(t, func(t *testing.T, s closer) {
		s.At(s.Now().Add(time.Hour), func() { t.Error("called") })
		s.Send(s.Now().Add(time.Hour), numbered(1), soft.SinkFunc(func(soft.Frame) { t.Error("sent") }))
	})
}

// Whoever acts at one time does so in the order of keys, one after the other, in whatever order they come.
func TestTurns(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := soft.NewVirtualTime(nil)
			defer s.Close()
			var mu sync.Mutex
			var got []string
			var all sync.WaitGroup
			for _, key := range []string{"e", "b", "d", "a", "c"} {
				all.Go(func() {
					time.Sleep(time.Second)
					s.Turn(key)
					mu.Lock()
					got = append(got, key)
					mu.Unlock()
					s.Turn("z" + key)
					mu.Lock()
					got = append(got, "z"+key)
					mu.Unlock()
				})
			}
			all.Wait()
			want := []string{"a", "b", "c", "d", "e", "za", "zb", "zc", "zd", "ze"}
			if !slices.Equal(got, want) {
				t.Errorf("turns %v", got)
			}
		})
	}
}

func TestTurnAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := soft.NewVirtualTime(nil)
		s.Close()
		s.Turn("late")
	})
}

// A timer of a stack goes off once, when it was last told to.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := soft.NewVirtualTime(nil)
		defer s.Close()
		start := time.Now()
		fired := make(chan time.Duration, 10)
		timer := soft.Clock(s).AfterFunc(time.Second, func() { fired <- time.Since(start).Round(time.Microsecond) })
		timer.Reset(3 * time.Second)
		time.Sleep(2 * time.Second)
		timer.Reset(2 * time.Second)
		if at := <-fired; at != 4*time.Second {
			t.Errorf("fired after %v", at)
		}
		timer.Reset(2 * time.Second)
		timer.Reset(time.Second)
		if at := <-fired; at != 5*time.Second {
			t.Errorf("fired after %v", at)
		}
		if timer.Stop() {
			t.Error("a timer that went off says that it was stopped")
		}
		timer.Reset(time.Second)
		if !timer.Stop() {
			t.Error("a timer that waits says that it had gone off")
		}
		time.Sleep(time.Hour)
		if len(fired) > 0 {
			t.Error("a timer that was stopped went off")
		}
	})
}
