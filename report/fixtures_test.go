package report

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"testing"

	"scenario/event"
	"scenario/topology"
)

// fixtures are the recordings that the goldens are made from.
func fixtures(t *testing.T) map[string]*script {
	return map[string]*script{
		"browse": browse(t), "errors": failures(t), "hops": hopsAndPings(t), "chat": conversations(t), "expect": verdicts(t),
		"sockets": sockets(t), "https": secure(t),
	}
}

// web is a laptop behind NAT, the DNS from the root, and the hosts of a page.
func web(t *testing.T, name, doc string) *script {
	s := newScript(t, name, doc)
	s.plan.Nodes = make([]topology.Node, 0, 20)
	s.node("laptop", "192.168.1.10")
	router := s.node("home-router", "192.168.1.1", "203.0.113.2")
	router.Router = &topology.Router{
		Masquerade: []topology.Masquerade{{Interface: "eth1"}},
		Forwards:   []topology.PortForward{{Interface: "eth1", Protocol: "tcp", Port: 8080, To: netip.MustParseAddrPort("192.168.1.10:80")}},
	}
	for node, a := range map[string]string{
		"isp-dns": "198.18.0.53", "root": "198.18.0.1", "tld": "198.18.0.2", "ns": "198.18.0.3",
		"shop": "198.18.1.10", "cdn": "198.18.1.20", "ads": "198.18.1.30",
	} {
		s.node(node, a)
	}
	sortNodes(s)
	for _, server := range []string{"shop", "cdn", "ads"} {
		s.emit(t.Context(), server, event.SocketListen{Network: "tcp", Local: "0.0.0.0:80"})
		s.emit(t.Context(), server, event.NodeReady{Roles: []string{"client", "web"}})
	}
	s.after(5)
	return s
}

func browse(t *testing.T) *script {
	s := web(t, "browse", "A laptop at home opens a shop's page.\n\nThe page has pictures on another host and an advertisement.\n")
	first := topology.Step{
		ID: "first", Position: "browse.yaml:61:5", Node: "laptop", Role: "browser", Action: "browse", Target: "http://shop.example/",
		Expect: []topology.Expectation{{That: "result.status == 200", Position: "browse.yaml:64:9"}},
	}
	s.step(first, func(ctx context.Context) string { return openShop(s, ctx) })
	s.emit(t.Context(), "scenario", event.ExpectPass{Step: "first", Expression: "result.status == 200"})
	again := topology.Step{ID: "again", Position: "browse.yaml:66:5", Node: "laptop", Role: "browser", Action: "browse", Target: "http://shop.example/"}
	s.step(again, func(ctx context.Context) string { return openShopAgain(s, ctx) })
	s.emit(t.Context(), "home-router", event.NodeExit{})
	return s
}

// chainTo is the way from the root to an answer.
func chainTo(zone string, ttl uint32, records ...string) []hop {
	return []hop{referral("root", "example.", "tld.example."), referral("tld", zone, "ns."+zone), found("ns", ttl, records...)}
}

