// Package browser is the role of a web browser: it opens pages as a browser does, without running scripts, and tells
// every step of it.
//
// A page load ([visit]) reads the typed address (address.go) and asks for it ([request], fetch.go): by the rules of package
// policy, from the cache ([cached]) or over package transport ([exchange]). While the page arrives, package page finds what
// belongs to it ([document]). Actions on the page that is open (navigate.go), requests as scripts make them (script.go) and
// downloads (download.go) go the same way.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
	"scenario/nodes/browser/cookie"
	"scenario/nodes/browser/transport"
	"scenario/nodes/role"
)

// Values of the options.
const (
	sameSiteLax  = "lax"
	sameSiteNone = "none"
)

// Options of the role.
type Options struct {
	DNS             string        `json:"dns,omitempty" jsonschema_description:"how the name servers are asked: plain (everybody on the path reads it), tls (RFC 7858) or https (RFC 8484)" jsonschema:"enum=plain,enum=tls,enum=https,default=plain"`
	HTTP2           *bool         `json:"http2,omitempty" jsonschema_description:"offer HTTP/2 to servers behind https" jsonschema:"default=true"`
	HTTPSRecords    *bool         `json:"https_records,omitempty" jsonschema_description:"ask for HTTPS records (RFC 9460) beside addresses, and go by them" jsonschema:"default=true"`
	Cookies         string        `json:"cookies,omitempty" jsonschema_description:"whether sites other than the page's may store and get cookies; partition keeps them in a jar for each site in the address bar" jsonschema:"enum=allow,enum=block-third-party,enum=partition,default=allow"`
	DefaultSameSite string        `json:"default_same_site,omitempty" jsonschema_description:"what a cookie without SameSite counts as; none also lets SameSite=None be without Secure, as in browsers before 2020: third-party cookies over plain http need it" jsonschema:"enum=lax,enum=none,default=lax"`
	Cache           *bool         `json:"cache,omitempty" jsonschema_description:"keep responses for later, as far as they allow it (RFC 9111)" jsonschema:"default=true"`
	UserAgent       string        `json:"user_agent,omitempty" jsonschema_description:"the User-Agent field of every request" jsonschema:"default=scenario-browser/1"`
	ConnectTimeout  role.Duration `json:"connect_timeout,omitempty" jsonschema_description:"how long to wait for a connection to one address" jsonschema:"default=10s"`
	Timeout         role.Duration `json:"timeout,omitempty" jsonschema_description:"how long a page load may take; what is missing then has failed" jsonschema:"default=25s"`
	LogBody         int           `json:"log_body,omitempty" jsonschema_description:"how many bytes of a response's body the log keeps" jsonschema:"default=4096,minimum=0"`
	KeepConnections bool          `json:"keep_connections,omitempty" jsonschema_description:"keep connections open after a page is complete, for the next one"`
}

// settings are checked options.
type settings struct {
	dns            stub.Transport
	http2, records bool
	cache          bool
	cookies        cookie.Policy
	userAgent      string
	connectTimeout time.Duration
	timeout        time.Duration
	logBody        int
	keep           bool
}

// storageAccess is what a request to a third party says of its cookies (Sec-Fetch-Storage-Access).
func (s settings) storageAccess() string {
	if s.cookies.ThirdParty == cookie.AllowThirdParty {
		return "active"
	}
	return "none" // also in a partition: what it has there is not what it has as a first party
}

// Resolver finds the addresses of a name; [stub.Resolver] is the node's own.
type Resolver interface{ transport.Resolver }

// Browser is the role.
type Browser struct {
	settings settings
	resolver func(host.Host) Resolver

	mu      sync.Mutex
	running *session // nil outside Serve
}

