package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/weburl"
	"scenario/nodes/role"
)

// maxFetched is how many bytes of a body the action fetch returns.
const maxFetched = 256 << 10

// FetchArgs are the arguments of the action fetch, named as those of the function of that name in browsers (Fetch,
// section 5.3).
type FetchArgs struct {
	URL         string            `json:"url" jsonschema_description:"the address, absolute or relative to the page" jsonschema:"required"`
	Method      string            `json:"method,omitempty" jsonschema:"default=GET"`
	Headers     map[string]string `json:"headers,omitempty"`
	Body        string            `json:"body,omitempty"`
	JSON        json.RawMessage   `json:"json,omitempty" jsonschema_description:"a body of type application/json in place of body"`
	Mode        string            `json:"mode,omitempty" jsonschema:"enum=cors,enum=no-cors,enum=same-origin,default=cors"`
	Credentials string            `json:"credentials,omitempty" jsonschema_description:"whether cookies go along" jsonschema:"enum=omit,enum=same-origin,enum=include,default=same-origin"`
	Cache       string            `json:"cache,omitempty" jsonschema:"enum=default,enum=no-store,enum=reload,enum=no-cache,enum=force-cache,enum=only-if-cached,default=default"`
	Redirect    string            `json:"redirect,omitempty" jsonschema:"enum=follow,enum=error,enum=manual,default=follow"`
	Timeout     role.Duration     `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// FetchResult is what the script sees, and the requests that were made.
type FetchResult struct {
	URL        string            `json:"url"` // after redirects; empty where the script may not know
	Status     int               `json:"status"`
	Type       string            `json:"type"` // basic, cors, opaque, opaqueredirect, error
	Redirected bool              `json:"redirected"`
	Headers    map[string]string `json:"headers"` // that the script may see, in lower case
	Body       string            `json:"body"`
	BodyBase64 string            `json:"body_base64,omitempty"` // in its place where it is no text
	Truncated  int64             `json:"truncated,omitempty"`   // bytes of the body left out
	Requests   []*Fetch          `json:"requests"`
	Duration   float64           `json:"duration_s"`
	Error      *Failure          `json:"error,omitempty"` // of which a script is told nothing but that there is one
}

// errNoPage is the error of actions that need one.
var errNoPage = errors.New("no page is open: browse one first, or have a node without a browser do it")

// fetch makes a request as a script of the page that is open would.
func (s *session) fetch(ctx context.Context, a FetchArgs) (*FetchResult, error) {
	t := s.current()
	if t == nil || t.page.url == nil {
		return nil, errNoPage
	}
	o, method, fields, err := a.order()
	if err != nil {
		return nil, err
	}
	u, err := t.page.base.Parse(a.URL)
	if err != nil || !u.Web() || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no address that can be asked for", a.URL)
	}
	u, err = weburl.Parse(u.Bare())
	if err != nil {
		return nil, err
	}
	body := []byte(a.Body)
	if a.JSON != nil {
		body = a.JSON
	}
	if len(body) > 0 && (method == http.MethodGet || method == http.MethodHead) {
		return nil, fmt.Errorf("a request with the method %s has no body", method)
	}
	o.document, o.referrers, o.initiator = t.page, t.page.referrers, t.page.url.Bare()
	v, ctx, cancel := s.begin(ctx, a.Timeout)
	defer cancel()
	v.page = t.page
	r := v.request(u, o)
	r.method, r.body, r.fields, r.result.Method = method, body, fields, method
	result := &FetchResult{Type: "error", Headers: map[string]string{}}
	last := v.chase(ctx, r, func(_ context.Context, last *request, resp *response) error { return result.take(last, resp) })
	v.end(ctx)
	result.Requests, result.Duration = v.result.Requests, v.result.Duration
	if result.Error = last.result.Error; result.Error != nil {
		*result = FetchResult{Type: "error", Headers: map[string]string{}, Requests: result.Requests, Duration: result.Duration, Error: result.Error}
		return result, nil
	}
	result.show(last)
	return result, nil
}

// order reads what the arguments ask for.
func (a FetchArgs) order() (o order, method string, fields []policy.Field, err error) {
	o = order{
		destination: policy.Fetch, mode: policy.CORS, credentials: policy.SameOriginOnly, cacheMode: cache.Default, redirects: redirectFollow,
	}
	if a.Mode != "" {
		o.mode = policy.Mode(a.Mode)
	}
	if a.Credentials != "" {
		o.credentials = policy.Credentials(a.Credentials)
	}
	if a.Cache != "" {
		o.cacheMode = cache.Mode(a.Cache)
	}
	if a.Redirect != "" {
		o.redirects = redirectMode(a.Redirect)
	}
	switch o.mode {
	case policy.CORS, policy.NoCORS, policy.SameOrigin:
	default:
		return o, "", nil, fmt.Errorf("mode is %q, not cors, no-cors or same-origin", a.Mode)
	}
	switch o.credentials {
	case policy.Omit, policy.SameOriginOnly, policy.IncludeCredentials:
	default:
		return o, "", nil, fmt.Errorf("credentials is %q, not omit, same-origin or include", a.Credentials)
	}
	switch o.cacheMode {
	case cache.Default, cache.NoStore, cache.Reload, cache.NoCache, cache.ForceCache, cache.OnlyIfCached:
	default:
		return o, "", nil, fmt.Errorf("cache is %q, which is no cache mode", a.Cache)
	}
	switch o.redirects {
	case redirectFollow, redirectError, redirectManual:
	default:
		return o, "", nil, fmt.Errorf("redirect is %q, not follow, error or manual", a.Redirect)
	}
	if method, err = policy.NormalizeMethod(a.Method); err != nil {
		return o, "", nil, err
	}
	if o.mode == policy.NoCORS && method != http.MethodGet && method != http.MethodHead && method != http.MethodPost {
		return o, "", nil, fmt.Errorf("mode no-cors has no method %s", method)
	}
	if o.cacheMode == cache.OnlyIfCached && o.mode != policy.SameOrigin {
		return o, "", nil, errors.New("cache only-if-cached needs mode same-origin")
	}
	h := make(http.Header)
	switch {
	case a.JSON != nil:
		h.Set("Content-Type", "application/json")
	case a.Body != "":
		h.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	for name, value := range a.Headers {
		if !fieldName(name) || strings.ContainsAny(value, "\r\n\x00") {
			return o, "", nil, fmt.Errorf("%q is no header field", name)
		}
		if policy.ForbiddenField(name, value) {
			continue // as browsers do, without a word
		}
		h.Set(name, strings.Trim(value, " \t"))
	}
	for _, f := range policy.Sorted(h) {
		if o.mode == policy.NoCORS && (!policy.SafeField(f.Name, f.Value) || strings.EqualFold(f.Name, "Range")) {
			continue
		}
		fields = append(fields, f)
	}
	return o, method, fields, nil
}

// fieldName says that name can be that of a field.
func fieldName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// take reads the body for the script.
func (f *FetchResult) take(r *request, resp *response) error {
	text, err := resp.keep(maxFetched)
	if err != nil {
		return err
	}
	f.Truncated = *resp.decoded - int64(len(text))
	if utf8.Valid(text) {
		f.Body = string(text)
	} else {
		f.BodyBase64 = base64.StdEncoding.EncodeToString(text)
	}
	for name, values := range policy.Expose(r.tainting, r.withCookies(), resp.header) {
		f.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return nil
}

// show fills in what the script may know of the response to the last request.
func (f *FetchResult) show(last *request) {
	f.URL, f.Status, f.Type = last.url.Bare(), last.result.Status, string(last.tainting)
	f.Redirected = len(last.chain) > 1
	hide := func(kind string) {
		*f = FetchResult{Type: kind, Headers: map[string]string{}, Requests: f.Requests, Duration: f.Duration}
	}
	switch {
	case last.tainting == policy.Opaque:
		hide(string(policy.Opaque))
	case last.redirects == redirectManual && policy.IsRedirect(last.result.Status):
		hide("opaqueredirect")
	}
}
