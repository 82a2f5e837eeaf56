// Package browser is the role of a web browser: it opens pages as a browser does, without running scripts, and tells
// every step of it.
//
// A page load ([visit]) reads the typed address (address.go), looks its host up, connects ([pool], [conn]), requests
// ([visit.fetch]), finds assets while the page arrives ([scan], [scanCSS]) and shows the page as text and as a tree
// (render.go). Cookies are the work of package cookie.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
	"scenario/nodes/browser/cookie"
	"scenario/nodes/role"
)

// Values of the options cookies and default_same_site.
const (
	cookiesAllow           = "allow"
	cookiesBlockThirdParty = "block-third-party"
	sameSiteLax            = "lax"
	sameSiteNone           = "none"
)

// Options of the role.
type Options struct {
	Cookies         string        `json:"cookies,omitempty" jsonschema_description:"whether sites other than the page's may store and get cookies" jsonschema:"enum=allow,enum=block-third-party,default=allow"`
	DefaultSameSite string        `json:"default_same_site,omitempty" jsonschema_description:"what a cookie without SameSite counts as; none also lets SameSite=None be without Secure, as in browsers before 2020: third-party cookies over plain http need it" jsonschema:"enum=lax,enum=none,default=lax"`
	UserAgent       string        `json:"user_agent,omitempty" jsonschema_description:"the User-Agent field of every request" jsonschema:"default=scenario-browser/1"`
	ConnectTimeout  role.Duration `json:"connect_timeout,omitempty" jsonschema_description:"how long to wait for a connection to one address" jsonschema:"default=10s"`
	Timeout         role.Duration `json:"timeout,omitempty" jsonschema_description:"how long a page load may take; what is missing then has failed" jsonschema:"default=25s"`
	LogBody         int           `json:"log_body,omitempty" jsonschema_description:"how many bytes of a response's body the log keeps" jsonschema:"default=4096,minimum=0"`
	KeepConnections bool          `json:"keep_connections,omitempty" jsonschema_description:"keep connections open after a page is complete, for the next one"`
}

// settings are checked options.
type settings struct {
	userAgent      string
	connectTimeout time.Duration
	timeout        time.Duration
	logBody        int
	keep           bool
}

// BrowseArgs are the arguments of the action browse.
type BrowseArgs struct {
	URL     string        `json:"url" jsonschema_description:"the address, as a person types it" jsonschema:"required"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"how long the page load may take; default: the role's timeout"`
}

// NoArgs are the arguments of an action that takes none.
type NoArgs struct{}

// CookiesResult is what the actions cookies and clear_cookies return.
type CookiesResult struct {
	Cookies []cookie.Cookie `json:"cookies"` // in the jar; after clear_cookies: that were in it
}

// Resolver finds the addresses of a name; [stub.Resolver] is the node's own.
type Resolver interface {
	Lookup(ctx context.Context, name string) (stub.Answer, error)
}

// Browser is the role.
type Browser struct {
	settings settings
	policy   cookie.Policy
	resolver func(host.Host) Resolver

	mu      sync.Mutex
	running *session // nil outside Serve
}

// session is what a browser keeps between visits while it runs.
type session struct {
	ctx      context.Context // of Serve
	jar      *cookie.Jar
	resolver Resolver
	pool     *pool         // of connections that are kept
	saving   chan struct{} // holds a value while the jar's file is being written
	actions  sync.WaitGroup
}

var (
	_ role.Role  = (*Browser)(nil)
	_ role.Actor = (*Browser)(nil)
)

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    "browser",
		Doc:     "A web browser without scripts: it opens pages with their assets and keeps cookies.",
		Options: Options{},
		Actions: []role.Action{
			{Name: "browse", Doc: "Open a page and load what belongs to it.", Args: BrowseArgs{}, Short: "url", Result: Result{}},
			{Name: "cookies", Doc: "List the cookie jar.", Args: NoArgs{}, Result: CookiesResult{}},
			{Name: "clear_cookies", Doc: "Empty the cookie jar.", Args: NoArgs{}, Result: CookiesResult{}},
		},
		New: func(options json.RawMessage) (role.Role, error) {
			return newBrowser(options, func(h host.Host) Resolver { return stub.New(h) })
		},
	}
}

