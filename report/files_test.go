package report

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFiles makes what a run folder holds, twice the same. R36, R38
func TestFiles(t *testing.T) {
	rec := secure(t).recording()
	first, err := Files(rec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Files(rec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the second time other files:\n%s", diff)
	}
	var names []string
	for _, f := range first {
		names = append(names, f.Name)
	}
	for _, want := range []string{"report.txt", "junit.xml", "har/dot-laptop.har", "har/chrome-chrome.har", "waterfall/expired-laptop.svg"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %s", want, names)
		}
	}
	if files, err := Files(browse(t).recording()); err != nil || len(files) != 2 {
		t.Errorf("%d files, error %v; want no more than text and JUnit where browsers sum nothing up", len(files), err)
	}
}

// TestDrawings reads every waterfall as XML: it must be well-formed, name itself for those who do not see it, hold the URL
// of every bar as text, and get nothing from elsewhere. R36
func TestDrawings(t *testing.T) {
	for name, script := range fixtures(t) {
		r := newRun(script.recording())
		for _, c := range r.charts(Options{}) {
			var out strings.Builder
			if err := c.writeSVG(&out); err != nil {
				t.Fatal(err)
			}
			drawn := out.String()
			elements := make(map[string]int)
			for d := xml.NewDecoder(strings.NewReader(drawn)); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s, %s: %v\n%s", name, c.url, err, drawn)
				}
				if e, ok := token.(xml.StartElement); ok {
					elements[e.Name.Local]++
				}
			}
			if elements["title"] < 1+len(c.bars) || elements["desc"] != 1 || elements["script"]+elements["image"]+elements["use"] > 0 {
				t.Errorf("%s, %s: elements %v", name, c.url, elements)
			}
			if rest := strings.ReplaceAll(drawn, `xmlns="http://www.w3.org/2000/svg"`, ""); strings.Contains(rest, "href=") || strings.Contains(rest, "url(") {
				t.Errorf("%s, %s: the drawing needs another file", name, c.url)
			}
			for _, b := range c.bars {
				if !strings.Contains(drawn, "<title>"+svgText(b.url)+"</title>") {
					t.Errorf("%s, %s: no %s", name, c.url, b.url)
				}
			}
		}
	}
}
