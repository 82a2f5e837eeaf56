package sock_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/host/hosttest/memnet"
	"scenario/nodes/client/sock"
)

// diary keeps what a node tells.
type diary struct {
	mu      sync.Mutex
	records []event.Record
}

func (d *diary) Record(r event.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, r)
}

// lines are the events with some of their attributes, and their place in the trace.
func (d *diary) lines() (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		words := []string{r.Trace() + ">" + r.Parent(), r.Event}
		for _, key := range []string{"op", "errno", "by", "reason"} {
			if v, ok := r.Attrs[key].(string); ok && v != "" {
				words = append(words, key+"="+v)
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

func TestLifeOfAConnection(t *testing.T) {
	var here, there diary
	network := memnet.New()
	server, client := network.Host("server", "10.0.0.1"), network.Host("client", "10.0.0.2")
	server.Sink, client.Sink = &there, &here
	l, err := sock.Listen(t.Context(), server, "chat", ":7")
	if err != nil {
		t.Fatal(err)
	}
	type accepted struct {
		conn *sock.Conn
		err  error
	}
	got := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		got <- accepted{c, err}
	}()
	d := sock.Dialer{Host: client, Lookup: nobody}
	c, err := d.Dial(event.WithTrace(t.Context(), "step/1", ""), sock.Target{Name: "10.0.0.1", Port: 7})
	if err != nil {
		t.Fatal(err)
	}
	a := <-got
	if a.err != nil {
		t.Fatal(a.err)
	}
	go io.WriteString(c, "hello")
	if _, err := io.ReadFull(a.conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second does nothing
		if err := a.conn.CloseFor("enough"); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to a closed connection: %v", err)
	}
	for _, end := range []io.Closer{c, l, l} {
		if err := end.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept from a closed listener: %v", err)
	}

	if diff := cmp.Diff([]string{
		"step/1> socket.connect",
		"step/1>step/1.1 socket.error op=write errno=EPIPE",
		"step/1>step/1.1 socket.close by=remote reason=EPIPE",
	}, here.lines()); diff != "" {
		t.Errorf("the client's events differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"> socket.listen",
		"conn/chat/1> socket.accept",
		"conn/chat/1>conn/chat/1.1 socket.close by=local reason=enough",
		"> socket.close by=local",
	}, there.lines()); diff != "" {
		t.Errorf("the server's events differ (-want +got):\n%s", diff)
	}
	end, _ := event.As[event.SocketClose](there.records[2])
	if end.Received != 5 || end.Sent != 0 || end.Remote != c.Local() {
		t.Errorf("the server's end is told as %+v", end)
	}
}

func nobody(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such name") }

func TestParseTarget(t *testing.T) {
	tests := []struct {
		text string
		want sock.Target
	}{
		{"chat.example:5555", sock.Target{Name: "chat.example", Port: 5555}},
		{"10.0.0.1:1", sock.Target{Name: "10.0.0.1", Port: 1}},
		{"[fd00::1]:65535", sock.Target{Name: "fd00::1", Port: 65535}},
	}
	for _, test := range tests {
		if got, err := sock.ParseTarget(test.text); got != test.want || err != nil {
			t.Errorf("%q is read as %+v (%v), want %+v", test.text, got, err, test.want)
		}
	}
	for _, bad := range []string{"", "a", ":80", "a:", "a:0", "a:65536", "a:-1", "a:http", "fd00::1:80", "[fd00::1]"} {
		if got, err := sock.ParseTarget(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"chat.example:5555", "[fd00::1]:80", ":1", "a:b:c", "[a]:00080"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := sock.ParseTarget(text)
		if err != nil {
			return
		}
		if again, err := sock.ParseTarget(target.String()); err != nil || again != target {
			t.Errorf("%q is read as %+v, which is read again as %+v (%v)", text, target, again, err)
		}
	})
}
