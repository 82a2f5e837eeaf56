package embedded_test

import (
	"testing"

	"go.uber.org/goleak"

	"scenario/engine"
	"scenario/engine/embedded"
	"scenario/engine/enginetest"
	"scenario/internal/bubble"
)

func TestEngine(t *testing.T) {
	enginetest.Run(t, enginetest.Suite{
		With: func(t *testing.T, test func(t *testing.T, e engine.Engine)) {
			test(t, embedded.New(embedded.Options{Kinds: enginetest.Kinds()}))
		},
		Left: func(t testing.TB, _ string) {
			if err := goleak.Find(goleak.IgnoreCurrent()); err != nil {
				t.Error(err)
			}
		},
	})
}

// A goroutine that is left in a bubble fails its test.
func TestEngineInVirtualTime(t *testing.T) {
	enginetest.Run(t, enginetest.Suite{
		With: func(t *testing.T, test func(t *testing.T, e engine.Engine)) {
			bubble.Test(t, func(t *testing.T, beat func()) {
				test(t, embedded.New(embedded.Options{Kinds: enginetest.Kinds(), Virtual: true, Beat: beat}))
			})
		},
	})
}