func openShop(s *script, outer context.Context) string {
	const url = "http://shop.example/"
	start := s.now
	since := func() float64 { return s.now.Sub(start).Seconds() }
	ctx := s.begin(outer, "laptop", event.PageMilestone{Milestone: "url", URL: url})
	s.after(0.1)
	s.lookup(ctx, "laptop", "isp-dns", "shop.example", "A", chainTo("shop.example.", 300, "shop.example.\t300\tIN\tA\t198.18.1.10"), nil)
	shop := s.connect(ctx, "laptop", "shop", 80)
	asset := func(url, kind string, third bool, bytes int64, complete bool) {
		s.after(0.15)
		s.emit(ctx, "laptop", event.HTMLAsset{Page: "http://shop.example/", URL: url, Destination: kind, Initiator: "parser", ThirdParty: third, PageBytes: bytes, Complete: complete})
	}
	var second *wire
	s.request(shop, request{url: url, kind: "text/html; charset=utf-8", status: 200, size: 4096, took: 6, between: func() {
		s.emit(ctx, "laptop", event.PageMilestone{Milestone: "first_byte", URL: url, Since: since()})
		s.emit(ctx, "laptop", event.CookieStore{URL: url, Name: "visitor", Value: "7f3a", Domain: "shop.example", HostOnly: true, Path: "/", Expires: "2026-04-13T09:26:53Z", Change: "new"})
		asset("http://shop.example/style.css", "style", false, 512, false)
		second = s.connect(ctx, "laptop", "shop", 80)
		asset("http://shop.example/shop.js", "script", false, 512, false)
		asset("http://cdn.shop.example/pictures/large/teapot-from-the-north-with-a-long-name.png", "image", false, 1024, false)
		asset("http://ads.example/banner.js?site=shop.example", "script", true, 2048, false)
		s.request(second, request{url: "http://shop.example/style.css", kind: "text/css", status: 200, size: 2100, cookie: "visitor=7f3a"})
		s.emit(ctx, "laptop", event.CookieSend{URL: "http://shop.example/style.css", Name: "visitor", Value: "7f3a"})
	}})
	s.request(second, request{url: "http://shop.example/shop.js", kind: "text/javascript", status: 200, size: 880, cookie: "visitor=7f3a"})
	s.emit(ctx, "laptop", event.CookieSend{URL: "http://shop.example/shop.js", Name: "visitor", Value: "7f3a"})
	asset("http://shop.example/missing.png", "image", false, 4096, true)
	asset("http://gone.example/pixel.gif", "image", true, 4096, true)
	s.emit(ctx, "laptop", event.PageMilestone{Milestone: "parsed", URL: url, Since: since()})
	s.lookup(ctx, "laptop", "isp-dns", "cdn.shop.example", "A", []hop{
		found("ns", 60, "cdn.shop.example.\t60\tIN\tCNAME\tedge.shop.example.", "edge.shop.example.\t60\tIN\tA\t198.18.1.20"),
	}, nil)
	cdn := s.connect(ctx, "laptop", "cdn", 80)
	s.request(cdn, request{url: "http://cdn.shop.example/pictures/large/teapot-from-the-north-with-a-long-name.png", kind: "image/png", status: 200, size: 48211, took: 9})
	s.request(shop, request{url: "http://shop.example/missing.png", kind: "text/plain", status: 404, size: 19, cookie: "visitor=7f3a"})
	s.emit(ctx, "laptop", event.CookieSend{URL: "http://shop.example/missing.png", Name: "visitor", Value: "7f3a"})
	s.lookup(ctx, "laptop", "isp-dns", "ads.example", "A", []hop{referral("tld", "ads.example.", "ns.ads.example."), found("ns", 300, "ads.example.\t300\tIN\tA\t198.18.1.30")}, nil)
	ads := s.connect(ctx, "laptop", "ads", 80)
	s.request(ads, request{url: "http://ads.example/banner.js?site=shop.example", kind: "text/javascript", status: 200, size: 5120})
	s.emit(ctx, "laptop", event.CookieBlock{URL: "http://ads.example/banner.js?site=shop.example", Name: "track", Op: "store", Reason: "third-party cookies are blocked"})
	s.lookup(ctx, "laptop", "isp-dns", "gone.example", "A", []hop{{"tld", event.DNSAnswer{RCode: "NXDOMAIN", Kind: "nxdomain", Authoritative: true}}}, nil)
	s.emit(ctx, "laptop", event.PageMilestone{Milestone: "load", URL: url, Since: since()})
	for _, w := range []*wire{shop, second, cdn, ads} {
		s.close(w)
	}
	s.emit(ctx, "laptop", event.PageLoad{
		URL: url, Status: 200, Title: "The \x1b[31mshop\x1b[0m\u202e", Requests: 6, Failed: 2, Connections: 4, Lookups: 4, Bytes: 60426, Duration: since(),
	})
	return ""
}