var (
	_ role.Role  = (*Browser)(nil)
	_ role.Actor = (*Browser)(nil)
)

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    "browser",
		Doc:     "A web browser without scripts: it opens pages with their assets, keeps cookies and a cache, and goes by the rules of the web.",
		Options: Options{},
		Actions: []role.Action{
			{Name: "browse", Doc: "Open a page and load what belongs to it.", Args: BrowseArgs{}, Short: "url", Result: Result{}},
			{Name: "click", Doc: "Follow a link of the page that is open, or press a button of a form.", Args: ClickArgs{}, Short: "text", Result: Result{}},
			{Name: "fill", Doc: "Write into the fields of a form of the page that is open.", Args: FillArgs{}, Result: FormResult{}},
			{Name: "submit", Doc: "Send a form of the page that is open.", Args: SubmitArgs{}, Result: Result{}},
			{Name: "back", Doc: "Open the page that was open before this one.", Args: NoArgs{}, Result: Result{}},
			{Name: "fetch", Doc: "Make a request as a script of the page that is open would (fetch, XMLHttpRequest): the same-origin policy and CORS hold.", Args: FetchArgs{}, Short: "url", Result: FetchResult{}},
			{Name: "download", Doc: "Download a file: in parts side by side, from where an earlier try ended, or some ranges of it.", Args: DownloadArgs{}, Short: "url", Result: DownloadResult{}},
			{Name: "seek", Doc: "Play a file of the page that is open, or of an address, and jump to a place in it.", Args: SeekArgs{}, Short: "url", Result: SeekResult{}},
			{Name: "cookies", Doc: "List the cookie jar.", Args: NoArgs{}, Result: CookiesResult{}},
			{Name: "clear_cookies", Doc: "Empty the cookie jar.", Args: NoArgs{}, Result: CookiesResult{}},
			{Name: "clear_cache", Doc: "Empty the HTTP cache.", Args: NoArgs{}, Result: CacheResult{}},
			{Name: "distrust", Doc: "No longer trust the scenario's authority: pages over https are refused from now on.", Args: NoArgs{}, Result: TrustResult{}},
			{Name: "trust", Doc: "Trust the scenario's authority again.", Args: NoArgs{}, Result: TrustResult{}},
		},
		New: func(options json.RawMessage) (role.Role, error) { return newBrowser(options, nil) },
	}
}

// newBrowser makes a browser; where resolver is nil, the node's own name servers are asked.
func newBrowser(text json.RawMessage, resolver func(host.Host) Resolver) (*Browser, error) {
	o := Options{
		DNS: string(stub.Plain), Cookies: string(cookie.AllowThirdParty), DefaultSameSite: sameSiteLax, UserAgent: "scenario-browser/1",
		ConnectTimeout: role.Duration(10 * time.Second), Timeout: role.Duration(25 * time.Second), LogBody: 4096,
	}
	if err := decodeStrictly(text, &o); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	policy := cookie.Policy{ThirdParty: cookie.ThirdParty(o.Cookies), LooseSameSite: o.DefaultSameSite == sameSiteNone, Nameless: true}
	switch policy.ThirdParty {
	case cookie.AllowThirdParty, cookie.BlockThirdParty, cookie.PartitionThirdParty:
	default:
		return nil, fmt.Errorf("options: cookies is %q, not %s, %s or %s", o.Cookies, cookie.AllowThirdParty, cookie.BlockThirdParty, cookie.PartitionThirdParty)
	}
	switch stub.Transport(o.DNS) {
	case stub.Plain, stub.TLS, stub.HTTPS:
	default:
		return nil, fmt.Errorf("options: dns is %q, not %s, %s or %s", o.DNS, stub.Plain, stub.TLS, stub.HTTPS)
	}
	switch {
	case o.DefaultSameSite != sameSiteLax && o.DefaultSameSite != sameSiteNone:
		return nil, fmt.Errorf("options: default_same_site is %q, not %s or %s", o.DefaultSameSite, sameSiteLax, sameSiteNone)
	case o.LogBody < 0:
		return nil, errors.New("options: log_body is negative")
	}
	set := settings{
		dns: stub.Transport(o.DNS), http2: orTrue(o.HTTP2), records: orTrue(o.HTTPSRecords), cache: orTrue(o.Cache), cookies: policy,
		userAgent: o.UserAgent, connectTimeout: time.Duration(o.ConnectTimeout), timeout: time.Duration(o.Timeout),
		logBody: o.LogBody, keep: o.KeepConnections,
	}
	if resolver == nil {
		resolver = func(h host.Host) Resolver { return stub.NewWith(h, stub.Options{Transport: set.dns}) }
	}
	return &Browser{settings: set, resolver: resolver}, nil
}

