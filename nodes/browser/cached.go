package browser

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"scenario/event"
	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/policy"
)

// maxCollected bounds the bodies that are collected for the cache at a time, in bytes.
const maxCollected = 64 << 20

// errAgain means that what the cache thought it had is of no use: the request begins again.
var errAgain = errors.New("the cache was wrong about what it has")

// cached is what the cache says of a request.
type cached struct {
	request  cache.Request
	decision cache.Decision
}

// answers says that the request needs no network.
func (c *cached) answers() bool {
	return c != nil && (c.decision.Use == cache.Hit || c.decision.Use == cache.Stale)
}

// conditions are the fields that go along so that the server can say that nothing has changed.
func (c *cached) conditions() (fields []policy.Field) {
	if c == nil || c.decision.Use == cache.Hit || c.decision.Use == cache.Stale {
		return nil
	}
	return policy.Sorted(c.decision.Fields)
}

// conditions are the fields by which r asks whether what is kept is right. Caches on the way are to ask too (Fetch, section
// 4.6), also where the browser's own has no part in it, as with a form that is sent.
func (r *request) conditions() []policy.Field {
	if r.cached == nil && r.cacheMode == cache.NoCache {
		return []policy.Field{{Name: "Cache-Control", Value: "max-age=0"}}
	}
	return r.cached.conditions()
}

// asks says that a 304 answers the request.
func (c *cached) asks() bool {
	return c != nil && (c.decision.Use == cache.Validate || c.decision.Use == cache.Complete)
}

// consult asks the cache about r.
func (v *visit) consult(ctx context.Context, r *request) {
	r.cached = nil
	if !v.settings.cache || r.method != http.MethodGet && r.method != http.MethodHead {
		return
	}
	h := make(http.Header)
	x := &exchange{visit: v, request: r}
	for _, f := range x.fields(ctx, nil) {
		h.Add(f.Name, f.Value)
	}
	r.cached = &cached{request: cache.Request{
		Partition: v.partition(r), URL: r.url.Bare(), Method: r.method, Mode: r.cacheMode, Header: h,
	}}
	d := v.session.cache.Lookup(time.Now(), r.cached.request)
	r.cached.decision = d
	switch d.Use {
	case cache.Hit, cache.Stale, cache.Miss:
		v.tellCache(ctx, r, string(d.Use), d.Reason, d.Age, d.Fresh)
	case cache.Unavailable:
		v.tellCache(ctx, r, string(cache.Miss), d.Reason, d.Age, d.Fresh)
		r.refused = &policy.Refusal{Rule: "only-if-cached", Reason: d.Reason}
	}
}

func (v *visit) tellCache(ctx context.Context, r *request, result, reason string, age, fresh time.Duration) {
	event.Emit(ctx, v.log, event.HTTPCache{URL: r.result.URL, Result: result, Reason: reason, Age: age.Seconds(), Fresh: fresh.Seconds()})
}

// replay answers r with what the cache has. Where that is old and may be shown all the same, the server is asked meanwhile.
func (v *visit) replay(ctx context.Context, r *request, read func(context.Context, *response) error) (phase string, err error) {
	d := r.cached.decision
	if d.Use == cache.Stale && len(d.Fields) > 0 {
		v.refreshLater(ctx, r)
	}
	return phaseResponse, v.answerStored(ctx, r, d.Response, fromCache, read)
}

// answerStored answers r with a response that the cache has.
func (v *visit) answerStored(ctx context.Context, r *request, stored *cache.Response, from string, read func(context.Context, *response) error) error {
	f := r.result
	f.From, f.Status, f.MIME = from, stored.Status, policy.MIMEType(stored.Header)
	var coding string
	return v.answer(ctx, r, &response{
		url: r.url, status: stored.Status, header: stored.Header, first: time.Now(), from: from, proto: f.Proto,
		wire: &counter{from: bytes.NewReader(stored.Body), want: int64(len(stored.Body))}, decoded: &f.Decoded, coding: &coding,
	}, read)
}

// refreshLater asks the server about a response that has been shown although it is old.
func (v *visit) refreshLater(ctx context.Context, r *request) {
	o := r.order
	o.background, o.optional = true, true
	again := v.request(r.url, o)
	again.chain, again.tainting, again.foreign = r.chain, r.tainting, r.foreign
	again.result.Type = r.result.Type
	again.cached = &cached{request: r.cached.request, decision: cache.Decision{Use: cache.Validate, Fields: r.cached.decision.Fields}}
	again.place = v.reserve(again)
	v.pending.Go(func() {
		v.turn(again)
		v.fetch(ctx, again, func(_ context.Context, resp *response) error { return resp.discard(-1) })
	})
}

