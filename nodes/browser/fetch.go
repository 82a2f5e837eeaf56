package browser

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"scenario/event"
	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/transport"
)

// Where a response comes from.
const (
	fromNetwork     = "network"
	fromCache       = "cache"
	fromRevalidated = "revalidated"
)

// maxAttempts bounds how often a request begins again: at an address that the DNS names, or without what the cache had.
const maxAttempts = 4

// errTooManyRedirects is the error of servers that send the browser from one address to the next without end.
var errTooManyRedirects = fmt.Errorf("more than %d redirects", policy.MaxRedirects)

// fetch asks for r, which was started, and has its response's body read. Whatever goes wrong stands in the result.
func (v *visit) fetch(ctx context.Context, r *request, read func(context.Context, *response) error) {
	// What a response leads to belongs to what led to its request.
	phase, err := v.attempt(ctx, r, func(_ context.Context, resp *response) error { return read(ctx, resp) })
	if err != nil && !errors.Is(err, errEnough) {
		r.result.Error = failure(ctx, phase, err, v.settings.timeout)
	}
	if errors.Is(err, errEnough) { // it is all that was wanted
		err, r.result.Error = nil, nil
	}
	var refused *policy.Refusal
	if errors.As(err, &refused) {
		r.result.Blocked = refused.Rule
		event.Emit(ctx, v.log, event.PageBlock{Page: v.address(), URL: r.result.URL, Rule: refused.Rule, Reason: refused.Reason})
	}
	r.result.Duration = time.Since(r.found).Seconds()
	if !r.optional && (err != nil || r.result.Status >= 400) {
		v.mu.Lock()
		v.result.Failed++
		v.mu.Unlock()
	}
	v.tellFetch(ctx, r)
}

// attempt gets a response from the cache or the network.
func (v *visit) attempt(ctx context.Context, r *request, read func(context.Context, *response) error) (phase string, err error) {
	for range maxAttempts {
		switch {
		case r.refused != nil:
			return phaseBlocked, r.refused
		case r.cached.answers():
			return v.replay(ctx, r, read)
		}
		if r.place == nil {
			if err := v.preflight(ctx, r); err != nil {
				return phaseBlocked, err
			}
			r.place = v.reserve(r)
		}
		phase, err = v.exchange(ctx, r, func(ctx context.Context, x *exchange) error { return v.take(ctx, r, x, read) })
		var upgrade *transport.UpgradeError
		switch {
		case errors.As(err, &upgrade):
			v.moved(ctx, r, upgrade.To, "https-record")
		case !errors.Is(err, errAgain):
			return v.ended(ctx, r, phase, err, read)
		}
		v.start(ctx, r)
	}
	return phase, err
}

// ended says in which phase the network failed; perhaps the cache has something old instead.
func (v *visit) ended(ctx context.Context, r *request, phase string, err error, read func(context.Context, *response) error) (string, error) {
	var failed *transport.Error
	switch {
	case errors.As(err, new(*policy.Refusal)):
		return phaseBlocked, err
	case errors.As(err, &failed):
		phase = failed.Phase
		if ctx.Err() == nil && failed.Phase != transport.PhaseTLS && r.result.Status == 0 {
			if done, err := v.rescued(ctx, r, 0, read); done {
				return phaseResponse, err
			}
		}
	}
	return phase, err
}

// take deals with a response of the network: what it says to the browser, to the cache, and at last to whoever asked.
func (v *visit) take(ctx context.Context, r *request, x *exchange, read func(context.Context, *response) error) error {
	h := x.resp.Header
	if x.lease.TLS != nil {
		if _, err := v.session.hsts.Note(time.Now(), r.url, h.Values("Strict-Transport-Security")); err != nil {
			v.log.Debug("a field was ignored", "error", err)
		}
	}
	switch {
	case x.resp.Status == http.StatusNotModified && r.cached.asks():
		return v.confirmed(ctx, r, x, read)
	case r.cached.asks() && r.cached.decision.Use == cache.Complete && (x.resp.Status == http.StatusPartialContent || x.resp.Status == http.StatusRequestedRangeNotSatisfiable):
		return v.completed(ctx, r, x, read)
	case x.resp.Status >= 500:
		if done, err := v.rescued(ctx, r, x.resp.Status, read); done {
			return errors.Join(err, x.drain())
		}
	}
	v.changed(ctx, r, x)
	finish := v.keep(ctx, r, x)
	err := v.answer(ctx, r, &response{
		url: r.url, status: x.resp.Status, header: h, proto: x.resp.Proto, first: x.resp.First, wire: x.body, from: fromNetwork,
		decoded: &r.result.Decoded, coding: &x.coding,
	}, read)
	if err == nil {
		err = x.drain()
	}
	finish(err)
	return err
}

