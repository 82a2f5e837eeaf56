//go:build !linux

package soft

// newAlarm returns the machine's best alarm.
func newAlarm() alarm { return newGoAlarm() }
