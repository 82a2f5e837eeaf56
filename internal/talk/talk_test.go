package talk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (here, there *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// paper is what was printed so far, and tells of more.
type paper struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func newPaper() *paper { return &paper{more: make(chan struct{})} }

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.more)
	p.more = make(chan struct{})
	return p.text.Write(b)
}

func (p *paper) read() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String(), p.more
}

// await waits until the text has been printed.
func (p *paper) await(t *testing.T, want string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		text, more := p.read()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("%q is not printed but %q", want, text)
		}
	}
}

// desk is a terminal of which the test plays the person.
type desk struct {
	*Terminal
	keys        *io.PipeWriter
	screen      *paper
	interrupted context.Context
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	in, keys := io.Pipe()
	ctx, interrupt := context.WithCancel(t.Context())
	d := &desk{keys: keys, screen: newPaper(), interrupted: ctx}
	d.Terminal = newTerminal(in, d.screen, interrupt)
	t.Cleanup(func() { keys.Close(); d.Close(); interrupt() })
	return d
}

func (d *desk) press(keys string) { io.WriteString(d.keys, keys) }

// expect reads so much from the connection.
func expect(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("the other end got %q, want %q: %v", got[:n], want, err)
	}
}

func expectEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the other end got %d bytes, %v, want the end", n, err)
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain äöü 日本 👩\u200d💻\n": "plain äöü 日本 👩\u200d💻\n",
		"a\r\nb\rc\td\n":          "a\nb\\rc\td\n",
		"\x1b[2J\x07\x00\x7f":     `\x1b[2J\a\x00\x7f`,
		"\u202etxt.exe\u2028":     `\u202etxt.exe\u2028`,
		"\xff\xc3":                "\ufffd\ufffd",
	} {
		if got := visible([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWhole(t *testing.T) {
	for _, test := range [][2]string{
		{"", ""}, {"abc", ""}, {"ab", "\xc3"}, {"ä", ""}, {"x", "\xe6\x97"}, {"", "\xf0\x9f\x91"}, {"x\xff", ""}, {"x\x80\x80\x80\x80", ""},
	} {
		complete, rest := whole([]byte(test[0] + test[1]))
		if string(complete) != test[0] || string(rest) != test[1] {
			t.Errorf("%q: %q and %q", test[0]+test[1], complete, rest)
		}
	}
}

// Whatever comes is shown without what moves the cursor, and is cut between characters.
func FuzzVisible(f *testing.F) {
	f.Add([]byte("a\r\n\x1b[1m\xe6\x97"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := visible(text); strings.ContainsAny(got, "\x1b\r\x00\u202e") {
			t.Errorf("%q", got)
		}
		complete, rest := whole(text)
		if string(complete)+string(rest) != string(text) || len(rest) > 3 {
			t.Errorf("%q: %q, %q", text, complete, rest)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// R25: what is typed goes out while what comes is printed, and the end of the input leaves the other direction open.
func TestConnect(t *testing.T) {
	here, there := pair(t)
	d := newDesk(t)
	d.Prompt("> ")
	done := make(chan error, 1)
	go func() { done <- Connect(d.interrupted, here, d.Terminal, Options{}) }()
	d.screen.await(t, "> ")
	d.press("wrld\x02\x02\x02o\x01hello \x05!\r") // Ctrl-B, Ctrl-A and Ctrl-E move
	expect(t, there, "hello world!\n")
	d.press("half a li")
	d.screen.await(t, "half a li")
	fmt.Fprint(there, "news\r\n")
	d.screen.await(t, "\r\x1b[Knews\r\n> half a li")
	d.press("ne of grün\x17\x17x\r") // Ctrl-W takes a word away
	expect(t, there, "half a line x\n")
	d.press("gone\x15\x1b[A\x1b[A\r") // Ctrl-U takes all away; up twice is the first line
	expect(t, there, "hello world!\n")

	fmt.Fprint(there, "login: ")
	d.screen.await(t, "login: ")
	d.press("ann\r")
	expect(t, there, "ann\n")
	fmt.Fprint(there, "no such use")
	fmt.Fprint(there, "r\n")
	d.screen.await(t, "no such user\r\n> ")

	d.press("\x04")
	expectEnd(t, there)
	fmt.Fprint(there, "last \x1bwords")
	d.screen.await(t, `last \x1bwords`)
	there.Close()
	if err := <-done; err != nil {
		t.Errorf("connect: %v", err)
	}
}

// What comes last has an end of its line, and what was being typed is gone.
func TestConnectEndsWithALine(t *testing.T) {
	here, there := pair(t)
	d := newDesk(t)
	d.Prompt("> ")
	done := make(chan error, 1)
	go func() { done <- Connect(d.interrupted, here, d.Terminal, Options{}) }()
	d.press("typed")
	d.screen.await(t, "> typed")
	fmt.Fprint(there, "no end of line\xe6")
	there.Close()
	if err := <-done; err != nil {
		t.Errorf("connect: %v", err)
	}
	d.Close()
	if text, _ := d.screen.read(); !strings.HasSuffix(text, "\r\x1b[Kno end of line\ufffd\n") {
		t.Errorf("%q", text)
	}
}

func TestConnectLeaves(t *testing.T) {
	here, there := pair(t)
	d := newDesk(t)
	done := make(chan error, 1)
	go func() { done <- Connect(d.interrupted, here, d.Terminal, Options{CRLF: true, Exit: "bye"}) }()
	d.press("hi\rbye\r")
	expect(t, there, "hi\r\n")
	expectEnd(t, there)
	d.screen.await(t, "bye")
	fmt.Fprintln(there, "so long")
	d.screen.await(t, "so long")
	// The other end stays: it is not waited for.
	if err := <-done; err != nil {
		t.Errorf("connect: %v", err)
	}
}

func TestConnectIsInterrupted(t *testing.T) {
	here, there := pair(t)
	d := newDesk(t)
	done := make(chan error, 1)
	go func() { done <- Connect(d.interrupted, here, d.Terminal, Options{}) }()
	d.press("not sent\x03")
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("connect: %v", err)
	}
	expectEnd(t, there)
}

func TestConnectTellsOfReset(t *testing.T) {
	here, there := pair(t)
	d := newDesk(t)
	done := make(chan error, 1)
	go func() { done <- Connect(d.interrupted, here, d.Terminal, Options{}) }()
	there.SetLinger(0)
	there.Close()
	if err := <-done; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connect: %v", err)
	}
}

// Characters that are wider than a column leave nothing behind.
func TestScreen(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[7D\x1b[Knews": "\r\x1b[Knews",
		"\x1b[D\x1b[K":      "\r\x1b[K",
		"\x1b[36mann":       "\x1b[36mann",
		"\x1b[7D\x1b[A":     "\x1b[7D\x1b[A",
		"text":              "text",
	} {
		var out strings.Builder
		if n, err := (screen{&out}).Write([]byte(in)); n != len(in) || err != nil || out.String() != want {
			t.Errorf("%q: %q, %d, %v", in, out.String(), n, err)
		}
	}
}

func TestConnectPipe(t *testing.T) {
	const long = 100_000
	for _, test := range []struct {
		name     string
		in, want string
		options  Options
	}{
		{"bytes", "a\x00\xff\r\nb", "a\x00\xff\r\nb", Options{}},
		{"nothing", "", "", Options{CRLF: true}},
		{"CRLF", "a\nb\r\n\nc", "a\r\nb\r\n\r\nc", Options{CRLF: true}},
		{"long lines", strings.Repeat("x", long) + "\n", strings.Repeat("x", long) + "\r\n", Options{CRLF: true}},
		{"CR where a line is cut", strings.Repeat("x", maxLine-1) + "\r\n" + "y", strings.Repeat("x", maxLine-1) + "\r\ny", Options{CRLF: true}},
		{"word", "a\nend\nb\n", "a\n", Options{Exit: "end"}},
		{"word in a line", "a end\nend b\n", "a end\nend b\n", Options{Exit: "end"}},
		{"word without an end", "a\nend", "a\n", Options{Exit: "end"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			here, there := pair(t)
			var out strings.Builder
			done := make(chan error, 1)
			go func() { done <- ConnectPipe(t.Context(), here, strings.NewReader(test.in), &out, test.options) }()
			expect(t, there, test.want)
			expectEnd(t, there)
			fmt.Fprint(there, "answer\x1b\n")
			there.Close()
			if err := <-done; err != nil || out.String() != "answer\x1b\n" {
				t.Errorf("%q, %v", out.String(), err)
			}
		})
	}
}

// The other end's close ends it, whatever the input does.
func TestConnectPipeEndsWithTheConnection(t *testing.T) {
	here, there := pair(t)
	in, keep := io.Pipe()
	defer keep.Close()
	done := make(chan error, 1)
	go func() { done <- ConnectPipe(t.Context(), here, in, io.Discard, Options{}) }()
	there.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// An input that fails is told, after what came was received.
func TestConnectPipeTellsOfItsInput(t *testing.T) {
	here, _ := pair(t)
	in, keep := io.Pipe()
	gone := errors.New("the disk is gone")
	keep.CloseWithError(gone)
	if err := ConnectPipe(t.Context(), here, in, io.Discard, Options{}); !errors.Is(err, gone) {
		t.Error(err)
	}
}
