package talk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// table is a chat of which the test plays the room.
type table struct {
	room  *net.TCPConn
	lines *bufio.Reader
	done  chan error
}

func sit(t *testing.T, ctx context.Context, who Person, o ChatOptions) *table {
	t.Helper()
	here, there := pair(t)
	there.SetReadDeadline(time.Now().Add(30 * time.Second))
	s := &table{room: there, lines: bufio.NewReader(there), done: make(chan error, 1)}
	go func() { s.done <- Chat(ctx, here, who, o) }()
	return s
}

// hears expects lines from the person; "" is the end.
func (s *table) hears(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		got, err := s.lines.ReadString('\n')
		if w == "" && err == io.EOF && got == "" {
			continue
		}
		if err != nil || got != w+"\n" {
			t.Fatalf("the room got %q, %v, want %q", got, err, w)
		}
	}
}

func (s *table) says(lines ...string) { fmt.Fprint(s.room, strings.Join(lines, "\n")+"\n") }

func (s *table) ends(t *testing.T, want string) {
	t.Helper()
	if got := errorText(<-s.done); got != want {
		t.Errorf("chat ends with %q, want %q", got, want)
	}
}

// R20, R25: a person gives a name, talks and leaves, and sees each line once.
func TestChatAtATerminal(t *testing.T) {
	d := newDesk(t)
	s := sit(t, d.interrupted, d, ChatOptions{Attended: true, Color: true})
	s.says("# what is your name?")
	d.screen.await(t, "what is your name?")
	d.screen.await(t, "your name: ")
	d.press("bob\r")
	s.hears(t, "bob")
	s.says("! the name bob is taken")
	d.screen.await(t, "\x1b[1;31m! the name bob is taken")
	d.press("\rann\r")
	s.hears(t, "ann")
	s.says("* ann joined", "# bob is here", "bob: hello \x1b[2Jann")
	d.screen.await(t, "\x1b[32m* ann joined")
	d.screen.await(t, "\x1b[36mbob\x1b[m: hello \\x1b[2Jann")
	d.screen.await(t, "\x1b[36mann\x1b[m: ")
	d.press("hi bob\r")
	s.hears(t, "hi bob")
	s.says("? are you there")
	s.hears(t, "")
	s.says("* bob left: too slow")
	d.screen.await(t, "\x1b[33m* bob left: too slow")
	d.press("q\r")
	s.hears(t, "exit")
	s.says("# goodbye")
	d.screen.await(t, "goodbye")
	s.room.Close()
	s.ends(t, "")
	text, _ := d.screen.read()
	if n := strings.Count(text, "are you there"); n > 0 {
		t.Error("a question to the program is shown to the person")
	}
}

func TestChatThroughAPipe(t *testing.T) {
	out := newPaper()
	in := NewPipe(strings.NewReader("ann\nhello\n\nthere\n"), out)
	s := sit(t, t.Context(), in, ChatOptions{})
	s.says("# what is your name?")
	s.hears(t, "ann")
	s.says("* ann joined")
	s.hears(t, "hello", "there", "exit")
	s.says("# goodbye")
	s.room.Close()
	s.ends(t, "")
	if text, _ := out.read(); text != "# what is your name?\n* ann joined\n# goodbye\n" {
		t.Errorf("%q", text)
	}
}

// A room may give names, and have a word of its own to leave by.
func TestChatWithAGivenName(t *testing.T) {
	s := sit(t, t.Context(), NewPipe(strings.NewReader("hello\nexit\n"), io.Discard), ChatOptions{Name: "ann", Leave: "/quit"})
	s.says("* guest1 joined")
	s.hears(t, "hello", "/quit")
	s.room.Close()
	s.ends(t, "")
}

// Two people without a room send no names.
func TestChatOfTwo(t *testing.T) {
	d := newDesk(t)
	s := sit(t, d.interrupted, d, ChatOptions{Attended: true, Pair: "bob"})
	d.screen.await(t, "you: ")
	d.press("hello\r")
	s.hears(t, "hello")
	s.says("! hi")
	d.screen.await(t, "bob: ! hi")
	s.says("exit")
	d.screen.await(t, "* bob left")
	s.room.Close()
	s.ends(t, "")
}

func TestChatEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		room func(t *testing.T, s *table)
		want string
	}{
		{"refused", func(t *testing.T, s *table) {
			s.says("# what is your name?")
			s.hears(t, "ann")
			s.says("! the name ann is taken")
			s.hears(t, "exit", "")
			s.room.Close()
		}, `the room refused the name "ann": the name ann is taken`},
		{"full", func(t *testing.T, s *table) {
			s.says("! the room is full")
			s.room.Close()
		}, "the room closed the connection: the room is full"},
		{"too slow", func(t *testing.T, s *table) {
			s.says("# what is your name?")
			s.hears(t, "ann")
			s.says("* ann joined", "bob: x", "! too slow: more than 64 lines wait for you")
			s.room.Close()
		}, "the room closed the connection: too slow: more than 64 lines wait for you"},
		{"closed", func(t *testing.T, s *table) {
			s.says("# what is your name?")
			s.hears(t, "ann")
			s.says("* ann joined")
			s.room.Close()
		}, "the room closed the connection"},
		{"reset", func(t *testing.T, s *table) {
			s.says("# what is your name?")
			s.hears(t, "ann")
			s.room.SetLinger(0)
			s.room.Close()
		}, "the connection to the room is lost: ECONNRESET: the other end broke the connection off instead of closing it"},
		{"no room", func(_ *testing.T, s *table) {
			s.room.Close()
		}, "the other end closed the connection before anybody had joined: is it a chat room?"},
		{"no text", func(_ *testing.T, s *table) {
			fmt.Fprint(s.room, strings.Repeat("x", maxLine+1))
		}, "a line of more than 65536 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, keep := io.Pipe()
			defer keep.Close()
			s := sit(t, t.Context(), NewPipe(in, io.Discard), ChatOptions{Name: "ann"})
			test.room(t, s)
			s.ends(t, test.want)
		})
	}
}

func TestChatIsInterrupted(t *testing.T) {
	d := newDesk(t)
	s := sit(t, d.interrupted, d, ChatOptions{Attended: true})
	d.press("\x03") // while the room keeps silent
	s.ends(t, context.Canceled.Error())
	s.hears(t, "")
}
