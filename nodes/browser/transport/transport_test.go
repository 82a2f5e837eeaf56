package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scenario/event"
	"scenario/host/hosttest/memnet"
	"scenario/host/tlsinfo"
	"scenario/pki"
)

// echo answers with what it is asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what came of it is told
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Proto, body)
}

// R10: one connection serves request after request, and every step's time is told.
func TestPlain(t *testing.T) {
	run(t, Options{LogBody: 5}, func(t *testing.T, w *world, tr *Transport) {
		w.serve(serverIP+":80", nil, echo)
		first := get(t.Context(), t, tr, "http://shop.example/a?b", Request{Fields: []Field{{"User-Agent", "test"}}})
		first.want(t, 200, "GET /a?b HTTP/1.1 ")
		second := get(t.Context(), t, tr, "http://shop.example/c", Request{Method: "POST", Body: []byte("form")})
		second.want(t, 200, "POST /c HTTP/1.1 form")
		if want := "GET /a?b HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\nUser-Agent: test\r\n\r\n"; first.head.Text != want {
			t.Errorf("head %q, want %q", first.head.Text, want)
		}
		if got := first.lease.Timing; got.Lookup != 10*time.Millisecond || first.place.Lookups != 1 || first.place.Opened != 1 {
			t.Errorf("first: %+v, %d lookups, %d connections", got, first.place.Lookups, first.place.Opened)
		}
		if !second.lease.Reused || first.lease.Reused || second.lease.ID != first.lease.ID || second.place.Opened != 0 {
			t.Errorf("second: %+v", second.lease)
		}
		raw := first.raw
		if !strings.HasPrefix(string(raw.Head), "HTTP/1.1 200 OK\r\n") || string(raw.Body) != "GET /" || raw.Total != 18 {
			t.Errorf("raw %q %q %d", raw.Head, raw.Body, raw.Total)
		}
		tr.Close("enough")
		closes := memnet.Told[event.SocketClose](w.Host)
		if len(closes) != 1 || closes[0].By != "local" || closes[0].Reason != "enough" || closes[0].Sent == 0 || closes[0].Received == 0 {
			t.Errorf("closed: %+v", closes)
		}
	})
}

// R10: six connections to an origin at most; who waits goes on by urgency, then in order.
func TestOrder(t *testing.T) {
	run(t, Options{}, func(t *testing.T, w *world, tr *Transport) {
		var mu sync.Mutex
		var order []string
		w.serve(serverIP+":80", nil, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			order = append(order, r.URL.Path)
			mu.Unlock()
			time.Sleep(time.Second)
		})
		var group sync.WaitGroup
		for i, urgency := range []int{3, 3, 3, 3, 3, 3, 5, 5, 1, 3, 1} {
			p := tr.Reserve(address(t, fmt.Sprintf("http://shop.example/%d-%d", urgency, i)), "", urgency)
			group.Go(func() { fetch(t.Context(), t, tr, p, Request{}).want(t, 200, "") })
			time.Sleep(20 * time.Millisecond) // so that each is asked for at a time of its own
		}
		group.Wait()
		want := []string{"/3-0", "/3-1", "/3-2", "/3-3", "/3-4", "/3-5", "/1-8", "/1-10", "/3-9", "/5-6", "/5-7"}
		if !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
		if n := len(memnet.Told[event.SocketConnect](w.Host)); n != 6 {
			t.Errorf("%d connections", n)
		}
		if len(w.asked) != 1 && len(w.asked) != 6 {
			t.Errorf("asked for %v", w.asked)
		}
	})
}

// R6: requests that need the same name at the same time share a lookup.
func TestLookupShared(t *testing.T) {
	run(t, Options{}, func(t *testing.T, w *world, tr *Transport) {
		w.serve(serverIP+":80", nil, echo)
		var group sync.WaitGroup
		var mu sync.Mutex
		counted := 0
		for range 5 {
			p := tr.Reserve(address(t, "http://shop.example/"), "", 3)
			group.Go(func() {
				fetch(t.Context(), t, tr, p, Request{}).want(t, 200, "GET / HTTP/1.1 ")
				mu.Lock()
				defer mu.Unlock()
				counted += p.Lookups
			})
		}
		group.Wait()
		if len(w.asked) != 1 || counted != 1 {
			t.Errorf("asked for %v, counted %d", w.asked, counted)
		}
		get(t.Context(), t, tr, "http://nobody.example/", Request{}).fails(t, PhaseLookup, "NXDOMAIN")
	})
}

