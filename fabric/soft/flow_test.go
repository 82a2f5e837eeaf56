package soft_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// What several send at one instant arrives in one order, whoever was first; what one of them sends keeps its own.
func TestFlowsOfOneTime(t *testing.T) {
	arrive := func(order []string) (got []string) {
		synctest.Test(t, func(t *testing.T) {
			s := soft.NewVirtualTime(nil)
			defer s.Close()
			for _, name := range order {
				s.Send(s.Now(), soft.Frame{Head: buffer.NewViewWithData([]byte(name[:1])), Payload: buffer.MakeWithData([]byte(name))},
					soft.SinkFunc(func(f soft.Frame) {
						got = append(got, string(f.Payload.Flatten()))
						f.Release()
					}))
			}
			time.Sleep(time.Second)
		})
		return got
	}
	one := arrive([]string{"a1", "a2", "b1", "b2", "c1"})
	two := arrive([]string{"c1", "b1", "a1", "b2", "a2"})
	if len(one) != 5 || !slices.Equal(one, two) {
		t.Errorf("arrivals %v and %v", one, two)
	}
}
