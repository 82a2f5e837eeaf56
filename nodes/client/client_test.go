package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
	"scenario/host/hosttest/memnet"
)

// world is one node with the role at 10.0.0.2, and what is around it, in the bubble of a test.
type world struct {
	t      *testing.T
	net    *memnet.Net
	host   host.Host
	role   *client
	ctx    context.Context // of everything that serves
	served sync.WaitGroup

	mu      sync.Mutex
	records []event.Record
}

// inWorld runs a test in virtual time.
func inWorld(t *testing.T, test func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: memnet.New()}
		w.net.Silence("10.0.0.9")
		node := w.net.Host("node", "10.0.0.2")
		node.Sink = w
		w.host = node
		w.role = &client{transport: stub.Plain, resolver: func(host.Host, stub.Transport) resolver { return names{} }}
		var cancel context.CancelFunc
		w.ctx, cancel = context.WithCancel(t.Context())
		ready := make(chan struct{})
		w.served.Go(func() {
			if err := w.role.Serve(w.ctx, w.host, func() { close(ready) }); err != nil {
				t.Errorf("serve: %v", err)
			}
		})
		<-ready
		test(t, w)
		cancel()
		w.served.Wait()
	})
}

func (w *world) Record(r event.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
}

// story is the words of what the node told.
func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var words []string
	for _, r := range w.records {
		words = append(words, r.Event)
	}
	return strings.Join(words, " ")
}

// do carries out an action; args is JSON.
func do[T any](w *world, action, args string) T {
	w.t.Helper()
	result, err := w.role.Do(w.t.Context(), w.host, action, json.RawMessage(args))
	if err != nil {
		w.t.Fatalf("%s %s: %v", action, args, err)
	}
	return result.(T)
}

// fails expects an error, and returns its text.
func (w *world) fails(action, args string) string {
	w.t.Helper()
	result, err := w.role.Do(w.t.Context(), w.host, action, json.RawMessage(args))
	if err == nil {
		w.t.Fatalf("%s %s: no error, but %+v", action, args, result)
	}
	return err.Error()
}

// serve accepts connections at addr and hands each to f, which need not close it.
func (w *world) serve(addr string, f func(c *peer)) {
	w.t.Helper()
	at := netip.MustParseAddrPort(addr)
	l, err := w.net.Host("server", at.Addr().String()).Listen(w.t.Context(), "tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	context.AfterFunc(w.ctx, func() { l.Close() })
	w.served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(newPeer(c))
			c.Close()
		}
	})
}

// names is a resolver that knows a few names.
type names struct{}

func (names) Lookup(_ context.Context, name string) (stub.Answer, error) {
	known := map[string][]netip.Addr{
		"shop.example": {netip.MustParseAddr("10.0.0.1")},
		"two.example":  {netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.1")},
		"none.example": {},
	}
	addrs, ok := known[name]
	if !ok {
		return stub.Answer{}, errors.New("no such name: " + name)
	}
	return stub.Answer{Addrs: addrs}, nil
}

func (names) Close() {}

func (names) Query(context.Context, string, uint16) (*dns.Msg, error) {
	return nil, errors.New("not asked for here")
}

// R3, R27: every way a connection can fail is a result with the system's name of the error.
func TestConnect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.serve("10.0.0.1:80", func(*peer) {})
		tests := []struct {
			name, args   string
			connected    bool
			remote       string
			phase, errno string
			seconds      float64
		}{
			{"by name", `{"to": "shop.example:80"}`, true, "10.0.0.1:80", "", "", 0},
			{"by address", `{"to": "10.0.0.1:80"}`, true, "10.0.0.1:80", "", "", 0},
			{"second address", `{"to": "two.example:80"}`, true, "10.0.0.1:80", "", "", 2.5},
			{"refused", `{"to": "10.0.0.1:81"}`, false, "10.0.0.1:81", "connect", "ECONNREFUSED", 0},
			{"no such machine", `{"to": "10.0.0.7:80"}`, false, "10.0.0.7:80", "connect", "EHOSTUNREACH", 0},
			{"silent", `{"to": "10.0.0.9:80"}`, false, "10.0.0.9:80", "connect", "ETIMEDOUT", 5},
			{"silent, less patient", `{"to": "10.0.0.9:80", "timeout": "1s"}`, false, "10.0.0.9:80", "connect", "ETIMEDOUT", 1},
			{"no such name", `{"to": "nowhere.example:80"}`, false, "", "lookup", "", 0},
			{"name without address", `{"to": "none.example:80"}`, false, "", "lookup", "", 0},
		}
		for _, test := range tests {
			r := do[ConnectResult](w, "connect", test.args)
			if r.Connected != test.connected || r.Remote != test.remote || r.Phase != test.phase ||
				r.Errno != test.errno || r.Duration != test.seconds {
				t.Errorf("%s: %+v", test.name, r)
			}
			if test.connected == (r.Error != "") || test.connected != (r.Local != "") || (r.Errno != "") != (r.Meaning != "") {
				t.Errorf("%s: the outcome is not complete: %+v", test.name, r)
			}
		}
		for _, bad := range []string{`{"to": "shop.example"}`, `{"to": ":80"}`, `{"to": "a:http"}`, `{"to": "a:0"}`, `{}`, `{"too": "a:1"}`} {
			w.fails("connect", bad)
		}
	})
}

func TestConnectTells(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.serve("10.0.0.1:80", func(*peer) {})
		do[ConnectResult](w, "connect", `{"to": "two.example:80"}`)
		if got, want := w.story(), "socket.error socket.connect socket.close"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		end, ok := event.As[event.SocketClose](w.records[2])
		if !ok || end.By != "local" || end.Reason != "only tried" || end.Remote != "10.0.0.1:80" {
			t.Errorf("the end is told as %+v", end)
		}
	})
}

func TestStepEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.serve("10.0.0.1:80", func(c *peer) { c.request() }) // and closes only then
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for action, args := range map[string]string{
			"connect": `{"to": "10.0.0.9:80"}`, "fetch": `{"url": "http://10.0.0.9/"}`,
		} {
			if _, err := w.role.Do(ctx, w.host, action, json.RawMessage(args)); !errors.Is(err, context.Canceled) {
				t.Errorf("%s when the step has ended: %v", action, err)
			}
		}
		if got := w.fails("dance", `{}`); !strings.Contains(got, "no such action") {
			t.Error(got)
		}
	})
}
