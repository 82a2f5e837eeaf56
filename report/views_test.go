package report

import (
	"context"
	"strings"
	"testing"
	"time"

	"scenario/event"
	"scenario/topology"
)

// TestTrackers tells what a third party knows under each policy for cookies: one identifier for both pages, one for each,
// or none. R15
func TestTrackers(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string // cookies that go to the third party from each page; set=… is one that it sets
		want, not     string
	}{
		"allow":             {"id=7f3a", "id=7f3a", "knows the visitor id=7f3a on shop.example, books.example", "cannot tell"},
		"partition":         {"id=7f3a", "id=c0de", "cannot tell by cookies that it is the same visitor (laptop) on shop.example (id=7f3a), books.example (id=c0de)", "one and the same"},
		"block-third-party": {"", "", "cannot tell by cookies that it is the same visitor (laptop) on shop.example (no cookie), books.example (no cookie)", "knows"},
		"refused":           {"set=id=7f3a", "set=id=c0de", "(laptop) on shop.example (a cookie that never came back), books.example (a cookie that never came back)", "id="},
		"one page":          {"id=7f3a", "none", "sees a visitor on shop.example (id=7f3a)", "cannot tell"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, name, "")
			s.plan.Nodes = make([]topology.Node, 0, 4)
			for _, n := range [][2]string{{"laptop", "192.0.2.10"}, {"ads", "198.18.1.30"}} {
				s.node(n[0], n[1])
			}
			for _, visit := range [][2]string{{"http://shop.example/", c.first}, {"http://books.example/", c.second}} {
				page, cookie := visit[0], visit[1]
				if cookie == "none" {
					continue
				}
				s.step(topology.Step{ID: page, Node: "laptop", Action: "browse", Target: page}, func(ctx context.Context) string {
					v := &view{s: s, node: "laptop", url: page, start: s.now}
					v.ctx = s.begin(ctx, "laptop", event.PageMilestone{Milestone: "url", URL: page})
					set, given := strings.CutPrefix(cookie, "set=")
					if given {
						cookie = ""
					} else {
						set = ""
					}
					v.fetch(got{
						url: "http://ads.example/ad.js", destination: "script", third: true, referer: page, cookie: cookie, set: set,
						wire: s.connect(v.ctx, "laptop", "ads", 80),
					})
					return ""
				})
			}
			var out strings.Builder
			if err := Beside(&out, s.recording(), Options{Width: 160}); err != nil {
				t.Fatal(err)
			}
			text := strings.Join(strings.Fields(out.String()), " ")
			if !strings.Contains(text, c.want) || strings.Contains(text, c.not) {
				t.Errorf("want %q and not %q:\n%s", c.want, c.not, out.String())
			}
		})
	}
}

// TestSideBySide counts streams that are open at one time. R16
func TestSideBySide(t *testing.T) {
	start := time.Unix(0, 0)
	x := func(from, took float64) *exchange {
		return &exchange{
			Record:   event.Record{Time: start.Add(time.Duration(from * float64(time.Second)))},
			response: &seen[event.HTTPResponse]{is: event.HTTPResponse{Duration: took}},
		}
	}
	for _, c := range []struct {
		all  []*exchange
		want int
	}{
		{nil, 0},
		{[]*exchange{x(0, 1)}, 1},
		{[]*exchange{x(0, 1), x(1, 1), x(2, 1)}, 1},
		{[]*exchange{x(0, 3), x(1, 1), x(1.5, 1), x(2.2, 3)}, 3},
	} {
		if got := sideBySide(c.all); got != c.want {
			t.Errorf("%d of %d at once, want %d", got, len(c.all), c.want)
		}
	}
}

// TestContentRange reads what a part says of itself (RFC 9110, section 14.4). R14
func TestContentRange(t *testing.T) {
	for text, want := range map[string]contentRange{
		"bytes 0-99/200": {0, 99, 200}, "bytes 100-199/200": {100, 199, 200}, "bytes 5-5/*": {5, 5, -1},
	} {
		if got, ok := parseContentRange(text); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "bytes */200", "bytes 9-1/20", "bytes 0-99/50", "bytes -5/20", "lines 0-1/2", "bytes 0-x/2", "bytes 99999999999999999999-1/2"} {
		if got, ok := parseContentRange(text); ok {
			t.Errorf("%s is taken as %v", text, got)
		}
	}
}

// TestOnlooker tells of an encrypted page nothing that is inside, and of a plain one all. R2
func TestOnlooker(t *testing.T) {
	r := newRun(secure(t).recording())
	for _, s := range r.steps {
		e := r.exposed(s)
		switch s.ID {
		case "dot", "books":
			if len(e.names)+len(e.requests)+len(e.cookies) > 0 || len(e.resolvers) != 1 || len(e.servers) != 2 {
				t.Errorf("%s: %+v", s.ID, e)
			}
		case "plain":
			if len(e.resolvers)+len(e.servers) > 0 || len(e.names) != 1 || len(e.requests) != 4 || len(e.cookies) != 1 || e.content != 15910 {
				t.Errorf("%s: %+v", s.ID, e)
			}
		}
	}
}
