package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// runOptions are the flags of commands that start runs.
type runOptions struct {
	compileOptions
	engine string
	clock  clock
	folder string
	links  []string // to be captured
	keys   bool     // captures have the secrets of TLS sessions
	json   bool
	raw    bool
	trust  bool
}

func (o *runOptions) flags(a *App, command *cobra.Command) {
	o.compileOptions.flags(command)
	a.engineFlag(command, &o.engine)
	o.clock.flag(command)
	command.Flags().StringVar(&o.folder, "out", "", "run `folder` (default: .scenario/NAME)")
	command.Flags().StringSliceVar(&o.links, "capture", nil, "keep the frames of `links` in the run folder as pcapng: all, NODE or NODE:NETWORK")
	command.Flags().BoolVar(&o.keys, "tls-keys", false, "put the secrets of the roles' TLS sessions into the captures, so that Wireshark shows what is in them")
	command.Flags().BoolVar(&o.json, "json", false, "one JSON object a line on standard output, and nothing else")
	command.Flags().BoolVar(&o.raw, "raw", false, "show requests and responses as bytes on the wire")
	command.Flags().BoolVar(&o.trust, "trust", false, "start files that run images or programs of this machine without asking")
	command.MarkFlagDirname("out")
}

// job compiles a file to a job.
func (o *runOptions) job(ctx context.Context, a *App, file string) (job, error) {
	if o.engine != "" {
		if _, err := a.engineNamed(o.engine); err != nil {
			return job{}, err
		}
	}
	src, err := a.open(file)
	if err != nil {
		return job{}, err
	}
	plan, err := a.compile(src, o.compileOptions)
	if err != nil {
		return job{}, err
	}
	if err := capture(plan, o.links); err != nil {
		return job{}, err
	}
	if err := keepKeys(plan, o.keys); err != nil {
		return job{}, err
	}
	if err := a.trust(plan, src, o.trust); err != nil {
		return job{}, err
	}
	chosen, instead, err := a.chooseEngine(ctx, o.engine, o.clock.virtual, plan)
	if err != nil {
		return job{}, err
	}
	if instead != "" {
		fmt.Fprintln(a.Stderr, instead)
	}
	look := a.look()
	look.JSON, look.Raw = o.json, o.raw
	look.Live = look.Live && !o.clock.virtual // which would count the seconds
	return job{Plan: plan, File: file, Engine: chosen.Name, Virtual: o.clock.virtual, Folder: o.folder, Look: look}, nil
}

func (a *App) upCommand() *cobra.Command {
	var options runOptions
	var detached, wait bool
	var proxies []string
	command := &cobra.Command{
		Use:   "up FILE",
		Short: "Bring a network up, run its steps and show what happens",
		Long: `Bring the network of a scenario up, run its steps and show what happens. Then stay up until Ctrl-C where a person is at
the terminal or --wait is given, else go down. FILE is a path, a name of the library (scenario ls), or - for standard
input.

Exit code: 0, 1 where a step or an expectation failed, 2 where the run could not be had, 130 where it was interrupted.`,
		Args:              need(1, 1, "one file"),
		ValidArgsFunction: a.completeFiles,
		RunE: func(command *cobra.Command, args []string) error {
			j, err := options.job(command.Context(), a, args[0])
			if err != nil {
				return err
			}
			if j.Proxies, err = proxiesAt(j.Plan, proxies); err != nil {
				return err
			}
			wait = wait || len(proxies) > 0 && !detached
			if j.Virtual && (detached || wait) {
				return errStayVirtual
			}
			if detached {
				j.Stay, j.Detached = true, true
				return a.detach(command.Context(), j)
			}
			j.Stay = wait || j.Look.Attended && !j.Virtual
			result, err := a.attached(command.Context(), j, newDisplay(j, a.Stdout, a.Stderr), func(string) {})
			if err != nil {
				return err
			}
			return code(result.code())
		},
	}
	options.flags(a, command)
	command.Flags().BoolVarP(&detached, "detach", "d", false, "leave the run up in the background: scenario down ends it")
	command.Flags().BoolVar(&wait, "wait", false, "stay up after the steps until Ctrl-C or scenario down")
	command.Flags().StringArrayVar(&proxies, "proxy", nil, "stay up, with a proxy into `NODE[=ADDRESS:PORT]`, as scenario proxy has it; may be given several times")
	command.MarkFlagsMutuallyExclusive("detach", "wait")
	return command
}

// interrupted is what a person is told after the first signal.
const interrupted = "interrupted: taking it down; once more to leave at once"

// attached does a job in this process.
func (a *App) attached(ctx context.Context, j job, show display, opened func(folder string)) (outcome, error) {
	var result outcome
	err := untilSignal(ctx, func() { show.note(interrupted) }, func(ctx context.Context) error {
		var err error
		result, err = a.carryOut(ctx, j, show, hooks{opened: opened, ready: func(outcome) {}})
		return err
	})
	return result, err
}
