package scenariotest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scenario/scenariotest"
)

// The laptop's packets come from its router.
func TestGreeting(t *testing.T) {
	greet := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "Hello, %s", r.RemoteAddr) }
	scenariotest.Run(t, "testdata/shop.yaml",
		scenariotest.HTTP("shop", ":80", http.HandlerFunc(greet)),
		scenariotest.While(func(t *testing.T, n *scenariotest.Network) {
			got, err := get(n.HTTPClient("laptop"), "http://shop.example/")
			if err != nil || !strings.HasPrefix(got, "Hello, 198.51.100.") {
				t.Errorf("got %q, error %v", got, err)
			}
		}))
}

// The first answer takes a minute, for which the client does not wait. It comes back, and then the line is what takes time.
func TestPatience(t *testing.T) {
	var visits atomic.Int32
	shop := func(w http.ResponseWriter, r *http.Request) {
		if visits.Add(1) == 1 {
			select {
			case <-time.After(time.Minute):
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprint(w, "Come in.")
	}
	scenariotest.Run(t, "testdata/shop.yaml",
		scenariotest.HTTP("shop", ":80", http.HandlerFunc(shop)),
		scenariotest.While(func(t *testing.T, n *scenariotest.Network) {
			client := n.HTTPClient("laptop")
			client.Timeout = 30 * time.Second
			if _, err := get(client, "http://shop.example/"); err == nil {
				t.Error("the first answer came in time")
			}
			began := time.Now()
			if got, err := get(client, "http://shop.example/"); got != "Come in." {
				t.Errorf("got %q, error %v", got, err)
			}
			// 20 ms there and 20 back, once to connect and once to ask, and 2 Mbit/s.
			if took := time.Since(began); took < 80*time.Millisecond || took > 85*time.Millisecond {
				t.Errorf("the second answer took %v", took)
			}
		}))
}

// get returns what is at a URL.
func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
