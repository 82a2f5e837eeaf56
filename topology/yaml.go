package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of a file: what is larger is no scenario, and would only cost time.
const (
	MaxFile  = 1 << 20 // bytes
	maxDepth = 64      // values within values
)

// kind is the JSON type of a value, as messages name it.
type kind string

const (
	null    kind = "nothing"
	boolean kind = "true or false"
	number  kind = "a number"
	text    kind = "text"
	array   kind = "a list"
	object  kind = "a map"
)

// value is a value of a file: what JSON could say too, and where it stands.
type value struct {
	kind  kind
	at    Position
	text  string // text: the string; number and boolean: as written
	json  any    // null, boolean, number, text
	items []*value
	keys  []key // of a map, in the order of the file
}

// key is a key of a map with its value.
type key struct {
	name  string
	at    Position
	value *value
}

// get returns a map's value of that key; nil where there is none.
func (v *value) get(name string) *value {
	if k := v.key(name); k != nil {
		return k.value
	}
	return nil
}

func (v *value) key(name string) *key {
	if v == nil {
		return nil
	}
	for i := range v.keys {
		if v.keys[i].name == name {
			return &v.keys[i]
		}
	}
	return nil
}

// list returns a list's items; any other value is a list of one.
func (v *value) list() []*value {
	if v == nil || v.kind == array {
		return v.itemsOrNone()
	}
	return []*value{v}
}

func (v *value) itemsOrNone() []*value {
	if v == nil {
		return nil
	}
	return v.items
}

// plain returns the value as encoding/json would have read it.
func (v *value) plain() any {
	switch v.kind {
	case array:
		items := make([]any, len(v.items))
		for i, item := range v.items {
			items[i] = item.plain()
		}
		return items
	case object:
		m := make(map[string]any, len(v.keys))
		for _, k := range v.keys {
			m[k.name] = k.value.plain()
		}
		return m
	}
	return v.json
}

// readYAML reads the one document of a file; nil where there is nothing to go on with.
func readYAML(src []byte, errs *mistakes) *value {
	start := Position{1, 1}
	if len(src) > MaxFile {
		errs.add(start, "the file is larger than 1 MiB", "a scenario is some hundred lines")
		return nil
	}
	if !utf8.Valid(src) || bytes.IndexByte(src, 0) >= 0 {
		errs.add(start, "the file is no text in UTF-8", "choose another file, or save this one as UTF-8")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		errs.add(start, "the file is empty", "a scenario has networks and nodes")
		return nil
	case err != nil:
		syntaxError(err, errs)
		return nil
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		errs.add(Position{max(1, more.Line), max(1, more.Column)}, "a second document begins here", "a scenario is one document: remove what follows the ---")
	case !errors.Is(err, io.EOF):
		syntaxError(err, errs)
		return nil
	}
	r := reader{errs: errs}
	v := r.read(document.Content[0], 0)
	if v == nil || r.dropped {
		return nil
	}
	if v.kind == null {
		errs.add(v.at, "the file is empty", "a scenario has networks and nodes")
		return nil
	}
	return v
}

// reader turns YAML nodes into values.
type reader struct {
	errs    *mistakes
	dropped bool // something could not be read: complaints that it lacks would hide why
}

// read returns the value of a node; nil where it is none, which has been noted.
func (r *reader) read(n *yaml.Node, depth int) *value {
	at := Position{max(1, n.Line), max(1, n.Column)}
	if depth > maxDepth {
		r.errs.add(at, fmt.Sprintf("values are nested deeper than %d levels", maxDepth), "write it flatter")
		r.dropped = true
		return nil
	}
	if n.Kind == yaml.AliasNode {
		r.errs.add(at, "aliases (*"+n.Value+") are not supported", "write the value out")
		r.dropped = true
		return nil
	}
	if n.Anchor != "" {
		r.errs.add(at, "anchors (&"+n.Anchor+") are not supported", "write the value out where it is needed")
	}
	switch n.Kind {
	case yaml.MappingNode:
		return r.mapping(n, at, depth)
	case yaml.SequenceNode:
		v := &value{kind: array, at: at}
		for _, item := range n.Content {
			if w := r.read(item, depth+1); w != nil {
				v.items = append(v.items, w)
			}
		}
		return v
	}
	return r.scalar(n, at)
}

