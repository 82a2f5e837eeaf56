package page

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// embedded reads an element that shows what an address holds.
func (s *scanner) embedded(t html.Token) {
	switch t.DataAtom {
	case atom.Img, atom.Image:
		s.image(t)
	case atom.Picture:
		s.picture = &picture{}
	case atom.Source:
		s.source(t)
	case atom.Input:
		if strings.EqualFold(attribute(t, "type"), "image") {
			s.report(t, Reference{Address: address(t, "src"), Destination: DestImage, Delays: Delays{Load: true}})
		}
	case atom.Iframe, atom.Frame:
		s.frame(t)
	case atom.Audio, atom.Video:
		s.startMedia(t)
	case atom.Track:
		if _, ok := lookup(t, "default"); ok && s.media != nil {
			s.report(t, Reference{Address: address(t, "src"), Destination: DestTrack})
		}
	case atom.Embed:
		s.plugin(t, DestEmbed, address(t, "src"))
	case atom.Object:
		s.plugin(t, DestObject, address(t, "data"))
	}
}

// image reads an img: the source of the picture around it that fits, its srcset, its src.
func (s *scanner) image(t html.Token) {
	ref := Reference{Destination: DestImage, Type: attribute(t, "type")}
	if s.picture != nil && s.picture.chosen != "" {
		ref.Address = s.picture.chosen
	} else {
		ref.Address = s.options.Screen.Select(attribute(t, "srcset"), attribute(t, "sizes"), attribute(t, "src"))
	}
	s.picture = nil
	ref.Lazy = strings.EqualFold(attribute(t, "loading"), "lazy")
	if ref.Lazy && strings.HasPrefix(strings.ToLower(attribute(t, "sizes")), "auto") {
		if width := pixels(attribute(t, "width")); width > 0 && ref.Address != "" {
			ref.Address = s.options.Screen.Select(attribute(t, "srcset"), strconv.Itoa(width)+"px", attribute(t, "src"))
		}
	}
	ref.Far = ref.Lazy && s.layout.far(t, s.options.Screen, lazyMargin)
	ref.Small = small(attribute(t, "width"), attribute(t, "height"))
	ref.Delays.Load = !ref.Lazy
	s.report(t, ref)
}

// small says that an image of that width and height is a small one. For Chromium that is one of up to 10,000 pixels,
// and one that tells one side alone, which is 0.
func small(width, height string) bool {
	const most = 10_000 // pixels
	if width == "" && height == "" {
		return false
	}
	w, wErr := strconv.Atoi(strings.TrimSpace(width))
	h, hErr := strconv.Atoi(strings.TrimSpace(height))
	switch {
	case wErr == nil && hErr == nil:
		return w <= 0 || h <= most/w
	case wErr == nil:
		return w == 0
	}
	return hErr == nil && h == 0
}

// source reads a source of a picture (HTML, section 4.8.4.3.8, "update the source set"), or of audio or video.
func (s *scanner) source(t html.Token) {
	media := attribute(t, "media")
	kind := attribute(t, "type")
	switch {
	case s.picture != nil:
		if s.picture.sources++; s.picture.chosen != "" || s.picture.sources > maxSources {
			return
		}
		if s.options.Screen.Matches(media) && (kind == "" || readableImage(kind)) {
			s.picture.chosen = s.options.Screen.Select(attribute(t, "srcset"), attribute(t, "sizes"), "")
		}
	case s.media != nil:
		src := address(t, "src")
		if src != "" && s.options.Screen.Matches(media) && (kind == "" || readableMedia(kind)) && len(s.media.Alternatives) < maxSources {
			s.media.Alternatives = append(s.media.Alternatives, src)
		}
	}
}

// startMedia opens an audio or video element. What it plays is requested without a person's doing unless it says
// preload=none; autoplay overrides that.
func (s *scanner) startMedia(t html.Token) {
	s.endMedia()
	if t.DataAtom == atom.Video {
		s.report(t, Reference{Address: address(t, "poster"), Destination: DestImage, Delays: Delays{Load: true}})
	}
	ref := &Reference{Destination: Destination(t.Data), CrossOrigin: crossOrigin(t), Element: t.Data, InBody: s.body, Delays: Delays{Load: true}}
	_, own := lookup(t, "src")
	_, autoplay := lookup(t, "autoplay")
	if ref.Address = address(t, "src"); own && ref.Address == "" || strings.EqualFold(attribute(t, "preload"), "none") && !autoplay {
		ref.Far = true // it stays silent until somebody plays it
	}
	s.media = ref
}

