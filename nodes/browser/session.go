package browser

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/cookie"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/transport"
)

// session is a browser while it runs: what it keeps between visits, and the page that is open.
type session struct {
	ctx          context.Context // of Serve
	host         host.Host
	log          *slog.Logger
	settings     settings
	resolver     Resolver
	transport    *transport.Transport
	jar          *cookie.Jar
	cache        *cache.Cache
	hsts         *policy.HSTS
	preflights   *policy.Preflights
	distrusted   atomic.Bool
	collected    atomic.Int64  // bytes of bodies that are being collected for the cache
	cacheChanged atomic.Bool   // since it was written
	saving       chan struct{} // holds a value while files are being written
	actions      sync.WaitGroup

	filling sync.Mutex // what is written into forms

	mu       sync.Mutex
	tab      *tab // the page that is open; nil: none
	history  []*tab
	partials []*partial  // of downloads that were cut short
	random   rand.Source // boundaries of forms
}

func newSession(ctx context.Context, h host.Host, set settings, r Resolver) *session {
	s := &session{
		ctx: ctx, host: h, log: h.Log(), settings: set, resolver: r, jar: cookie.NewJar(set.cookies), cache: cache.New(cache.Limits{Total: maxCache, Response: maxCached}),
		hsts: policy.NewHSTS(), preflights: policy.NewPreflights(), saving: make(chan struct{}, 1), random: h.Rand(),
	}
	trusted, nobody := host.Roots(h), x509.NewCertPool()
	s.transport = transport.New(h, r, transport.Options{
		ConnectTimeout: set.connectTimeout, LogBody: set.logBody, HTTP2: set.http2, HTTPSRecords: set.records, KeyLog: host.KeyLog(h),
		Roots: func() *x509.CertPool {
			if s.distrusted.Load() {
				return nobody
			}
			return trusted
		},
	})
	return s
}

// Bounds of the cache, in bytes: it is written to a file after each action that changes it.
const (
	maxCache  = 16 << 20
	maxCached = 4 << 20 // of one response
)

// The files of the profile.
const (
	cookieFile = "cookies.json"
	hstsFile   = "hsts.json"
	cacheFile  = "cache.json"
)

// restore reads what an earlier run of the browser left. A file that cannot be read is no reason not to start: what stood
// in it is forgotten then, and the log says why.
func (s *session) restore() {
	storage, ok := s.host.(host.Storage)
	if !ok {
		return
	}
	read := func(name, what string, load func(time.Time, []byte) error) {
		text, err := storage.ReadFile(name)
		if err == nil {
			err = load(time.Now(), text)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn(what+" was not read", slog.Any("error", err))
		}
	}
	read(cookieFile, "the cookie jar", s.jar.Load)
	read(hstsFile, "the HSTS list", s.hsts.Load)
	if s.settings.cache {
		read(cacheFile, "the cache", func(_ time.Time, text []byte) error { return s.cache.Load(text) })
	}
}

// save writes the profile, where the host keeps files; one action at a time, so that what is written last is the newest.
func (s *session) save(ctx context.Context) {
	storage, ok := s.host.(host.Storage)
	if !ok {
		return
	}
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-ctx.Done():
		return
	}
	write := func(name, what string, marshal func() ([]byte, error)) {
		text, err := marshal()
		if err == nil {
			err = storage.WriteFile(name, text)
		}
		if err != nil {
			s.log.Warn(what+" was not written", slog.Any("error", err))
		}
	}
	write(cookieFile, "the cookie jar", s.jar.Marshal)
	if len(s.hsts.Hosts(time.Now())) > 0 || s.hadHSTS(storage) {
		write(hstsFile, "the HSTS list", func() ([]byte, error) { return s.hsts.Marshal(time.Now()) })
	}
	if s.settings.cache && s.cacheChanged.Swap(false) {
		write(cacheFile, "the cache", s.cache.Marshal)
	}
}

// hadHSTS says that there is a file that must be replaced by an empty one.
func (s *session) hadHSTS(storage host.Storage) bool {
	_, err := storage.ReadFile(hstsFile)
	return err == nil
}

// NoArgs are the arguments of an action that takes none.
type NoArgs struct{}

// CookiesResult is what the actions cookies and clear_cookies return.
type CookiesResult struct {
	Cookies []cookie.Cookie `json:"cookies"` // in the jar; after clear_cookies: that were in it
}

// CacheResult is what the action clear_cache returns.
type CacheResult struct {
	Removed int `json:"removed"` // responses that were in the cache
}

// TrustResult is what the actions distrust and trust return.
type TrustResult struct {
	Trusted bool `json:"trusted"` // the scenario's authority is, from now on
}

func (s *session) clearCookies(ctx context.Context) CookiesResult {
	gone := s.jar.Clear()
	for _, c := range gone {
		event.Emit(ctx, s.log, stored(cookie.Change{Kind: cookie.Deleted, Cookie: c, Reason: "the person at the browser emptied the jar"}))
	}
	s.save(ctx)
	return CookiesResult{gone}
}

// trust changes whether the authority is trusted; connections that were made before end.
func (s *session) trust(ctx context.Context, trusted bool) TrustResult {
	s.distrusted.Store(!trusted)
	s.transport.CloseIdle("the browser trusts other authorities now")
	return TrustResult{trusted}
}

// open makes t the page that is open; where the page before it stays reachable, back leads to it.
func (s *session) open(t *tab, remember bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if remember && s.tab != nil {
		before := *s.tab
		if before.navigation.method == http.MethodGet {
			before.page, before.filled = nil, nil // it is loaded again
		}
		s.history = append(s.history, &before)
		s.history = slices.Delete(s.history, 0, max(0, len(s.history)-maxHistory))
	}
	s.tab = t
}

// current is the page that is open; nil: none.
func (s *session) current() *tab {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tab
}
