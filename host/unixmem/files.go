package unixmem

import (
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"
)

// file is a plain file, a folder or a socket. It is changed under the lock of its machine.
type file struct {
	mode     fs.FileMode
	system   bool // belongs to the system, not to the machine's user
	readOnly bool // a folder of a file system that cannot be written to
	modified time.Time
	entries  map[string]*file // of a folder
	socket   aborter          // nil: it is stale, or no socket
}

// access says whether the user may do to the file what the bits of a class say: 4 read, 2 write, 1 search.
func (f *file) access(bits fs.FileMode) bool {
	if f.system {
		return f.mode&bits == bits
	}
	return f.mode&(bits<<6) == bits<<6
}

// locate returns a path's folder and its name there; the root has neither.
func (m *Machine) locate(name string) (folder *file, last string, err error) {
	if name == "" {
		return nil, "", syscall.ENOENT
	}
	clean := path.Clean("/" + name)
	if clean == "/" {
		return nil, "", nil
	}
	parts := strings.Split(clean[1:], "/")
	folder = m.root
	for i, part := range parts {
		switch {
		case folder == nil:
			return nil, "", syscall.ENOENT
		case !folder.mode.IsDir():
			return nil, "", syscall.ENOTDIR
		case !folder.access(1):
			return nil, "", syscall.EACCES
		case i == len(parts)-1:
			return folder, part, nil
		}
		folder = folder.entries[part]
	}
	return nil, "", syscall.ENOENT // not reached: a path has a last part
}

// lookup returns the file at a path.
func (m *Machine) lookup(name string) (*file, error) {
	folder, last, err := m.locate(name)
	if err != nil {
		return nil, err
	}
	if folder == nil {
		return m.root, nil
	}
	f := folder.entries[last]
	switch {
	case f == nil:
		return nil, syscall.ENOENT
	case strings.HasSuffix(name, "/") && !f.mode.IsDir():
		return nil, syscall.ENOTDIR
	}
	return f, nil
}

// make makes a file where there is none.
func (m *Machine) make(name string, mode fs.FileMode) (*file, error) {
	folder, last, err := m.locate(name)
	switch {
	case err != nil:
		return nil, err
	case folder == nil || folder.entries[last] != nil:
		return nil, syscall.EEXIST
	case strings.HasSuffix(name, "/") && !mode.IsDir():
		return nil, syscall.ENOENT
	case folder.readOnly:
		return nil, syscall.EROFS
	case !folder.access(2):
		return nil, syscall.EACCES
	}
	f := &file{mode: mode, modified: time.Now()}
	if mode.IsDir() {
		f.entries = make(map[string]*file)
	}
	folder.entries[last] = f
	folder.modified = f.modified
	return f, nil
}

// remove removes a file, and where folders is true an empty folder as well.
func (m *Machine) remove(name string, folders bool) error {
	f, err := m.lookup(name)
	if err != nil {
		return err
	}
	folder, last, err := m.locate(name)
	switch {
	case err != nil:
		return err
	case folder == nil:
		return syscall.EBUSY
	case folder.readOnly:
		return syscall.EROFS
	case !folder.access(2):
		return syscall.EACCES
	case f.mode.IsDir() && !folders:
		return syscall.EISDIR
	case len(f.entries) > 0:
		return syscall.ENOTEMPTY
	}
	delete(folder.entries, last)
	folder.modified = time.Now()
	return nil
}

// modeBits are those of a file's mode that can be set.
const modeBits = fs.ModePerm | fs.ModeSticky | fs.ModeSetuid | fs.ModeSetgid

func (m *Machine) chmod(name string, mode fs.FileMode) error {
	f, err := m.lookup(name)
	switch {
	case err != nil:
		return err
	case f.readOnly:
		return syscall.EROFS
	case f.system:
		return syscall.EPERM
	}
	f.mode = f.mode&^modeBits | mode&modeBits
	return nil
}

// change carries out an operation on a path.
func (m *Machine) change(op, name string, f func() error) error {
	m.await("%s %s", op, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := f(); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// Lstat is that of host.FileSystem.
func (m *Machine) Lstat(name string) (fs.FileInfo, error) {
	var found info
	err := m.change("lstat", name, func() error {
		f, err := m.lookup(name)
		if err == nil {
			found = info{path.Base(path.Clean(name)), f.mode, f.modified}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Create is that of host.FileSystem.
func (m *Machine) Create(name string, mode fs.FileMode) error {
	return m.change("open", name, func() error {
		_, err := m.make(name, mode&modeBits)
		return err
	})
}

// Mkdir is that of host.FileSystem.
func (m *Machine) Mkdir(name string, mode fs.FileMode) error {
	return m.change("mkdir", name, func() error {
		_, err := m.make(name, fs.ModeDir|mode&modeBits)
		return err
	})
}

// Chmod is that of host.FileSystem.
func (m *Machine) Chmod(name string, mode fs.FileMode) error {
	return m.change("chmod", name, func() error { return m.chmod(name, mode) })
}

// Remove is that of host.FileSystem.
func (m *Machine) Remove(name string) error {
	return m.change("remove", name, func() error { return m.remove(name, true) })
}

// RemoveStale is that of host.FileSystem.
func (m *Machine) RemoveStale(name string) error {
	return m.change("remove", name, func() error {
		f, err := m.lookup(name)
		switch {
		case err != nil:
			return err
		case f.mode.Type() != fs.ModeSocket:
			return syscall.ENOTSOCK
		case !f.access(2):
			return syscall.EACCES
		case f.socket != nil:
			return syscall.EADDRINUSE
		}
		return m.remove(name, false)
	})
}

// info is a [fs.FileInfo].
type info struct {
	name     string
	mode     fs.FileMode
	modified time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return 0 }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.modified }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