// endMedia reports what the open audio or video element plays: its src, or the first of its sources that can be played.
func (s *scanner) endMedia() {
	ref := s.media
	s.media = nil
	if ref == nil || ref.Far || s.found >= maxFound {
		return
	}
	switch {
	case ref.Address != "": // its sources do not count
		ref.Alternatives = nil
	case len(ref.Alternatives) > 0:
		ref.Address, ref.Alternatives = ref.Alternatives[0], slices.Clip(ref.Alternatives[1:])
	default:
		return
	}
	s.found++
	s.to.Reference(*ref)
}

func (s *scanner) frame(t html.Token) {
	ref := Reference{Address: address(t, "src"), Destination: DestFrame}
	if t.DataAtom == atom.Frame {
		ref.Destination = DestFrameOld
	}
	if srcdoc, ok := lookup(t, "srcdoc"); ok && t.DataAtom == atom.Iframe {
		srcdoc = clipBytes(srcdoc, maxSrcdoc)
		ref.Address, ref.Srcdoc = "", &srcdoc
	}
	if sandbox, ok := lookup(t, "sandbox"); ok {
		ref.Sandbox = &sandbox
	}
	ref.Lazy = strings.EqualFold(attribute(t, "loading"), "lazy")
	ref.Hidden = s.layout.hidden != "" || undisplayedTag(t)
	ref.Far = ref.Lazy && s.layout.far(t, s.options.Screen, lazyFrameMargin)
	ref.Delays.Load = !ref.Lazy
	s.report(t, ref)
}

// plugin reads an embed or object. A type that no browser shows is not requested.
func (s *scanner) plugin(t html.Token, destination Destination, src string) {
	kind, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(attribute(t, "type"))), ";")
	if kind != "" && !readableImage(kind) && !readableMedia(kind) && !strings.HasPrefix(kind, "text/") && kind != "application/pdf" &&
		!strings.HasSuffix(kind, "+xml") && !strings.HasSuffix(kind, "/xml") && !strings.HasSuffix(kind, "json") {
		return
	}
	s.report(t, Reference{Address: src, Destination: destination, Type: attribute(t, "type"), Delays: Delays{Load: true}})
}

// readableImage says that Chromium shows images of this media type.
func readableImage(kind string) bool {
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	switch strings.TrimSpace(kind) {
	case "image/png", "image/apng", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/avif", "image/svg+xml",
		"image/bmp", "image/x-ms-bmp", "image/x-icon", "image/vnd.microsoft.icon", "image/x-png", "image/x-xbitmap", "image/jxl":
		return true
	}
	return false
}

// readableMedia says that Chromium plays media of this type; codecs are not looked at.
func readableMedia(kind string) bool {
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	switch strings.TrimSpace(kind) {
	case "video/mp4", "video/webm", "video/ogg", "video/x-m4v", "video/x-matroska", "audio/mpeg", "audio/mp3", "audio/mp4", "audio/x-m4a",
		"audio/ogg", "audio/webm", "audio/wav", "audio/x-wav", "audio/flac", "audio/aac", "application/ogg",
		"application/vnd.apple.mpegurl", "application/x-mpegurl":
		return true
	}
	return false
}

