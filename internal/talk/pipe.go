package talk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line of a chat and of a pipe, in bytes.
const maxLine = 64 << 10

// Pipe is a program in the place of a person: it writes lines, and takes what comes in as it is.
type Pipe struct {
	lines *bufio.Scanner
	out   io.Writer
}

// NewPipe returns a pipe from in and to out.
func NewPipe(in io.Reader, out io.Writer) *Pipe { return &Pipe{newLines(in), out} }

func newLines(in io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	return lines
}

// nextLine returns a line without its end, "\n" or "\r\n"; io.EOF after the last.
func nextLine(lines *bufio.Scanner) (string, error) {
	if lines.Scan() {
		return lines.Text(), nil
	}
	switch err := lines.Err(); {
	case err == nil:
		return "", io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return "", fmt.Errorf("a line of more than %d bytes", maxLine)
	default:
		return "", err
	}
}

// Line returns the next line, without its end; io.EOF after the last.
func (p *Pipe) Line() (string, error) { return nextLine(p.lines) }

// Prompt does nothing: a program needs none.
func (p *Pipe) Prompt(string) {}

// Show writes a line, which has no end.
func (p *Pipe) Show(line string) {
	_, _ = io.WriteString(p.out, line+"\n") // a reader that has gone is a signal (SIGPIPE)
}

// Done does nothing: there is nothing to give back.
func (p *Pipe) Done() {}