func openShopAgain(s *script, outer context.Context) string {
	const url = "http://shop.example/"
	ctx := s.begin(outer, "laptop", event.PageMilestone{Milestone: "url", URL: url})
	start := s.now
	s.lookup(ctx, "laptop", "isp-dns", "shop.example", "A", nil, &event.DNSAnswer{RCode: "NOERROR", Kind: "answer", Answer: []string{"shop.example. 288 IN A 198.18.1.10"}, TTL: 288})
	shop := s.connect(ctx, "laptop", "shop", 80)
	s.emit(ctx, "laptop", event.CookieSend{URL: url, Name: "visitor", Value: "7f3a"})
	s.request(shop, request{url: url, status: 302, location: "/welcome-back", cookie: "visitor=7f3a"})
	s.emit(ctx, "laptop", event.PageMilestone{Milestone: "redirect", URL: "http://shop.example/welcome-back"})
	s.request(shop, request{url: "http://shop.example/welcome-back", kind: "text/html", status: 200, size: 900, cookie: "visitor=7f3a"})
	s.emit(ctx, "laptop", event.PageMilestone{Milestone: "load", URL: "http://shop.example/welcome-back"})
	s.close(shop)
	s.emit(ctx, "laptop", event.PageLoad{URL: url, Status: 200, Title: "Welcome back", Requests: 2, Connections: 1, Lookups: 1, Bytes: 900, Duration: s.now.Sub(start).Seconds()})
	return ""
}

// failures is a page load for each way it can go wrong, and the client's own actions.
func failures(t *testing.T) *script {
	s := web(t, "errors", "")
	open := func(id, url string, do func(ctx context.Context)) {
		s.step(topology.Step{ID: id, Node: "laptop", Role: "browser", Action: "browse", Target: url}, func(outer context.Context) string {
			start := s.now
			ctx := s.begin(outer, "laptop", event.PageMilestone{Milestone: "url", URL: url})
			do(ctx)
			s.emit(ctx, "laptop", event.PageLoad{URL: url, Failed: 1, Requests: 1, Duration: s.now.Sub(start).Seconds(), Error: "the page could not be got"})
			return ""
		})
	}
	fail := func(ctx context.Context, remote, errno, meaning string, took float64) {
		s.after(took)
		s.emit(ctx, "laptop", event.SocketError{Network: "tcp", Op: "connect", Remote: remote, Errno: errno, Error: "connect: " + errno, Meaning: meaning, Duration: took / 1000})
	}
	open("no-name", "http://nowhere.example/", func(ctx context.Context) {
		s.lookup(ctx, "laptop", "isp-dns", "nowhere.example", "A", []hop{
			referral("root", "example.", "tld.example."), {"tld", event.DNSAnswer{RCode: "NXDOMAIN", Kind: "nxdomain", Authoritative: true}},
		}, nil)
	})
	open("no-server", "http://broken.example/", func(ctx context.Context) {
		s.lookup(ctx, "laptop", "isp-dns", "broken.example", "A", []hop{
			referral("tld", "broken.example.", "ns.broken.example."), {"ns", event.DNSAnswer{Error: "timeout"}},
			{"ns", event.DNSAnswer{RCode: "SERVFAIL", Kind: "error", ExtendedError: "22 No Reachable Authority"}},
		}, nil)
	})
	open("refused", "http://198.18.1.10:81/", func(ctx context.Context) {
		fail(ctx, "198.18.1.10:81", "ECONNREFUSED", "the machine answered that nothing listens on this port", 0.5)
	})
	open("unreachable", "http://10.9.9.9/", func(ctx context.Context) {
		fail(ctx, "10.9.9.9:80", "EHOSTUNREACH", "a router on the way could not deliver the packet, or no machine on its network has the address", 3.1)
	})
	open("timeout", "http://198.18.1.30:9/", func(ctx context.Context) {
		fail(ctx, "198.18.1.30:9", "ETIMEDOUT", "no answer came in time: packets are dropped on the way, or the other end does not answer", 5000)
	})
	open("missing", "http://198.18.1.10/nothing", func(ctx context.Context) {
		w := s.connect(ctx, "laptop", "shop", 80)
		s.request(w, request{url: "http://198.18.1.10/nothing", status: 404, kind: "text/plain", size: 19})
		s.close(w)
	})
	s.step(topology.Step{ID: "lookup", Node: "laptop", Role: "client", Action: "lookup", Target: "www.shop.example"}, func(ctx context.Context) string {
		s.lookup(ctx, "laptop", "isp-dns", "www.shop.example", "AAAA", []hop{{"ns", event.DNSAnswer{RCode: "NOERROR", Kind: "nodata", Authoritative: true}}}, nil)
		return ""
	})
	s.step(topology.Step{ID: "forwarded", Node: "shop", Role: "client", Action: "fetch", Target: "http://203.0.113.2:8080/"}, func(ctx context.Context) string {
		s.after(1)
		serve := s.begin(s.server("conn"), "laptop", event.SocketAccept{Network: "tcp", Local: "192.168.1.10:80", Remote: "198.18.1.10:40900"})
		c := s.begin(ctx, "shop", event.SocketConnect{Network: "tcp", Local: "198.18.1.10:40900", Remote: "203.0.113.2:8080", Duration: 0.001})
		w := &wire{ctx: c, serve: serve, client: "shop", server: "laptop", local: "198.18.1.10:40900", remote: "203.0.113.2:8080", seen: "198.18.1.10:40900"}
		s.request(w, request{url: "http://203.0.113.2:8080/", status: 200, kind: "text/plain", size: 12})
		return ""
	})
	s.step(topology.Step{ID: "program", Node: "laptop", Action: topology.ActionRun, Target: "curl -s http://shop.example/", Command: []string{"curl"}}, func(ctx context.Context) string {
		s.after(12)
		s.emit(ctx, "laptop", event.LogLine{Stream: "stdout", Message: "<h1>Shop\x1b]0;owned\x07</h1>"})
		s.emit(ctx, "laptop", event.LogLine{Stream: "stderr", Message: "curl: (18) transfer closed"})
		s.result = json.RawMessage(`{"exit":18}`)
		return ""
	})
	s.plan.Steps = append(s.plan.Steps, topology.Step{ID: "never", Node: "laptop", Action: "browse", Target: "http://shop.example/"})
	return s
}

