package browser

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write the golden files anew")

// parsed is a page of this HTML.
func parsed(t testing.TB, text string) *document {
	t.Helper()
	u, err := typed("http://shop.example/")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := html.ParseWithOptions(strings.NewReader(text), html.ParseOptionEnableScripting(false))
	if err != nil {
		t.Skip(err)
	}
	return &document{url: u, base: u, tree: tree}
}

// R7
func TestRender(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			golden, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			page := string(golden.Files[0].Data)
			d := parsed(t, page)
			got := &txtar.Archive{Comment: golden.Comment, Files: []txtar.File{
				golden.Files[0],
				{Name: "title", Data: []byte(title(d.tree) + "\n")},
				{Name: "text", Data: []byte(renderText(d, nil) + "\n")},
				{Name: "dom", Data: []byte(renderDOM(d, nil))},
			}}
			if *update {
				if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(golden)), string(txtar.Format(got))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRenderIsBounded(t *testing.T) {
	d := parsed(t, strings.Repeat("<p>ä a long page</p>", 10000))
	text, dom := renderText(d, nil), renderDOM(d, nil)
	if len(text) > maxText+4 || len(dom) > maxDOM+4 || !strings.HasSuffix(text, "…") || !strings.HasSuffix(dom, "…") {
		t.Errorf("text of %d bytes, tree of %d", len(text), len(dom))
	}
}

func FuzzRender(f *testing.F) {
	for _, seed := range []string{"<p>a<pre> b\n c</pre>", "<ol><li><p>x<li>y</ol>", "<select><option>a<option selected>b</select>", "<iframe src=/>", "<table><td>a<td>b", "<input type=checkbox checked>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := parsed(t, text)
		renderText(d, map[string]*document{"http://shop.example/": d})
		renderDOM(d, map[string]*document{"http://shop.example/": d})
	})
}
