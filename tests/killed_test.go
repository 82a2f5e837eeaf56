//go:build linux

package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"scenario/internal/needs"
	"scenario/record"
)

// kills is how many random moments a run is killed at.
const kills = 20

// R41: a CLI that is killed at any moment leaves nothing, and its folder can be read. Moments are lines of output, which
// come from the start, the steps and the end alike.
func TestKilledAtAnyMoment(t *testing.T) {
	needs.Docker(t)
	moments := strings.Count(scenario(t, t.TempDir(), "up", "--json", "hello.yaml").stdout, "\n")
	if moments < 10 {
		t.Fatalf("a whole run prints %d lines", moments)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	links := linkNames(t)
	for i := range kills {
		moment := random.IntN(moments)
		t.Run(fmt.Sprintf("line %d", moment), func(t *testing.T) {
			t.Parallel()
			run := fmt.Sprintf("killed-%d-%d", os.Getpid(), i)
			folder := filepath.Join(t.TempDir(), "run")
			cmd := exec.Command(binary(), "up", "--json", "--name", run, "--out", folder, "hello.yaml")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			for range moment {
				if !lines.Scan() {
					break
				}
			}
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			expectNothingLeft(t, run, links)
			if _, err := record.Open(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the run folder: %v", err)
			}
		})
	}
}

// R41: a node that crashes ends the run with its name, and nothing is left.
func TestNodeCrashes(t *testing.T) {
	needs.Docker(t)
	links := linkNames(t)
	run := fmt.Sprintf("crashed-%d", os.Getpid())
	cmd := exec.Command(binary(), "up", "--json", "--wait", "--name", run, "--out", filepath.Join(t.TempDir(), "run"), "hello.yaml")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	crashed := false
	for lines.Scan() {
		if !crashed && strings.Contains(lines.Text(), `"missing"`) { // the last step is under way
			crashed = true
			out, err := exec.Command("docker", "ps", "--quiet", "--filter", "label=scenario.name="+run, "--filter", "label=scenario.node=server").Output()
			if err != nil {
				t.Fatal(err)
			}
			if err := exec.Command("docker", "kill", strings.TrimSpace(string(out))).Run(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(stderr.String(), "node server: it ended with exit code 137") {
		t.Errorf("exit code %d, want 2 and the node's name:\n%s", code, &stderr)
	}
	expectNothingLeft(t, run, links)
}

// R41: an engine that refuses in the middle of a start is told as it is, and nothing is left.
func TestDockerRefuses(t *testing.T) {
	needs.Docker(t)
	links := linkNames(t)
	run := fmt.Sprintf("refused-%d", os.Getpid())
	cmd := exec.Command(binary(), "test", "--name", run, "hello.yaml")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+refusingDocker(t, 3))
	got := runCommand(t, cmd)
	got.expectCode(t, 2)
	if want := "no more containers today"; !strings.Contains(got.stderr, want) {
		t.Errorf("%q is not told:\n%s", want, got.stderr)
	}
	expectNothingLeft(t, run, links)
}

// refusingDocker passes requests on to the real engine, and refuses to make any container from the nth on.
func refusingDocker(t *testing.T, n int64) string {
	t.Helper()
	engine := &url.URL{Scheme: "http", Host: "docker"}
	proxy := httputil.NewSingleHostReverseProxy(engine)
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", "/var/run/docker.sock")
	}}
	var made atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/containers/create") && made.Add(1) >= n {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"message":"no more containers today"}`)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return "unix://" + socket
}

// R41: a full disk ends the run with a word about it, and nothing is left.
func TestDiskFull(t *testing.T) {
	needs.Docker(t)
	links := linkNames(t)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		needs.Met(t, "root", fmt.Errorf("mount a small disk: %w", err))
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
	run := fmt.Sprintf("full-%d", os.Getpid())
	got := scenario(t, t.TempDir(), "test", "--name", run, "--out", filepath.Join(disk, "run"), "hello.yaml")
	got.expectCode(t, 2)
	if want := "no space left on device"; !strings.Contains(got.stderr, want) {
		t.Errorf("%q is not told:\n%s", want, got.stderr)
	}
	if _, err := record.Open(filepath.Join(disk, "run")); err != nil {
		t.Errorf("what was written before cannot be read: %v", err)
	}
	expectNothingLeft(t, run, links)
}

// R41: runs of one file side by side do not meet: each has its own folder, name and network.
func TestSideBySide(t *testing.T) {
	needs.Docker(t)
	dir := t.TempDir()
	ended := make(chan outcome, 2)
	for range 2 {
		go func() {
			cmd := exec.Command(binary(), "test", "nat.yaml")
			cmd.Dir = dir
			ended <- runCommand(t, cmd)
		}()
	}
	for range 2 {
		(<-ended).expectCode(t, 0)
	}
}
