package client

import (
	"context"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/host"
	"scenario/host/hosttest/memnet"
)

// path is a host from which routers lead to 10.0.0.1: the way to any other address is broken after them.
type path struct {
	*memnet.Host
	routers []string // a router without an address does not answer
	broken  string   // what the last router says of other addresses; empty: nothing
	lose    int      // every so many-th echo is lost
	sent    *int
}

func (p path) Ping(ctx context.Context, echo host.Echo) (host.Pong, error) {
	*p.sent++
	wait := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if echo.To.Is6() {
		return host.Pong{}, syscall.ENETUNREACH
	}
	rtt := 10 * time.Millisecond
	pong := host.Pong{From: echo.To, Kind: host.EchoReply, RTT: rtt}
	switch hop := echo.TTL; {
	case p.lose > 0 && *p.sent%p.lose == 0:
		return host.Pong{}, wait(time.Hour)
	case hop > 0 && hop <= len(p.routers) && p.routers[hop-1] == "":
		return host.Pong{}, wait(time.Hour)
	case hop > 0 && hop <= len(p.routers):
		pong.From, pong.Kind = netip.MustParseAddr(p.routers[hop-1]), host.TimeExceeded
	case echo.To != netip.MustParseAddr("10.0.0.1") && p.broken == "":
		return host.Pong{}, wait(time.Hour)
	case echo.To != netip.MustParseAddr("10.0.0.1"):
		pong.From, pong.Kind = netip.MustParseAddr(p.broken), host.DestinationUnreachable
	}
	return pong, wait(rtt)
}

// along puts the node at the beginning of a path.
func (w *world) along(p path) {
	p.Host = w.host.(*memnet.Host)
	p.sent = new(int)
	w.host = p
}

func TestPing(t *testing.T) {
	tests := []struct {
		name, args string
		path       path
		want       PingResult
		seconds    float64
	}{
		{
			"by name", `{"to": "shop.example"}`, path{},
			PingResult{Address: "10.0.0.1", Sent: 3, Received: 3, RTTs: []float64{0.01, 0.01, 0.01}, Min: 0.01, Avg: 0.01, Max: 0.01}, 0.41,
		}, {
			"one lost", `{"to": "10.0.0.1", "count": 2, "timeout": "100ms"}`, path{lose: 2},
			PingResult{Address: "10.0.0.1", Sent: 2, Received: 1, RTTs: []float64{0.01}, Min: 0.01, Avg: 0.01, Max: 0.01,
				Errors: []string{"no answer in 100ms"}}, 0.3,
		}, {
			"unreachable", `{"to": "10.0.0.9", "count": 1}`, path{broken: "10.0.1.1"},
			PingResult{Address: "10.0.0.9", Sent: 1, Errors: []string{"destination-unreachable from 10.0.1.1"}}, 0.01,
		}, {
			"no route", `{"to": "fd00::1", "count": 1}`, path{},
			func() PingResult {
				r := PingResult{Address: "fd00::1", Sent: 1, Errors: []string{"ENETUNREACH: network is unreachable"}}
				r.Phase, r.Errno, r.Error = phaseSend, "ENETUNREACH", "network is unreachable"
				return r
			}(), 0,
		}, {
			"no such name", `{"to": "nowhere.example"}`, path{},
			func() (r PingResult) { r.Phase, r.Error = "lookup", "no such name: nowhere.example"; return r }(), 0,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.along(test.path)
				start := time.Now()
				got := do[PingResult](w, "ping", test.args)
				if took := time.Since(start).Seconds(); took != test.seconds {
					t.Errorf("it took %g s, want %g", took, test.seconds)
				}
				got.To, got.Meaning = "", ""
				if test.want.RTTs == nil {
					test.want.RTTs = []float64{}
				}
				if test.want.Errors == nil {
					test.want.Errors = []string{}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("result differs (-want +got):\n%s", diff)
				}
				if got := strings.Count(w.story(), "icmp.echo"); got != test.want.Sent {
					t.Errorf("%d echoes are told, %d were sent", got, test.want.Sent)
				}
			})
		})
	}
}

