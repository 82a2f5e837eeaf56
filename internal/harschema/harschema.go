// Package harschema holds files to the schemas of HAR 1.2, for tests.
package harschema

import (
	"bytes"
	"fmt"
	"io/fs"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// base is where the schemas stand, seen from each other.
const base = "https://har.example/"

// Schema is that of a HAR file, with those of its parts.
type Schema struct{ file *jsonschema.Schema }

// Compile reads the schemas, a file each, har.json among them.
func Compile(files fs.FS) (*Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		// Their ids are relative and end in an empty fragment, as references to them do: here both go by the file's name.
		text = bytes.ReplaceAll(text, []byte(`.json#"`), []byte(`.json"`))
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		object, ok := doc.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: no object", name)
		}
		object["$id"] = base + name
		if err := c.AddResource(base+name, object); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	file, err := c.Compile(base + "har.json")
	if err != nil {
		return nil, err
	}
	return &Schema{file}, nil
}

// Check says what of the file's text is not as the schemas want it.
func (s *Schema) Check(text []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.file.Validate(doc)
}
