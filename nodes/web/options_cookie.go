package web

import (
	"fmt"
	"net/http"
	"time"

	"scenario/nodes/role"
)

// Cookie is a cookie that a response sets (RFC 6265, section 4.1) where the request did not bring one of that name.
type Cookie struct {
	Name     string        `json:"name" jsonschema_description:"its name"`
	Value    string        `json:"value,omitempty" jsonschema_description:"its value"`
	Random   bool          `json:"random,omitempty" jsonschema_description:"a new random value for every client, in place of value"`
	Path     string        `json:"path,omitempty" jsonschema_description:"the paths it is for" jsonschema:"default=/"`
	Domain   string        `json:"domain,omitempty" jsonschema_description:"the domain it is for, with all below it; default: the host alone"`
	MaxAge   role.Duration `json:"max_age,omitempty" jsonschema_description:"how long it lives; default: until the browser is closed"`
	HTTPOnly bool          `json:"http_only,omitempty" jsonschema_description:"hidden from scripts"`
	Secure   bool          `json:"secure,omitempty" jsonschema_description:"sent over https alone"`
	SameSite string        `json:"same_site,omitempty" jsonschema_description:"which requests of other sites bring it" jsonschema:"enum=lax,enum=strict,enum=none"`
	Always   bool          `json:"always,omitempty" jsonschema_description:"set it again where the request brought it"`
	Delete   bool          `json:"delete,omitempty" jsonschema_description:"delete it where the request brought it"`
}

func (c Cookie) check() error {
	if err := c.header("").Valid(); err != nil {
		return fmt.Errorf("cookie %q: %w", c.Name, err)
	}
	if age := time.Duration(c.MaxAge); age > 0 && age < time.Second {
		return fmt.Errorf("cookie %q: max_age is at least 1s", c.Name)
	}
	if _, known := sameSites()[c.SameSite]; !known {
		return fmt.Errorf("cookie %q: same_site is lax, strict or none, not %q", c.Name, c.SameSite)
	}
	return nil
}

// header is the cookie as net/http writes it; random is its value where it has no fixed one.
func (c Cookie) header(random string) *http.Cookie {
	h := &http.Cookie{
		Name: c.Name, Value: c.Value, Path: c.Path, Domain: c.Domain, MaxAge: int(time.Duration(c.MaxAge).Seconds()),
		HttpOnly: c.HTTPOnly, Secure: c.Secure, SameSite: sameSites()[c.SameSite],
	}
	if c.Random {
		h.Value = random
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if c.Delete {
		h.Value, h.MaxAge = "", -1
	}
	return h
}

func sameSites() map[string]http.SameSite {
	return map[string]http.SameSite{
		"": 0, "lax": http.SameSiteLaxMode, "strict": http.SameSiteStrictMode, "none": http.SameSiteNoneMode,
	}
}
