package event

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// R36: what is emitted comes back from its line as the same typed event, with its place in the causal chain.
func TestEmitAndRead(t *testing.T) {
	var lines bytes.Buffer
	writer := NewWriter(&lines)
	log := NewLogger("laptop", writer)

	ctx := WithTrace(t.Context(), StepTrace+"first", "")
	below := Begin(ctx, log, PageMilestone{Milestone: "url", URL: "http://shop.example/"})
	asked := DNSQuery{Side: SideClient, Remote: "198.51.100.53:53", Transport: "udp", QueryID: 7, Name: "shop.example.", Type: "A"}
	Emit(below, log, asked)
	Emit(t.Context(), log, NodeExit{})
	if err := writer.Err(); err != nil {
		t.Fatal(err)
	}

	records, err := Read(&lines)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 3 {
		t.Fatalf("read %d records, want 3", len(records))
	}
	milestone, query, exit := records[0], records[1], records[2]
	if milestone.Node != "laptop" || milestone.Trace() != "step/first" || milestone.ID() == "" || milestone.Parent() != "" {
		t.Errorf("the first of the chain is %v", milestone)
	}
	if query.Trace() != "step/first" || query.Parent() != milestone.ID() || query.ID() != "" {
		t.Errorf("what it caused is %v", query)
	}
	if exit.Trace() != "" {
		t.Errorf("an event outside any chain is %v", exit)
	}
	got, ok := As[DNSQuery](query)
	if !ok {
		t.Fatal("the query is no DNSQuery")
	}
	if diff := cmp.Diff(asked, got); diff != "" {
		t.Errorf("the query came back otherwise:\n%s", diff)
	}
	if _, ok := As[DNSAnswer](query); ok {
		t.Error("the query is a DNSAnswer too")
	}
}

func TestIDsGoOnBelowAParent(t *testing.T) {
	var ids []string
	log := NewLogger("n", SinkFunc(func(r Record) { ids = append(ids, r.ID()) }))
	ctx := WithTrace(t.Context(), "step/1", "")
	step := Begin(ctx, log, StepStart{Step: "1"})
	trace, parent := Cause(step)
	Begin(WithTrace(t.Context(), trace, parent), log, PageLoad{})
	Begin(step, log, PageLoad{})
	if diff := cmp.Diff([]string{"step/1.1", "step/1.1.1", "step/1.2"}, ids); diff != "" {
		t.Error(diff)
	}
}

// What a library logs by itself is no event, but is not lost.
func TestPlainLog(t *testing.T) {
	var got Record
	log := NewLogger("shop", SinkFunc(func(r Record) { got = r }))
	log.With("role", "web").WithGroup("conn").Warn("something odd", "after", 2*time.Second, slog.Any("cause", errors.New("no luck")))
	want := map[string]any{"msg": "something odd", "role": "web", "conn.after": 2.0, "conn.cause": "no luck"}
	if diff := cmp.Diff(want, got.Attrs); diff != "" || got.Event != "log" {
		t.Errorf("event %s:\n%s", got.Event, diff)
	}
	if log.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug entries are kept")
	}
}

