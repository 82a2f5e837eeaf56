package report

import (
	"testing"
	"time"

	"scenario/event"
	"scenario/record"
	"scenario/topology"
)

// at makes a record of e at some milliseconds, in a trace.
func at(ms int, node, trace string, e event.Event) event.Record {
	r := event.Record{
		Time: time.Date(2026, 3, 14, 9, 26, 53, ms*int(time.Millisecond), time.UTC), Node: node, Event: e.Word(),
		Attrs: map[string]any{event.KeyTrace: trace},
	}
	for _, a := range event.Attrs(e) {
		r.Attrs[a.Key] = a.Value.Any()
	}
	return r
}

func twoNodes(t *testing.T) *topology.Plan {
	s := newScript(t, "two", "")
	s.plan.Nodes = make([]topology.Node, 0, 2)
	s.node("client", "10.0.0.2")
	s.node("server", "10.0.0.1")
	return &s.plan
}

// TestJoinRetry joins the question that arrived, not the one that was lost on the way.
func TestJoinRetry(t *testing.T) {
	ask := event.DNSQuery{Side: event.SideClient, Remote: "10.0.0.1:53", Transport: "udp", QueryID: 7, Name: "X.example.", Type: "A"}
	got := ask
	got.Side, got.Name = event.SideServer, "x.example."
	s := join(newWho(twoNodes(t)), []event.Record{
		at(0, "client", "step/1", ask), at(500, "client", "step/1", ask), at(501, "server", "dns/1", got),
	})
	if s.questions[0].server != nil || s.questions[1].server == nil {
		t.Errorf("joined: first %v, second %v", s.questions[0].server, s.questions[1].server)
	}
}

// TestJoinChangedPort joins a connection whose port a NAT had to change, by the server's address and the time. R29
func TestJoinChangedPort(t *testing.T) {
	s := join(newWho(twoNodes(t)), []event.Record{
		at(0, "client", "step/1", event.SocketConnect{Network: "tcp", Local: "192.168.1.9:40000", Remote: "10.0.0.1:80"}),
		at(1, "server", "conn/1", event.SocketAccept{Network: "tcp", Local: "10.0.0.1:80", Remote: "10.0.0.9:1024"}),
		at(90, "server", "conn/2", event.SocketAccept{Network: "tcp", Local: "10.0.0.1:80", Remote: "10.0.0.9:1025"}),
		at(91, "server", "conn/3", event.SocketAccept{Network: "tcp", Local: "10.0.0.1:443", Remote: "10.0.0.9:40000"}),
	})
	if c := s.conns[0].server; c == nil || c.Trace() != "conn/1" {
		t.Errorf("joined with %+v, want conn/1", c)
	}
}

// TestJoinPipelined joins the same request made twice on one connection in order.
func TestJoinPipelined(t *testing.T) {
	sent := event.HTTPRequest{Side: event.SideClient, Local: "10.0.0.2:40000", Remote: "10.0.0.1:80", Method: "GET", URL: "http://x.example/a?b"}
	got := sent
	got.Side, got.Local, got.Remote, got.URL = event.SideServer, sent.Remote, sent.Local, "http://x.example:80/a?b"
	s := join(newWho(twoNodes(t)), []event.Record{
		at(0, "client", "step/1", event.SocketConnect{Network: "tcp", Local: "10.0.0.2:40000", Remote: "10.0.0.1:80"}),
		at(0, "server", "conn/1", event.SocketAccept{Network: "tcp", Local: "10.0.0.1:80", Remote: "10.0.0.2:40000"}),
		at(1, "client", "step/1", sent), at(1, "client", "step/1", sent),
		at(3, "server", "conn/1", got), at(4, "server", "conn/1", got),
	})
	for i, want := range []int{3, 4} {
		x := s.exchanges[i].server
		if x == nil || x.Time.Nanosecond() != want*int(time.Millisecond) {
			t.Errorf("request %d is joined with %+v, want that at %d ms", i, x, want)
		}
	}
}

// TestJoinLoop ends where a log says that servers ask each other in a circle.
func TestJoinLoop(t *testing.T) {
	ask := event.DNSQuery{Side: event.SideClient, Remote: "10.0.0.1:53", QueryID: 7, Name: "x.example.", Type: "A"}
	got := ask
	got.Side = event.SideServer
	first, served, further := at(0, "client", "step/1", ask), at(1, "server", "dns/1", got), at(2, "server", "dns/1", ask)
	served.Attrs[event.KeyID], served.Attrs[event.KeyParent] = "dns/1.1", "dns/1.2"
	further.Attrs[event.KeyID], further.Attrs[event.KeyParent] = "dns/1.2", "dns/1.1"
	plan := twoNodes(t)
	plan.Steps = []topology.Step{{ID: "1", Node: "client", Action: "lookup"}}
	rec := newRun(&record.Recording{Plan: plan, Records: []event.Record{first, served, further, at(3, "server", "dns/1", got)}})
	if told := tell(rec, rec.steps[0], 100, false); len(told.lines) == 0 {
		t.Error("nothing is told")
	}
}
