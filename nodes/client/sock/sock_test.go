package sock_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

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

// told are all of a node's events from a word on, each as its word and the attributes named.
func (d *diary) told(keys ...string) (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		words := []string{strings.TrimPrefix(r.Event, "socket.")}
		for _, key := range keys {
			if v, ok := r.Attrs[key]; ok {
				words = append(words, fmt.Sprintf("%s=%v", key, v))
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// R19, R21: the life of a socket on both sides, step by step, and a message that comes in pieces.
func TestCalls(t *testing.T) {
	var here, there diary
	network := memnet.New()
	server, client := network.Host("server", "10.0.0.1"), network.Host("client", "10.0.0.2")
	server.Sink, client.Sink = &there, &here
	telling := sock.Telling{Calls: true, Data: 4}
	l, err := sock.Sockets{Host: server, Role: "echo", Telling: telling}.Listen(t.Context(), "tcp", "10.0.0.1:7")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sock.Sockets{Host: client, Telling: telling}.Dial(t.Context(), "tcp", "10.0.0.1:7")
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "h\u00e9llo\xff"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	piece := make([]byte, 5)
	for err == nil {
		_, err = a.Read(piece)
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write after the own shutdown: %v", err)
	}
	for _, end := range []io.Closer{a, c, l} {
		if err := end.Close(); err != nil {
			t.Error(err)
		}
	}
	keys := []string{"socket", "bytes", "offset", "data", "data_base64", "truncated", "end", "how", "errno", "by", "sent", "received"}
	if diff := cmp.Diff([]string{
		"create socket=connection",
		"connect socket=connection",
		"send socket=connection bytes=7 data=h\u00e9l truncated=3",
		"shutdown socket=connection how=write",
		"error socket=connection errno=EPIPE",
		"close socket=connection by=local sent=7 received=0",
	}, here.told(keys...)); diff != "" {
		t.Errorf("the client's events differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"create socket=listening",
		"bind socket=listening",
		"listen socket=listening",
		"accept socket=connection",
		"recv socket=connection bytes=5 data=h\u00e9l truncated=1",
		"recv socket=connection bytes=2 offset=5 data_base64=b/8=",
		"recv socket=connection bytes=0 offset=7 end=true",
		"close socket=connection by=remote sent=0 received=7",
		"close socket=listening by=local sent=0 received=0",
	}, there.told(keys...)); diff != "" {
		t.Errorf("the server's events differ (-want +got):\n%s", diff)
	}
}

// R24: every datagram is one send and one recv; one that nobody listens for is told, and the socket goes on.
func TestDatagrams(t *testing.T) {
	var here, there diary
	network := memnet.New()
	server, client := network.Host("server", "10.0.0.1"), network.Host("client", "10.0.0.2")
	server.Sink, client.Sink = &there, &here
	telling := sock.Telling{Calls: true, Data: 100}
	p, err := sock.Sockets{Host: server, Telling: telling}.ListenPacket(t.Context(), "udp", "10.0.0.1:7")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sock.Sockets{Host: client, Telling: telling}.Dial(t.Context(), "udp", "10.0.0.1:7")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	datagram := make([]byte, 100)
	for range 2 {
		n, from, err := p.ReadFrom(datagram)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.WriteTo(datagram[:n], from); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Read(datagram); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	keys := []string{"socket", "remote", "bytes", "offset", "data", "sent", "received"}
	if diff := cmp.Diff([]string{
		"create socket=datagram",
		"connect socket=datagram remote=10.0.0.1:7",
		"send socket=datagram remote=10.0.0.1:7 bytes=3 data=one",
		"send socket=datagram remote=10.0.0.1:7 bytes=3 data=two",
		"recv socket=datagram remote=10.0.0.1:7 bytes=3 data=one",
		"close socket=datagram remote=10.0.0.1:7 sent=6 received=3",
	}, here.told(keys...)); diff != "" {
		t.Errorf("the client's events differ (-want +got):\n%s", diff)
	}
	from := " remote=" + c.Local()
	if diff := cmp.Diff([]string{
		"create socket=datagram",
		"bind socket=datagram",
		"recv socket=datagram" + from + " bytes=3 data=one",
		"send socket=datagram" + from + " bytes=3 data=one",
		"recv socket=datagram" + from + " bytes=3 data=two",
		"send socket=datagram" + from + " bytes=3 data=two",
		"close socket=datagram sent=6 received=6",
	}, there.told(keys...)); diff != "" {
		t.Errorf("the server's events differ (-want +got):\n%s", diff)
	}
}

func FuzzShow(f *testing.F) {
	f.Add([]byte("hello"), 3)
	f.Add([]byte("h\u00e9\xff"), 2)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		text, base, left := sock.Telling{Data: limit}.Show(data)
		shown := []byte(text)
		if base != "" {
			var err error
			if shown, err = base64.StdEncoding.DecodeString(base); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case limit <= 0:
			if len(shown) != 0 {
				t.Errorf("%q is shown", shown)
			}
		case !bytes.HasPrefix(data, shown) || len(shown) > limit || len(shown)+int(left) != len(data):
			t.Errorf("of %q with a limit of %d is shown %q and %d are left out", data, limit, shown, left)
		case !utf8.ValidString(text):
			t.Errorf("%q is no text", text)
		}
	})
}
