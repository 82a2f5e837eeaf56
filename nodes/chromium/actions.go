package chromium

import (
	"context"
	_ "embed" // page.js
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"

	"scenario/event"
	pagetree "scenario/nodes/browser/page"
	"scenario/nodes/chromium/devtools"
	"scenario/nodes/role"
)

// BrowseArgs are the arguments of the action browse.
type BrowseArgs struct {
	URL     string        `json:"url" jsonschema_description:"the address, as a person types it" jsonschema:"required"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"how long the page load may take; default: the role's timeout"`
}

// ClickArgs are the arguments of the action click.
type ClickArgs struct {
	Text     string        `json:"text,omitempty" jsonschema_description:"what the link or button says, or a part of it"`
	Selector string        `json:"selector,omitempty" jsonschema_description:"a CSS selector of the link or button, in place of text"`
	Timeout  role.Duration `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// TypeArgs are the arguments of the actions type and fill.
type TypeArgs struct {
	Form    string            `json:"form,omitempty" jsonschema_description:"name or id of the form, or the text of its button; default: the only form, or the one that has the fields"`
	Field   string            `json:"field,omitempty" jsonschema_description:"name, id or label of a field"`
	Value   string            `json:"value,omitempty" jsonschema_description:"what to type into it; a choice of a list; true or false for a checkbox"`
	Fields  map[string]string `json:"fields,omitempty" jsonschema_description:"several fields with their values, in place of field and value"`
	Timeout role.Duration     `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// SubmitArgs are the arguments of the action submit.
type SubmitArgs struct {
	Form    string            `json:"form,omitempty" jsonschema_description:"name or id of the form, or the text of its button; default: the only form"`
	Button  string            `json:"button,omitempty" jsonschema_description:"name, id or text of the button that is pressed; default: the first"`
	Fields  map[string]string `json:"fields,omitempty" jsonschema_description:"what to type into the form before"`
	Timeout role.Duration     `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// WaitArgs are the arguments of the action wait_for.
type WaitArgs struct {
	Text     string        `json:"text,omitempty" jsonschema_description:"that the page is to show"`
	Selector string        `json:"selector,omitempty" jsonschema_description:"a CSS selector of what is to be shown, in place of text"`
	Timeout  role.Duration `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// EvaluateArgs are the arguments of the action evaluate.
type EvaluateArgs struct {
	Expression string        `json:"expression" jsonschema_description:"JavaScript; a promise is waited for" jsonschema:"required"`
	Timeout    role.Duration `json:"timeout,omitempty" jsonschema_description:"default: the role's timeout"`
}

// EvaluateResult is what came of a script.
type EvaluateResult struct {
	Value    any               `json:"value"`           // as JSON has it
	Error    string            `json:"error,omitempty"` // what the script threw
	Requests []*devtools.Fetch `json:"requests"`        // that it made
}

// ScreenshotArgs are the arguments of the action screenshot.
type ScreenshotArgs struct {
	Name string `json:"name,omitempty" jsonschema_description:"of the file, without .png" jsonschema:"default=screenshot"`
}

// ScreenshotResult is a picture of the page.
type ScreenshotResult struct {
	Path   string `json:"path"`  // among the node's files in the run's folder
	Width  int    `json:"width"` // pixels
	Height int    `json:"height"`
	Bytes  int    `json:"bytes"`
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

// NoArgs are the arguments of an action that takes none.
type NoArgs struct{}

// CookiesResult is what the actions cookies and clear_cookies return.
type CookiesResult struct {
	Cookies []devtools.Cookie `json:"cookies"` // in the jar; after clear_cookies: that were in it
}

func actions() []role.Action {
	return []role.Action{
		{Name: "browse", Doc: "Open a page and load what belongs to it.", Args: BrowseArgs{}, Short: "url", Result: devtools.Result{}},
		{Name: "click", Doc: "Click on a link or button of the page, and wait for what comes of it.", Args: ClickArgs{}, Short: "text", Result: devtools.Result{}},
		{Name: "type", Doc: "Type into a field of the page, key by key.", Args: TypeArgs{}, Result: FormResult{}},
		{Name: "fill", Doc: "Write into the fields of a form of the page.", Args: TypeArgs{}, Result: FormResult{}},
		{Name: "submit", Doc: "Send a form of the page.", Args: SubmitArgs{}, Result: devtools.Result{}},
		{Name: "back", Doc: "Open the page that was open before this one.", Args: NoArgs{}, Result: devtools.Result{}},
		{Name: "wait_for", Doc: "Wait until the page shows something.", Args: WaitArgs{}, Short: "text", Result: devtools.Result{}},
		{Name: "evaluate", Doc: "Run a script in the page.", Args: EvaluateArgs{}, Short: "expression", Result: EvaluateResult{}},
		{Name: "fetch", Doc: "Make a request as a script of the page (fetch): the same-origin policy and CORS hold.", Args: FetchArgs{}, Short: "url", Result: FetchResult{}},
		{Name: "screenshot", Doc: "Keep a picture of the page as PNG.", Args: ScreenshotArgs{}, Short: "name", Result: ScreenshotResult{}},
		{Name: "cookies", Doc: "List the cookie jar.", Args: NoArgs{}, Result: CookiesResult{}},
		{Name: "clear_cookies", Doc: "Empty the cookie jar.", Args: NoArgs{}, Result: CookiesResult{}},
	}
}

// decode reads arguments and passes them on.
func decode[A any](args json.RawMessage, carry func(A) (any, error)) (any, error) {
	var a A
	if err := decodeStrictly(args, &a); err != nil {
		return nil, err
	}
	return carry(a)
}

func (b *browser) do(ctx context.Context, action string, args json.RawMessage) (any, error) {
	switch action {
	case "browse":
		return decode(args, func(a BrowseArgs) (any, error) { return b.browse(ctx, a) })
	case "click":
		return decode(args, func(a ClickArgs) (any, error) { return b.click(ctx, a) })
	case "type":
		return decode(args, func(a TypeArgs) (any, error) { return b.fill(ctx, a, true) })
	case "fill":
		return decode(args, func(a TypeArgs) (any, error) { return b.fill(ctx, a, false) })
	case "submit":
		return decode(args, func(a SubmitArgs) (any, error) { return b.submit(ctx, a) })
	case "back":
		return decode(args, func(NoArgs) (any, error) { return b.back(ctx) })
	case "wait_for":
		return decode(args, func(a WaitArgs) (any, error) { return b.waitFor(ctx, a) })
	case "evaluate":
		return decode(args, func(a EvaluateArgs) (any, error) { return b.evaluate(ctx, a) })
	case "fetch":
		return decode(args, func(a FetchArgs) (any, error) { return b.fetch(ctx, a) })
	case "screenshot":
		return decode(args, func(a ScreenshotArgs) (any, error) { return b.screenshot(ctx, a) })
	case "cookies":
		return decode(args, func(NoArgs) (any, error) { return b.cookies(ctx) })
	case "clear_cookies":
		return decode(args, func(NoArgs) (any, error) { return b.clearCookies(ctx) })
	}
	return nil, errors.New("no such action")
}

// limit is how long an action may take.
func (b *browser) limit(asked role.Duration) time.Duration {
	if asked > 0 {
		return time.Duration(asked)
	}
	return b.settings.timeout
}

// within returns the tab's context with an end: that of ctx, or of the time an action has.
func (b *browser) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	tab, cancel := context.WithTimeout(b.tab, limit)
	stops := []func() bool{context.AfterFunc(ctx, cancel), context.AfterFunc(b.ended, cancel)}
	return tab, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// When a page rests: nothing has happened for so long, and no request is open, or has been for very long.
const (
	look     = 25 * time.Millisecond
	quiet    = 300 * time.Millisecond
	patience = 5 * time.Second // with requests that are open when the page is loaded: it may be waiting for news
	finish   = 5 * time.Second // to look at the page when its time is over
)

// follow has act do something to the page, waits until the page rests, and tells of it. asked is the address that act goes
// to; empty: act decides where the page goes. What act returns is why the page could not be had, as Chromium says.
func (b *browser) follow(ctx context.Context, asked string, limit time.Duration, act func(tab context.Context) (string, error)) (*devtools.Result, error) {
	tab, cancel := b.within(ctx, limit)
	defer cancel()
	load := b.newLoad(time.Now())
	defer b.load.Store(nil)
	problem, err := act(tab)
	if err != nil && tab.Err() == nil {
		return nil, err
	}
	if err == nil && problem == "" {
		err = settle(tab, load, asked != "")
	}
	stopped := err != nil
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	now := time.Now()
	tab, cancel = b.within(ctx, finish)
	defer cancel()
	b.bodies(tab, load)
	shown, err := b.content(tab)
	told := devtools.Page{Asked: asked, Title: shown.Title, Stopped: stopped, Error: problem}
	if problem != "" || err != nil {
		shown = content{}
		told.Title = ""
	}
	if stopped && problem == "" && asked != "" && !load.State().Loaded {
		told.Error = "net::ERR_TIMED_OUT"
	}
	result := load.Tell(ctx, b.host.Log(), told, now)
	if problem == "" && shown.URL != "" {
		result.URL = shown.URL
	}
	result.Text = strings.TrimSpace(shown.Text)
	result.DOM = outline(shown)
	if result.Cookies, err = b.jar(tab); err != nil {
		return nil, err
	}
	return &result, nil
}

// settle waits until the page rests. goes says that the page goes to another address for sure.
func settle(ctx context.Context, load *devtools.Load, goes bool) error {
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	seen, since := -1, time.Now()
	var loaded time.Time
	for {
		s := load.State()
		if s.Seen != seen {
			seen, since = s.Seen, time.Now()
		}
		if s.Loaded && loaded.IsZero() {
			loaded = time.Now()
		}
		complete := s.Loaded || !goes && !s.Moved && !s.Busy
		if complete && time.Since(since) >= quiet && (s.Open == 0 || !loaded.IsZero() && time.Since(loaded) > patience) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
	}
}

// bodies gets the bodies that are told.
func (b *browser) bodies(tab context.Context, load *devtools.Load) {
	for _, body := range load.Bodies(maxBody) {
		got, err := chromedp.Call(tab, network.GetResponseBody, network.GetResponseBodyParams{RequestID: body.ID})
		if err != nil {
			continue // gone with its page, or from memory: its event says that it is left out
		}
		load.SetBody(body, got.Body)
	}
}

// content is a page as it is shown.
type content struct {
	URL   string `json:"url"`
	Title string `json:"title"`
	Text  string `json:"text"`
	HTML  string `json:"html"`
}

// maxContent bounds the text and the source of a page that are looked at, in characters.
const maxContent = 4 << 20

func (b *browser) content(tab context.Context) (content, error) {
	var c content
	err := b.inPage(tab, &c, "content", maxContent)
	return c, err
}

// outline is the page as a tree of elements, as the role browser has it.
func outline(c content) string {
	if c.HTML == "" {
		return ""
	}
	tree, err := pagetree.Parse([]byte(c.HTML), true)
	if err != nil {
		return ""
	}
	return (&pagetree.Content{URL: c.URL, Tree: tree}).DOM()
}

//go:embed page.js
var pageScript string

// inPage calls a function of page.js. What it throws is the error.
func (b *browser) inPage(tab context.Context, result any, function string, args ...any) error {
	if args == nil {
		args = []any{}
	}
	text, err := json.Marshal(args)
	if err != nil {
		return err
	}
	value, thrown, err := run(tab, fmt.Sprintf("(%s)[%q](...%s)", strings.TrimSpace(pageScript), function, text))
	switch {
	case err != nil:
		return err
	case thrown != "":
		return errors.New(strings.TrimPrefix(thrown, "Error: "))
	}
	return json.Unmarshal(value, result)
}

// run runs a script. thrown is what it threw.
func run(tab context.Context, expression string) (value json.RawMessage, thrown string, err error) {
	yes := true
	got, err := chromedp.Call(tab, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ReturnByValue: &yes, AwaitPromise: &yes, UserGesture: &yes,
	})
	if err != nil {
		return nil, "", err
	}
	if e := got.ExceptionDetails; e != nil {
		thrown = e.Text
		if e.Exception != nil {
			thrown, _, _ = strings.Cut(e.Exception.Description, "\n")
			if thrown == "" {
				thrown = string(e.Exception.Value)
			}
		}
		return nil, strings.ToValidUTF8(thrown, "\uFFFD"), nil
	}
	if got.Result == nil || len(got.Result.Value) == 0 {
		return json.RawMessage("null"), "", nil
	}
	return json.RawMessage(got.Result.Value), "", nil
}

// browse opens a page.
func (b *browser) browse(ctx context.Context, a BrowseArgs) (*devtools.Result, error) {
	address := typed(a.URL)
	return b.follow(ctx, address, b.limit(a.Timeout), func(tab context.Context) (string, error) {
		went, err := chromedp.Call(tab, page.Navigate, page.NavigateParams{URL: address, TransitionType: page.TransitionTypeTyped})
		if err != nil {
			return "", err
		}
		if went.FrameID != "" {
			b.frame = went.FrameID
		}
		if went.IsDownload {
			return "", nil
		}
		return went.ErrorText, nil
	})
}

// typed is an address as a person types it: without a scheme it is one of http.
func typed(address string) string {
	address = strings.TrimSpace(address)
	if !strings.Contains(address, "://") && !strings.HasPrefix(address, "about:") {
		return "http://" + address
	}
	return address
}

// click clicks on something.
func (b *browser) click(ctx context.Context, a ClickArgs) (*devtools.Result, error) {
	if (a.Text == "") == (a.Selector == "") {
		return nil, errors.New("give either text or selector")
	}
	return b.follow(ctx, "", b.limit(a.Timeout), func(tab context.Context) (string, error) {
		var at struct{ X, Y float64 }
		if err := b.inPage(tab, &at, "place", a.Text, a.Selector); err != nil {
			return "", err
		}
		return "", chromedp.Do(tab, chromedp.MouseClickXY(at.X, at.Y))
	})
}

// back opens the page before.
func (b *browser) back(ctx context.Context) (*devtools.Result, error) {
	return b.follow(ctx, "", b.settings.timeout, func(tab context.Context) (string, error) {
		history, err := chromedp.Call(tab, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return "", err
		}
		before := history.CurrentIndex - 1
		if before < 1 || before >= int64(len(history.Entries)) || history.Entries[before] == nil { // the first is the empty page of the start
			return "", errors.New("no page was open before this one")
		}
		_, err = chromedp.Call(tab, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[before].ID})
		return "", err
	})
}

// waitFor waits until the page shows something.
func (b *browser) waitFor(ctx context.Context, a WaitArgs) (*devtools.Result, error) {
	if (a.Text == "") == (a.Selector == "") {
		return nil, errors.New("give either text or selector")
	}
	limit := b.limit(a.Timeout)
	return b.follow(ctx, "", limit, func(tab context.Context) (string, error) {
		ticks := time.NewTicker(look)
		defer ticks.Stop()
		for {
			there := false
			if err := b.inPage(tab, &there, "there", a.Text, a.Selector); err != nil && tab.Err() == nil && a.Selector != "" {
				return "", err
			}
			if there {
				return "", nil
			}
			select {
			case <-tab.Done():
				if ctx.Err() != nil {
					return "", ctx.Err()
				}
				return "", fmt.Errorf("the page does not show %q after %v", a.Text+a.Selector, limit)
			case <-ticks.C:
			}
		}
	})
}

// evaluate runs a script.
func (b *browser) evaluate(ctx context.Context, a EvaluateArgs) (*EvaluateResult, error) {
	tab, cancel := b.within(ctx, b.limit(a.Timeout))
	defer cancel()
	load := b.newLoad(time.Now())
	defer b.load.Store(nil)
	value, thrown, err := run(tab, a.Expression)
	if err != nil {
		return nil, err
	}
	if err := settle(tab, load, false); err != nil {
		return nil, err
	}
	b.bodies(tab, load)
	told := load.Tell(ctx, b.host.Log(), devtools.Page{}, time.Now())
	result := &EvaluateResult{Error: thrown, Requests: told.Requests}
	if thrown == "" {
		err = json.Unmarshal(value, &result.Value)
	}
	return result, err
}

// screenshot keeps a picture of the page.
func (b *browser) screenshot(ctx context.Context, a ScreenshotArgs) (*ScreenshotResult, error) {
	name, err := pictureName(a.Name)
	if err != nil {
		return nil, err
	}
	tab, cancel := b.within(ctx, b.settings.timeout)
	defer cancel()
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		return nil, err
	}
	return b.keepPicture(name, picture)
}

