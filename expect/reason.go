package expect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// explainer says why an expression did not hold, from the values that its parts had.
type explainer struct {
	program *Program
	ctx     context.Context
	vars    map[string]any
	state   interpreter.EvalState
	info    *celast.SourceInfo
}

// explain says what makes e not true; "" where there is nothing to add to e itself.
func (x *explainer) explain(e celast.Expr) string {
	if q, ok := x.quantifier(e); ok {
		return x.quantified(q)
	}
	if v, _ := x.state.Value(e.ID()); types.IsError(v) && !logical(e) {
		return x.failure(e, v.(*types.Err))
	}
	switch e.Kind() {
	case celast.SelectKind:
		if s := e.AsSelect(); s.IsTestOnly() {
			return x.absent(s.Operand(), s.FieldName())
		}
	case celast.CallKind:
		return x.call(e)
	}
	return x.is(e)
}

// logical tells whether e puts other conditions together.
func logical(e celast.Expr) bool {
	return e.Kind() == celast.CallKind &&
		slices.Contains([]string{operators.LogicalAnd, operators.LogicalOr}, e.AsCall().FunctionName())
}

func (x *explainer) call(e celast.Expr) string {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr:
		var reasons []string
		for _, arg := range args {
			if v, ok := x.state.Value(arg.ID()); ok && v != types.True {
				reasons = append(reasons, x.explain(arg))
			}
		}
		return join(reasons)
	case operators.Conditional:
		branch := args[1]
		if v, ok := x.value(args[0]); ok && v == types.False {
			branch = args[2]
		}
		return join([]string{x.is(args[0]), x.explain(branch)})
	}
	if call.IsMemberFunction() {
		args = append([]celast.Expr{call.Target()}, args...)
	}
	return x.operands(args)
}

// operands tells the values of those that are not written out.
func (x *explainer) operands(args []celast.Expr) string {
	var reasons []string
	for _, arg := range args {
		switch arg.Kind() {
		case celast.LiteralKind, celast.ListKind, celast.MapKind:
			continue
		}
		reasons = append(reasons, x.is(arg))
	}
	return join(reasons)
}

// is tells the value of e, and for a call those that it was made of.
func (x *explainer) is(e celast.Expr) string {
	if q, ok := x.quantifier(e); ok {
		return x.quantified(q)
	}
	v, ok := x.value(e)
	if !ok {
		return ""
	}
	said := x.text(e) + " is " + show(v)
	if e.Kind() != celast.CallKind || e.AsCall().FunctionName() == operators.Index {
		return said
	}
	// Of size(events.filter(…)) the size alone tells little.
	for _, arg := range append(slices.Clone(e.AsCall().Args()), e.AsCall().Target()) {
		if q, ok := x.quantifier(arg); ok {
			said = join([]string{said, x.quantified(q)})
		}
	}
	if v.Type() == types.BoolType {
		said = join([]string{said, x.call(e)})
	}
	return said
}

// value is what e was, or would have been where the evaluation did not come to it.
func (x *explainer) value(e celast.Expr) (ref.Val, bool) {
	if v, ok := x.state.Value(e.ID()); ok {
		return v, !types.IsError(v)
	}
	program, err := x.compile(e)
	if err != nil {
		return nil, false
	}
	v, _, err := program.ContextEval(x.ctx, x.vars)
	return v, err == nil
}

// compile makes a program of a part of the expression, in which the variables of loops around it stand for anything.
func (x *explainer) compile(e celast.Expr, variables ...string) (cel.Program, error) {
	env := x.program.env
	if len(variables) > 0 {
		var options []cel.EnvOption
		for _, name := range variables {
			options = append(options, cel.Variable(name, cel.DynType))
		}
		var err error
		if env, err = env.Extend(options...); err != nil {
			return nil, err
		}
	}
	text, err := cel.ExprToString(e, x.info)
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	return env.Program(checked, cel.InterruptCheckFrequency(interruptEvery))
}

// text is e as it is written, but for blanks and quotes.
func (x *explainer) text(e celast.Expr) string { return x.program.text(e) }

