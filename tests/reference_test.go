package tests

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"

	"scenario/nodes"
	"scenario/nodes/role"
	"scenario/scenarios"
	"scenario/topology"
)

var update = flag.Bool("update", false, "write docs/reference.md and docs/schema.json anew")

// docs/schema.json is what `scenario schema` prints.
func TestSchemaFile(t *testing.T) {
	schema, err := topology.Schema(nodes.Kinds(scenarios.Sites()))
	if err != nil {
		t.Fatal(err)
	}
	expectFile(t, "../docs/schema.json", string(schema)+"\n")
}

// docs/reference.md tells every key, option, action and result: it is made from the schema and the roles.
func TestReference(t *testing.T) {
	kinds := nodes.Kinds(scenarios.Sites())
	text, err := topology.Schema(kinds)
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	node, step := schema.Definitions["node"], schema.Definitions["step"]
	networks, _ := schema.Properties.Get("networks")
	_, network := settings(networks)

	p := &referencePage{results: resultReflector(t)}
	p.WriteString(referenceIntro)
	p.table("key", topLevel(&schema))
	p.WriteString("\n## A network\n\n" + networkText)
	p.table("key", settingRows(network))
	p.WriteString("\n## A node\n\n" + nodeText)
	p.table("key", settingRows(without(node, roleNames(kinds))))
	p.WriteString("\n## A link\n\n" + linkText)
	p.table("key", settingRows(schema.Definitions["link"]))
	p.WriteString("\n## A step\n\n" + stepText)
	p.table("key", settingRows(without(step, actionNames(kinds))))
	p.WriteString(runText + "\n## Roles\n")
	for _, kind := range kinds {
		options, _ := node.Properties.Get(kind.Name)
		p.role(kind, options, step)
	}
	expectFile(t, "../docs/reference.md", p.String())
}

// expectFile compares a generated file with what it must be, or writes it.
func expectFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is out of date; run go test ./tests -run 'TestReference|TestSchemaFile' -update:\n%s", name, diff)
	}
}

// The generated page's own words.
const referenceIntro = `# Scenario files

Every key of a scenario file, with its type, its meaning and its default. For learning by example take the files of
` + "`scenario ls`" + `; for expectations there is [a page of its own](expectations.md).

An editor with a YAML language server completes keys and marks mistakes where the file's first line names
[schema.json](schema.json), which ` + "`scenario schema`" + ` prints too:

    # yaml-language-server: $schema=https://example.org/path/to/schema.json

` + "`scenario validate FILE`" + ` tells every mistake with its line and column. It knows more than the schema: names of nodes and
networks, addresses, zones, expectations.

This scenario has a short and a long form of most things:

` + "```yaml" + `
networks:
  access:                              # allocated
  home: 192.168.1.0/24                 # short: its subnet
  core: 198.51.100.0/24
  office: {subnet: [10.1.0.0/24, "fd00:1::/64"], internal: true}
nodes:
  laptop: {networks: [home]}           # short: names alone
  printer:
    networks: {office: , home: 192.168.1.9}         # short: an address
  home-router:
    networks: {home: , core: {address: 198.51.100.1}}     # long
    router: {nat: core}
  ns: {networks: [core], dns: }        # a role without options
  shop:
    networks: [core]
    names: shop.example                # a list of one
    web: shop                          # short: its site
steps:
  - {node: laptop, fetch: "http://shop.example/"}  # short: its URL
  - node: laptop
    name: down                         # long
    fetch: {url: "http://shop.example/", method: HEAD}
    expect: result.status == 200
expect:
  - that: steps.down.body == ''
    because: a HEAD response has no body
` + "```" + `

**Types.** A *list* of one may be the value alone where the type says "one or a list". A *duration* is a number with a
unit: ` + "`250ms`, `1.5s`, `1m30s`, `0`" + `. *nothing* is an empty value: the defaults. In paths, NAME is a key that you choose and
[] an element of a list. This page is made from the schema.

## The file

The comment at the beginning of the file is its description: ` + "`scenario ls` and `scenario plan`" + ` show it.

`

const networkText = `A key of ` + "`networks`" + `: an Ethernet segment with its subnets. A lone value is its ` + "`subnet`" + `; ` + "`networks: [a, b]`" + ` allocates.

`

const nodeText = `A key of ` + "`nodes`" + `: a machine. Beside these keys it has its roles ([below](#roles)), each under the role's name. A node with
` + "`image` or `rootfs`" + ` runs programs in place of roles.

`

