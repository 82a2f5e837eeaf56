package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What never ends on purpose ends here: an endless response of a server of ours must not fill the run's disk.
const (
	maxEndless     = 64 << 20 // bytes
	maxEndlessTime = time.Minute
	maxRedirects   = 1000
)

// captured is a response that is kept until it is known how it is to be sent.
type captured struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (c *captured) Header() http.Header { return c.header }

func (c *captured) WriteHeader(status int) {
	if status >= http.StatusOK && c.status == 0 {
		c.status = status
	}
}

func (c *captured) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	if c.body.Len()+len(p) > maxEndless {
		return 0, errors.New("the response is too large to be sent in a wrong way")
	}
	return c.body.Write(p)
}

// misbehave answers as the path's content would be, but breaks the rules as the path says.
func (h *handler) misbehave(from *peer, w http.ResponseWriter, r *http.Request, s *site, p *Path) error {
	kept := &captured{header: w.Header().Clone()}
	plain := *p
	plain.Endless = ""
	if err := h.content(from, kept, r, s, &plain); err != nil {
		return err
	}
	body := kept.body.Bytes()
	length := declared(p.ContentLength, len(body))
	if p.CloseAfter != nil {
		body = body[:min(*p.CloseAfter, len(body))]
	}
	if from.http1 == nil {
		return misbehaveHTTP2(w, kept, p, length, body)
	}
	hijacked, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	b := &badWriter{ctx: from.ctx, to: hijacked, drip: time.Duration(p.Drip), until: time.Now().Add(10 * maxEndlessTime)}
	b.head(kept, p, length)
	if r.Method != http.MethodHead {
		b.write(body)
	}
	if p.Reset {
		from.reset("reset on purpose")
	}
	// A client that is gone is told of by its connection.
	_ = hijacked.Close()
	return nil
}

// misbehaveHTTP2 does what of it there is in HTTP/2, whose frames net/http makes.
func misbehaveHTTP2(w http.ResponseWriter, kept *captured, p *Path, length int64, body []byte) error {
	for name, value := range kept.header {
		w.Header()[name] = value
	}
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	w.WriteHeader(cmp.Or(kept.status, http.StatusOK))
	// What cannot be written is what is wanted here.
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush()
	if p.CloseAfter != nil || length > int64(len(body)) {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// declared is the length that a response claims to have: what the option says, by itself or added to what is right.
func declared(option string, right int) int64 {
	n, err := strconv.ParseInt(option, 10, 64)
	switch {
	case err != nil: // there is no option
		return int64(right)
	case option[0] == '+' || option[0] == '-':
		return max(0, int64(right)+n)
	}
	return n
}

// badWriter writes a response by hand.
type badWriter struct {
	ctx   context.Context // ends with the connection
	to    io.Writer
	drip  time.Duration
	until time.Time // when a drip ends
	err   error
}

func (b *badWriter) write(p []byte) {
	if b.drip == 0 && b.err == nil {
		_, b.err = b.to.Write(p)
		return
	}
	for i := range p {
		if b.err != nil || time.Now().After(b.until) {
			return
		}
		_, b.err = b.to.Write(p[i : i+1])
		timer := time.NewTimer(b.drip)
		select {
		case <-timer.C:
		case <-b.ctx.Done():
			timer.Stop()
			b.err = b.ctx.Err()
		}
	}
}

// head writes the status line and the fields.
func (b *badWriter) head(kept *captured, p *Path, length int64) {
	status := cmp.Or(kept.status, http.StatusOK)
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s\r\n", cmp.Or(p.StatusLine, fmt.Sprintf("HTTP/1.1 %d %s", status, http.StatusText(status))))
	kept.header.Set("Content-Length", strconv.FormatInt(length, 10))
	kept.header.Set("Connection", "close")
	kept.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	// A buffer takes everything.
	_ = kept.header.Write(&head)
	b.write(head.Bytes())
	if p.Endless == endlessHeaders {
		b.fields()
	}
	b.write([]byte("\r\n"))
}

// fields writes fields as long as anybody reads them, within the bounds.
func (b *badWriter) fields() {
	end := time.Now().Add(maxEndlessTime)
	value := strings.Repeat("x", 1000)
	for n, sent := 0, 0; b.err == nil && sent < maxEndless && time.Now().Before(end); n++ {
		line := fmt.Appendf(nil, "X-Endless-%d: %s\r\n", n, value)
		b.write(line)
		sent += len(line)
	}
}

// endless answers with a body, or with redirects to the same path, that do not end before the bounds.
func endless(ctx context.Context, w http.ResponseWriter, r *http.Request, p *Path) {
	if p.Endless == endlessRedirects {
		hop, err := strconv.Atoi(r.URL.Query().Get("hop"))
		if err != nil {
			hop = 0
		}
		if hop >= maxRedirects {
			sendPage(w, r, http.StatusLoopDetected)
			return
		}
		w.Header().Set("Location", fmt.Sprintf("%s?hop=%d", r.URL.EscapedPath(), hop+1))
		sendStatus(w, r, cmp.Or(p.Status, http.StatusFound), p.Body)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	piece := bytes.Repeat([]byte(cmp.Or(p.Body, "and so on ")), 1+16<<10/max(1, len(p.Body)))
	end := time.Now().Add(maxEndlessTime)
	for sent := 0; sent < maxEndless && ctx.Err() == nil && time.Now().Before(end); sent += len(piece) {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}
