package topology

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"scenario/nodes/role"
)

// defaultTimeout is how long a step may take that does not say it. A step of steps side by side takes as long as they
// may; a pause takes as long as it says.
const defaultTimeout = 30 * time.Second

// steps makes the plan's steps and notes what is wrong with them.
func (s *Spec) steps(errs *mistakes) []Step {
	b := stepBuilder{spec: s, errs: errs, ids: make(map[string]Position)}
	return b.all(s.Steps, "")
}

type stepBuilder struct {
	spec *Spec
	errs *mistakes
	ids  map[string]Position // names of steps, and where they were given
}

func (b *stepBuilder) all(specs []StepSpec, prefix string) []Step {
	var steps []Step
	for i := range specs {
		steps = append(steps, b.one(&specs[i], prefix+strconv.Itoa(i+1)))
	}
	return steps
}

// one makes a step whose place is id.
func (b *stepBuilder) one(s *StepSpec, id string) Step {
	step := Step{
		ID: b.id(s, id), Position: b.spec.source.place(s.At), Title: s.Title.Value,
		Timeout: Duration(s.Timeout.Duration), Expect: b.spec.expectations(s.Expect),
	}
	b.checkOneAction(s)
	switch {
	case s.has(ActionWait):
		b.needNoNode(s, "a pause needs no node")
		if s.Timeout.given() {
			b.errs.add(s.Timeout.At, "a pause has no timeout", "take it away: it takes as long as wait says")
		}
		step.Action, step.Wait = ActionWait, Duration(s.Wait.Duration)
		step.Target = s.Wait.Value
		return step
	case s.has(ActionParallel):
		b.needNoNode(s, "steps side by side need no node of their own")
		step.Action = ActionParallel
		step.Parallel = b.all(s.Parallel, id+".")
		return step
	}
	step.Node = s.Node.Value
	if step.Timeout == 0 {
		step.Timeout = Duration(defaultTimeout)
	}
	node := b.node(s)
	switch {
	case s.has(ActionRun):
		step.Action, step.Command, step.Target = ActionRun, s.Run.Args, commandLine(s.Run.Args)
		if node != nil && !node.Value.hasProgram() {
			b.errs.add(s.key(ActionRun).at, fmt.Sprintf("node %s has no programs to run", node.Name), b.nodesThat("run programs", (*NodeSpec).hasProgram))
		}
	case len(s.Actions) > 0:
		b.action(s, &step, node)
	}
	return step
}

// stepName is what a step can be called: no place of a step looks like it, and CEL reads it as steps.NAME or
// steps['NAME'].
var stepName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

func (b *stepBuilder) id(s *StepSpec, place string) string {
	if !s.Name.given() {
		return place
	}
	name := s.Name.Value
	if !stepName.MatchString(name) {
		b.errs.add(s.Name.At, fmt.Sprintf("a step cannot be called %q", name), "use letters, digits, _ and -, and begin with a letter")
		return place
	}
	if first, taken := b.ids[name]; taken {
		b.errs.add(s.Name.At, fmt.Sprintf("the step in line %d is called %q too", first.Line, name), "give each step a name of its own")
		return place
	}
	b.ids[name] = s.Name.At
	return name
}

// checkOneAction notes a step that does nothing, or more than one thing.
func (b *stepBuilder) checkOneAction(s *StepSpec) {
	var found []key
	for _, k := range s.Keys {
		if k.name == ActionRun || k.name == ActionWait || k.name == ActionParallel {
			found = append(found, k)
		}
	}
	for _, action := range s.Actions {
		if len(b.kinds(action.name)) == 0 {
			return // the schema has complained, and what was meant may be the action
		}
		found = append(found, action)
	}
	if len(found) == 0 {
		b.errs.add(s.At, "the step does nothing", "give it one of "+list(b.actions()))
	}
	if len(found) > 1 {
		b.errs.add(found[1].at, fmt.Sprintf("the step does more than one thing: %s and %s", found[0].name, found[1].name),
			"make it two steps")
	}
}

// key returns a key of the step as it is written, or nil.
func (s *StepSpec) key(name string) *key {
	if i := slices.IndexFunc(s.Keys, func(k key) bool { return k.name == name }); i >= 0 {
		return &s.Keys[i]
	}
	return nil
}

func (s *StepSpec) has(name string) bool { return s.key(name) != nil }

