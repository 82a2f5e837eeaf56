package page

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of a scan.
const (
	maxFound     = 10_000  // references of one document
	maxSources   = 64      // of one picture, audio or video
	maxTemplates = 4096    // in one another
	maxSrcdoc    = 1 << 20 // bytes of a frame's document in an attribute
)

// Options is what a page is read for.
type Options struct {
	Screen Screen
	// Scripting says that scripts would be run. The browser role does not run them: what stands in noscript is part of
	// its pages, as in a Chromium whose scripts are switched off, while one that runs them does not load it.
	Scripting bool
}

// Handler is told what Scan finds, in document order.
type Handler interface {
	// Reference is an address to request, or a document in an attribute.
	Reference(Reference)
	// Hint is an address to prepare for.
	Hint(Hint)
	// Base is the address that all that follow are relative to, itself relative to the document's. It is called once at most.
	Base(address string)
	// Meta is what a meta element says for the whole document.
	Meta(Meta)
	// Script is an inline script: it would wait for the style sheets before it.
	Script()
}

// Scan reads UTF-8 HTML while it arrives from r, and tells h what it names as soon as its tag is complete. Which pieces it
// arrives in changes nothing. Icons are told at the end, because the best of them is taken; media when their element ends,
// because their sources are alternatives. The error is that of r, which is to be bounded: what stands between two tags is
// kept until all of it has come.
func Scan(r io.Reader, options Options, h Handler) error {
	s := scanner{tokens: html.NewTokenizer(r), options: options, to: h}
	for {
		switch s.tokens.Next() {
		case html.ErrorToken:
			s.endMedia()
			if err := s.tokens.Err(); err != io.EOF {
				return err
			}
			s.icon()
			return nil
		case html.StartTagToken, html.SelfClosingTagToken:
			s.start(s.tokens.Token())
		case html.EndTagToken:
			name, _ := s.tokens.TagName()
			s.end(string(name))
		case html.TextToken:
			s.text(s.tokens.Text())
		}
	}
}

type scanner struct {
	tokens  *html.Tokenizer
	options Options
	to      Handler
	found   int

	templates []bool // open templates, and whether what they hold is not loaded
	inert     int    // of them that hold nothing to load
	foreign   []int  // open svg elements, one count for each foreignObject that HTML stands in
	body      bool
	based     bool
	style     *html.Token // the open style element
	script    bool        // in an inline script that would be run
	unseen    bool        // in a title or script, whose text is not the page's
	media     *Reference  // the open audio or video
	picture   *picture
	icons     []icon
	layout    layout
}

// picture is an open picture element.
type picture struct {
	chosen  string // address of the first source that fits
	sources int
}

func attribute(t html.Token, key string) string {
	value, _ := lookup(t, key)
	return value
}

