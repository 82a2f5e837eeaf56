package nat

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkForwarded is what the table costs a packet of a connection it knows, in and out, among so many others; beside
// it, a lookup in a map of netip flows, which is the least that it could be.
func BenchmarkForwarded(b *testing.B) {
	for _, conns := range []int{10, 1000, 50000} {
		for _, kind := range []struct {
			name string
			Behaviour
		}{{"linux", Behaviour{}}, {"cone", FullCone()}} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, conns), func(b *testing.B) {
				r := newRouter(b, Config{Behaviour: kind.Behaviour})
				packets := make([]Packet, conns)
				bare := make(map[Flow]*Packet)
				for i := range packets {
					packets[i].Flow = Flow{Protocol: UDP, Src: addrPort(fmt.Sprintf("192.168.1.%d", 10+i%100), uint16(1024+i)), Dst: parseAddr("S:53")}
					first := packets[i]
					if _, v := r.send(lan, &first); v != Accept {
						b.Fatal(v)
					}
					bare[packets[i].Flow] = &packets[i]
				}
				i := 0
				run := func() {
					p := packets[i%conns]
					i += 7919
					p.In, p.Out = lan, wan
					if r.Prerouting(start, &p) != Accept || r.Forward(start, &p) != Accept || p.fresh {
						b.Fatal("not a known connection")
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
				table := b.Elapsed()
				began := time.Now()
				for range b.N {
					if bare[packets[i%conns].Flow] == nil {
						b.Fatal("not found")
					}
					i += 7919
				}
				b.ReportMetric(float64(table)/float64(time.Since(began)), "×map")
				if n := testing.AllocsPerRun(100, run); n != 0 {
					b.Errorf("%v allocations a packet", n)
				}
			})
		}
	}
}

// BenchmarkBegun is the cost of a connection's whole life: its first packet, and its end.
func BenchmarkBegun(b *testing.B) {
	for _, kind := range []struct {
		name string
		Behaviour
	}{{"linux", Behaviour{}}, {"cone", FullCone()}} {
		b.Run(kind.name, func(b *testing.B) {
			r := newRouter(b, Config{Behaviour: kind.Behaviour})
			p := Packet{Flow: Flow{Protocol: UDP, Dst: parseAddr("S:53")}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q := p
				q.Flow.Src = addrPort("192.168.1.10", uint16(1024+i%60000))
				r.at = r.at.Add(10 * time.Millisecond)
				if _, v := r.send(lan, &q); v != Accept {
					b.Fatal(v)
				}
			}
		})
	}
}

// BenchmarkExhausted is the cost of a packet for which there is no port.
func BenchmarkExhausted(b *testing.B) {
	for _, kind := range []struct {
		name string
		Behaviour
	}{{"linux", Behaviour{}}, {"cone", FullCone()}} {
		b.Run(kind.name, func(b *testing.B) {
			r := newRouter(b, Config{Behaviour: kind.Behaviour, Max: 1 << 20})
			send := func(addr string, port uint16) Verdict {
				p := Packet{Flow: Flow{Protocol: UDP, Src: addrPort(addr, port), Dst: parseAddr("S:53")}}
				_, v := r.send(lan, &p)
				return v
			}
			for port := 1024; port < 65536; port++ {
				if v := send("192.168.1.10", uint16(port)); v != Accept {
					b.Fatal(v)
				}
			}
			for b.Loop() {
				if v := send("192.168.1.11", 5000); v != Exhausted {
					b.Fatal(v)
				}
			}
		})
	}
}
