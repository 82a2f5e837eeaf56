// Package needs is for tests that need something of the machine: they are skipped by name where it is absent, and fail
// where SCENARIO_REQUIRE, a list with commas, asks for it. So CI never skips what it should run.
package needs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Names of needs that are no programs.
const (
	docker      = "docker"
	root        = "root"
	conformance = "conformance"
)

// Met goes on where missing is nil; else it skips the test, or fails it where the need is required.
func Met(t testing.TB, need string, missing error) {
	t.Helper()
	if missing == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("SCENARIO_REQUIRE"), ","), need) {
		t.Fatalf("SCENARIO_REQUIRE asks for %s: %v", need, missing)
	}
	t.Skipf("%s: %v", need, missing)
}

// Program needs a program of that name in the PATH.
func Program(t testing.TB, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	Met(t, name, err)
}

// Root needs the rights of root, to make network namespaces and mounts.
func Root(t testing.TB) {
	t.Helper()
	var missing error
	if os.Getuid() != 0 {
		missing = errors.New("only root makes namespaces and mounts")
	}
	Met(t, root, missing)
}

// Docker needs a Docker engine that answers.
func Docker(t testing.TB) {
	t.Helper()
	out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	Met(t, docker, err)
}

// Conformance needs the conformance data, which nobody in this project wrote, and returns the path of a file or folder of
// it. SCENARIO_CONFORMANCE names its folder; by default it is shared/conformance beside the project.
func Conformance(t testing.TB, name ...string) string {
	t.Helper()
	dir := os.Getenv("SCENARIO_CONFORMANCE")
	if dir == "" {
		dir = filepath.Join(moduleRoot(t), "..", "shared", "conformance")
	}
	path := filepath.Join(append([]string{dir}, name...)...)
	_, err := os.Stat(path)
	Met(t, conformance, err)
	return path
}

// moduleRoot is the folder of the project: the nearest one above the test that holds go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = above
	}
}
