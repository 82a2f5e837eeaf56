package bubble_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"scenario/internal/bubble"
)

// programVariable has the test binary be an ordinary program, which runs one of the programs in a bubble.
const programVariable = "BUBBLE_PROGRAM"

func TestMain(m *testing.M) {
	name := os.Getenv(programVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	stdout := os.Stdout
	var heard int
	err := bubble.Run(programs()[name], func() { heard++ })
	if stuck, ok := errors.AsType[*bubble.Stuck](err); ok {
		fmt.Fprintln(stdout, "stuck:", stuck.Why)
		fmt.Fprintln(stdout, stuck.Stacks)
		os.Exit(3)
	}
	fmt.Fprintln(stdout, "error", err, "heard", heard)
	os.Exit(0)
}

// programs are what runs in a bubble.
func programs() map[string]bubble.Body {
	out := os.Stdout
	var outside sync.Mutex
	never := make(chan struct{})
	return map[string]bubble.Body{
		"sleep": func(beat func()) {
			start := time.Now()
			beat()
			time.Sleep(24 * time.Hour)
			beat()
			fmt.Fprintln(out, start.UTC(), time.Since(start))
		},
		"deadlock": func(func()) { <-make(chan struct{}) },
		"outside": func(func()) {
			timer := time.AfterFunc(time.Second, func() {})
			defer timer.Stop()
			<-never
		},
		"lock": func(func()) {
			outside.Lock()
			go func() {
				outside.Lock()
				defer outside.Unlock()
			}()
			time.Sleep(time.Second)
			outside.Unlock()
		},
	}
}

// run runs a program in a process of its own and returns what it prints.
func run(t *testing.T, program string) string {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), programVariable+"="+program)
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestRun(t *testing.T) {
	want := "2000-01-01 00:00:00 +0000 UTC 24h0m0s\nerror <nil> heard 2\n"
	if got := run(t, "sleep"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What stops the clock is named, with the place where it waits.
func TestStuck(t *testing.T) {
	for program, want := range map[string][]string{
		"deadlock": {"stuck: every goroutine waits", "chan receive", "bubble_test.go"},
		"outside":  {"stuck: a goroutine waits for something outside", "chan receive", "bubble_test.go"},
		"lock":     {"stuck: a goroutine waits for something outside", "sync.Mutex.Lock", "bubble_test.go"},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			got := run(t, program)
			for _, part := range want {
				if !strings.Contains(got, part) {
					t.Errorf("no %q in\n%s", part, got)
				}
			}
		})
	}
}

func TestInATest(t *testing.T) {
	bubble.Test(t, func(t *testing.T, beat func()) {
		start := time.Now()
		time.Sleep(time.Hour)
		beat()
		if got := time.Since(start); got != time.Hour {
			t.Errorf("%v passed", got)
		}
	})
}
