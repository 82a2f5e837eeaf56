package cookie

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// site is the scheme and the registrable domain: two documents are same-site where theirs are equal (schemefully).
func (o Origin) site() string { return plain(o.Scheme) + "://" + Site(o.Host) }

func (o Origin) sameSite(other Origin) bool {
	return o.Host != "" && other.Host != "" && o.site() == other.site()
}

// plain is the scheme of HTTP that a WebSocket's stands for.
func plain(scheme string) string {
	switch scheme {
	case "ws":
		return "http"
	case "wss":
		return "https"
	}
	return scheme
}

// Site is the registrable domain of host: the public suffix and one label before it. A host that has none, such as an
// address, is a site of its own.
func Site(host string) string {
	host = strings.ToLower(host)
	if isAddress(host) {
		return host
	}
	if domain, ok := RegistrableDomain(host); ok {
		return domain
	}
	return host
}

// RegistrableDomain is the part of host, a name in ASCII, that somebody can register; false where host is a public
// suffix itself or no name. A dot at the end stays.
func RegistrableDomain(host string) (string, bool) {
	name, dotted := strings.CutSuffix(strings.ToLower(host), ".")
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if dotted {
		domain += "."
	}
	return domain, err == nil
}

func publicSuffix(domain string) bool {
	if isAddress(domain) {
		return false
	}
	domain = strings.TrimSuffix(domain, ".")
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// loopback says that host is the machine itself (Secure Contexts, section 3.1).
func loopback(host string) bool {
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && addr.IsLoopback()
}

// domainMatch is section 5.1.3: host is domain, or a name below it.
func domainMatch(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain) && !isAddress(host)
}

// pathMatch is section 5.1.4: path is prefix, or lies below it. Both are compared as they are written.
func pathMatch(path, prefix string) bool {
	if !strings.HasPrefix(path, prefix) {
		return false
	}
	return len(path) == len(prefix) || strings.HasSuffix(prefix, "/") || path[len(prefix)] == '/'
}

// defaultPath is section 5.1.4: the folder that the request's path stands in.
func defaultPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 && path[0] == '/' {
		return path[:i]
	}
	return "/"
}
