package dns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/invopop/jsonschema"

	"scenario/dnsd"
	"scenario/nodes/role"
)

// Encrypted says that the server answers over an encrypted transport too, and where.
type Encrypted struct {
	On     bool   `json:"on,omitempty" jsonschema:"-"`
	Listen Listen `json:"listen,omitempty" jsonschema_description:"where it listens for it; default: every address of the node"`
}

// UnmarshalJSON reads true, false or an object.
func (e *Encrypted) UnmarshalJSON(text []byte) error {
	*e = Encrypted{}
	if json.Unmarshal(text, &e.On) == nil {
		return nil
	}
	e.On = true
	type object Encrypted
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode((*object)(e))
}

// JSONSchemaExtend adds the short form to the schema of the object.
func (Encrypted) JSONSchemaExtend(schema *jsonschema.Schema) {
	object := *schema
	object.Properties.Delete("on")
	*schema = jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "boolean"}, &object}}
}

// addresses is where to listen, as dnsd.Options has it.
func (e Encrypted) addresses(port uint16) ([]string, error) {
	if !e.On {
		return nil, nil
	}
	var errs []error
	for _, text := range e.Listen {
		if _, err := dnsd.ParseListen(text, port); err != nil {
			errs = append(errs, err)
		}
	}
	return append([]string{}, e.Listen...), errors.Join(errs...)
}

// Listen is where a server listens. In a file one address may stand alone.
type Listen []string

// UnmarshalJSON reads an address or a list of them.
func (l *Listen) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = Listen{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// JSONSchema describes what UnmarshalJSON reads.
func (Listen) JSONSchema() *jsonschema.Schema {
	one := &jsonschema.Schema{Type: "string", Description: "IP:port, IP or :port"}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}
}

// certificate is what the role needs with these options.
func certificate(options json.RawMessage) *role.Certificate {
	var o Options
	if err := json.Unmarshal(options, &o); err != nil || !o.TLS.On && !o.HTTPS.On {
		return nil // New tells of the error
	}
	return &role.Certificate{Flaw: o.Certificate}
}

// checkFlaw returns what is wrong with a flaw, and with one where there is no certificate.
func (o Options) checkFlaw() error {
	flaws := []role.Flaw{role.Expired, role.NotYetValid, role.WrongName, role.SelfSigned, role.Untrusted}
	switch {
	case o.Certificate == role.NoFlaw:
		return nil
	case !slices.Contains(flaws, o.Certificate):
		return fmt.Errorf("certificate is expired, not-yet-valid, wrong-name, self-signed or untrusted, not %q", o.Certificate)
	case !o.TLS.On && !o.HTTPS.On:
		return errors.New("certificate: there is none without tls or https")
	}
	return nil
}
