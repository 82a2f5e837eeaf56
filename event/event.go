// Package event holds what nodes, links and steps tell of themselves: typed events, one JSON object a line.
//
// A role emits an event through its node's logger ([Emit]); [NewLogger] and [Writer] make it a line; [Read] reads lines back
// as [Record]s; [As] gives a record its type again. The words and their attributes stand in words.go and nowhere else.
package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Event is one typed event. Its exported fields are its attributes, named by their json tags.
type Event interface {
	// Word is the event's name, such as "dns.query".
	Word() string
}

// Record is an event as it stands in a log: who, when, what, and the attributes with their JSON values.
type Record struct {
	Time  time.Time
	Node  string
	Event string
	Attrs map[string]any
}

// Attribute keys that every event may carry beside its own.
const (
	KeyTime   = "time"
	KeyNode   = "node"
	KeyEvent  = "event"
	KeyTrace  = "trace"  // the causal chain the event belongs to: a step, a page load, a served connection
	KeyID     = "id"     // the event's own name within its trace, where others name it as their parent
	KeyParent = "parent" // the id of the event that caused this one
)

// Trace, ID and Parent are the record's place in its causal chain; empty where it has none.
func (r Record) Trace() string  { return r.text(KeyTrace) }
func (r Record) ID() string     { return r.text(KeyID) }
func (r Record) Parent() string { return r.text(KeyParent) }

func (r Record) text(key string) string {
	s, _ := r.Attrs[key].(string)
	return s
}

// As returns the record as the typed event T; false where it is another word or does not fit T.
func As[T Event](r Record) (T, bool) {
	var e T
	if r.Event != e.Word() {
		return e, false
	}
	text, err := json.Marshal(r.Attrs)
	if err != nil {
		return e, false
	}
	return e, json.Unmarshal(text, &e) == nil
}

// MarshalJSON writes the record as one flat object: time, node, event, then the attributes sorted by name.
func (r Record) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, 1024)
	text = append(text, `{"time":"`...)
	text = r.Time.UTC().AppendFormat(text, time.RFC3339Nano)
	text, err := appendText(append(text, `","node":`...), r.Node)
	if err == nil {
		text, err = appendText(append(text, `,"event":`...), r.Event)
	}
	names := make([]string, 0, 32)
	for name := range r.Attrs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err != nil {
			break
		}
		if text, err = appendText(append(text, ','), name); err == nil {
			text, err = appendValue(append(text, ':'), r.Attrs[name])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", r.Event, err)
	}
	return append(text, '}'), nil
}

// appendValue appends v to text as encode writes it; what most attributes are costs less here.
func appendValue(text []byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case string:
		return appendText(text, x)
	case int64:
		return strconv.AppendInt(text, x, 10), nil
	case uint64:
		return strconv.AppendUint(text, x, 10), nil
	case bool:
		return strconv.AppendBool(text, x), nil
	case float64:
		if size := math.Abs(x); size == 0 || size >= 1e-6 && size < 1e21 { // others have an exponent there
			return strconv.AppendFloat(text, x, 'f', -1, 64), nil
		}
	}
	value, err := encode(v)
	return append(text, value...), err
}

func appendText(text []byte, s string) ([]byte, error) {
	if isPlain(s) {
		return append(append(append(text, '"'), s...), '"'), nil
	}
	value, err := encode(s)
	return append(text, value...), err
}

// isPlain says that nothing in s has to be escaped.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Line returns the record as a line of a log, with its end. Markup stands in it as it is: < and not \u003c.
func (r Record) Line() ([]byte, error) {
	text, err := r.MarshalJSON()
	return append(text, '\n'), err
}

// encode is json.Marshal for people: what only a web page would need escaped is not.
func encode(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Record) UnmarshalJSON(text []byte) error {
	var attrs map[string]any
	if err := json.Unmarshal(text, &attrs); err != nil {
		return err
	}
	take := func(key string) (string, error) {
		s, ok := attrs[key].(string)
		if !ok {
			return "", fmt.Errorf("event line has no %q", key)
		}
		delete(attrs, key)
		return s, nil
	}
	stamp, err := take(KeyTime)
	if err != nil {
		return err
	}
	if r.Time, err = time.Parse(time.RFC3339Nano, stamp); err != nil {
		return fmt.Errorf("event line: %w", err)
	}
	if r.Node, err = take(KeyNode); err != nil {
		return err
	}
	if r.Event, err = take(KeyEvent); err != nil {
		return err
	}
	r.Attrs = attrs
	return nil
}

