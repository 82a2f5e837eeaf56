package talk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"

	"scenario/host/errno"
)

// Person is who chats: a [Terminal] or a [Pipe].
type Person interface {
	Line() (string, error) // the next that is typed, without its end; io.EOF after the last
	Prompt(text string)
	Show(line string)
	Done() // no more lines are asked for
}

var (
	_ Person = (*Terminal)(nil)
	_ Person = (*Pipe)(nil)
)

// ChatOptions are how a person chats.
type ChatOptions struct {
	Name     string // empty: the person's first line
	Leave    string // the room's word to leave by; empty: exit
	Pair     string // who is at the other end, where that is one other person and no room: no names are sent then
	Color    bool
	Attended bool // a person, who may try another name where one is refused
}

// answerLimit bounds how long a room may take to greet, and to answer a name.
const answerLimit = 10 * time.Second

// leaveWord is what a person leaves by, and what rooms take for it unless they are told.
const leaveWord = "exit"

// Chat lets a person take part in the room at the other end of conn, by the protocol of the role chat, until the person
// leaves. The error says why the room ended it first. It closes conn.
func Chat(ctx context.Context, conn Conn, who Person, o ChatOptions) error {
	o.Leave = cmp.Or(o.Leave, leaveWord)
	c := &chat{conversation: conversation{conn: conn}, who: who, options: o,
		greeted: make(chan struct{}), answers: make(chan bool, 1), over: make(chan struct{})}
	err := c.hold(ctx, c.send, func() error {
		defer close(c.over)
		return c.receive()
	})
	switch {
	case ctx.Err() != nil || c.left.Load():
		return err
	case err == nil:
		return c.ended()
	}
	if name := errno.Name(err); name != "" {
		return fmt.Errorf("the connection to the room is lost: %s: %s", name, errno.Meaning(err))
	}
	return err
}

type chat struct {
	conversation
	who     Person
	options ChatOptions
	greeted chan struct{} // closed when the room has said something that is no refusal
	answers chan bool     // whether a name was accepted; holds one
	over    chan struct{} // closed when nothing is received any more

	mu     sync.Mutex
	heard  bool   // greeted is closed
	name   string // that was given, and not refused
	joined bool
	parted bool   // the other person left
	last   string // what the room said last, where it was a refusal or a remark
}

// ended is the error of a room, or of another person, that closed the connection.
func (c *chat) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.parted:
		return nil
	case c.options.Pair != "":
		return fmt.Errorf("%s closed the connection", c.options.Pair)
	case c.last != "":
		return fmt.Errorf("the room closed the connection: %s", c.last)
	case !c.joined:
		return errors.New("the other end closed the connection before anybody had joined: is it a chat room?")
	}
	return errors.New("the room closed the connection")
}

// send joins the room and sends what the person types.
func (c *chat) send() error {
	if c.options.Pair != "" {
		c.who.Prompt(c.painted(cmp.Or(c.options.Name, "you") + ": "))
	} else if entered, err := c.enter(); !entered || err != nil {
		return err
	}
	for {
		line, err := c.who.Line()
		switch {
		case errors.Is(err, io.EOF) || err == nil && c.leaves(line):
			c.exit()
			return nil
		case err != nil:
			return err
		case strings.TrimSpace(line) == "":
			continue
		}
		if err := c.say(line); err != nil {
			return err
		}
	}
}

// leaves says whether a line is one by which a person leaves.
func (c *chat) leaves(line string) bool {
	line = strings.TrimSpace(line)
	return line == leaveWord || line == "q" || line == c.options.Leave
}

// exit leaves the room.
func (c *chat) exit() {
	c.who.Done()
	c.left.Store(true)
	_ = c.say(c.options.Leave) // as in leave
	c.leave()
}

func (c *chat) say(line string) error {
	_, err := io.WriteString(c.conn, line+"\n")
	return err
}

