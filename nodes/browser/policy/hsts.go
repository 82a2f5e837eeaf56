package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"scenario/nodes/browser/weburl"
)

// maxHosts is how many hosts an [HSTS] list remembers.
const maxHosts = 1000

// maxHSTS bounds how long a host is remembered.
const maxHSTS = 10 * 365 * 24 * time.Hour

// HSTS remembers the hosts that want to be reached over https alone (RFC 6797). It may be used from several goroutines.
type HSTS struct {
	mu    sync.Mutex
	hosts map[string]HSTSHost
}

// HSTSHost is a host that wants https.
type HSTSHost struct {
	Host       string    `json:"host"`
	Subdomains bool      `json:"include_subdomains"`
	Expires    time.Time `json:"expires"`
}

// NewHSTS returns an empty list.
func NewHSTS() *HSTS { return &HSTS{hosts: make(map[string]HSTSHost)} }

// ParseHSTS reads the field Strict-Transport-Security (RFC 6797, section 6.1).
func ParseHSTS(value string) (maxAge time.Duration, subdomains bool, err error) {
	seen := make(map[string]bool)
	for directive := range strings.SplitSeq(value, ";") {
		name, argument, has := strings.Cut(directive, "=")
		name, argument = strings.ToLower(strings.Trim(name, " \t")), strings.Trim(argument, " \t")
		if name == "" && !has {
			continue
		}
		if !token(name) {
			return 0, false, fmt.Errorf("Strict-Transport-Security: %q is no directive", clip(name))
		}
		if seen[name] {
			return 0, false, fmt.Errorf("Strict-Transport-Security: %s stands there twice", clip(name))
		}
		seen[name] = true
		switch name {
		case "max-age":
			if len(argument) >= 2 && argument[0] == '"' && argument[len(argument)-1] == '"' {
				argument = argument[1 : len(argument)-1]
			}
			seconds, ok := number(argument)
			if !ok {
				return 0, false, fmt.Errorf("Strict-Transport-Security: max-age %q is no number", clip(argument))
			}
			maxAge = maxHSTS
			if seconds < int64(maxHSTS/time.Second) {
				maxAge = time.Duration(seconds) * time.Second
			}
		case "includesubdomains":
			if has {
				return 0, false, fmt.Errorf("Strict-Transport-Security: includeSubDomains has no value")
			}
			subdomains = true
		}
	}
	if !seen["max-age"] {
		return 0, false, fmt.Errorf("Strict-Transport-Security: max-age is missing")
	}
	return maxAge, subdomains, nil
}

// Note takes the fields Strict-Transport-Security of a response from u, of which the first counts. What does not come over
// TLS, or from an address, is not listened to (RFC 6797, sections 8.1 and 8.1.1). changed says that the list is another one now.
func (l *HSTS) Note(at time.Time, u *weburl.URL, fields []string) (changed bool, err error) {
	if len(fields) == 0 || !u.Secure() || isAddress(u) {
		return false, nil
	}
	age, subdomains, err := ParseHSTS(fields[0])
	if err != nil {
		return false, err
	}
	name := strings.TrimSuffix(u.Hostname(), ".")
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.hosts[name]
	if age == 0 {
		delete(l.hosts, name)
		return known, nil
	}
	if !known && len(l.hosts) >= maxHosts {
		l.evict()
	}
	l.hosts[name] = HSTSHost{Host: name, Subdomains: subdomains, Expires: at.Add(age)}
	return true, nil
}

// evict drops the host that would be dropped first anyway; the lock is held.
func (l *HSTS) evict() {
	var first HSTSHost
	for _, h := range l.hosts {
		if first.Host == "" || h.Expires.Before(first.Expires) || h.Expires.Equal(first.Expires) && h.Host < first.Host {
			first = h
		}
	}
	delete(l.hosts, first.Host)
}

// Secure says that u is to be asked for over https, and why: its host, or one above it, has said so (RFC 6797, section 8.3).
func (l *HSTS) Secure(at time.Time, u *weburl.URL) (bool, string) {
	if u.Scheme() != "http" || isAddress(u) {
		return false, ""
	}
	name := strings.TrimSuffix(u.Hostname(), ".")
	l.mu.Lock()
	defer l.mu.Unlock()
	for above := name; above != ""; {
		h, known := l.hosts[above]
		switch {
		case !known || !at.Before(h.Expires):
		case above == name:
			return true, name + " has said that it wants https alone"
		case h.Subdomains:
			return true, above + " has said that all names below it want https alone"
		}
		_, above, _ = strings.Cut(above, ".")
	}
	return false, ""
}

// Hosts returns the list in the order of its names, without what has expired.
func (l *HSTS) Hosts(at time.Time) []HSTSHost {
	l.mu.Lock()
	defer l.mu.Unlock()
	hosts := []HSTSHost{}
	for _, h := range l.hosts {
		if at.Before(h.Expires) {
			hosts = append(hosts, h)
		}
	}
	slices.SortFunc(hosts, func(a, b HSTSHost) int { return strings.Compare(a.Host, b.Host) })
	return hosts
}

// Marshal writes the list as JSON text.
func (l *HSTS) Marshal(at time.Time) ([]byte, error) {
	text, err := json.MarshalIndent(l.Hosts(at), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("hsts file: %w", err)
	}
	return append(text, '\n'), nil
}

// Load replaces the list by what [HSTS.Marshal] wrote.
func (l *HSTS) Load(at time.Time, text []byte) error {
	var hosts []HSTSHost
	if err := json.Unmarshal(text, &hosts); err != nil {
		return fmt.Errorf("hsts file: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.hosts)
	for _, h := range hosts {
		if at.Before(h.Expires) && len(l.hosts) < maxHosts {
			l.hosts[h.Host] = h
		}
	}
	return nil
}
