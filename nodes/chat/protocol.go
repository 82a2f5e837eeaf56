package chat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the protocol, in bytes.
const (
	maxLine = 1024 // of what a client sends, without the line's end
	maxName = 32
	// readAhead is how much of a stream is held that was not asked for yet: most connections to a room are silent most of
	// the time, and there may be many.
	readAhead = 512
)

// areYouThere is what the room asks of a member that has been silent.
const areYouThere = "are you there"

// lineKind tells the server's lines apart.
type lineKind string

// The kinds of line that a server sends.
const (
	lineMessage lineKind = "message" // NAME: TEXT
	lineJoin    lineKind = "join"    // * NAME joined
	lineLeave   lineKind = "leave"   // * NAME left, or * NAME left: REASON
	lineRefusal lineKind = "refusal" // ! what of the client's was refused, and why
	lineAsk     lineKind = "ask"     // ? whether somebody is there: any line is an answer, an empty one too
	lineRemark  lineKind = "remark"  // # anything for a person to read
)

// encode is the line as it goes over the wire.
func (l line) encode() []byte { return append([]byte(l.String()), '\n') }

// line is one line of the server's.
type line struct {
	kind lineKind
	name string // of whom it tells: message, join, leave
	text string // message, refusal, remark; of leave the reason
}

func (l line) String() string {
	switch l.kind {
	case lineMessage:
		return l.name + ": " + l.text
	case lineJoin:
		return "* " + l.name + " joined"
	case lineLeave:
		if l.text != "" {
			return "* " + l.name + " left: " + l.text
		}
		return "* " + l.name + " left"
	case lineRefusal:
		return "! " + l.text
	case lineAsk:
		return "? " + l.text
	}
	return "# " + l.text
}

// parseLine reads a server's line. What is none of the protocol's is a remark.
func parseLine(text string) line {
	if rest, ok := strings.CutPrefix(text, "! "); ok {
		return line{kind: lineRefusal, text: rest}
	}
	if rest, ok := strings.CutPrefix(text, "? "); ok {
		return line{kind: lineAsk, text: rest}
	}
	if rest, ok := strings.CutPrefix(text, "# "); ok {
		return line{kind: lineRemark, text: rest}
	}
	if rest, ok := strings.CutPrefix(text, "* "); ok {
		name, news, _ := strings.Cut(rest, " ")
		what, reason, why := strings.Cut(news, ": ")
		switch {
		case checkName(name) != nil:
		case news == "joined":
			return line{kind: lineJoin, name: name}
		case what == "left" && why == (reason != ""):
			return line{kind: lineLeave, name: name, text: reason}
		}
		return line{kind: lineRemark, text: text}
	}
	name, message, ok := strings.Cut(text, ": ")
	if !ok || checkName(name) != nil {
		return line{kind: lineRemark, text: text}
	}
	return line{kind: lineMessage, name: name, text: message}
}

// checkName says what is wrong with a name that a client gives.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name is longer than %d bytes", maxName)
	case strings.ContainsAny(name[:1], "*!#?"):
		return fmt.Errorf("a name does not begin with %s", name[:1])
	case strings.ContainsFunc(name, func(r rune) bool { return r == ':' || !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return errors.New("a name has no spaces and no colons")
	}
	return nil
}

// badLine is a line that is no part of the protocol; the stream goes on after it.
type badLine string

func (b badLine) Error() string { return string(b) }

// lineReader reads a stream line by line and holds no more of it than a line may have.
type lineReader struct {
	in  *bufio.Reader
	max int // bytes of a line, without its end
}

func newLineReader(r io.Reader, max int) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(r, readAhead), max: max}
}

// next returns the next line without its end, "\n" or "\r\n". The last line may have none. A line that may not be is a
// [badLine], and next can be called again; any other error is the stream's.
func (r *lineReader) next() (string, error) {
	var text []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if len(text) <= r.max {
			text = append(text, part[:min(len(part), r.max+3-len(text))]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
			return "", err
		}
		break
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	return checkLine(text, r.max)
}

// checkLine returns the text of a line, without its end, or a [badLine].
func checkLine(text []byte, max int) (string, error) {
	switch {
	case len(text) > max:
		return "", badLine(fmt.Sprintf("the line is longer than %d bytes", max))
	case !utf8.Valid(text):
		return "", badLine("the line is not UTF-8")
	case bytes.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }):
		return "", badLine("the line has control characters")
	}
	return string(text), nil
}
