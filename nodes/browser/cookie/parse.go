package cookie

import (
	"errors"
	"strings"
	"time"
)

// SameSite says in which requests a cookie goes along (RFC 6265bis, section 5.6.7). The empty value means that the server did not say.
type SameSite string

// The values of the SameSite attribute.
const (
	Strict SameSite = "strict"
	Lax    SameSite = "lax"
	None   SameSite = "none"
)

// Limits of RFC 6265bis, section 5.6: what is longer is not stored, or not an attribute.
const (
	maxPair      = 4096 // bytes of name and value
	maxAttribute = 1024 // bytes of an attribute's value
	maxLifetime  = 400 * 24 * time.Hour
)

// Reasons why a Set-Cookie field is no cookie at all.
var (
	errControl  = errors.New("it has a control character")
	errEmpty    = errors.New("it has neither a name nor a value")
	errNameless = errors.New("it has no name")
	errTooLong  = errors.New("name and value are longer than 4096 bytes")
	errDomain   = errors.New("its Domain has a character that is not ASCII")
	errPath     = errors.New("its Path has a character that is not ASCII")
)

// SetCookie is a Set-Cookie field as it was written, before anybody decided whether to store it.
type SetCookie struct {
	Name, Value string
	Domain      string // lower case, without a leading dot; empty: not given
	Path        string // empty: not given, or not absolute
	Secure      bool
	HTTPOnly    bool
	Partitioned bool
	SameSite    SameSite
	Expires     time.Time     // zero: not given, or no date
	MaxAge      time.Duration // counts where HasMaxAge is set, and then more than Expires
	HasMaxAge   bool
}

// Parse reads the value of a Set-Cookie field (RFC 6265bis, section 5.6). A field without an equals sign, or with
// nothing before it, is a value without a name. Of an attribute that stands there twice the last counts, but a Domain
// without a value does not count, as in the tests of browsers.
//
// An error says why there is no cookie in the field; what is known of name and value is returned with it.
func Parse(field string) (SetCookie, error) {
	var c SetCookie
	if strings.ContainsFunc(field, control) {
		return c, errControl
	}
	pair, attributes, _ := strings.Cut(field, ";")
	name, value, found := strings.Cut(pair, "=")
	if !found {
		name, value = "", pair
	}
	c.Name, c.Value = trim(name), trim(value)
	switch {
	case c.Name == "" && c.Value == "":
		return c, errEmpty
	case len(c.Name)+len(c.Value) > maxPair:
		return c, errTooLong
	}
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, value, _ := strings.Cut(attribute, "=")
		if value = trim(value); len(value) <= maxAttribute {
			c.set(strings.ToLower(trim(name)), value)
		}
	}
	switch {
	case !ascii(c.Domain):
		return c, errDomain
	case !ascii(c.Path):
		return c, errPath
	}
	c.Domain = strings.ToLower(c.Domain)
	return c, nil
}

// set takes one attribute; a later one of the same name replaces an earlier one.
func (c *SetCookie) set(name, value string) {
	switch name {
	case "expires":
		if at, ok := ParseDate(value); ok {
			c.Expires = at
		}
	case "max-age":
		if age, ok := parseAge(value); ok {
			c.MaxAge, c.HasMaxAge = age, true
		}
	case "domain":
		if domain := strings.TrimPrefix(value, "."); domain != "" {
			c.Domain = domain
		}
	case "path":
		c.Path = ""
		if strings.HasPrefix(value, "/") {
			c.Path = value
		}
	case "secure":
		c.Secure = true
	case "httponly":
		c.HTTPOnly = true
	case "partitioned":
		c.Partitioned = true
	case "samesite":
		switch s := SameSite(strings.ToLower(value)); s {
		case Strict, Lax, None:
			c.SameSite = s
		default:
			c.SameSite = ""
		}
	}
}

// parseAge reads a Max-Age (section 5.6.2), cut to the longest life a cookie may have.
func parseAge(s string) (time.Duration, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	if digits != s {
		return 0, true
	}
	var age time.Duration
	for _, digit := range digits {
		age = min(age*10+time.Duration(digit-'0')*time.Second, maxLifetime)
	}
	return age, true
}

// control says that r must not stand in a Set-Cookie field: all control characters but the tab.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

func trim(s string) string { return strings.Trim(s, " \t") }
