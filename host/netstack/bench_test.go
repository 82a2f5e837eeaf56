package netstack_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"scenario/fabric/soft"
	"scenario/host/netstack"
)

// An idle machine with one card: memory with its goroutines' stacks, and the time to make it.
func BenchmarkIdle(b *testing.B) {
	for _, kind := range []struct{ name, prefix string }{{"IPv4", ""}, {"both", "fd00::1/64"}} {
		for _, count := range []int{100, 1000, 10000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, count), func(b *testing.B) {
				for b.Loop() {
					idle(b, count, kind.prefix)
				}
			})
		}
	}
}

func idle(b *testing.B, count int, second string) {
	var network *soft.Switch
	machines := make([]*netstack.Machine, 0, count)
	before := memory()
	began := time.Now()
	for i := range count {
		if i%100 == 0 {
			network = soft.NewSwitch()
		}
		mac := [6]byte{2}
		binary.BigEndian.PutUint32(mac[2:], uint32(i))
		card := soft.NewNIC(soft.NICOptions{MAC: mac, MTU: 1500, Resolve: true})
		card.Connect(network.Attach(card))
		addrs := []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 8)}
		if second != "" {
			addrs = append(addrs, netip.MustParsePrefix(second))
		}
		m, err := netstack.New(netstack.Options{
			Seed: uint64(i), Interfaces: []netstack.Interface{{Name: "eth0", Link: card, Addresses: addrs}},
		})
		if err != nil {
			b.Fatal(err)
		}
		machines = append(machines, m)
	}
	took := time.Since(began)
	b.ReportMetric(float64(memory()-before)/float64(count)/1024, "KiB/machine")
	b.ReportMetric(float64(took.Microseconds())/float64(count), "µs/machine")
	b.ReportMetric(float64(runtime.NumGoroutine())/float64(count), "goroutines/machine")
	for _, m := range machines {
		m.Close()
	}
}

// memory is what the process has in use, in bytes.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