// R13, R15: requests that wait for one server share the first connection when it speaks HTTP/2.
func TestHTTP2Shared(t *testing.T) {
	run(t, Options{HTTP2: true, LogBody: 100}, func(t *testing.T, w *world, tr *Transport) {
		w.serve(serverIP+":443", w.secure("shop.example"), func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Trailer", "Sum")
			fmt.Fprint(w, r.Proto, " ", r.Header.Get("Priority"), " ", r.Header.Get("Cookie"))
			w.Header().Set("Sum", "1")
		})
		var group sync.WaitGroup
		begun := time.Now()
		for i := range 20 {
			p := tr.Reserve(address(t, fmt.Sprintf("https://shop.example/%d", i)), "", i%7)
			group.Go(func() {
				got := fetch(t.Context(), t, tr, p, Request{Fields: []Field{{"Cookie", "a=1; b=2"}}, Incremental: i == 0})
				want := fmt.Sprintf("HTTP/2.0 u=%d a=1; b=2", i%7)
				if i%7 == 3 {
					want = "HTTP/2.0  a=1; b=2"
				}
				if i == 0 {
					want = "HTTP/2.0 u=0, i a=1; b=2"
				}
				if got.want(t, 200, want); got.err != nil {
					return
				}
				if got.resp.Trailer.Get("Sum") != "1" {
					t.Errorf("trailers %v", got.resp.Trailer)
				}
				if got.resp.HeaderBytes == 0 || got.resp.HeaderPlain <= got.resp.HeaderBytes || got.head.Stream != got.resp.Stream || got.head.Bytes >= got.head.Plain {
					t.Errorf("response head %d of %d bytes, request %+v", got.resp.HeaderBytes, got.resp.HeaderPlain, got.head)
				}
				if raw := got.raw; !strings.HasPrefix(string(raw.Head), ":status: 200\r\n") || string(raw.Body) != got.body {
					t.Errorf("raw %q %q", raw.Head, raw.Body)
				}
			})
		}
		group.Wait()
		if took := time.Since(begun); took > 1100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		shakes := memnet.Told[event.TLSHandshake](w.Host)
		if len(shakes) != 1 || shakes[0].ALPN != "h2" || shakes[0].Version != "TLS 1.3" || shakes[0].Names[0] != "shop.example" {
			t.Errorf("handshakes %+v", shakes)
		}
		kinds := map[string]int{}
		for _, f := range memnet.Told[event.HTTP2Frame](w.Host) {
			kinds[f.Direction+" "+f.Type]++
		}
		if kinds["sent HEADERS"] != 20 || kinds["received HEADERS"] != 40 || kinds["received SETTINGS"] != 2 {
			t.Errorf("frames %v", kinds)
		}
	})
}

// R10: behind https too, HTTP/1.1 has several connections, once it is known that the server speaks no HTTP/2.
func TestHTTPSWithoutHTTP2(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		config := w.secure("shop.example")
		config.NextProtos = []string{"http/1.1"}
		w.serve(serverIP+":443", config, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			echo(w, r)
		})
		var group sync.WaitGroup
		for range 12 {
			p := tr.Reserve(address(t, "https://shop.example/"), "", 3)
			group.Go(func() { fetch(t.Context(), t, tr, p, Request{}).want(t, 200, "GET / HTTP/1.1 ") })
		}
		group.Wait()
		shakes := memnet.Told[event.TLSHandshake](w.Host)
		if len(shakes) != 6 || shakes[0].Resumed {
			t.Errorf("%d handshakes: %+v", len(shakes), shakes)
		}
	})
}