// cookies lists the jar.
func (b *browser) cookies(ctx context.Context) (*CookiesResult, error) {
	tab, cancel := b.within(ctx, b.settings.timeout)
	defer cancel()
	all, err := b.jar(tab)
	return &CookiesResult{all}, err
}

func (b *browser) jar(tab context.Context) ([]devtools.Cookie, error) {
	got, err := chromedp.CallBrowser(tab, storage.GetCookies, storage.GetCookiesParams{})
	if err != nil {
		return nil, fmt.Errorf("cookies: %w", err)
	}
	all := make([]devtools.Cookie, 0, len(got.Cookies))
	for _, c := range got.Cookies {
		if c != nil {
			all = append(all, devtools.CookieOf(c))
		}
	}
	return all, nil
}

// clearCookies empties the jar.
func (b *browser) clearCookies(ctx context.Context) (*CookiesResult, error) {
	tab, cancel := b.within(ctx, b.settings.timeout)
	defer cancel()
	gone, err := b.jar(tab)
	if err != nil {
		return nil, err
	}
	if _, err := chromedp.Call(tab, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		return nil, err
	}
	for _, e := range b.session.Clear(gone) {
		event.Emit(ctx, b.host.Log(), e)
	}
	return &CookiesResult{gone}, nil
}

// asText returns a body as text, or in base64 where it is none.
func asText(body []byte) (text, base string) {
	if utf8.Valid(body) {
		return string(body), ""
	}
	return "", base64.StdEncoding.EncodeToString(body)
}
