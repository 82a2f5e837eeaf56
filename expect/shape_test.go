package expect_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/expect"
	"scenario/nodes/role"
	"scenario/topology"
)

// page is a result with everything in it that JSON makes something of.
type page struct {
	failure
	*origin
	Status   int               `json:"status"`
	Title    string            `json:"title"`
	Seen     bool              `json:"seen"`
	Requests []*request        `json:"requests"`
	Headers  map[string]string `json:"headers"`
	Error    *failure          `json:"error,omitempty"`
	Address  netip.Addr        `json:"address"`
	Raw      json.RawMessage   `json:"raw"`
	Data     any               `json:"data"`
	Parent   *page             `json:"parent,omitempty"`
	Plain    string
	Hidden   string `json:"-"`
}

type request struct {
	URL    string   `json:"url"`
	Status int      `json:"status"`
	Hops   []hop    `json:"hops"`
	Failed *failure `json:"failed"`
}

type hop struct {
	Address string `json:"address"`
}

type failure struct {
	Errno string `json:"errno"`
}

type origin struct {
	Remote string `json:"remote"`
	Status string `json:"status"` // the outer one is written
}

// kinds are the roles whose results the tests know.
func kinds() []role.Kind {
	return []role.Kind{{Name: "toy", Actions: []role.Action{
		{Name: "browse", Result: page{}},
		{Name: "point", Result: &page{}},
		{Name: "anything"},
	}}}
}

// planOf is a plan of a few steps, of which one has the expectation.
func planOf(that string) *topology.Plan {
	const run, wait, parallel = topology.ActionRun, topology.ActionWait, topology.ActionParallel
	expected := []topology.Expectation{{Position: "a.yaml:9:9", That: that}}
	return &topology.Plan{Steps: []topology.Step{
		{ID: "first", Role: "toy", Action: "browse"},
		{ID: "program", Action: run},
		{ID: "pause", Action: wait},
		{ID: "unknown", Role: "toy", Action: "anything"},
		{ID: "both", Action: parallel, Parallel: []topology.Step{
			{ID: "left", Role: "toy", Action: "browse"},
			{ID: "both.2", Action: run},
		}},
		{ID: "last", Role: "toy", Action: "point", Expect: expected},
	}}
}

// R38: a field that a result cannot have is a mistake of the file.
func TestCheckResultFields(t *testing.T) {
	tests := []struct{ that, want string }{
		{"result.statuss == 200", "a.yaml:9:9: result has no field statuss; did you mean status?\n" +
			"    result.statuss == 200\n" +
			"           ^"},
		{"steps.first.titel == ''", "a.yaml:9:9: steps.first has no field titel; did you mean title?\n" +
			"    steps.first.titel == ''\n" +
			"                ^"},
		{"result['titel'] == ''", "a.yaml:9:9: result has no field titel; did you mean title?\n" +
			"    result['titel'] == ''\n" +
			"           ^"},
		{"result.requests[0].statuss == 200", "a.yaml:9:9: result.requests[0] has no field statuss; did you mean status?\n" +
			"    result.requests[0].statuss == 200\n" +
			"                       ^"},
		{"result.requests[0].hops[0].adress == ''", "a.yaml:9:9: result.requests[0].hops[0] has no field adress; did you mean address?\n" +
			"    result.requests[0].hops[0].adress == ''\n" +
			"                               ^"},
		{"result.requests.status == 200", "a.yaml:9:9: result.requests is a list: it has no fields, so no status\n" +
			"    result.requests.status == 200\n" +
			"                    ^"},
		{"result.requests[0].status.code == 200", "a.yaml:9:9: result.requests[0].status is a number: it has no fields, so no code\n" +
			"    result.requests[0].status.code == 200\n" +
			"                              ^"},
		{"result.title.seen", "a.yaml:9:9: result.title is a string: it has no fields, so no seen\n" +
			"    result.title.seen\n" +
			"                 ^"},
		{"result.error.message == ''", "a.yaml:9:9: result.error has no field message: it has errno\n" +
			"    result.error.message == ''\n" +
			"                 ^"},
		{"has(result.eror.errno)", "a.yaml:9:9: result has no field eror; did you mean error?\n" +
			"    has(result.eror.errno)\n" +
			"               ^"},
		{"result.Hidden == ''", "a.yaml:9:9: result has no field Hidden: it has " +
			"Plain, address, data, errno, error, headers, parent, raw, remote, requests, seen, status, title\n" +
			"    result.Hidden == ''\n" +
			"           ^"},
		{"steps.program.stdin == ''", "a.yaml:9:9: steps.program has no field stdin: it has exit, left_out, stderr, stdout\n" +
			"    steps.program.stdin == ''\n" +
			"                  ^"},
		{"steps.program.leftout == 0", "a.yaml:9:9: steps.program has no field leftout; did you mean left_out?\n" +
			"    steps.program.leftout == 0\n" +
			"                  ^"},
		{"steps.pause.waited > 0", "a.yaml:9:9: steps.pause is null: it has no fields, so no waited\n" +
			"    steps.pause.waited > 0\n" +
			"                ^"},
		{"steps.both.lefft.status == 200", "a.yaml:9:9: steps.both has no field lefft; did you mean left?\n" +
			"    steps.both.lefft.status == 200\n" +
			"               ^"},
		{"steps.both.left.statuss == 200", "a.yaml:9:9: steps.both.left has no field statuss; did you mean status?\n" +
			"    steps.both.left.statuss == 200\n" +
			"                    ^"},
		{"steps['both.2'].exitt == 0", `a.yaml:9:9: steps["both.2"] has no field exitt; did you mean exit?` + "\n" +
			"    steps['both.2'].exitt == 0\n" +
			"                    ^"},
		{"result.requests.all(r, r.hops.exists(h, h.adress == r.urll))", "a.yaml:9:9: h has no field adress; did you mean address?\n" +
			"    result.requests.all(r, r.hops.exists(h, h.adress == r.urll))\n" +
			"                                              ^\n" +
			"a.yaml:9:9: r has no field urll; did you mean url?\n" +
			"    result.requests.all(r, r.hops.exists(h, h.adress == r.urll))\n" +
			"                                                          ^"},
		{"result.requests.filter(r, r.status == 200)[0].urll == ''", `a.yaml:9:9: result.requests.filter(r, r.status == 200)[0] has no field urll; did you mean url?` + "\n" +
			"    result.requests.filter(r, r.status == 200)[0].urll == ''\n" +
			"                                                  ^"},
		{"result.requests.sortBy(r, r.urll) == []", "a.yaml:9:9: r has no field urll; did you mean url?\n" +
			"    result.requests.sortBy(r, r.urll) == []\n" +
			"                                ^"},
		{"events.exists(e, e.event == 'http.response' && e.status == result.statuss)", "a.yaml:9:9: result has no field statuss; did you mean status?\n" +
			"    events.exists(e, e.event == 'http.response' && e.status == result.statuss)\n" +
			"                                                                      ^"},
	}
	for _, test := range tests {
		err := expect.Check(planOf(test.that), kinds()...)
		if err == nil {
			t.Errorf("%s: no error", test.that)
			continue
		}
		if diff := cmp.Diff(test.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.that, diff)
		}
	}
}

