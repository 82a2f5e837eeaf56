package soft_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// addressed is a frame between two MAC addresses.
func addressed(from, to [6]byte) soft.Frame {
	return soft.Frame{
		Head:    buffer.NewViewWithData(append(append(bytes.Clone(to[:]), from[:]...), 8, 0)),
		Payload: buffer.MakeWithData([]byte("payload")),
	}
}

func TestSwitch(t *testing.T) {
	all := [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	group, nobody := [6]byte{0x33, 0x33, 0, 0, 0, 1}, [6]byte{}
	s := soft.NewSwitch()
	var got []int
	var ports []soft.Sink
	for i := range 4 {
		ports = append(ports, s.Attach(soft.SinkFunc(func(f soft.Frame) {
			got = append(got, i)
			f.Release()
		})))
	}
	for _, step := range []struct {
		what     string
		port     int
		from, to [6]byte
		want     []int
	}{
		{"nobody is known", 1, mac(1), mac(2), []int{0, 2, 3}},
		{"the first is known", 2, mac(2), mac(1), []int{1}},
		{"and the second", 1, mac(1), mac(2), []int{2}},
		{"broadcast", 3, mac(3), all, []int{0, 1, 2}},
		{"a group", 0, mac(4), group, []int{1, 2, 3}},
		{"back where it came from", 2, mac(2), mac(2), nil},
		{"behind the same port", 2, mac(5), mac(2), nil},
		{"it has moved", 3, mac(1), mac(2), []int{2}},
		{"and is found", 2, mac(2), mac(1), []int{3}},
		{"a group has sent", 0, group, all, []int{1, 2, 3}},
		{"and is not believed", 1, mac(9), group, []int{0, 2, 3}},
		{"nor is nobody", 0, nobody, all, []int{1, 2, 3}},
		{"who gets none", 1, mac(9), nobody, []int{0, 2, 3}},
	} {
		got = nil
		ports[step.port].Send(addressed(step.from, step.to))
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: to ports %v, not %v", step.what, got, step.want)
		}
	}
	ports[0].Send(soft.Frame{Head: buffer.NewViewWithData([]byte("short"))})
	alone := soft.NewSwitch()
	alone.Attach(nil).Send(addressed(mac(1), all))
}

// What one receiver does with a frame that was flooded, another does not see.
func TestFloodedHeadsAreTheReceivers(t *testing.T) {
	s := soft.NewSwitch()
	var got []soft.Frame
	in := s.Attach(nil)
	for range 3 {
		s.Attach(soft.SinkFunc(func(f soft.Frame) { got = append(got, f) }))
	}
	in.Send(addressed(mac(1), mac(2)))
	got[0].Head.AsSlice()[0] = 0xee
	for i := range got[1:] {
		if want := addressed(mac(1), mac(2)); !bytes.Equal(allOf(&got[i+1]), allOf(&want)) {
			t.Errorf("frame %d: % x", i+1, allOf(&got[i+1]))
		}
	}
	for i := range got {
		got[i].Release()
	}
}

// A thousand stations that talk all at once are learnt, and none is flooded to after that.
func TestManyStations(t *testing.T) {
	const n = 1000
	station := func(i int) [6]byte { return [6]byte{2, 0, 0, 0, byte(i >> 8), byte(i)} }
	s := soft.NewSwitch()
	var wrong, arrived atomic.Int64
	var ports [n]soft.Sink
	for i := range n {
		ports[i] = s.Attach(soft.SinkFunc(func(f soft.Frame) {
			if [6]byte(f.Head.AsSlice()) != station(i) {
				wrong.Add(1)
			}
			arrived.Add(1)
			f.Release()
		}))
	}
	var learning sync.WaitGroup
	for worker := range 4 {
		learning.Go(func() {
			for i := worker; i < n; i += 4 {
				ports[i].Send(addressed(station(i), station(i)))
			}
		})
	}
	learning.Wait()
	wrong.Store(0)
	arrived.Store(0)
	var talking sync.WaitGroup
	for worker := range 4 {
		talking.Go(func() {
			for i := range n {
				ports[i].Send(addressed(station(i), station((i*7+worker+1)%n)))
			}
		})
	}
	talking.Wait()
	if wrong.Load() > 0 || arrived.Load() < 3*n {
		t.Errorf("%d frames arrived, %d of them at the wrong port", arrived.Load(), wrong.Load())
	}
}

// BenchmarkSwitch compares a switch that knows 1,000 stations with one that knows two.
func BenchmarkSwitch(b *testing.B) {
	for _, n := range []int{2, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			station := func(i int) [6]byte { return [6]byte{2, 0, 0, 0, byte(i >> 8), byte(i)} }
			s := soft.NewSwitch()
			ports := make([]soft.Sink, n)
			for i := range ports {
				ports[i] = s.Attach(soft.SinkFunc(func(f soft.Frame) { f.Release() }))
				ports[i].Send(addressed(station(i), station(i)))
			}
			i := 0
			for b.Loop() {
				ports[i%n].Send(addressed(station(i%n), station((i+1)%n)))
				i++
			}
		})
	}
}