func (b *stepBuilder) needNoNode(s *StepSpec, message string) {
	if s.Node.given() {
		b.errs.add(s.Node.At, message, "take it away")
	}
}

// node returns the node that acts; nil where there is none, which is noted.
func (b *stepBuilder) node(s *StepSpec) *Entry[NodeSpec] {
	if !s.has("node") {
		if s.has(ActionRun) || len(s.Actions) > 0 {
			b.errs.add(s.At, `the step lacks "node"`, "name the node that acts")
		}
		return nil
	}
	if !b.spec.checkNode(s.Node, b.errs) {
		return nil
	}
	return b.spec.Nodes.find(s.Node.Value)
}

// action fills in the action of a role.
func (b *stepBuilder) action(s *StepSpec, step *Step, node *Entry[NodeSpec]) {
	written := s.Actions[0]
	kinds := b.kinds(written.name)
	if node == nil || len(kinds) == 0 {
		return
	}
	acting := slices.DeleteFunc(slices.Clone(kinds), func(k role.Kind) bool { return !node.Value.plays(k.Name) })
	if len(acting) > 1 { // what every node can do stands back
		acting = slices.DeleteFunc(acting, func(k role.Kind) bool { return k.Name == roleClient })
	}
	switch len(acting) {
	case 0:
		b.errs.add(written.at, fmt.Sprintf("node %s cannot %s: it does not play the role %s", node.Name, written.name, kinds[0].Name),
			b.actionAdvice(node, kinds))
		return
	case 1:
	default:
		b.errs.add(written.at, fmt.Sprintf("node %s can %s as %s and as %s", node.Name, written.name, acting[0].Name, acting[1].Name),
			"give each role a node of its own")
		return
	}
	action := actionOf(acting[0], written.name)
	args := written.value.long(action.Short)
	step.Role, step.Action, step.Args = acting[0].Name, action.Name, args.rawJSON()
	if short := args.get(action.Short); short != nil {
		step.Target = short.text
	}
}

func (b *stepBuilder) actionAdvice(node *Entry[NodeSpec], kinds []role.Kind) string {
	advice := b.nodesThat("do", func(n *NodeSpec) bool {
		return slices.ContainsFunc(kinds, func(k role.Kind) bool { return n.plays(k.Name) })
	})
	if node.Value.hasProgram() {
		advice += ", and here run can run a program"
	}
	return advice
}

// nodesThat says which nodes do something.
func (b *stepBuilder) nodesThat(do string, test func(*NodeSpec) bool) string {
	var names []string
	for i := range b.spec.Nodes {
		if test(&b.spec.Nodes[i].Value) {
			names = append(names, b.spec.Nodes[i].Name)
		}
	}
	if len(names) == 0 {
		return "no node does"
	}
	return "these " + do + ": " + list(names)
}

// kinds returns the kinds that have an action.
func (b *stepBuilder) kinds(action string) []role.Kind {
	var kinds []role.Kind
	for _, k := range b.spec.kinds {
		if slices.ContainsFunc(k.Actions, func(a role.Action) bool { return a.Name == action }) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

func actionOf(k role.Kind, name string) role.Action {
	return k.Actions[slices.IndexFunc(k.Actions, func(a role.Action) bool { return a.Name == name })]
}

// actions returns everything that a step can do.
func (b *stepBuilder) actions() []string {
	names := []string{ActionRun, ActionWait, ActionParallel}
	for _, k := range b.spec.kinds {
		for _, a := range k.Actions {
			names = append(names, a.Name)
		}
	}
	return names
}

// plays says whether the node plays a role: one of its own, or client, which every node without a program plays.
func (n *NodeSpec) plays(name string) bool {
	return n.role(name) != nil || name == roleClient && !n.hasProgram()
}

// long returns the long form of a role's options or an action's arguments.
func (v *value) long(short string) *value {
	switch {
	case v.kind == object:
		return v
	case v.kind == null || short == "":
		return &value{kind: object, at: v.at}
	}
	return &value{kind: object, at: v.at, keys: []key{{name: short, at: v.at, value: v}}}
}

// expectations makes the plan's expectations.
func (s *Spec) expectations(specs []ExpectSpec) []Expectation {
	var all []Expectation
	for _, e := range specs {
		all = append(all, Expectation{That: e.That.Value, Because: e.Because.Value, Position: s.source.place(e.That.At)})
	}
	return all
}

// commandLine writes a command as it would be typed.
func commandLine(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\n'\"\\|&;<>()$`") {
			words[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