// confirmed takes a 304.
func (v *visit) confirmed(ctx context.Context, r *request, x *exchange, read func(context.Context, *response) error) error {
	if err := x.drain(); err != nil {
		return err
	}
	o := v.session.cache.Validated(time.Now(), r.cached.request, x.forCache(nil))
	if o.Again || o.Response == nil {
		return errAgain
	}
	v.session.cacheChanged.Store(true)
	v.tellCache(ctx, r, string(o.Result), o.Reason, o.Age, o.Fresh)
	return v.answerStored(ctx, r, o.Response, fromRevalidated, read)
}

// completed takes the rest of a response of which the cache has the beginning.
func (v *visit) completed(ctx context.Context, r *request, x *exchange, read func(context.Context, *response) error) error {
	rest, err := io.ReadAll(io.LimitReader(x.body, maxCollected))
	if err != nil {
		return err
	}
	o := v.session.cache.Store(time.Now(), r.cached.request, x.forCache(rest))
	v.session.cacheChanged.Store(true)
	v.tellCache(ctx, r, string(o.Result), o.Reason, o.Age, o.Fresh)
	if o.Response == nil {
		return errAgain
	}
	return v.answerStored(ctx, r, o.Response, fromRevalidated, read)
}

// forCache is the response with a body as the cache takes it.
func (x *exchange) forCache(body []byte) cache.Response {
	return cache.Response{Status: x.resp.Status, Header: x.resp.Header, Body: body, Sent: x.begun, Received: x.resp.First}
}

// rescued answers r with an old response where the server failed, and the server has said before that this may be done.
func (v *visit) rescued(ctx context.Context, r *request, status int, read func(context.Context, *response) error) (done bool, err error) {
	if r.cached == nil || r.background {
		return false, nil
	}
	d := v.session.cache.Failed(time.Now(), r.cached.request, status)
	if d.Use != cache.Stale || d.Response == nil {
		return false, nil
	}
	v.tellCache(ctx, r, string(d.Use), d.Reason, d.Age, d.Fresh)
	return true, v.answerStored(ctx, r, d.Response, fromCache, read)
}

// changed has the cache forget what a method such as POST may have changed.
func (v *visit) changed(ctx context.Context, r *request, x *exchange) {
	if !v.settings.cache {
		return
	}
	request := cache.Request{Partition: v.partition(r), URL: r.url.Bare(), Method: r.method, Header: http.Header{}}
	for _, gone := range v.session.cache.Invalidate(request, x.forCache(nil)) {
		v.session.cacheChanged.Store(true)
		event.Emit(ctx, v.log, event.HTTPCache{URL: gone.URL, Result: string(cache.Invalidated), Reason: gone.Reason})
	}
}

// collector keeps a body while it is read, as far as there is room.
type collector struct {
	session *session
	body    []byte
	over    bool
}

func (c *collector) Write(p []byte) (int, error) {
	switch {
	case c.over:
	case len(c.body)+len(p) > maxCached:
		c.drop()
	case c.session.collected.Add(int64(len(p))) > maxCollected:
		c.session.collected.Add(-int64(len(p)))
		c.drop()
	default:
		c.body = append(c.body, p...)
	}
	return len(p), nil
}

// drop gives up what was kept.
func (c *collector) drop() {
	c.session.collected.Add(-int64(len(c.body)))
	c.body, c.over = nil, true
}

// keep has the body of a response collected for the cache; finish is called with what ended its reading.
func (v *visit) keep(ctx context.Context, r *request, x *exchange) (finish func(error)) {
	if r.cached == nil || r.cacheMode == cache.NoStore {
		return func(error) {}
	}
	c := &collector{session: v.session}
	x.body.from = io.TeeReader(x.body.from, c)
	return func(err error) {
		defer c.drop()
		var refused *policy.Refusal
		whole := x.ended()
		switch {
		case c.over:
			v.tellCache(ctx, r, string(cache.NotStored), "its body is too large", 0, 0)
			return
		case errors.As(err, &refused) && !whole, errors.Is(err, policy.ErrBomb), errors.Is(err, errEnough):
			return
		}
		response := x.forCache(bytes.Clone(c.body))
		response.Incomplete = !whole
		if response.Incomplete && x.resp.Status != http.StatusOK {
			return
		}
		o := v.session.cache.Store(time.Now(), r.cached.request, response)
		v.tellCache(ctx, r, string(o.Result), o.Reason, o.Age, o.Fresh)
		if o.Result == cache.Stored || o.Result == cache.Revalidated {
			v.session.cacheChanged.Store(true)
		}
	}
}

// ended says that the body was read to its end.
func (x *exchange) ended() bool {
	if x.body.done || x.body.want >= 0 {
		return x.body.done || x.body.n >= x.body.want
	}
	_, err := io.CopyN(io.Discard, x.body, 1)
	return errors.Is(err, io.EOF)
}

// clearCache empties the cache.
func (s *session) clearCache(ctx context.Context) CacheResult {
	n, _ := s.cache.Len()
	s.cache.Clear()
	s.cacheChanged.Store(true)
	s.save(ctx)
	return CacheResult{n}
}

// coding names the codings of a body.
func coding(codings []string) string { return strings.Join(codings, ", ") }