// R41: a killed run leaves a line cut short; what is before it counts.
func TestReadTruncated(t *testing.T) {
	const line = `{"time":"2026-01-02T03:04:05.000000006Z","node":"a","event":"log","msg":"x"}` + "\n"
	tests := []struct {
		name, text string
		records    int
		err        string
	}{
		{"whole", line + line, 2, ""},
		{"cut short", line + line[:30], 1, ""},
		{"cut short within the line's end", line + strings.TrimSuffix(line, "\n"), 2, ""},
		{"empty", "", 0, ""},
		{"broken in the middle", line + "{\n" + line, 1, "line 2: unexpected end of JSON input"},
		{"no node", `{"time":"2026-01-02T03:04:05Z","event":"log"}` + "\n" + line, 0, `line 1: event line has no "node"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			records, err := Read(strings.NewReader(test.text))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if len(records) != test.records || text != test.err {
				t.Errorf("%d records, error %q; want %d, %q", len(records), text, test.records, test.err)
			}
		})
	}
}

func TestWriterKeepsItsFirstError(t *testing.T) {
	full := errors.New("disk full")
	w := NewWriter(failing{full})
	w.Record(Record{Event: "log"})
	w.Record(Record{Event: "log"})
	if !errors.Is(w.Err(), full) {
		t.Errorf("got %v", w.Err())
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","node":"a","event":"log","msg":"x"}` + "\n"))
	f.Add([]byte(`{"time":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, _ := Read(bytes.NewReader(text))
		var again bytes.Buffer
		w := NewWriter(&again)
		for _, r := range records {
			w.Record(r)
		}
		if w.Err() != nil {
			t.Fatalf("a record that was read cannot be written: %v", w.Err())
		}
		if back, err := Read(&again); err != nil || len(back) != len(records) {
			t.Fatalf("%d records became %d: %v", len(records), len(back), err)
		}
	})
}

// behind is a handler that a logger has in front of the one that makes records.
type behind struct{ slog.Handler }

// R36: a record is the same whether the event came to it as it is or as attributes.
func TestRecordsOfEvents(t *testing.T) {
	for _, e := range Words() {
		filled := reflect.New(reflect.TypeOf(e)).Elem()
		for _, full := range []bool{false, true} {
			for i := range filled.NumField() {
				if full {
					fill(filled.Field(i))
				}
			}
			var records []Record
			log := NewLogger("n", SinkFunc(func(r Record) { records = append(records, r) })).With("role", "web").WithGroup("conn")
			ctx := Begin(WithTrace(t.Context(), "step/1", ""), log, NodeExit{})
			one := filled.Interface().(Event)
			Emit(ctx, log, one)
			Emit(ctx, slog.New(behind{log.Handler()}), one)
			if diff := cmp.Diff(records[2].Attrs, records[1].Attrs); diff != "" || records[1].Event != e.Word() || records[1].Node != "n" {
				t.Errorf("%s:\n%s", e.Word(), diff)
			}
		}
	}
}

// fill sets v to something that is not its zero value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	default:
		if v.CanInt() {
			v.SetInt(300)
		} else if v.CanUint() {
			v.SetUint(200)
		}
	}
}

func BenchmarkEmit(b *testing.B) {
	log := NewLogger("n", SinkFunc(func(Record) {}))
	ctx := WithTrace(b.Context(), "step/1", "")
	b.ReportAllocs()
	for b.Loop() {
		Emit(ctx, log, HTTPResponse{Side: SideClient, Method: "GET", URL: "http://shop.example/", Status: 200, Proto: "HTTP/1.1", TTFB: 0.25})
	}
}

// R36: values are written as encoding/json writes them.
func FuzzRecordJSON(f *testing.F) {
	f.Add("url", "http://shop.example/?a=<b>&c", int64(-1), uint64(1<<63), 1e-7, true)
	f.Add("na\"me", "caf\xc3\u2028\x7f\r\n", int64(0), uint64(0), 123456.75, false)
	f.Add("", "\\", int64(1), uint64(1), 1e21, false)
	f.Fuzz(func(t *testing.T, name, text string, i int64, u uint64, x float64, is bool) {
		attrs := map[string]any{name: text, "i": i, "u": u, "x": x, "-x": -x, "is": is, "list": []string{text}, "none": nil}
		got, err := Record{Time: time.Unix(1, 5).UTC(), Node: text, Event: "log", Attrs: attrs}.MarshalJSON()
		want, wantErr := encode(attrs)
		node, _ := encode(text) // a string has no error
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if whole := `{"time":"1970-01-01T00:00:01.000000005Z","node":` + string(node) + `,"event":"log",`; err == nil && string(got) != whole+string(want[1:]) {
			t.Errorf("%s, want %s", got, whole+string(want[1:]))
		}
	})
}

func BenchmarkLine(b *testing.B) {
	var one Record
	log := NewLogger("n", SinkFunc(func(r Record) { one = r }))
	Emit(WithTrace(b.Context(), "step/1", ""), log, HTTPFetch{
		Page: "http://shop.example/", URL: "http://shop.example/1.png", Method: "GET", Destination: "image", Status: 200, Proto: "HTTP/1.1", TLS: 0.25,
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := one.Line(); err != nil {
			b.Fatal(err)
		}
	}
}
