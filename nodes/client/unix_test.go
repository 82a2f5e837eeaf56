//go:build unix

package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"scenario/host/kernel"
	"scenario/internal/needs"
	"scenario/nodes/client"
	"scenario/nodes/role"
)

// R25: socat at the other end of Unix-domain sockets: as the client, as the server, and as the writer of datagrams.
func TestSocatOnPaths(t *testing.T) {
	needs.Program(t, "socat")
	dir, err := os.MkdirTemp("", "s") // t.TempDir may be longer than the address of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := newNode(t)

	stream := filepath.Join(dir, "stream.sock")
	n.do("listen", `{"at": %q}`, stream)
	talk := start(t, "question\n", "socat", "-t", "10", "-", "UNIX-CONNECT:"+stream)
	n.do("accept", `{}`)
	if r := n.do("recv", `{"line": true}`).(client.RecvResult); r.Text != "question\n" {
		t.Errorf("of socat's: %+v", r)
	}
	n.do("send", `{"text": "answer\n"}`)
	n.do("close", `{}`)
	if got := talk(); got != "answer\n" {
		t.Errorf("socat received %q", got)
	}

	// A server of socat's that is killed leaves its file.
	theirs := filepath.Join(dir, "theirs.sock")
	if r := n.do("open", `{"to": %q}`, theirs).(client.OpenResult); r.Errno != "ENOENT" {
		t.Errorf("before socat is there: %+v", r)
	}
	server := exec.Command("socat", "UNIX-LISTEN:"+theirs+",fork", "EXEC:cat")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for !n.do("open", `{"to": %q}`, theirs).(client.OpenResult).Connected { // until it listens
		if t.Context().Err() != nil {
			t.Fatal("socat does not listen")
		}
	}
	n.do("send", `{"text": "there and back"}`)
	if r := n.do("recv", `{"bytes": 14}`).(client.RecvResult); r.Text != "there and back" {
		t.Errorf("of socat's: %+v", r)
	}
	if r := n.do("remove", `{"path": %q, "stale": true}`, theirs).(client.FileResult); r.Errno != "EADDRINUSE" {
		t.Errorf("while socat listens: %+v", r)
	}
	n.do("close", `{}`)
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // killed
	if r := n.do("open", `{"to": %q}`, theirs).(client.OpenResult); r.Errno != "ECONNREFUSED" {
		t.Errorf("after socat was killed: %+v", r)
	}
	if r := n.do("remove", `{"path": %q, "stale": true}`, theirs).(client.FileResult); !r.Done {
		t.Errorf("after socat was killed: %+v", r)
	}

	box := filepath.Join(dir, "box.sock")
	n.do("bind", `{"at": %q}`, box)
	for _, letter := range []string{"one", "two"} {
		start(t, letter, "socat", "-u", "-", "UNIX-SENDTO:"+box)()
		if r := n.do("recv", `{}`).(client.RecvResult); r.Text != letter {
			t.Errorf("a letter: %+v", r)
		}
	}
}

// node is the role on this machine.
type node struct {
	t    *testing.T
	host *kernel.Host
	role role.Role
}

func newNode(t *testing.T) node {
	t.Helper()
	part, err := client.Kind().New([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	n := node{t, kernel.New(kernel.Options{}), part}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- part.Serve(ctx, n.host, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return n
}

func (n node) do(action, args string, values ...any) any {
	n.t.Helper()
	text := json.RawMessage(fmt.Sprintf(args, values...))
	result, err := n.role.(role.Actor).Do(n.t.Context(), n.host, action, text)
	if err != nil {
		n.t.Fatalf("%s %s: %v", action, text, err)
	}
	return result
}

// start starts a program with some input; the function returned waits for its end and returns what it wrote.
func start(t *testing.T, input string, name string, args ...string) func() string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader([]byte(input)), &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", name, err, stderr.String())
		}
		return stdout.String()
	}
}
