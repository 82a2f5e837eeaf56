package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"scenario/event"
	"scenario/record"
	"scenario/topology"
)

// script writes a recording as the nodes of a run would: through their loggers, in the chains that event.Begin makes.
type script struct {
	t       *testing.T
	plan    topology.Plan
	records []event.Record
	now     time.Time
	nextID  uint16
	port    int
	serial  int
	result  json.RawMessage // of the step under way
}

func newScript(t *testing.T, name, doc string) *script {
	return &script{
		t: t, plan: topology.Plan{Name: name, Doc: doc, Seed: 1},
		now: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), nextID: 4711, port: 40112,
	}
}

// node adds a node with one interface for each address.
func (s *script) node(name string, addresses ...string) *topology.Node {
	n := topology.Node{Name: name}
	for i, a := range addresses {
		n.Interfaces = append(n.Interfaces, topology.Interface{
			Name: fmt.Sprintf("eth%d", i), Network: "net", Addresses: []netip.Prefix{netip.MustParsePrefix(a + "/24")}, MTU: 1500,
		})
	}
	s.plan.Nodes = append(s.plan.Nodes, n)
	return &s.plan.Nodes[len(s.plan.Nodes)-1]
}

// address is a node's first, with a port.
func (s *script) address(node string, port int) string {
	return netip.AddrPortFrom(s.plan.Node(node).Interfaces[0].Addresses[0].Addr(), uint16(port)).String()
}

// after lets time pass.
func (s *script) after(ms float64) { s.now = s.now.Add(time.Duration(ms * float64(time.Millisecond))) }

// log is the node's, at the script's time.
func (s *script) log(node string) *slog.Logger {
	return event.NewLogger(node, event.SinkFunc(func(r event.Record) {
		r.Time = s.now
		s.records = append(s.records, r)
	}))
}

func (s *script) emit(ctx context.Context, node string, e event.Event) {
	event.Emit(ctx, s.log(node), e)
}

func (s *script) begin(ctx context.Context, node string, e event.Event) context.Context {
	return event.Begin(ctx, s.log(node), e)
}

// server begins a chain of a server's own.
func (s *script) server(kind string) context.Context {
	s.serial++
	return event.WithTrace(s.t.Context(), fmt.Sprintf("%s/%d", kind, s.serial), "")
}

// step runs do as a step of the plan, and ends it with the error that do returns.
func (s *script) step(step topology.Step, do func(ctx context.Context) string) {
	s.plan.Steps = append(s.plan.Steps, step)
	s.run(step, do)
	s.after(2)
}

// run runs do as a step that the plan already holds.
func (s *script) run(step topology.Step, do func(ctx context.Context) string) {
	trace := event.StepTrace + step.ID
	start := s.now
	ctx := s.begin(event.WithTrace(s.t.Context(), trace, ""), "scenario", event.StepStart{Step: step.ID, Action: step.Action, Target: step.Target})
	problem := do(event.WithTrace(s.t.Context(), trace, parentOf(ctx)))
	s.emit(ctx, "scenario", event.StepEnd{Step: step.ID, Duration: s.now.Sub(start).Seconds(), Result: s.result, Error: problem})
	s.result = nil
}

func parentOf(ctx context.Context) string {
	_, parent := event.Cause(ctx)
	return parent
}

// recording is the script as it is read back from a run folder.
func (s *script) recording() *record.Recording {
	var lines bytes.Buffer
	out := event.NewWriter(&lines)
	for _, r := range s.records {
		out.Record(r)
	}
	records, err := event.Read(&lines)
	if err != nil {
		s.t.Fatal(err)
	}
	return &record.Recording{Plan: &s.plan, Records: records}
}

// hop is one server that a resolver asks.
type hop struct {
	server string
	answer event.DNSAnswer
}

// referral sends the resolver on to the servers of a zone.
func referral(server, zone, to string) hop {
	return hop{server, event.DNSAnswer{RCode: "NOERROR", Kind: "referral", Authority: []string{zone + "\t3600\tIN\tNS\t" + to}}}
}

// found is an authoritative answer.
func found(server string, ttl uint32, records ...string) hop {
	return hop{server, event.DNSAnswer{RCode: "NOERROR", Kind: "answer", Authoritative: true, Answer: records, TTL: ttl}}
}

// lookup has a node's stub ask the resolver, which asks the hops in turn; the last answer, or that of cached, goes back.
func (s *script) lookup(ctx context.Context, node, resolver, host, kind string, hops []hop, cached *event.DNSAnswer) {
	s.nextID++
	id, start := s.nextID, s.now
	ask := event.DNSQuery{
		Side: event.SideClient, Local: s.address(node, 50000+int(id)%1000), Remote: s.address(resolver, 53),
		Transport: "udp", QueryID: id, Name: host + ".", Type: kind, Recursion: true,
	}
	below := s.begin(ctx, node, ask)
	s.after(0.4)
	got := ask
	got.Side, got.Local, got.Remote = event.SideServer, ask.Remote, s.seen(node, ask.Local)
	serve := s.begin(s.server("dns"), resolver, got)
	var last event.DNSAnswer
	if cached != nil {
		last = *cached
		last.Cached = true
	}
	for _, h := range hops {
		s.iterate(serve, resolver, host, kind, h)
		last = h.answer
	}
	s.after(0.1)
	last.Authoritative = last.Authoritative && len(hops) == 0
	s.answer(serve, resolver, got, last, start)
	s.after(0.3)
	s.answer(below, node, ask, last, start)
}