func orTrue(b *bool) bool { return b == nil || *b }

// decodeStrictly reads one JSON object; a key that v does not have is an error.
func decodeStrictly(text json.RawMessage, v any) error {
	if len(text) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Serve keeps the profile (cookies, cache, HSTS list) and the resolver's cache until ctx ends; then page loads that still
// run are stopped.
func (b *Browser) Serve(ctx context.Context, h host.Host, ready func()) error {
	s := newSession(ctx, h, b.settings, b.resolver(h))
	s.restore()
	b.set(s)
	ready()
	<-ctx.Done()
	b.set(nil)
	s.actions.Wait()
	s.transport.Close("the browser was closed")
	if c, ok := s.resolver.(interface{ Close() }); ok {
		c.Close()
	}
	return nil
}

func (b *Browser) set(s *session) {
	b.mu.Lock()
	b.running = s
	b.mu.Unlock()
}

// enter returns the session for one action, which calls its actions.Done at its end.
func (b *Browser) enter() (*session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running == nil {
		return nil, errors.New("the browser does not run")
	}
	b.running.actions.Add(1)
	return b.running, nil
}

// Do carries out an action. A page that cannot be loaded is a [Result] with an Error.
func (b *Browser) Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	s, err := b.enter()
	if err != nil {
		return nil, err
	}
	defer s.actions.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	switch action {
	case "browse":
		return act(ctx, s, action, args, s.browse)
	case "click":
		return act(ctx, s, action, args, s.click)
	case "fill":
		return act(ctx, s, action, args, s.fill)
	case "submit":
		return act(ctx, s, action, args, s.submit)
	case "back":
		return act(ctx, s, action, args, s.back)
	case "fetch":
		return act(ctx, s, action, args, s.fetch)
	case "download":
		return act(ctx, s, action, args, s.download)
	case "seek":
		return act(ctx, s, action, args, s.seek)
	case "cookies":
		return CookiesResult{s.jar.Cookies()}, nil
	case "clear_cookies":
		return s.clearCookies(ctx), nil
	case "clear_cache":
		return s.clearCache(ctx), nil
	case "distrust":
		return s.trust(ctx, false), nil
	case "trust":
		return s.trust(ctx, true), nil
	}
	return nil, fmt.Errorf("browser: no such action: %s", action)
}

// act reads the arguments of an action and carries it out.
func act[A, R any](ctx context.Context, s *session, action string, args json.RawMessage, do func(context.Context, A) (R, error)) (any, error) {
	var a A
	if err := decodeStrictly(args, &a); err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	result, err := do(ctx, a)
	if ended := ctx.Err(); errors.Is(ended, context.Canceled) {
		return nil, fmt.Errorf("%s: %w", action, ended)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	s.save(ctx)
	return result, nil
}

// stored describes a change of the jar.
func stored(change cookie.Change) event.CookieStore {
	c := change.Cookie
	e := event.CookieStore{
		Name: c.Name, Value: c.Value, Domain: c.Domain, HostOnly: c.HostOnly, Path: c.Path, Secure: c.Secure, HTTPOnly: c.HTTPOnly,
		SameSite: string(c.SameSite), Partition: c.Partition.TopSite, Change: string(change.Kind), Reason: change.Reason,
	}
	if !c.Session {
		e.Expires = c.Expires.UTC().Format(time.RFC3339)
	}
	return e
}
