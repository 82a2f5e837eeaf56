package router

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestOptions(t *testing.T) {
	tests := []struct {
		name, text string
		want       Options
	}{
		{"nothing", `{}`, Options{}},
		{"one name", `{"nat": "access"}`, Options{NAT: Names{"access"}}},
		{"names", `{"nat": ["a", "b"]}`, Options{NAT: Names{"a", "b"}}},
		{"short", `{"forwards": ["8080:server:80/tcp"]}`,
			Options{Forwards: Forwards{{Port: 8080, To: "server", ToPort: 80, Protocol: "tcp"}}}},
		{"lone", `{"forwards": "53:server/udp"}`,
			Options{Forwards: Forwards{{Port: 53, To: "server", ToPort: 53, Protocol: "udp"}}}},
		{"address", `{"forwards": ["53:10.0.0.7:5353"]}`,
			Options{Forwards: Forwards{{Port: 53, To: "10.0.0.7", ToPort: 5353, Protocol: "tcp"}}}},
		{"IPv6", `{"forwards": ["53:[fd00::7]:5353", "54:[fd00::7]"]}`, Options{Forwards: Forwards{
			{Port: 53, To: "fd00::7", ToPort: 5353, Protocol: "tcp"}, {Port: 54, To: "fd00::7", ToPort: 54, Protocol: "tcp"}}}},
		{"long", `{"forwards": [{"port": 80, "to": "server"}]}`,
			Options{Forwards: Forwards{{Port: 80, To: "server", ToPort: 80, Protocol: "tcp"}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got Options
			if err := json.Unmarshal([]byte(test.text), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseForwardErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", `"" is no port`},
		{"0:server", `"0" is no port`},
		{"65536:server", `"65536" is no port`},
		{"80", "it names no node"},
		{"80:", "it names no node"},
		{"80:server:http", `"http" is no port`},
		{"80:server:80/sctp", `protocol "sctp" is neither tcp nor udp`},
		{"80:[server]:80", `no IPv6 address in brackets`},
		{"80:[fd00::7", `no IPv6 address in brackets`},
		{"80:[fd00::7]80", `"80" stands where :PORT should`},
	}
	for _, test := range tests {
		if _, err := ParseForward(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %s", test.text, err, test.want)
		}
	}
}

func FuzzParseForward(f *testing.F) {
	f.Add("8080:server:80/tcp")
	f.Add("53:[fd00::7]:53/udp")
	f.Fuzz(func(t *testing.T, text string) {
		forward, err := ParseForward(text)
		if err == nil && (forward.Port == 0 || forward.ToPort == 0 || forward.To == "") {
			t.Errorf("%q: %+v", text, forward)
		}
	})
}

func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Kind().New(json.RawMessage(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := false, make(chan error, 1)
		go func() { ended <- r.Serve(ctx, nil, func() { ready = true }) }()
		synctest.Wait()
		if !ready {
			t.Error("not ready")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