// answer checks a response by the rules of the web, follows where it leads, and has its body read.
func (v *visit) answer(ctx context.Context, r *request, resp *response, read func(context.Context, *response) error) error {
	h := resp.header
	if r.tainting == policy.Shared {
		if err := v.checkCORS(ctx, r, string(r.mode), policy.CheckCORS(r.asks(), r.withCookies(), h)); err != nil {
			return err
		}
	}
	if policy.IsRedirect(resp.status) && r.redirects != redirectManual {
		switch err := v.redirect(r, resp); {
		case errors.Is(err, policy.ErrNoLocation):
		case err != nil:
			return err
		default:
			return resp.skip(maxDiscard)
		}
	}
	if err := v.allowed(r, resp); err != nil {
		return err
	}
	if err := resp.decode(r); err != nil {
		return err
	}
	defer resp.body.Close()
	check := resp.hash(r.integrity)
	if err := read(ctx, resp); err != nil {
		return err
	}
	if check == nil || resp.status >= 300 {
		return nil
	}
	if refused := r.integrity.Refused(check, r.tainting); refused != nil {
		return refused
	}
	return nil
}

// redirect settles where a response leads.
func (v *visit) redirect(r *request, resp *response) error {
	to, err := policy.Redirect(r.url, r.method, resp.status, resp.header)
	switch {
	case errors.Is(err, policy.ErrNoLocation):
		return err
	case err != nil && r.mode == policy.Navigate:
		return policy.ErrNoLocation // its own body is shown
	case err != nil:
		return err
	case len(r.chain) > policy.MaxRedirects:
		return errTooManyRedirects
	case r.redirects == redirectError:
		return &policy.Refusal{Rule: "redirect", Reason: "whoever asked does not want to be redirected, and it was to " + to.URL.Bare()}
	case r.mode == policy.CORS && to.URL.WithoutCredentials().Bare() != to.URL.Bare() && to.URL.Origin() != r.asks():
		return &policy.Refusal{Rule: "cors", Reason: "the redirect leads to an address with a password in it"}
	}
	r.next = &to
	r.result.Redirect = to.URL.Bare()
	return nil
}

// allowed says why a response must not be used for what the page wants of it.
func (v *visit) allowed(r *request, resp *response) error {
	var refused *policy.Refusal
	client := r.client()
	switch {
	case r.mode == policy.NoCORS && r.tainting == policy.Opaque && client != nil:
		refused = policy.ResourcePolicyRefused(client, r.url, resp.header)
	case r.destination == policy.Frame:
		refused = policy.FrameRefused(r.url, resp.header, r.document.chain())
	}
	if refused == nil && resp.status < 300 {
		refused = policy.TypeRefused(r.destination, r.module, r.quirks, r.tainting, resp.header)
	}
	if refused != nil {
		return refused
	}
	return nil
}

// decode opens the response's body behind its codings.
func (r *response) decode(of *request) error {
	codings, err := policy.Codings(r.header)
	if err != nil {
		return err
	}
	if of.method == http.MethodHead || r.status == http.StatusPartialContent {
		codings = nil // a part of a coded body is no coded body
	}
	if len(codings) > 0 {
		*r.coding = coding(codings)
	}
	r.body = &counted{policy.Decode(r.wire, codings, maxDecoded), r.decoded}
	return nil
}

// skip reads the body as it came and does not keep it; more than limit bytes are an error.
func (r *response) skip(limit int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r.wire, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("the body of a redirect is larger than %d bytes", limit)
	}
	return err
}

