package kernel

import (
	"errors"
	"io/fs"
	"os"
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
