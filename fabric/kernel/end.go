//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// deathWait bounds the wait for one killed process; the kernel needs microseconds unless the process is in a system
// call that cannot be interrupted.
const deathWait = 2 * time.Second

// EndAll kills every process that is in one of the namespaces and returns when they are gone. It looks again until it
// finds none, because a process may fork while it is looked for.
func EndAll(namespaces []*os.File) error {
	ids := make(map[uint64]bool)
	for _, ns := range namespaces {
		var stat unix.Stat_t
		if err := unix.Fstat(int(ns.Fd()), &stat); err != nil {
			return fmt.Errorf("namespace %s: %w", ns.Name(), err)
		}
		ids[stat.Ino] = true
	}
	for {
		killed, err := endOnce(ids)
		if err != nil || killed == 0 {
			return err
		}
	}
}

// endOnce kills what it finds in one walk through /proc and returns how many processes it killed.
func endOnce(ids map[uint64]bool) (killed int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// The handle is opened before the look at the namespace, so a number that is used again meanwhile is harmless.
		handle, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		id, err := namespaceID(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil && ids[id] {
			err = end(handle)
			if err == nil {
				killed++
			}
		} else {
			err = nil
		}
		unix.Close(handle)
		if err != nil {
			return killed, fmt.Errorf("end process %d: %w", pid, err)
		}
	}
	return killed, nil
}

func end(handle int) error {
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	deadline := time.Now().Add(deathWait)
	for {
		poll := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, int(time.Until(deadline).Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return errors.New("it does not die")
		}
		return nil
	}
}
