package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// endSignals are the signals that end a run, without those that this process was started to ignore (nohup).
func endSignals() []os.Signal {
	var signals []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// untilSignal calls f with a context that the first signal ends, which first is told. f may take its time to end then,
// but a second signal ends the wait for it: whatever f still holds goes with the process.
func untilSignal(ctx context.Context, first func(), f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals()...)
	defer signal.Stop(signals)
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-signals:
		first()
		cancel()
	}
	select {
	case err := <-done:
		return err
	case <-signals:
		return exit(exitInterrupted)
	}
}
