package browser

import (
	"io"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Destinations of requests (Fetch, section 2.2.5), and the page itself.
const (
	destDocument = "document"
	destStyle    = "style"
	destScript   = "script"
	destImage    = "image"
	destFont     = "font"
	destFrame    = "iframe"
	destIcon     = "icon"
	destAudio    = "audio"
	destVideo    = "video"
	// destBase is no request: the address that a document's other addresses are relative to.
	destBase = "base"
)

// reference is an address that a document or style sheet names, as it is written there.
type reference struct {
	address     string
	destination string
}

// scan reads HTML while it arrives and calls found for every resource in it as soon as its tag is complete. It finds
// what the parser would load with scripts off; the error is that of r.
func scan(r io.Reader, found func(reference)) error {
	s := scanner{tokens: html.NewTokenizer(r), found: found}
	for {
		switch s.tokens.Next() {
		case html.ErrorToken:
			if err := s.tokens.Err(); err != io.EOF {
				return err
			}
			return nil
		case html.StartTagToken, html.SelfClosingTagToken:
			s.start(s.tokens.Token())
		case html.EndTagToken:
			s.end(s.tokens.Token())
		case html.TextToken:
			if s.style && s.templates == 0 {
				scanCSS(string(s.tokens.Text()), found)
			}
		}
	}
}

type scanner struct {
	tokens    *html.Tokenizer
	found     func(reference)
	templates int    // open templates: what they hold is not loaded
	style     bool   // in a style element
	media     string // destination of the sources of the open audio or video
}

func (s *scanner) start(t html.Token) {
	switch t.DataAtom {
	case atom.Noscript:
		s.tokens.NextIsNotRawText()
	case atom.Template:
		s.templates++
	case atom.Style:
		s.style = true
	case atom.Audio:
		s.media = destAudio
	case atom.Video:
		s.media = destVideo
	}
	if s.templates > 0 {
		return
	}
	switch t.DataAtom {
	case atom.Base:
		s.name(t, "href", destBase)
	case atom.Link:
		s.link(t)
	case atom.Script:
		if isScript(attribute(t, "type")) {
			s.name(t, "src", destScript)
		}
	case atom.Img:
		s.name(t, "src", destImage)
	case atom.Iframe, atom.Frame:
		s.name(t, "src", destFrame)
	case atom.Audio, atom.Video:
		s.name(t, "src", s.media)
		s.name(t, "poster", destImage)
	case atom.Source:
		if s.media != "" {
			s.name(t, "src", s.media)
		}
	}
	if style := attribute(t, "style"); style != "" {
		scanCSS(style, s.found)
	}
}

func (s *scanner) end(t html.Token) {
	switch t.DataAtom {
	case atom.Template:
		s.templates = max(s.templates-1, 0)
	case atom.Style:
		s.style = false
	case atom.Audio, atom.Video:
		s.media = ""
	}
}

func (s *scanner) link(t html.Token) {
	rel := strings.Fields(strings.ToLower(attribute(t, "rel")))
	switch {
	case slices.Contains(rel, "stylesheet") && !slices.Contains(rel, "alternate"):
		s.name(t, "href", destStyle)
	case slices.Contains(rel, "icon"):
		s.name(t, "href", destIcon)
	}
}

// name reports the address in the attribute key, if there is one.
func (s *scanner) name(t html.Token, key, destination string) {
	if address := strings.TrimSpace(attribute(t, key)); address != "" {
		s.found(reference{address, destination})
	}
}

func attribute(t html.Token, key string) string {
	for _, a := range t.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// isScript says that a script element of this type is run, and not a block of data.
func isScript(kind string) bool {
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "" || kind == "module" || strings.HasSuffix(kind, "/javascript") || strings.HasSuffix(kind, "/ecmascript")
}
