package client

import (
	"fmt"
	"strings"
	"testing"
)

// R25: a socket that a server left behind is removed, that of a server that runs and what is no socket never.
func TestStaleSocket(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const path = "/run/a.sock"
		do[FileResult](w, "create", `{"path": "/run/file"}`)
		do[ListenResult](w, "listen", `{"at": "/run/a.sock"}`)
		stale := fmt.Sprintf(`{"path": %q, "stale": true}`, path)
		if r := do[FileResult](w, "remove", stale); r.Done || r.Errno != "EADDRINUSE" || !strings.Contains(r.Meaning, "a server that runs") {
			t.Errorf("of a server that runs: %+v", r)
		}
		if r := do[FileResult](w, "remove", `{"path": "/run/file", "stale": true}`); r.Done || r.Errno != "ENOTSOCK" {
			t.Errorf("of a file: %+v", r)
		}
		do[CloseResult](w, "close", `{"socket": "listener", "leave": true}`)
		if r := do[StatResult](w, "stat", `{"path": "/run/a.sock"}`); !r.Exists || r.Kind != "socket" || r.Mode != "0755" {
			t.Errorf("what is left: %+v", r)
		}
		if r := do[OpenResult](w, "open", `{"to": "/run/a.sock"}`); r.Errno != "ECONNREFUSED" {
			t.Errorf("open of what is left: %+v", r)
		}
		if r := do[FileResult](w, "remove", stale); !r.Done || r.Error != "" {
			t.Errorf("of what is left: %+v", r)
		}
		if r := do[FileResult](w, "remove", stale); r.Done || r.Errno != "ENOENT" {
			t.Errorf("of nothing: %+v", r)
		}
		do[ListenResult](w, "listen", `{"at": "/run/a.sock"}`)
		do[CloseResult](w, "close", `{"socket": "listener"}`)
		if r := do[StatResult](w, "stat", `{"path": "/run/a.sock"}`); r.Exists || r.Kind != "" || r.Errno != "ENOENT" {
			t.Errorf("after a close in good order: %+v", r)
		}
	})
}

// R25: what makes a path unusable is told apart.
func TestPaths(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		do[FileResult](w, "create", `{"path": "/run/file", "mode": "0600"}`)
		do[FileResult](w, "create", `{"path": "/run/locked", "kind": "folder"}`)
		do[ListenResult](w, "listen", `{"at": "/run/locked/a.sock"}`)
		do[FileResult](w, "chmod", `{"path": "/run/locked/a.sock", "mode": "000"}`)
		opens := func(path, want string) {
			t.Helper()
			if r := do[OpenResult](w, "open", fmt.Sprintf(`{"to": %q}`, path)); r.Errno != want || r.Meaning == "" {
				t.Errorf("open %s: %+v, want %s", path, r, want)
			}
		}
		opens("/run/nothing.sock", "ENOENT")
		opens("/run/file", "ECONNREFUSED")
		opens("/run/file/a.sock", "ENOTDIR")
		opens("/run/locked/a.sock", "EACCES")
		do[FileResult](w, "chmod", `{"path": "/run/locked", "mode": "0000"}`)
		opens("/run/locked/b.sock", "EACCES")
		if r := do[StatResult](w, "stat", `{"path": "/run/file"}`); r.Kind != "file" || r.Mode != "0600" {
			t.Errorf("a file: %+v", r)
		}
		if r := do[StatResult](w, "stat", `{"path": "/run/locked"}`); r.Kind != "folder" || r.Mode != "0000" {
			t.Errorf("a folder: %+v", r)
		}
		if r := do[FileResult](w, "create", `{"path": "/run/file"}`); r.Done || r.Errno != "EEXIST" || r.Phase != "file" {
			t.Errorf("made twice: %+v", r)
		}
		if r := do[FileResult](w, "remove", `{"path": "/run/file"}`); !r.Done {
			t.Errorf("removed: %+v", r)
		}
	})
}

// What cannot be done at all is an error that says what would be right.
func TestFileMistakes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.pair()
		for _, test := range []struct{ action, args, want string }{
			{"create", `{"path": "/run/a", "kind": "socket"}`, `kind: "socket" is not file or folder`},
			{"create", `{"path": "/run/a", "mode": "0888"}`, `mode: "0888" is not octal`},
			{"chmod", `{"path": "/run/a", "mode": "4755"}`, `mode: "4755" is not octal, from 000 to 777`},
			{"chmod", `{"path": "/run/a"}`, `mode: ""`},
			{"close", `{"socket": "a", "leave": true}`, `leave: socket "a" is none that listens on a path`},
			{"close", `{"socket": "listener", "leave": true}`, `leave: socket "listener" is none that listens on a path`},
			{"stat", `{"file": "/run/a"}`, `unknown field "file"`},
		} {
			if got := w.fails(test.action, test.args); !strings.Contains(got, test.want) {
				t.Errorf("%s %s: %s, want %s", test.action, test.args, got, test.want)
			}
		}
	})
}
