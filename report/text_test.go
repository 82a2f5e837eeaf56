package report

import (
	"slices"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain ✓ 日本":                               "plain ✓ 日本",
		"\x1b[31mred\x1b[0m":                       "red",
		"\x1b]0;title\x07text":                     "text",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "link",
		"a\tb\r\nc\x00\x7f":                        "a b  c",
		"\u202egnp.exe":                            "gnp.exe",
		"\xff\xfe":                                 "\uFFFD",
		"\u009b31m":                                "31m",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"http://shop.example/pictures/one.png", 20, "http://sh…es/one.png"},
		{"日本日本日本日本", 7, "日…本"},
		{"long", 1, "…"},
	} {
		got := middle(c.in, c.n)
		if got != c.want || ansi.StringWidth(got) > c.n {
			t.Errorf("middle(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		w    words
		n    int
		want []string
	}{
		{nil, 10, []string{""}},
		{say("one two three"), 8, []string{"one two", "three"}},
		{say("one ").in(strong, "two").say(", three"), 8, []string{"one two,", "three"}},
		{say("unbreakable"), 4, []string{"unbr", "eaka", "ble"}},
		{say("日本"), 1, []string{"日本"}},
	} {
		var got []string
		for _, l := range c.w.wrap(c.n) {
			got = append(got, l.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q in %d columns: %s", c.w, c.n, diff)
		}
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		seconds(0.00042): "0.42 ms", seconds(0.0123): "12.3 ms", seconds(0.2): "200 ms", seconds(5): "5.00 s",
		size(512): "512 B", size(4096): "4.1 kB", size(48_211_000): "48.2 MB",
		count(1, "query"): "1 query", count(2, "query"): "2 queries", count(0, "request"): "0 requests",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestBriefly(t *testing.T) {
	for long, want := range map[string]string{
		"read tcp 10.1.0.11:43436->203.0.113.10:80: read: connection reset by peer": "read: connection reset by peer",
		"dial tcp 203.0.113.11:82: connect: connection refused":                     "connect to 203.0.113.11:82: connection refused",
		"dial tcp [fd00::1]:81: context deadline exceeded":                          "connect to [fd00::1]:81: not done in time",
		"unexpected EOF":           "the other end closed the connection in the middle",
		"page load: \x1b[2Jbroken": "page load: broken",
	} {
		if got := briefly(long); got != want {
			t.Errorf("briefly(%q) = %q, want %q", long, got, want)
		}
	}
}

func TestGoesRound(t *testing.T) {
	for _, c := range []struct{ way, want []string }{
		{[]string{"a", "b", "c", "b", "c"}, []string{"b", "c"}},
		{[]string{"a", "", "b", ""}, nil},
		{nil, nil},
	} {
		if got := goesRound(c.way); !slices.Equal(got, c.want) {
			t.Errorf("goesRound(%q) = %q, want %q", c.way, got, c.want)
		}
	}
}
