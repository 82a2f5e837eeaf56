package router_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"
)

type (
	dialer   func(ctx context.Context, network, address string) (net.Conn, error)
	listener func(ctx context.Context, network, address string) (net.Listener, error)
)

var (
	kernelDial   dialer   = new(net.Dialer).DialContext
	kernelListen listener = new(net.ListenConfig).Listen
)

// bulk is the rate of one transfer in Gbit/s.
func bulk(b *testing.B, dial dialer, listen listener, at string, total int) float64 {
	b.Helper()
	l, err := listen(b.Context(), "tcp", at)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	took := make(chan time.Duration, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		start := time.Now()
		buffer := make([]byte, 128<<10)
		for {
			if _, err := c.Read(buffer); err != nil {
				took <- time.Since(start)
				return
			}
		}
	}()
	c, err := dial(b.Context(), "tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	buffer := make([]byte, 128<<10)
	for sent := 0; sent < total; sent += len(buffer) {
		if _, err := c.Write(buffer); err != nil {
			b.Fatal(err)
		}
	}
	_ = c.Close()
	return float64(total) * 8 / float64((<-took).Nanoseconds())
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkForward is what one packet costs: the path on which nothing is allocated.
func BenchmarkForward(b *testing.B) {
	for _, kind := range []string{"plain", "nat"} {
		b.Run(kind, func(b *testing.B) {
			l := newLab(b, twoSided())
			if kind == "nat" {
				l = newHome(b)
			}
			l.know4("eth1", 2, "10.2.0.7")
			var back frameBox
			l.Connect("eth1", &back)
			back.frame = frame(ether(b, mac(5), mac(1), ip4("10.1.0.5", "10.2.0.7", 17), udp(1000, 53), data(100)))
			original := slices.Clone(back.frame.Head.AsSlice())
			in := l.Port("eth0")
			b.ReportAllocs()
			for b.Loop() {
				copy(back.frame.Head.AsSlice(), original)
				in.Send(back.frame)
			}
		})
	}
}
