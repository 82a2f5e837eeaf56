package cli

import (
	"testing"
	"time"

	"scenario/event"
)

func TestActionArgs(t *testing.T) {
	action := &fakeKinds()[0].Actions[0]
	tests := []struct {
		words []string
		want  string // JSON, or the error
	}{
		{nil, `{}`},
		{[]string{"hello"}, `{"text":"hello"}`},
		{[]string{"text=7"}, `{"text":"7"}`},
		{[]string{"http://shop.example/?a=b"}, `{"text":"http://shop.example/?a=b"}`},
		{[]string{"times=3", "to=ann,bob", "hello"}, `{"text":"hello","times":3,"to":["ann","bob"]}`},
		{[]string{`to=["ann"]`}, `{"to":["ann"]}`},
		{[]string{"times=many"}, "say: times=many: not a int"},
		{[]string{"one", "two"}, `say: text is given twice, the second time as "two": quote what belongs together`},
	}
	for _, test := range tests {
		got, err := actionArgs(action, test.words)
		text := string(got)
		if err != nil {
			text = err.Error()
		}
		if text != test.want {
			t.Errorf("%q: %s, want %s", test.words, text, test.want)
		}
	}
}

func TestLogLine(t *testing.T) {
	r := event.Record{
		Time: time.Date(2024, 1, 2, 3, 4, 5, 678_900_000, time.Local), Node: "ann", Event: "dns.query",
		Attrs: map[string]any{"name": "shop.example.", "id": 7, "answers": []string{"a", "b"}, "raw": "GET / HTTP/1.1\r\n", "zone": ""},
	}
	want := `03:04:05.678900  ann  dns.query  answers=["a","b"]  id=7  name=shop.example.  raw="GET / HTTP/1.1\r\n"  zone=""`
	if got := logLine(r); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFirstSentence(t *testing.T) {
	for doc, want := range map[string]string{
		"":                                     "",
		"A page.":                              "A page",
		"A page\nof two lines. And more.\n\nX": "A page of two lines",
		"No stop\n\nAnother paragraph.":        "No stop",
		"See shop.example for more":            "See shop.example for more",
	} {
		if got := firstSentence(doc); got != want {
			t.Errorf("%q: %q, want %q", doc, got, want)
		}
	}
}
