package live

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	suffix = ".sock"
	// maxName and maxPath keep a socket's path within what every system allows (sun_path: 104 bytes on macOS, 108 on
	// Linux, with the final zero).
	maxName = 24
	maxPath = 103
)

// Folder returns the folder of the user's sockets, made with mode 0700 where it is missing: $XDG_RUNTIME_DIR/scenario or,
// where that is not set, scenario-UID in the folder for temporary files. A folder that others may write to, or that is
// another user's, is an error.
func Folder() (string, error) {
	path := filepath.Join(os.TempDir(), "scenario-"+strconv.Itoa(os.Getuid()))
	if base := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(base) {
		path = filepath.Join(base, "scenario")
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("folder for the sockets of runs: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return "", fmt.Errorf("folder for the sockets of runs: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s: not a folder: remove it, runs keep their sockets there", path)
	}
	if err := private(info); err != nil {
		return "", fmt.Errorf("%s: %w: remove it or set XDG_RUNTIME_DIR", path, err)
	}
	return path, nil
}

// socketPath is where the owner of a run folder serves. Names may repeat, so the folder's hash is part of it.
func socketPath(dir, name, folder string) (string, error) {
	sum := sha256.Sum256([]byte(folder))
	path := filepath.Join(dir, shorten(name)+"-"+hex.EncodeToString(sum[:4])+suffix)
	if len(path) > maxPath {
		return "", fmt.Errorf("%s: longer than the %d bytes that a socket's path may have: set XDG_RUNTIME_DIR to a shorter path", path, maxPath)
	}
	return path, nil
}

func shorten(name string) string {
	return name[:min(len(name), maxName)]
}

// runName is the run's name, perhaps shortened, as the name of its socket tells it.
func runName(socket string) string {
	base := strings.TrimSuffix(filepath.Base(socket), suffix)
	if i := strings.LastIndexByte(base, '-'); i > 0 {
		return base[:i]
	}
	return base
}
