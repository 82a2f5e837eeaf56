package expect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"scenario/event"
)

// quantifier is a condition over the elements of a list: list.exists(variable, condition) and its kin.
type quantifier struct {
	function  string
	list      celast.Expr
	variable  string
	condition celast.Expr
}

// quantifier is e as one, where it is.
func (x *explainer) quantifier(e celast.Expr) (quantifier, bool) {
	if e == nil {
		return quantifier{}, false
	}
	macro, ok := x.info.GetMacroCall(e.ID())
	if !ok || macro.Kind() != celast.CallKind {
		return quantifier{}, false
	}
	call := macro.AsCall()
	known := []string{operators.Exists, operators.ExistsOne, operators.All, operators.Filter}
	if !slices.Contains(known, call.FunctionName()) || len(call.Args()) != 2 || call.Args()[0].Kind() != celast.IdentKind {
		return quantifier{}, false
	}
	return quantifier{call.FunctionName(), call.Target(), call.Args()[0].AsIdent(), call.Args()[1]}, true
}

// quantified says how many elements meet which part of the condition: where the last ones are lost is what to look at.
func (x *explainer) quantified(q quantifier) string {
	elements, empty := x.elements(q.list)
	if empty != "" {
		return empty
	}
	if q.function == operators.All {
		return x.exception(q, elements)
	}
	noun, rest := x.noun(q.list), elements
	said := fmt.Sprintf("of %s", count(len(elements), noun))
	of := ""
	for _, part := range conjuncts(q.condition, nil) {
		met, _, problems := x.meet(q.variable, part, rest)
		amount := fmt.Sprint(len(met))
		if len(met) == 0 {
			amount = "none"
		}
		said += fmt.Sprintf(" %s%s %s %s", amount, of, plural(len(met), "meets", "meet"), x.text(part))
		if problems != "" {
			said += " (" + problems + ")"
		}
		if len(met) == 0 {
			return said + x.instead(q.variable, part, rest)
		}
		said, rest, of = said+",", met, " of these"
	}
	return said + " " + first(rest[0])
}

// first says which event the first of those found is; of other elements, what it is.
func first(element ref.Val) string {
	said := show(element)
	if m, ok := element.(traits.Mapper); ok {
		node, isEvent := m.Find(types.String(event.KeyNode))
		at, timed := m.Find(types.String(event.KeyTime))
		if isEvent && timed {
			said = fmt.Sprintf("of %v at %s", node.Value(), show(at))
		}
	}
	return "the first " + said
}

// elements are those of a list; or empty says why there are none.
func (x *explainer) elements(list celast.Expr) (all []ref.Val, empty string) {
	v, ok := x.value(list)
	if !ok {
		if q, ok := x.quantifier(list); ok {
			return nil, x.quantified(q)
		}
		if s, _ := x.state.Value(list.ID()); types.IsError(s) {
			return nil, x.failure(list, s.(*types.Err))
		}
		return nil, x.text(list) + " has no value"
	}
	l, ok := v.(traits.Iterable)
	if !ok {
		return nil, fmt.Sprintf("%s is %s, not a list", x.text(list), show(v))
	}
	for i := l.Iterator(); i.HasNext() == types.True; {
		all = append(all, i.Next())
	}
	if len(all) == 0 && x.text(list) == varEvents {
		return nil, "there are no events"
	}
	if len(all) == 0 {
		// An empty filter is what there is to explain.
		if q, ok := x.quantifier(list); ok {
			return nil, x.quantified(q)
		}
		return nil, x.text(list) + " is empty"
	}
	return all, ""
}

// noun is what to call one element of a list.
func (x *explainer) noun(list celast.Expr) string {
	if q, ok := x.quantifier(list); ok {
		return "filtered " + x.noun(q.list)
	}
	if text := x.text(list); text != varEvents {
		return "element of " + text
	}
	return "event"
}

