package event

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"time"
)

// Sink takes the records of a run, in any order, from any goroutine.
type Sink interface {
	Record(Record)
}

// SinkFunc makes a function a [Sink].
type SinkFunc func(Record)

// Record calls f.
func (f SinkFunc) Record(r Record) { f(r) }

// NewLogger returns the logger of one node: what is logged becomes records of that node in sink. An entry whose message
// is no event's word becomes a [LogLine].
func NewLogger(node string, sink Sink) *slog.Logger {
	known := make(map[string]bool)
	for _, e := range Words() {
		known[e.Word()] = true
	}
	return slog.New(&handler{node: node, sink: sink, known: known, layouts: new(sync.Map)})
}

type handler struct {
	node   string
	sink   Sink
	known  map[string]bool
	attrs  []slog.Attr
	prefix string // of open groups, with the final dot

	layouts *sync.Map // of the events so far: their types' tags are read once
}

// take records an event as Handle records its attributes, which cost more than all else that is done with it.
func (h *handler) take(e Event, place []slog.Attr) {
	v := reflect.Indirect(reflect.ValueOf(e))
	fields := h.layout(v.Type())
	n := len(h.attrs) + len(place)
	for _, f := range fields {
		if !f.optional || !isEmpty(v.Field(f.index)) {
			n++
		}
	}
	r := Record{Time: time.Now(), Node: h.node, Event: e.Word(), Attrs: make(map[string]any, n)}
	for _, a := range h.attrs {
		r.Attrs[a.Key] = value(a.Value)
	}
	for _, f := range fields {
		in := v.Field(f.index)
		switch {
		case f.optional && isEmpty(in):
		case f.plain:
			r.Attrs[h.prefix+f.name] = in.Interface()
		default:
			r.Attrs[h.prefix+f.name] = value(slog.AnyValue(in.Interface()))
		}
	}
	for _, a := range place {
		r.Attrs[h.prefix+a.Key] = value(a.Value)
	}
	h.sink.Record(r)
}

func (h *handler) layout(t reflect.Type) []field {
	if known, ok := h.layouts.Load(t); ok {
		return known.([]field)
	}
	fields := layout(t)
	h.layouts.Store(t, fields)
	return fields
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (h *handler) Handle(_ context.Context, entry slog.Record) error {
	r := Record{Time: entry.Time, Node: h.node, Event: entry.Message, Attrs: make(map[string]any, entry.NumAttrs()+len(h.attrs))}
	if !h.known[entry.Message] {
		r.Event = LogLine{}.Word()
		r.Attrs["msg"] = entry.Message
	}
	for _, a := range h.attrs {
		r.Attrs[a.Key] = value(a.Value)
	}
	entry.Attrs(func(a slog.Attr) bool {
		r.Attrs[h.prefix+a.Key] = value(a.Value)
		return true
	})
	h.sink.Record(r)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.prefix += name + "."
	return &next
}

// value is v as encoding/json writes it well: errors and Stringers that do not marshal themselves become their text.
func value(v slog.Value) any {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindDuration:
		return v.Duration().Seconds()
	case slog.KindAny:
		switch x := v.Any().(type) {
		case json.Marshaler:
			return x
		case error:
			return x.Error()
		}
	}
	return v.Any()
}

// Writer is a [Sink] that writes each record as one line, with one Write call, so that lines never mix.
type Writer struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Record writes r; after a failed write it does nothing and Err tells why.
func (w *Writer) Record(r Record) {
	line, err := r.Line()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if err == nil {
		_, err = w.w.Write(line)
	}
	w.err = err
}

// Err is the first error of a write.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// maxLine bounds a line that Read accepts, in bytes: raw views are bounded far below it.
const maxLine = 16 << 20

// Read returns the records in r. A last line that was cut short, as a killed run leaves it, is passed over; any other
// line that is no record is an error that names its number.
func Read(r io.Reader) ([]Record, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var records []Record
	var bad error
	for n := 1; lines.Scan(); n++ {
		if bad != nil {
			return records, bad
		}
		var record Record
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			bad = fmt.Errorf("line %d: %w", n, err)
			continue
		}
		records = append(records, record)
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return records, err
	}
	return records, nil
}
