package cli

import (
	"io"
	"os"

	"golang.org/x/term"

	"scenario/report"
)

// look is how a command's output looks. It is data, so that a detached owner writes for the terminal of the process that
// started it.
type look struct {
	JSON     bool `json:"json,omitempty"`
	Raw      bool `json:"raw,omitempty"`      // HTTP as bytes on the wire
	Live     bool `json:"live,omitempty"`     // lines about progress may be rewritten
	Color    bool `json:"color,omitempty"`    // of what goes to standard output
	Width    int  `json:"width,omitempty"`    // columns; 0: not bounded
	Attended bool `json:"attended,omitempty"` // a person is at the terminal
}

// look returns how output should look here.
func (a *App) look() look {
	out := terminal(a.Stdout)
	l := look{
		Live:     terminal(a.Stderr) && os.Getenv("TERM") != "dumb",
		Color:    out && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Attended: out && terminal(a.Stdin),
	}
	if out {
		l.Width = width(a.Stdout)
	}
	return l
}

func (l look) report(steps ...string) report.Options {
	return report.Options{Steps: steps, Color: l.Color, Width: l.Width, Raw: l.Raw}
}

func terminal(stream any) bool {
	f := file(stream)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// width is a terminal's width in columns; 0 where it does not tell.
func width(w io.Writer) int {
	f := file(w)
	if f == nil {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
