package expect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"scenario/event"
	"scenario/nodes/role"
	"scenario/topology"
)

// ScenarioNode is the name under which the run records its steps and expectations.
const ScenarioNode = "scenario"

// names are those of a plan that expressions may speak of.
type names struct {
	*Compiler
	nodes   []string
	actions map[actionKey]shape // results by action
	result  shape               // of the step whose expectations are looked at
	steps   map[string]shape    // results of the steps that have ended when the expression is looked at, by id
}

// Check looks over every expectation of the plan. The error joins one [*Error], with its Position, for each mistake: in
// the language, in the name of an event, an attribute or a node, in that of a step which has not ended by then, or in
// that of a field of a result. What the actions of roles result in is known of these kinds; of others nothing is.
func Check(plan *topology.Plan, kinds ...role.Kind) error {
	known := &names{Compiler: NewCompiler(), nodes: []string{ScenarioNode}, actions: results(kinds), steps: make(map[string]shape)}
	for _, n := range plan.Nodes {
		known.nodes = append(known.nodes, n.Name)
	}
	var errs []error
	for _, step := range plan.Steps {
		errs = append(errs, known.checkStep(step)...)
	}
	return errors.Join(append(errs, known.checkAll(plan.Expect, Run)...)...)
}

// checkStep looks over a step's expectations and then knows the step. Steps side by side know nothing of each other.
func (k *names) checkStep(step topology.Step) []error {
	var errs []error
	before := maps.Clone(k.steps)
	for _, part := range step.Parallel {
		side := &names{Compiler: k.Compiler, nodes: k.nodes, actions: k.actions, steps: maps.Clone(before)}
		errs = append(errs, side.checkStep(part)...)
		maps.Copy(k.steps, side.steps)
	}
	k.result = k.resultOf(step)
	k.steps[step.ID] = k.result
	return append(errs, k.checkAll(step.Expect, Step)...)
}

func (k *names) checkAll(expectations []topology.Expectation, scope Scope) []error {
	var errs []error
	for _, e := range expectations {
		if _, err := k.read(e.That, scope, k); err != nil {
			errs = append(errs, at(e.Position, err)...)
		}
	}
	return errs
}

// at gives the errors of a compilation their position.
func at(position string, err error) []error {
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		all = single{err}
	}
	errs := slices.Clone(all.Unwrap())
	for i, err := range errs {
		if e, ok := errors.AsType[*Error](err); ok {
			e.Position = position
		} else {
			errs[i] = fmt.Errorf("%s: %w", position, err)
		}
	}
	return errs
}

// single is an error that joins only one.
type single struct{ error }

func (s single) Unwrap() []error { return []error{s.error} }

// linter looks for names in an expression that CEL cannot know to be wrong.
type linter struct {
	program *Program
	known   *names // nil: the plan is not known
	*vocabulary
	errs []*Error
}

// vocabulary is the attributes of events.
type vocabulary struct {
	words map[string][]string // by the event's word
	all   []string            // attributes of any word, in order
}

// common are the attributes that every event has.
var common = []string{event.KeyTime, event.KeyNode, event.KeyEvent, event.KeyTrace, event.KeyID, event.KeyParent}

// variables tells what is known of those in scope.
type variables map[string]shape

func newVocabulary() *vocabulary {
	v := &vocabulary{words: make(map[string][]string), all: slices.Clone(common)}
	for _, e := range event.Words() {
		words := slices.Concat(slices.Collect(maps.Keys(attributes(e))), common)
		v.words[e.Word()] = words
		v.all = append(v.all, words...)
	}
	slices.Sort(v.all)
	v.all = slices.Compact(v.all)
	return v
}

func (p *Program) lint(known *vocabulary, plan *names) []*Error {
	l := &linter{program: p, known: plan, vocabulary: known}
	scope := variables{varEvents: {element: &shape{event: true}}}
	if plan != nil {
		scope[varResult], scope[varSteps] = plan.result, shape{fields: plan.steps}
	}
	l.walk(p.ast.Expr(), scope)
	slices.SortStableFunc(l.errs, func(a, b *Error) int { return a.Column - b.Column })
	return l.errs
}

// walk looks at e, in which the variables are in scope.
func (l *linter) walk(e celast.Expr, scope variables) {
	switch e.Kind() {
	case celast.SelectKind:
		l.selected(e, scope)
		l.walk(e.AsSelect().Operand(), scope)
	case celast.CallKind:
		l.call(e, scope)
	case celast.ListKind:
		for _, element := range e.AsList().Elements() {
			l.walk(element, scope)
		}
	case celast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			l.walk(entry.AsMapEntry().Key(), scope)
			l.walk(entry.AsMapEntry().Value(), scope)
		}
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		l.walk(c.IterRange(), scope)
		l.walk(c.LoopStep(), scope.with(c.IterVar(), l.shape(c.IterRange(), scope).elements()))
		l.walk(c.AccuInit(), scope) // what sortBy sorts
		l.walk(c.Result(), scope.with(c.AccuVar(), l.shape(c.AccuInit(), scope)))
	}
}

// with is scope and one more variable, which may hide another.
func (v variables) with(name string, known shape) variables {
	inner := maps.Clone(v)
	inner[name] = known
	return inner
}

// shape is what is known of e.
func (l *linter) shape(e celast.Expr, scope variables) shape {
	switch e.Kind() {
	case celast.IdentKind:
		return scope[e.AsIdent()]
	case celast.SelectKind:
		if s := e.AsSelect(); !s.IsTestOnly() {
			return l.shape(s.Operand(), scope).fields[s.FieldName()]
		}
	case celast.CallKind:
		if c := e.AsCall(); c.FunctionName() == operators.Index {
			list := l.shape(c.Args()[0], scope)
			if key, ok := text(c.Args()[1]); ok {
				return list.fields[key]
			}
			return list.elements()
		}
	case celast.ComprehensionKind:
		macro, ok := l.program.ast.SourceInfo().GetMacroCall(e.ID())
		if ok && macro.AsCall().FunctionName() == operators.Filter {
			return l.shape(e.AsComprehension().IterRange(), scope)
		}
	}
	return shape{}
}

