package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/host"
	"scenario/host/hosttest/memnet"
	"scenario/nodes/role"
)

// scripted is a role that becomes ready, and fails, at set times; zero: at once, and never.
type scripted struct{ ready, fails time.Duration }

var errScripted = errors.New("out of luck")

func (s scripted) Serve(ctx context.Context, _ host.Host, ready func()) error {
	time.AfterFunc(s.ready, ready)
	if s.fails == 0 {
		<-ctx.Done()
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(s.fails):
		return errScripted
	}
}

func (s scripted) Do(_ context.Context, _ host.Host, action string, args json.RawMessage) (any, error) {
	if action != "repeat" {
		return nil, errScripted
	}
	return args, nil
}

func scriptedKind(name string, s role.Role) role.Kind {
	return role.Kind{Name: name, New: func(json.RawMessage) (role.Role, error) { return s, nil }}
}

// play makes a node of the kinds, all of them, and tells what it logs.
func play(t *testing.T, kinds ...role.Kind) (node *Node, log *slog.Logger, words func() []string) {
	t.Helper()
	h := memnet.New().Host("n", "10.0.0.1")
	var parts []Part
	for _, kind := range kinds {
		parts = append(parts, Part{Role: kind.Name})
	}
	node, err := New(kinds, parts, func(string) host.Host { return h })
	if err != nil {
		t.Fatal(err)
	}
	return node, h.Log(), func() (told []string) {
		for _, r := range h.Records() {
			told = append(told, r.Event)
		}
		return told
	}
}

func TestNodeIsReadyWhenAllItsRolesAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, log, words := play(t, scriptedKind("a", scripted{ready: time.Second}), scriptedKind("b", scripted{ready: time.Minute}))
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		ready, ended := make(chan time.Duration, 2), make(chan error)
		go func() { ended <- node.Serve(ctx, log, func() { ready <- time.Since(began) }) }()
		<-time.After(time.Hour)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
		if got := <-ready; got != time.Minute {
			t.Errorf("it was ready after %v, want that of its slowest role", got)
		}
		if diff := cmp.Diff([]string{"node.ready", "node.exit"}, words()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNodeEndsWithARole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, log, words := play(t, scriptedKind("sound", scripted{}), scriptedKind("weak", scripted{fails: time.Minute}))
		err := node.Serve(t.Context(), log, func() {})
		if want := "role weak: out of luck"; !errors.Is(err, errScripted) || err.Error() != want {
			t.Errorf("it ended with %v, want %s", err, want)
		}
		if diff := cmp.Diff([]string{"node.ready", "node.exit"}, words()); diff != "" {
			t.Error(diff)
		}
	})
}

// A node without roles, the network of an image, is ready at once and lasts until it is stopped.
func TestNodeWithoutRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, log, _ := play(t)
		ctx, cancel := context.WithCancel(t.Context())
		if err := node.Serve(ctx, log, cancel); err != nil {
			t.Error(err)
		}
	})
}

func TestDo(t *testing.T) {
	mute := scriptedKind("mute", struct{ role.Role }{scripted{}})
	node, _, _ := play(t, scriptedKind("a", scripted{}), mute)
	tests := []struct{ role, action, args, want, err string }{
		{"a", "repeat", `{"x":1}`, `{"x":1}`, ""},
		{"a", "repeat", ``, `{}`, ""},
		{"a", "dance", ``, ``, "dance: out of luck"},
		{"b", "repeat", ``, ``, "this node does not play the role b"},
		{"mute", "repeat", ``, ``, "role mute has no actions"},
	}
	for _, test := range tests {
		got, err := node.Do(t.Context(), test.role, test.action, json.RawMessage(test.args))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if string(got) != test.want || text != test.err {
			t.Errorf("%s %s: %s, %q; want %s, %q", test.role, test.action, got, text, test.want, test.err)
		}
	}
}

// waiting is a role with an action that lasts until its context ends.
type waiting struct{ scripted }

func (waiting) Do(ctx context.Context, _ host.Host, _ string, _ json.RawMessage) (any, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// An action that is under way when its node ends, by itself or because it is stopped, ends too.
func TestActionsEndWithTheNode(t *testing.T) {
	for name, fails := range map[string]time.Duration{"stopped": 0, "failed": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node, log, _ := play(t, scriptedKind("a", waiting{scripted{fails: fails}}))
				running, err := Start(t.Context(), node, log)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					_, err := running.Do(t.Context(), "a", "wait", nil)
					done <- err
				}()
				time.Sleep(time.Hour)
				_ = running.Stop() // its error is that of the role
				if err := <-done; !errors.Is(err, errEnded) {
					t.Errorf("the action ended with %v", err)
				}
				if _, err := running.Do(t.Context(), "a", "wait", nil); !errors.Is(err, errEnded) {
					t.Errorf("an action began: %v", err)
				}
			})
		})
	}
}

func TestNewNamesTheRole(t *testing.T) {
	refusing := role.Kind{Name: "fussy", New: func(json.RawMessage) (role.Role, error) { return nil, errScripted }}
	for name, want := range map[string]string{"fussy": "role fussy: out of luck", "juggler": "no such role: juggler"} {
		if _, err := New([]role.Kind{refusing}, []Part{{Role: name}}, nil); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Every kind says what it is, has a page, and its short forms name fields that are there. An action that several have has
// one short form, so that a step means the same whoever does it.
func TestKinds(t *testing.T) {
	known := make(map[string]role.Action)
	for _, kind := range Kinds(fstest.MapFS{}) {
		if kind.Doc == "" || kind.Options == nil || kind.New == nil {
			t.Errorf("role %s has no description, options or constructor", kind.Name)
		}
		if _, err := os.Stat(filepath.Join(kind.Name, "README.md")); err != nil {
			t.Errorf("role %s has no page: %v", kind.Name, err)
		}
		expectField(t, "role "+kind.Name, kind.Options, kind.Short)
		for _, action := range kind.Actions {
			if other, ok := known[action.Name]; ok && other.Short != action.Short {
				t.Errorf("role %s: the short form of %s sets %q, and %q elsewhere", kind.Name, action.Name, action.Short, other.Short)
			}
			known[action.Name] = action
			if action.Doc == "" || action.Args == nil || action.Result == nil {
				t.Errorf("action %s has no description, arguments or result", action.Name)
			}
			expectField(t, "action "+action.Name, action.Args, action.Short)
		}
	}
}

// The pages of the roles that people act with name every action, argument and result field.
func TestPagesNameEverything(t *testing.T) {
	for _, kind := range Kinds(fstest.MapFS{}) {
		if kind.Name != "chat" && kind.Name != "client" {
			continue // the others' are in docs/reference.md alone
		}
		page, err := os.ReadFile(filepath.Join(kind.Name, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range kind.Actions {
			names := []string{action.Name}
			for _, of := range []any{action.Args, action.Result} {
				for _, field := range reflect.VisibleFields(reflect.TypeOf(of)) {
					name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
					names = append(names, name)
				}
			}
			for _, name := range names {
				if name != "" && !strings.Contains(string(page), "`"+name+"`") {
					t.Errorf("%s, action %s: the page has no `%s`", kind.Name, action.Name, name)
				}
			}
		}
	}
}

func expectField(t *testing.T, of string, value any, short string) {
	t.Helper()
	if short == "" {
		return
	}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(value)) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name == short {
			return
		}
	}
	t.Errorf("%s: its short form sets %s, which is not there", of, short)
}
