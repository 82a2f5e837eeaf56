package client

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"

	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// phaseFile is the phase of what is done to a file, as outcomes name it.
const phaseFile = "file"

// StatArgs are the arguments of the action stat.
type StatArgs struct {
	Path string `json:"path" jsonschema_description:"of the file" jsonschema:"required"`
}

// StatResult is what came of the action stat.
type StatResult struct {
	Path   string `json:"path"`
	Exists bool   `json:"exists"`
	Kind   string `json:"kind" jsonschema_description:"file, folder, socket (whether or not somebody listens on it) or other; empty where there is none"`
	Mode   string `json:"mode" jsonschema_description:"its permissions in octal, such as 0755"`
	sock.Outcome
}

// CreateArgs are the arguments of the action create.
type CreateArgs struct {
	Path string `json:"path" jsonschema_description:"where there is nothing yet" jsonschema:"required"`
	Kind string `json:"kind,omitempty" jsonschema_description:"what to make: an empty file or a folder" jsonschema:"enum=file,enum=folder,default=file"`
	Mode string `json:"mode,omitempty" jsonschema_description:"permissions in octal, in quotes; default: 0644 for a file, 0755 for a folder" jsonschema:"pattern=^[0-7]{3\\,4}$"`
}

// ChmodArgs are the arguments of the action chmod.
type ChmodArgs struct {
	Path string `json:"path" jsonschema_description:"of the file, folder or socket" jsonschema:"required"`
	Mode string `json:"mode" jsonschema_description:"permissions in octal, in quotes" jsonschema:"required,pattern=^[0-7]{3\\,4}$"`
}

// RemoveArgs are the arguments of the action remove.
type RemoveArgs struct {
	Path  string `json:"path" jsonschema_description:"of the file, socket or empty folder" jsonschema:"required"`
	Stale bool   `json:"stale,omitempty" jsonschema_description:"only a socket on which nobody listens any more; nothing else is removed, nor the socket of a server that runs"`
}

// FileResult is what came of the actions create, chmod and remove.
type FileResult struct {
	Path string `json:"path"`
	Done bool   `json:"done"`
	sock.Outcome
}

// fileActions are those on the files of the node, among which its Unix-domain sockets are.
func fileActions() []role.Action {
	return []role.Action{
		{Name: "stat", Doc: "Look at a file of the node: whether it is there, what it is, whom it permits what.", Args: StatArgs{}, Short: "path", Result: StatResult{}},
		{Name: "create", Doc: "Make an empty file or a folder.", Args: CreateArgs{}, Short: "path", Result: FileResult{}},
		{Name: "chmod", Doc: "Set the permissions of a file, folder or Unix-domain socket.", Args: ChmodArgs{}, Result: FileResult{}},
		{Name: "remove", Doc: "Remove a file, a socket or an empty folder; or only a socket that a server left behind.", Args: RemoveArgs{}, Short: "path", Result: FileResult{}},
	}
}

// filesOf are the files of the node.
func filesOf(h host.Host) (host.FileSystem, error) {
	files, ok := h.(host.FileSystem)
	if !ok {
		return nil, errors.New("this host has no files")
	}
	return files, nil
}

func stat(h host.Host, args StatArgs) (any, error) {
	files, err := filesOf(h)
	if err != nil {
		return nil, err
	}
	result := StatResult{Path: args.Path}
	info, err := files.Lstat(args.Path)
	result.Outcome = sock.OutcomeOf(phaseFile, err)
	if err != nil {
		return result, nil
	}
	result.Exists, result.Kind, result.Mode = true, kindOf(info.Mode()), fmt.Sprintf("%04o", info.Mode().Perm())
	return result, nil
}

// kindOf is what a file is, in a word.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode.IsRegular():
		return "file"
	}
	return "other"
}

func create(h host.Host, args CreateArgs) (any, error) {
	files, err := filesOf(h)
	if err != nil {
		return nil, err
	}
	build, mode := files.Create, fs.FileMode(0o644)
	switch args.Kind {
	case "", "file":
	case "folder":
		build, mode = files.Mkdir, 0o755
	default:
		return nil, fmt.Errorf("kind: %q is not file or folder", args.Kind)
	}
	if args.Mode != "" {
		if mode, err = parseMode(args.Mode); err != nil {
			return nil, err
		}
	}
	return fileResult(args.Path, build(args.Path, mode)), nil
}

func chmod(h host.Host, args ChmodArgs) (any, error) {
	files, err := filesOf(h)
	if err != nil {
		return nil, err
	}
	mode, err := parseMode(args.Mode)
	if err != nil {
		return nil, err
	}
	return fileResult(args.Path, files.Chmod(args.Path, mode)), nil
}

func remove(h host.Host, args RemoveArgs) (any, error) {
	files, err := filesOf(h)
	if err != nil {
		return nil, err
	}
	if !args.Stale {
		return fileResult(args.Path, files.Remove(args.Path)), nil
	}
	err = files.RemoveStale(args.Path)
	result := fileResult(args.Path, err)
	if errors.Is(err, syscall.EADDRINUSE) {
		result.Meaning = "a server that runs listens on this socket"
	}
	return result, nil
}

func fileResult(path string, err error) FileResult {
	return FileResult{Path: path, Done: err == nil, Outcome: sock.OutcomeOf(phaseFile, err)}
}

// parseMode reads permissions as chmod(1) takes them in octal.
func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("mode: %q is not octal, from 000 to 777", text)
	}
	return fs.FileMode(mode), nil
}
