package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"scenario/internal/needs"
)

// R6, R8, R13, R15, R16: nginx, curl, wget and a program on net/http work with our web server, and they with our browser:
// compression, ranges, HTTP/1.1 and HTTP/2, TLS, and what a cache asks.
func TestInteroperation(t *testing.T) {
	needs.Docker(t)
	for _, program := range []string{"nginx", "curl", "wget", "go"} {
		needs.Program(t, program)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(testdata(t, "interop"))); err != nil {
		t.Fatal(err)
	}
	// Without cgo, so that it runs on whatever machine the nodes are.
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "program", "program"), "./testdata/interop/program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if got := runCommand(t, build); got.code != 0 {
		t.Fatalf("build the program: %s", got.stderr)
	}
	scenario(t, dir, "test", "--trust", "interop.yaml").expectCode(t, 0)
}