// meet returns the elements for which the condition holds and the others, and says what went wrong for some of them.
func (x *explainer) meet(variable string, condition celast.Expr, elements []ref.Val) (met, others []ref.Val, problems string) {
	program, err := x.compile(condition, variable)
	if err != nil {
		return nil, elements, ""
	}
	failed := make(map[string]int)
	for _, element := range elements {
		v, err := x.with(program, variable, element)
		if err == nil && v == types.True {
			met = append(met, element)
			continue
		}
		others = append(others, element)
		if err != nil {
			failed[plainProblem(err, element)]++
		}
	}
	var said []string
	for _, problem := range slices.Sorted(maps.Keys(failed)) {
		said = append(said, fmt.Sprintf("%d: %s", failed[problem], problem))
	}
	return met, others, clip(strings.Join(said, "; "))
}

// with evaluates a part of a loop for one element.
func (x *explainer) with(program cel.Program, variable string, element ref.Val) (ref.Val, error) {
	vars := maps.Clone(x.vars)
	vars[variable] = element
	v, _, err := program.ContextEval(x.ctx, vars)
	return v, err
}

// plainProblem is what went wrong for one element, without what differs between elements.
func plainProblem(err error, element ref.Val) string {
	key, absent := strings.CutPrefix(err.Error(), "no such key: ")
	if !absent {
		return err.Error()
	}
	if mapper, ok := element.(traits.Mapper); ok {
		return "no " + key + didYouMean(key, keysOf(mapper))
	}
	return "no " + key
}

// instead tells the values that the elements had where a condition holds for none of them.
func (x *explainer) instead(variable string, condition celast.Expr, elements []ref.Val) string {
	var said []string
	for _, e := range compared(condition, nil) {
		if !mentions(e, variable) {
			continue
		}
		if values := x.values(variable, e, elements); values != "" {
			said = append(said, x.text(e)+" is "+values)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return ": " + join(said)
}

// compared are the parts of a condition that it compares, or calls a function with.
func compared(e celast.Expr, found []celast.Expr) []celast.Expr {
	if e.Kind() != celast.CallKind {
		return append(found, e)
	}
	nested := logical(e) || e.AsCall().FunctionName() == operators.LogicalNot
	for _, part := range parts(e) {
		if nested {
			found = compared(part, found)
		} else if part.Kind() != celast.LiteralKind {
			found = append(found, part)
		}
	}
	return found
}

// shownValues is how many different values instead tells.
const shownValues = 5

// values lists what e is for the elements, each value once.
func (x *explainer) values(variable string, e celast.Expr, elements []ref.Val) string {
	program, err := x.compile(e, variable)
	if err != nil {
		return ""
	}
	var all []string
	for _, element := range elements {
		v, err := x.with(program, variable, element)
		if err != nil {
			continue
		}
		if text := show(v); !slices.Contains(all, text) {
			all = append(all, text)
		}
		if len(all) > shownValues {
			all[shownValues] = "…"
			break
		}
	}
	return strings.Join(all, ", ")
}

// mentions tells whether the variable stands in e.
func mentions(e celast.Expr, variable string) bool {
	found := false
	celast.PreOrderVisit(e, celast.NewExprVisitor(func(part celast.Expr) {
		found = found || part.Kind() == celast.IdentKind && part.AsIdent() == variable
	}))
	return found
}

// exception says which part of the condition, that all elements should meet, some do not.
func (x *explainer) exception(q quantifier, elements []ref.Val) string {
	var said []string
	for _, part := range conjuncts(q.condition, nil) {
		_, others, problems := x.meet(q.variable, part, elements)
		if len(others) == 0 {
			continue
		}
		one := fmt.Sprintf("%d of %s %s not meet %s", len(others), count(len(elements), x.noun(q.list)),
			plural(len(others), "does", "do"), x.text(part))
		if problems != "" {
			one += " (" + problems + ")"
		}
		said = append(said, one+x.instead(q.variable, part, others))
	}
	return join(said)
}
