package enginetest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
)

// read makes facts of log lines, without the time that each has.
func read(t *testing.T, lines ...string) []Fact {
	t.Helper()
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(`{"time":"2026-01-02T03:04:05Z",` + line + "}\n")
	}
	records, err := event.Read(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return Facts(records)
}

const browses = `"node":"scenario","event":"step.start","step":"one","action":"browse"`

// What two runs may differ in by chance is no fact.
func TestChance(t *testing.T) {
	for name, c := range map[string]struct{ one, other []string }{
		"ports": {
			[]string{`"node":"a","event":"socket.connect","local":"10.0.0.1:40000","remote":"[fd00::1]:80","duration_s":1`},
			[]string{`"node":"a","event":"socket.connect","local":"10.0.0.1:50000","remote":"[fd00::1]:80","duration_s":2`},
		},
		"no time at all": {
			[]string{`"node":"a","event":"http.response","status":200,"ttfb_s":0.1`},
			[]string{`"node":"a","event":"http.response","status":200`},
		},
		"dates": {
			[]string{`"node":"a","event":"http.response","raw":"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n\r\n"`},
			[]string{`"node":"a","event":"http.response","raw":"Date: Sat, 03 Jan 2026 13:14:15 GMT\r\n\r\n"`},
		},
		"dates in bytes": {
			[]string{`"node":"a","event":"http.response","raw_base64":"RGF0ZTogRnJpLCAwMiBKYW4gMjAyNiAwMzowNDowNSBHTVQKCv8="`},
			[]string{`"node":"a","event":"http.response","raw_base64":"RGF0ZTogU2F0LCAwMyBKYW4gMjAyNiAwMzowNDowNSBHTVQKCv8="`},
		},
		"numbers of traces": {
			[]string{
				`"node":"a","event":"socket.accept","trace":"conn/web/1","id":"conn/web/1.1"`,
				`"node":"a","event":"http.request","trace":"conn/web/1","parent":"conn/web/1.1"`,
			},
			[]string{
				`"node":"a","event":"http.request","trace":"conn/web/2","parent":"conn/web/2.1"`,
				`"node":"a","event":"socket.accept","trace":"conn/web/2","id":"conn/web/2.1"`,
			},
		},
		"pieces of a stream, numbers of sockets and sequence numbers": {
			[]string{
				`"node":"a","event":"socket.connect","number":1,"isn":4711,"mss":1448,"window_scale":9`,
				`"node":"a","event":"socket.send","socket":"connection","bytes":2`,
			},
			[]string{
				`"node":"a","event":"socket.connect","number":2,"mss":1448,"window_scale":10`,
				`"node":"a","event":"socket.send","socket":"connection","bytes":1`,
				`"node":"a","event":"socket.send","socket":"connection","bytes":1,"offset":1`,
			},
		},
		"pieces that a step received": {
			[]string{`"node":"scenario","event":"step.end","step":"1","result":{"size":3,"pieces":[1,2],"calls":2,"complete":true}`},
			[]string{`"node":"scenario","event":"step.end","step":"1","result":{"size":3,"pieces":[3],"calls":1,"complete":true}`},
		},
		"how much the buffers hold that stop a sender": {
			[]string{
				`"node":"scenario","event":"step.end","step":"1","result":{"sent":1000,"calls":2,"sha256":"a","complete":false}`,
				`"node":"scenario","event":"step.end","step":"2","result":{"size":1000,"sha256":"a","complete":true}`,
				`"node":"a","event":"socket.close","remote":"10.0.0.2:80","sent":1000`,
			},
			[]string{
				`"node":"scenario","event":"step.end","step":"1","result":{"sent":2000,"calls":4,"sha256":"b","complete":false}`,
				`"node":"scenario","event":"step.end","step":"2","result":{"size":2000,"sha256":"b","complete":true}`,
				`"node":"a","event":"socket.close","remote":"10.0.0.2:80","sent":2000`,
			},
		},
		"who closes first": {
			[]string{`"node":"a","event":"socket.close","remote":"10.0.0.2:80","by":"local","reason":"connection: close"`},
			[]string{`"node":"a","event":"socket.close","remote":"10.0.0.2:80","by":"remote"`},
		},
		"a reset that comes late": {
			[]string{
				`"node":"a","event":"http.response","error":"read tcp 10.0.0.1:40000->10.0.0.2:80: read: connection reset by peer"`,
				`"node":"a","event":"socket.error","errno":"ECONNRESET"`,
			},
			[]string{`"node":"a","event":"http.response","error":"unexpected EOF"`},
		},
		"a browser's connections": {
			[]string{
				browses,
				`"node":"a","event":"socket.connect","remote":"10.0.0.2:80","local":"10.0.0.1:40000"`,
				`"node":"a","event":"socket.connect","remote":"10.0.0.2:80","local":"10.0.0.1:40001"`,
			},
			[]string{browses, `"node":"a","event":"socket.connect","remote":"10.0.0.2:80","local":"10.0.0.1:40000"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if found := Compare(read(t, c.one...), read(t, c.other...)); found != nil {
				t.Errorf("they differ: %v", found)
			}
		})
	}
}

// What one run tells and another does not is found, with the attribute.
func TestCompare(t *testing.T) {
	const (
		connect = `"node":"a","event":"socket.connect","network":"tcp","local":"10.0.0.1:40000","remote":"10.0.0.2:80"`
		bind    = `"node":"a","event":"socket.listen","network":"tcp","local":"0.0.0.0:80"`
		bind6   = `"node":"a","event":"socket.listen","network":"tcp","local":"[::]:80"`
		ended   = `"node":"scenario","event":"step.end","step":"one","result":{"status":200,"size":1,"duration_s":1}`
		failed  = `"node":"scenario","event":"step.end","step":"one","result":{"status":500,"size":1,"duration_s":2}`
	)
	for name, c := range map[string]struct {
		one, other []string
		want       []Difference
	}{
		"nothing": {[]string{connect, bind}, []string{bind, connect}, nil},
		"more often": {
			[]string{connect, connect}, []string{connect},
			[]Difference{{Node: "a", Event: "socket.connect", One: read(t, connect)[0].String()}},
		},
		"attribute": {[]string{bind}, []string{bind6}, []Difference{{"a", "socket.listen", "local", `"0.0.0.0:80"`, `"[::]:80"`}}},
		"result":    {[]string{ended}, []string{failed}, []Difference{{"scenario", "step.end", "result.status", "200", "500"}}},
		"other node": {
			nil, []string{bind}, []Difference{{Node: "a", Event: "socket.listen", Other: read(t, bind)[0].String()}},
		},
		"other port": {
			[]string{connect}, []string{strings.Replace(connect, ":80", ":81", 1)},
			[]Difference{{"a", "socket.connect", "remote", `"10.0.0.2:80"`, `"10.0.0.2:81"`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Compare(read(t, c.one...), read(t, c.other...))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
