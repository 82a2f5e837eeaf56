package topology

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	verdict "github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// check validates a file and notes what is wrong in plain sentences.
func (s *schema) check(root *value, errs *mistakes) {
	err, _ := s.compiled.Validate(root.plain()).(*validator.ValidationError)
	if err == nil {
		return
	}
	for _, v := range leaves(err) {
		s.explain(root, v, errs)
	}
}

// violation is one thing that a value does against the schema.
type violation struct {
	path   []string // of the value
	schema string   // URL of the schema that it does not meet
	kind   validator.ErrorKind
}

// leaves returns what is wrong at the bottom of e. Where a value can have several forms, that is what is wrong with the
// form that has the type of the value; where none has, that the type is none of theirs.
func leaves(e *validator.ValidationError) []violation {
	switch e.ErrorKind.(type) {
	case *verdict.AnyOf, *verdict.OneOf:
		return fitting(e)
	}
	if len(e.Causes) == 0 {
		return []violation{{e.InstanceLocation, e.SchemaURL, e.ErrorKind}}
	}
	var all []violation
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

func fitting(e *validator.ValidationError) []violation {
	var best []violation
	types := &verdict.Type{}
	for _, cause := range e.Causes {
		found := leaves(cause)
		wrong := slices.IndexFunc(found, func(v violation) bool {
			_, isType := v.kind.(*verdict.Type)
			return isType && len(v.path) == len(e.InstanceLocation)
		})
		if wrong >= 0 {
			t := found[wrong].kind.(*verdict.Type)
			types.Got = t.Got
			types.Want = append(types.Want, t.Want...)
		} else if best == nil || len(found) < len(best) {
			best = found
		}
	}
	if best != nil {
		return best
	}
	return []violation{{e.InstanceLocation, e.SchemaURL, types}}
}

// explain notes one violation where it stands.
func (s *schema) explain(root *value, v violation, errs *mistakes) {
	at, subject := locate(root, v.path)
	switch k := v.kind.(type) {
	case *verdict.AdditionalProperties:
		known := s.properties(v.schema)
		for _, name := range k.Properties {
			where := at.at
			if key := at.key(name); key != nil {
				where = key.at
			}
			errs.add(where, fmt.Sprintf("%s has no key %q", subject, name), suggestKey(name, known))
		}
	case *verdict.Required:
		for _, name := range k.Missing {
			errs.add(at.at, fmt.Sprintf("%s lacks %q", subject, name), s.describe(v.schema, name))
		}
	case *verdict.Type:
		got := string(at.kind)
		if at.kind == number && slices.Contains(k.Want, "integer") {
			got = at.text // which is a number, but not a whole one
		}
		errs.add(at.at, fmt.Sprintf("%s must be %s, not %s", subject, typeNames(k.Want), got), s.typeAdvice(v.schema, k.Want, at))
	case *verdict.Enum:
		var words []string
		for _, want := range k.Want {
			words = append(words, fmt.Sprint(want))
		}
		errs.add(at.at, fmt.Sprintf("%s cannot be %q", subject, at.text), "it is "+alternatives(words))
	case *verdict.Minimum:
		errs.add(at.at, fmt.Sprintf("%s is %s", subject, at.text), "the least is "+rational(k.Want))
	case *verdict.Maximum:
		errs.add(at.at, fmt.Sprintf("%s is %s", subject, at.text), "the most is "+rational(k.Want))
	case *verdict.Pattern:
		errs.add(at.at, fmt.Sprintf("%s is %q", subject, k.Got), "it must match "+k.Want)
	default:
		said := v.kind.LocalizedString(message.NewPrinter(language.English))
		errs.add(at.at, subject+" does not fit: "+said, "")
	}
}

// locate returns the value at a path and what a sentence calls it.
func locate(root *value, path []string) (at *value, subject string) {
	at, subject = root, "a scenario"
	for i, part := range path {
		if index, err := strconv.Atoi(part); err == nil && at.kind == array && index < len(at.items) {
			at = at.items[index]
			subject = fmt.Sprintf("item %d of %s", index+1, lastName(path[:i]))
			if last := path[i-1]; last == "steps" || last == ActionParallel {
				subject = fmt.Sprintf("step %d", index+1)
			}
			continue
		}
		next := at.get(part)
		if next == nil {
			break
		}
		at, subject = next, strings.TrimSpace(thing(path[:i])+" "+part)
	}
	return at, subject
}

// thing is what the members of a map at that path are.
func thing(path []string) string {
	switch {
	case len(path) == 1 && path[0] == "networks", len(path) == 3 && path[0] == "nodes" && path[2] == "networks":
		return "network"
	case len(path) == 1 && path[0] == "nodes":
		return "node"
	case len(path) > 0 && path[len(path)-1] == optionZones:
		return "zone"
	}
	return ""
}

// lastName is the last part of a path that is no index.
func lastName(path []string) string {
	for _, part := range slices.Backward(path) {
		if _, err := strconv.Atoi(part); err != nil {
			return part
		}
	}
	return "the list"
}

// typeNames says which types a value can have, as messages name them.
func typeNames(want []string) string {
	var names []string
	for _, name := range []struct{ json, said string }{
		{"string", string(text)}, {"integer", "a whole number"}, {"number", string(number)}, {"boolean", string(boolean)},
		{"array", string(array)}, {"object", string(object)},
	} {
		if slices.Contains(want, name.json) {
			names = append(names, name.said)
		}
	}
	if len(names) == 0 {
		return string(null)
	}
	return alternatives(names)
}

// typeAdvice says how to write a value of a wrong type.
func (s *schema) typeAdvice(url string, want []string, v *value) string {
	object, _ := s.at(url).(map[string]any)
	examples, _ := object["examples"].([]any)
	switch {
	case len(examples) > 0:
		return fmt.Sprintf("write it as %v", examples[0])
	case v.kind == null:
		return "write a value or take the key away"
	case slices.Contains(want, "string") && (v.kind == number || v.kind == boolean):
		return fmt.Sprintf("write it in quotes: %q", v.text)
	}
	return ""
}

func rational(r *big.Rat) string { return strings.TrimSuffix(r.FloatString(2), ".00") }

// properties returns the keys that the schema at a URL knows.
func (s *schema) properties(url string) []string {
	object, _ := s.at(url).(map[string]any)
	properties, _ := object["properties"].(map[string]any)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// describe returns what the schema at a URL says of one of its properties.
func (s *schema) describe(url, property string) string {
	object, _ := s.at(url).(map[string]any)
	properties, _ := object["properties"].(map[string]any)
	schema, _ := properties[property].(map[string]any)
	description, _ := schema["description"].(string)
	if description == "" {
		return "add it"
	}
	if len(description) > 1 && strings.ToUpper(description[:2]) != description[:2] {
		description = strings.ToLower(description[:1]) + description[1:]
	}
	return "add it: " + strings.TrimSuffix(description, ".")
}

// at returns the part of the schema that a URL points at (RFC 6901).
func (s *schema) at(url string) any {
	_, pointer, _ := strings.Cut(url, "#")
	at := s.document
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if part == "" {
			continue
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := at.(type) {
		case map[string]any:
			at = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(v) {
				return nil
			}
			at = v[i]
		default:
			return nil
		}
	}
	return at
}
