//go:build unix

package live

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// private returns an error unless the folder is the user's own and closed to others.
func private(info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Getuid() {
		return errors.New("belongs to another user")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return errors.New("open to other users")
	}
	return nil
}
