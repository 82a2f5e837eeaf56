package page

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

func parsed(t testing.TB, text string) *html.Node {
	t.Helper()
	tree, err := Parse([]byte(text), false)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// R7: the update switch writes the golden files anew.
func TestRender(t *testing.T) {
	paths, err := filepath.Glob("testdata/render/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			golden, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tree := parsed(t, string(golden.Files[0].Data))
			c := &Content{Tree: tree}
			got := &txtar.Archive{Comment: golden.Comment, Files: []txtar.File{
				golden.Files[0],
				{Name: "title", Data: []byte(Title(tree) + "\n")},
				{Name: "text", Data: []byte(c.Text() + "\n")},
				{Name: "dom", Data: []byte(c.DOM())},
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
	c := &Content{Tree: parsed(t, strings.Repeat("<p>ä a long page</p>", 10000))}
	text, dom := c.Text(), c.DOM()
	if len(text) > maxText+4 || len(dom) > maxDOM+4 || !strings.HasSuffix(text, "…") || !strings.HasSuffix(dom, "…") {
		t.Errorf("text of %d bytes, tree of %d", len(text), len(dom))
	}
}

// Elements nested as deep as one likes have a tree, and their text is shown.
func TestDeepDocuments(t *testing.T) {
	for _, tag := range []string{"div", "b", "table", "svg", "a", "ul", "font", "template", "select"} {
		open := "<" + tag + ">"
		tree := parsed(t, "<p>before</p>"+strings.Repeat(open, 20_000)+"<p>deep</p>")
		if text := (&Content{Tree: tree}).Text(); !strings.Contains(text, "before") {
			t.Errorf("%s: the text is %q", tag, text)
		}
	}
}

func TestLinks(t *testing.T) {
	tree := parsed(t, `<div hidden><a href=no>no</a></div><a href=" /a ">A <b>link</b></a><a href=b><img alt=picture></a><a name=c>no</a><a href=d target=_blank aria-label=icon></a>`)
	var links []string
	for _, l := range Links(tree) {
		links = append(links, l.Text+" "+l.Address)
	}
	if diff := cmp.Diff([]string{"A link /a", "picture b", "icon d"}, links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{"a link": "/a", "LINK": "/a", "a[href=b]": "b", "a b": "/a"} {
		if l, err := FindLink(tree, text); err != nil || l.Address != want {
			t.Errorf("FindLink(%q) = %q, %v; want %q", text, l.Address, err, want)
		}
	}
	for _, text := range []string{"no", "p > q", "][", ""} {
		if l, err := FindLink(tree, text); err == nil {
			t.Errorf("FindLink(%q) = %v, want an error", text, l)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, seed := range []string{"<p>a<pre> b\n c</pre>", "<ol><li><p>x<li>y</ol>", "<select><option>a<option selected>b</select>", "<iframe src=/>", "<table><td>a<td>b", "<input type=checkbox checked>", "<details><summary>a</details><dl><dt>a<dd>b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &Content{Tree: parsed(t, text)}
		shown := 0
		c.Frame = func(*html.Node) *Content {
			if shown++; shown > 3 {
				return nil
			}
			return c
		}
		if n := len(c.Text()); n > maxText+4 {
			t.Errorf("text of %d bytes", n)
		}
		if n := len(c.DOM()); n > maxDOM+4 {
			t.Errorf("tree of %d bytes", n)
		}
		Links(c.Tree)
		Forms(c.Tree)
	})
}
