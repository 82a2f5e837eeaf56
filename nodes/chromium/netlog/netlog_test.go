package netlog_test

import (
	"strings"
	"testing"

	"scenario/nodes/chromium/netlog"
)

const head = `{"constants":{"logEventPhase":{"PHASE_BEGIN":1,"PHASE_END":2},"logEventTypes":{"TCP_CONNECT":44,"TCP_CONNECT_ATTEMPT":45}},
"events": [
`

// The lines are those of Chromium 156.
func TestConnections(t *testing.T) {
	const whole = head + `{"params":{"address_list":["203.0.113.15:80"]},"phase":1,"source":{"id":137,"start_time":"1","type":10},"time":"1","type":44},
{"phase":2,"source":{"id":137,"start_time":"1","type":10},"time":"2","type":45},
{"params":{"local_address":"192.168.1.10:39572","remote_address":"203.0.113.15:80"},"phase":2,"source":{"id":137,"start_time":"1","type":10},"time":"2","type":44},
this is no event,
{"params":{"local_address":"[2001:db8::1]:40000","remote_address":"[2001:db8::2]:443"},"phase":2,"source":{"id":9,"type":10},"type":44},
{"params":{"net_error":-102},"phase":2,"source":{"id":10,"type":10},"type":44},
{"params":{"local_address":"1.2.3.4:5","remote_address":"1.2.3.4:6"},"phase":2,"source":{"id":11,"type":10},"type":45},
],
"polledData": [{}]}
`
	log := netlog.New()
	if err := log.Read(strings.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for number, want := range map[int64]netlog.Connection{
		137: {Local: "192.168.1.10:39572", Remote: "203.0.113.15:80"},
		9:   {Local: "[2001:db8::1]:40000", Remote: "[2001:db8::2]:443"},
		10:  {}, // failed
		11:  {}, // another event
	} {
		if got := log.Connection(number); got != want {
			t.Errorf("connection %d: %+v, want %+v", number, got, want)
		}
	}
}

// A line that is too long is passed over, and what follows is read.
func TestLongLine(t *testing.T) {
	log := netlog.New()
	text := head + `{"params":{"x":"` + strings.Repeat("a", 5<<20) + `"}},` + "\n" +
		`{"params":{"local_address":"1.1.1.1:1","remote_address":"2.2.2.2:2"},"phase":2,"source":{"id":1},"type":44},` + "\n"
	if err := log.Read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if got := log.Connection(1).Local; got != "1.1.1.1:1" {
		t.Errorf("after a long line: %q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(head + `{"params":{"local_address":"1.1.1.1:1","remote_address":"2.2.2.2:2"},"phase":2,"source":{"id":1},"type":44},`)
	f.Add(`{"constants":{}`)
	f.Fuzz(func(t *testing.T, text string) {
		log := netlog.New()
		if err := log.Read(strings.NewReader(text)); err != nil {
			t.Errorf("reading a string fails: %v", err)
		}
	})
}