// link reads a link element (HTML, section 4.6.7), as Chromium treats its relations.
func (s *scanner) link(t html.Token) {
	rel := strings.Fields(strings.ToLower(attribute(t, "rel")))
	href := address(t, "href")
	media := attribute(t, "media")
	matches := s.options.Screen.Matches(media)
	is := func(word string) bool { return slices.Contains(rel, word) }
	ref := Reference{Address: href, Media: media, Type: attribute(t, "type")}
	switch {
	case is("stylesheet"):
		_, off := lookup(t, "disabled")
		alternate := is("alternate")
		if alternate && attribute(t, "title") == "" || off || !cssType(ref.Type) {
			return
		}
		// An alternative that has a name is loaded for a person to choose, but does not apply.
		applies := matches && !alternate
		ref.Destination, ref.Idle, ref.Delays = DestStyle, !applies, s.sheetDelays(applies)
		s.report(t, ref)
	case is("icon"):
		if len(s.icons) < maxSources && href != "" && !s.body && matches {
			s.icons = append(s.icons, icon{t, iconRank(attribute(t, "sizes"), ref.Type)})
		}
	case is("preload"):
		if s.preload(t, &ref) && matches {
			s.report(t, ref)
		}
	case is("modulepreload"):
		ref.Destination, ref.Module, ref.Preload, ref.Delays.Load = DestScript, true, true, true
		if crossOrigin(t) == "" {
			ref.CrossOrigin = "anonymous"
		}
		s.report(t, ref)
	case is("prefetch"):
		ref.Destination, ref.Preload, ref.Idle = DestFetch, true, true
		s.report(t, ref)
	case is("manifest"):
		ref.Destination = DestManifest
		s.report(t, ref)
	case is("preconnect"), is("dns-prefetch"):
		if href != "" && s.found < maxFound {
			s.found++
			s.to.Hint(Hint{Address: href, Lookup: !is("preconnect"), CrossOrigin: crossOrigin(t)})
		}
	}
}

// preload completes a preload by what it is for; no where Chromium preloads nothing of the kind.
func (s *scanner) preload(t html.Token, ref *Reference) bool {
	ref.Preload, ref.Delays.Load = true, true
	kind, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(ref.Type)), ";")
	switch as := strings.ToLower(attribute(t, "as")); as {
	case "style":
		return s.preloadAs(ref, DestStyle, cssType(kind))
	case "script":
		return s.preloadAs(ref, DestScript, kind == "" || javascript(kind))
	case "font":
		ref.CrossOrigin = crossOrigin(t)
		return s.preloadAs(ref, DestFont, kind == "" || strings.HasPrefix(kind, "font/") || strings.HasPrefix(kind, "application/"))
	case "image":
		if set, ok := lookup(t, "imagesrcset"); ok {
			ref.Address = s.options.Screen.Select(set, attribute(t, "imagesizes"), ref.Address)
		}
		return s.preloadAs(ref, DestImage, kind == "" || readableImage(kind))
	case "fetch":
		return s.preloadAs(ref, DestFetch, true)
	case "track":
		return s.preloadAs(ref, DestTrack, kind == "" || kind == "text/vtt")
	}
	return false
}

func (s *scanner) preloadAs(ref *Reference, destination Destination, readable bool) bool {
	ref.Destination = destination
	return readable
}

// cssType says that a link of this type is a style sheet's.
func cssType(kind string) bool {
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || kind == "text/css"
}

// icon is a link to one, and how well it fits.
type icon struct {
	tag  html.Token
	rank int
}

// iconRank is 0 for an icon that fits a tab at any density, more for others: those that do not say their size come
// after those that fit, and before those that do not.
func iconRank(sizes, kind string) int {
	if sizes == "" {
		if strings.EqualFold(kind, "image/svg+xml") {
			return 0
		}
		return 1
	}
	best := 1 << 20
	for _, size := range strings.Fields(strings.ToLower(sizes)) {
		width, _, _ := strings.Cut(size, "x")
		n, err := strconv.Atoi(width)
		switch {
		case size == "any" || n == 16 || n == 32:
			best = 0
		case err == nil && n > 0:
			best = min(best, 2+n)
		}
	}
	return best
}

// icon reports the icon that fits best, of those that do so equally the first, as Chromium takes it.
func (s *scanner) icon() {
	if len(s.icons) == 0 {
		return
	}
	best := slices.MinFunc(s.icons, func(a, b icon) int { return a.rank - b.rank })
	s.body = false
	s.report(best.tag, Reference{Address: address(best.tag, "href"), Destination: DestFavicon, Type: attribute(best.tag, "type")})
}
