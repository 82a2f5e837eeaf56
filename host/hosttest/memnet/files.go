package memnet

import "io/fs"

// Lstat implements [host.FileSystem].
func (h *Host) Lstat(path string) (fs.FileInfo, error) { return h.files.Lstat(path) }

// Create implements [host.FileSystem].
func (h *Host) Create(path string, mode fs.FileMode) error { return h.files.Create(path, mode) }

// Mkdir implements [host.FileSystem].
func (h *Host) Mkdir(path string, mode fs.FileMode) error { return h.files.Mkdir(path, mode) }

// Chmod implements [host.FileSystem].
func (h *Host) Chmod(path string, mode fs.FileMode) error { return h.files.Chmod(path, mode) }

// Remove implements [host.FileSystem].
func (h *Host) Remove(path string) error { return h.files.Remove(path) }

// RemoveStale implements [host.FileSystem].
func (h *Host) RemoveStale(path string) error { return h.files.RemoveStale(path) }
