package soft

import "time"

// goAlarm is a timer of Go.
type goAlarm struct{ timer *time.Timer }

func newGoAlarm() alarm {
	return goAlarm{time.NewTimer(time.Hour)}
}

func (a goAlarm) set(d time.Duration) { a.timer.Reset(max(d, 1)) }

func (a goAlarm) wait() { <-a.timer.C }

func (a goAlarm) close() { a.timer.Stop() }
