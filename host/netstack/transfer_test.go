package netstack_test

import (
	"io"
	"net"
	"testing"

	"scenario/host"
	"scenario/host/kernel"
	"scenario/host/netstack"
)

// BenchmarkTransfer compares with the kernel's loopback: one stream, and questions with answers of one byte.
func BenchmarkTransfer(b *testing.B) {
	c := newCards()
	from := c.machine(b, 1, "10.0.0.1/24").Host(netstack.HostOptions{})
	to := c.machine(b, 2, "10.0.0.2/24").Host(netstack.HostOptions{})
	system := kernel.New(kernel.Options{})
	for _, way := range []struct {
		name string
		do   func(b *testing.B, c, s net.Conn)
	}{{"stream", stream}, {"question", question}} {
		var kernels float64
		for _, pair := range []struct {
			name     string
			from, to host.Host
			at       string
		}{{"kernel", system, system, "127.0.0.1:0"}, {"netstack", from, to, "10.0.0.2:0"}} {
			b.Run(way.name+"/"+pair.name, func(b *testing.B) {
				l, err := pair.to.Listen(b.Context(), "tcp", pair.at)
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				c, err := pair.from.Dial(b.Context(), "tcp", l.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				s, err := l.Accept()
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				way.do(b, c, s)
				each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
				if pair.name == "kernel" {
					kernels = each
				} else if kernels > 0 {
					b.ReportMetric(each/kernels, "of-kernel's-time")
				}
			})
		}
	}
}

// stream sends 64 KiB an operation.
func stream(b *testing.B, c, s net.Conn) {
	data := make([]byte, 64<<10)
	b.SetBytes(int64(len(data)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{s}, make([]byte, 256<<10))
	}()
	for b.Loop() {
		if _, err := c.Write(data); err != nil {
			b.Fatal(err)
		}
	}
	_ = c.Close()
	<-done
}

func question(b *testing.B, c, s net.Conn) {
	go func() { _, _ = io.Copy(s, s) }()
	one := make([]byte, 1)
	for b.Loop() {
		if _, err := c.Write(one); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(one); err != nil {
			b.Fatal(err)
		}
	}
}
