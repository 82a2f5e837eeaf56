package browser

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"scenario/event"
	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/cookie"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/transport"
	"scenario/nodes/browser/weburl"
)

// redirectMode is what becomes of redirects (Fetch, section 2.2.5).
type redirectMode string

// The redirect modes.
const (
	redirectFollow redirectMode = "follow"
	redirectError  redirectMode = "error"
	redirectManual redirectMode = "manual"
)

// order is what is asked for. It stays the same through redirects.
type order struct {
	destination policy.Destination
	hints       policy.Hints
	mode        policy.Mode
	credentials policy.Credentials
	cacheMode   cache.Mode
	redirects   redirectMode
	document    *document   // that asks, or that a frame stands in; nil: the request opens the page
	from        *weburl.URL // of the page that a link or form was in; nil: a person typed the address
	sheet       *weburl.URL // the style sheet that names it; nil: the document does
	referrers   policy.ReferrerPolicy
	integrity   policy.Integrity
	initiator   string // as the result has it
	module      bool   // a script that is one
	quirks      bool   // the page has no doctype
	srcset      bool   // an image of which there are several
	form        bool   // a form is submitted
	unasked     bool   // the page before goes there by itself: no person has done anything
	upgrades    bool   // the page of from asks for https
	optional    bool   // nobody named it, so it may be missing
	background  bool   // whoever asked has an answer already
}

// request is one request of a page load: of the addresses that redirects lead through each is one. Only the goroutine
// that fetches it writes its result.
type request struct {
	order
	number   int           // among those of the visit
	url      *weburl.URL   // to ask
	chain    []*weburl.URL // the addresses so far, this one last
	method   string
	body     []byte
	fields   []policy.Field    // that a script, a form or a range asks for
	own      []transport.Field // that go along whatever the browser keeps; nil: not known yet
	tainting policy.Tainting
	foreign  bool // it was redirected from one foreign origin to another
	place    *transport.Place
	refused  *policy.Refusal // it is not sent
	cached   *cached         // what the cache says of it; nil: it was not asked
	found    time.Time
	sent     string // the id of its http.request
	next     *policy.Redirection
	result   *Fetch
}

// client is the address of the document that asks; nil: a person does.
func (r *request) client() *weburl.URL {
	if r.document != nil {
		return r.document.url
	}
	return r.from
}

// withCookies says that cookies go along and are taken.
func (r *request) withCookies() bool {
	return r.mode == policy.Navigate || policy.WithCredentials(r.credentials, r.tainting)
}

// asks is the origin that the request says to come from.
func (r *request) asks() string {
	switch client := r.client(); {
	case r.foreign:
		return "null"
	case client != nil:
		return client.Origin()
	}
	return "null"
}

// origin is the field Origin. As in Chromium, what a page asks for with CORS has it also where its own origin is asked, but for
// requests of scripts.
func (r *request) origin() string {
	client := r.client()
	if client == nil {
		return ""
	}
	downgrade := policy.Trustworthy(client) && !policy.Trustworthy(r.url)
	shared := r.tainting == policy.Shared || r.mode == policy.CORS && r.destination != policy.Fetch
	return policy.OriginField(shared, r.method, r.asks(), r.url, r.referrers, downgrade)
}

// referrer is the field Referer: the address of the document, or style sheet, that names what is asked for.
func (r *request) referrer() string { return r.referrers.Referrer(r.namer(), r.url) }

// namer is the address of the document or style sheet that names what is asked for; nil: a person does.
func (r *request) namer() *weburl.URL {
	if r.sheet != nil {
		return r.sheet
	}
	return r.client()
}

// accept is the field Accept. What is fetched ahead may become anything, a page above all.
func (r *request) accept() string {
	if r.hints.Prefetch || r.hints.Document {
		return policy.Accept(policy.Document)
	}
	return policy.Accept(r.destination)
}

// secFetch is what r tells of its purpose; third is what a third party can have of its cookies.
func (r *request) secFetch(third string) policy.SecFetch {
	s := policy.SecFetch{Mode: r.mode, Dest: r.destination, From: r.client(), Chain: r.chain, User: r.document == nil && r.mode == policy.Navigate && !r.unasked}
	if r.result.ThirdParty && r.credentials == policy.IncludeCredentials {
		s.Storage = third
	}
	return s
}

// cors is r as the protocol of that name sees it.
func (r *request) cors() *policy.CORSRequest {
	h := make(http.Header)
	for _, f := range r.fields {
		h.Add(f.Name, f.Value)
	}
	return &policy.CORSRequest{URL: r.url, Origin: r.asks(), Method: r.method, Fields: h, Credentials: r.withCookies()}
}

// request makes a request and notes it in the result of the visit.
func (v *visit) request(u *weburl.URL, o order) *request {
	r := &request{order: o, url: u, chain: []*weburl.URL{u}, method: http.MethodGet, found: time.Now()}
	v.note(r)
	return r
}

func (v *visit) note(r *request) {
	r.result = &Fetch{
		URL: r.url.Bare(), Method: r.method, Destination: string(r.destination), Initiator: r.initiator, Priority: policy.Urgency(r.destination, r.hints),
		From: fromNetwork, Start: v.since(), Cookies: []string{},
	}
	party := partyKey{r.document, r.url.Hostname()}
	v.mu.Lock()
	third, known := v.parties[party]
	v.mu.Unlock()
	if !known {
		third = v.cookieRequest(r).ThirdParty()
	}
	r.result.ThirdParty = third
	v.mu.Lock()
	v.parties[party] = third
	r.number = len(v.result.Requests)
	v.result.Requests = append(v.result.Requests, r.result)
	v.mu.Unlock()
}

