// Package compare tells in what two page loads of one address differ.
package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"scenario/report/loads"
)

// What two loads can differ in.
const (
	Request     = "request"     // only one of them made it
	Destination = "destination" // what it was for
	Order       = "order"       // the class of urgency that it had
	Cookies     = "cookies"     // names of the cookies that went along
	Protocol    = "protocol"
	Status      = "status"
	From        = "from" // network, cache, revalidated
)

// cached is where a response is from that needed no request.
const cached = "cache"

// Difference is something in which two loads differ. A and B are how it was in each; empty: there was none.
type Difference struct {
	Method string
	URL    string
	What   string
	A, B   string
}

// String is the difference on one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s %s: %s: %s, %s", d.Method, d.URL, d.What, cmp.Or(d.A, "none"), cmp.Or(d.B, "none"))
}

// Loads lists the differences between the requests of two page loads, by URL. Requests of the same method and URL, such as
// those of a page that sends on to itself, are compared in the order in which they were made.
func Loads(a, b loads.Load) []Difference {
	as, bs := byURL(a), byURL(b)
	keys := make(map[request]bool)
	for k := range as {
		keys[k] = true
	}
	for k := range bs {
		keys[k] = true
	}
	var all []Difference
	for _, k := range slices.SortedFunc(maps.Keys(keys), request.compare) {
		one, other := as[k], bs[k]
		for i := range max(len(one), len(other)) {
			switch {
			case i >= len(other):
				all = append(all, Difference{k.method, k.url, Request, one[i].Destination, ""})
			case i >= len(one):
				all = append(all, Difference{k.method, k.url, Request, "", other[i].Destination})
			default:
				all = append(all, fetches(k, one[i], other[i])...)
			}
		}
	}
	return all
}

// request names requests that are the same.
type request struct{ method, url string }

func (r request) compare(other request) int {
	return cmp.Or(cmp.Compare(r.url, other.url), cmp.Compare(r.method, other.method))
}

func byURL(l loads.Load) map[request][]loads.Fetch {
	all := make(map[request][]loads.Fetch)
	for _, f := range l.Fetches {
		url, _, _ := strings.Cut(f.URL, "#")
		k := request{cmp.Or(f.Method, "GET"), url}
		all[k] = append(all[k], f)
	}
	return all
}

func fetches(k request, a, b loads.Fetch) []Difference {
	var all []Difference
	for _, side := range []struct{ what, a, b string }{
		{Destination, a.Destination, b.Destination},
		{Order, OrderClass(a), OrderClass(b)},
		{Cookies, strings.Join(CookieNames(a), ", "), strings.Join(CookieNames(b), ", ")},
		{Protocol, a.Proto, b.Proto},
		{Status, status(a), status(b)},
		{From, a.From, b.From},
	} {
		if side.what == Protocol && (a.From == cached || b.From == cached) {
			continue // some tell the protocol by which it came, and some none
		}
		if side.a != side.b {
			all = append(all, Difference{k.method, k.url, side.what, side.a, side.b})
		}
	}
	return all
}

func status(f loads.Fetch) string {
	if f.Status == 0 {
		return cmp.Or(f.Failed, "none")
	}
	return fmt.Sprint(f.Status)
}

// OrderClass is which requests one goes with. Browsers give urgencies (RFC 9218) in finer steps than they agree in.
func OrderClass(f loads.Fetch) string {
	switch {
	case f.Priority <= 1:
		return "first" // what decides how the page looks: documents, style sheets, scripts in the head
	case f.Priority <= 3:
		return "next" // what is seen in it
	}
	return "last"
}

// CookieNames are the names of the cookies that went along, sorted.
func CookieNames(f loads.Fetch) []string {
	var names []string
	if f.Request == nil {
		return nil
	}
	for pair := range strings.SplitSeq(f.Request.Cookie, ";") {
		if name, _, _ := strings.Cut(strings.TrimSpace(pair), "="); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Browsers pairs the loads of one address by browsers of different kinds: the last load of each, the kinds by name.
func Browsers(all []loads.Load) [][2]loads.Load {
	last := make(map[string]map[string]loads.Load)
	var urls []string
	for _, l := range all {
		if l.Role == "" || len(l.Fetches) == 0 {
			continue
		}
		if last[l.URL] == nil {
			last[l.URL] = make(map[string]loads.Load)
			urls = append(urls, l.URL)
		}
		last[l.URL][l.Role] = l
	}
	var pairs [][2]loads.Load
	for _, url := range urls {
		roles := slices.Sorted(maps.Keys(last[url]))
		for i := 1; i < len(roles); i++ {
			pairs = append(pairs, [2]loads.Load{last[url][roles[0]], last[url][roles[i]]})
		}
	}
	return pairs
}
