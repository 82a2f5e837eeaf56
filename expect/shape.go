package expect

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"scenario/nodes/role"
	"scenario/topology"
)

// ProgramResult is the result of a step that runs a program.
type ProgramResult struct {
	Exit    int    `json:"exit"`
	Stdout  string `json:"stdout"`
	Stderr  string `json:"stderr"`
	LeftOut int64  `json:"left_out"` // bytes of both outputs beyond what is kept
}

// shape is what is known of a value before the run. The zero shape is that of a value of which nothing is known.
type shape struct {
	fields  map[string]shape // that the value can have; nil: any
	noun    string           // what a value is that can have none: "a list"
	element *shape           // of a list
	event   bool             // the value is an event,
	word    string           // with this word; "": any
}

// elements is the shape of a list's elements.
func (s shape) elements() shape {
	if s.element == nil {
		return shape{}
	}
	return *s.element
}

// bare is the shape of a value that has no fields.
func bare(noun string) shape { return shape{fields: map[string]shape{}, noun: noun} }

// shapeOf is that of the JSON of a Go value of type t, which may be nil. around are the types that t stands in: a type
// within itself is followed no further.
func shapeOf(t reflect.Type, around ...reflect.Type) shape {
	if t == nil || slices.Contains(around, t) || marshals(t) {
		return shape{}
	}
	around = append(slices.Clone(around), t)
	switch t.Kind() {
	case reflect.Pointer:
		return shapeOf(t.Elem(), around...)
	case reflect.Struct:
		s := shape{fields: make(map[string]shape), noun: "empty"}
		s.addFields(t, around)
		return s
	case reflect.Slice, reflect.Array:
		s, element := bare("a list"), shapeOf(t.Elem(), around...)
		s.element = &element
		return s
	case reflect.String:
		return bare("a string")
	case reflect.Bool:
		return bare("a bool")
	case reflect.Map, reflect.Interface:
		return shape{}
	}
	return bare("a number")
}

// marshals says whether values of type t, or pointers to them, write their JSON in a way of their own.
func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t) // has the methods of both
	return p.Implements(reflect.TypeFor[json.Marshaler]()) || p.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// addFields adds the fields of a struct and of those embedded in it. Of two by one name nothing is known but the name.
func (s shape) addFields(t reflect.Type, around []reflect.Type) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		embedded := f.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case tag == "-":
		case f.Anonymous && name == "" && embedded.Kind() == reflect.Struct:
			if !slices.Contains(around, embedded) {
				s.addFields(embedded, append(slices.Clone(around), embedded))
			}
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			field := shapeOf(f.Type, around...)
			if _, twice := s.fields[name]; twice {
				field = shape{}
			}
			s.fields[name] = field
		}
	}
}

// actionKey names an action of a role.
type actionKey struct{ role, action string }

// results are the shapes of the results of all actions.
func results(kinds []role.Kind) map[actionKey]shape {
	all := make(map[actionKey]shape)
	for _, kind := range kinds {
		for _, action := range kind.Actions {
			all[actionKey{kind.Name, action.Name}] = shapeOf(reflect.TypeOf(action.Result))
		}
	}
	return all
}

// resultOf is the shape of the step's result.
func (k *names) resultOf(step topology.Step) shape {
	switch step.Action {
	case topology.ActionWait:
		return bare("null")
	case topology.ActionRun:
		return shapeOf(reflect.TypeFor[ProgramResult]())
	case topology.ActionParallel:
		s := bare("empty")
		for _, part := range step.Parallel {
			s.fields[part.ID] = k.resultOf(part)
		}
		return s
	}
	return k.actions[actionKey{step.Role, step.Action}]
}