// R15: certificates that prove nothing are refused, with the reason that a person would read.
func TestCertificates(t *testing.T) {
	long, now := time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), "2000-01-01T00:00:00Z"
	other, otherRoots := authority(t, 2, "Other CA")
	tests := []struct {
		reason  string
		from    *pki.Authority
		request pki.Request
		meaning string
	}{
		{tlsinfo.Expired, nil, pki.Request{Names: []string{"shop.example"}, NotAfter: long}, "the certificate of shop.example was valid until 1999-12-31T00:00:00Z, and it is " + now},
		{tlsinfo.NotYetValid, nil, pki.Request{Names: []string{"shop.example"}, NotBefore: long.AddDate(1, 0, 0)}, "the certificate of shop.example is valid from 2000-12-31T00:00:00Z, and it is " + now},
		{tlsinfo.WrongName, nil, pki.Request{Names: []string{"books.example", "www.books.example"}}, "the certificate is for books.example and www.books.example, not for shop.example"},
		{tlsinfo.Untrusted, other, pki.Request{Names: []string{"shop.example"}}, "the certificate of shop.example is signed by CN=Other CA,O=scenario, whom this machine does not trust"},
		{tlsinfo.SelfSigned, nil, pki.Request{Names: []string{"shop.example"}, SelfSigned: true}, "shop.example has signed its certificate itself: nobody else says that it is real"},
		{tlsinfo.Distrusted, nil, pki.Request{Names: []string{"shop.example"}}, "the certificate is signed by CN=Test CA,O=scenario, whom this machine trusts no longer"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			o := Options{HTTP2: true}
			if test.reason == tlsinfo.Distrusted {
				o.Roots = func() *x509.CertPool { return otherRoots }
			}
			run(t, o, func(t *testing.T, w *world, tr *Transport) {
				from := test.from
				if from == nil {
					from = w.ca
				}
				cert := certificate(t, from, test.request)
				w.serve(serverIP+":443", &tls.Config{Certificates: []tls.Certificate{cert}}, echo)
				// All who wait for the first connection learn of it.
				var group sync.WaitGroup
				for range 3 {
					p := tr.Reserve(address(t, "https://shop.example/"), "", 3)
					group.Go(func() {
						got := fetch(t.Context(), t, tr, p, Request{})
						got.fails(t, PhaseTLS, "TLS with shop.example")
						var known *Error
						if errors.As(got.err, &known); known == nil || known.Reason != test.reason || strings.ReplaceAll(known.Meaning, "00:00:00.01Z", "00:00:00Z") != test.meaning {
							t.Errorf("%+v, want %s: %s", known, test.reason, test.meaning)
						}
					})
				}
				group.Wait()
				shakes := memnet.Told[event.TLSHandshake](w.Host)
				if len(shakes) != 1 || shakes[0].Reason != test.reason || shakes[0].Subject == "" || shakes[0].Error == "" {
					t.Errorf("handshakes %+v", shakes)
				}
				if closes := memnet.Told[event.SocketClose](w.Host); len(closes) != 1 || closes[0].By != "local" {
					t.Errorf("closes %+v", closes)
				}
			})
		})
	}
}

// R15: what is no TLS, or no version of it in common, is told apart.
func TestTLSProtocol(t *testing.T) {
	run(t, Options{}, func(t *testing.T, w *world, tr *Transport) {
		w.bytes(serverIP+":443", "HTTP/1.1 200 OK\r\n\r\n")
		w.serve(serverIP+":444", &tls.Config{
			MaxVersion: tls.VersionTLS11, Certificates: []tls.Certificate{certificate(t, w.ca, pki.Request{Names: []string{"shop.example"}})},
		}, echo)
		for _, port := range []string{"443", "444"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			got := get(ctx, t, tr, "https://shop.example:"+port+"/", Request{})
			cancel()
			got.fails(t, PhaseTLS, "TLS with")
		}
	})
}

// R15: a second connection resumes the session of the first one, but not in another partition.
func TestResumption(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		w.serve(serverIP+":443", w.secure("shop.example"), echo)
		for _, partition := range []string{"a", "a", "b"} {
			fetch(t.Context(), t, tr, tr.Reserve(address(t, "https://shop.example/"), partition, 3), Request{}).want(t, 200, "GET / HTTP/2.0 ")
			tr.Close("again")
		}
		var resumed []bool
		for _, s := range memnet.Told[event.TLSHandshake](w.Host) {
			resumed = append(resumed, s.Resumed)
		}
		if !slices.Equal(resumed, []bool{false, true, false}) {
			t.Errorf("resumed %v", resumed)
		}
	})
}

