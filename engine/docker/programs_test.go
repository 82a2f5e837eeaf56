package docker

import (
	"strings"
	"testing"

	"scenario/nodes/role"
)

// What a role needs and this machine lacks is told with the package that has it.
func TestMissingPrograms(t *testing.T) {
	for _, c := range []struct {
		needs []role.Program
		want  string // part of what is told; empty: nothing
	}{
		{nil, ""},
		{[]role.Program{{Name: "env"}}, ""},
		{[]role.Program{{Name: "/usr/bin/env"}}, ""},
		{[]role.Program{{Name: "/bin/env"}}, "check the name"}, // only /usr is there
		{[]role.Program{{Name: "/usr/../etc/passwd"}}, "check the name"},
		{[]role.Program{{Name: "env"}, {Name: "no-such-browser", Package: "chromium"}}, "apt-get install chromium"},
	} {
		got := missingPrograms(c.needs)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("missingPrograms(%v) = %q, want %q", c.needs, got, c.want)
		}
	}
}
