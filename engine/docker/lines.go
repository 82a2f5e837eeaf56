package docker

import (
	"bytes"
	"strings"
)

// maxTextLine bounds a line of a program's output, in bytes; longer ones are broken.
const maxTextLine = 64 << 10

// lineWriter calls line for each line written to it.
type lineWriter struct {
	line func(text string)
	rest []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		switch {
		case end >= 0:
			w.emit(w.rest[:end])
			w.rest = w.rest[end+1:]
		case len(w.rest) >= maxTextLine:
			w.emit(w.rest[:maxTextLine])
			w.rest = w.rest[maxTextLine:]
		default:
			return len(data), nil
		}
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.emit(w.rest)
		w.rest = nil
	}
}

func (w *lineWriter) emit(text []byte) {
	w.line(strings.ToValidUTF8(strings.TrimSuffix(string(text), "\r"), "\uFFFD"))
}
