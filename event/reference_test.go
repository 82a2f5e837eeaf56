package event

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/events.md anew")

const referenceFile = "../docs/events.md"

// R36: the reference of events is made from words.go, and every type there is a word.
func TestReference(t *testing.T) {
	types, consts := parseWords(t)
	var page strings.Builder
	page.WriteString(`# Events

What nodes, links and steps tell, one JSON object a line: ` + "`time`, `node`, `event`" + `, then the attributes below. Addresses
are IP:port, durations are seconds (names end in ` + "`_s`" + `), sizes are bytes. An attribute marked with * is left out where it
is empty or zero; in expectations it is there all the same. Events of one causal chain share ` + "`trace`" + `; one that others
name as their ` + "`parent`" + ` has an ` + "`id`" + `. ` + consts + `

This page is made from event/words.go.
`)
	known := make(map[string]bool)
	for _, e := range Words() {
		typ := reflect.TypeOf(e)
		known[typ.Name()] = true
		declared, ok := types[typ.Name()]
		if !ok {
			t.Errorf("%s is listed in Words but not declared in words.go", typ.Name())
			continue
		}
		meaning := strings.TrimPrefix(declared.doc, typ.Name()+" ")
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| attribute | type | |\n|---|---|---|\n", e.Word(), strings.ToUpper(meaning[:1])+meaning[1:])
		for i := range typ.NumField() {
			field := typ.Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if options == "omitempty" {
				name += "*"
			}
			fmt.Fprintf(&page, "| %s | %s | %s |\n", name, jsonType(field.Type), declared.comments[field.Name])
		}
	}
	for name := range types {
		if !known[name] {
			t.Errorf("%s is declared in words.go but not listed in Words", name)
		}
	}
	if *update {
		if err := os.WriteFile(referenceFile, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page.String(), string(got)); diff != "" {
		t.Errorf("docs/events.md is not what words.go says; run go test ./event -update:\n%s", diff)
	}
}

type declared struct {
	doc      string
	comments map[string]string // of fields
}

// parseWords returns the types of words.go and what is said of its constants.
func parseWords(t *testing.T) (types map[string]declared, consts string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "words.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	types = make(map[string]declared)
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		if group.Tok == token.CONST {
			consts = "`side` says which end of an exchange tells it: client or server."
		}
		for _, spec := range group.Specs {
			typ, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			one := declared{doc: oneLine(group.Doc.Text()), comments: make(map[string]string)}
			for _, field := range typ.Type.(*ast.StructType).Fields.List {
				one.comments[field.Names[0].Name] = oneLine(field.Comment.Text())
			}
			types[typ.Name.Name] = one
		}
	}
	return types, consts
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func jsonType(t reflect.Type) string {
	switch {
	case t.Name() == "RawMessage":
		return "any"
	case t.Kind() == reflect.Slice:
		return "list of " + jsonType(t.Elem())
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.String:
		return "string"
	}
	return "number"
}
