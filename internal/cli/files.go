package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"scenario/expect"
	"scenario/internal/near"
	"scenario/topology"
)

// source is a scenario file as it was found.
type source struct {
	name    string // as errors name it
	text    []byte
	dir     string // what its relative paths start from
	builtIn bool
}

// open finds a scenario: "-" is standard input, then a file of that path, then the library.
func (a *App) open(name string) (source, error) {
	if name == "-" {
		text, err := readBounded(a.Stdin)
		if err != nil {
			return source{}, fmt.Errorf("standard input: %w", err)
		}
		return source{name: "stdin", text: text, dir: "."}, nil
	}
	info, err := os.Stat(name)
	if err == nil && !info.IsDir() {
		text, err := readFile(name)
		return source{name: name, text: text, dir: filepath.Dir(name)}, err
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return source{}, err
	}
	library := a.libraryNames()
	for _, file := range library {
		if name == file || name == strings.TrimSuffix(file, ".yaml") {
			text, err := fs.ReadFile(a.Library, file)
			return source{name: file, text: text, dir: ".", builtIn: true}, err
		}
	}
	if err == nil {
		return source{}, fmt.Errorf("%s is a folder: name a scenario file in it", name)
	}
	return source{}, fmt.Errorf("%s: no such file, and no scenario of the library%s", name, suggestion(filepath.Base(name), library))
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readBounded(file)
}

// readBounded reads no more than it takes to see that a file is too large for a scenario.
func readBounded(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, topology.MaxFile+1))
}

// suggestion is the end of an error about a name of the library that is not there.
func suggestion(name string, library []string) string {
	var bases []string
	for _, file := range library {
		bases = append(bases, strings.TrimSuffix(file, ".yaml"))
	}
	if meant := near.Word(strings.TrimSuffix(name, ".yaml"), bases); meant != "" {
		return ": did you mean " + meant + ".yaml?"
	}
	return ": scenario ls lists what there is"
}

// libraryNames lists the files of the library.
func (a *App) libraryNames() []string {
	files, err := fs.Glob(a.Library, "*.yaml")
	if err != nil {
		return nil // the pattern is good, and that is the only error there is
	}
	return files
}

// compileOptions are the flags that bear on a plan.
type compileOptions struct {
	seed seed
	name string
}

func (o *compileOptions) flags(command *cobra.Command) {
	command.Flags().Var(&o.seed, "seed", "`number` that all randomness of the run starts from (default: from the file)")
	command.Flags().StringVar(&o.name, "name", "", "name of the run (default: the scenario's)")
}

// load finds, parses and compiles a scenario. Its errors are complete: all mistakes of the file with their places.
func (a *App) load(name string, options compileOptions) (*topology.Plan, error) {
	src, err := a.open(name)
	if err != nil {
		return nil, err
	}
	return a.compile(src, options)
}

func (a *App) compile(src source, options compileOptions) (*topology.Plan, error) {
	spec, err := topology.Parse(src.name, src.text, a.Kinds)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(src.dir)
	if err != nil {
		return nil, err
	}
	plan, err := topology.Compile(spec, topology.Options{Seed: options.seed.value, Name: options.name, Dir: dir})
	if err != nil {
		return nil, err
	}
	return plan, expect.Check(plan, a.Kinds...)
}

// completeFiles completes FILE: the library's names and YAML files.
func (a *App) completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.libraryNames(), cobra.ShellCompDirectiveDefault
}
