package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"scenario/event"
	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/page"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/weburl"
	"scenario/nodes/role"
)

// BrowseArgs are the arguments of the action browse.
type BrowseArgs struct {
	URL     string        `json:"url,omitempty" jsonschema_description:"the address, as a person types it; default: that of the page that is open"`
	Reload  Reload        `json:"reload,omitempty" jsonschema_description:"true: ask the server whether the page has changed; hard: load it and all that belongs to it anew"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"how long the page load may take; default: the role's timeout"`
}

// Reload is how a page is loaded again: false, true or hard.
type Reload string

// The ways to reload.
const (
	noReload   Reload = ""
	softReload Reload = "true"
	hardReload Reload = "hard"
)

// UnmarshalJSON reads false, true or "hard".
func (r *Reload) UnmarshalJSON(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	switch value {
	case false, nil:
		*r = noReload
	case true:
		*r = softReload
	case string(hardReload):
		*r = hardReload
	default:
		return fmt.Errorf("reload is %s, not false, true or hard", text)
	}
	return nil
}

// JSONSchema describes what UnmarshalJSON reads.
func (Reload) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Enum: []any{false, true, string(hardReload)}}
}

// ClickArgs are the arguments of the action click.
type ClickArgs struct {
	Text     string        `json:"text,omitempty" jsonschema_description:"what the link or button says, or a part of it"`
	Selector string        `json:"selector,omitempty" jsonschema_description:"a CSS selector of the link or button, in place of text"`
	Timeout  role.Duration `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// FillArgs are the arguments of the action fill.
type FillArgs struct {
	Form   string            `json:"form,omitempty" jsonschema_description:"name or id of the form, or the text of its button; default: the only form, or the one that has the fields"`
	Field  string            `json:"field,omitempty" jsonschema_description:"name, id or label of a field"`
	Value  string            `json:"value,omitempty" jsonschema_description:"what to write into it; a choice of a list; true or false for a checkbox"`
	Fields map[string]string `json:"fields,omitempty" jsonschema_description:"several fields with their values, in place of field and value"`
}

// SubmitArgs are the arguments of the action submit.
type SubmitArgs struct {
	Form    string            `json:"form,omitempty" jsonschema_description:"name or id of the form, or the text of its button; default: the only form"`
	Button  string            `json:"button,omitempty" jsonschema_description:"name, id or text of the button that is pressed; default: the first"`
	Fields  map[string]string `json:"fields,omitempty" jsonschema_description:"what to write into the form before"`
	Timeout role.Duration     `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// FormResult is what stands in a form.
type FormResult struct {
	Form   string      `json:"form"` // its name or id
	Fields []FormField `json:"fields"`
}

// FormField is a field of a form that is sent with it.
type FormField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// browse opens a page.
func (s *session) browse(ctx context.Context, a BrowseArgs) (*Result, error) {
	t := s.current()
	n := navigation{method: http.MethodGet}
	u, err := typed(a.URL)
	switch {
	case a.URL == "" && t != nil:
		u, err = t.page.url, nil
		if a.Reload == noReload {
			a.Reload = softReload
		}
	case err != nil:
		return s.nowhere(ctx, a, err), nil
	}
	if a.Reload != noReload && t != nil && t.page.url.Bare() == u.Bare() {
		n = t.navigation // as it was opened: by whom, and with what
	}
	n.url, n.hard, n.cacheMode, n.unasked = u, a.Reload == hardReload, cache.Default, false
	switch a.Reload {
	case softReload:
		n.cacheMode = cache.NoCache
	case hardReload:
		n.cacheMode = cache.Reload
	}
	return s.visit(ctx, n, a.Timeout), nil
}

// nowhere is the result of an address that makes no sense.
func (s *session) nowhere(ctx context.Context, a BrowseArgs, err error) *Result {
	v, ctx, cancel := s.begin(ctx, a.Timeout)
	defer cancel()
	v.result.URL = a.URL
	v.result.Error = &Failure{Phase: phaseURL, Message: err.Error(), Meaning: "the address does not say where to go"}
	ctx = event.Begin(ctx, v.log, event.PageMilestone{Milestone: "url", URL: a.URL, Detail: err.Error()})
	v.finish(ctx)
	return &v.result
}

// visit opens a page.
func (s *session) visit(ctx context.Context, n navigation, timeout role.Duration) *Result {
	v, ctx, cancel := s.begin(ctx, timeout)
	defer cancel()
	return v.open(ctx, n)
}

// opened is the page that is open and has elements.
func (s *session) opened() (*tab, error) {
	t := s.current()
	if t == nil || t.page.tree == nil {
		return nil, errNoPage
	}
	return t, nil
}

// click follows a link or presses a button.
func (s *session) click(ctx context.Context, a ClickArgs) (*Result, error) {
	t, err := s.opened()
	switch {
	case err != nil:
		return nil, err
	case (a.Text == "") == (a.Selector == ""):
		return nil, errors.New("give either text or selector")
	case a.Selector != "":
		return s.clickOn(ctx, t, a)
	}
	l, err := page.FindLink(t.page.tree, a.Text)
	if err == nil {
		return s.followLink(ctx, t, l, a.Timeout)
	}
	for _, f := range page.Forms(t.page.tree) {
		if b := f.Button(a.Text); b != nil {
			return s.send(ctx, t, f, b, a.Timeout)
		}
	}
	return nil, fmt.Errorf("the page has no link or button %q", a.Text)
}

// clickOn clicks on what a selector finds.
func (s *session) clickOn(ctx context.Context, t *tab, a ClickArgs) (*Result, error) {
	found, err := page.Select(t.page.tree, a.Selector, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the page has nothing that %q selects", a.Selector)
	}
	for n := found[0]; n != nil; n = n.Parent {
		for _, l := range page.Links(t.page.tree) {
			if l.Node == n {
				return s.followLink(ctx, t, l, a.Timeout)
			}
		}
		for _, f := range page.Forms(t.page.tree) {
			for _, c := range f.Fields {
				if c.Node == n && !c.Disabled && (c.Kind == "submit" || c.Kind == "image") {
					return s.send(ctx, t, f, c, a.Timeout)
				}
			}
		}
	}
	return nil, fmt.Errorf("what %q selects is no link or button", a.Selector)
}

// followLink opens what a link leads to.
func (s *session) followLink(ctx context.Context, t *tab, l page.Link, timeout role.Duration) (*Result, error) {
	u, err := t.page.base.Parse(l.Address)
	if err != nil || !u.Web() || u.Hostname() == "" {
		return nil, fmt.Errorf("the link %q leads to %q, which no browser opens as a page", l.Text, l.Address)
	}
	if u.Fragment() != "" && u.Bare() == t.page.url.Bare() {
		return s.still(ctx, t, u), nil // a place in the page itself
	}
	n := navigation{url: u, method: http.MethodGet, from: t.page, referrers: t.page.referrers, cacheMode: cache.Default}
	if p := policy.ReferrerPolicyAttribute(l.Policy); p != "" {
		n.referrers = p
	}
	if hasWord(strings.ToLower(l.Rel), "noreferrer") {
		n.referrers = policy.NoReferrer
	}
	return s.visit(ctx, n, timeout), nil
}

// form finds a form, with what a person has written into it.
func (t *tab) form(name string, fields map[string]string) (*page.Form, error) {
	f, err := page.FindForm(t.page.tree, name)
	if err != nil && name == "" {
		for key := range fields { // the one that has such a field
			if f, err = page.FindForm(t.page.tree, key); err == nil {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return f, t.refill(f)
}

// refill writes into a form what a person has written before.
func (t *tab) refill(f *page.Form) error {
	for _, e := range t.filled[f.Node] {
		if err := f.Fill(e.Name, e.Value); err != nil {
			return err
		}
	}
	return nil
}

// write writes fields into a form, and remembers them.
func (t *tab) write(f *page.Form, fields map[string]string) error {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	var entries []page.Entry
	for _, name := range names {
		if err := f.Fill(name, fields[name]); err != nil {
			return err
		}
		entries = append(entries, page.Entry{Name: name, Value: fields[name]})
	}
	t.filled[f.Node] = append(t.filled[f.Node], entries...)
	return nil
}

// fill writes into a form.
func (s *session) fill(_ context.Context, a FillArgs) (*FormResult, error) {
	t, err := s.opened()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for name, value := range a.Fields {
		fields[name] = value
	}
	if a.Field != "" {
		fields[a.Field] = a.Value
	}
	if len(fields) == 0 {
		return nil, errors.New("give field and value, or fields")
	}
	s.filling.Lock()
	defer s.filling.Unlock()
	f, err := t.form(a.Form, fields)
	if err != nil {
		return nil, err
	}
	if err := t.write(f, fields); err != nil {
		return nil, err
	}
	result := &FormResult{Form: f.Name, Fields: []FormField{}}
	if result.Form == "" {
		result.Form = f.ID
	}
	for _, e := range f.Entries(nil, "UTF-8") {
		result.Fields = append(result.Fields, FormField(e))
	}
	return result, nil
}

// submit sends a form.
func (s *session) submit(ctx context.Context, a SubmitArgs) (*Result, error) {
	t, err := s.opened()
	if err != nil {
		return nil, err
	}
	f, err := s.filledIn(t, a)
	if err != nil {
		return nil, err
	}
	b := f.Button(a.Button)
	if b == nil && a.Button != "" {
		return nil, fmt.Errorf("the form has no button %q", a.Button)
	}
	return s.send(ctx, t, f, b, a.Timeout)
}

// filledIn is the form that is to be sent.
func (s *session) filledIn(t *tab, a SubmitArgs) (*page.Form, error) {
	s.filling.Lock()
	defer s.filling.Unlock()
	f, err := t.form(a.Form, a.Fields)
	if err != nil {
		return nil, err
	}
	return f, t.write(f, a.Fields)
}

// send submits a form by a button; nil: by none.
func (s *session) send(ctx context.Context, t *tab, f *page.Form, b *page.Field, timeout role.Duration) (*Result, error) {
	s.filling.Lock()
	err := t.refill(f)
	var sub *page.Submission
	if err == nil {
		sub, err = f.Submit(b, t.page.url, t.page.base, s.random)
	}
	s.filling.Unlock()
	if err != nil {
		return nil, err
	}
	if sub.URL == nil || !sub.URL.Web() || sub.URL.Hostname() == "" {
		return nil, errors.New("the form is not sent anywhere")
	}
	n := navigation{
		url: sub.URL, method: sub.Method, body: sub.Body, from: t.page, referrers: t.page.referrers, cacheMode: cache.Default, form: true,
	}
	if sub.ContentType != "" {
		n.fields = []policy.Field{{Name: "Content-Type", Value: sub.ContentType}}
	}
	return s.visit(ctx, n, timeout), nil
}

// still is the result of a page that is shown without being loaded.
func (s *session) still(ctx context.Context, t *tab, u *weburl.URL) *Result {
	v, ctx, cancel := s.begin(ctx, 0)
	defer cancel()
	ctx = event.Begin(ctx, v.log, v.milestone("url", u, "the page is there already"))
	v.result.URL, v.result.Status = u.String(), t.status
	v.show(t.page)
	v.finish(ctx)
	return &v.result
}

// back opens the page before this one again: from the cache where it has it, as browsers do. What a form has brought is
// shown as it was, since the form must not be sent twice.
func (s *session) back(ctx context.Context, _ NoArgs) (*Result, error) {
	s.mu.Lock()
	var t *tab
	if n := len(s.history); n > 0 {
		t = s.history[n-1]
		s.history = s.history[:n-1]
	}
	s.mu.Unlock()
	if t == nil {
		return nil, errors.New("no page was open before this one")
	}
	if t.page != nil {
		s.open(t, false)
		return s.still(ctx, t, t.page.url), nil
	}
	n := t.navigation
	n.cacheMode, n.hard, n.again = cache.ForceCache, false, true
	return s.visit(ctx, n, 0), nil
}
