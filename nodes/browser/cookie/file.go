package cookie

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// file is a jar as it is kept between visits.
type file struct {
	Cookies []record `json:"cookies"`
}

// record is a cookie in a file. JSON text has no bytes that are not UTF-8: a cookie with such bytes has them in Bytes.
type record struct {
	Cookie
	Bytes *pair `json:"bytes,omitempty"`
}

// pair is name and value, in base64 when written.
type pair struct {
	Name  []byte `json:"name"`
	Value []byte `json:"value"`
}

// Marshal writes the jar as JSON text for a person to read. Session cookies stand in it, marked as such.
func (j *Jar) Marshal() ([]byte, error) {
	f := file{Cookies: []record{}}
	for _, c := range j.Cookies() {
		r := record{Cookie: c}
		if !utf8.ValidString(c.Name) || !utf8.ValidString(c.Value) {
			r.Bytes = &pair{[]byte(c.Name), []byte(c.Value)}
		}
		f.Cookies = append(f.Cookies, r)
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cookie file: %w", err)
	}
	return append(text, '\n'), nil
}

// Load replaces what the jar holds by what [Jar.Marshal] wrote, as a browser that starts anew: without session cookies
// and those whose time is over. What no server could have set is left out too.
func (j *Jar) Load(at time.Time, text []byte) error {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("cookie file: %w", err)
	}
	var kept []*entry
	for _, r := range f.Cookies {
		c := r.Cookie
		if r.Bytes != nil {
			c.Name, c.Value = string(r.Bytes.Name), string(r.Bytes.Value)
		}
		if !c.Session && !c.expired(at) && c.plausible(at) && len(kept) < maxTotal {
			kept = append(kept, newEntry(c))
		}
	}
	slices.SortStableFunc(kept, func(a, b *entry) int { return a.Created.Compare(b.Created) })
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cookies = kept
	return nil
}

// plausible says that the cookie could have come from a Set-Cookie field.
func (c *Cookie) plausible(at time.Time) bool {
	known := c.SameSite == Strict || c.SameSite == Lax || c.SameSite == None
	set, err := Parse(c.Name + "=" + c.Value)
	return err == nil && set.Name == c.Name && set.Value == c.Value && known &&
		c.Domain != "" && len(c.Path) > 0 && c.Path[0] == '/' && !c.Expires.After(at.Add(maxLifetime))
}
