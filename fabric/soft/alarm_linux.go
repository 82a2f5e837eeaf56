package soft

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timerAlarm is a timer of the kernel, read through the runtime's poller: it goes off within some 30 µs, where timers of Go
// are late by half a millisecond while the program rests, since epoll waits in whole milliseconds.
type timerAlarm struct {
	fd   int
	file *os.File
}

// newAlarm returns the machine's best alarm.
func newAlarm() alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil { // out of descriptors
		return newGoAlarm()
	}
	return &timerAlarm{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
}

func (a *timerAlarm) set(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	// It fails for bad arguments only.
	_ = unix.TimerfdSettime(a.fd, 0, &spec, nil)
}

func (a *timerAlarm) wait() {
	var expirations [8]byte
	_, _ = a.file.Read(expirations[:]) // fails when the alarm is closed
}

func (a *timerAlarm) close() { _ = a.file.Close() }
