package echo_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scenario/event"
	"scenario/host/kernel"
	"scenario/internal/needs"
	"scenario/nodes/echo"
)

// onMachine serves with these options on the machine's own sockets, and returns where: of tcp, udp and unix.
func onMachine(t *testing.T, options string) map[string]string {
	t.Helper()
	at := make(map[string]string)
	sink := event.SinkFunc(func(r event.Record) {
		if bind, ok := event.As[event.SocketBind](r); ok {
			at[bind.Network] = bind.Local
		}
	})
	r, err := echo.Kind().New([]byte(options))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- r.Serve(ctx, kernel.New(kernel.Options{Log: event.NewLogger("echo", sink)}), func() { close(ready) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.FailNow()
	}
	return at
}

// talk runs a program with a server as its other end and returns what it printed.
func talk(t *testing.T, input string, program ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%q: %v: %s", program, err, errors.String())
	}
	return string(out)
}

// R8, R20, R21: nc and socat, which nobody here wrote, get back what they send, by TCP, UDP and Unix-domain sockets, short
// and long.
func TestPrograms(t *testing.T) {
	needs.Program(t, "nc")
	needs.Program(t, "socat")
	long := strings.Repeat("a line of some length, so that there are many pieces\n", 20_000)
	for _, model := range []string{"one", "threads", "loop"} {
		t.Run(model, func(t *testing.T) {
			at := onMachine(t, fmt.Sprintf(`{"listen": "127.0.0.1:0", "model": %q, "udp": true, "log_calls": true}`, model))
			path := filepath.Join(t.TempDir(), "echo")
			onMachine(t, fmt.Sprintf(`{"listen": %q, "model": %q}`, path, model))
			host, port, err := net.SplitHostPort(at["tcp"])
			if err != nil {
				t.Fatal(err)
			}
			_, udpPort, err := net.SplitHostPort(at["udp"])
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				input, want string
				program     []string
			}{
				{"hello\n", "hello\n", []string{"nc", "-N", host, port}},
				{long, long, []string{"nc", "-N", host, port}},
				{"bye\nq\n", "bye\nq\n", []string{"nc", host, port}}, // nc ends since the server does
				{"hello\n", "hello\n", []string{"socat", "-t60", "-", "TCP:" + host + ":" + port}},
				{long, long, []string{"socat", "-t60", "-", "TCP:" + host + ":" + port}},
				{"hello\n", "hello\n", []string{"nc", "-u", "-W", "1", host, udpPort}},
				{"hello\n", "hello\n", []string{"nc", "-N", "-U", path}},
				{long, long, []string{"socat", "-t60", "-", "UNIX-CONNECT:" + path}},
			} {
				if got := talk(t, c.input, c.program...); got != c.want {
					t.Errorf("%q: %d bytes came back of %d", c.program, len(got), len(c.want))
				}
			}
		})
	}
}
