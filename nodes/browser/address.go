package browser

import (
	"errors"
	"fmt"
	"strings"

	"scenario/nodes/browser/weburl"
)

// typed reads an address as a person writes it in the address bar: without a scheme it is http, with the scheme's port
// where none is named.
func typed(text string) (*weburl.URL, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, errors.New("no address was given")
	case strings.ContainsAny(text, " \t\r\n"):
		return nil, fmt.Errorf("%q is no address: it has a space in it", text)
	case strings.HasPrefix(text, "//"):
		text = "http:" + text
	case !hasScheme(text):
		text = "http://" + text
	}
	u, err := weburl.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no address: %w", text, err)
	}
	if !u.Web() {
		return nil, fmt.Errorf("%q is no address of a web page: this browser opens http and https", text)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no address: it names no host", text)
	}
	return u, nil
}

// hasScheme tells "mailto:ann@shop.example" and "http://shop.example" from "shop.example:8080/cart": what follows the
// colon of a host is a port.
func hasScheme(text string) bool {
	scheme, rest, found := strings.Cut(text, ":")
	if !found || strings.ContainsAny(scheme, "/?#[@.") {
		return false
	}
	return rest == "" || rest[0] < '0' || rest[0] > '9'
}

// portDetail says where the port of an address came from.
func portDetail(u *weburl.URL) string {
	if u.Port() == "" {
		return fmt.Sprintf("port %d, the default of %s", u.PortNumber(), u.Scheme())
	}
	return "port " + u.Port() + ", as written"
}
