package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/signal"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"scenario/engine"
	"scenario/internal/live"
	"scenario/internal/near"
	"scenario/nodes/role"
)

func (a *App) execCommand() *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:   "exec NODE -- CMD [ARG…]",
		Short: "Have a node do something: an action of its roles, or a program",
		Long: `Have a node of a run that is up do something.

Where CMD is an action of one of the node's roles, that is done and its result printed as JSON. The arguments are
KEY=VALUE, or the action's main argument alone. Anything else is a program, which runs on nodes with image or rootfs;
its streams are this command's own, and so is its exit code.`,
		Example: `  scenario exec laptop -- fetch http://shop.example/
  scenario exec laptop -- ping to=10.0.0.1
  scenario exec tool -- curl -s http://shop.example/`,
		Args:              need(2, -1, "a node and a command"),
		ValidArgsFunction: a.completeExec,
		RunE: func(command *cobra.Command, args []string) error {
			if args[1] == "--" {
				args = slices.Delete(args, 1, 2)
			}
			if len(args) < 2 {
				return fmt.Errorf("exec needs a command for %s after --: %s", args[0], command.UseLine())
			}
			ctx, stop := signal.NotifyContext(command.Context(), endSignals()...)
			defer stop()
			run, err := liveRun(ctx, name)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(run.Info.Nodes, func(n live.Node) bool { return n.Name == args[0] })
			if i < 0 {
				return fmt.Errorf("no node %s in run %s: there are %s", args[0], run.Info.Name, strings.Join(nodeNames(run.Info), ", "))
			}
			if kind, action := a.action(run.Info.Nodes[i], args[1]); action != nil {
				return a.act(ctx, run, live.Call{Node: args[0], Role: kind, Action: action.Name}, action, args[2:])
			}
			return a.program(ctx, run, args[0], args[1:])
		},
	}
	command.Flags().SetInterspersed(false) // what follows NODE is the command's, even without --
	runFlag(command, &name)
	return command
}

// act has a role carry out an action and prints its result.
func (a *App) act(ctx context.Context, run *live.Client, call live.Call, action *role.Action, words []string) error {
	var err error
	if call.Args, err = actionArgs(action, words); err != nil {
		return err
	}
	result, err := run.Do(ctx, call)
	if err != nil {
		return fmt.Errorf("%s: %w", call.Action, err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, result, "", "  "); err != nil {
		return err
	}
	_, err = plainHTML().WriteString(a.Stdout, text.String()+"\n")
	return err
}

// plainHTML writes out the characters that encoding/json escapes for the sake of browsers. An escaped backslash comes
// first, so that what follows it is not taken for an escape.
func plainHTML() *strings.Replacer {
	return strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&")
}

// program runs a program on a node with this command's streams and takes over its exit code.
func (a *App) program(ctx context.Context, run *live.Client, node string, args []string) error {
	exitCode, err := run.Exec(ctx, node, engine.Command{Args: args, Stdin: a.Stdin, Stdout: a.Stdout, Stderr: a.Stderr})
	if err != nil {
		return fmt.Errorf("%s on %s: %w%s", args[0], node, err, a.actionsOf(run.Info, node))
	}
	return code(exitCode)
}

// action finds an action of one of the node's roles.
func (a *App) action(node live.Node, name string) (string, *role.Action) {
	for _, kind := range a.Kinds {
		if !slices.Contains(node.Roles, kind.Name) {
			continue
		}
		for i := range kind.Actions {
			if kind.Actions[i].Name == name {
				return kind.Name, &kind.Actions[i]
			}
		}
	}
	return "", nil
}

// actionNames lists what a node's roles can do.
func (a *App) actionNames(node live.Node) []string {
	var names []string
	for _, kind := range a.Kinds {
		if slices.Contains(node.Roles, kind.Name) {
			for _, action := range kind.Actions {
				names = append(names, action.Name)
			}
		}
	}
	return names
}

// actionsOf is the end of an error about a command that a node cannot run.
func (a *App) actionsOf(info live.Info, node string) string {
	for _, n := range info.Nodes {
		if names := a.actionNames(n); n.Name == node && len(names) > 0 {
			return " (its actions: " + strings.Join(names, ", ") + ")"
		}
	}
	return ""
}

// actionArgs makes an action's arguments of words: KEY=VALUE for a known key, anything else is the main argument.
func actionArgs(action *role.Action, words []string) (json.RawMessage, error) {
	fields := argFields(action)
	args := make(map[string]json.RawMessage)
	for _, word := range words {
		key, value, pair := strings.Cut(word, "=")
		if _, known := fields[key]; !pair || !known {
			key, value = action.Short, word
		}
		field, known := fields[key]
		if name, _, _ := strings.Cut(word, "="); known && pair && key != name && near.Word(name, slices.Collect(maps.Keys(fields))) != "" {
			known = false // a key with a slip, rather than a main argument with = in it
		}
		if !known {
			return nil, fmt.Errorf("%s: what is %q? It takes %s", action.Name, word, strings.Join(fieldNames(fields), ", "))
		}
		if _, twice := args[key]; twice {
			return nil, fmt.Errorf("%s: %s is given twice, the second time as %q: quote what belongs together", action.Name, key, word)
		}
		text, err := jsonValue(field.Type, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %s=%s: %w", action.Name, key, value, err)
		}
		args[key] = text
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, given := args[name]; !given && required(fields[name]) {
			return nil, fmt.Errorf("%s needs %s: scenario exec NODE -- %s %s=…", action.Name, name, action.Name, name)
		}
	}
	return json.Marshal(args)
}

// required says whether an argument must be given, as its JSON schema has it.
func required(field reflect.StructField) bool {
	return !strings.Contains(field.Tag.Get("json"), ",omitempty")
}

// argFields returns the fields of an action's arguments by their names.
func argFields(action *role.Action) map[string]reflect.StructField {
	fields := make(map[string]reflect.StructField)
	t := reflect.TypeOf(action.Args)
	if t == nil || t.Kind() != reflect.Struct {
		return fields
	}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = field
		}
	}
	return fields
}

func fieldNames(fields map[string]reflect.StructField) []string {
	var names []string
	for name := range fields {
		names = append(names, name+"=")
	}
	slices.Sort(names)
	if len(names) == 0 {
		return []string{"no arguments"}
	}
	return names
}

// jsonValue writes a word as JSON of type t: as a string, as it stands, or as a list of strings with commas between.
func jsonValue(t reflect.Type, word string) (json.RawMessage, error) {
	quoted, err := json.Marshal(word)
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(strings.Split(word, ","))
	if err != nil {
		return nil, err
	}
	for _, text := range []json.RawMessage{quoted, json.RawMessage(word), list} {
		if json.Unmarshal(text, reflect.New(t).Interface()) == nil {
			return text, nil
		}
	}
	return nil, fmt.Errorf("not a %s", t)
}

func nodeNames(info live.Info) []string {
	var names []string
	for _, node := range info.Nodes {
		names = append(names, node.Name)
	}
	return names
}

// completeExec completes a node, then its actions.
func (a *App) completeExec(command *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return completeNodes(command, args, word)
	case 1:
		name, _ := command.Flags().GetString("run")
		run, err := liveRun(command.Context(), name)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		for _, node := range run.Info.Nodes {
			if node.Name == args[0] {
				return a.actionNames(node), cobra.ShellCompDirectiveNoFileComp
			}
		}
	}
	return nil, cobra.ShellCompDirectiveDefault
}