// follow makes the request that r's response led to.
func (v *visit) follow(r *request) *request {
	to := r.next
	next := &request{order: r.order, url: to.URL, chain: append(slices.Clone(r.chain), to.URL), method: to.Method, tainting: r.tainting, found: time.Now()}
	client := r.client()
	if to.Referrers != "" {
		next.referrers = to.Referrers
	}
	next.foreign = r.foreign || to.Foreign && client != nil && client.Origin() != r.url.Origin()
	if to.KeepBody {
		next.body = r.body
	}
	for _, f := range r.fields {
		gone := !to.KeepBody && policy.Bodily(f.Name) || to.Foreign && strings.EqualFold(f.Name, "Authorization")
		if !gone {
			next.fields = append(next.fields, f)
		}
	}
	v.note(next)
	return next
}

// cookieRequest is r as the cookie jar sees it.
func (v *visit) cookieRequest(r *request) cookie.Request {
	c := cookie.Request{Scheme: r.url.Scheme(), Host: r.url.Hostname(), Path: r.url.Path(), Method: r.method}
	if r.document == nil {
		if r.from != nil {
			c.Initiator = cookieOrigin(r.from)
		}
		return c
	}
	for d := r.document; d != nil; d = d.parent {
		if d.parent == nil {
			c.Top = cookieOrigin(d.url)
		} else {
			c.Ancestors = append(c.Ancestors, cookieOrigin(d.url))
		}
	}
	if r.mode == policy.Navigate {
		c.Initiator = cookieOrigin(r.document.url)
	}
	return c
}

func cookieOrigin(u *weburl.URL) cookie.Origin {
	return cookie.Origin{Scheme: u.Scheme(), Host: u.Hostname()}
}

// partition is the site of the page in the address bar: connections and what the cache keeps are not shared with the
// pages of other sites, who could tell from it where else the person was.
func (v *visit) partition(r *request) string {
	if r.document == nil {
		return policy.Site(r.url)
	}
	top := r.document.top()
	top.mu.Lock()
	defer top.mu.Unlock()
	if top.site == "" {
		top.site = policy.Site(top.url)
	}
	return top.site
}

// start settles whether and where r is asked for, and takes its place in line where the network answers it. It is called
// in the order in which requests are found. ctx is that of the event that led to r.
func (v *visit) start(ctx context.Context, r *request) {
	v.upgrade(ctx, r)
	if r.refused != nil {
		return
	}
	r.own = nil
	if client := r.client(); client != nil {
		t, ok := policy.Taint(r.mode, client.Origin(), r.url, r.tainting)
		if !ok {
			r.refused = &policy.Refusal{Rule: "same-origin", Reason: r.url.Origin() + " is another origin than " + client.Origin()}
			return
		}
		r.tainting = t
	} else {
		r.tainting = policy.Basic
	}
	r.result.Type = string(r.tainting)
	v.consult(ctx, r)
	if r.refused == nil && !r.cached.answers() && !v.preflighted(r) {
		return // the preflight goes first
	}
	if r.refused == nil && !r.cached.answers() {
		r.place = v.reserve(r)
	}
}

// upgrade has r go to https where the page, or the host, wants it, and refuses what would make a page that came over https
// unsafe. That goes first: a host that wants https does not make up for a page that names it by http.
func (v *visit) upgrade(ctx context.Context, r *request) {
	secure, upgrades := false, r.document == nil && r.upgrades
	for d := r.document; d != nil; d = d.parent {
		secure = secure || d.url.Secure()
		upgrades = upgrades || d.wantsHTTPS()
	}
	if base := r.client(); upgrades && base != nil && policy.UpgradeRequest(base, r.url, r.kind(), r.form) {
		v.moved(ctx, r, policy.Upgraded(r.url), "upgrade-insecure-requests")
	}
	verdict, why := policy.MixedContent(secure, r.url, r.destination, r.srcset)
	switch verdict {
	case policy.Upgrade:
		v.moved(ctx, r, policy.Upgraded(r.url), "mixed-content")
	case policy.Refuse:
		r.refused = &policy.Refusal{Rule: "mixed-content", Reason: why}
		return
	}
	if held, _ := v.session.hsts.Secure(time.Now(), r.url); held {
		v.moved(ctx, r, policy.Upgraded(r.url), "hsts")
	}
}

// kind is what r is to the rules that tell the page itself from its parts.
func (r *request) kind() policy.Destination {
	if r.document == nil && r.mode == policy.Navigate {
		return policy.Document
	}
	return r.destination
}

// moved has r ask for another address from the beginning.
func (v *visit) moved(ctx context.Context, r *request, to *weburl.URL, reason string) {
	event.Emit(ctx, v.log, event.URLUpgrade{From: r.url.Bare(), To: to.Bare(), Reason: reason})
	r.url = to
	r.chain = append(slices.Clone(r.chain[:len(r.chain)-1]), to)
	r.own = nil
	r.result.URL = to.Bare()
}
