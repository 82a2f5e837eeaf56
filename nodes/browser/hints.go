package browser

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/browser/page"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/weburl"
)

// maxLinks bounds the links that are read of a response's header.
const maxLinks = 100

// link is one link of a Link field (RFC 8288, section 3).
type link struct {
	address    string
	parameters map[string]string // by name in lower case
}

// parseLinks reads the fields Link of a header.
func parseLinks(values []string) []link {
	var links []link
	for _, rest := range values {
		for len(links) < maxLinks {
			_, after, found := strings.Cut(rest, "<")
			if !found {
				break
			}
			address, after, found := strings.Cut(after, ">")
			if !found {
				break
			}
			l := link{strings.TrimSpace(address), make(map[string]string)}
			rest = l.read(after)
			links = append(links, l)
		}
	}
	return links
}

// read takes the parameters of the link, up to the comma behind it.
func (l link) read(text string) (rest string) {
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" || text[0] == ',' {
			return strings.TrimPrefix(text, ",")
		}
		if text[0] == ';' {
			text = text[1:]
			continue
		}
		end := strings.IndexAny(text, "=;,")
		if end < 0 {
			end = len(text)
		}
		name, value := strings.ToLower(strings.TrimSpace(text[:end])), ""
		text = text[end:]
		if strings.HasPrefix(text, "=") {
			value, text = parameter(strings.TrimLeft(text[1:], " \t"))
		}
		if _, known := l.parameters[name]; !known && name != "" {
			l.parameters[name] = value
		}
	}
}

// parameter takes a value, which may be quoted.
func parameter(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ";,")
		if end < 0 {
			end = len(text)
		}
		return strings.TrimSpace(text[:end]), text[end:]
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:]
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String(), ""
}

// reference is what the link has the browser load in advance; false where it is no such link.
func (l link) reference() (ref page.Reference, ok bool) {
	cross, given := l.parameters["crossorigin"]
	switch {
	case given && strings.EqualFold(cross, "use-credentials"):
		ref.CrossOrigin = "use-credentials"
	case given:
		ref.CrossOrigin = "anonymous"
	}
	ref.Address, ref.Preload, ref.Delays.Load = l.address, true, true
	ref.Integrity, ref.FetchPriority, ref.Media = l.parameters["integrity"], l.parameters["fetchpriority"], l.parameters["media"]
	if !page.DefaultScreen().Matches(ref.Media) {
		return ref, false
	}
	switch rel := strings.ToLower(l.parameters["rel"]); {
	case hasWord(rel, "modulepreload"):
		ref.Destination, ref.Module = page.DestScript, true
		if ref.CrossOrigin == "" {
			ref.CrossOrigin = "anonymous"
		}
		return ref, true
	case !hasWord(rel, "preload"):
		return ref, false
	}
	switch as := strings.ToLower(l.parameters["as"]); as {
	case "style", "script", "image", "font", "fetch", "track":
		ref.Destination = page.Destination(as)
		return ref, true
	}
	return ref, false
}

func hasWord(text, word string) bool {
	for w := range strings.FieldsSeq(text) {
		if w == word {
			return true
		}
	}
	return false
}

// follow does as the links of a response say for a document.
func (d *document) follow(ctx context.Context, h http.Header) {
	for _, l := range parseLinks(h.Values("Link")) {
		rel := strings.ToLower(l.parameters["rel"])
		if hasWord(rel, "preconnect") || hasWord(rel, "dns-prefetch") {
			d.visit.hint(ctx, d, page.Hint{Address: l.address, Lookup: !hasWord(rel, "preconnect")})
			continue
		}
		if ref, ok := l.reference(); ok {
			d.visit.want(ctx, d, ref, d.relative(), d.url)
		}
	}
}

// interim deals with a response before the response: 103 Early Hints say what the page is going to need (RFC 8297).
func (v *visit) interim(ctx context.Context, r *request, status int, h http.Header) {
	if status != http.StatusEarlyHints || r.destination != policy.Document || r.document != nil || v.hinted {
		return
	}
	v.hinted = true // the first ones count (HTML, section 7.4.3)
	links := parseLinks(h.Values("Link"))
	event.Emit(ctx, v.log, v.milestone("early_hints", r.url, fmt.Sprintf("%d links", len(links))))
	early := v.newDocument(ctx, r.url, nil)
	early.referrers = policy.ReferrerPolicyHeader(h)
	early.follow(ctx, h)
}

// hint prepares for an address that a page is going to ask for: its name is looked up, and unless that is all that is
// wanted, a connection is made.
func (v *visit) hint(ctx context.Context, d *document, h page.Hint) {
	u, err := d.relative().Parse(h.Address)
	if err != nil || !u.Web() || u.Hostname() == "" {
		return
	}
	v.mu.Lock()
	v.hints++
	n := v.hints
	known := v.hinting[u.Origin()]
	v.hinting[u.Origin()] = known || !h.Lookup
	v.mu.Unlock()
	if n > maxHints || known {
		return
	}
	if held, _ := v.session.hsts.Secure(time.Now(), u); held || d.wantsHTTPS() {
		u = policy.Upgraded(u)
	}
	site := policy.Site(d.top().url)
	ctx, stop := context.WithCancel(ctx)
	unlink := context.AfterFunc(v.sparing, stop)
	v.spare.Go(func() {
		defer unlink()
		v.prepare(ctx, u, site, h.Lookup, n)
		stop()
	})
}

func (v *visit) prepare(ctx context.Context, u *weburl.URL, site string, lookup bool, n int) {
	if lookup {
		host.Turn(v.host, fmt.Sprintf("hint %s %06d", v.trace, n))
		_, _ = v.session.resolver.Lookup(ctx, u.Hostname()) // whoever needs the name is told
		return
	}
	_ = v.session.transport.Preconnect(ctx, u, site) // whoever needs the connection is told
}
