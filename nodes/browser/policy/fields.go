package policy

import "scenario/nodes/browser/weburl"

// Accept is the field of that name for a destination, as Chromium writes it.
func Accept(d Destination) string {
	switch d {
	case Document, Frame:
		return "text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8," +
			"application/signed-exchange;v=b3;q=0.7"
	case Style:
		return "text/css,*/*;q=0.1"
	case Image, Icon:
		return "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
	}
	return "*/*"
}

// SecFetch is what a request tells of its purpose (Fetch Metadata). Only what cannot be overheard gets it.
type SecFetch struct {
	Mode  Mode
	Dest  Destination
	From  *weburl.URL   // whose origin asks; nil: a person does
	Chain []*weburl.URL // the addresses of the request so far: it, and where redirects led
	User  bool          // a person clicked or typed
	// Storage says what a request to a third party with credentials can have of its cookies: active, or none (Storage
	// Access Headers). Empty: it is none.
	Storage string
}

// Fields are the fields Sec-Fetch-*, in Chromium's order; none where the request can be overheard.
func (s SecFetch) Fields() []Field {
	if !Trustworthy(s.Chain[len(s.Chain)-1]) {
		return nil
	}
	dest := string(s.Dest)
	switch s.Dest {
	case Icon:
		dest = "image"
	case Fetch:
		dest = "empty"
	}
	fields := []Field{{"Sec-Fetch-Site", s.site()}, {"Sec-Fetch-Mode", string(s.Mode)}}
	if s.Mode == Navigate && s.User {
		fields = append(fields, Field{"Sec-Fetch-User", "?1"})
	}
	fields = append(fields, Field{"Sec-Fetch-Dest", dest})
	if s.Storage != "" {
		fields = append(fields, Field{"Sec-Fetch-Storage-Access", s.Storage})
	}
	return fields
}

// site is how far the origin that asks is from the addresses of the request, the farthest of them.
func (s SecFetch) site() string {
	if s.From == nil {
		return "none"
	}
	worst := "same-origin"
	for _, u := range s.Chain {
		switch {
		case s.From.Origin() == u.Origin():
		case Site(s.From) == Site(u):
			worst = "same-site"
		default:
			return "cross-site"
		}
	}
	return worst
}

// Hints is what a page says of a resource beside its destination.
type Hints struct {
	Async     bool // async or defer: it is run when it is there, or at the end
	Late      bool // after the first image, in the body
	InView    bool // an image among the first ones that are not small, likely to be seen at once
	Lazy      bool // loading=lazy
	Preload   bool
	Prefetch  bool
	Document  bool   // an embed or object that may be a document
	Unmatched bool   // a style sheet for another medium
	Wish      string // the attribute fetchpriority: high, low
}

// Urgency is how soon a request should be answered: 0 goes first, 7 last, 3 is the default of RFC 9218. It goes by the
// five priorities of Chromium, from documents and style sheets (0) to what can wait (4).
func Urgency(d Destination, h Hints) int {
	u := urgency(d, h)
	switch h.Wish {
	case "high":
		u = min(u, 1)
	case "low":
		u = max(u, 3)
	}
	return u
}

func urgency(d Destination, h Hints) int {
	if h.Prefetch {
		return 4
	}
	if h.Document {
		return 0
	}
	switch d {
	case Document, Frame:
		return 0
	case Style:
		if h.Unmatched {
			return 4
		}
		return 0
	case Script:
		switch {
		case h.Async:
			return 3
		case h.Late:
			return 2
		}
		return 1
	case Font:
		if h.Preload {
			return 1
		}
		return 0
	case Fetch, Icon:
		return 1
	case Image:
		switch {
		case h.Lazy:
			return 3
		case h.InView:
			return 2
		}
		return 3
	case Manifest:
		return 2
	}
	return 3
}

// Incremental says that a part of the body is of use already (RFC 9218, section 4.2).
func Incremental(d Destination) bool {
	switch d {
	case Document, Frame, Embed, Object, Image, Icon, Audio, Video, Fetch:
		return true
	}
	return false
}