// What may be right is no mistake.
func TestCheckLeavesAloneWhatMayBeThere(t *testing.T) {
	for _, that := range []string{
		"result.status == 200 && result.error.errno == '' && result.Plain == ''",
		"result.errno == '' && result.remote == ''", // of embedded structs
		"result.status.anything == 1",               // two fields by this name
		"has(result.error) || has(result.anything)",
		"result.headers.server == '' && result.headers['Content-Type'].anything == ''",
		"result.address.anything == result.raw.anything && result.data.anything[0].other",
		"result.parent.anything == ''", // a type in itself is followed no further
		"result.requests.map(r, r.hops)[0].anything == ''",
		"result.requests.reverse()[0].anything == ''",
		"result[steps.program.stdout].anything == ''",
		"(result.seen ? result.requests : result.error).anything == ''",
		"steps.unknown.anything.other == 1",
		"steps.both.all(id, steps.both[id].anything == 1)",
		"steps.program.exit == 0 && steps.program.stdout + steps.program.stderr == '' && steps.program.left_out == 0",
		"steps.pause == null && steps.both.left.status == steps.left.status",
		"[{'anything': 1}].all(result, result.anything == 1)",            // hides the result
		"[{'anything': 1}].exists(steps, steps.all(k, k == 'anything'))", // hides the steps
		"result.requests.all(r, [{'anything': 1}].all(r, r.anything == 1))",
		"events.filter(e, e.event == 'http.response').all(e, e.status == 200)",
	} {
		if err := expect.Check(planOf(that), kinds()...); err != nil {
			t.Errorf("%s: %v", that, err)
		}
	}
}

// Without kinds nothing is known of what actions result in.
func TestCheckWithoutKinds(t *testing.T) {
	if err := expect.Check(planOf("result.anything == steps.first.anything")); err != nil {
		t.Error(err)
	}
	if err := expect.Check(planOf("steps.program.exitt == 0")); err == nil {
		t.Error("the result of a program is known always: no error")
	}
}

// places looks whether all mistakes that Check finds have a place and a message.
func places(t *testing.T, plan *topology.Plan) {
	t.Helper()
	err := expect.Check(plan, kinds()...)
	if err == nil {
		return
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		e, ok := errors.AsType[*expect.Error](err)
		if !ok || e.Position == "" || e.Line < 1 || e.Column < 1 || e.Message == "" {
			t.Errorf("error %+v has no place or message", err)
		}
	}
}
