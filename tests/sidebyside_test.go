package tests

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"scenario/internal/needs"
	"scenario/record"
	"scenario/report/compare"
	"scenario/report/loads"
)

// unlike is a difference between our browser and Chromium that is there for a reason.
type unlike struct {
	page, url string    // patterns of addresses
	what      string    // a word of package compare, or a field of the request in lower case
	is        [2]string // patterns of how it is in our browser, and in Chromium
	sometimes bool      // it depends on how fast the machine is
	why       string
}

// unlikes are all there are: any other fails TestTwoBrowsers, and so does one that is not met there.
func unlikes() []unlike {
	return []unlike{
		{
			page: "http://shop.example/.*", url: "http://shop.example/favicon.ico", what: compare.Request, is: [2]string{"icon", ""},
			why: "Chromium keeps icons in a file apart from its HTTP cache, and does not ask again for a week; ours goes by the rules of the cache.",
		},
		{
			page: "https://.*", url: "https://.*", what: "priority", is: [2]string{"i|u=2, i", "u=1, i"}, sometimes: true,
			why: "Chromium raises what it sees at the top of the page once that is painted, as far as it still waits for a connection.",
		},
	}
}

// apart are beginnings of names of fields that are not compared, and why.
func apart() map[string]string {
	return map[string]string{
		"user-agent": "each says which browser it is",
		"sec-ch-ua":  "so do client hints, which ours does not send, as it is no brand that a server would know",
		"cookie":     "the values are random numbers; the names are compared",
	}
}

// matches says whether a difference of a page is this one.
func (u unlike) matches(page string, d compare.Difference) bool {
	whole := func(pattern, text string) bool { return regexp.MustCompile("^(?:" + pattern + ")$").MatchString(text) }
	return u.what == d.What && whole(u.page, page) && whole(u.url, d.URL) && whole(u.is[0], d.A) && whole(u.is[1], d.B)
}

// R8: our browser and Chromium, each with a profile of its own, open the same pages of the library one after the other. They
// make the same requests: the same addresses in the same classes of urgency, the same cookies, the same fields. What differs is
// in a list with its reason, and nothing is in the list that does not differ.
func TestTwoBrowsers(t *testing.T) {
	needs.Docker(t)
	needs.Program(t, "chromium")
	dir := t.TempDir()
	scenario(t, dir, "test", "--trust", "--engine", "docker", testdata(t, "sidebyside.yaml")).expectCode(t, 0)
	rec, err := record.Open(filepath.Join(dir, ".scenario", "sidebyside"))
	if err != nil {
		t.Fatal(err)
	}
	byNode := make(map[string][]loads.Load)
	for _, l := range loads.Find(rec) {
		byNode[l.Node] = append(byNode[l.Node], l)
	}
	ours, theirs := byNode["ours"], byNode["chrome"]
	if len(ours) != len(theirs) {
		t.Fatalf("our browser loaded %d pages, Chromium %d", len(ours), len(theirs))
	}
	known := unlikes()
	met := make([]int, len(known))
	pages := make(map[string]bool)
	same, explained := 0, 0
	for i, our := range ours {
		if our.URL != theirs[i].URL {
			t.Fatalf("page load %d is of %s and of %s", i+1, our.URL, theirs[i].URL)
		}
		pages[our.URL] = true
		differing := make(map[string]bool)
		for _, d := range append(compare.Loads(our, theirs[i]), fields(our, theirs[i])...) {
			differing[d.Method+" "+d.URL] = true
			at := slices.IndexFunc(known, func(u unlike) bool { return u.matches(our.URL, d) })
			if at < 0 {
				t.Errorf("page load %d, %s: no reason is known: %s", i+1, our.URL, d)
				continue
			}
			met[at]++
			explained++
		}
		for _, f := range our.Fetches {
			if !differing[f.Method+" "+f.URL] {
				same++
			}
		}
	}
	if len(pages) < 10 || same < 100 {
		t.Errorf("%d pages with %d requests that are the same are less than the file has", len(pages), same)
	}
	t.Logf("%d pages: %d requests the same, %d differences with a reason", len(pages), same, explained)
	for i, u := range known {
		if met[i] == 0 && !u.sometimes {
			t.Errorf("%s, %s: it is listed, and does not differ", u.url, u.what)
		}
		t.Logf("%d times: %s, %s: %s", met[i], u.url, u.what, u.why)
	}
}

// fields lists the differences between the header fields of requests that both made.
func fields(a, b loads.Load) []compare.Difference {
	others := make(map[string][]loads.Fetch)
	key := func(f loads.Fetch) string { return f.Method + " " + f.URL }
	for _, f := range b.Fetches {
		others[key(f)] = append(others[key(f)], f)
	}
	var all []compare.Difference
	for _, one := range a.Fetches {
		same := others[key(one)]
		if len(same) == 0 {
			continue // which is a difference already
		}
		other := same[0]
		others[key(one)] = same[1:]
		as, bs := head(one), head(other)
		names := slices.Concat(slices.Collect(maps.Keys(as)), slices.Collect(maps.Keys(bs)))
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if as[name] != bs[name] {
				all = append(all, compare.Difference{Method: one.Method, URL: one.URL, What: name, A: as[name], B: bs[name]})
			}
		}
	}
	return all
}

// head are the fields of the request by their names in lower case, but those that are not compared. Where nothing was sent, there
// are none.
func head(f loads.Fetch) map[string]string {
	all := make(map[string]string)
	if f.Request == nil {
		return all
	}
	text, _, _ := strings.Cut(f.Request.Raw, "\r\n\r\n")
	for line := range strings.SplitSeq(text, "\r\n") {
		name, value, ok := strings.Cut(line, ": ")
		name = strings.ToLower(name)
		if !ok || slices.ContainsFunc(slices.Collect(maps.Keys(apart())), func(start string) bool { return strings.HasPrefix(name, start) }) {
			continue
		}
		if before, repeated := all[name]; repeated {
			value = before + ", " + value
		}
		all[name] = value
	}
	return all
}
