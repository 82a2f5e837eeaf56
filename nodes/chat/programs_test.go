package chat_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"scenario/event"
	"scenario/host"
	"scenario/host/kernel"
	"scenario/internal/needs"
	"scenario/nodes/chat"
	"scenario/nodes/role"
)

// node is the role on the machine's own TCP.
type node struct {
	t    *testing.T
	host host.Host
	role role.Role

	mu   sync.Mutex
	told []event.Record
}

// start serves the role until the test ends.
func start(t *testing.T, options string) *node {
	t.Helper()
	r, err := chat.Kind().New([]byte(options))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, role: r}
	n.host = kernel.New(kernel.Options{Log: event.NewLogger("node", event.SinkFunc(func(r event.Record) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.told = append(n.told, r)
	}))})
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- r.Serve(ctx, n.host, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("serve: %v", err)
	}
	return n
}

// address is where the node listens.
func (n *node) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.told {
		if listen, ok := event.As[event.SocketListen](r); ok {
			return listen.Local
		}
	}
	n.t.Fatal("the node does not listen")
	return ""
}

// do carries out an action and returns its result.
func (n *node) do(action, args string) map[string]any {
	n.t.Helper()
	got, err := n.role.(role.Actor).Do(n.t.Context(), n.host, action, json.RawMessage(args))
	if err != nil {
		n.t.Fatalf("%s %s: %v", action, args, err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		n.t.Fatal(err)
	}
	var result map[string]any
	if err := json.Unmarshal(text, &result); err != nil {
		n.t.Fatal(err)
	}
	return result
}

// want fails the test where a result differs.
func (n *node) want(action, args, key string, value any) {
	n.t.Helper()
	if got := n.do(action, args); got[key] != value {
		n.t.Fatalf("%s %s: %v, want %s %v", action, args, got, key, value)
	}
}

// python returns an interpreter that has the package websockets.
func python(t *testing.T) string {
	t.Helper()
	var missing error
	for _, program := range []string{"python3", "/usr/bin/python3"} { // Debian's package is for Debian's own
		if missing = exec.Command(program, "-c", "import websockets").Run(); missing == nil {
			return program
		}
	}
	needs.Met(t, "python3-websockets", missing)
	return ""
}

// run starts a program that ends with the test, at the latest; its standard error is shown where the test fails.
func run(t *testing.T, cmd *exec.Cmd) (stdin io.WriteCloser, stdout *bufio.Reader) {
	t.Helper()
	var errors bytes.Buffer
	cmd.Stderr = &errors
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd, errors.Bytes())
		}
	})
	return stdin, bufio.NewReader(out)
}

// R8, R17: Python's websockets as a client of our room.
func TestPythonClient(t *testing.T) {
	interpreter := python(t)
	room := start(t, `{"websocket": "127.0.0.1:0", "heartbeat": "1s"}`)
	room.want("join", fmt.Sprintf(`{"server": "ws://%s/chat", "name": "ann"}`, room.address()), "joined", true)
	_, out := run(t, exec.CommandContext(t.Context(), interpreter, "-c", `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], subprotocols=["soap", "chat.scenario"]) as ws:
        print(ws.subprotocol, flush=True)
        await ws.send("python")
        try:
            async for line in ws:
                print(line, flush=True)
                if line == "ann: binary":
                    await (await ws.ping())
                    await ws.send(["in ", "pieces"])
                    await ws.send(b"\x00\x01")
        except websockets.ConnectionClosed:
            pass
    print(ws.close_code, ws.close_reason, flush=True)
    try:
        await websockets.connect(sys.argv[1], origin="http://evil.example")
    except websockets.InvalidStatusCode as e:
        print(e.status_code, flush=True)
asyncio.run(main())
`, "ws://"+room.address()+"/chat"))
	wantLines(t, out, "chat.scenario", "# what is your name?", "* python joined", "# ann is here")
	room.want("hear", `{"kind": "join", "from": "python"}`, "heard", true)
	room.want("say", `{"text": "binary"}`, "sent", true)
	room.want("hear", `{"from": "python"}`, "text", "in pieces")
	room.want("hear", `{"from": "python", "kind": "leave"}`, "text", "only text is taken here (1003)")
	wantLines(t, out, "ann: binary", "1003 only text is taken here", "403")
}

// R8, R17: Python's websockets as the server of our client.
func TestPythonServer(t *testing.T) {
	interpreter := python(t)
	_, out := run(t, exec.CommandContext(t.Context(), interpreter, "-c", `
import asyncio, websockets
async def room(ws, path):
    await ws.send("# what is your name?")
    name = await ws.recv()
    await ws.send("* " + name + " joined")
    await (await ws.ping())
    text = await ws.recv()
    print(path, ws.subprotocol, ws.origin, name, text, flush=True)
    await ws.send(["python: ", "you said ", text])
    await ws.recv()
    await ws.close(1008, "not so fast")
async def main():
    async with websockets.serve(room, "127.0.0.1", 0, subprotocols=["chat.scenario"]) as s:
        print(s.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`))
	port, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	person := start(t, `{}`)
	person.want("join", fmt.Sprintf(`{"server": "ws://127.0.0.1:%s/room?x=y", "name": "ann", "origin": "http://a.example"}`, strings.TrimSpace(port)), "protocol", "chat.scenario")
	person.want("say", `{"text": "hello ☺"}`, "sent", true)
	wantLines(t, out, "/room?x=y chat.scenario http://a.example ann hello ☺")
	person.want("hear", `{"from": "python"}`, "text", "you said hello ☺")
	person.want("say", `{"text": "more"}`, "sent", true)
	person.want("hear", `{}`, "error", "nothing like it was received before the end: closed by the other end, with code 1008: not so fast")
}

func wantLines(t *testing.T, out *bufio.Reader, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got, err := out.ReadString('\n'); got != want+"\n" {
			t.Fatalf("the program says %q (%v), want %q", got, err, want)
		}
	}
}
