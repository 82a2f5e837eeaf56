package policy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// ErrBomb is a body that gets too large, or too much larger than it was on the wire, when it is decoded.
var ErrBomb = errors.New("decompression bomb")

// Bounds of decoding.
const (
	maxCodings = 3
	// A body of more than bombSize bytes must not be bombRatio times what came over the wire. Text of one letter is
	// a thousand times smaller with gzip; pages are a hundred times at most.
	bombSize  = 8 << 20
	bombRatio = 250
	// zstdWindow is the window that decoders must have (RFC 9659).
	zstdWindow = 8 << 20
)

// AcceptEncoding is what a browser offers: br and zstd over TLS alone, since proxies in the middle of plain http break
// what they do not know.
func AcceptEncoding(secure bool) string {
	if secure {
		return "gzip, deflate, br, zstd"
	}
	return "gzip, deflate"
}

// Codings are the codings of a body in the order in which they were applied, without those that do nothing. An error
// means that nobody asked for one of them, or that there are too many (RFC 9110, section 8.4).
func Codings(h http.Header) ([]string, error) {
	var codings []string
	for _, coding := range list(h, "Content-Encoding") {
		switch coding = strings.ToLower(coding); coding {
		case "identity":
			continue
		case "x-gzip":
			coding = "gzip"
		case "gzip", "deflate", "br", "zstd":
		default:
			return nil, fmt.Errorf("the body is coded as %s, which was not offered", clip(coding))
		}
		if codings = append(codings, coding); len(codings) > maxCodings {
			return nil, fmt.Errorf("the body is coded more than %d times over", maxCodings)
		}
	}
	return codings, nil
}

// Decode reads a body behind its codings, as [Codings] returns them; more than limit bytes are an error that is [ErrBomb].
// A limit that is negative is none, but for what grows out of proportion. Close does not close r.
func Decode(r io.Reader, codings []string, limit int64) io.ReadCloser {
	wire := &measured{from: r}
	d := &decoded{wire: wire, limit: limit, top: wire}
	if len(codings) == 0 {
		return d
	}
	for _, coding := range slices.Backward(codings) {
		layer := &layer{coding: coding, from: d.top}
		d.layers = append(d.layers, layer)
		d.top = layer
	}
	return d
}

// measured counts what is read.
type measured struct {
	from io.Reader
	n    int64
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.n += int64(n)
	return n, err
}

// decoded is a body behind all its codings.
type decoded struct {
	wire   *measured
	top    io.Reader
	layers []*layer
	n      int64
	limit  int64
}

func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.top.Read(p)
	d.n += int64(n)
	switch {
	case len(d.layers) == 0:
	case d.limit >= 0 && d.n > d.limit:
		err = fmt.Errorf("%w: %d bytes on the wire become more than %d", ErrBomb, d.wire.n, d.limit)
	case d.n > bombSize && d.n/bombRatio > d.wire.n:
		err = fmt.Errorf("%w: %d bytes on the wire have become %d", ErrBomb, d.wire.n, d.n)
	}
	return n, err
}

func (d *decoded) Close() error {
	for _, l := range d.layers {
		if l.close != nil {
			l.close()
		}
	}
	return nil
}

// layer is a body behind one coding. It begins to decode when it is first read, since decoders read ahead when they are
// made.
type layer struct {
	coding string
	from   io.Reader
	reader io.Reader
	close  func()
	err    error
}

func (l *layer) Read(p []byte) (int, error) {
	if l.reader == nil && l.err == nil {
		l.begin()
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.reader.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, ErrBomb) {
		err = fmt.Errorf("the body's %s coding: %w", l.coding, err)
	}
	l.err = err
	return n, err
}

func (l *layer) begin() {
	in := bufio.NewReader(l.from)
	first, err := in.Peek(2)
	if err != nil && len(first) == 0 { // an empty body, as of a response to HEAD, has no coding
		l.err = err
		return
	}
	switch l.coding {
	case "gzip":
		l.reader, err = gzip.NewReader(in)
	case "deflate":
		// Servers send the bare format beside that of zlib, which the standard means (RFC 9110, section 8.4.1.2).
		if len(first) == 2 && first[0]&0x0f == 8 && (uint(first[0])<<8|uint(first[1]))%31 == 0 {
			l.reader, err = zlib.NewReader(in)
		} else {
			l.reader, err = flate.NewReader(in), nil
		}
	case "br":
		l.reader, err = brotli.NewReader(in), nil
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err == nil {
			l.reader, l.close = z, z.Close
		}
	}
	if err != nil {
		l.err = fmt.Errorf("the body's %s coding: %w", l.coding, err)
	}
}
