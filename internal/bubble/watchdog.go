package bubble

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"time"
)

// Stuck is the error of a bubble whose time can go on no more.
type Stuck struct {
	Why    string
	Stacks string // of the goroutines that keep it from going on
}

func (s *Stuck) Error() string {
	return fmt.Sprintf("virtual time has stopped: %s:\n\n%s", s.Why, s.Stacks)
}

const (
	round  = 500 * time.Millisecond // between two looks, in real time
	rounds = 6                      // without progress, until time counts as stopped
)

// watchdog finds out when a bubble's time has stopped: something in it waits for what is not in the bubble, so that the
// bubble neither rests nor goes on.
type watchdog struct {
	beats atomic.Int64
	heard func()
}

func newWatchdog(heard func()) *watchdog { return &watchdog{heard: heard} }

// beat is called in the bubble as it goes on.
func (w *watchdog) beat() {
	w.beats.Add(1)
	if w.heard != nil {
		w.heard()
	}
}

// watch waits for the bubble's end and returns its error, or a [*Stuck].
func (w *watchdog) watch(ended <-chan error) error {
	ticker := time.NewTicker(round)
	defer ticker.Stop()
	last, idle := int64(-1), 0
	for {
		select {
		case err := <-ended:
			return err
		case <-ticker.C:
		}
		beats := w.beats.Load()
		if beats != last || busy() {
			last, idle = beats, 0
			continue
		}
		if idle++; idle < rounds {
			continue
		}
		if held := stacks(holdsTheClock); held != "" {
			return &Stuck{
				Why:    "a goroutine waits for something outside of it, such as a lock, a socket or a channel from before",
				Stacks: held,
			}
		}
		idle = 0
	}
}

// busy says whether any goroutine runs or could run, this one apart.
func busy() bool {
	samples := []metrics.Sample{{Name: "/sched/goroutines/running:goroutines"}, {Name: "/sched/goroutines/runnable:goroutines"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() > 1 || samples[1].Value.Uint64() > 0
}

// stacks returns the stacks of the goroutines whose first line a filter lets pass.
func stacks(filter func(header string) bool) string {
	buffer := make([]byte, 1<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	var found []string
	for _, stack := range strings.Split(strings.TrimSpace(string(buffer)), "\n\n") {
		header, _, _ := strings.Cut(stack, "\n")
		if filter(header) {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}

// inBubble is a filter for goroutines of bubbles.
func inBubble(header string) bool { return strings.Contains(header, "synctest bubble") }

// holdsTheClock is a filter for goroutines of bubbles that wait for what is not in their bubble.
func holdsTheClock(header string) bool {
	waits := regexp.MustCompile(`\[(running|runnable|synctest\.)`)
	return inBubble(header) && !strings.Contains(header, "(durable)") && !waits.MatchString(header)
}

// isDeadlock says whether an error is a bubble's word that nothing will ever happen in it again.
func isDeadlock(err error) bool { return strings.HasPrefix(err.Error(), "deadlock: ") }
