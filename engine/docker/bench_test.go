package docker

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"scenario/engine/enginetest"
	"scenario/topology"
)

// BenchmarkStart starts and stops a run of 12 nodes and compares it with bare "docker run" and "docker rm" of as many
// containers of the same image in parallel.
func BenchmarkStart(b *testing.B) {
	e := requireDocker(b)
	p := &topology.Plan{Name: "docker-bench-start", Networks: []topology.Network{{Name: "lan"}}}
	for n := range 12 {
		p.Nodes = append(p.Nodes, topology.Node{
			Name:       fmt.Sprintf("node%d", n),
			Interfaces: []topology.Interface{itf("eth0", "lan", byte(n), fmt.Sprintf("10.0.0.%d/24", n+1))},
		})
	}
	var ours, bare time.Duration
	for b.Loop() {
		began := time.Now()
		run, err := e.Start(b.Context(), p, enginetest.NewOutput(b))
		if err != nil {
			b.Fatal(err)
		}
		up := time.Since(began)
		if err := run.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(began)
		b.ReportMetric(up.Seconds(), "s/up")
		bare += runBare(b, e, len(p.Nodes))
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/run")
	b.ReportMetric(bare.Seconds()/float64(b.N), "s/bare")
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "ratio")
}

// runBare starts and removes containers as a shell would.
func runBare(b *testing.B, e *Engine, count int) time.Duration {
	provider, err := connect(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	image, err := ensureImage(b.Context(), provider, e.options.Binary, func() {})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	var group sync.WaitGroup
	for range count {
		group.Go(func() {
			id, err := exec.Command("docker", "run", "-d", "-i", "--network", "none", image, "node").Output()
			if err != nil {
				b.Error(err)
				return
			}
			if err := exec.Command("docker", "rm", "-f", strings.TrimSpace(string(id))).Run(); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
	return time.Since(began)
}