const linkText = `What a ` + "`link`" + ` does to packets: a network's holds for each node on it, and what a node says below the network's name wins,
key by key. Every node has a link of its own to a network, so two nodes with a ` + "`delay` of `10ms`" + ` are 20 ms apart one way.
What ` + "`up` and `down`" + ` do not say is the same both ways. A packet is lost or not, waits its turn in the queue, is sent at the
rate, and then takes the delay. ` + "`loss` and `burst`" + ` say one thing in two ways, so the one that wins takes the other's place.

    link: {delay: 10ms, jitter: 2ms, loss: 0.1%, up: {rate: 1mbit}, down: {rate: 16mbit, queue: 64kb}}

`

const stepText = `Steps run one after the other. A step is one of ` + "`run`, `wait`, `parallel`" + ` or an action of a role ([below](#roles)), on its
` + "`node`" + `. A step that cannot be carried out ends the run; an expectation that does not hold fails the run and ends nothing.

`

const runText = "\nThe result of `run` has `exit` (the exit code), `stdout`, `stderr`, and `left_out`: how many bytes of both were not kept.\n"

// referencePage is docs/reference.md as it is written.
type referencePage struct {
	strings.Builder
	results *jsonschema.Reflector
}

// row is one key of a table.
type row struct{ key, typ, meaning string }

func (p *referencePage) table(head string, rows []row) {
	fmt.Fprintf(p, "| %s | type | |\n|---|---|---|\n", head)
	for _, r := range rows {
		cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
		fmt.Fprintf(p, "| `%s` | %s | %s |\n", r.key, cell(r.typ), cell(r.meaning))
	}
}

// role writes the part of one role: options, and each action with arguments and result.
func (p *referencePage) role(kind role.Kind, options, step *jsonschema.Schema) {
	fmt.Fprintf(p, "\n### %s\n\n%s [Its page](../nodes/%[1]s/README.md).\n", kind.Name, kind.Doc)
	_, object := settings(options)
	if object == nil {
		p.WriteString("\nNo options.\n")
	} else {
		p.WriteString("\n" + lone(kind.Short))
		p.table("option", settingRows(object))
	}
	for _, action := range kind.Actions {
		args, _ := step.Properties.Get(action.Name)
		fmt.Fprintf(p, "\n#### %s\n\n%s", action.Name, action.Doc)
		if _, object := settings(args); object == nil {
			p.WriteString(" No arguments.\n\n")
		} else {
			p.WriteString("\n\n" + lone(action.Short))
			p.table("argument", settingRows(object))
			p.WriteString("\n")
		}
		p.table("result", settingRows(p.results.Reflect(action.Result)))
	}
}

func lone(key string) string {
	if key == "" {
		return ""
	}
	return "A lone value is `" + key + "`.\n\n"
}

// resultReflector makes schemas of results; what no tag describes the comment in the source does.
func resultReflector(t *testing.T) *jsonschema.Reflector {
	t.Helper()
	t.Chdir("..")
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true}
	if err := r.AddGoComments("scenario", "nodes"); err != nil {
		t.Fatal(err)
	}
	t.Chdir("tests")
	return r
}

// settings finds the object that the long form of a value is, and how one gets there: ".NAME" by a key that the user
// chooses, "[]" by an element. It is nil where a value has no long form.
func settings(s *jsonschema.Schema) (path string, object *jsonschema.Schema) {
	if s == nil {
		return "", nil
	}
	if s.Properties.Len() > 0 {
		return "", s
	}
	if path, object := settings(s.Items); object != nil {
		return "[]" + path, object
	}
	if s.AdditionalProperties != nil {
		if path, object := settings(s.AdditionalProperties); object != nil {
			return ".NAME" + path, object
		}
	}
	for _, form := range forms(s) {
		if inner, found := settings(form); found != nil && len(inner) >= len(path) {
			path, object = inner, found
		}
	}
	return path, object
}

func forms(s *jsonschema.Schema) []*jsonschema.Schema {
	return append(slices.Clone(s.AnyOf), s.OneOf...)
}

// settingRows lists an object's keys, and below each the keys of its value.
func settingRows(object *jsonschema.Schema) []row {
	return nestedRows("", object, make(map[string]string))
}

// nestedRows lists the keys of an object that stands at a path. told has the paths of the objects listed so far: one of
// the same keys is not listed again.
func nestedRows(prefix string, object *jsonschema.Schema, told map[string]string) []row {
	var rows []row
	for pair := object.Properties.Oldest(); pair != nil; pair = pair.Next() {
		key, s := prefix+pair.Key, pair.Value
		meaning := sentence(s.Description)
		if slices.Contains(object.Required, pair.Key) {
			meaning = strings.TrimSpace(meaning + " Required.")
		}
		path, inner := settings(s)
		if short := shortForm(s, inner); short != "" {
			meaning = strings.TrimSpace(fmt.Sprintf("%s A lone value is `%s`.", meaning, short))
		}
		if s.Default != nil {
			meaning += fmt.Sprintf(" Default: `%v`.", s.Default)
		}
		first, again := told[asJSON(inner)]
		if again {
			meaning += fmt.Sprintf(" Keys: those of `%s`.", first)
		}
		rows = append(rows, row{key, typeName(s), strings.TrimSpace(meaning)})
		if inner != nil && !again {
			told[asJSON(inner)] = key + path
			rows = append(rows, nestedRows(key+path+".", inner, told)...)
		}
	}
	return rows
}