func lookup(t html.Token, key string) (string, bool) {
	for _, a := range t.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

// address is an attribute that holds one, without white space around it.
func address(t html.Token, key string) string {
	return strings.TrimFunc(attribute(t, key), isSpaceRune)
}

// report tells of a reference, with the attributes that all have.
func (s *scanner) report(t html.Token, ref Reference) {
	if ref.Address == "" && ref.Srcdoc == nil || s.found >= maxFound {
		return
	}
	s.found++
	ref.Element = t.Data
	ref.ReferrerPolicy = strings.ToLower(attribute(t, "referrerpolicy"))
	ref.Integrity = attribute(t, "integrity")
	if p := strings.ToLower(attribute(t, "fetchpriority")); p == "high" || p == "low" {
		ref.FetchPriority = p
	}
	if ref.CrossOrigin == "" {
		ref.CrossOrigin = crossOrigin(t)
	}
	ref.Blocking = hasWord(strings.ToLower(attribute(t, "blocking")), "render")
	ref.Delays.Rendering = ref.Delays.Rendering || ref.Blocking
	ref.InBody = s.body
	s.to.Reference(ref)
}

func crossOrigin(t html.Token) string {
	value, ok := lookup(t, "crossorigin")
	switch {
	case !ok:
		return ""
	case strings.EqualFold(value, "use-credentials"):
		return "use-credentials"
	}
	return "anonymous"
}

func (s *scanner) start(t html.Token) {
	closed := t.Type == html.SelfClosingTagToken
	switch t.DataAtom {
	case atom.Noscript:
		if !s.options.Scripting {
			s.tokens.NextIsNotRawText()
		}
	case atom.Template:
		s.template(t)
		return
	}
	if s.inert > 0 {
		return
	}
	if s.svg() {
		if s.inSVG(t, closed) {
			return
		}
	} else if t.Data == "svg" && !closed {
		s.enter()
		return
	}
	s.layout.start(t)
	s.enterBody(t.DataAtom)
	s.unseen = t.DataAtom == atom.Title || t.DataAtom == atom.Script
	if s.picture != nil {
		switch t.DataAtom {
		case atom.Source, atom.Img, atom.Script, atom.Picture:
		default:
			s.picture = nil
		}
	}
	switch t.DataAtom {
	case atom.Base:
		if href, ok := lookup(t, "href"); ok && !s.based {
			s.based = true
			s.to.Base(strings.TrimFunc(href, isSpaceRune))
		}
	case atom.Link:
		s.link(t)
	case atom.Meta:
		s.metaElement(t)
	case atom.Script:
		s.scriptElement(t, address(t, "src"))
	case atom.Style:
		s.style = &t
	default:
		s.embedded(t)
	}
}

// template opens a template, whose content is not part of the page, unless it is a shadow root.
func (s *scanner) template(t html.Token) {
	mode := strings.ToLower(attribute(t, "shadowrootmode"))
	inert := mode != "open" && mode != "closed"
	if len(s.templates) < maxTemplates {
		s.templates = append(s.templates, inert)
		if inert {
			s.inert++
		}
	}
}

// enterBody notes that the head has ended: by an element that has no place in it.
func (s *scanner) enterBody(a atom.Atom) {
	switch a {
	case atom.Html, atom.Head, atom.Base, atom.Link, atom.Meta, atom.Script, atom.Style, atom.Title, atom.Noscript:
	default:
		s.body = true
	}
}

func (s *scanner) end(name string) {
	switch name {
	case "template":
		if n := len(s.templates); n > 0 {
			if s.templates[n-1] {
				s.inert--
			}
			s.templates = s.templates[:n-1]
		}
		return
	case "style":
		s.style = nil
	case "script":
		s.script = false
	}
	if s.inert > 0 {
		return
	}
	switch name {
	case "svg":
		if n := len(s.foreign); n > 0 {
			if s.foreign[n-1]--; s.foreign[n-1] <= 0 {
				s.foreign = s.foreign[:n-1]
			}
		}
	case "foreignobject":
		if n := len(s.foreign); n > 0 && s.foreign[n-1] == 0 {
			s.foreign = s.foreign[:n-1]
		}
	case "head":
		s.body = true
	case "picture":
		s.picture = nil
	case "audio", "video":
		s.endMedia()
	}
	s.unseen = false
	s.layout.end(name)
}

func (s *scanner) text(text []byte) {
	switch {
	case s.inert > 0:
	case s.style != nil:
		t := *s.style
		sheet := ParseSheet(string(text), nil, s.options.Screen)
		applies := s.options.Screen.Matches(attribute(t, "media"))
		for _, ref := range sheet.Imports() {
			ref.Idle = ref.Idle || !applies
			ref.Media = attribute(t, "media")
			ref.Delays = s.sheetDelays(!ref.Idle)
			s.report(t, ref)
		}
	case s.script:
		s.to.Script()
		s.script = false
	default:
		// Text ends the head, but not that of the title, nor what a script of another kind holds.
		if !s.unseen && !s.svg() && strings.TrimSpace(string(text)) != "" {
			s.body = true
		}
		s.layout.text(text)
	}
}

// sheetDelays is what waits for a style sheet; one that does not apply holds up nothing but load.
func (s *scanner) sheetDelays(applies bool) Delays {
	return Delays{Load: true, Scripts: applies, Rendering: applies && !s.body}
}

// svg says that elements of SVG are being read.
func (s *scanner) svg() bool {
	n := len(s.foreign)
	return n > 0 && s.foreign[n-1] > 0
}

func (s *scanner) enter() {
	if len(s.foreign) == 0 || s.foreign[len(s.foreign)-1] == 0 && len(s.foreign) < maxTemplates {
		s.foreign = append(s.foreign, 0)
	}
	s.foreign[len(s.foreign)-1]++
}

// inSVG reads an element of SVG. An element of HTML that may not stand there ends it (HTML, section 13.2.6.5): then, and
// in a foreignObject, it says no.
func (s *scanner) inSVG(t html.Token, closed bool) bool {
	href := address(t, "href")
	if href == "" {
		href = address(t, "xlink:href")
	}
	switch t.Data {
	case "svg":
		if !closed {
			s.enter()
		}
	case "foreignobject":
		if !closed && len(s.foreign) < maxTemplates {
			s.foreign = append(s.foreign, 0)
		}
	case "script":
		s.scriptElement(t, href)
	case "style":
		s.style = &t
	case "image", "use", "feimage":
		if !strings.HasPrefix(href, "#") {
			s.report(t, Reference{Address: href, Destination: DestImage, Delays: Delays{Load: true}})
		}
	default:
		if breaksOut(t.DataAtom) {
			s.foreign = nil
			return false
		}
	}
	return true
}

// breaksOut says that an element ends SVG around it (HTML, section 13.2.6.5).
func breaksOut(a atom.Atom) bool {
	return slices.Contains([]atom.Atom{atom.B, atom.Big, atom.Blockquote, atom.Body, atom.Br, atom.Center, atom.Code, atom.Dd, atom.Div,
		atom.Dl, atom.Dt, atom.Em, atom.Embed, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Head, atom.Hr,
		atom.I, atom.Img, atom.Li, atom.Listing, atom.Menu, atom.Meta, atom.Nobr, atom.Ol, atom.P, atom.Pre, atom.Ruby,
		atom.S, atom.Small, atom.Span, atom.Strong, atom.Strike, atom.Sub, atom.Sup, atom.Table, atom.Tt, atom.U, atom.Ul,
		atom.Var}, a)
}

// scriptElement reads a script (HTML, section 4.12.1.1): blocks of data and, where modules are known, scripts for browsers
// without them are not requested.
func (s *scanner) scriptElement(t html.Token, src string) {
	module, run := scriptType(t)
	_, async := lookup(t, "async")
	_, deferred := lookup(t, "defer")
	_, old := lookup(t, "nomodule")
	if !run || old && !module {
		return
	}
	hasSrc := src != ""
	if _, ok := lookup(t, "src"); !ok && !hasSrc {
		s.script = !module
		return
	}
	ref := Reference{Address: src, Destination: DestScript, Type: attribute(t, "type"), Async: async, Defer: deferred, Module: module}
	ref.Delays = Delays{Load: true, ContentLoaded: !async, Parser: !async && !deferred && !module}
	ref.Delays.Rendering = ref.Delays.Parser && !s.body
	if module && crossOrigin(t) == "" {
		ref.CrossOrigin = "anonymous" // modules are always fetched with CORS
	}
	s.report(t, ref)
}

// scriptType says whether a script is a module, and whether it is run at all.
func scriptType(t html.Token) (module, run bool) {
	kind, ok := lookup(t, "type")
	if !ok {
		if language := attribute(t, "language"); language != "" {
			kind = "text/" + language
		}
	}
	kind = strings.ToLower(strings.TrimFunc(kind, isSpaceRune))
	if kind == "" {
		return false, true
	}
	return kind == "module", kind == "module" || javascript(kind)
}

// javascript says that this is a media type of JavaScript (MIME Sniffing, section 4.6).
func javascript(kind string) bool {
	switch kind {
	case "application/ecmascript", "application/javascript", "application/x-ecmascript", "application/x-javascript",
		"text/ecmascript", "text/javascript", "text/javascript1.0", "text/javascript1.1", "text/javascript1.2",
		"text/javascript1.3", "text/javascript1.4", "text/javascript1.5", "text/jscript", "text/livescript",
		"text/x-ecmascript", "text/x-javascript":
		return true
	}
	return false
}

// Chromium loads lazy images, and lazy frames, that come this close to the viewport, in CSS pixels, on a fast connection.
const (
	lazyMargin      = 1250
	lazyFrameMargin = 2500
)

// layout guesses how far down the page the scanner is, without a layout: by the heights that elements name, and lines of
// text. It knows what is not displayed as far as attributes say so.
type layout struct {
	y      int    // CSS pixels
	chars  int    // of text in the block that is open
	hidden string // name of the element that is not displayed, with all that it holds
	nested int    // elements of that name in one another
}

// What a line of text takes in Chromium's default font of 16 pixels.
const (
	lineHeight = 18
	lineChars  = 1280 / 8
)

// line ends a block.
func (l *layout) line() {
	l.y += (l.chars + lineChars - 1) / lineChars * lineHeight
	l.chars = 0
}

func (l *layout) text(text []byte) {
	if l.hidden == "" {
		l.chars += len(strings.Join(strings.Fields(string(text)), " "))
	}
}

func (l *layout) start(t html.Token) {
	switch {
	case l.hidden != "":
		if t.Data == l.hidden {
			l.nested++
		}
		return
	case undisplayedTag(t):
		if !void(t.DataAtom) && t.Type == html.StartTagToken {
			l.hidden, l.nested = t.Data, 1
		}
		return
	}
	if blockAtom(t.DataAtom) || t.DataAtom == atom.Br {
		l.line()
	}
	height := pixels(styleValue(attribute(t, "style"), "height"))
	if height == 0 {
		height = pixels(attribute(t, "height"))
	}
	l.y += min(height, 1<<20)
}

func (l *layout) end(name string) {
	if l.hidden == name && l.hidden != "" {
		if l.nested--; l.nested == 0 {
			l.hidden = ""
		}
		return
	}
	if l.hidden == "" && blockAtom(atom.Lookup([]byte(name))) {
		l.line()
	}
}

// far says that a lazy element of this tag is not loaded.
func (l *layout) far(t html.Token, screen Screen, margin int) bool {
	return l.hidden != "" || undisplayedTag(t) || l.y > screen.Height+margin
}

// undisplayedTag says that the attributes of an element have it not displayed.
func undisplayedTag(t html.Token) bool {
	if _, ok := lookup(t, "hidden"); ok {
		return true
	}
	return strings.EqualFold(styleValue(attribute(t, "style"), "display"), "none")
}

// styleValue is a property's value in a style attribute, of one word.
func styleValue(style, name string) string {
	if style == "" {
		return ""
	}
	value := ""
	for _, d := range declarations(offset(tokenize(clipBytes(style, 64<<10)))) {
		if d.name == name {
			t := d.value.first()
			value = t.text
			if t.kind == tokDimension {
				value = strconv.Itoa(int(max(min(t.number, 1<<20), 0))) + t.text
			}
		}
	}
	return value
}

// pixels is a height of whole pixels, 0 where it is none.
func pixels(text string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(text), "px"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
