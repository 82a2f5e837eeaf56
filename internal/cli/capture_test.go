package cli

import (
	"strings"
	"testing"

	"scenario/topology"
)

// R37: a capture of any link.
func TestCapture(t *testing.T) {
	for _, c := range []struct{ links, want, err string }{
		{links: "all", want: "laptop-home laptop-office server-home"},
		{links: "laptop", want: "laptop-home laptop-office"},
		{links: "laptop:office,server:home", want: "laptop-office server-home"},
		{links: "laptopp", err: "--capture laptopp: no such node: laptopp: did you mean laptop?"},
		{links: "printer", err: "--capture printer: no such node: printer: there are laptop, server"},
		{links: "server:office", err: "--capture server:office: node server is not on office: there are home"},
	} {
		t.Run(c.links, func(t *testing.T) {
			plan := &topology.Plan{Nodes: []topology.Node{
				{Name: "laptop", Interfaces: []topology.Interface{{Network: "home"}, {Network: "office"}}},
				{Name: "server", Interfaces: []topology.Interface{{Network: "home"}}},
			}}
			err := capture(plan, strings.Split(c.links, ","))
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("error %v, want %s", err, c.err)
				}
				return
			}
			var got []string
			for _, node := range plan.Nodes {
				for _, itf := range node.Interfaces {
					if itf.Capture {
						got = append(got, node.Name+"-"+itf.Network)
					}
				}
			}
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("captured %v, error %v, want %s", got, err, c.want)
			}
		})
	}
}

// R37: keys for what is captured; where nothing is, the wish is a mistake.
func TestKeepKeys(t *testing.T) {
	for _, c := range []struct{ captured, wanted, kept, mistake bool }{
		{captured: true, wanted: true, kept: true},
		{captured: true},
		{wanted: true, mistake: true},
		{},
	} {
		plan := &topology.Plan{Nodes: []topology.Node{{Name: "laptop", Interfaces: []topology.Interface{{Network: "home", Capture: c.captured}}}}}
		if err := keepKeys(plan, c.wanted); plan.TLSKeys != c.kept || (err != nil) != c.mistake {
			t.Errorf("%+v: kept %t, error %v", c, plan.TLSKeys, err)
		}
	}
}
