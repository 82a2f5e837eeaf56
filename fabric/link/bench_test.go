package link

import (
	"testing"
	"time"
)

// BenchmarkPass tells what a packet costs, and how many times that is what a packet of a clean link costs.
func BenchmarkPass(b *testing.B) {
	const ms = time.Millisecond
	clean := 0.0
	for _, bench := range []struct {
		name     string
		settings Settings
	}{
		{"clean", Settings{}},
		{"delay", Settings{Delay: 10 * ms}},
		{"uniform", Settings{Delay: 10 * ms, Jitter: ms}},
		{"normal", Settings{Delay: 10 * ms, Jitter: ms, Distribution: Normal}},
		{"pareto", Settings{Delay: 10 * ms, Jitter: ms, Distribution: Pareto}},
		{"rate", Settings{Rate: 1e9}},
		{"all", Settings{
			Delay: 10 * ms, Jitter: ms, Distribution: Normal, Burst: Burst{Enter: 0.01, Leave: 0.1, Bad: 1},
			Duplicate: 0.01, Reorder: 0.01, Corrupt: 0.01, Rate: 1e9,
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			l, now := New(bench.settings, 1), start()
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(12 * time.Microsecond) // 1,514 bytes at 1 Gbit/s take as long, so that some wait
				l.Pass(now, 1514)
			}
			cost := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if clean == 0 {
				clean = cost
			}
			b.ReportMetric(cost/clean, "x-clean")
		})
	}
}
