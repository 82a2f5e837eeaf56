package chromium

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"scenario/host"
	"scenario/nodes/chromium/devtools"
	"scenario/nodes/role"
)

// fill writes into fields; key by key, as a person does, or at once.
func (b *browser) fill(ctx context.Context, a TypeArgs, keys bool) (*FormResult, error) {
	fields := maps.Clone(a.Fields)
	if a.Field != "" {
		if fields == nil {
			fields = make(map[string]string)
		}
		fields[a.Field] = a.Value
	}
	if len(fields) == 0 {
		return nil, errors.New("give a field and its value")
	}
	tab, cancel := b.within(ctx, b.limit(a.Timeout))
	defer cancel()
	load := b.newLoad(time.Now())
	defer b.load.Store(nil)
	if err := b.write(tab, a.Form, fields, keys); err != nil {
		return nil, err
	}
	if err := settle(tab, load, false); err != nil {
		return nil, err
	}
	load.Tell(ctx, b.host.Log(), devtools.Page{}, time.Now())
	result := new(FormResult)
	err := b.inPage(tab, result, "filled", a.Form, slices.Sorted(maps.Keys(fields)))
	if err != nil { // fields may stand in no form
		result = &FormResult{Fields: []FormField{}}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			result.Fields = append(result.Fields, FormField{name, fields[name]})
		}
	}
	return result, nil
}

// write writes values into fields, in the order of their names.
func (b *browser) write(tab context.Context, form string, fields map[string]string, keys bool) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value, done := fields[name], false
		if err := b.inPage(tab, &done, "ready", form, name, value); err != nil {
			return err
		}
		if done {
			continue
		}
		var err error
		if keys {
			err = chromedp.Do(tab, chromedp.KeyEvent(value))
		} else {
			_, err = chromedp.Call(tab, input.InsertText, input.InsertTextParams{Text: value})
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
	}
	left := false
	return b.inPage(tab, &left, "left")
}

// submit sends a form.
func (b *browser) submit(ctx context.Context, a SubmitArgs) (*devtools.Result, error) {
	return b.follow(ctx, "", b.limit(a.Timeout), func(tab context.Context) (string, error) {
		names := slices.Sorted(maps.Keys(a.Fields))
		if err := b.write(tab, a.Form, a.Fields, false); err != nil {
			return "", err
		}
		sent := false
		if names == nil {
			names = []string{}
		}
		return "", b.inPage(tab, &sent, "send", a.Form, a.Button, names)
	})
}

// FetchArgs are the arguments of the action fetch, named as those of the function of that name (Fetch, section 5.3).
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
	Requests   []*devtools.Fetch `json:"requests"`
	Duration   float64           `json:"duration_s"`
	Error      *devtools.Failure `json:"error,omitempty"` // of which a script is told nothing but that there is one
}

// maxFetched bounds the body that a result holds, in bytes.
const maxFetched = 256 << 10

// fetch makes a request as a script of the page does.
func (b *browser) fetch(ctx context.Context, a FetchArgs) (*FetchResult, error) {
	options := make(map[string]any)
	for name, value := range map[string]string{
		"method": a.Method, "body": a.Body, "mode": a.Mode, "credentials": a.Credentials, "cache": a.Cache, "redirect": a.Redirect,
	} {
		if value != "" {
			options[name] = value
		}
	}
	headers := maps.Clone(a.Headers)
	if len(a.JSON) > 0 {
		options["body"] = string(a.JSON)
		if headers == nil {
			headers = make(map[string]string)
		}
		headers["Content-Type"] = "application/json"
	}
	if len(headers) > 0 {
		options["headers"] = headers
	}
	tab, cancel := b.within(ctx, b.limit(a.Timeout))
	defer cancel()
	begun := time.Now()
	load := b.newLoad(begun)
	defer b.load.Store(nil)
	var got struct {
		FetchResult
		Body  string `json:"body"`
		Size  int64  `json:"size"`
		Error string `json:"error"`
	}
	if err := b.inPage(tab, &got, "fetch", a.URL, options, maxFetched); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	if err := settle(tab, load, false); err != nil {
		return nil, err
	}
	b.bodies(tab, load)
	told := load.Tell(ctx, b.host.Log(), devtools.Page{}, time.Now())
	result := &got.FetchResult
	body, err := base64.StdEncoding.DecodeString(got.Body)
	if err != nil {
		return nil, err
	}
	result.Body, result.BodyBase64 = asText(body)
	result.Truncated, result.Duration, result.Requests = got.Size-int64(len(body)), took.Seconds(), told.Requests
	if got.Error != "" {
		result.Error = &devtools.Failure{Phase: "request", Message: got.Error, Meaning: "the request failed"}
		for _, f := range told.Requests {
			if f.Error != nil {
				result.Error = f.Error
			}
		}
	}
	return result, nil
}

// pictureName is the name of a picture's file.
func pictureName(name string) (string, error) {
	if name == "" {
		name = "screenshot"
	}
	name = strings.TrimSuffix(name, ".png") + ".png"
	if !fs.ValidPath(name) || strings.HasPrefix(name, ".") {
		return "", fmt.Errorf("%q is no name for a file", name)
	}
	return name, nil
}

// keepPicture writes a picture among the node's files.
func (b *browser) keepPicture(name string, picture []byte) (*ScreenshotResult, error) {
	storage, ok := b.host.(host.Storage)
	if !ok {
		return nil, errors.New("this node keeps no files")
	}
	size, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil {
		return nil, fmt.Errorf("the picture: %w", err)
	}
	if err := storage.WriteFile(name, picture); err != nil {
		return nil, err
	}
	return &ScreenshotResult{Path: name, Width: size.Width, Height: size.Height, Bytes: len(picture)}, nil
}
