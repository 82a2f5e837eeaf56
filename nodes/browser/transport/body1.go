package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxChunkLine bounds the line before a chunk, with its extensions, in bytes.
	maxChunkLine = 4 << 10
	// maxOverhead bounds what chunks may cost beyond their data, so that a server cannot keep us busy with nothing.
	maxOverhead = 64 << 10
)

// body1 is the body of an HTTP/1.1 response.
type body1 struct {
	x       *exchange1
	in      *bufio.Reader
	left    int64 // of the body, or of the chunk; -1: up to the end of the connection
	want    int64 // bytes of the body; -1: not known
	got     int64
	chunked bool
	inChunk bool
	excess  int64 // that chunks cost so far beyond their data
	trailer http.Header
	whole   bool
	err     error
}

func (b *body1) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.whole:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.read(p)
	b.got += int64(n)
	switch {
	case b.whole:
		b.x.whole = true
		if n == 0 {
			return 0, io.EOF
		}
	case err != nil:
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = early(b.got, b.want, io.ErrUnexpectedEOF)
		}
		b.err = b.x.fail(PhaseResponse, fmt.Errorf("response from %s: %w", b.x.conn.remote, err))
		if n == 0 {
			return 0, b.err
		}
	}
	return n, nil
}

// read reads some of the body and sets whole at its end.
func (b *body1) read(p []byte) (int, error) {
	if b.chunked && !b.inChunk {
		if err := b.chunk(); err != nil || b.whole {
			return 0, err
		}
	}
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.in.Read(p)
	b.x.kept.record(p[:n])
	if b.left >= 0 {
		b.left -= int64(n)
	}
	switch {
	case b.chunked && b.left == 0:
		b.inChunk = false
		return n, b.crlf()
	case b.left == 0:
		b.whole = true
	case b.left < 0 && err == io.EOF:
		b.whole, b.x.eof = true, true
	}
	return n, err
}

// crlf reads the end of a chunk's data.
func (b *body1) crlf() error {
	line, err := b.line()
	if err == nil && len(line) > 0 {
		err = errors.New("the data of a chunk is longer than its size says")
	}
	return err
}

// line reads a line of the framing up to its CRLF.
func (b *body1) line() ([]byte, error) {
	line, err := b.in.ReadSlice('\n')
	b.x.kept.record(line)
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || err == nil && len(line) > maxChunkLine:
		return nil, errors.New("a line between its chunks is too long")
	case err != nil:
		return nil, err
	case len(line) < 2 || line[len(line)-2] != '\r':
		return nil, errors.New("a line between its chunks does not end with CR LF")
	}
	return line[:len(line)-2], nil
}

// chunk reads the line before a chunk (RFC 9112, section 7.1); behind the last one, the trailers.
func (b *body1) chunk() error {
	line, err := b.line()
	if err != nil {
		return err
	}
	size, rest, err := chunkSize(line)
	if err != nil {
		return err
	}
	if err := chunkExtensions(rest); err != nil {
		return err
	}
	b.excess = max(0, b.excess+int64(len(line))+4-16-2*min(size, maxOverhead))
	if b.excess > maxOverhead {
		return errors.New("its chunks are mostly framing")
	}
	b.left, b.inChunk = size, true
	if size > 0 {
		return nil
	}
	var raw []byte
	fields := headReader{from: b.in, raw: &raw}
	trailer, err := fields.fields()
	b.x.kept.record(raw)
	if err != nil {
		return err
	}
	for name, values := range trailer {
		b.trailer[name] = values
	}
	b.whole = true
	return nil
}

// chunkSize reads the size before a chunk and returns what follows it.
func chunkSize(line []byte) (size int64, rest []byte, err error) {
	const most = 15 // digits: more than any size
	i := 0
	for ; i < len(line); i++ {
		c := line[i]
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = c | 0x20 - 'a' + 10
		default:
			return sized(line, i, size)
		}
		if i == most {
			return 0, nil, errors.New("the size of a chunk is beyond all bounds")
		}
		size = size<<4 | int64(digit)
	}
	return sized(line, i, size)
}

func sized(line []byte, digits int, size int64) (int64, []byte, error) {
	rest := line[digits:]
	if digits == 0 || len(rest) > 0 && rest[0] != ';' {
		return 0, nil, fmt.Errorf("%.30q is no size of a chunk", line)
	}
	return size, rest, nil
}

// chunkExtensions checks what is behind the size of a chunk (RFC 9112, section 7.1.1). Nothing there is of use.
func chunkExtensions(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	bad := fmt.Errorf("%.30q are no extensions of a chunk", text)
	token := func() bool {
		n := 0
		for n < len(text) && httpguts.IsTokenRune(rune(text[n])) {
			n++
		}
		text = text[n:]
		return n > 0
	}
	for len(text) > 0 {
		if text[0] != ';' {
			return bad
		}
		text = text[1:]
		if !token() {
			return bad
		}
		if len(text) == 0 || text[0] != '=' {
			continue
		}
		text = text[1:]
		if len(text) > 0 && text[0] == '"' {
			n, ok := quoted(text)
			if !ok {
				return bad
			}
			text = text[n:]
		} else if !token() {
			return bad
		}
	}
	return nil
}

// quoted is the length of the quoted string that text begins with (RFC 9110, section 5.6.4).
func quoted(text []byte) (n int, ok bool) {
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1, true
		case c == '\\':
			if i++; i == len(text) || text[i] < ' ' && text[i] != '\t' || text[i] == 0x7f {
				return 0, false
			}
		case c < ' ' && c != '\t' || c == 0x7f:
			return 0, false
		}
	}
	return 0, false
}
