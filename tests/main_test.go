package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// leaveWait is how long a run that was killed may take until nothing of it is left.
const leaveWait = 10 * time.Second

// TestMain builds the program as a release would be built; SCENARIO_UNDER_TEST names it for the tests.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "scenario-tests-")
	if err == nil {
		binary := filepath.Join(dir, "scenario")
		build := exec.Command("go", "build", "-o", binary, "scenario/cmd/scenario")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = errors.Join(build.Run(), os.Setenv("SCENARIO_UNDER_TEST", binary))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		os.Exit(2)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func binary() string { return os.Getenv("SCENARIO_UNDER_TEST") }

// outcome is how a command ended.
type outcome struct {
	stdout, stderr string
	code           int
}

// scenario runs the program in a folder.
func scenario(t testing.TB, dir string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(), args...)
	cmd.Dir = dir
	return runCommand(t, cmd)
}

func runCommand(t testing.TB, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// expectCode fails the test with all that was printed where the exit code is another.
func (o outcome) expectCode(t testing.TB, want int) {
	t.Helper()
	if o.code != want {
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", o.code, want, o.stdout, o.stderr)
	}
}

// containers lists what Docker has of the runs of that name.
func containers(t testing.TB, run string) []string {
	t.Helper()
	out, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "label=scenario.name="+run).Output()
	if err != nil {
		t.Fatalf("docker ps: %v", err)
	}
	return strings.Fields(string(out))
}

// expectNothingLeft waits until the run has left no container, no process and no link on the machine.
func expectNothingLeft(t testing.TB, run string, links []string) {
	t.Helper()
	var left string
	eventually(t, leaveWait, func() bool {
		left = fmt.Sprintf("containers %v, processes %v, links %v", containers(t, run), processes(t, run), newLinks(t, links))
		return left == "containers [], processes [], links []"
	}, func() string { return left + " are left of " + run })
}

// eventually looks at a condition until it holds.
func eventually(t testing.TB, within time.Duration, holds func() bool, say func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Error(say())
			return
		case <-tick.C:
		}
	}
}

// processes lists the program's own processes, other than those in containers, that name the run.
func processes(t testing.TB, run string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skipf("processes are looked for in /proc: %v", err)
	}
	var found []string
	for _, entry := range entries {
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		words := strings.Split(string(line), "\x00")
		if err == nil && strings.HasSuffix(words[0], "/scenario") && strings.Contains(strings.Join(words[1:], " "), run) {
			found = append(found, strings.Join(words, " "))
		}
	}
	return found
}

func linkNames(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Skipf("links are looked for in /sys/class/net: %v", err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// newLinks lists the machine's links that were not there before.
func newLinks(t testing.TB, before []string) []string {
	return slices.DeleteFunc(linkNames(t), func(name string) bool { return slices.Contains(before, name) })
}
