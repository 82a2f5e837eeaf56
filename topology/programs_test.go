package topology_test

import (
	"encoding/json"
	"strings"
	"testing"

	"scenario/nodes/role"
	"scenario/topology"
)

// A role that runs a program of the machine gives its node the machine's programs, and the node plays its roles all the same.
func TestProgramsOfRoles(t *testing.T) {
	kinds := []role.Kind{
		{Name: "client", Options: struct{}{}},
		{Name: "kiosk", Options: struct{}{}, Programs: func(json.RawMessage) []role.Program {
			return []role.Program{{Name: "viewer", Package: "viewers"}}
		}},
	}
	spec, err := topology.Parse("kiosk.yaml", []byte("networks: {lan: 192.168.1.0/24}\nnodes:\n  a: {networks: [lan], kiosk: }\n  b: {networks: [lan]}\n"), kinds)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := topology.Compile(spec, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Node("a").Program
	if p == nil || p.RootFS != "host" || p.For != "kiosk" || len(p.Needs) != 1 || p.Needs[0].Package != "viewers" {
		t.Fatalf("the node with the role has %+v", p)
	}
	var roles []string
	for _, r := range plan.Node("a").Roles {
		roles = append(roles, r.Name)
	}
	if strings.Join(roles, " ") != "client kiosk" {
		t.Errorf("it plays %v", roles)
	}
	if p := plan.Node("b").Program; p != nil {
		t.Errorf("the other node has %+v", p)
	}
}
