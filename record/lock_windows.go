package record

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lock locks the file until it is closed, or the process ends in whichever way. The error is ErrBusy where it is locked.
// The lock lies beyond the file's content, which can be read and written all the same.
func lock(file *os.File) error {
	beyond := windows.Overlapped{OffsetHigh: math.MaxInt32}
	err := windows.LockFileEx(windows.Handle(file.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &beyond)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrBusy
	}
	return err
}
