package devtools_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/network"
	"github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/nodes/chromium/devtools"
)

var update = flag.Bool("update", false, "rewrite golden files")

// R8: what Chromium's DevTools told of loads in a scenario of ours, and what is told of it in the words of our browser.
// The recordings are of Chromium 156, without the certificates' bytes.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	asked := map[string]string{
		"redirect": "http://page.example/old", "third-party": "http://page.example", "hsts-revalidated": "http://app.example/",
		"expired": "https://expired.example/", "no-name": "http://nowhere.example/",
	}
	problems := map[string]string{"expired": "net::ERR_CERT_DATE_INVALID", "no-name": "net::ERR_NAME_NOT_RESOLVED"}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			messages := recording(t, file)
			got := tell(t, messages, devtools.Page{Asked: asked[name], Error: problems[name], Title: "The title"})
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("what is told differs (-want +got):\n%s", diff)
			}
		})
	}
}

// recording reads a recording: an event a line.
func recording(t testing.TB, file string) []any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		ev, err := parse(lines.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, ev)
	}
	return all
}

func parse(line []byte) (any, error) {
	var m struct {
		Method cdproto.MethodType `json:"method"`
		Params json.RawMessage    `json:"params"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, err
	}
	return cdproto.UnmarshalMessage(&cdproto.Message{Method: m.Method, Params: []byte(m.Params)})
}

// tell has a load told, and returns the result and the events, a line each.
func tell(t testing.TB, messages []any, p devtools.Page) []byte {
	t.Helper()
	start := begun(messages)
	load := devtools.NewLoad(devtools.NewSession(), "", start, devtools.Options{
		LogBody: 100, Ends: func(int64) devtools.Ends { return devtools.Ends{} },
	})
	for _, m := range messages {
		load.Take(m)
	}
	for _, body := range load.Bodies(1000) {
		load.SetBody(body, []byte("the body"))
	}
	var out bytes.Buffer
	lines := event.NewWriter(&out)
	ctx := event.WithTrace(context.Background(), "step/1", "")
	result := load.Tell(ctx, event.NewLogger("chrome", lines), p, start.Add(time.Second))
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(append(out.Bytes(), text...), '\n')
}

// begun is a moment just before the first request.
func begun(messages []any) time.Time {
	for _, m := range messages {
		if e, ok := m.(*network.EventRequestWillBeSent); ok && e.WallTime > 0 && e.WallTime < 1e11 {
			return time.Unix(0, 0).Add(time.Duration(float64(e.WallTime)*1e3) * time.Millisecond).UTC()
		}
	}
	return time.Unix(1e9, 0).UTC()
}

// A recording tells of times in order: nothing is told before its cause.
func TestOrder(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.jsonl")
	for _, file := range files {
		records, err := event.Read(bytes.NewReader(eventLines(tell(t, recording(t, file), devtools.Page{Asked: "http://asked.example/"}))))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]time.Time{}
		last := time.Time{}
		for _, r := range records {
			if r.Time.Before(last) {
				t.Errorf("%s: %s is told after what happened later", file, r.Event)
			}
			if at, ok := seen[r.Parent()]; r.Parent() != "" && (!ok || r.Time.Before(at)) {
				t.Errorf("%s: %s is told before its cause", file, r.Event)
			}
			last = r.Time
			if r.ID() != "" {
				seen[r.ID()] = r.Time
			}
		}
	}
}

func eventLines(told []byte) []byte { return told[:bytes.Index(told, []byte("\n{\n"))+1] }

// Whatever DevTools tell, in whatever order, is told without panic, and within bounds.
func FuzzTake(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.jsonl")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(`{"method":"Network.requestWillBeSent","params":{"requestId":"1","request":{"url":"http://a/"},"timestamp":1e300,"wallTime":-5}}` + "\n" +
		`{"method":"Network.responseReceived","params":{"requestId":"1","response":{"status":1e15,"connectionId":1e300,"remoteIPAddress":"[","remotePort":80,"timing":{"sendStart":-1e300}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var messages []any
		for line := range strings.Lines(text) {
			if ev, err := parse([]byte(line)); err == nil {
				messages = append(messages, ev)
			}
		}
		tell(t, messages, devtools.Page{Asked: "http://asked.example/"})
	})
}

// A page that asks for more than can be told is told in part.
func TestBounds(t *testing.T) {
	var messages []any
	for i := range 3000 {
		messages = append(messages, &network.EventRequestWillBeSent{
			RequestID: network.RequestID(string(rune(i + 1000))), Timestamp: 1, WallTime: 1e9, Type: network.ResourceTypeImage,
			Request: &network.Request{URL: "http://a.example/" + strings.Repeat("x", 10_000), Method: "GET"},
		})
	}
	load := devtools.NewLoad(devtools.NewSession(), "", begun(messages), devtools.Options{})
	for _, m := range messages {
		load.Take(m)
	}
	lines := 0
	sink := event.SinkFunc(func(event.Record) { lines++ })
	result := load.Tell(t.Context(), event.NewLogger("chrome", sink), devtools.Page{Asked: "http://a.example/"}, begun(messages))
	if len(result.Requests) != 2000 || result.Skipped != 1000 {
		t.Errorf("%d requests told, %d skipped, want 2000 and 1000", len(result.Requests), result.Skipped)
	}
	if len(result.Requests[0].URL) > 4<<10 {
		t.Errorf("an address of %d bytes is told", len(result.Requests[0].URL))
	}
}

// R8: what the page's memory has came over the wire before, and nothing more is told of that, so it is not waited for.
func TestMemoryIsNotWaitedFor(t *testing.T) {
	for _, cached := range []bool{false, true} {
		messages := []any{&network.EventRequestWillBeSent{
			RequestID: "1", Timestamp: 1, WallTime: 1e9, Type: network.ResourceTypeImage, Request: &network.Request{URL: "http://a.example/a.png", Method: "GET"},
		}}
		load := devtools.NewLoad(devtools.NewSession(), "", begun(messages), devtools.Options{})
		load.Take(messages[0])
		if cached {
			load.Take(&network.EventRequestServedFromCache{RequestID: "1"})
		}
		load.Take(&network.EventResponseReceived{RequestID: "1", Timestamp: 2, HasExtraInfo: true, Response: &network.Response{Status: 200}})
		load.Take(&network.EventLoadingFinished{RequestID: "1", Timestamp: 3})
		if open := load.State().Open; (open == 0) != cached {
			t.Errorf("in memory %v: %d requests are open", cached, open)
		}
	}
}