// Emit logs e with the trace and parent that ctx carries.
func Emit(ctx context.Context, log *slog.Logger, e Event) {
	emit(ctx, log, e, "")
}

// Begin emits e under an id of its own and returns a context in which further events name e as their parent.
// Outside a trace it emits e and returns ctx as it is.
func Begin(ctx context.Context, log *slog.Logger, e Event) context.Context {
	s, ok := ctx.Value(spanKey{}).(span)
	if !ok {
		Emit(ctx, log, e)
		return ctx
	}
	id := s.trace.prefix + "." + strconv.FormatInt(s.trace.next.Add(1), 10)
	emit(ctx, log, e, id)
	return context.WithValue(ctx, spanKey{}, span{s.trace, id})
}

// WithTrace returns a context whose events belong to the causal chain name, below the event with the id parent
// (empty: at its root). Ids start with the parent's, or the name, and count up from there: call it once for each.
// A name that starts with [StepTrace] is the run's; any other is the node's own.
func WithTrace(ctx context.Context, name, parent string) context.Context {
	prefix := parent
	if prefix == "" {
		prefix = name
	}
	return context.WithValue(ctx, spanKey{}, span{&trace{name: name, prefix: prefix}, parent})
}

// Cause returns the causal chain that ctx carries and the id of the event in it that further events name as their parent;
// both are empty outside a trace. With them the chain goes on elsewhere: see WithTrace.
func Cause(ctx context.Context) (trace, parent string) {
	s, ok := ctx.Value(spanKey{}).(span)
	if !ok {
		return "", ""
	}
	return s.trace.name, s.parent
}

// StepTrace begins the name of a step's chain; the step's id follows.
const StepTrace = "step/"

type spanKey struct{}

type span struct {
	trace  *trace
	parent string
}

type trace struct {
	name, prefix string
	next         atomic.Int64
}

func emit(ctx context.Context, log *slog.Logger, e Event, id string) {
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	place := make([]slog.Attr, 0, 3)
	if s, ok := ctx.Value(spanKey{}).(span); ok {
		place = append(place, slog.String(KeyTrace, s.trace.name))
		if id != "" {
			place = append(place, slog.String(KeyID, id))
		}
		if s.parent != "" {
			place = append(place, slog.String(KeyParent, s.parent))
		}
	}
	if h, ok := log.Handler().(*handler); ok && h.known[e.Word()] {
		h.take(e, place)
		return
	}
	log.LogAttrs(ctx, slog.LevelInfo, e.Word(), append(Attrs(e), place...)...)
}

// Attrs returns the event's fields as log attributes in the order they are declared; fields tagged omitempty are left
// out when zero.
func Attrs(e Event) []slog.Attr {
	v := reflect.Indirect(reflect.ValueOf(e))
	fields := layout(v.Type())
	attrs := make([]slog.Attr, 0, len(fields)+3)
	for _, f := range fields {
		if in := v.Field(f.index); !f.optional || !isEmpty(in) {
			attrs = append(attrs, slog.Any(f.name, in.Interface()))
		}
	}
	return attrs
}

// field is how a field of an event's type is told.
type field struct {
	index    int
	name     string
	optional bool // it is left out where it is empty
	plain    bool // slog leaves its value as it is
}

// layout reads the tags of an event's type.
func layout(t reflect.Type) []field {
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		of := t.Field(i).Type
		plain := of == reflect.TypeFor[string]() || of == reflect.TypeFor[float64]() || of == reflect.TypeFor[bool]()
		fields = append(fields, field{i, name, options == "omitempty", plain})
	}
	return fields
}

// isEmpty is what encoding/json takes for empty, so that lists without elements are left out too.
func isEmpty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		return v.Len() == 0
	}
	return v.IsZero()
}
