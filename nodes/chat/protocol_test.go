package chat

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestNextLine(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := []struct {
		name, in string
		want     []string // a refused line is "!" and why
	}{
		{"lines", "one\ntwo\r\n\nfour", []string{"one", "two", "", "four"}},
		{"nothing", "", nil},
		{"tab", "a\tb\n", []string{"a\tb"}},
		{"lone carriage return", "a\rb\nc\n", []string{"!the line has control characters", "c"}},
		{"control characters", "\x1b[2J\nok\n", []string{"!the line has control characters", "ok"}},
		{"C1 control character", "\u0085\nok\n", []string{"!the line has control characters", "ok"}},
		{"not UTF-8", "\xff\xfe\nok\n", []string{"!the line is not UTF-8", "ok"}},
		{"as long as may be", long + "\r\nok\n", []string{long, "ok"}},
		{"too long", long + "x\nok\n", []string{"!the line is longer than 1024 bytes", "ok"}},
		{"far too long", strings.Repeat(long, 64) + "\nok\n", []string{"!the line is longer than 1024 bytes", "ok"}},
		{"too long without an end", long + "xy", []string{"!the line is longer than 1024 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := readLines(strings.NewReader(test.in))
			if err != io.EOF {
				t.Errorf("ended with %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("lines differ (-want +got):\n%s", diff)
			}
		})
	}
	lost := errors.New("lost")
	if got, err := readLines(io.MultiReader(strings.NewReader("one\ntw"), iotest.ErrReader(lost))); len(got) != 1 || err != lost {
		t.Errorf("a connection lost in the middle of a line: %q, %v", got, err)
	}
}

// readLines reads to the end of the stream.
func readLines(r io.Reader) (lines []string, err error) {
	reader := newLineReader(r, maxLine)
	for {
		text, err := reader.next()
		var bad badLine
		switch {
		case errors.As(err, &bad):
			lines = append(lines, "!"+bad.Error())
		case err != nil:
			return lines, err
		default:
			lines = append(lines, text)
		}
	}
}

func FuzzNextLine(f *testing.F) {
	f.Add([]byte("ann\nhello\r\nexit\n"))
	f.Add([]byte("\xff\n\x00\n\r\r\n\n"))
	f.Add([]byte(strings.Repeat("é", maxLine) + "\nx"))
	f.Add([]byte(strings.Repeat("x", maxLine) + "\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := readLines(bytes.NewReader(data))
		if err != io.EOF {
			t.Fatalf("ended with %v", err)
		}
		want := bytes.Count(data, []byte("\n"))
		if len(data) > 0 && data[len(data)-1] != '\n' {
			want++
		}
		if len(lines) != want {
			t.Errorf("%d lines of %d", len(lines), want)
		}
		for _, text := range lines {
			if len(text) > maxLine || !utf8.ValidString(text) ||
				strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
				t.Errorf("line %q was let through", text)
			}
		}
		pieces, err := readLines(iotest.OneByteReader(bytes.NewReader(data)))
		if diff := cmp.Diff(lines, pieces); diff != "" || err != io.EOF {
			t.Errorf("arriving byte by byte makes a difference (%v):\n%s", err, diff)
		}
	})
}

func TestParseLine(t *testing.T) {
	tests := []struct {
		text string
		want line
	}{
		{"ann: hello", line{lineMessage, "ann", "hello"}},
		{"ann: a: b", line{lineMessage, "ann", "a: b"}},
		{"Zoë: ", line{lineMessage, "Zoë", ""}},
		{"* ann joined", line{lineJoin, "ann", ""}},
		{"* ann left", line{lineLeave, "ann", ""}},
		{"* ann left: connection lost (ECONNRESET)", line{lineLeave, "ann", "connection lost (ECONNRESET)"}},
		{"! the name is empty", line{lineRefusal, "", "the name is empty"}},
		{"? are you there", line{lineAsk, "", "are you there"}},
		{"# bob is here", line{lineRemark, "", "bob is here"}},
		{"* ann danced", line{lineRemark, "", "* ann danced"}},
		{"* ann left: ", line{lineRemark, "", "* ann left: "}},
		{"* joined", line{lineRemark, "", "* joined"}},
		{"HTTP/1.1 400 Bad Request", line{lineRemark, "", "HTTP/1.1 400 Bad Request"}},
		{"a name: text", line{lineRemark, "", "a name: text"}},
		{"", line{lineRemark, "", ""}},
	}
	for _, test := range tests {
		if got := parseLine(test.text); got != test.want {
			t.Errorf("%q is read as %+v, want %+v", test.text, got, test.want)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{"ann: hi", "* ann joined", "* ann left", "* ann left: lost", "! no", "# note", "* ", ": ", "!"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := parseLine(text)
		if got.kind == lineRemark {
			return // may hold anything
		}
		if got.String() != text {
			t.Errorf("%q is read as %+v, which is written %q", text, got, got)
		}
		if got.name != "" && checkName(got.name) != nil {
			t.Errorf("%q: name %q could not have joined", text, got.name)
		}
	})
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"ann", "Zoë", "李", "a-b_c.9", "😀", strings.Repeat("x", maxName)} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a:b", "*", "#ann", "!x", "?", "a\u00a0b", "a\u200bb", "a\tb", strings.Repeat("x", maxName+1)} {
		if checkName(name) == nil {
			t.Errorf("%q may be a name", name)
		}
	}
}