// R31
func TestTraceroute(t *testing.T) {
	exceeded := func(ttl int, from string) Hop {
		return Hop{TTL: ttl, Address: from, RTT: 0.01, Reply: "time-exceeded"}
	}
	silent := func(ttl int) Hop { return Hop{TTL: ttl, RTT: 1, Error: "no answer in 1s"} }
	tests := []struct {
		name, args string
		path       path
		want       []Hop
		reached    bool
		probes     int
	}{
		{
			"reached", `{"to": "shop.example"}`, path{routers: []string{"10.1.0.1", "", "10.3.0.1"}},
			[]Hop{exceeded(1, "10.1.0.1"), silent(2), exceeded(3, "10.3.0.1"), {TTL: 4, Address: "10.0.0.1", RTT: 0.01, Reply: "echo-reply"}},
			true, 4,
		}, {
			"silent hops are tried again", `{"to": "10.0.0.1", "probes": 3}`, path{routers: []string{"10.1.0.1", ""}},
			[]Hop{exceeded(1, "10.1.0.1"), silent(2), {TTL: 3, Address: "10.0.0.1", RTT: 0.01, Reply: "echo-reply"}},
			true, 5,
		}, {
			"broken", `{"to": "10.0.0.9"}`, path{routers: []string{"10.1.0.1"}, broken: "10.1.0.1"},
			[]Hop{exceeded(1, "10.1.0.1"), {TTL: 2, Address: "10.1.0.1", RTT: 0.01, Reply: "destination-unreachable"}},
			false, 2,
		}, {
			"silence", `{"to": "10.0.0.9"}`, path{routers: []string{"10.1.0.1"}},
			[]Hop{exceeded(1, "10.1.0.1"), silent(2), silent(3), silent(4), silent(5), silent(6)},
			false, 6,
		}, {
			"not so far", `{"to": "10.0.0.1", "max_hops": 1}`, path{routers: []string{"10.1.0.1"}},
			[]Hop{exceeded(1, "10.1.0.1")}, false, 1,
		}, {
			"no route", `{"to": "fd00::1"}`, path{}, []Hop{{TTL: 1, Error: "ENETUNREACH: network is unreachable"}}, false, 1,
		}, {
			"no such name", `{"to": "nowhere.example"}`, path{}, []Hop{}, false, 0,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.along(test.path)
				got := do[TracerouteResult](w, "traceroute", test.args)
				if diff := cmp.Diff(test.want, got.Hops); diff != "" || got.Reached != test.reached {
					t.Errorf("reached: %t; hops differ (-want +got):\n%s", got.Reached, diff)
				}
				if echoes := strings.Count(w.story(), "icmp.echo"); echoes != test.probes {
					t.Errorf("%d echoes are told, want %d", echoes, test.probes)
				}
				if failed := test.name == "no route" || test.name == "no such name"; failed != (got.Error != "") {
					t.Errorf("outcome %+v", got.Outcome)
				}
			})
		})
	}
}

func TestPingCannotBe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if got := w.fails("ping", `{"to": "10.0.0.1"}`); !strings.Contains(got, "cannot send ICMP echo requests") {
			t.Error(got)
		}
		w.along(path{})
		for _, bad := range []string{`{}`, `{"to": "10.0.0.1", "count": 0}`, `{"to": "10.0.0.1", "timeout": "0s"}`} {
			w.fails("ping", bad)
		}
		for _, bad := range []string{`{}`, `{"to": "10.0.0.1", "max_hops": 256}`, `{"to": "10.0.0.1", "probes": 0}`} {
			w.fails("traceroute", bad)
		}
		do[PingResult](w, "ping", `{"to": "10.0.0.1", "count": 1}`)
		echo, _ := event.As[event.ICMPEcho](w.records[0])
		want := event.ICMPEcho{To: "10.0.0.1", Sequence: 1, From: "10.0.0.1", Reply: "echo-reply", Duration: 0.01}
		if diff := cmp.Diff(want, echo); diff != "" {
			t.Errorf("echo differs (-want +got):\n%s", diff)
		}
	})
}
