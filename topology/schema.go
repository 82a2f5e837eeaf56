package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"scenario/nodes/role"
)

// Schema returns the JSON Schema (draft 2020-12) of scenario files whose nodes can play the roles of these kinds: for
// editors, and what Parse validates with. The options and arguments of a kind must not be recursive types; what they
// need is tagged jsonschema:"required".
func Schema(kinds []role.Kind) ([]byte, error) {
	root := reflected(Spec{})
	root.Version = jsonschema.Version
	root.Title = "scenario"
	root.Description = "A network, what happens in it, and what must come of it."

	type nodeKeys NodeSpec // without its method JSONSchema
	type stepKeys StepSpec
	node, step := reflected(nodeKeys{}), reflected(stepKeys{})
	for _, k := range kinds {
		if _, taken := node.Properties.Get(k.Name); taken {
			return nil, fmt.Errorf("role %s: nodes have a key of that name already", k.Name)
		}
		node.Properties.Set(k.Name, optionsSchema(k))
		for _, a := range k.Actions {
			if err := addAction(step, k, a); err != nil {
				return nil, err
			}
		}
	}
	link, way := linkSchemas()
	root.Definitions = jsonschema.Definitions{"node": node, "step": step, "link": link, "way": way}
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

// JSONSchema points at the definition that Schema makes, which has the roles too.
func (NodeSpec) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/node"} }

// JSONSchema points at the definition that Schema makes, which has the actions too.
func (StepSpec) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/step"} }

// JSONSchema points at the definition that Schema makes.
func (LinkSpec) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/link"} }

// linkSchemas makes the schemas of a link, and of what differs one way.
func linkSchemas() (link, way *jsonschema.Schema) {
	link, way = reflected(WaySpec{}), reflected(WaySpec{})
	const ref = "#/$defs/way"
	link.Properties.Set(wayUp, &jsonschema.Schema{Ref: ref, Description: "What differs on the way from the node into the network: the same keys."})
	link.Properties.Set(wayDown, &jsonschema.Schema{Ref: ref, Description: "What differs on the way to the node: the same keys."})
	return link, way
}

// JSONSchemaExtend adds the short form.
func (s NetworkSpec) JSONSchemaExtend(schema *jsonschema.Schema) { addShort(schema, s.short()) }

// JSONSchemaExtend adds the short form.
func (s AttachmentSpec) JSONSchemaExtend(schema *jsonschema.Schema) { addShort(schema, s.short()) }

// JSONSchemaExtend adds the short form.
func (s ExpectSpec) JSONSchemaExtend(schema *jsonschema.Schema) { addShort(schema, s.short()) }

// JSONSchema of both forms. Nothing may be said of a key.
func (Map[T]) JSONSchema() *jsonschema.Schema {
	element := reflected(*new(T))
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "object", AdditionalProperties: orNothing(element)},
		{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
	}}
}

// JSONSchema of both forms.
func (List[T]) JSONSchema() *jsonschema.Schema {
	element := reflected(*new(T))
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{element, {Type: "array", Items: element}}}
}

// reflected makes a schema from a type.
func reflected(zero any) *jsonschema.Schema {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true}
	s := r.Reflect(zero)
	s.Version = ""
	return s
}

// addShort makes a struct's schema one of the struct or of the property that its short form sets.
func addShort(s *jsonschema.Schema, property string) {
	long := *s
	short, _ := long.Properties.Get(property)
	*s = jsonschema.Schema{AnyOf: []*jsonschema.Schema{short, &long}, Description: long.Description}
}

func orNothing(s *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{s, {Type: "null"}}}
}

// parameters makes the schema of a kind's options or an action's arguments: long form, short form, or nothing where
// nothing is required.
func parameters(zero any, short, doc string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", AdditionalProperties: jsonschema.FalseSchema}
	if zero != nil {
		s = reflected(zero)
	}
	if len(s.Required) == 0 {
		// First, since a value that is nothing is rather none at all than a wrong one of another form.
		s = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "null"}, s}}
	}
	if short != "" {
		if property, ok := objectOf(s).Properties.Get(short); ok {
			s = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{property, s}}
		}
	}
	s.Description = doc
	return s
}

// objectOf returns the long form of what parameters makes.
func objectOf(s *jsonschema.Schema) *jsonschema.Schema {
	if len(s.AnyOf) > 0 {
		return objectOf(s.AnyOf[len(s.AnyOf)-1])
	}
	if s.Properties == nil {
		s.Properties = jsonschema.NewProperties()
	}
	return s
}

// optionsSchema makes the schema of a role under a node.
func optionsSchema(k role.Kind) *jsonschema.Schema {
	if k.Name != roleDNS || k.Options == nil {
		return parameters(k.Options, k.Short, k.Doc)
	}
	s := parameters(k.Options, "", k.Doc)
	properties := objectOf(s).Properties
	if zones, ok := properties.Get(optionZones); ok && zones.AdditionalProperties != nil {
		properties.Set(optionZones, &jsonschema.Schema{
			Description: zones.Description + " A name, a list of names, or names with their settings.",
			AnyOf: []*jsonschema.Schema{
				{Type: "string"},
				{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
				{Type: "object", AdditionalProperties: orNothing(zones.AdditionalProperties)},
			},
		})
	}
	if property, ok := properties.Get(k.Short); ok {
		s = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{property, s}, Description: k.Doc}
	}
	return s
}

// addAction adds an action's key to the schema of steps. Several kinds may have an action of one name: then the node
// decides whose it is.
func addAction(step *jsonschema.Schema, k role.Kind, a role.Action) error {
	s := parameters(a.Args, a.Short, a.Doc)
	if other, taken := step.Properties.Get(a.Name); taken {
		if slices.Contains(stepKeys(), a.Name) {
			return fmt.Errorf("role %s: action %s: steps have a key of that name already", k.Name, a.Name)
		}
		s = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{other, s}}
	}
	step.Properties.Set(a.Name, s)
	return nil
}

// stepKeys are the keys that every step can have.
func stepKeys() []string {
	type keys StepSpec
	var names []string
	for pair := reflected(keys{}).Properties.Oldest(); pair != nil; pair = pair.Next() {
		names = append(names, pair.Key)
	}
	return names
}

// schema is the format of files, ready to validate with.
type schema struct {
	compiled *validator.Schema
	document any // the schema itself, as encoding/json reads it
}

// schemaURL names the schema to the validator.
const schemaURL = "https://scenario.invalid/schema.json"

func newSchema(kinds []role.Kind) (*schema, error) {
	text, err := Schema(kinds)
	if err != nil {
		return nil, err
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("schema of scenario files: %w", err)
	}
	compiler := validator.NewCompiler()
	if err := compiler.AddResource(schemaURL, document); err != nil {
		return nil, fmt.Errorf("schema of scenario files: %w", err)
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("schema of scenario files: %w", err)
	}
	return &schema{compiled: compiled, document: document}, nil
}
