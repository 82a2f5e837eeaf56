package page

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scenario/nodes/browser/weburl"
)

// site loads pages of an archive the way a browser does, and notes what it requests.
type site struct {
	t        testing.TB
	files    map[string]string
	requests map[string]bool
	depth    int
}

// frame is one document that is being loaded.
type frame struct {
	site *site
	base *weburl.URL
	url  *weburl.URL
	opts Options
	// hidden: the frame is not displayed
	hidden bool
}

func (f *frame) Base(address string) {
	if u, err := f.url.Parse(address); err == nil {
		f.base = u
	}
}
func (f *frame) Hint(Hint) {}
func (f *frame) Script()   {}
func (f *frame) Meta(m Meta) {
	if m.Refresh != nil && m.Refresh.Address != "" {
		f.request(Reference{Address: m.Refresh.Address, Destination: DestDocument})
	}
}
func (f *frame) Reference(r Reference) {
	if r.Far {
		return
	}
	if f.base.Scheme() != "http" {
		f.base = f.url
	}
	f.request(r)
}

func (f *frame) request(r Reference) {
	opts := f.opts
	if r.Sandbox != nil && !strings.Contains(*r.Sandbox, "allow-scripts") {
		opts.Scripting = false
	}
	if r.Srcdoc != nil {
		inner := &frame{f.site, f.base, f.base, opts, r.Hidden}
		inner.load(*r.Srcdoc)
		return
	}
	u, err := f.base.Parse(r.Address)
	if err != nil || !u.Web() && u.Scheme() != "data" {
		return
	}
	destination := string(r.Destination)
	switch r.Destination {
	case DestFetch:
		destination = "empty"
	case DestFavicon:
		destination = "image"
	}
	name := strings.TrimPrefix(u.Target(), "/")
	if u.Scheme() == "http" && r.Destination != DestStyle || u.Scheme() == "http" && !f.site.requests["style "+name] {
		f.site.requests[destination+" "+name] = true
		switch {
		case r.Destination == DestStyle && !r.Preload:
			if sheet := f.sheet(u); sheet != nil {
				for _, i := range sheet.Imports() {
					inner := &frame{f.site, u, u, opts, false}
					inner.request(i)
				}
			}
		case r.Destination == DestFrame || r.Destination == DestFrameOld:
			if f.site.depth++; f.site.depth < 10 {
				inner := &frame{f.site, u, u, opts, r.Hidden}
				inner.load(f.site.files[name])
			}
		}
	}
}

func (f *frame) sheet(u *weburl.URL) *Sheet {
	text, ok := f.site.files[strings.TrimPrefix(u.Target(), "/")]
	if !ok {
		return nil
	}
	return ParseSheet(text, u, f.opts.Screen)
}

func (f *frame) load(text string) {
	f.site.t.Helper()
	if err := Scan(strings.NewReader(text), f.opts, f); err != nil {
		f.site.t.Fatal(err)
	}
	if f.hidden {
		return
	}
	tree, err := Parse([]byte(text), f.opts.Scripting)
	if err != nil {
		f.site.t.Fatal(err)
	}
	for _, r := range (Style{Root: tree, Base: f.base, Screen: f.opts.Screen, Sheet: f.sheet}).Needed() {
		f.request(r)
	}
}

// R4, R8: what Chromium 156 requests for the pages in testdata/chromium, which it did in a viewport of 1280×720, with the
// destinations of its Sec-Fetch-Dest fields, is what is found here. Differences are listed beside each page, with reasons.
func TestAsChromium(t *testing.T) {
	paths, err := filepath.Glob("testdata/chromium/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no recorded pages", err)
	}
	pages, same := 0, 0
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string]string)
		for _, file := range archive.Files {
			files[file.Name] = string(bytes.TrimSuffix(file.Data, []byte("\n")))
		}
		for _, file := range archive.Files {
			want, recorded := files[strings.TrimSuffix(file.Name, ".html")+".requests"]
			if !strings.HasSuffix(file.Name, ".html") || !recorded {
				continue
			}
			pages++
			u, _ := weburl.Parse("http://shop.example/" + file.Name)
			s := &site{t: t, files: files, requests: make(map[string]bool)}
			f := &frame{s, u, u, Options{Screen: DefaultScreen(), Scripting: true}, false}
			f.load(files[file.Name])
			expected := strings.Split(want, "\n")
			differs := false
			for line := range strings.SplitSeq(files[strings.TrimSuffix(file.Name, ".html")+".differences"], "\n") {
				change, _, _ := strings.Cut(line, ":")
				if request, ok := strings.CutPrefix(change, "+ "); ok {
					expected = append(expected, request)
					differs = true
				} else if request, ok := strings.CutPrefix(change, "- "); ok {
					expected = slices.DeleteFunc(expected, func(e string) bool { return e == request })
					differs = true
				}
			}
			if !differs {
				same++
			}
			got := []string{}
			for r := range s.requests {
				got = append(got, r)
			}
			slices.Sort(got)
			slices.Sort(expected)
			expected = slices.DeleteFunc(expected, func(e string) bool { return e == "" })
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("%s %s: requests (-Chromium +here):\n%s", path, file.Name, diff)
			}
		}
	}
	t.Logf("%d of %d pages have the very requests of Chromium", same, pages)
}
