package expect

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"scenario/event"
)

// Value is a value as expressions see it. The zero Value is null.
type Value struct{ val ref.Val }

func (v Value) cel() ref.Val {
	if v.val == nil {
		return types.NullValue
	}
	return v.val
}

// NewValue reads JSON: an integer becomes an int, any other number a double. No text at all is null.
func NewValue(text json.RawMessage) (Value, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return Value{}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return Value{}, err
	}
	return Value{types.DefaultTypeAdapter.NativeToValue(numbers(v))}, nil
}

// numbers turns the numbers of decoded JSON into Go's.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // out of range: infinity, which is as far as a double goes
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	}
	return v
}

// Converter makes the values of events.
type Converter struct {
	words map[string]map[string]reflect.Type // attributes by word
}

// NewConverter returns a Converter that knows all words.
func NewConverter() *Converter {
	c := &Converter{words: make(map[string]map[string]reflect.Type)}
	for _, e := range event.Words() {
		c.words[e.Word()] = attributes(e)
	}
	return c
}

// attributes are the types of an event's attributes by name.
func attributes(e event.Event) map[string]reflect.Type {
	t := reflect.TypeOf(e)
	types := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			types[name] = t.Field(i).Type
		}
	}
	return types
}

// Event makes a record one flat map, with every attribute of its word.
func (c *Converter) Event(r event.Record) Value {
	flat := map[string]any{
		event.KeyTrace: "", event.KeyID: "", event.KeyParent: "",
	}
	word := c.words[r.Event]
	for name, t := range word {
		flat[name] = attribute(nil, t)
	}
	for name, v := range r.Attrs {
		flat[name] = attribute(v, word[name])
	}
	flat[event.KeyTime], flat[event.KeyNode], flat[event.KeyEvent] = r.Time, r.Node, r.Event
	return Value{types.DefaultTypeAdapter.NativeToValue(flat)}
}

// attribute is v as CEL takes it best: lists as lists, and numbers as the word's field of type t has them, whether v
// comes from JSON, where every number is a float64, or from an event in this process. t is nil for an attribute that
// the word does not have.
func attribute(v any, t reflect.Type) any {
	if t == nil {
		t = reflect.TypeFor[any]()
	}
	switch v.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return viaJSON(v)
	}
	value := reflect.ValueOf(v)
	if v == nil {
		value = reflect.Zero(t)
	}
	switch value.Kind() {
	case reflect.String:
		return value.String()
	case reflect.Bool:
		return value.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return number(float64(value.Int()), value.Int(), t)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return number(float64(value.Uint()), int64(min(value.Uint(), math.MaxInt64)), t)
	case reflect.Float32, reflect.Float64:
		if f := value.Float(); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return number(f, int64(f), t)
		}
		return value.Float()
	case reflect.Slice:
		return list(value, t)
	case reflect.Invalid, reflect.Interface:
		return nil
	}
	return viaJSON(v)
}

// number is a whole number as a double where t says so, otherwise as an int.
func number(f float64, i int64, t reflect.Type) any {
	if k := t.Kind(); k == reflect.Float32 || k == reflect.Float64 {
		return f
	}
	return i
}

func list(value reflect.Value, t reflect.Type) any {
	var element reflect.Type
	if t.Kind() == reflect.Slice {
		element = t.Elem()
	}
	all := make([]any, value.Len())
	for i := range all {
		all[i] = attribute(value.Index(i).Interface(), element)
	}
	return all
}

// viaJSON is a value of a type of its own, as it stands in the log.
func viaJSON(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	value, err := NewValue(text)
	if err != nil {
		return fmt.Sprint(v)
	}
	return value.cel()
}
