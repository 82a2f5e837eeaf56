// Package expect tells whether what must hold does hold: expressions in CEL over a run's events and its steps' results.
//
// A [Compiler] makes a [Program] of each expression, [Check] looks over all those of a plan, and [Program.Eval] gives the
// [Verdict] with what was found instead where an expression does not hold.
//
// An expression sees these variables: events, a list of flat maps (time, node, event, the place in the causal chain, and
// every attribute of the event's word, zero where the event does not carry it), in a step those since it began; steps,
// the results of the steps that ended, by id; and, in a step's own expectations, result, the result of that step.
// Integers and other numbers compare with each other. Beside CEL's own functions there are its extensions strings, lists,
// math and sets.
package expect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// Scope says which variables an expression sees.
type Scope int

const (
	Step Scope = iota // result, events since the step began, steps
	Run               // events, steps
)

// The variables.
const (
	varResult = "result"
	varEvents = "events"
	varSteps  = "steps"
)

const (
	// interruptEvery is after how many iterations of a loop an evaluation looks whether its context has ended.
	interruptEvery = 100
	// rangeLimit bounds the numbers that lists.range makes: a slip of the pen costs no memory.
	rangeLimit = 10_000
)

// Program is a compiled expression. Its methods may be called from any goroutine.
type Program struct {
	that    string
	env     *cel.Env
	checked *cel.Ast
	ast     *celast.AST // the same, as CEL's own packages see it
	plain   cel.Program
}

// Vars are the values of an expression's variables.
type Vars struct {
	Result Value // null in the scope Run
	Events []Value
	Steps  map[string]Value
}

// Verdict is what became of an expectation.
type Verdict struct {
	Pass   bool
	Reason string // what was found instead; empty where Pass
}

// Compiler reads expressions. What all of them need is made once, which takes longer than most expressions do. It is for
// one goroutine.
type Compiler struct {
	environments map[Scope]*cel.Env
	vocabulary   *vocabulary
}

// NewCompiler returns a compiler.
func NewCompiler() *Compiler {
	return &Compiler{environments: make(map[Scope]*cel.Env), vocabulary: newVocabulary()}
}

// Compile reads an expression. The error joins one [*Error] for each mistake in it.
func Compile(that string, scope Scope) (*Program, error) { return NewCompiler().Compile(that, scope) }

// Compile reads an expression. The error joins one [*Error] for each mistake in it.
func (c *Compiler) Compile(that string, scope Scope) (*Program, error) {
	p, err := c.read(that, scope, nil)
	if err != nil {
		return nil, err
	}
	if p.plain, err = p.env.Program(p.checked, cel.InterruptCheckFrequency(interruptEvery)); err != nil {
		return nil, newError(that, 1, 1, err.Error())
	}
	return p, nil
}

// read makes a program that is not ready to be run. It also looks at the names of nodes and steps where known is given.
func (c *Compiler) read(that string, scope Scope, known *names) (*Program, error) {
	env, err := c.environment(scope)
	if err != nil {
		return nil, fmt.Errorf("expectations: %w", err)
	}
	checked, issues := env.Compile(that)
	if issues.Err() != nil {
		return nil, joined(compileErrors(that, scope, env, issues))
	}
	p := &Program{that: that, env: env, checked: checked, ast: checked.NativeRep()}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, newError(that, 1, 1, "this is "+article(t.String())+", but an expectation must be true or false")
	}
	if errs := p.lint(c.vocabulary, known); len(errs) > 0 {
		return nil, joined(errs)
	}
	return p, nil
}

func (c *Compiler) environment(scope Scope) (*cel.Env, error) {
	if env := c.environments[scope]; env != nil {
		return env, nil
	}
	options := []cel.EnvOption{
		cel.Variable(varEvents, cel.ListType(cel.MapType(cel.StringType, cel.DynType))),
		cel.Variable(varSteps, cel.MapType(cel.StringType, cel.DynType)),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableMacroCallTracking(),
		ext.Strings(), ext.Lists(ext.ListsMaxRangeSize(rangeLimit)), ext.Math(), ext.Sets(),
	}
	if scope == Step {
		options = append(options, cel.Variable(varResult, cel.DynType))
	}
	env, err := cel.NewEnv(options...)
	if err == nil {
		c.environments[scope] = env
	}
	return env, err
}

// That is the expression as it was written.
func (p *Program) That() string { return p.that }

// text is a part of the expression as it is written, but for blanks and quotes.
func (p *Program) text(e celast.Expr) string {
	text, err := cel.ExprToString(e, p.ast.SourceInfo())
	if err != nil {
		return "this"
	}
	return strings.ReplaceAll(text, "\n", " ")
}

// Literals returns the texts that stand in the expression: among them the nodes that it names.
func (p *Program) Literals() []string {
	var texts []string
	celast.PreOrderVisit(p.ast.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() != celast.LiteralKind {
			return
		}
		if s, ok := e.AsLiteral().(types.String); ok {
			texts = append(texts, string(s))
		}
	}))
	return texts
}

// SeesEvents says whether the answer can change with what happens after the step: results do not.
func (p *Program) SeesEvents() bool {
	sees := false
	celast.PreOrderVisit(p.ast.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		sees = sees || e.Kind() == celast.IdentKind && e.AsIdent() == varEvents
	}))
	return sees
}

// Holds tells whether the expression holds, without a reason: cheap enough to be asked at every new event. It is false
// when ctx ends before the answer is known.
func (p *Program) Holds(ctx context.Context, vars Vars) bool {
	value, _, err := p.plain.ContextEval(ctx, vars.activation())
	return err == nil && value == types.True
}

// Eval tells whether the expression holds, and what was found where it does not.
func (p *Program) Eval(ctx context.Context, vars Vars) Verdict {
	activation := vars.activation()
	// The same as the plain program, but for keeping the values of all its parts; few expectations need it.
	tracked, err := p.env.Program(p.checked, cel.InterruptCheckFrequency(interruptEvery), cel.EvalOptions(cel.OptTrackState))
	if err != nil {
		return Verdict{Reason: err.Error()}
	}
	value, details, err := tracked.ContextEval(ctx, activation)
	switch {
	case ctx.Err() != nil:
		return Verdict{Reason: fmt.Sprintf("not known: %v", context.Cause(ctx))}
	case err == nil && value == types.True:
		return Verdict{Pass: true}
	case err == nil && value != types.False:
		return Verdict{Reason: fmt.Sprintf("this is %s, neither true nor false", show(value))}
	}
	x := &explainer{program: p, ctx: ctx, vars: activation, state: details.State(), info: p.ast.SourceInfo()}
	if reason := x.explain(p.ast.Expr()); reason != "" {
		return Verdict{Reason: reason}
	}
	if err != nil {
		return Verdict{Reason: err.Error()}
	}
	return Verdict{Reason: "this is false"}
}

// activation is what CEL looks variables up in.
func (v Vars) activation() map[string]any {
	events := make([]ref.Val, len(v.Events))
	for i, e := range v.Events {
		events[i] = e.cel()
	}
	steps := make(map[ref.Val]ref.Val, len(v.Steps))
	for id, value := range v.Steps {
		steps[types.String(id)] = value.cel()
	}
	adapter := types.DefaultTypeAdapter
	return map[string]any{
		varResult: v.Result.cel(),
		varEvents: types.NewRefValList(adapter, events),
		varSteps:  types.NewRefValMap(adapter, steps),
	}
}

func joined(errs []*Error) error {
	all := make([]error, len(errs))
	for i, e := range errs {
		all[i] = e
	}
	return errors.Join(all...)
}
