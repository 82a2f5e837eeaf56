package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/weburl"
	"scenario/nodes/role"
)

// playAhead is how many bytes a player wants before it plays on.
const playAhead = 64 << 10

// errEnough ends the reading of a body of which no more is needed.
var errEnough = errors.New("the browser needs no more of the body")

// SeekArgs are the arguments of the action seek.
type SeekArgs struct {
	URL     string        `json:"url" jsonschema_description:"the address of the audio or video, as a person types it, or relative to the page that is open" jsonschema:"required"`
	At      float64       `json:"at" jsonschema_description:"where to: a fraction of the whole below 1, else an offset in bytes" jsonschema:"minimum=0"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// SeekResult is what came of a jump to a place in a file.
type SeekResult struct {
	URL          string   `json:"url"`
	Status       int      `json:"status"` // of the answer that the place was in
	AcceptRanges string   `json:"accept_ranges"`
	Size         int64    `json:"size"`     // of the whole; -1: not known
	At           int64    `json:"at"`       // the offset that was played from
	Played       int64    `json:"played"`   // bytes from there on that came before the file was let go
	Skipped      int64    `json:"skipped"`  // bytes that came in vain, because the server has no ranges
	Seekable     bool     `json:"seekable"` // the server went on at the place
	Requests     []*Fetch `json:"requests"`
	Duration     float64  `json:"duration_s"`
	Error        *Failure `json:"error,omitempty"`
}

// seek plays a file from its beginning, as far as a player reads ahead, and then jumps: the request is called off, and
// another one asks for what begins at the place.
func (s *session) seek(ctx context.Context, a SeekArgs) (*SeekResult, error) {
	u, _, err := s.address(a.URL)
	if err != nil {
		return nil, err
	}
	if a.At < 0 {
		return nil, errors.New("at is negative")
	}
	v, ctx, cancel := s.begin(ctx, a.Timeout)
	defer cancel()
	result := &SeekResult{URL: u.Bare(), Size: -1}
	p := &player{visit: v, url: u, result: result}
	p.play(ctx, 0, func(_ policy.ContentRange, body io.Reader) error {
		_, err := io.CopyN(io.Discard, body, playAhead)
		return errors.Join(ignoreEOF(err))
	})
	if result.Error == nil {
		p.jump(ctx, a.At)
	}
	v.end(ctx)
	result.Requests, result.Duration = v.result.Requests, v.result.Duration
	return result, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// player is one use of a media file.
type player struct {
	visit     *visit
	url       *weburl.URL
	result    *SeekResult
	validator string
	ranged    bool
}

// jump goes to a place: a fraction of the whole, or an offset.
func (p *player) jump(ctx context.Context, at float64) {
	to := int64(at)
	if at < 1 {
		if p.result.Size < 0 {
			p.result.Error = &Failure{Phase: phaseResponse, Message: "the server does not say how large the file is", Meaning: "a fraction of what is not known cannot be found"}
			return
		}
		to = int64(at * float64(p.result.Size))
	}
	p.result.At = to
	p.play(ctx, to, func(from policy.ContentRange, body io.Reader) error {
		if from.First < to {
			skipped, err := io.CopyN(io.Discard, body, to-from.First)
			p.result.Skipped = skipped
			if err != nil {
				return err
			}
		}
		p.result.Seekable = from.First == to && p.ranged
		played, err := io.CopyN(io.Discard, body, playAhead)
		p.result.Played = played
		return ignoreEOF(err)
	})
}

// play asks for the file from an offset on, to its end, and lets go of it when read returns.
func (p *player) play(ctx context.Context, offset int64, read func(policy.ContentRange, io.Reader) error) {
	o := order{
		destination: policy.Video, mode: policy.NoCORS, credentials: policy.IncludeCredentials, cacheMode: cache.NoStore,
		redirects: redirectFollow, initiator: browserItself,
	}
	if t := p.visit.session.current(); t != nil && t.page.url != nil {
		o.document, o.referrers, o.initiator = t.page, t.page.referrers, t.page.url.Bare()
	} else {
		o.mode = policy.Navigate
	}
	r := p.visit.request(p.url, o)
	r.fields = []policy.Field{{Name: "Range", Value: policy.RangeField([]policy.Range{{First: offset, Last: -1}})}}
	if p.validator != "" && offset > 0 {
		r.fields = append(r.fields, policy.Field{Name: "If-Range", Value: p.validator})
	}
	last := p.visit.chase(ctx, r, func(_ context.Context, last *request, resp *response) error {
		f := p.result
		f.URL, f.Status, f.AcceptRanges = last.url.Bare(), resp.status, resp.header.Get("Accept-Ranges")
		p.validator = policy.Validator(resp.header)
		from := policy.ContentRange{Last: -1, Size: resp.wire.want}
		switch resp.status {
		case http.StatusOK:
			p.ranged = false
		case http.StatusPartialContent:
			var err error
			if from, err = policy.ParseContentRange(resp.header.Get("Content-Range")); err != nil {
				return err
			}
			p.ranged = true
			if from.First > offset {
				return fmt.Errorf("the server sends what begins at %d, and %d was asked for", from.First, offset)
			}
		case http.StatusRequestedRangeNotSatisfiable:
			return fmt.Errorf("the file has no byte %d", offset)
		default:
			return bad(resp.status)
		}
		f.Size = from.Size
		if err := read(from, resp.body); err != nil {
			return err
		}
		if resp.wire.done {
			return nil
		}
		return errEnough
	})
	p.result.Error = last.result.Error
}