func topLevel(schema *jsonschema.Schema) []row {
	return slices.DeleteFunc(settingRows(schema), func(r row) bool {
		return strings.HasPrefix(r.key, "networks.") || strings.HasPrefix(r.key, "nodes.")
	})
}

// shortForm returns the key of an object whose schema is also a form of s itself.
func shortForm(s, object *jsonschema.Schema) string {
	if object == nil {
		return ""
	}
	for _, form := range forms(s) {
		for pair := object.Properties.Oldest(); pair != nil; pair = pair.Next() {
			if asJSON(form) == asJSON(pair.Value) {
				return pair.Key
			}
		}
	}
	for _, inner := range append(forms(s), s.AdditionalProperties, s.Items) {
		if inner != nil {
			if short := shortForm(inner, object); short != "" {
				return short
			}
		}
	}
	return ""
}

func asJSON(s *jsonschema.Schema) string {
	text, _ := json.Marshal(s) // of a schema that was JSON before
	return string(text)
}

// typeName says in words what a value can be.
func typeName(s *jsonschema.Schema) string {
	switch {
	case s == nil:
		return "any"
	case strings.HasPrefix(s.Ref, "#/$defs/"):
		return strings.TrimPrefix(s.Ref, "#/$defs/")
	case len(s.Enum) > 0:
		var words []string
		for _, word := range s.Enum {
			words = append(words, fmt.Sprintf("`%v`", word))
		}
		return strings.Join(words, ", ")
	case len(forms(s)) > 0:
		return formNames(forms(s))
	}
	switch s.Type {
	case "string":
		if s.Pattern == (role.Duration(0)).JSONSchema().Pattern || len(s.Examples) > 0 {
			return "duration"
		}
	case "integer":
		return "number" + bounds(s)
	case "array":
		return "list of " + typeName(s.Items)
	case "null":
		return "nothing"
	case "object":
		if s.Properties.Len() == 0 && s.AdditionalProperties != nil && asJSON(s.AdditionalProperties) != "false" {
			if path, _ := settings(s.AdditionalProperties); path == "" && len(forms(s.AdditionalProperties)) > 0 {
				return "map by NAME"
			}
			return "map of NAME to " + typeName(s.AdditionalProperties)
		}
		return "map"
	}
	return cmp.Or(s.Type, "any")
}

// formNames names the forms of a value. A value or a list of such values is told in one.
func formNames(all []*jsonschema.Schema) string {
	if len(all) == 2 && all[1].Type == "array" && asJSON(all[1].Items) == asJSON(all[0]) {
		return typeName(all[0]) + "; one or a list"
	}
	var names []string
	for _, form := range all {
		for name := range strings.SplitSeq(typeName(form), " or ") {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, " or ")
}

func bounds(s *jsonschema.Schema) string {
	switch {
	case s.Minimum != "" && s.Maximum != "":
		return fmt.Sprintf(", %s to %s", s.Minimum, s.Maximum)
	case s.Minimum != "":
		return fmt.Sprintf(", %s or more", s.Minimum)
	}
	return ""
}

// sentence gives a description a capital letter, unless it begins with something that is written as it is, and a full
// stop.
func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	first, _, _ := strings.Cut(text, " ")
	if plain := strings.TrimFunc(first, unicode.IsLetter) == ""; plain {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// without returns an object without some of its keys.
func without(object *jsonschema.Schema, keys []string) *jsonschema.Schema {
	rest := *object
	rest.Properties = jsonschema.NewProperties()
	for pair := object.Properties.Oldest(); pair != nil; pair = pair.Next() {
		if !slices.Contains(keys, pair.Key) {
			rest.Properties.Set(pair.Key, pair.Value)
		}
	}
	return &rest
}

func roleNames(kinds []role.Kind) []string {
	var names []string
	for _, kind := range kinds {
		names = append(names, kind.Name)
	}
	return names
}

func actionNames(kinds []role.Kind) []string {
	var names []string
	for _, kind := range kinds {
		for _, action := range kind.Actions {
			names = append(names, action.Name)
		}
	}
	return names
}
