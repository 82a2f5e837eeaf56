// Package chromium is the role of Chromium: the machine's own browser, told what to do and watched through its DevTools
// (https://chromedevtools.github.io/devtools-protocol/).
//
// Chromium does everything itself: lookups, connections, encryption, cookies, cache. The role starts one process for as long as
// it is played ([start]) and has it do what steps ask, one after the other (actions.go). What it tells of that is the work of
// package devtools, and of package netlog, in the words of the role browser.
package chromium

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"scenario/host"
	"scenario/nodes/chromium/devtools"
	"scenario/nodes/role"
)

// Values of the option cookies.
const (
	cookiesAllow           = "allow"
	cookiesBlockThirdParty = "block-third-party"
)

// Options of the role.
type Options struct {
	Program string        `json:"program,omitempty" jsonschema_description:"which program to run: a name, or a path below /usr" jsonschema:"default=chromium"`
	Args    []string      `json:"args,omitempty" jsonschema_description:"further flags for it: --lang=de"`
	Window  string        `json:"window,omitempty" jsonschema_description:"size of the page in pixels" jsonschema:"default=1280x720"`
	Cookies string        `json:"cookies,omitempty" jsonschema_description:"whether sites other than the page's may store and get cookies" jsonschema:"enum=allow,enum=block-third-party,default=allow"`
	HTTP2   *bool         `json:"http2,omitempty" jsonschema_description:"speak HTTP/2 with servers that do" jsonschema:"default=true"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"how long an action may take; what is missing then has failed" jsonschema:"default=25s"`
	LogBody int           `json:"log_body,omitempty" jsonschema_description:"how many bytes of a body the log keeps" jsonschema:"default=4096,minimum=0"`
}

// settings are checked options.
type settings struct {
	program       string
	args          []string
	width, height int
	thirdParty    bool // other sites have cookies
	http2         bool
	timeout       time.Duration
	logBody       int
}

// debianPackage is the package that has the default program.
const (
	defaultProgram = "chromium"
	debianPackage  = "chromium"
)

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    "chromium",
		Doc:     "The machine's own Chromium, with scripts and all: it opens pages, and tells of it in the words of the role browser.",
		Options: Options{},
		Actions: actions(),
		Programs: func(options json.RawMessage) []role.Program {
			s, err := newSettings(options)
			switch {
			case err != nil: // which is told when the role is made
				return []role.Program{{Name: defaultProgram, Package: debianPackage}}
			case s.program == defaultProgram:
				return []role.Program{{Name: s.program, Package: debianPackage}}
			}
			return []role.Program{{Name: s.program}}
		},
		New: func(options json.RawMessage) (role.Role, error) {
			s, err := newSettings(options)
			if err != nil {
				return nil, err
			}
			return &Chromium{settings: s}, nil
		},
	}
}

// forbidden are flags that would have Chromium do what the role promises that it does not.
func forbidden() []string {
	return []string{"ignore-certificate-errors", "ignore-certificate-errors-spki-list", "remote-debugging-port", "remote-debugging-pipe",
		"user-data-dir", "log-net-log", "allow-insecure-localhost"}
}

func newSettings(text json.RawMessage) (settings, error) {
	on := true
	o := Options{
		Program: defaultProgram, Window: "1280x720", Cookies: cookiesAllow, HTTP2: &on,
		Timeout: role.Duration(25 * time.Second), LogBody: 4096,
	}
	if err := decodeStrictly(text, &o); err != nil {
		return settings{}, fmt.Errorf("options: %w", err)
	}
	s := settings{
		program: o.Program, args: o.Args, thirdParty: o.Cookies == cookiesAllow, http2: o.HTTP2 == nil || *o.HTTP2,
		timeout: time.Duration(o.Timeout), logBody: o.LogBody,
	}
	var err error
	if s.width, s.height, err = size(o.Window); err != nil {
		return settings{}, fmt.Errorf("options: window: %w", err)
	}
	switch {
	case o.Program == "":
		return settings{}, errors.New("options: program is empty")
	case o.Cookies != cookiesAllow && o.Cookies != cookiesBlockThirdParty:
		return settings{}, fmt.Errorf("options: cookies is %q, not %s or %s", o.Cookies, cookiesAllow, cookiesBlockThirdParty)
	case o.LogBody < 0:
		return settings{}, errors.New("options: log_body is negative")
	case o.Timeout == 0:
		return settings{}, errors.New("options: timeout is 0")
	}
	for _, arg := range o.Args {
		if err := checkFlag(arg); err != nil {
			return settings{}, fmt.Errorf("options: args: %w", err)
		}
	}
	return s, nil
}

// checkFlag says what is wrong with a further flag.
func checkFlag(arg string) error {
	name, ok := strings.CutPrefix(arg, "--")
	name, _, _ = strings.Cut(name, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is no flag: flags look like --lang=de", arg)
	}
	for _, no := range forbidden() {
		if name == no {
			return fmt.Errorf("%s cannot be set: the role depends on it", arg)
		}
	}
	return nil
}

// maxPixels bounds each side of the window.
const maxPixels = 4096

// size reads WIDTHxHEIGHT.
func size(text string) (width, height int, err error) {
	parts := regexp.MustCompile(`^([1-9][0-9]{0,3})x([1-9][0-9]{0,3})$`).FindStringSubmatch(text)
	if parts == nil {
		return 0, 0, fmt.Errorf("%q is no size such as 1280x720", text)
	}
	width, _ = strconv.Atoi(parts[1]) // digits, as the expression has it
	height, _ = strconv.Atoi(parts[2])
	if width > maxPixels || height > maxPixels {
		return 0, 0, fmt.Errorf("%s is more than %d pixels", text, maxPixels)
	}
	return width, height, nil
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

// Chromium is the role.
type Chromium struct {
	settings settings

	mu      sync.Mutex
	running *browser // nil outside Serve
}

var (
	_ role.Role  = (*Chromium)(nil)
	_ role.Actor = (*Chromium)(nil)
)

// Serve runs Chromium until ctx ends, and is ready when it can open pages. When it ends, nothing of Chromium is left.
func (c *Chromium) Serve(ctx context.Context, h host.Host, ready func()) error {
	b, err := start(ctx, h, c.settings)
	if err != nil {
		return err
	}
	c.set(b)
	ready()
	var lost error
	select {
	case <-ctx.Done():
	case <-b.lost:
		lost = errors.New("chromium ended by itself")
	}
	c.set(nil)
	b.actions.Wait()
	b.stop()
	if ctx.Err() != nil {
		return nil
	}
	return lost
}

func (c *Chromium) set(b *browser) {
	c.mu.Lock()
	c.running = b
	c.mu.Unlock()
}

// enter returns the browser for one action, which calls its actions.Done at its end.
func (c *Chromium) enter() (*browser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return nil, errors.New("chromium does not run")
	}
	c.running.actions.Add(1)
	return c.running, nil
}

// Do carries out an action, after those that run already: a page is one person's at a time.
func (c *Chromium) Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error) {
	b, err := c.enter()
	if err != nil {
		return nil, err
	}
	defer b.actions.Done()
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.ended.Done():
		return nil, errors.New("chromium ends")
	}
	return b.do(ctx, action, args)
}

// newLoad begins to note what happens.
func (b *browser) newLoad(now time.Time) *devtools.Load {
	l := devtools.NewLoad(b.session, b.frame, now, devtools.Options{
		LogBody: b.settings.logBody,
		Ends: func(number int64) devtools.Ends {
			c := b.log.Connection(number)
			return devtools.Ends{Local: c.Local, Remote: c.Remote}
		},
	})
	b.load.Store(l)
	return l
}