func (l *linter) call(e celast.Expr, scope variables) {
	c := e.AsCall()
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd:
		l.conjunction(e, scope)
		return
	case operators.Equals, operators.NotEquals:
		l.compared(args[0], args[1], scope)
		l.compared(args[1], args[0], scope)
	case operators.In:
		if args[1].Kind() == celast.ListKind {
			for _, element := range args[1].AsList().Elements() {
				l.compared(args[0], element, scope)
			}
		}
	case operators.Index:
		if key, ok := text(args[1]); ok {
			l.field(args[1], args[0], key, scope)
		}
	}
	if c.IsMemberFunction() {
		l.walk(c.Target(), scope)
	}
	for _, arg := range args {
		l.walk(arg, scope)
	}
}

// conjunction looks at the parts of an "and" with what they say together: e.event == 'dns.query' && e.name != ”.
func (l *linter) conjunction(e celast.Expr, scope variables) {
	parts := conjuncts(e, nil)
	inner := scope
	for _, part := range parts {
		if part.Kind() != celast.CallKind || part.AsCall().FunctionName() != operators.Equals {
			continue
		}
		args := part.AsCall().Args()
		for i, side := range args {
			variable, field := eventField(side, scope)
			if word, ok := text(args[1-i]); ok && field == event.KeyEvent && l.words[word] != nil {
				inner = inner.with(variable, shape{event: true, word: word})
			}
		}
	}
	for _, part := range parts {
		l.walk(part, inner)
	}
}

// conjuncts are the parts of a && b && c.
func conjuncts(e celast.Expr, found []celast.Expr) []celast.Expr {
	if e.Kind() != celast.CallKind || e.AsCall().FunctionName() != operators.LogicalAnd {
		return append(found, e)
	}
	for _, arg := range e.AsCall().Args() {
		found = conjuncts(arg, found)
	}
	return found
}

// selected looks at operand.field.
func (l *linter) selected(e celast.Expr, scope variables) {
	s := e.AsSelect()
	operand, field := s.Operand(), s.FieldName()
	if !s.IsTestOnly() || isSteps(operand) {
		l.field(e, operand, field, scope)
	}
	if variable, _ := eventField(e, scope); variable != "" {
		word := scope[variable].word
		attributes := l.words[word]
		if word == "" {
			attributes, word = l.all, "an event"
		}
		// What programs log has attributes of any name.
		if word != (event.LogLine{}).Word() && !slices.Contains(attributes, field) {
			l.report(e, fmt.Sprintf("%s has no attribute %s%s", word, field, didYouMean(field, attributes)))
		}
	}
}

// field looks at operand.name, or operand[name], where the names that can be there are known: e is what to point at.
func (l *linter) field(e, operand celast.Expr, name string, scope variables) {
	of := l.shape(operand, scope)
	if _, ok := of.fields[name]; ok || of.fields == nil {
		return
	}
	fields := slices.Sorted(maps.Keys(of.fields))
	hint := didYouMean(name, fields)
	switch {
	case isSteps(operand):
		l.report(e, fmt.Sprintf("no step %s has ended by then%s", name, hint))
	case len(fields) == 0:
		l.report(e, fmt.Sprintf("%s is %s: it has no fields, so no %s", l.program.text(operand), of.noun, name))
	case hint == "":
		l.report(e, fmt.Sprintf("%s has no field %s: it has %s", l.program.text(operand), name, strings.Join(fields, ", ")))
	default:
		l.report(e, fmt.Sprintf("%s has no field %s%s", l.program.text(operand), name, hint))
	}
}

func isSteps(e celast.Expr) bool { return e.Kind() == celast.IdentKind && e.AsIdent() == varSteps }

// eventField is the variable and the attribute where e is such as e.node for an event e; otherwise nothing.
func eventField(e celast.Expr, scope variables) (variable, field string) {
	if e.Kind() != celast.SelectKind || e.AsSelect().Operand().Kind() != celast.IdentKind {
		return "", ""
	}
	variable = e.AsSelect().Operand().AsIdent()
	if !scope[variable].event {
		return "", ""
	}
	return variable, e.AsSelect().FieldName()
}

// compared looks at a text that an event's word or node is compared with.
func (l *linter) compared(side, other celast.Expr, scope variables) {
	name, ok := text(other)
	if !ok {
		return
	}
	switch _, field := eventField(side, scope); {
	case field == event.KeyEvent && l.words[name] == nil:
		words := make([]string, 0, len(l.words))
		for _, e := range event.Words() {
			words = append(words, e.Word())
		}
		l.report(other, fmt.Sprintf("there is no event %s%s", name, didYouMean(name, words)))
	case field == event.KeyNode && l.known != nil && !slices.Contains(l.known.nodes, name):
		l.report(other, fmt.Sprintf("there is no node %s%s", name, didYouMean(name, l.known.nodes)))
	}
}

// text is the value of a literal text.
func text(e celast.Expr) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

func (l *linter) report(e celast.Expr, message string) {
	location := l.program.ast.SourceInfo().GetStartLocation(e.ID())
	err := newError(l.program.that, location.Line(), location.Column()+1, message)
	if e.Kind() == celast.SelectKind {
		err.Column++ // on the name, not on the dot before it
	}
	l.errs = append(l.errs, err)
}
