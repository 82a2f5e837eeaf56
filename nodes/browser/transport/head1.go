package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

var errHeadTooLong = fmt.Errorf("the head of the response is longer than %d KiB", maxHead>>10)

// headReader reads heads of HTTP/1.1 responses, as strictly as RFC 9112 lets a client be: what two programs on the way
// could read differently is refused.
type headReader struct {
	from *bufio.Reader
	raw  *[]byte // takes every byte that is read
}

// head1 is a status line and the fields behind it.
type head1 struct {
	status int
	proto  string // HTTP/1.1
	header http.Header
}

// line reads up to a CRLF and returns what is before it, until the next call.
func (r *headReader) line() ([]byte, error) {
	begin := len(*r.raw)
	for {
		part, err := r.from.ReadSlice('\n')
		*r.raw = append(*r.raw, part...)
		switch {
		case len(*r.raw) > maxHead:
			return nil, errHeadTooLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("its head ended early: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return nil, err
		}
		line, ok := bytes.CutSuffix((*r.raw)[begin:], []byte("\r\n"))
		if !ok {
			return nil, errors.New("a line of its head ends with LF alone, without CR")
		}
		if bytes.IndexByte(line, '\r') >= 0 {
			return nil, errors.New("a line of its head has a CR that no LF follows")
		}
		return line, nil
	}
}

// read reads a head.
func (r *headReader) read() (head1, error) {
	line, err := r.start()
	if err != nil {
		return head1{}, err
	}
	h, err := statusLine(line)
	if err != nil {
		return head1{}, err
	}
	h.header, err = r.fields()
	return h, err
}

// start reads the first line that is not empty: some servers send a CRLF too many behind a body (RFC 9112, section 2.2).
func (r *headReader) start() ([]byte, error) {
	for {
		next, err := r.from.Peek(1)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if next[0] != '\r' && next[0] != '\n' {
			return r.line()
		}
		if *r.raw = append(*r.raw, next[0]); len(*r.raw) > maxHead {
			return nil, errHeadTooLong
		}
		if _, err := r.from.Discard(1); err != nil {
			return nil, err
		}
	}
}

// statusLine reads a status line (RFC 9112, section 4).
func statusLine(line []byte) (head1, error) {
	const shape = len("HTTP/1.1 200")
	text := string(line)
	bad := func() (head1, error) { return head1{}, fmt.Errorf("%.40q is no status line", text) }
	if len(text) < shape || text[:5] != "HTTP/" || text[6] != '.' || text[8] != ' ' || !digits(text[9:shape]) {
		return bad()
	}
	if len(text) > shape && text[shape] != ' ' {
		return bad()
	}
	switch text[5:8] {
	case "1.1", "1.0", "0.9", "2.0":
	default:
		return head1{}, fmt.Errorf("%.8q is no version of HTTP that is spoken over this connection", text)
	}
	status, err := strconv.Atoi(text[9:shape])
	if err != nil || status < 100 {
		return bad()
	}
	return head1{status: status, proto: text[:8]}, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// fields reads fields up to the empty line (RFC 9112, section 5).
func (r *headReader) fields() (http.Header, error) {
	header := make(http.Header)
	for {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			return header, nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			return nil, errors.New("a line of its head begins with white space: fields that go on in the next line are no longer allowed")
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !httpguts.ValidHeaderFieldName(string(name)) {
			return nil, fmt.Errorf("%.40q is no field: its name must be a token with a colon behind it", line)
		}
		text := string(bytes.Trim(value, " \t"))
		if !httpguts.ValidHeaderFieldValue(text) {
			return nil, fmt.Errorf("the field %s has characters that no field may have", name)
		}
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		header[key] = append(header[key], text)
	}
}

// framing is where the body of a response ends.
type framing struct {
	none    bool
	chunked bool
	length  int64 // -1: at the end of the connection, or with the last chunk
	told    int64 // the length that the head names; -1: none
	close   bool  // the connection ends with the response
}

// framing finds the length of the body (RFC 9112, section 6.3).
func (h head1) framing(method string) (framing, error) {
	f := framing{length: -1, told: -1}
	connection := h.header["Connection"]
	f.close = httpguts.HeaderValuesContainsToken(connection, "close") ||
		h.proto != "HTTP/1.1" && !httpguts.HeaderValuesContainsToken(connection, "keep-alive")
	codings := h.header["Transfer-Encoding"]
	lengths := h.header["Content-Length"]
	if len(lengths) > 1 || len(lengths) == 1 && !digits(lengths[0]) {
		return f, fmt.Errorf("its Content-Length %q is not one number", strings.Join(lengths, ", "))
	}
	if len(lengths) == 1 {
		n, err := strconv.ParseInt(lengths[0], 10, 64)
		if err != nil {
			return f, fmt.Errorf("its Content-Length %.30q is beyond all bounds", lengths[0])
		}
		f.told = n
	}
	switch {
	case bodiless(method, h.status):
		f.none, f.length = true, 0
	case len(codings) > 0:
		f.told = -1
		f.chunked = finallyChunked(codings)
		// Both fields at once may be the work of somebody who wants them read differently (RFC 9112, section 6.1).
		f.close = f.close || !f.chunked || len(lengths) > 0 || h.proto != "HTTP/1.1"
	case f.told >= 0:
		f.length = f.told
		f.none = f.told == 0
	default:
		f.close = true
	}
	return f, nil
}

// finallyChunked says that chunked is the last of the transfer codings.
func finallyChunked(codings []string) bool {
	last := codings[len(codings)-1]
	last = last[strings.LastIndexByte(last, ',')+1:]
	return strings.EqualFold(strings.Trim(last, " \t"), "chunked")
}