// iterate has the resolver put one question to one server.
func (s *script) iterate(ctx context.Context, resolver, host, kind string, h hop) {
	s.nextID++
	s.after(0.2)
	start := s.now
	ask := event.DNSQuery{
		Side: event.SideClient, Remote: s.address(h.server, 53), Transport: "udp", QueryID: s.nextID, Name: host + ".", Type: kind,
	}
	below := s.begin(ctx, resolver, ask)
	if h.answer.Error != "" {
		s.after(1500)
		s.answer(below, resolver, ask, h.answer, start)
		return
	}
	s.after(0.3)
	got := ask
	got.Side, got.Local, got.Remote = event.SideServer, ask.Remote, s.address(resolver, 40000)
	serve := s.begin(s.server("dns"), h.server, got)
	s.answer(serve, h.server, got, h.answer, s.now)
	s.after(0.3)
	s.answer(below, resolver, ask, h.answer, start)
}

func (s *script) answer(ctx context.Context, node string, q event.DNSQuery, a event.DNSAnswer, start time.Time) {
	a.Side, a.Local, a.Remote, a.Transport, a.QueryID, a.Name, a.Type = q.Side, q.Local, q.Remote, q.Transport, q.QueryID, q.Name, q.Type
	if q.Side == event.SideClient {
		a.Duration = s.now.Sub(start).Seconds()
	}
	s.emit(ctx, node, a)
}

// seen is what the outside sees of an address: that of the router which masquerades it.
func (s *script) seen(node, local string) string {
	router := s.plan.Node("home-router")
	if node != "laptop" || router == nil {
		return local
	}
	ap := netip.MustParseAddrPort(local)
	return netip.AddrPortFrom(router.Interfaces[1].Addresses[0].Addr(), ap.Port()).String()
}

// wire is a connection with both its ends.
type wire struct {
	ctx, serve     context.Context
	client, server string
	local, remote  string
	seen           string
	requests       int
	h2             bool // HTTP/2 is spoken on it
	sent, received int64
}

// connect makes a connection from node to server.
func (s *script) connect(ctx context.Context, node, server string, port int) *wire {
	s.port += 2
	w := &wire{client: node, server: server, local: s.address(node, s.port), remote: s.address(server, port)}
	w.seen = s.seen(node, w.local)
	s.after(0.6)
	w.serve = s.begin(s.server("conn"), server, event.SocketAccept{Network: "tcp", Local: w.remote, Remote: w.seen})
	w.ctx = s.begin(ctx, node, event.SocketConnect{Network: "tcp", Local: w.local, Remote: w.remote, Duration: 0.0006})
	return w
}

// request is one request and its response on a connection.
type request struct {
	url, cookie, kind string
	status            int
	location          string
	size              int64
	between           func() // happens while the response arrives
	took              float64
}

func (s *script) request(w *wire, r request) {
	rest := strings.SplitN(strings.TrimPrefix(r.url, "http://"), "/", 2)
	raw := fmt.Sprintf("GET /%s HTTP/1.1\r\nHost: %s\r\n", rest[1], rest[0])
	if r.cookie != "" {
		raw += "Cookie: " + r.cookie + "\r\n"
	}
	q := event.HTTPRequest{
		Side: event.SideClient, Local: w.local, Remote: w.remote, Method: "GET", URL: r.url, Proto: "HTTP/1.1", Host: rest[0],
		UserAgent: "scenario", Cookie: r.cookie, Reused: w.requests > 0, Raw: raw + "\r\n",
	}
	w.requests++
	start := s.now
	sent := s.begin(w.ctx, w.client, q)
	s.after(0.4)
	got := q
	got.Side, got.Local, got.Remote = event.SideServer, w.remote, w.seen
	serve := s.begin(w.serve, w.server, got)
	a := event.HTTPResponse{
		Side: event.SideServer, Local: w.remote, Remote: w.seen, Method: "GET", URL: r.url, Status: r.status, ContentType: r.kind,
		Location: r.location, Size: r.size, Duration: 0.0005,
		Raw: fmt.Sprintf("HTTP/1.1 %d\r\nContent-Type: %s\r\n\r\n", r.status, r.kind), Truncated: r.size,
	}
	s.after(0.5)
	s.emit(serve, w.server, a)
	first := s.now
	if r.between != nil {
		r.between()
	}
	s.after(max(r.took, 0.3))
	a.Side, a.Local, a.Remote = event.SideClient, w.local, w.remote
	a.TTFB, a.Duration = first.Sub(start).Seconds(), s.now.Sub(start).Seconds()
	s.emit(sent, w.client, a)
	w.sent += 180
	w.received += r.size + 160
}

// close closes a connection from the client's end.
func (s *script) close(w *wire) {
	s.after(0.1)
	s.emit(w.ctx, w.client, event.SocketClose{
		Network: "tcp", Local: w.local, Remote: w.remote, By: "local", Sent: w.sent, Received: w.received, Reason: "page complete",
	})
	s.emit(w.serve, w.server, event.SocketClose{
		Network: "tcp", Local: w.remote, Remote: w.seen, By: "remote", Sent: w.received, Received: w.sent,
	})
}
