package talk

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Terminal is a person at a terminal, who edits lines. While one is being typed, what comes in is printed above it. Keys:
// arrows, Ctrl-A, -E, -B, -F, -K, -U, -W, -T, -L as in shells; the last hundred lines with up and down; Ctrl-D in an empty
// line ends the input, Ctrl-C ends it all. A character counts as one column, so the cursor may be off in a line with
// East Asian characters or emoji, until it is sent.
type Terminal struct {
	edit    *term.Terminal
	out     io.Writer // past the line editor, after done
	keys    *keyboard
	size    func() (columns, rows int, err error) // nil: it does not change
	restore func()

	mu      sync.Mutex
	prompt  string
	partial []byte // a line that comes in and has no end yet: it stands in the prompt's place
	open    bool   // what was printed last, after done, has no end of a line
	done    bool
}

// OpenTerminal takes the keys of in, a terminal, until Close or Done gives them back. Ctrl-C calls interrupted, at any
// time, instead of sending a signal.
func OpenTerminal(in, out *os.File, interrupted func()) (*Terminal, error) {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	t := newTerminal(in, out, interrupted)
	t.restore = sync.OnceFunc(func() { _ = term.Restore(int(in.Fd()), state) }) // fails where the terminal has gone
	t.size = func() (int, int, error) { return term.GetSize(int(out.Fd())) }
	t.resize()
	return t, nil
}

func newTerminal(in io.Reader, out io.Writer, interrupted func()) *Terminal {
	t := &Terminal{out: out, keys: newKeyboard(in, interrupted), restore: func() {}}
	t.edit = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t.keys, screen{out}}, "")
	return t
}

// Line returns the next line that is typed, without its end; io.EOF after the last.
func (t *Terminal) Line() (string, error) {
	t.resize()
	line, err := t.edit.ReadLine()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && len(t.partial) > 0 { // it stays on the screen, before what was typed
		t.partial = nil
		t.edit.SetPrompt(t.prompt)
	}
	return line, err
}

// Prompt sets what stands before the line that is typed.
func (t *Terminal) Prompt(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prompt = text
	if len(t.partial) == 0 && !t.done {
		t.edit.SetPrompt(text)
	}
}

// Show prints a line, which has no end, above the one that is typed. That the terminal has gone is no error here: a signal
// (SIGHUP) ends the conversation then.
func (t *Terminal) Show(line string) {
	t.resize()
	t.mu.Lock()
	defer t.mu.Unlock()
	out := io.Writer(t.edit)
	if t.done {
		out = t.out
	}
	_, _ = io.WriteString(out, line+"\n")
}

// maxPartial bounds, in bytes, how long a line without an end stands in the prompt's place.
const maxPartial = 1024

// Receive prints what comes in at once, made safe. A line that has no end yet stands before what is typed, as it would
// without line editing: so do the questions of servers.
func (t *Terminal) Receive(p []byte) error {
	t.resize()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partial = append(t.partial, p...)
	if t.done {
		return t.pass()
	}
	end := bytes.LastIndexByte(t.partial, '\n') + 1
	lines := visible(t.partial[:end])
	t.partial = t.partial[end:]
	if len(t.partial) > maxPartial {
		text, rest := whole(t.partial)
		lines += visible(text) + "\n"
		t.partial = rest
	}
	prompt := t.prompt
	if text, _ := whole(t.partial); len(text) > 0 {
		prompt = strings.ReplaceAll(visible(bytes.TrimSuffix(text, []byte("\r"))), "\t", "    ")
	}
	t.edit.SetPrompt(prompt)
	_, err := io.WriteString(t.edit, lines)
	return err
}

// Done gives the keys back: no more lines are asked for, and Ctrl-C is a signal again. What comes in is still printed.
func (t *Terminal) Done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return
	}
	t.done = true
	t.edit.SetPrompt("")
	_, _ = t.edit.Write(nil)                      // takes the old prompt away
	_, _ = io.WriteString(t.out, "\r"+clearToEnd) // and what was typed
	t.restore()
	_ = t.pass()
}

// pass prints what has come, a line without an end too; t.mu is held.
func (t *Terminal) pass() error {
	text, rest := whole(t.partial)
	t.partial = rest
	if len(text) > 0 {
		t.open = text[len(text)-1] != '\n'
	}
	_, err := io.WriteString(t.out, visible(text))
	return err
}

// Close ends a Line that is under way, and gives the keys back. What was being typed is taken away, and what came in as the
// last line has its end.
func (t *Terminal) Close() {
	t.keys.end(io.EOF)
	t.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open || len(t.partial) > 0 {
		_, _ = io.WriteString(t.out, visible(t.partial)+"\n")
		t.open, t.partial = false, nil
	}
}

// resize tells the line editor how wide the terminal is by now.
func (t *Terminal) resize() {
	if t.size == nil {
		return
	}
	if columns, rows, err := t.size(); err == nil && columns > 0 {
		_ = t.edit.SetSize(columns, rows) // fails where the terminal has gone
	}
}

// keyboard takes keys as they are typed, so that Ctrl-C is seen while nobody waits for a line.
type keyboard struct {
	mu    sync.Mutex
	more  *sync.Cond
	typed []byte
	err   error // after typed
}

const (
	keyCtrlC   = 3
	clearToEnd = "\x1b[K" // of the row: ECMA-48, EL
)

func newKeyboard(in io.Reader, interrupted func()) *keyboard {
	k := &keyboard{}
	k.more = sync.NewCond(&k.mu)
	go k.pump(in, interrupted)
	return k
}

func (k *keyboard) pump(in io.Reader, interrupted func()) {
	buffer := make([]byte, 1024)
	for {
		n, err := in.Read(buffer)
		if i := bytes.IndexByte(buffer[:n], keyCtrlC); i >= 0 {
			n, err = i, context.Canceled
			interrupted()
		}
		k.mu.Lock()
		k.typed = append(k.typed, buffer[:n]...)
		k.mu.Unlock()
		if err != nil {
			k.end(err)
			return
		}
		k.more.Broadcast()
	}
}

// end is what readers get when they have read what was typed.
func (k *keyboard) end(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.err = err
	}
	k.more.Broadcast()
}

func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.typed) == 0 && k.err == nil {
		k.more.Wait()
	}
	if len(k.typed) == 0 {
		return 0, k.err
	}
	n := copy(p, k.typed)
	k.typed = k.typed[n:]
	return n, nil
}

// screen corrects what the line editor writes. To take its line away it moves the cursor left by as many columns as it
// counts characters, which leaves rests of wide ones: a carriage return does not.
type screen struct{ out io.Writer }

func (s screen) Write(p []byte) (int, error) {
	text := p
	if rest, ok := bytes.CutPrefix(p, []byte("\x1b[")); ok {
		rest = bytes.TrimLeft(rest, "0123456789")
		if rest, ok = bytes.CutPrefix(rest, []byte("D"+clearToEnd)); ok {
			text = append([]byte("\r"+clearToEnd), rest...)
		}
	}
	if _, err := s.out.Write(text); err != nil {
		return 0, err
	}
	return len(p), nil
}