// R6: where the first address is silent, another family is tried a moment later.
func TestHappyEyeballs(t *testing.T) {
	run(t, Options{}, func(t *testing.T, w *world, tr *Transport) {
		w.names["shop.example"] = []netip.Addr{
			netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr(serverIP),
		}
		w.net.Silence("2001:db8::1")
		w.serve(serverIP+":80", nil, echo)
		got := get(t.Context(), t, tr, "http://shop.example/", Request{})
		got.want(t, 200, "GET / HTTP/1.1 ")
		if got.lease.Timing.Connect != 250*time.Millisecond || got.lease.Remote != serverIP+":80" {
			t.Errorf("%+v", got.lease)
		}
		closes := memnet.Told[event.SocketClose](w.Host)
		if len(closes) != 1 || closes[0].Remote != "[2001:db8::1]:80" || closes[0].Reason != "another address answered first" {
			t.Errorf("closed: %+v", closes)
		}
	})
}

// R6: an address that refuses is followed by the next one at once; the error is of the one that says most.
func TestAddressesFail(t *testing.T) {
	run(t, Options{}, func(t *testing.T, w *world, tr *Transport) {
		w.net.Host("shop", serverIP)
		w.net.NoRoute("2001:db8::1")
		w.names["shop.example"] = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr(serverIP)}
		got := get(t.Context(), t, tr, "http://shop.example/", Request{})
		got.fails(t, PhaseConnect, "refused")
		if got.place.Remote != serverIP+":80" || got.place.Timing.Connect != 0 {
			t.Errorf("%+v", got.place)
		}
	})
}

// R13: bodies of any size go both ways, within what each end allows.
func TestHTTP2Bodies(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		w.serve(serverIP+":443", w.secure("shop.example"), func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			for range 3 {
				w.Write(body) // the client may have gone
			}
		})
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		got := get(t.Context(), t, tr, "https://shop.example/", Request{Method: "POST", Body: body})
		got.want(t, 200, strings.Repeat(string(body), 3))
	})
}

// R13: interim responses are told as they come.
func TestEarlyHints(t *testing.T) {
	for _, url := range []string{"https://shop.example/", "http://shop.example/"} {
		run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
			hints := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Add("Link", "</style.css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(time.Second)
				echo(w, r)
			}
			w.serve(serverIP+":443", w.secure("shop.example"), hints)
			w.serve(serverIP+":80", nil, hints)
			var told []string
			begun := time.Now()
			got := get(t.Context(), t, tr, url, Request{Interim: func(status int, header http.Header) {
				told = append(told, fmt.Sprint(status, header["Link"]))
				if time.Since(begun) > 500*time.Millisecond {
					t.Error("late")
				}
			}})
			if got.err != nil || len(told) != 1 || told[0] != "103 [</style.css>; rel=preload]" {
				t.Errorf("%s: %v, told %q", url, got.err, told)
			}
		})
	}
}

// A server that goes away lets its requests end, and new ones make another connection.
func TestGoAway(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		handler := func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second)
			echo(w, r)
		}
		server := w.serve(serverIP+":443", w.secure("shop.example"), handler)
		var group sync.WaitGroup
		group.Go(func() {
			get(t.Context(), t, tr, "https://shop.example/old", Request{}).want(t, 200, "GET /old HTTP/2.0 ")
		})
		time.Sleep(time.Second)
		group.Go(func() { server.Shutdown(t.Context()) })
		time.Sleep(2 * time.Second)
		w.serve(serverIP+":443", w.secure("shop.example"), handler)
		got := get(t.Context(), t, tr, "https://shop.example/new", Request{})
		got.want(t, 200, "GET /new HTTP/2.0 ")
		if got.lease.Reused || got.lease.ID != "2" {
			t.Errorf("%+v", got.lease)
		}
		group.Wait()
	})
}