// hash has what the body is made of checked while it is read; nil: there is nothing to check.
func (r *response) hash(i policy.Integrity) hash.Hash {
	h := i.Hash()
	if h != nil {
		body := r.body
		r.body = &hashing{body, io.TeeReader(body, h)}
	}
	return h
}

// hashing is a body that is looked at while it is read.
type hashing struct {
	io.Closer
	io.Reader
}

// counted is a body that is counted while it is read.
type counted struct {
	io.ReadCloser
	n *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	*c.n += int64(n)
	return n, err
}

// checkCORS tells of a check, and makes what did not pass it a refusal.
func (v *visit) checkCORS(ctx context.Context, r *request, mode string, err error) error {
	check := event.CORSCheck{URL: r.result.URL, Origin: r.asks(), Mode: mode, Allowed: err == nil, Preflight: mode == modePreflight}
	if err != nil {
		check.Reason = err.Error()
		event.Emit(ctx, v.log, check)
		return &policy.Refusal{Rule: "cors", Reason: err.Error()}
	}
	check.Reason = "the server allows it to " + r.asks()
	event.Emit(ctx, v.log, check)
	return nil
}

// modePreflight is how a check of a preflight's answer is told.
const modePreflight = "preflight"

// preflighted says that no preflight is needed for r, or that it was answered before.
func (v *visit) preflighted(r *request) bool {
	if r.tainting != policy.Shared {
		return true
	}
	c := r.cors()
	needed, _ := c.NeedsPreflight()
	return !needed || v.session.preflights.Allows(time.Now(), v.partition(r), c)
}

// preflight asks another origin whether r may be sent, where that is needed.
func (v *visit) preflight(ctx context.Context, r *request) error {
	if v.preflighted(r) {
		return nil
	}
	c := r.cors()
	p := &request{order: r.order, url: r.url, chain: r.chain, method: http.MethodOptions, tainting: policy.Shared, foreign: r.foreign, found: time.Now()}
	p.credentials, p.cacheMode, p.redirects, p.integrity = policy.Omit, cache.NoStore, redirectManual, policy.Integrity{}
	p.destination = policy.Fetch
	for _, f := range c.Preflight() {
		if f.Name != "Origin" {
			p.fields = append(p.fields, f)
		}
	}
	v.note(p)
	p.result.Type = string(policy.Shared)
	p.place = v.reserve(p)
	var refused error
	phase, err := v.exchange(ctx, p, func(ctx context.Context, x *exchange) error {
		grant, err := c.CheckPreflight(x.resp.Status, x.resp.Header)
		if refused = v.checkCORS(ctx, r, modePreflight, err); refused == nil {
			v.session.preflights.Add(time.Now(), v.partition(r), c, grant)
		}
		return x.drain()
	})
	if err != nil {
		p.result.Error = failure(ctx, phase, err, v.settings.timeout)
		refused = &policy.Refusal{Rule: "cors", Reason: "the preflight failed: " + err.Error()}
	}
	p.result.Duration = time.Since(p.found).Seconds()
	v.tellFetch(ctx, p)
	return refused
}

// tellFetch sums a request up.
func (v *visit) tellFetch(ctx context.Context, r *request) {
	f := r.result
	e := event.HTTPFetch{
		Page: v.address(), URL: f.URL, Method: f.Method, Destination: f.Destination, Initiator: f.Initiator, Priority: f.Priority,
		Status: f.Status, Proto: f.Proto, MIME: f.MIME, Redirect: f.Redirect, From: f.From, Local: f.Local, Remote: f.Remote,
		Connection: f.Connection, Reused: f.Reused, ThirdParty: f.ThirdParty, Start: f.Start, Queued: f.Queued, Lookup: f.Lookup,
		Connect: f.Connect, TLS: f.TLS, Wait: f.TTFB, Receive: f.Receive, Size: f.Size, Decoded: f.Decoded, Request: r.sent,
	}
	if f.Error != nil {
		e.Failed, e.Error = f.Error.Phase, f.Error.Message
	}
	event.Emit(ctx, v.log, e)
}
