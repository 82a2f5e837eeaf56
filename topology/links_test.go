package topology

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/fabric/link"
)

func compiled(t *testing.T, src string) *Plan {
	t.Helper()
	spec, err := Parse("x.yaml", []byte(src), testKinds())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Compile(spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func planText(t *testing.T, plan *Plan) string {
	t.Helper()
	var text strings.Builder
	if err := plan.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// checkLinks holds the plan's links to what fabric/link takes.
func checkLinks(t *testing.T, plan *Plan) {
	t.Helper()
	for _, n := range plan.Nodes {
		for _, i := range n.Interfaces {
			for _, l := range []*Link{i.Up, i.Down} {
				if err := l.Settings().Validate(); err != nil {
					t.Errorf("%s, %s: %s: %v", n.Name, i.Name, l, err)
				}
			}
		}
	}
}

// R33: quantities as users of tc write them.
func TestLinkQuantities(t *testing.T) {
	for _, test := range []struct {
		written string
		want    link.Settings
	}{
		{"delay: 0s", link.Settings{}},
		{"delay: 1500us", link.Settings{Delay: 1_500_000}},
		{"loss: 0.3%", link.Settings{Loss: 0.003}},
		{"loss: 100 %", link.Settings{Loss: 1}},
		{"loss: 0.07", link.Settings{Loss: 0.07}},
		{"loss: '0.07'", link.Settings{Loss: 0.07}},
		{"loss: 1e-3", link.Settings{Loss: 0.001}},
		{"rate: 1000", link.Settings{Rate: 1000, Queue: link.Queue{Packets: link.DefaultQueue}}},
		{"rate: 2e7", link.Settings{Rate: 2e7, Queue: link.Queue{Packets: link.DefaultQueue}}},
		{"rate: 1.5Gbit, queue: 7p", link.Settings{Rate: 15e8, Queue: link.Queue{Packets: 7}}},
		{"rate: 8 kibit, queue: 1 packet", link.Settings{Rate: 8192, Queue: link.Queue{Packets: 1}}},
		{"rate: 1tbit, queue: 64kb", link.Settings{Rate: 1e12, Queue: link.Queue{Bytes: 65536}}},
		{"rate: 1mbit, queue: 1.5 KiB", link.Settings{Rate: 1e6, Queue: link.Queue{Bytes: 1536}}},
		{"rate: 1mbit, queue: 3000b", link.Settings{Rate: 1e6, Queue: link.Queue{Bytes: 3000}}},
		{"burst: {p: 1%, r: 20%}", link.Settings{Burst: link.Burst{Enter: 0.01, Leave: 0.2, Bad: 1}}},
		{"delay: 1ms, jitter: 2ms, distribution: pareto, reorder: 5%",
			link.Settings{Delay: 1e6, Jitter: 2e6, Distribution: link.Pareto, Reorder: 0.05}},
	} {
		plan := compiled(t, "networks: {n: {link: {"+test.written+"}}}\nnodes: {a: {networks: [n]}}")
		i := plan.Nodes[0].Interfaces[0]
		if diff := cmp.Diff(test.want, i.Up.Settings()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.written, diff)
		}
		if diff := cmp.Diff(i.Up, i.Down); diff != "" {
			t.Errorf("%s: -up +down:\n%s", test.written, diff)
		}
		if clean := test.want == (link.Settings{}); clean != (i.Up == nil) {
			t.Errorf("%s: the link is %v", test.written, i.Up)
		}
		checkLinks(t, plan)
	}
}

// R33: links change what happens to packets, and nothing else of the plan.
func TestLinksChangeNothingElse(t *testing.T) {
	const rest = "\nnodes:\n  a: {networks: [n, m]}\n  r: {networks: [n, m], router: }\n  b: {networks: [m]}"
	clean := compiled(t, "networks: {n: {internal: true}, m: }"+rest)
	shaped := compiled(t, "networks: {n: {internal: true, link: {loss: 1%}, capture: true}, m: {link: {delay: 1s}}}"+rest)
	for n := range shaped.Nodes {
		for i := range shaped.Nodes[n].Interfaces {
			port := &shaped.Nodes[n].Interfaces[i]
			if port.Up == nil || port.Down == nil || port.Capture != (port.Network == "n") {
				t.Errorf("%s, %s: up %v, down %v, capture %v", shaped.Nodes[n].Name, port.Name, port.Up, port.Down, port.Capture)
			}
			port.Up, port.Down, port.Capture = nil, nil, false
		}
	}
	if a, b := planText(t, clean), planText(t, shaped); a != b {
		t.Errorf("-clean +shaped:\n%s", cmp.Diff(a, b))
	}
}

// R33: every way of every link has randomness of its own, which the seed decides.
func TestLinkSeeds(t *testing.T) {
	seen := make(map[uint64]bool)
	for _, n := range []Node{{Seed: 1}, {Seed: 2}} {
		for _, name := range []string{"eth0", "eth1"} {
			up, down := n.LinkSeeds(name)
			seen[up], seen[down] = true, true
			if upAgain, downAgain := n.LinkSeeds(name); up != upAgain || down != downAgain {
				t.Errorf("%s: other seeds the second time", name)
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d different seeds of 8", len(seen))
	}
}
