package web

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// minCompressed is the size below which a body is not worth compressing, in bytes.
const minCompressed = 512

// codings are the content codings that the server has, best first. deflate is the zlib format (RFC 9110, section 8.4.1.2).
func codings() Codings { return Codings{"br", "zstd", "gzip", "deflate"} }

// negotiate chooses a content coding by an Accept-Encoding field (RFC 9110, section 12.5.3) among those offered, best first;
// empty: none. ok is false where the client accepts neither one of them nor the body as it is.
func negotiate(accept []string, offered []string) (coding string, ok bool) {
	if len(accept) == 0 {
		return "", true
	}
	weights := make(map[string]float64)
	for member := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, parameters, _ := strings.Cut(member, ";")
		weight := 1.0
		if q, found := strings.CutPrefix(strings.ToLower(strings.Trim(parameters, " \t")), "q="); found {
			var err error
			if weight, err = strconv.ParseFloat(strings.Trim(q, " \t"), 64); err != nil || weight < 0 || weight > 1 {
				continue
			}
		}
		if name = strings.ToLower(strings.Trim(name, " \t")); name == "x-gzip" {
			name = "gzip"
		}
		if name != "" {
			weights[name] = weight
		}
	}
	weigh := func(name string) (float64, bool) {
		if weight, found := weights[name]; found {
			return weight, true
		}
		weight, found := weights["*"]
		return weight, found
	}
	best := 0.0
	for _, name := range offered {
		if weight, _ := weigh(name); weight > best {
			coding, best = name, weight
		}
	}
	plain, mentioned := weigh("identity")
	if mentioned && plain > best {
		return "", true
	}
	return coding, coding != "" || !mentioned || plain > 0
}

// compressible says that a body of a media type gets smaller: pictures and the like are compressed already.
func compressible(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(strings.ToLower(kind))
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		slices.Contains([]string{"application/json", "application/javascript", "application/xml", "application/wasm", "font/ttf"}, kind)
}

// encoder compresses what is written to it; Flush has all of that arrive.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// newEncoder makes the encoder of a coding that negotiate chose.
func newEncoder(coding string, w io.Writer) encoder {
	switch coding {
	case "br":
		return brotli.NewWriterLevel(w, 5)
	case "zstd":
		// The options are right, and there is no other error. One goroutine: the caller's.
		e, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		return e
	case "gzip":
		return gzip.NewWriter(w)
	}
	return zlib.NewWriter(w)
}

// compressed is a body in a content coding.
func compressed(coding string, body []byte) []byte {
	var out bytes.Buffer
	e := newEncoder(coding, &out)
	// A buffer takes everything.
	_, _ = e.Write(body)
	_ = e.Close()
	return out.Bytes()
}

// variantTag is the entity tag of a file in a coding: another representation has another one (RFC 9110, section 8.8.3.3).
func variantTag(tag, coding string) string {
	if coding == "" || tag == "" {
		return tag
	}
	return strings.TrimSuffix(tag, `"`) + "-" + coding + `"`
}

// compressor compresses a response while it is written, where its head says that this is worth it.
type compressor struct {
	http.ResponseWriter
	request *http.Request
	offered []string
	begun   bool
	encoder encoder // nil: the body goes as it is
}

// Unwrap is for http.ResponseController.
func (c *compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *compressor) WriteHeader(status int) {
	if c.begun || status < 200 {
		c.ResponseWriter.WriteHeader(status)
		return
	}
	c.begun = true
	header := c.Header()
	size, err := strconv.Atoi(header.Get("Content-Length"))
	small := err == nil && size < minCompressed
	if !small && status != http.StatusPartialContent && status != http.StatusNoContent && status != http.StatusNotModified &&
		header.Get("Content-Encoding") == "" && compressible(header.Get("Content-Type")) {
		addVary(header, "Accept-Encoding")
		if coding, _ := negotiate(c.request.Header.Values("Accept-Encoding"), c.offered); coding != "" {
			header.Set("Content-Encoding", coding)
			header.Del("Content-Length")
			if tag := header.Get("ETag"); tag != "" {
				header.Set("ETag", variantTag(tag, coding))
			}
			if c.request.Method != http.MethodHead {
				c.encoder = newEncoder(coding, c.ResponseWriter)
			}
		}
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *compressor) Write(p []byte) (int, error) {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	if c.encoder != nil {
		return c.encoder.Write(p)
	}
	return c.ResponseWriter.Write(p)
}

// FlushError sends what has been written.
func (c *compressor) FlushError() error {
	if c.encoder != nil {
		if err := c.encoder.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// close ends the body.
func (c *compressor) close() error {
	if c.encoder == nil {
		return nil
	}
	return c.encoder.Close()
}

// addVary adds a field's name to the Vary field, once.
func addVary(header http.Header, name string) {
	if !slices.ContainsFunc(header.Values("Vary"), func(have string) bool { return strings.Contains(strings.ToLower(have), strings.ToLower(name)) }) {
		header.Add("Vary", name)
	}
}
