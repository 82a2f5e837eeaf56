package topology

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// decoder fills the types of Spec from values, by their json tags. A value of the wrong type is left out: the schema has
// complained of it.
type decoder struct{ errs *mistakes }

// readable is what reads its value itself.
type readable interface{ read(d *decoder, v *value) }

// shorthand is a struct for which a lone scalar or list stands for one of its keys.
type shorthand interface{ short() string }

func (d *decoder) into(v *value, target any) { d.decode(v, reflect.ValueOf(target).Elem()) }

func (d *decoder) decode(v *value, target reflect.Value) {
	if r, ok := target.Addr().Interface().(readable); ok {
		r.read(d, v)
		return
	}
	switch target.Kind() {
	case reflect.Pointer:
		target.Set(reflect.New(target.Type().Elem()))
		d.decode(v, target.Elem())
	case reflect.Struct:
		d.decodeStruct(v, target)
	case reflect.Slice:
		if v.kind != array && target.Type().Name() == "" { // only a List can be one value alone
			return
		}
		for _, item := range v.list() {
			element := reflect.New(target.Type().Elem())
			if !fits(item, element) {
				continue
			}
			d.decode(item, element.Elem())
			target.Set(reflect.Append(target, element.Elem()))
		}
	case reflect.Bool:
		if b, ok := v.json.(bool); ok {
			target.SetBool(b)
		}
	case reflect.Uint64:
		if n, ok := v.json.(json.Number); ok {
			u, _ := strconv.ParseUint(n.String(), 10, 64) // what is no such number, the schema has complained of
			target.SetUint(u)
		}
	}
}

// fits says whether a value is one for a struct, where target points at one that has no short form.
func fits(v *value, target reflect.Value) bool {
	_, reads := target.Interface().(readable)
	_, shortens := target.Interface().(shorthand)
	return v.kind == object || reads || shortens || target.Elem().Kind() != reflect.Struct
}

func (d *decoder) decodeStruct(v *value, target reflect.Value) {
	if s, ok := target.Interface().(shorthand); ok && v.kind != object && v.kind != null {
		v = &value{kind: object, at: v.at, keys: []key{{name: s.short(), at: v.at, value: v}}}
	}
	named := make(map[string]bool)
	var rest *Rest
	for i, field := range reflect.VisibleFields(target.Type()) {
		switch at := target.Field(i); {
		case !field.IsExported():
		case field.Type == reflect.TypeFor[Rest]():
			rest = at.Addr().Interface().(*Rest)
		case field.Type == reflect.TypeFor[Keys]():
			at.Set(reflect.ValueOf(Keys(v.keys)))
		case field.Type == reflect.TypeFor[Position]():
			at.Set(reflect.ValueOf(v.at))
		default:
			name := field.Tag.Get("json")
			named[name] = true
			if w := v.get(name); w != nil {
				d.decode(w, at)
			}
		}
	}
	if rest == nil {
		return
	}
	for _, k := range v.keys {
		if !named[k.name] {
			*rest = append(*rest, k)
		}
	}
}

// read reads a map, or a list of its keys.
func (m *Map[T]) read(d *decoder, v *value) {
	for _, k := range v.keys {
		e := Entry[T]{Name: k.name, At: k.at}
		d.into(k.value, &e.Value)
		*m = append(*m, e)
	}
	for _, item := range v.items {
		if item.kind != text {
			continue
		}
		if earlier := m.find(item.text); earlier != nil {
			d.errs.add(item.at, fmt.Sprintf("%q stands here twice, first in line %d", item.text, earlier.At.Line), "keep one of them")
			continue
		}
		*m = append(*m, Entry[T]{Name: item.text, At: item.at})
	}
}

// label is a name of one label (RFC 1123, section 2.1).
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// checkLabel notes a name that is no label.
func (d *decoder) checkLabel(what, name string, at Position) {
	if label.MatchString(name) {
		return
	}
	advice := "use at most 63 lower-case letters, digits and hyphens, with no hyphen first or last"
	if better := strings.ReplaceAll(strings.ToLower(name), "_", "-"); label.MatchString(better) {
		advice = fmt.Sprintf("write %q: lower-case letters, digits and hyphens", better)
	}
	d.errs.add(at, fmt.Sprintf("%s %q is no host name", what, name), advice)
}
