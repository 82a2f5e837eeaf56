package chat_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"scenario/event"
	"scenario/host/kernel"
	"scenario/nodes/chat"
)

// R8, R23, R27: over the machine's own TCP, spoken as with nc; one of the two vanishes with a reset.
func TestOverTCP(t *testing.T) {
	listening := make(chan string, 1)
	sink := event.SinkFunc(func(r event.Record) {
		if listen, ok := event.As[event.SocketListen](r); ok {
			listening <- listen.Local
		}
	})
	room, err := chat.Kind().New([]byte(`{"listen": "127.0.0.1:0"}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- room.Serve(ctx, kernel.New(kernel.Options{Log: event.NewLogger("chat", sink)}), func() {})
	}()
	addr := <-listening

	type person struct {
		*net.TCPConn
		in *bufio.Reader
	}
	connect := func() person {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return person{c.(*net.TCPConn), bufio.NewReader(c)}
	}
	want := func(p person, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if got, err := p.in.ReadString('\n'); got != line+"\n" {
				t.Fatalf("received %q (%v), want %q", got, err, line)
			}
		}
	}
	ann, bob := connect(), connect()
	fmt.Fprint(ann, "ann\nfirst\n")
	want(ann, "# what is your name?", "* ann joined")
	fmt.Fprint(bob, "bob\n")
	want(bob, "# what is your name?", "* bob joined", "# ann is here")
	want(ann, "* bob joined")
	fmt.Fprint(ann, "hello\n")
	want(bob, "ann: hello")

	if err := bob.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	bob.Close()
	want(ann, "* bob left: connection lost (ECONNRESET)")

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	if rest, err := io.ReadAll(ann.in); err != nil || len(rest) > 0 {
		t.Errorf("after the server stopped: %q, %v", rest, err)
	}
}
