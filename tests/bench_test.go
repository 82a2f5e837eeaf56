package tests

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"scenario/internal/needs"
)

// BenchmarkBrowse compares a whole "scenario test browse.yaml", from the start of the process to its end, with bare
// "docker run" and "docker rm" of as many containers of the same image in parallel.
func BenchmarkBrowse(b *testing.B) {
	needs.Docker(b)
	dir := b.TempDir()
	scenario(b, dir, "test", "browse.yaml").expectCode(b, 0) // builds the image
	image := newestImage(b)
	nodes := strings.Count(scenario(b, dir, "plan", "browse.yaml", "--json").stdout, `"interfaces":`)
	if nodes < 10 {
		b.Fatalf("browse.yaml has %d nodes", nodes)
	}
	var ours, bare time.Duration
	for b.Loop() {
		began := time.Now()
		scenario(b, dir, "test", "browse.yaml").expectCode(b, 0)
		ours += time.Since(began)
		bare += runBare(b, image, nodes+1) // and the fabric
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/scenario")
	b.ReportMetric(bare.Seconds()/float64(b.N), "s/bare")
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "ratio")
}

func newestImage(b *testing.B) string {
	b.Helper()
	out, err := exec.Command("docker", "images", "--quiet", "--filter", "label=scenario.image").Output()
	if err != nil || len(out) == 0 {
		b.Fatalf("docker images: %v", err)
	}
	return strings.Fields(string(out))[0]
}

// runBare starts and removes containers as a shell would.
func runBare(b *testing.B, image string, count int) time.Duration {
	b.Helper()
	began := time.Now()
	var group sync.WaitGroup
	for range count {
		group.Go(func() {
			id, err := exec.Command("docker", "run", "--detach", "--interactive", "--network", "none", image, "node").Output()
			if err == nil {
				err = exec.Command("docker", "rm", "--force", strings.TrimSpace(string(id))).Run()
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
	return time.Since(began)
}
