package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"scenario/engine"
	"scenario/topology"
)

// Engine is something that --engine can name.
type Engine struct {
	Name string
	New  func(setting Setting) (engine.Engine, error)
	// Answers returns an error where the engine cannot be had on this machine, which says why. Nil: it always can.
	Answers func(ctx context.Context) error
	// Virtual says that the engine runs in virtual time too.
	Virtual bool
	// Sweep removes what is left of the runs of that name (empty: of all), whose owners are gone, and returns how many
	// things it removed. Nil where the engine leaves nothing.
	Sweep func(ctx context.Context, name string) (int, error)
}

// Setting is what an engine is made for.
type Setting struct {
	Virtual bool   // in virtual time: it is used in a bubble
	Beat    func() // to be called in the bubble as the run goes on
}

// engineFlag adds --engine. Nothing stands for the first engine that answers.
func (a *App) engineFlag(command *cobra.Command, name *string) {
	command.Flags().StringVar(name, "engine", "", "`engine` that carries the scenario out: "+strings.Join(a.engineNames(), ", ")+
		" (default: the first of them that answers and can do what the file asks for)")
	command.RegisterFlagCompletionFunc("engine", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.engineNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

func (a *App) engineNames() []string {
	names := make([]string, len(a.Engines))
	for i, e := range a.Engines {
		names[i] = e.Name
	}
	return names
}

// engineNamed returns the engine that --engine names.
func (a *App) engineNamed(name string) (Engine, error) {
	for _, e := range a.Engines {
		if e.Name == name {
			return e, nil
		}
	}
	return Engine{}, fmt.Errorf("no engine %q: --engine takes %s", name, strings.Join(a.engineNames(), ", "))
}

// chooseEngine returns the engine that is named, or, where none is, the first that answers and can do all of the plan (nil:
// any) and what is asked for. Where none can do all, it is the first that answers: what it cannot do is told when it is
// to start. instead says, where it is not the first of all, why.
func (a *App) chooseEngine(ctx context.Context, name string, virtual bool, plan *topology.Plan) (chosen Engine, instead string, err error) {
	if name != "" {
		if chosen, err = a.engineNamed(name); err == nil && virtual && !chosen.Virtual {
			err = fmt.Errorf("the %s engine has no virtual time: use --engine %s, or --time real", name, a.virtualEngine())
		}
		return chosen, "", err
	}
	var answering []Engine
	var problems []error
	for _, e := range a.Engines {
		if virtual && !e.Virtual {
			continue
		}
		problem := e.lacks(ctx, plan)
		if problem == nil {
			return e, note(problems, e.Name), nil
		}
		if ctx.Err() != nil {
			return Engine{}, "", ctx.Err()
		}
		if _, ok := errors.AsType[*engine.Unsupported](problem); ok {
			answering = append(answering, e)
		}
		problems = append(problems, problem)
	}
	if len(answering) > 0 {
		return answering[0], "", nil
	}
	return Engine{}, "", errors.Join(problems...)
}

// lacks returns why the engine cannot be had here, or what of the plan it cannot do.
func (e Engine) lacks(ctx context.Context, plan *topology.Plan) error {
	if e.Answers != nil {
		if err := e.Answers(ctx); err != nil {
			return err
		}
	}
	if plan == nil {
		return nil
	}
	eng, err := e.New(Setting{})
	if err != nil {
		return err
	}
	err = eng.Check(ctx, plan)
	if _, ok := errors.AsType[*engine.Unsupported](err); ok {
		return err
	}
	return nil // any other problem is told when the engine is to start
}

// note says in a line why an engine is used in place of another.
func note(problems []error, name string) string {
	if len(problems) == 0 {
		return ""
	}
	reason, _, _ := strings.Cut(problems[0].Error(), "\n")
	if lack, ok := errors.AsType[*engine.Unsupported](problems[0]); ok {
		reason = fmt.Sprintf("node %s: %s: not on the %s engine", lack.Node, lack.What, lack.Engine)
	}
	return fmt.Sprintf("%s: using the %s engine", reason, name)
}

// virtualEngine is the name of the first engine that has virtual time.
func (a *App) virtualEngine() string {
	for _, e := range a.Engines {
		if e.Virtual {
			return e.Name
		}
	}
	return ""
}
