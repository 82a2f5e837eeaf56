package page

// Destination is what a request is for (Fetch, section 2.2.5).
type Destination string

// The destinations of what a page names. DestFetch is of preloads for scripts that fetch, whose destination is empty in
// the standard; DestFavicon is an image there, told apart here because it is requested last.
const (
	DestDocument Destination = "document"
	DestStyle    Destination = "style"
	DestScript   Destination = "script"
	DestImage    Destination = "image"
	DestFont     Destination = "font"
	DestFrame    Destination = "iframe"
	DestFrameOld Destination = "frame" // of a frameset
	DestFavicon  Destination = "icon"
	DestAudio    Destination = "audio"
	DestVideo    Destination = "video"
	DestTrack    Destination = "track"
	DestEmbed    Destination = "embed"
	DestObject   Destination = "object"
	DestManifest Destination = "manifest"
	DestFetch    Destination = "fetch"
)

// Reference is an address that a document or a style sheet names, and how it is to be requested.
type Reference struct {
	Address     string // as written; empty: a frame with Srcdoc
	Destination Destination
	// Base is the address that Address is relative to where that is not the document's: the URL of a style sheet.
	Base string

	Element        string   // name of the element that names it; "style" for one of a style sheet's text; empty: a style sheet
	Media          string   // as written
	Type           string   // as written
	CrossOrigin    string   // anonymous, use-credentials; empty: no CORS
	ReferrerPolicy string   // of its own; empty: the document's
	Integrity      string   // digests that the response must have
	FetchPriority  string   // high, low; empty: auto
	Sandbox        *string  // of a frame: its flags; nil: none
	Srcdoc         *string  // of a frame: its document; nil: the one at Address
	Alternatives   []string // to be tried in order where the response is none: further sources of media and fonts

	Small    bool // an image that says of itself that it has no more than 10,000 pixels, as icons do
	Lazy     bool // loading=lazy: only what comes near the viewport is requested
	Async    bool // of a script
	Defer    bool
	Module   bool
	Blocking bool // blocking=render
	InBody   bool // it stands in the body
	Preload  bool // a hint that it will be needed
	// Far is a lazy image or frame that is not near the viewport, or not displayed: it is not requested.
	Far bool
	// Hidden is a frame that is not displayed: its document is loaded, but not what its styles need.
	Hidden bool
	// Idle is requested when nothing else is: prefetches, and style sheets whose media do not hold for the screen, which
	// are not applied either.
	Idle bool

	Delays Delays
}

// Delays is what waits for a response.
type Delays struct {
	// Parser: the parser stops at a classic script without async and defer until it is there, and all style sheets
	// before it are (HTML, section 13.2.6.4.8).
	Parser bool
	// Rendering: nothing is painted before it is there.
	Rendering bool
	// ContentLoaded: DOMContentLoaded waits for scripts that block the parser, deferred ones and modules, and for style
	// sheets that a script waits for.
	ContentLoaded bool
	// Scripts: scripts behind it wait for it, as a style sheet has them do.
	Scripts bool
	// Load: the load event of the document waits for it.
	Load bool
}

// Hint is an address to prepare for without a request.
type Hint struct {
	Address     string
	Lookup      bool   // look its host up and no more (dns-prefetch); else connect as well
	CrossOrigin string // as in Reference: which kind of connection
}

// Milestones tells when a document that is loaded reaches DOMContentLoaded and load, though its scripts are fetched but
// not run. The zero value is a document that has just begun. It is not for use by several goroutines at once.
type Milestones struct {
	waits  []Delays
	parsed bool
}

// Add counts a request that has been made for the document, and names it for Done.
func (m *Milestones) Add(d Delays) int {
	if d.Parser || d.ContentLoaded {
		m.Script()
	}
	m.waits = append(m.waits, d)
	return len(m.waits) - 1
}

// Script says that the parser came to a script: it waits for the style sheets before it, and so does DOMContentLoaded.
func (m *Milestones) Script() {
	for i, d := range m.waits {
		if d.Scripts {
			m.waits[i].ContentLoaded = true
		}
	}
}

// Done says that what Add named is there, or failed.
func (m *Milestones) Done(id int) { m.waits[id] = Delays{} }

// Parsed says that the document has come to its end.
func (m *Milestones) Parsed() { m.parsed = true }

// Blocked says that the parser waits for a script, or for the style sheets before it.
func (m *Milestones) Blocked() bool {
	for _, d := range m.waits {
		if d.Parser {
			return true
		}
	}
	return false
}

// ContentLoaded says that the document is parsed and its deferred scripts are there: DOMContentLoaded.
func (m *Milestones) ContentLoaded() bool {
	if !m.parsed {
		return false
	}
	for _, d := range m.waits {
		if d.Parser || d.ContentLoaded {
			return false
		}
	}
	return true
}

// Loaded says that everything is there that the load event waits for.
func (m *Milestones) Loaded() bool {
	if !m.ContentLoaded() {
		return false
	}
	for _, d := range m.waits {
		if d.Load {
			return false
		}
	}
	return true
}
