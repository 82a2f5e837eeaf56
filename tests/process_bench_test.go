package tests

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkProcess runs the whole program from its start to its end, without Docker: at most 150 ms are wanted of one that
// plays a scenario. The time that browse.yaml takes in real time is mostly that of a server which is slow on purpose.
func BenchmarkProcess(b *testing.B) {
	dir := b.TempDir()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"help", []string{"--help"}},
		{"validate-browse", []string{"validate", "browse.yaml"}},
		{"hello", []string{"test", "--engine", "embedded", "hello.yaml"}},
		{"hello-virtual", []string{"test", "--time", "virtual", "hello.yaml"}},
		{"browse-virtual", []string{"test", "--time", "virtual", "browse.yaml"}},
		{"browse", []string{"test", "--engine", "embedded", "browse.yaml"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				scenario(b, dir, c.args...).expectCode(b, 0)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(took[0].Microseconds())/1e3, "least-ms")
		})
	}
}