func hopsAndPings(t *testing.T) *script {
	s := newScript(t, "hops", "")
	s.plan.Nodes = make([]topology.Node, 0, 8)
	for node, a := range map[string]string{"a": "10.0.0.10", "r1": "10.0.0.1", "r2": "10.1.0.2", "b": "10.3.0.10"} {
		s.node(node, a)
	}
	sortNodes(s)
	echo := func(ctx context.Context, e event.ICMPEcho) {
		e.To = "10.3.0.10"
		s.after(e.Duration * 1000)
		s.emit(ctx, "a", e)
	}
	s.step(topology.Step{ID: "1", Node: "a", Role: "client", Action: "ping", Target: "b"}, func(ctx context.Context) string {
		echo(ctx, event.ICMPEcho{TTL: 64, Sequence: 1, From: "10.3.0.10", Reply: "echo-reply", Duration: 0.00042})
		echo(ctx, event.ICMPEcho{TTL: 64, Sequence: 2, Duration: 1, Error: "timeout"})
		echo(ctx, event.ICMPEcho{TTL: 64, Sequence: 3, From: "10.1.0.2", Reply: "destination-unreachable", Duration: 0.0008})
		return ""
	})
	s.step(topology.Step{ID: "2", Node: "a", Role: "client", Action: "traceroute", Target: "b"}, func(ctx context.Context) string {
		for i, from := range []string{"10.0.0.1", "", "10.1.0.2", "10.3.0.10"} {
			for n := range 3 {
				e := event.ICMPEcho{TTL: i + 1, Sequence: 3*i + n, From: from, Reply: "time-exceeded", Duration: 0.0003 * float64(i+1)}
				switch {
				case from == "":
					e.Error, e.Reply, e.Duration = "timeout", "", 1
				case i == 3:
					e.Reply = "echo-reply"
				}
				echo(ctx, e)
			}
		}
		return ""
	})
	return s
}

