package cookie

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Request says where a cookie comes from, or would go to.
type Request struct {
	Scheme string // http or https
	Host   string // name or address, without a port, as the URL standard writes it
	Path   string
	// The page in the address bar. No host: the request itself opens that page, because somebody typed its address.
	TopScheme, TopHost string
}

// ThirdParty says that the request goes to another registrable domain than the page in the address bar.
func (r Request) ThirdParty() bool { return r.TopHost != "" && Site(r.Host) != Site(r.TopHost) }

// crossSite is what SameSite goes by: as ThirdParty, with the scheme (RFC 6265bis, section 5.2).
func (r Request) crossSite() bool {
	return r.TopHost != "" && (r.TopScheme != r.Scheme || r.ThirdParty())
}

func (r Request) secure() bool { return r.Scheme == "https" }

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
// suffix itself or no name.
func RegistrableDomain(host string) (string, bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	return domain, err == nil
}

func publicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// domainMatch is section 5.1.3: host is domain, or a name below it.
func domainMatch(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain) && !isAddress(host)
}

// pathMatch is section 5.1.4: path is prefix, or lies below it.
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
