package role

import (
	"fmt"
	"time"

	"github.com/invopop/jsonschema"
)

// Duration is a length of time in options and arguments, written as Go writes it: "1.5s", "5m". It is never negative.
type Duration time.Duration

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration; a negative one is an error.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	if v < 0 {
		return fmt.Errorf("duration %s is negative", text)
	}
	*d = Duration(v)
	return nil
}

// JSONSchema describes what UnmarshalText reads.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type:        "string",
		Pattern:     `^(0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$`,
		Description: "a length of time, such as 500ms, 1.5s or 5m",
	}
}
