package client_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"scenario/host/kernel"
	"scenario/nodes/client"
	"scenario/nodes/role"
)

// R3, R8: over the machine's own TCP, against the server of net/http.
func TestOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection-Was", r.Header.Get("Connection"))
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { <-hang })
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() { close(hang); server.Close() })

	part, err := client.Kind().New([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	h := kernel.New(kernel.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- part.Serve(ctx, h, func() { close(ready) }) }()
	<-ready
	fetch := func(args string, values ...any) client.FetchResult {
		t.Helper()
		result, err := part.(role.Actor).Do(t.Context(), h, "fetch", fmt.Appendf(nil, args, values...))
		if err != nil {
			t.Fatal(err)
		}
		return result.(client.FetchResult)
	}

	r := fetch(`{"url": "http://%s/echo", "method": "POST", "body": "hello"}`, l.Addr())
	if r.Status != 200 || r.Body != "hello" || r.Headers["Connection-Was"] != "close" || r.Error != "" {
		t.Errorf("echo: %+v", r)
	}
	if r := fetch(`{"url": "http://%s/hang", "timeout": "50ms"}`, l.Addr()); r.Errno != "ETIMEDOUT" || r.Phase != "response" {
		t.Errorf("a server that does not answer: %+v", r)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	r = fetch(`{"url": "http://%s/"}`, closed.Addr())
	if r.Errno != "ECONNREFUSED" || r.Phase != "connect" || !strings.Contains(r.Error, "connection refused") || r.Meaning == "" {
		t.Errorf("a closed port: %+v", r)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}