// enter waits for the room's greeting and gives it a name, and another where that is refused. A room that gives names
// itself is entered with the greeting.
func (c *chat) enter() (entered bool, err error) {
	select {
	case <-c.greeted:
	case <-c.over:
		return false, nil
	case <-time.After(answerLimit):
		return false, c.silent("no greeting")
	}
	for name := c.options.Name; ; name = "" {
		if c.isJoined() {
			return true, nil
		}
		if name == "" {
			if name, err = c.ask(); name == "" {
				return false, err
			}
		}
		if err := c.give(name); err != nil {
			return false, err
		}
		select {
		case accepted := <-c.answers:
			if !accepted && !c.options.Attended {
				return false, c.refused(name)
			}
		case <-c.over:
			return false, nil
		case <-time.After(answerLimit):
			return false, c.silent("no answer to the name " + name)
		}
	}
}

// ask asks for a name; there is none where the person leaves instead.
func (c *chat) ask() (string, error) {
	c.who.Prompt("your name: ")
	for {
		line, err := c.who.Line()
		switch {
		case errors.Is(err, io.EOF) || err == nil && c.leaves(line):
			c.exit()
			return "", nil
		case err != nil:
			return "", err
		}
		if name := strings.TrimSpace(line); name != "" {
			return name, nil
		}
	}
}

// give tells the room a name.
func (c *chat) give(name string) error {
	c.mu.Lock()
	c.name = name
	c.mu.Unlock()
	c.who.Prompt("")
	return c.say(name)
}

func (c *chat) isJoined() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joined
}

// refused leaves a room that does not take the name.
func (c *chat) refused(name string) error {
	c.mu.Lock()
	why := c.last
	c.mu.Unlock()
	c.exit()
	return fmt.Errorf("the room refused the name %q: %s", name, why)
}

// silent leaves what does not speak as a room does.
func (c *chat) silent(what string) error {
	c.exit()
	return fmt.Errorf("%s in %s: is it a chat room?", what, answerLimit)
}

// receive shows what the room says.
func (c *chat) receive() error {
	lines := newLines(c.conn)
	for {
		text, err := nextLine(lines)
		if err != nil {
			return err
		}
		c.hear(visible([]byte(text)))
	}
}

// hear takes one line of the room's.
func (c *chat) hear(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = ""
	if c.options.Pair != "" {
		c.hearPair(text)
		return
	}
	mark, rest := text[:min(len(text), 2)], text[min(len(text), 2):]
	switch name, joins := strings.CutSuffix(rest, " joined"); {
	case mark == "? ": // whether somebody is there: any line is an answer
		_ = c.say("") // where the connection has ended, that is received next
		return
	case mark == "! ":
		c.last = rest
		if !c.joined && c.name != "" {
			c.name = ""
			c.answer(false)
		}
	case mark == "# ":
		c.last = rest
	case mark == "* " && joins && !c.joined && (name == c.name || !c.heard):
		c.name, c.joined = name, true
		c.who.Prompt(c.paint(name, lipgloss.NewStyle().Foreground(lipgloss.Cyan)) + ": ")
		c.answer(true)
	}
	c.who.Show(c.painted(text))
	if !c.heard && mark != "! " {
		c.heard = true
		close(c.greeted)
	}
}

// hearPair takes one line of the other person's; c.mu is held.
func (c *chat) hearPair(text string) {
	if text == c.options.Leave {
		c.parted = true
		c.who.Show(c.painted("* " + c.options.Pair + " left"))
		return
	}
	c.who.Show(c.painted(c.options.Pair + ": " + text))
}

// answer tells what became of the name; nobody may be waiting for it any more.
func (c *chat) answer(accepted bool) {
	select {
	case c.answers <- accepted:
	default:
	}
}

// painted is a line of the room's in the colours of what it is.
func (c *chat) painted(text string) string {
	look := lipgloss.NewStyle()
	switch {
	case strings.HasPrefix(text, "! "):
		return c.paint(text, look.Foreground(lipgloss.Red).Bold(true))
	case strings.HasPrefix(text, "# "):
		return c.paint(text, look.Faint(true))
	case strings.HasPrefix(text, "* "):
		if strings.Contains(text, " left") {
			return c.paint(text, look.Foreground(lipgloss.Yellow))
		}
		return c.paint(text, look.Foreground(lipgloss.Green))
	}
	if name, message, ok := strings.Cut(text, ": "); ok {
		return c.paint(name, look.Foreground(lipgloss.Cyan)) + ": " + message
	}
	return text
}

func (c *chat) paint(text string, look lipgloss.Style) string {
	if !c.options.Color {
		return text
	}
	return look.Render(text)
}
