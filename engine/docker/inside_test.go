package docker

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"scenario/engine"
)

// Connections from outside are the node's, with their errors, also after the way into the node was lost; they end with
// the run.
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
	if _, err := inside.Dial(t.Context(), "laptop", "tcp", "198.51.100.80:81"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a closed port: %v", err)
	}
	var lookup *net.DNSError
	if _, err := inside.Dial(t.Context(), "laptop", "tcp", "server.example:80"); !errors.As(err, &lookup) {
		t.Errorf("a node without a name server: %v", err)
	}
	if _, err := inside.Dial(t.Context(), "nobody", "tcp", "198.51.100.80:80"); err == nil {
		t.Error("there is no such node")
	}
	r.(*run).members["laptop"].way.session.Close()
	greeted()
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := inside.Dial(t.Context(), "laptop", "tcp", "198.51.100.80:80"); !errors.Is(err, errStopped) {
		t.Errorf("after the end: %v", err)
	}
}