func newBrowser(text json.RawMessage, resolver func(host.Host) Resolver) (*Browser, error) {
	o := Options{
		Cookies: cookiesAllow, DefaultSameSite: sameSiteLax, UserAgent: "scenario-browser/1",
		ConnectTimeout: role.Duration(10 * time.Second), Timeout: role.Duration(25 * time.Second), LogBody: 4096,
	}
	if err := decodeStrictly(text, &o); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	switch {
	case o.Cookies != cookiesAllow && o.Cookies != cookiesBlockThirdParty:
		return nil, fmt.Errorf("options: cookies is %q, not %s or %s", o.Cookies, cookiesAllow, cookiesBlockThirdParty)
	case o.DefaultSameSite != sameSiteLax && o.DefaultSameSite != sameSiteNone:
		return nil, fmt.Errorf("options: default_same_site is %q, not %s or %s", o.DefaultSameSite, sameSiteLax, sameSiteNone)
	case o.LogBody < 0:
		return nil, errors.New("options: log_body is negative")
	}
	return &Browser{
		settings: settings{
			userAgent: o.UserAgent, connectTimeout: time.Duration(o.ConnectTimeout), timeout: time.Duration(o.Timeout),
			logBody: o.LogBody, keep: o.KeepConnections,
		},
		policy:   cookie.Policy{ThirdParty: cookie.ThirdParty(o.Cookies), LooseSameSite: o.DefaultSameSite == sameSiteNone},
		resolver: resolver,
	}, nil
}

// decodeStrictly reads one JSON object; a key that v does not have is an error.
func decodeStrictly(text json.RawMessage, v any) error {
	if len(text) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Serve keeps the cookie jar and the resolver's cache until ctx ends; then page loads that still run are stopped.
func (b *Browser) Serve(ctx context.Context, h host.Host, ready func()) error {
	s := &session{
		ctx: ctx, jar: cookie.NewJar(b.policy), resolver: b.resolver(h), pool: newPool(), saving: make(chan struct{}, 1),
	}
	s.restore(h)
	b.set(s)
	ready()
	<-ctx.Done()
	b.set(nil)
	s.actions.Wait()
	s.pool.close("the browser was closed")
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
		var a BrowseArgs
		if err := decodeStrictly(args, &a); err != nil {
			return nil, fmt.Errorf("browse: %w", err)
		}
		return b.browse(ctx, h, s, a)
	case "cookies":
		return CookiesResult{s.jar.Cookies()}, nil
	case "clear_cookies":
		gone := s.jar.Clear()
		for _, c := range gone {
			event.Emit(ctx, h.Log(), stored("deleted", c))
		}
		s.save(ctx, h)
		return CookiesResult{gone}, nil
	}
	return nil, fmt.Errorf("browser: no such action: %s", action)
}

func (b *Browser) browse(ctx context.Context, h host.Host, s *session, a BrowseArgs) (*Result, error) {
	set := b.settings
	if a.Timeout > 0 {
		set.timeout = time.Duration(a.Timeout)
	}
	connections := s.pool
	if !set.keep {
		connections = newPool()
	}
	loading, cancel := context.WithTimeout(ctx, set.timeout)
	defer cancel()
	result := newVisit(h, s, connections, set).open(loading, a.URL)
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("browse %s: %w", a.URL, err)
	}
	s.save(ctx, h)
	return result, nil
}

// cookieFile holds the cookie jar between visits.
const cookieFile = "cookies.json"

// restore reads the cookie jar that an earlier run of the browser left. A file that cannot be read is no reason not to
// start: the jar is empty then, and the log says why.
func (s *session) restore(h host.Host) {
	storage, ok := h.(host.Storage)
	if !ok {
		return
	}
	text, err := storage.ReadFile(cookieFile)
	if err == nil {
		err = s.jar.Load(time.Now(), text)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.Log().Warn("the cookie jar was not read", slog.Any("error", err))
	}
}

// save writes the cookie jar, where the host keeps files; one page load at a time, so that the last one written is the newest.
func (s *session) save(ctx context.Context, h host.Host) {
	storage, ok := h.(host.Storage)
	if !ok {
		return
	}
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-ctx.Done():
		return
	}
	text, err := s.jar.Marshal()
	if err == nil {
		err = storage.WriteFile(cookieFile, text)
	}
	if err != nil {
		h.Log().Warn("the cookie jar was not written", slog.Any("error", err))
	}
}

// stored describes a change of the jar.
func stored(change string, c cookie.Cookie) event.CookieStore {
	e := event.CookieStore{
		Name: c.Name, Value: c.Value, Domain: c.Domain, HostOnly: c.HostOnly, Path: c.Path, Change: change,
	}
	if !c.Session {
		e.Expires = c.Expires.UTC().Format(time.RFC3339)
	}
	return e
}
