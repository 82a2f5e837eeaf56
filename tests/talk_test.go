package tests

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scenario/internal/needs"
)

const talking = `
networks: {lan: 192.168.1.0/24}
nodes:
  ns: {networks: [lan], dns: }
  room: {networks: [lan], names: [chat.example], chat: ":5555"}
  web: {networks: [lan], names: [web.example], web: {files: {/: "hello\n"}}}
  ann: {networks: [lan]}
  bob: {networks: [lan]}
`

// R25: people talk from nodes of a run that is up, to each other and to servers.
func TestTalk(t *testing.T) {
	for _, engine := range []string{"docker", "embedded"} {
		t.Run(engine, func(t *testing.T) {
			if engine == "docker" {
				needs.Docker(t)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "talk.yaml"), []byte(talking), 0o644); err != nil {
				t.Fatal(err)
			}
			run := func(stdin string, args ...string) outcome {
				cmd := talkCommand(t, dir, args...)
				cmd.Stdin = strings.NewReader(stdin)
				return runCommand(t, cmd)
			}
			run("", "up", "-d", "--engine", engine, "--name", "talk-"+engine, "talk.yaml").expectCode(t, 0)
			defer func() { run("", "down").expectCode(t, 0) }()
			t.Run("connect", func(t *testing.T) { connectByHand(t, run) })
			t.Run("chat", func(t *testing.T) { chatByHand(t, dir, run) })
		})
	}
}

func talkCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), binary(), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	return cmd
}

// connectByHand asks a web server as a person would type it.
func connectByHand(t *testing.T, run func(stdin string, args ...string) outcome) {
	page := run("GET / HTTP/1.0\nHost: web.example\n\n", "connect", "--crlf", "ann", "web.example:80")
	page.expectCode(t, 0)
	if !strings.HasPrefix(page.stdout, "HTTP/1.0 200 OK\r\n") || !strings.HasSuffix(page.stdout, "\r\n\r\nhello\n") {
		t.Errorf("the answer is %q", page.stdout)
	}
	if told := run("", "logs", "ann").stdout; !strings.Contains(told, "trace=visitor/1") {
		t.Errorf("the node does not tell of the connection:\n%s", told)
	}
	for addr, want := range map[string]string{
		"web.example:81":    "ECONNREFUSED: the machine answered that nothing listens on this port",
		"nosuch.example:80": "lookup nosuch.example: no such name (NXDOMAIN from 192.168.1.",
		"198.51.100.1:80":   "ENETUNREACH: no route leads from here to this network",
	} {
		got := run("", "connect", "ann", addr)
		got.expectCode(t, 1)
		if want := "error: " + addr + " cannot be reached from ann: " + want; !strings.HasPrefix(got.stderr, want) {
			t.Errorf("%s is told as %q, want %q", addr, got.stderr, want)
		}
	}
}

// guest is a scenario chat under way.
type guest struct {
	t     *testing.T
	stdin io.WriteCloser
	lines chan string
	ended chan error
}

func newGuest(t *testing.T, dir string, args ...string) *guest {
	t.Helper()
	cmd := talkCommand(t, dir, append([]string{"chat"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, stdin: in, lines: make(chan string, 64), ended: make(chan error, 1)}
	go func() {
		for text := bufio.NewScanner(out); text.Scan(); {
			g.lines <- text.Text()
		}
		close(g.lines)
		g.ended <- cmd.Wait()
	}()
	t.Cleanup(func() { in.Close() })
	return g
}

func (g *guest) say(line string) { io.WriteString(g.stdin, line+"\n") }

// hear expects the next lines.
func (g *guest) hear(want ...string) {
	g.t.Helper()
	for _, w := range want {
		select {
		case got, more := <-g.lines:
			if got != w || !more {
				g.t.Fatalf("heard %q, want %q", got, w)
			}
		case <-time.After(time.Minute):
			g.t.Fatalf("%q is not heard", w)
		}
	}
}

// end expects that nothing more is heard, and success.
func (g *guest) end() {
	g.t.Helper()
	if extra, more := <-g.lines; more {
		g.t.Errorf("heard %q as well", extra)
	}
	if err := <-g.ended; err != nil {
		g.t.Error(err)
	}
}

// chatByHand has two people in the room, one of whom finds it by the scenario.
func chatByHand(t *testing.T, dir string, run func(stdin string, args ...string) outcome) {
	ann := newGuest(t, dir, "ann")
	ann.hear("# what is your name?")
	ann.say("ann")
	ann.hear("* ann joined")
	bob := newGuest(t, dir, "--name", "bob", "bob", "chat.example:5555")
	bob.hear("# what is your name?", "* bob joined", "# ann is here")
	ann.hear("* bob joined")
	ann.say("hello bob, grüße")
	bob.hear("ann: hello bob, grüße")
	bob.say("hello ann")
	ann.hear("bob: hello ann")

	taken := run("hi\n", "chat", "--name", "Bob", "ann", "room")
	taken.expectCode(t, 1)
	if want := "error: the room refused the name \"Bob\": the name Bob is taken\n"; taken.stderr != want {
		t.Errorf("a name that is taken is told as %q, want %q", taken.stderr, want)
	}

	bob.say("q")
	bob.hear("# goodbye")
	bob.end()
	ann.hear("* bob left")
	ann.stdin.Close() // leaves, too
	ann.hear("# goodbye")
	ann.end()
}
