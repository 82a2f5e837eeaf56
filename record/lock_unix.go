//go:build unix

package record

import (
	"errors"
	"os"
	"syscall"
)

// lock locks the file until it is closed, or the process ends in whichever way. The error is ErrBusy where it is locked.
func lock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrBusy
	}
	return err
}
