package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
)

// connected is a process that serves handle and a client that speaks with it.
type connected struct {
	client  *Client
	lease   io.Closer
	served  chan error
	records []event.Record
	files   map[string]string
	others  []string
}

func connect(t *testing.T, handle func(out *Writer) Handler) *connected {
	in, requests := io.Pipe()
	lines, out := io.Pipe()
	c := &connected{client: NewClient(requests), lease: requests, served: make(chan error, 1), files: make(map[string]string)}
	writer := NewWriter(out)
	go func() {
		err := Serve(t.Context(), in, writer, handle(writer))
		out.Close()
		c.served <- err
	}()
	go func() {
		_ = c.client.Receive(lines,
			event.SinkFunc(func(r event.Record) { c.records = append(c.records, r) }),
			func(name string, data []byte) { c.files[name] = string(data) },
			func(text string) { c.others = append(c.others, text) })
	}()
	t.Cleanup(func() { requests.Close() })
	return c
}

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, func(out *Writer) Handler {
			return func(_ context.Context, op string, params json.RawMessage) (any, error) {
				switch op {
				case "echo":
					return params, nil
				case "tell":
					out.Record(event.Record{Node: "n", Event: "log"})
					_ = out.Write(Line{File: "a/b.txt", Data: []byte("kept")})
					_ = out.Write("no line of ours")
					return nil, nil
				}
				return nil, fmt.Errorf("no such operation: %s", op)
			}
		})
		var got string
		if err := c.client.Call(t.Context(), "echo", "hello", &got); err != nil || got != "hello" {
			t.Errorf("echo: %q, %v", got, err)
		}
		if err := c.client.Call(t.Context(), "dance", nil, nil); err == nil || err.Error() != "no such operation: dance" {
			t.Errorf("an operation that is not there: %v", err)
		}
		if err := c.client.Call(t.Context(), "tell", nil, nil); err != nil {
			t.Fatal(err)
		}
		// A reply comes after all that was told before it.
		if len(c.records) != 1 || c.records[0].Node != "n" {
			t.Errorf("told: %v", c.records)
		}
		if diff := cmp.Diff(map[string]string{"a/b.txt": "kept"}, c.files); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{`"no line of ours"`}, c.others); diff != "" {
			t.Error(diff)
		}
		c.lease.Close()
		if err := <-c.served; err != nil {
			t.Errorf("at the end of its input the process ended with %v", err)
		}
		if err := c.client.Call(t.Context(), "echo", "", nil); !errors.Is(err, ErrEnded) {
			t.Errorf("a call after the end: %v, want ErrEnded", err)
		}
	})
}

func TestCallsRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, func(*Writer) Handler {
			return func(ctx context.Context, op string, _ json.RawMessage) (any, error) {
				wait, _ := time.ParseDuration(op)
				select {
				case <-time.After(wait):
					return op, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		})
		began := time.Now()
		slow := make(chan error, 1)
		go func() { slow <- c.client.Call(t.Context(), "1h", nil, nil) }()
		if err := c.client.Call(t.Context(), "1s", nil, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the short call took %v behind the long one", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.client.Call(ctx, "2h", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call out of time: %v", err)
		}
		c.lease.Close()
		if err := <-slow; err == nil {
			t.Error("a call under way when the lease ended succeeded")
		}
		<-c.served
	})
}

func TestServeRefusesGarbage(t *testing.T) {
	err := Serve(t.Context(), strings.NewReader("{\n"), NewWriter(io.Discard), nil)
	if err == nil || !strings.Contains(err.Error(), "control: bad request") {
		t.Errorf("got %v", err)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"reply":1,"result":{}}` + "\n" + `{"file":"x","data":"AA=="}` + "\n" + `{"time":"2026-01-02T03:04:05Z","node":"a","event":"log"}` + "\nplain\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := NewClient(io.Discard)
		_ = c.Receive(strings.NewReader(string(text)), event.SinkFunc(func(event.Record) {}), func(string, []byte) {}, func(string) {})
	})
}
