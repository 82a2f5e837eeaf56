package page

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/net/html/atom"

	"scenario/nodes/browser/weburl"
)

// Submission is the request that a form makes.
type Submission struct {
	Method      string // GET or POST; empty: the form only closes a dialog
	URL         *weburl.URL
	ContentType string // empty: no body
	Body        []byte
	Target      string
}

// Entry is a name and a value of a form's data set.
type Entry struct{ Name, Value string }

// Entries is the form's data set when it is submitted by a button; nil: by none (HTML, section 4.10.21.4). charset is the
// encoding that a field _charset_ names.
func (f *Form) Entries(button *Field, charset string) []Entry {
	var list []Entry
	for _, c := range f.Fields {
		switch {
		case c.Disabled, c.submits() && c != button, c.Kind == "reset", c.Kind == "button":
			continue
		case c.Kind == "image":
			prefix := ""
			if c.Name != "" {
				prefix = c.Name + "."
			}
			list = append(list, Entry{prefix + "x", "0"}, Entry{prefix + "y", "0"})
			continue
		case c.Name == "", (c.Kind == "checkbox" || c.Kind == "radio") && !c.Checked:
			continue
		}
		switch {
		case c.Kind == "select":
			for _, o := range c.Options {
				if o.Selected && !o.Disabled {
					list = append(list, Entry{c.Name, o.Value})
				}
			}
		case c.Kind == "hidden" && strings.EqualFold(c.Name, "_charset_"):
			list = append(list, Entry{c.Name, charset})
		default:
			list = append(list, Entry{c.Name, c.sanitized()})
		}
		if dirname, ok := nodeAttribute(c.Node, "dirname"); ok && dirname != "" && (c.Kind == "textarea" || c.Node.DataAtom == atom.Input) {
			list = append(list, Entry{dirname, inherited(c.Node, "dir", "ltr")})
		}
	}
	return list
}

// sanitized is the value as the control has it (HTML, section 4.10.5.1): of one line where it has one.
func (f *Field) sanitized() string {
	switch f.Kind {
	case "text", "search", "tel", "password":
		return strings.NewReplacer("\r", "", "\n", "").Replace(f.Value)
	case "url", "email":
		return strings.TrimFunc(strings.NewReplacer("\r", "", "\n", "").Replace(f.Value), isSpaceRune)
	}
	return f.Value
}

// Submit is the request that the form makes (HTML, section 4.10.21.3), submitted by a button; nil: by none. base is what
// addresses are relative to, document the page's own URL. random makes the boundary of multipart bodies.
func (f *Form) Submit(button *Field, document, base *weburl.URL, random rand.Source) (*Submission, error) {
	attribute := func(key, ofButton string) string {
		if button != nil && ofButton != "" {
			return ofButton
		}
		value, _ := nodeAttribute(f.Node, key)
		return value
	}
	if button == nil {
		button = &Field{}
	}
	s := &Submission{Method: "GET", Target: attribute("target", button.Target)}
	switch strings.ToLower(attribute("method", button.Method)) {
	case "post":
		s.Method = "POST"
	case "dialog":
		return &Submission{}, nil
	}
	s.URL = document
	if action := strings.TrimFunc(attribute("action", button.Action), isSpaceRune); action != "" {
		var err error
		if s.URL, err = base.Parse(action); err != nil {
			return nil, fmt.Errorf("form: %w", err)
		}
	}
	entries := f.Entries(button, "UTF-8")
	if s.Method == "GET" {
		address, _, _ := strings.Cut(s.URL.Bare(), "?")
		u, err := weburl.Parse(address + "?" + urlencoded(entries))
		if err != nil {
			return nil, fmt.Errorf("form: %w", err)
		}
		s.URL = u
		return s, nil
	}
	switch strings.ToLower(attribute("enctype", button.Enctype)) {
	case "multipart/form-data":
		boundary := fmt.Sprintf("----WebKitFormBoundary%016x", random.Uint64())
		s.ContentType = "multipart/form-data; boundary=" + boundary
		s.Body = multipart(entries, f.files(), boundary)
	case "text/plain":
		s.ContentType = "text/plain"
		var b strings.Builder
		for _, e := range entries {
			b.WriteString(newlines(e.Name) + "=" + newlines(e.Value) + "\r\n")
		}
		s.Body = []byte(b.String())
	default:
		s.ContentType = "application/x-www-form-urlencoded"
		s.Body = []byte(urlencoded(entries))
	}
	return s, nil
}

// files is the names of the fields that take files; none is chosen.
func (f *Form) files() map[string]bool {
	names := make(map[string]bool)
	for _, c := range f.Fields {
		if c.Kind == "file" {
			names[c.Name] = true
		}
	}
	return names
}

// newlines is text with every end of a line as CRLF, as forms send them.
func newlines(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// urlencoded serializes entries (URL Standard, section 5.2).
func urlencoded(entries []Entry) string {
	var b strings.Builder
	escape := func(text string) {
		text = strings.ToValidUTF8(newlines(text), "\uFFFD")
		for i := range len(text) {
			switch c := text[i]; {
			case c == ' ':
				b.WriteByte('+')
			case c|0x20 >= 'a' && c|0x20 <= 'z' || isDigit(c) || strings.IndexByte("*-._", c) >= 0:
				b.WriteByte(c)
			default:
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
	}
	for i, e := range entries {
		if i > 0 {
			b.WriteByte('&')
		}
		escape(e.Name)
		b.WriteByte('=')
		escape(e.Value)
	}
	return b.String()
}

// multipart serializes entries (HTML, section 4.10.21.8; RFC 7578).
func multipart(entries []Entry, files map[string]bool, boundary string) []byte {
	var b strings.Builder
	quote := strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22")
	for _, e := range entries {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", boundary, quote.Replace(newlines(e.Name)))
		if files[e.Name] {
			b.WriteString("; filename=\"\"\r\nContent-Type: application/octet-stream")
		}
		fmt.Fprintf(&b, "\r\n\r\n%s\r\n", newlines(e.Value))
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return []byte(b.String())
}
