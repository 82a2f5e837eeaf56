package docker

import (
	"errors"
	"io"
	"strings"
	"testing"

	"scenario/engine"
)

// Connections from outside are the node's also after the way into the node was lost, until the run ends.
func TestInside(t *testing.T) {
	r, _ := start(t, requireDocker(t), plan("inside"))
	inside := r.(engine.Inside)
	greeted := func() {
		t.Helper()
		conn, err := inside.Dial(t.Context(), "laptop", "tcp", "198.51.100.80:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "hello 198.51.100.1:") {
			t.Errorf("%q, %v", got, err)
		}
	}
	greeted()
	r.(*run).members["laptop"].way.session.Close()
	greeted()
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := inside.Dial(t.Context(), "laptop", "tcp", "198.51.100.80:80"); !errors.Is(err, errStopped) {
		t.Errorf("after the end: %v", err)
	}
}
