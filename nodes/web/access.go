package web

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/invopop/jsonschema"
)

// Range is the addresses of a prefix, written as one address ("203.0.113.7") or with a length ("203.0.113.0/24").
type Range struct{ prefix netip.Prefix }

// MarshalText writes the range.
func (r Range) MarshalText() ([]byte, error) {
	if r.prefix.IsSingleIP() {
		return r.prefix.Addr().MarshalText()
	}
	return r.prefix.MarshalText()
}

// UnmarshalText reads an address or a prefix; bits beyond the prefix are cleared.
func (r *Range) UnmarshalText(text []byte) error {
	if addr, err := netip.ParseAddr(string(text)); err == nil {
		addr = addr.Unmap().WithZone("")
		r.prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf("%q is no IP address and no prefix such as 203.0.113.0/24", text)
	}
	r.prefix = prefix.Masked()
	return nil
}

// String is the range as text.
func (r Range) String() string {
	text, err := r.MarshalText()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// JSONSchema describes what UnmarshalText reads.
func (Range) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Pattern: `^[0-9A-Fa-f.:]+(/[0-9]+)?$`,
		Description: "an IP address, or a prefix such as 203.0.113.0/24",
	}
}

// access knows who is connected and who may not be.
type access struct {
	mu     sync.Mutex
	banned []Range // sorted, each once
	live   map[*link]struct{}
	open   sync.WaitGroup // counts live
}

func newAccess(deny []Range) *access {
	a := &access{live: make(map[*link]struct{})}
	for _, r := range deny {
		a.banned = insert(a.banned, r)
	}
	return a
}

// admit counts c among the live connections and returns the rule that bans its client, if there is one.
func (a *access) admit(c *link) (Range, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live[c] = struct{}{}
	a.open.Add(1)
	i := slices.IndexFunc(a.banned, func(r Range) bool { return r.prefix.Contains(c.address.WithZone("")) })
	if i < 0 {
		return Range{}, false
	}
	return a.banned[i], true
}

// leave is called when c has been closed.
func (a *access) leave(c *link) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.live, c)
	a.open.Done()
}

// ban turns away whoever is in r from now on, those connected included, and returns all that is banned.
func (a *access) ban(r Range) []Range {
	a.mu.Lock()
	a.banned = insert(a.banned, r)
	banned := slices.Clone(a.banned)
	a.mu.Unlock()
	a.abort("denied", func(c *link) bool { return r.prefix.Contains(c.address.WithZone("")) })
	return banned
}

// unban takes the ban of r away and returns what is still banned. A ban of another range that covers r stays.
func (a *access) unban(r Range) ([]Range, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, found := slices.BinarySearchFunc(a.banned, r, compareRanges)
	if !found {
		return nil, fmt.Errorf("%s is not banned", r)
	}
	a.banned = slices.Delete(a.banned, i, i+1)
	return slices.Clone(a.banned), nil
}

// abort ends the live connections that it is to, in the order in which they were accepted.
func (a *access) abort(reason string, which func(*link) bool) {
	a.mu.Lock()
	var ending []*link
	for c := range a.live {
		if which(c) {
			ending = append(ending, c)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(ending, func(x, y *link) int { return int(x.number - y.number) })
	for _, c := range ending {
		c.abort(reason)
	}
}

func insert(ranges []Range, r Range) []Range {
	i, found := slices.BinarySearchFunc(ranges, r, compareRanges)
	if found {
		return ranges
	}
	return slices.Insert(ranges, i, r)
}

func compareRanges(x, y Range) int { return x.prefix.Compare(y.prefix) }