func conversations(t *testing.T) *script {
	s := newScript(t, "chat", "")
	s.plan.Nodes = make([]topology.Node, 0, 8)
	for node, a := range map[string]string{"room": "10.0.0.1", "alice": "10.0.0.2", "bob": "10.0.0.3"} {
		s.node(node, a)
	}
	sortNodes(s)
	s.emit(t.Context(), "room", event.SocketListen{Network: "tcp", Local: "0.0.0.0:7000"})
	wires := make(map[string]*wire)
	join := func(node string, others ...string) {
		s.step(topology.Step{ID: "join-" + node, Node: node, Role: "chat", Action: "join", Target: "room"}, func(ctx context.Context) string {
			wires[node] = s.connect(ctx, node, "room", 7000)
			s.emit(ctx, node, event.ChatJoin{Side: event.SideClient, Name: node, Remote: wires[node].remote})
			s.after(0.3)
			s.emit(wires[node].serve, "room", event.ChatJoin{Side: event.SideServer, Name: node, Remote: wires[node].seen})
			for _, other := range others {
				s.after(0.2)
				s.emit(wires[other].ctx, other, event.ChatJoin{Side: event.SideClient, Name: node})
			}
			return ""
		})
	}
	say := func(id, node, text, other string) {
		s.step(topology.Step{ID: id, Node: node, Role: "chat", Action: "say", Target: text}, func(ctx context.Context) string {
			s.emit(ctx, node, event.ChatMessage{Side: event.SideClient, Name: node, Text: text})
			s.after(0.3)
			s.emit(wires[node].serve, "room", event.ChatMessage{Side: event.SideServer, Name: node, Text: text})
			s.after(0.3)
			s.emit(wires[other].ctx, other, event.ChatMessage{Side: event.SideClient, Name: node, Text: text})
			return ""
		})
	}
	join("alice")
	join("bob", "alice")
	say("hello", "alice", "Hello, Bob! Is the teapot from the north still to be had?", "bob")
	say("reply", "bob", "It is.", "alice")
	s.step(topology.Step{ID: "leave", Node: "bob", Role: "chat", Action: "leave"}, func(ctx context.Context) string {
		s.emit(ctx, "bob", event.ChatLeave{Side: event.SideClient, Name: "bob"})
		s.after(0.3)
		s.emit(wires["bob"].serve, "room", event.ChatLeave{Side: event.SideServer, Name: "bob"})
		s.after(0.3)
		s.emit(wires["alice"].ctx, "alice", event.ChatLeave{Side: event.SideClient, Name: "bob"})
		s.close(wires["bob"])
		return ""
	})
	return s
}

// verdicts is a run whose expectations hold, fail and are never checked, with steps side by side and a node that is lost.
func verdicts(t *testing.T) *script {
	s := newScript(t, "expect", "")
	s.plan.Nodes = make([]topology.Node, 0, 8)
	s.node("a", "10.0.0.2")
	inner := []topology.Step{
		{ID: "2.1", Node: "a", Role: "client", Action: "lookup", Target: "x.example", Expect: []topology.Expectation{
			{That: "result.rcode == 'NOERROR'", Because: "x.example is served by ns", Position: "expect.yaml:12:9"},
		}},
		{ID: "2.2", Action: topology.ActionWait, Target: "10ms"},
	}
	s.step(topology.Step{ID: "1", Action: topology.ActionWait, Target: "1s"}, func(context.Context) string {
		s.after(1000)
		return ""
	})
	both := topology.Step{ID: "2", Action: topology.ActionParallel, Position: "expect.yaml:9:3", Parallel: inner}
	s.step(both, func(context.Context) string {
		s.run(inner[0], func(context.Context) string { s.after(3); return "" })
		s.emit(t.Context(), "scenario", event.ExpectFail{
			Step: "2.1", Expression: "result.rcode == 'NOERROR'", Reason: "result.rcode is 'SERVFAIL'\nresult.error is \x00'<none>'",
		})
		s.run(inner[1], func(context.Context) string { s.after(10); return "" })
		return ""
	})
	s.plan.Expect = []topology.Expectation{
		{That: "events.exists(e,\n  e.event == 'page.load')", Position: "expect.yaml:20:5"},
		{That: "size(steps) == 2", Position: "expect.yaml:21:5"},
	}
	s.emit(t.Context(), "scenario", event.ExpectPass{Expression: "size(steps) == 2"})
	s.emit(t.Context(), "a", event.NodeExit{Error: "role client: out of memory"})
	s.emit(t.Context(), "scenario", event.Fault{Fault: "lost", Target: "a", Detail: "the container ended"})
	return s
}

// plan is the script's plan as it is read back from a run folder.
func (s *script) planText() []byte {
	text, err := json.MarshalIndent(&s.plan, "", "  ")
	if err != nil {
		s.t.Fatal(err)
	}
	return append(text, '\n')
}

func sortNodes(s *script) {
	byName := func(a, b topology.Node) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(s.plan.Nodes, byName)
}
