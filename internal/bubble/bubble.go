// Package bubble runs a function in virtual time: a testing/synctest bubble, in any program.
//
// In a bubble time goes on only when every goroutine waits for something that another one in the bubble does; then it goes
// on at once. So an hour of waiting takes no time at all, and nothing depends on how fast the machine is. The standard
// package knows bubbles in tests alone: [Run] has package testing run its function as a test that no person sees. In a
// real test, [Test] is there for the same.
package bubble

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
)

// Body is what runs in a bubble. It calls beat as it goes on: that is how the watchdog knows, and what others outside
// have to say is heard then. Whatever goroutines it starts have ended when it returns.
type Body func(beat func())

// Run calls body in a bubble of its own and returns when all has ended there. heard is called with every beat, in the
// bubble; nil: never. The error is a [*Stuck] where virtual time can go on no more: then what runs in the bubble cannot
// be ended, and the program should end. Run is for programs whose main package it is called from once at a time: it
// redirects os.Stdout and sets GOMAXPROCS to 1 until it returns.
func Run(body Body, heard func()) error {
	restore, err := quiet()
	if err != nil {
		return err
	}
	defer restore()
	// One processor: what goroutines do at the same instant happens in an order that repeats.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))

	dog := newWatchdog(heard)
	ended := make(chan error, 1)
	go func() {
		var failure error
		test := testing.InternalTest{Name: "scenario", F: func(t *testing.T) {
			defer func() { failure = deadlock(recover()) }()
			synctest.Test(t, func(*testing.T) { body(dog.beat) })
		}}
		code := testing.MainStart(deps{}, []testing.InternalTest{test}, nil, nil, nil).Run()
		if failure == nil && code != 0 {
			failure = errors.New("virtual time ended before its time")
		}
		ended <- failure
	}()
	return dog.watch(ended)
}

// Test calls body in a bubble of a test. A bubble that is stuck ends the test binary, with the stacks of what it hangs on,
// as a test's time-out does.
func Test(t *testing.T, body func(t *testing.T, beat func())) {
	dog := newWatchdog(nil)
	ended := make(chan error, 1)
	go func() {
		if err := dog.watch(ended); err != nil {
			panic(err)
		}
	}()
	defer func() { ended <- nil }()
	synctest.Test(t, func(t *testing.T) { body(t, dog.beat) })
}

// quiet keeps what package testing prints, such as PASS, from the program's standard output.
func quiet() (restore func(), err error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("virtual time: %w", err)
	}
	// Package testing reads its flags from flag.CommandLine, and would parse the program's arguments itself.
	testing.Init()
	if !flag.Parsed() {
		if err := flag.CommandLine.Parse(nil); err != nil {
			return nil, errors.Join(fmt.Errorf("virtual time: %w", err), null.Close())
		}
	}
	stdout := os.Stdout
	os.Stdout = null
	return func() {
		os.Stdout = stdout
		_ = null.Close() // nothing that was written matters
	}, nil
}

// deadlock makes an error of the panic of a bubble in which nothing will ever happen again. Other panics go on.
func deadlock(panicked any) error {
	if panicked == nil {
		return nil
	}
	err, ok := panicked.(error)
	if !ok || !isDeadlock(err) {
		panic(panicked)
	}
	return &Stuck{Why: "every goroutine waits, and nothing is planned that could wake one", Stacks: stacks(inBubble)}
}
