package expect

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"

	"scenario/internal/near"
)

// Error is a mistake in an expression.
type Error struct {
	Position string // file:line:col of the expectation; empty where it is not known
	That     string // the expression
	Line     int    // of the mistake within the expression, from 1
	Column   int    // likewise, in characters
	Message  string
}

// newError is an error at a place that cel-go tells; of an empty expression it tells none.
func newError(that string, line, column int, message string) *Error {
	return &Error{That: that, Line: max(line, 1), Column: max(column, 1), Message: message}
}

// Error is the message, with the position before it where that is known, then the line of the expression with a caret
// below the mistake.
func (e *Error) Error() string {
	message := e.Message
	if e.Position != "" {
		message = e.Position + ": " + message
	}
	return message + "\n" + e.Excerpt()
}

// Excerpt is the line of the expression that holds the mistake, and a line with a caret below it.
func (e *Error) Excerpt() string {
	lines := strings.Split(e.That, "\n")
	line := lines[min(max(e.Line, 1), len(lines))-1]
	var indent strings.Builder
	for i, r := range []rune(line) {
		if i+1 >= e.Column {
			break
		}
		if r != '\t' {
			r = ' '
		}
		indent.WriteRune(r)
	}
	return "    " + line + "\n    " + indent.String() + "^"
}

// What cel-go says, and what of it is worth repeating.
var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	overload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	unreadable = regexp.MustCompile(`^Syntax error: token recognition error at: '(.*)'$`)
	unexpected = regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '(.*)' expecting`)
	noWay      = regexp.MustCompile(`^Syntax error: no viable alternative at input '(.*)'$`)
)

// compileErrors says in plain words what cel-go found. One mistake makes it find others that are none: what follows a
// syntax error or a function that does not exist is left out.
func compileErrors(that string, scope Scope, env *cel.Env, issues *cel.Issues) []*Error {
	var errs []*Error
	for _, issue := range issues.Errors() {
		message, final := plainMessage(issue.Message, that, scope, env)
		errs = append(errs, newError(that, issue.Location.Line(), issue.Location.Column()+1, message))
		if final {
			break
		}
	}
	return errs
}

func plainMessage(message, that string, scope Scope, env *cel.Env) (plain string, final bool) {
	if m := undeclared.FindStringSubmatch(message); m != nil {
		return unknownName(m[1], that, scope, env)
	}
	if m := overload.FindStringSubmatch(message); m != nil {
		name := m[1]
		if symbol, ok := operators.FindReverse(name); ok && symbol != "" {
			name = symbol
		}
		return fmt.Sprintf("%s does not work with %s", strings.Trim(name, "_"), m[2]), false
	}
	if m := unreadable.FindStringSubmatch(message); m != nil {
		switch {
		case strings.HasPrefix(m[1], "="):
			return "= is no operator: == compares", true
		case strings.ContainsAny(m[1][:1], `'"`):
			return "this text has no closing quote", true
		}
		return fmt.Sprintf("%s means nothing here", m[1]), true
	}
	for _, form := range []*regexp.Regexp{unexpected, noWay} {
		m := form.FindStringSubmatch(message)
		switch {
		case m == nil:
		case m[1] == "<EOF>" || strings.HasSuffix(m[1], "<EOF>"):
			return "the expression ends too early", true
		default:
			return fmt.Sprintf("%s is not expected here", m[1]), true
		}
	}
	return message, strings.HasPrefix(message, "Syntax error")
}

// unknownName says what a name that is no variable, or no function, may have been meant to be.
func unknownName(name, that string, scope Scope, env *cel.Env) (message string, final bool) {
	call := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\s*\(`)
	if call.MatchString(that) {
		return fmt.Sprintf("there is no function %s%s", name, didYouMean(name, functions(env))), true
	}
	variables := []string{varEvents, varSteps}
	if scope == Step {
		variables = append(variables, varResult)
	} else if name == varResult {
		return "result stands only in the expectations of a step: here it is steps.NAME or steps['NAME']", false
	}
	return fmt.Sprintf("there is no variable %s%s", name, didYouMean(name, variables)), false
}

// functions are the names of all functions and macros that are written as such.
func functions(env *cel.Env) []string {
	names := make(map[string]bool)
	for name := range env.Functions() {
		if !strings.ContainsAny(name, "_@") {
			names[name] = true
		}
	}
	for _, macro := range env.Macros() {
		names[macro.Function()] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// didYouMean is "; did you mean X?" for the name of names that is most like name, or nothing where none is.
func didYouMean(name string, names []string) string {
	if meant := near.Word(name, names); meant != "" {
		return "; did you mean " + meant + "?"
	}
	return ""
}