func (r *reader) mapping(n *yaml.Node, at Position, depth int) *value {
	v := &value{kind: object, at: at}
	first := make(map[string]Position)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		where := Position{max(1, name.Line), max(1, name.Column)}
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!null" {
			r.errs.add(where, "a key must be a word", "write it as text")
			r.dropped = true
			continue
		}
		w := r.read(n.Content[i+1], depth+1)
		if earlier, twice := first[name.Value]; twice {
			r.errs.add(where, fmt.Sprintf("the key %q stands here twice, first in line %d", name.Value, earlier.Line), "keep one of them")
			continue
		}
		first[name.Value] = where
		if w == nil {
			continue
		}
		if w.kind == null && w.text == "" {
			w.at = where // nothing is written, so there is no place of its own
		}
		v.keys = append(v.keys, key{name: name.Value, at: where, value: w})
	}
	return v
}

func (r *reader) scalar(n *yaml.Node, at Position) *value {
	v := &value{kind: text, at: at, text: n.Value, json: n.Value}
	switch n.ShortTag() {
	case "!!str", "!!timestamp", "!!merge":
	case "!!null":
		v.kind, v.json = null, nil
	case "!!bool":
		v.kind, v.json = boolean, strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		var f float64
		var i int64
		var u uint64
		v.kind = number
		whole := n.ShortTag() == "!!int" // yaml.v3 decodes 0.5 as the integer 0
		if whole && n.Decode(&i) == nil {
			v.json = json.Number(strconv.FormatInt(i, 10))
		} else if whole && n.Decode(&u) == nil {
			v.json = json.Number(strconv.FormatUint(u, 10))
		} else if err := n.Decode(&f); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			number, _ := json.Marshal(f) // cannot fail: it is finite
			v.json = json.Number(number)
		} else {
			r.errs.add(at, n.Value+" is no number that JSON knows", "write a finite one")
			r.dropped = true
			return nil
		}
	default:
		r.errs.add(at, "the tag "+n.Tag+" is not supported", "write plain text, a number, true or false")
		r.dropped = true
		return nil
	}
	return v
}

// yamlError is what yaml.v3 says of a syntax error; its line numbers are often off by one or more.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// maxSearch bounds, in lines, the files in which the place of a syntax error is searched.
const maxSearch = 500

// syntaxError notes what is wrong with a file that is no YAML. The place is the first line from which on no beginning of
// the file is YAML: yaml.v3 itself often names the start of the block that the mistake is in.
func syntaxError(err error, errs *mistakes) {
	message := yamlError.ReplaceAllString(err.Error(), "")
	line := 1
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		_, _ = fmt.Sscan(m[1], &line) // digits, by the pattern
	}
	lines := errs.source.lines
	if len(lines) <= maxSearch {
		line = len(lines)
		for line > 1 && !isYAML(strings.Join(lines[:line-1], "\n")) {
			line--
		}
	}
	line = max(1, min(line, len(lines)))
	written := errs.source.line(line)
	indent := len(written) - len(strings.TrimLeft(written, " \t"))
	at := Position{line, 1 + min(indent, max(0, len(written)-1))}
	if tab := strings.IndexByte(written[:indent], '\t'); tab >= 0 {
		errs.add(Position{line, tab + 1}, "a tab stands in the indentation", "indent with spaces")
		return
	}
	advice := "check the indentation, and quote text that holds \": \", \" #\" or begins with one of []{},&*!|>'\"%@`"
	switch {
	case strings.Contains(message, "unexpected end of stream"):
		advice = "a quote that opens here or before is not closed"
	case strings.Contains(message, "',' or"):
		advice = "a bracket that opens here or before is not closed"
	}
	errs.add(at, "this is no YAML: "+message, advice)
}

// isYAML tells whether text is one or more whole documents.
func isYAML(text string) bool {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
