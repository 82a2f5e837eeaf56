package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"scenario/nodes/role"
)

// WriteText writes the plan for people. The same plan makes the same text.
func (p *Plan) WriteText(w io.Writer) error {
	t := &textWriter{}
	t.line(0, "%s, seed %d", p.Name, p.Seed)
	if p.Doc != "" {
		t.line(0, "")
		for line := range strings.SplitSeq(p.Doc, "\n") {
			t.line(1, "%s", line)
		}
	}
	t.line(0, "\nnetworks")
	for _, n := range p.Networks {
		t.network(n)
	}
	t.line(0, "\nnodes")
	for i, n := range p.Nodes {
		if i > 0 {
			t.line(0, "")
		}
		t.node(n)
	}
	if len(p.Steps) > 0 {
		t.line(0, "\nsteps")
		t.steps(1, p.Steps)
	}
	if len(p.Expect) > 0 {
		t.line(0, "\nexpect")
		t.expectations(1, "", p.Expect)
	}
	_, err := w.Write(t.Bytes())
	return err
}

type textWriter struct{ bytes.Buffer }

// line writes one line, indented by level; blanks at its end are cut.
func (t *textWriter) line(level int, format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	if text != "" {
		t.WriteString(strings.Repeat("  ", level))
	}
	t.WriteString(text + "\n")
}

func (t *textWriter) network(n Network) {
	internal := ""
	if n.Internal {
		internal = "internal"
	}
	t.line(1, "%-12s %s  %s", n.Name, join(n.Subnets), internal)
}

func (t *textWriter) node(n Node) {
	stage := ""
	if n.Stage > 0 {
		stage = fmt.Sprintf("  stage %d", n.Stage)
	}
	t.line(1, "%s%s", n.Name, stage)
	if len(n.Names) > 0 {
		t.line(2, "names      %s", strings.Join(n.Names, ", "))
	}
	for _, i := range n.Interfaces {
		mtu := ""
		if i.MTU != defaultMTU {
			mtu = fmt.Sprintf("  mtu %d", i.MTU)
		}
		capture := ""
		if i.Capture {
			capture = "  capture"
		}
		t.line(2, "%-10s %-12s %s  %s%s%s", i.Name, i.Network, join(i.Addresses), i.MAC, mtu, capture)
		t.links(i)
	}
	for _, r := range n.Routes {
		t.line(2, "route      %s", r)
	}
	if len(n.NameServers) > 0 {
		t.line(2, "resolver   %s", join(n.NameServers))
	}
	if len(n.Search) > 0 {
		t.line(2, "search     %s", strings.Join(n.Search, ", "))
	}
	if n.Router != nil {
		t.router(n.Router)
	}
	for _, f := range n.Drop {
		t.line(2, "drop       %s", f)
	}
	for _, r := range n.Roles {
		t.role(r)
	}
	if n.Program != nil {
		t.program(n.Program)
	}
}

// links writes what an interface's link does, in one line where both ways do the same.
func (t *textWriter) links(i Interface) {
	if i.Up != nil && i.Down != nil && i.Up.String() == i.Down.String() {
		t.line(3, "link     %s", i.Up)
		return
	}
	if i.Up != nil {
		t.line(3, "up       %s", i.Up)
	}
	if i.Down != nil {
		t.line(3, "down     %s", i.Down)
	}
}

func (t *textWriter) router(r *Router) {
	for _, m := range r.Masquerade {
		t.line(2, "masquerade %s", m.Interface)
	}
	for _, f := range r.Forwards {
		t.line(2, "forward    %s %d/%s -> %s", f.Interface, f.Port, f.Protocol, f.To)
	}
	for _, name := range r.Isolated {
		t.line(2, "isolated   %s", name)
	}
}

// role writes a role with its options as YAML.
func (t *textWriter) role(r Role) {
	t.line(2, "role       %s", r.Name)
	t.certificate(r.Certificate)
	var options yaml.Node
	if yaml.Unmarshal(r.Options, &options) != nil || len(options.Content) == 0 || len(options.Content[0].Content) == 0 {
		return
	}
	plainStyle(&options)
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if encoder.Encode(&options) != nil {
		return
	}
	for line := range strings.Lines(text.String()) {
		t.line(3, "%s", strings.TrimSuffix(line, "\n"))
	}
}

// plainStyle has a value written on lines of their own, without quotes that are not needed.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, part := range n.Content {
		plainStyle(part)
	}
}

func (t *textWriter) program(p *Program) {
	if p.Image != "" {
		t.line(2, "image      %s", p.Image)
	}
	if p.RootFS != "" {
		t.line(2, "rootfs     %s%s", p.RootFS, forRole(p.For))
	}
	if len(p.Command) > 0 {
		t.line(2, "command    %s", commandLine(p.Command))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Environment)) {
		t.line(2, "env        %s=%s", name, p.Environment[name])
	}
	for _, v := range p.Volumes {
		t.line(2, "volume     %s -> %s", v.Source, v.Target)
	}
	t.certificate(p.Certificate)
}

func forRole(role string) string {
	if role == "" {
		return ""
	}
	return " (for the role " + role + ")"
}

// certificate writes whom a certificate is for, and what is wrong with it.
func (t *textWriter) certificate(c *Certificate) {
	if c == nil {
		return
	}
	flaw := ""
	if c.Flaw != role.NoFlaw {
		flaw = fmt.Sprintf(" (%s)", c.Flaw)
	}
	t.line(2, "certificate %s%s", strings.Join(c.For, ", "), flaw)
}

func (t *textWriter) steps(level int, steps []Step) {
	width := 4
	for _, s := range steps {
		width = max(width, len(s.ID))
	}
	for i := range steps {
		s := &steps[i]
		what := s.Target
		if s.Action == ActionRun {
			what = commandLine(s.Command)
		}
		text := strings.Join(strings.Fields(s.Node+" "+s.Action), " ")
		if what != "" {
			text += " " + what
		}
		if args := s.furtherArgs(); args != "" {
			text += " " + args
		}
		if s.Title != "" {
			text += "  (" + s.Title + ")"
		}
		if s.Timeout > 0 && time.Duration(s.Timeout) != defaultTimeout {
			text += fmt.Sprintf("  timeout %s", time.Duration(s.Timeout))
		}
		t.line(level, "%-*s  %s  # %s", width, s.ID, text, s.Position)
		t.steps(level+2, s.Parallel)
		t.expectations(level+3, "expect ", s.Expect)
	}
}

// furtherArgs writes the arguments of an action that its target does not tell already.
func (s *Step) furtherArgs() string {
	var args map[string]json.RawMessage
	if json.Unmarshal(s.Args, &args) != nil || len(args) == 0 || len(args) == 1 && s.Target != "" {
		return ""
	}
	return string(s.Args)
}

func (t *textWriter) expectations(level int, prefix string, expectations []Expectation) {
	for _, e := range expectations {
		t.line(level, "%s%s", prefix, strings.Join(strings.Fields(e.That), " "))
		if e.Because != "" {
			t.line(level+1, "because %s", strings.Join(strings.Fields(e.Because), " "))
		}
	}
}

// String writes the route as ip route does.
func (r Route) String() string {
	to := r.Destination.String()
	if r.Destination.Bits() == 0 {
		to = "default"
	}
	return fmt.Sprintf("%s via %s dev %s", to, r.Gateway, r.Interface)
}

// String writes the filter as a file has it.
func (f Filter) String() string {
	if f.Port == 0 {
		return f.Protocol
	}
	return fmt.Sprintf("%s/%d", f.Protocol, f.Port)
}

func join[T netip.Addr | netip.Prefix](list []T) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}
