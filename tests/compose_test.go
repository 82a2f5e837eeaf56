package tests

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scenario/internal/needs"
)

// compose.yaml builds the tool as an image and runs it against the machine's engine. Where no registry is to be had,
// the image that compiles it is made of this machine's own Go.
func TestCompose(t *testing.T) {
	t.Parallel()
	needs.Docker(t)
	compose := composeCommand(t)
	needs.Program(t, "busybox")

	const compiler = "scenario-test-golang:1"
	importGo(t, compiler)
	source := vendoredSource(t)
	project := "scenario-test-compose"
	links := linkNames(t)
	run := func(args ...string) outcome {
		cmd := exec.CommandContext(t.Context(), compose[0], append(compose[1:], args...)...)
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "COMPOSE_PROJECT_NAME="+project, "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0")
		return runCommand(t, cmd)
	}
	before := danglingImages(t)
	t.Cleanup(func() {
		_ = exec.Command("docker", "image", "rm", "scenario-cli").Run()
		// The classic builder keeps the stage that compiles.
		for _, id := range danglingImages(t) {
			if !slices.Contains(before, id) {
				_ = exec.Command("docker", "image", "rm", id).Run()
			}
		}
	})
	if got := run("build", "--build-arg", "GO="+compiler); got.code != 0 {
		t.Fatalf("build: %s%s", got.stdout, got.stderr)
	}
	name := fmt.Sprintf("composed-%d", os.Getpid())
	got := run("run", "--rm", "-T", "scenario", "test", "--name", name, "hello.yaml")
	got.expectCode(t, 0)
	if !strings.Contains(got.stdout, "ok    "+name) {
		t.Errorf("hello.yaml was not run:\n%s%s", got.stdout, got.stderr)
	}
	if _, err := os.Stat(filepath.Join(source, ".scenario", name, "events.jsonl")); err != nil {
		t.Errorf("the run folder is not where the files are: %v", err)
	}
	expectNothingLeft(t, name, links)
}

func danglingImages(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("docker", "images", "--quiet", "--no-trunc", "--filter", "dangling=true").Output()
	if err != nil {
		t.Fatalf("docker images: %v", err)
	}
	return strings.Fields(string(out))
}

func composeCommand(t *testing.T) []string {
	t.Helper()
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	needs.Program(t, "docker-compose")
	return []string{"docker-compose"}
}

// vendoredSource copies what git knows of the project, with its modules beside it, so that it builds without a network.
func vendoredSource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = ".."
	names, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("..", name))
		if os.IsNotExist(err) {
			continue // removed here, and not yet in git
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	vendor := exec.Command("go", "mod", "vendor")
	vendor.Dir = dir
	if got := runCommand(t, vendor); got.code != 0 {
		t.Fatalf("go mod vendor: %s", got.stderr)
	}
	return dir
}

// importGo makes an image that compiles Go, of this machine's own toolchain and a shell, and removes it with the test.
func importGo(t *testing.T, image string) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	root, out := io.Pipe()
	go func() { out.CloseWithError(writeGoRoot(out, strings.TrimSpace(string(goroot)), busybox)) }()
	cmd := exec.CommandContext(t.Context(), "docker", "import", "--change", "ENV PATH=/usr/local/go/bin:/bin GOCACHE=/tmp/cache", "-", image)
	cmd.Stdin = root
	if got := runCommand(t, cmd); got.code != 0 {
		t.Fatalf("docker import: %s", got.stderr)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", image).Run() })
}

func writeGoRoot(out io.Writer, goroot, busybox string) error {
	w := tar.NewWriter(out)
	add := func(from, to string) error {
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		header.Name = to
		if err := w.WriteHeader(header); err != nil || info.IsDir() {
			return err
		}
		file, err := os.Open(from)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(w, file)
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}); err != nil {
		return err
	}
	for _, applet := range []string{"sh", "mkdir"} {
		if err := add(busybox, "bin/"+applet); err != nil {
			return err
		}
	}
	for _, part := range []string{"bin", "pkg", "src", "lib", "go.env", "VERSION"} {
		err := filepath.Walk(filepath.Join(goroot, part), func(path string, info os.FileInfo, err error) error {
			if err != nil || info.Mode()&os.ModeSymlink != 0 {
				return err
			}
			if info.IsDir() && info.Name() == "testdata" {
				return filepath.SkipDir
			}
			below, err := filepath.Rel(goroot, path)
			if err != nil {
				return err
			}
			return add(path, "usr/local/go/"+below)
		})
		if err != nil {
			return err
		}
	}
	return w.Close()
}
