package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// listFile names the files that the run made. It is also what the run locks, and stays when all others go.
const listFile = ".lock"

// list is the run's own files by name, kept on disk so that a later run can tell them from anybody else's. A name is
// listed before its file is made: a run that is killed in between has listed a file too many, never one too few.
type list struct {
	root  *os.Root
	file  *os.File
	names map[string]bool
}

// openList locks the folder for this run, until close or the end of the process.
func openList(root *os.Root) (*list, error) {
	file, err := root.OpenFile(listFile, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &list{root: root, file: file, names: make(map[string]bool)}, nil
}

// load reads the names that the run listed before.
func (l *list) load() error {
	text, err := io.ReadAll(l.file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		name, whole := strings.CutSuffix(line, "\n") // a disk that is full may have cut the last line short
		if whole && validName(name) {
			l.names[name] = true
		}
	}
	return nil
}

// clear removes the listed files, and the folders that are empty then, and starts the list anew.
func (l *list) clear() error {
	if err := l.load(); err != nil {
		return err
	}
	folders := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(l.names)) {
		for _, name := range []string{name, temporary(name)} {
			if err := l.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("what the last run left: %w", err)
			}
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	// The longer path first: a folder is empty only when those in it are gone. What does not go holds others' files.
	for _, dir := range slices.Backward(slices.Sorted(maps.Keys(folders))) {
		_ = l.root.Remove(dir)
	}
	clear(l.names)
	return l.file.Truncate(0)
}

// add lists name before its file is made. The error wraps fs.ErrExist where somebody else's file has that name.
func (l *list) add(name string) error {
	if l.names[name] {
		return nil
	}
	for _, name := range []string{name, temporary(name)} {
		if _, err := l.root.Lstat(name); err == nil {
			return fmt.Errorf("%s is in the way: %w and is of no earlier run", name, fs.ErrExist)
		}
	}
	if _, err := l.file.WriteString(name + "\n"); err != nil {
		return err
	}
	l.names[name] = true
	return nil
}

// close gives up the lock.
func (l *list) close() error { return l.file.Close() }

// validName tells whether name is a file's below the folder, and one line.
func validName(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, "\n\x00")
}
