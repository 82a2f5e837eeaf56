package browser

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"scenario/host"
	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/weburl"
	"scenario/nodes/role"
)

// Bounds of downloads.
const (
	maxParallel = 16
	maxDownload = 256 << 20 // bytes of a file
	maxHeld     = 64 << 20  // bytes of a file that are held: to join parts, and to go on later
	maxPartials = 8         // files of which the beginning is held
)

// DownloadArgs are the arguments of the action download.
type DownloadArgs struct {
	URL        string        `json:"url" jsonschema_description:"the address, as a person types it, or relative to the page that is open" jsonschema:"required"`
	Parallel   int           `json:"parallel,omitempty" jsonschema_description:"how many parts are asked for side by side, where the server has ranges" jsonschema:"default=1,minimum=1,maximum=16"`
	ResumeFrom int64         `json:"resume_from,omitempty" jsonschema_description:"bytes that an earlier download of the address has got: only what follows is asked for" jsonschema:"minimum=0"`
	Ranges     string        `json:"ranges,omitempty" jsonschema_description:"only these bytes, in one request: 0-99,200-299 or -50" `
	Expect     string        `json:"expect,omitempty" jsonschema_description:"the SHA-256 that the file should have, in hexadecimal digits"`
	Timeout    role.Duration `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// DownloadResult is what came of a download.
type DownloadResult struct {
	URL          string   `json:"url"` // after redirects
	Status       int      `json:"status"`
	AcceptRanges string   `json:"accept_ranges"`      // the server's field: bytes, none, or empty
	Size         int64    `json:"size"`               // bytes that are there now, with those of an earlier download; of ranges: of all of them
	Whole        int64    `json:"whole"`              // bytes of the whole file, where the server says; else -1
	SHA256       string   `json:"sha256"`             // of those bytes, joined in their order
	Verified     bool     `json:"verified"`           // it is the one that was expected
	Parts        []*Part  `json:"parts"`              // in the order of the file
	ResumedFrom  int64    `json:"resumed_from"`       // the offset from which the server went on; 0: it began anew
	Fallback     string   `json:"fallback,omitempty"` // why the file came in another way than was asked for
	Requests     []*Fetch `json:"requests"`
	Connections  int      `json:"connections"`
	Duration     float64  `json:"duration_s"`
	Error        *Failure `json:"error,omitempty"`
}

// Part is a part of a file that came in one piece.
type Part struct {
	First    int64   `json:"first"` // offset of its first byte
	Last     int64   `json:"last"`
	Bytes    int64   `json:"bytes"`
	SHA256   string  `json:"sha256"`
	Status   int     `json:"status"` // 206, or 200 where it is the whole file
	Remote   string  `json:"remote"`
	Start    float64 `json:"start_s"`
	Duration float64 `json:"duration_s"`

	body []byte
}

// partial is the beginning of a file that a download has got.
type partial struct {
	url       string
	validator string // for If-Range
	body      []byte
}

// transfer is one download while it runs.
type transfer struct {
	visit  *visit
	url    *weburl.URL
	from   *weburl.URL // the page that is open; nil: none
	result *DownloadResult

	mu        sync.Mutex
	validator string
	held      int64
}

// download gets a file.
func (s *session) download(ctx context.Context, a DownloadArgs) (*DownloadResult, error) {
	u, from, err := s.address(a.URL)
	if err != nil {
		return nil, err
	}
	var ranges []policy.Range
	if a.Ranges != "" {
		if ranges, err = policy.ParseRanges(a.Ranges); err != nil {
			return nil, err
		}
	}
	switch {
	case a.Parallel < 0 || a.Parallel > maxParallel:
		return nil, fmt.Errorf("parallel is %d, not 1 to %d", a.Parallel, maxParallel)
	case a.ResumeFrom < 0:
		return nil, errors.New("resume_from is negative")
	case a.ResumeFrom > 0 && a.Parallel > 1, ranges != nil && (a.Parallel > 1 || a.ResumeFrom > 0):
		return nil, errors.New("only one of parallel, resume_from and ranges")
	}
	v, ctx, cancel := s.begin(ctx, a.Timeout)
	defer cancel()
	d := &transfer{visit: v, url: u, from: from, result: &DownloadResult{URL: u.Bare(), Whole: -1, Parts: []*Part{}}}
	switch {
	case ranges != nil:
		d.some(ctx, ranges)
	case a.ResumeFrom > 0:
		d.resume(ctx, a.ResumeFrom)
	case a.Parallel > 1:
		d.parallel(ctx, a.Parallel)
	default:
		d.whole(ctx)
	}
	v.end(ctx)
	d.finish(a.Expect)
	return d.result, nil
}

// address reads an address as a person types it, or relative to the page that is open.
func (s *session) address(text string) (u, from *weburl.URL, err error) {
	if t := s.current(); t != nil && t.page.url != nil {
		from = t.page.url
		if !hasScheme(text) {
			u, err = t.page.base.Parse(strings.TrimSpace(text))
			if relative := strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") || strings.HasPrefix(text, "?"); relative {
				return u, from, err
			}
		}
	}
	u, err = typed(text)
	return u, from, err
}

// ask makes a request for the file, or a part of it.
func (d *transfer) ask(ctx context.Context, method string, fields []policy.Field, read func(*request, *response) error) *request {
	o := order{
		destination: policy.Fetch, mode: policy.Navigate, credentials: policy.IncludeCredentials, cacheMode: cache.NoStore,
		redirects: redirectFollow, from: d.from, initiator: browserItself,
	}
	r := d.visit.request(d.url, o)
	r.method, r.result.Method = method, method
	// A part of a compressed file is of no use without what goes before it.
	r.fields = append(fields, policy.Field{Name: "Accept-Encoding", Value: "identity"})
	last := d.visit.chase(ctx, r, func(_ context.Context, last *request, resp *response) error {
		d.mu.Lock()
		d.result.URL, d.result.Status = last.url.Bare(), resp.status
		d.result.AcceptRanges = resp.header.Get("Accept-Ranges")
		d.mu.Unlock()
		return read(last, resp)
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if last.result.Error != nil && d.result.Error == nil {
		d.result.Error = last.result.Error
		d.result.Status = last.result.Status
	}
	return last
}

// bad fails with a status that brings no file.
func bad(status int) error { return fmt.Errorf("the server answers %d and sends no file", status) }

// take keeps a part that begins at an offset.
func (d *transfer) take(r *request, status int, first int64, body io.Reader) error {
	p := &Part{First: first, Status: status, Remote: r.result.Remote, Start: r.result.Start}
	sum := sha256.New()
	var kept bytes.Buffer
	buffer := make([]byte, 32<<10)
	var failed error
	for failed == nil {
		n, err := body.Read(buffer)
		sum.Write(buffer[:n])
		p.Bytes += int64(n)
		d.mu.Lock()
		d.held += int64(n)
		room := d.held <= maxHeld
		d.mu.Unlock()
		if room {
			kept.Write(buffer[:n])
		}
		switch {
		case err != nil:
			failed = err
		case p.Bytes > maxDownload:
			failed = fmt.Errorf("the file is larger than %d MiB", maxDownload>>20)
		}
	}
	p.Last = first + p.Bytes - 1
	p.SHA256 = hex.EncodeToString(sum.Sum(nil))
	p.Duration = d.visit.since() - p.Start
	if int64(kept.Len()) == p.Bytes {
		p.body = kept.Bytes()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.result.Parts = append(d.result.Parts, p)
	if failed == io.EOF {
		return nil
	}
	return failed
}

// known is what tells the file from a later one; empty: nothing.
func (d *transfer) known() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.validator
}

// note takes down what a response says of the whole file.
func (d *transfer) note(resp *response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.validator == "" {
		d.validator = policy.Validator(resp.header)
	}
	switch resp.status {
	case http.StatusOK:
		if resp.wire.want >= 0 {
			d.result.Whole = resp.wire.want
		}
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		if at, err := policy.ParseContentRange(resp.header.Get("Content-Range")); err == nil && at.Size >= 0 {
			d.result.Whole = at.Size
		}
	}
}

func (d *transfer) whole(ctx context.Context) {
	d.ask(ctx, http.MethodGet, nil, func(r *request, resp *response) error { return d.all(r, resp) })
}

// all takes the whole file.
func (d *transfer) all(r *request, resp *response) error {
	d.note(resp)
	if resp.status != http.StatusOK {
		return errors.Join(resp.discard(maxDiscard), bad(resp.status))
	}
	return d.take(r, resp.status, 0, resp.body)
}

// partly takes the parts of a 206, or where the server sends the whole file instead, that.
func (d *transfer) partly(r *request, resp *response, wanted string) error {
	if resp.status != http.StatusPartialContent {
		if resp.status == http.StatusOK {
			d.fallback("the server sent the whole file in place of " + wanted)
		}
		return d.all(r, resp)
	}
	d.note(resp)
	if now, was := policy.Validator(resp.header), d.known(); now != "" && now != was {
		return fmt.Errorf("the file is another one by now: %s, and it was %s", now, was)
	}
	return policy.ReadParts(resp.header, resp.body, func(at policy.ContentRange, body io.Reader) error {
		if at.Size >= 0 { // of several parts each says it
			d.mu.Lock()
			d.result.Whole = at.Size
			d.mu.Unlock()
		}
		return d.take(r, resp.status, at.First, body)
	})
}

func (d *transfer) fallback(why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.result.Fallback == "" {
		d.result.Fallback = why
	}
}

// some gets ranges in one request.
func (d *transfer) some(ctx context.Context, ranges []policy.Range) {
	field := policy.RangeField(ranges)
	d.ask(ctx, http.MethodGet, []policy.Field{{Name: "Range", Value: field}}, func(r *request, resp *response) error {
		return d.partly(r, resp, field)
	})
}

// resume goes on where an earlier download ended: only where the file is still the same one, which If-Range sees to.
func (d *transfer) resume(ctx context.Context, offset int64) {
	fields := []policy.Field{{Name: "Range", Value: policy.RangeField([]policy.Range{{First: offset, Last: -1}})}}
	begun := d.visit.session.partial(d.url.Bare(), offset)
	if begun != nil && begun.validator != "" {
		fields = append(fields, policy.Field{Name: "If-Range", Value: begun.validator})
	}
	d.ask(ctx, http.MethodGet, fields, func(r *request, resp *response) error {
		switch resp.status {
		case http.StatusPartialContent:
			at, err := policy.ParseContentRange(resp.header.Get("Content-Range"))
			if err != nil {
				return err
			}
			if at.First != offset {
				return fmt.Errorf("the server goes on at %d and not at %d", at.First, offset)
			}
			if begun != nil {
				d.result.Parts = append(d.result.Parts, begun.part())
			}
			d.result.ResumedFrom = offset
		case http.StatusRequestedRangeNotSatisfiable:
			d.note(resp)
			if begun != nil && d.result.Whole == offset {
				d.result.Parts, d.result.ResumedFrom = append(d.result.Parts, begun.part()), offset
				return resp.discard(maxDiscard) // there is no more
			}
		case http.StatusOK:
			d.fallback("the server sent the whole file: it has no ranges, or the file is another one now")
			return d.all(r, resp)
		}
		return d.partly(r, resp, "the rest")
	})
}

// part is what was there before.
func (p *partial) part() *Part {
	sum := sha256.Sum256(p.body)
	return &Part{Last: int64(len(p.body)) - 1, Bytes: int64(len(p.body)), SHA256: hex.EncodeToString(sum[:]), body: p.body}
}

// parallel gets a file in parts side by side, where the server says how large it is and has ranges.
func (d *transfer) parallel(ctx context.Context, n int) {
	var length int64 = -1
	ranged := ""
	probe := d.ask(ctx, http.MethodHead, nil, func(_ *request, resp *response) error {
		if resp.status == http.StatusOK {
			length = resp.wire.want
			d.validator = policy.Validator(resp.header)
			ranged = resp.header.Get("Accept-Ranges")
		}
		return nil
	})
	switch {
	case probe.result.Error != nil:
		return
	case strings.EqualFold(ranged, "none"):
		d.fallback("the server says that it has no ranges (Accept-Ranges: none)")
	case length < int64(n):
		d.fallback("the server does not say that there is enough to divide")
	case length > maxHeld:
		d.fallback(fmt.Sprintf("the file is larger than %d MiB, so its parts are not held until they can be joined", maxHeld>>20))
	}
	if d.result.Fallback != "" {
		d.whole(ctx)
		return
	}
	size := (length + int64(n) - 1) / int64(n)
	var parts sync.WaitGroup
	for first := int64(0); first < length; first += size {
		at := policy.Range{First: first, Last: min(first+size, length) - 1}
		parts.Go(func() {
			host.Turn(d.visit.host, fmt.Sprintf("part %s %012d", d.visit.trace, at.First))
			d.one(ctx, at)
		})
	}
	parts.Wait()
	if d.result.Fallback == "" {
		return
	}
	d.result.Parts = slices.DeleteFunc(d.result.Parts, func(p *Part) bool { return p.Status != http.StatusOK })
	if len(d.result.Parts) == 0 && d.result.Error == nil {
		d.whole(ctx)
	}
}

// one gets one part. Where the server sends the whole file instead, the request for its beginning takes it, and the others
// are called off.
func (d *transfer) one(ctx context.Context, at policy.Range) {
	fields := []policy.Field{{Name: "Range", Value: policy.RangeField([]policy.Range{at})}}
	if validator := d.known(); validator != "" {
		fields = append(fields, policy.Field{Name: "If-Range", Value: validator})
	}
	d.ask(ctx, http.MethodGet, fields, func(r *request, resp *response) error {
		if resp.status == http.StatusOK && at.First > 0 {
			d.fallback("the server sent the whole file in place of " + at.String())
			return errEnough
		}
		return d.partly(r, resp, at.String())
	})
}

// finish puts the parts in order and joins them.
func (d *transfer) finish(expect string) {
	f, v := d.result, d.visit
	f.Requests, f.Connections, f.Duration = v.result.Requests, v.result.Connections, v.result.Duration
	slices.SortStableFunc(f.Parts, func(a, b *Part) int { return cmp.Compare(a.First, b.First) })
	sum := sha256.New()
	var body []byte
	held, joined := true, true
	for _, p := range f.Parts {
		held = held && p.body != nil
		joined = joined && p.First == f.Size
		f.Size += p.Bytes
		sum.Write(p.body)
		body = append(body, p.body...)
	}
	switch {
	case held && len(f.Parts) > 0:
		f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	case len(f.Parts) == 1:
		f.SHA256 = f.Parts[0].SHA256
	}
	if f.Error == nil && expect != "" {
		f.Verified = strings.EqualFold(expect, f.SHA256)
		if !f.Verified {
			f.Error = &Failure{
				Phase: phaseResponse, Message: fmt.Sprintf("the SHA-256 is %s, not %s", f.SHA256, expect),
				Meaning: "these are not the bytes that were expected: the file is another one, or it was damaged on the way",
			}
		}
	}
	var rest *partial
	if f.Error != nil && held && joined && f.Size > 0 {
		rest = &partial{url: d.url.Bare(), validator: d.validator, body: body}
	}
	v.session.leave(d.url.Bare(), rest)
}

// partial is what an earlier download of the address has got up to the offset; nil: that is not held.
func (s *session) partial(url string, offset int64) *partial {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.partials {
		if p.url == url && int64(len(p.body)) >= offset {
			return &partial{url, p.validator, p.body[:offset]}
		}
	}
	return nil
}

// leave keeps what a download has got of an address, in place of what was kept before; nil: nothing.
func (s *session) leave(url string, p *partial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partials = slices.DeleteFunc(s.partials, func(old *partial) bool { return old.url == url })
	if p != nil {
		s.partials = append(s.partials, p)
		s.partials = slices.Delete(s.partials, 0, max(0, len(s.partials)-maxPartials))
	}
}
