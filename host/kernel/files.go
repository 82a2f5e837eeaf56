package kernel

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// Lstat implements [host.FileSystem].
func (h *Host) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// Create implements [host.FileSystem].
func (h *Host) Create(path string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Close()) // by chmod: the process's umask would take bits away
}

// Mkdir implements [host.FileSystem].
func (h *Host) Mkdir(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// Chmod implements [host.FileSystem].
func (h *Host) Chmod(path string, mode fs.FileMode) error { return os.Chmod(path, mode) }

// Remove implements [host.FileSystem].
func (h *Host) Remove(path string) error { return os.Remove(path) }

// RemoveStale implements [host.FileSystem].
func (h *Host) RemoveStale(path string) error {
	unlock, err := lockFolder(path)
	if err == nil {
		defer unlock()
		err = stale(path)
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return os.Remove(path)
}

// lockPath keeps RemoveStale from a path while a socket is bound to it: between the two halves of bind(2) it looks stale.
// Where the folder cannot be locked, bind(2) says why.
func lockPath(network, path string) (unlock func()) {
	if strings.HasPrefix(network, "unix") && !strings.HasPrefix(path, "@") {
		if unlock, err := lockFolder(path); err == nil {
			return unlock
		}
	}
	return func() {}
}

// stale says why the file is not a socket on which nobody listens.
func stale(path string) error {
	found, err := os.Lstat(path)
	if err != nil {
		return cause(err)
	}
	if found.Mode().Type() != fs.ModeSocket {
		return syscall.ENOTSOCK
	}
	// A stream socket refuses a datagram socket by another error than a stale file does, and its program does not notice.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	switch {
	case err == nil:
		return errors.Join(syscall.EADDRINUSE, c.Close())
	case errors.Is(err, syscall.EPROTOTYPE):
		return syscall.EADDRINUSE
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return cause(err)
}

// cause is the system's own error in one that already names the path.
func cause(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