// failure says where an evaluation went wrong: in the innermost part that has an error.
func (x *explainer) failure(e celast.Expr, err *types.Err) string {
	for _, part := range parts(e) {
		if _, ok := x.quantifier(part); ok {
			continue
		}
		if v, _ := x.state.Value(part.ID()); types.IsError(v) {
			return x.failure(part, v.(*types.Err))
		}
	}
	for _, part := range parts(e) {
		if q, ok := x.quantifier(part); ok {
			if v, _ := x.state.Value(part.ID()); types.IsError(v) {
				return x.quantified(q)
			}
		}
	}
	switch e.Kind() {
	case celast.SelectKind:
		return x.absent(e.AsSelect().Operand(), e.AsSelect().FieldName())
	case celast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index {
			return x.noElement(call.Args()[0], call.Args()[1])
		}
		if strings.HasPrefix(err.Error(), "no such overload") {
			return x.unfit(e)
		}
	}
	return x.text(e) + ": " + err.Error()
}

// parts are the expressions that e is made of.
func parts(e celast.Expr) []celast.Expr {
	switch e.Kind() {
	case celast.SelectKind:
		return []celast.Expr{e.AsSelect().Operand()}
	case celast.CallKind:
		if e.AsCall().IsMemberFunction() {
			return append([]celast.Expr{e.AsCall().Target()}, e.AsCall().Args()...)
		}
		return e.AsCall().Args()
	case celast.ListKind:
		return e.AsList().Elements()
	}
	return nil
}

// absent says that operand has no such field, and which it has.
func (x *explainer) absent(operand celast.Expr, field string) string {
	v, ok := x.value(operand)
	if !ok {
		if s, _ := x.state.Value(operand.ID()); types.IsError(s) {
			return x.failure(operand, s.(*types.Err))
		}
		return x.text(operand) + " has no " + field
	}
	return x.text(operand) + " " + missing(v, field)
}

// missing says that v has no such field.
func missing(v ref.Val, field string) string {
	m, ok := v.(traits.Mapper)
	if !ok {
		return fmt.Sprintf("is %s: it has no fields, so no %s", show(v), field)
	}
	keys := keysOf(m)
	if len(keys) == 0 {
		return "is empty: it has no " + field
	}
	hint := didYouMean(field, keys)
	if hint == "" {
		hint = "."
	}
	return fmt.Sprintf("has no %s%s It has %s", field, hint, clip(strings.Join(keys, ", ")))
}

// noElement says why operand[index] is not there.
func (x *explainer) noElement(operand, index celast.Expr) string {
	v, ok := x.value(operand)
	i, known := x.value(index)
	if !ok || !known {
		return x.text(operand) + " has no such element"
	}
	switch v := v.(type) {
	case traits.Mapper:
		if key, ok := i.(types.String); ok {
			return x.text(operand) + " " + missing(v, string(key))
		}
	case traits.Lister:
		return fmt.Sprintf("%s has %s: there is no [%s]", x.text(operand), count(int(v.Size().(types.Int)), "element"), show(i))
	}
	return fmt.Sprintf("%s is %s: it has no [%s]", x.text(operand), show(v), show(i))
}

// unfit says that a function or operator cannot work with values of these types.
func (x *explainer) unfit(e celast.Expr) string {
	var said []string
	for _, part := range parts(e) {
		v, ok := x.value(part)
		switch {
		case !ok:
		case part.Kind() == celast.LiteralKind || v == types.NullValue:
			said = append(said, fmt.Sprintf("%s is %s", x.text(part), typeOf(v)))
		default:
			said = append(said, fmt.Sprintf("%s is %s (%s)", x.text(part), typeOf(v), show(v)))
		}
	}
	name := e.AsCall().FunctionName()
	if symbol, ok := operators.FindReverse(name); ok && symbol != "" {
		name = symbol
	}
	return fmt.Sprintf("%s does not work here: %s", name, strings.Join(said, ", "))
}

// join puts what was found together.
func join(reasons []string) string {
	reasons = slices.DeleteFunc(slices.Clone(reasons), func(s string) bool { return s == "" })
	return strings.Join(slices.Compact(reasons), "; ")
}