// A connection that the server closed while nobody used it is not used again; one that it closes on a request is stale.
func TestStale(t *testing.T) {
	run(t, Options{}, func(t *testing.T, w *world, tr *Transport) {
		l := w.listen(serverIP + ":80")
		w.closers = append(w.closers, func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					buffer := make([]byte, 4096)
					c.Read(buffer) // one request
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					c.Read(buffer) // is not answered
				}()
			}
		}()
		get(t.Context(), t, tr, "http://shop.example/", Request{}).want(t, 200, "ok")
		got := get(t.Context(), t, tr, "http://shop.example/", Request{})
		got.fails(t, PhaseResponse, "no response")
		if !got.lease.Stale(got.err) {
			t.Error("it is not stale")
		}
		got = get(t.Context(), t, tr, "http://shop.example/", Request{})
		got.want(t, 200, "ok")
		if got.lease.Reused || got.lease.Stale(errors.New("any")) {
			t.Errorf("%+v", got.lease)
		}
	})
}

// Requests end with their context, and leave nothing behind.
func TestCancel(t *testing.T) {
	for _, url := range []string{"https://shop.example/", "http://shop.example/"} {
		run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
			slow := func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			w.serve(serverIP+":443", w.secure("shop.example"), slow)
			w.serve(serverIP+":80", nil, slow)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			begun := time.Now()
			got := get(ctx, t, tr, url, Request{})
			got.fails(t, PhaseResponse, "deadline")
			if !errors.Is(got.err, context.DeadlineExceeded) || time.Since(begun) != 5*time.Second {
				t.Errorf("%s: %v after %v", url, got.err, time.Since(begun))
			}
		})
	}
}

// R14: one connection serves several names that its certificate proves, where they have one address.
func TestCoalescing(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		w.names["img.shop.example"] = w.names["shop.example"]
		w.names["other.example"] = w.names["shop.example"]
		w.serve(serverIP+":443", w.secure("shop.example", "*.shop.example"), echo)
		get(t.Context(), t, tr, "https://shop.example/", Request{}).want(t, 200, "GET / HTTP/2.0 ")
		second := get(t.Context(), t, tr, "https://img.shop.example/", Request{})
		second.want(t, 200, "GET / HTTP/2.0 ")
		if second.lease.ID != "1" || !second.lease.Reused || second.place.Opened != 0 {
			t.Errorf("%+v", second.lease)
		}
		get(t.Context(), t, tr, "https://other.example/", Request{}).fails(t, PhaseTLS, "other.example")
		get(t.Context(), t, tr, "https://img.shop.example/", Request{}).want(t, 200, "GET / HTTP/2.0 ")
	})
}

// What a page is going to need is connected to before, and used.
func TestPreconnect(t *testing.T) {
	for _, url := range []string{"https://shop.example/", "http://shop.example/"} {
		run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
			w.serve(serverIP+":443", w.secure("shop.example"), echo)
			w.serve(serverIP+":80", nil, echo)
			for range 2 {
				if err := tr.Preconnect(t.Context(), address(t, url), ""); err != nil {
					t.Fatal(err)
				}
			}
			got := get(t.Context(), t, tr, url, Request{})
			if got.err != nil || got.lease.Reused || got.place.Opened != 0 || got.lease.ID != "1" {
				t.Errorf("%s: %v %+v", url, got.err, got.lease)
			}
		})
	}
}

// A place that nobody needs any more goes to the next one, whatever it came to.
func TestLeave(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		w.serve(serverIP+":443", w.secure("shop.example"), echo)
		w.serve(serverIP+":80", nil, echo)
		for _, url := range []string{"https://shop.example/", "http://shop.example/"} {
			for range 3 { // with the leave to connect, with a connection, and in line
				var places []*Place
				for range 8 {
					places = append(places, tr.Reserve(address(t, url), "", 3))
				}
				for _, p := range places[:7] {
					tr.Leave(p)
				}
				if got := fetch(t.Context(), t, tr, places[7], Request{}); got.err != nil {
					t.Errorf("%s: %v", url, got.err)
				}
			}
		}
	})
}
