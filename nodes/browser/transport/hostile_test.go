package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/miekg/dns"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host/hosttest/memnet"
)

// R13: whatever a server answers, the request ends with a clear error, and soon.
func TestHostileResponses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct{ name, response, want string }{
		{"nothing", "", "no response"},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", "no status line"},
		{"an endless head", ok + strings.Repeat("A: b\r\n", 100_000), "longer than 256 KiB"},
		{"an endless line", ok + "A: " + strings.Repeat("b", 1<<20), "longer than 256 KiB"},
		{"endless empty lines", strings.Repeat("\r\n", 1<<20), "longer than 256 KiB"},
		{"endless interim responses", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), "more than 100 interim"},
		{"half a head", ok + "A: b\r\n", "ended early"},
		{"a short body", ok + "Content-Length: 10\r\n\r\nabc", "ended early: 3 of 10 bytes"},
		{"two lengths", ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "is not one number"},
		{"a signed length", ok + "Content-Length: +3\r\n\r\nabc", "is not one number"},
		{"a vast length", ok + "Content-Length: 99999999999999999999\r\n\r\nabc", "beyond all bounds"},
		{"a missing last chunk", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "last chunk did not"},
		{"a cut chunk", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "ended early"},
		{"a long chunk", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "longer than its size says"},
		{"no size of a chunk", ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "no size of a chunk"},
		{"a vast chunk", ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "beyond all bounds"},
		{"endless extensions", ok + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 1<<20), "too long"},
		{"framing alone", ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 1000), "mostly framing"},
		{"endless trailers", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", 100_000), "longer than 256 KiB"},
		{"a zero byte", ok + "A: \x00\r\n\r\n", "characters that no field may have"},
		{"a switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "nobody asked for"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, Options{LogBody: 10}, func(t *testing.T, w *world, tr *Transport) {
				w.bytes(serverIP+":80", test.response)
				got := get(t.Context(), t, tr, "http://shop.example/", Request{})
				got.fails(t, PhaseResponse, test.want)
				if got.lease.Stale(got.err) {
					t.Error("it would be sent again")
				}
				if raw := got.raw; len(raw.Head) > maxHead+readBuffer || len(raw.Body) > 10 {
					t.Errorf("%d bytes of its head and %d of its body are kept", len(raw.Head), len(raw.Body))
				}
			})
		})
	}
}

// R10: a body is whole when its chunks say so, whatever its length would be; such a connection is not used again.
func TestChunksWin(t *testing.T) {
	run(t, Options{LogBody: 100}, func(t *testing.T, w *world, tr *Transport) {
		w.bytes(serverIP+":80", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nSum: 1\r\n\r\n")
		got := get(t.Context(), t, tr, "http://shop.example/", Request{})
		got.want(t, 200, "abc")
		if got.resp.Trailer.Get("Sum") != "1" || !got.resp.ConnectionClose || got.resp.Length != -1 {
			t.Errorf("%+v", got.resp)
		}
		if raw := got.raw; string(raw.Body) != "3;a=\"b\"\r\nabc\r\n0\r\nSum: 1\r\n\r\n" || raw.Total != int64(len(raw.Body)) {
			t.Errorf("raw %q of %d", raw.Body, raw.Total)
		}
	})
}

// A request never carries what would be read as another one.
func TestRequestInjection(t *testing.T) {
	run(t, Options{}, func(t *testing.T, w *world, tr *Transport) {
		w.serve(serverIP+":80", nil, echo)
		for _, r := range []Request{
			{Fields: []Field{{"A", "b\r\nC: d"}}}, {Fields: []Field{{"A\r\nB", "c"}}}, {Fields: []Field{{"", "c"}}}, {Method: "GET / HTTP/1.1\r\nA:"},
		} {
			get(t.Context(), t, tr, "http://shop.example/", r).fails(t, PhaseRequest, "")
		}
		get(t.Context(), t, tr, "http://shop.example/", Request{}).want(t, 200, "GET / HTTP/1.1 ")
	})
}

// peer is a server of HTTP/2 that does what a test says.
type peer struct {
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	mu      sync.Mutex // of who writes
}

func (p *peer) head(stream uint32, end bool, fields ...string) {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes everything
	}
	block := p.block.Bytes()
	first := block[:min(len(block), maxFrame)]
	block = block[len(first):]
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0})
	for len(block) > 0 {
		part := block[:min(len(block), maxFrame)]
		block = block[len(part):]
		p.WriteContinuation(stream, len(block) == 0, part)
	}
}

// speak has a server on addr call do with the stream of every request; it thinks a while about all but the first.
func (w *world) speak(addr string, think time.Duration, do func(p *peer, stream uint32)) {
	l := w.listen(addr)
	config := w.secure("shop.example")
	w.closers = append(w.closers, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveFrames(tls.Server(c, config), think, do)
		}
	}()
}

func serveFrames(c net.Conn, think time.Duration, do func(p *peer, stream uint32)) {
	defer c.Close()
	in := bufio.NewReader(c)
	if _, err := io.ReadFull(in, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	p := &peer{Framer: http2.NewFramer(c, in)}
	p.encoder = hpack.NewEncoder(&p.block)
	p.WriteSettings()
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return
		}
		if f, ok := f.(*http2.HeadersFrame); ok {
			go func() {
				if f.StreamID > 1 {
					time.Sleep(think)
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				do(p, f.StreamID)
			}()
		}
	}
}

// R13: a server that breaks the rules of HTTP/2 loses the stream or the connection, and nothing more happens.
func TestHostileHTTP2(t *testing.T) {
	tests := []struct {
		name string
		do   func(p *peer, id uint32)
		want string
	}{
		{"no status", func(p *peer, id uint32) { p.head(id, true, "a", "b") }, "status"},
		{"a status of letters", func(p *peer, id uint32) { p.head(id, true, ":status", "2xx") }, "status"},
		{"a name in capitals", func(p *peer, id uint32) { p.head(id, true, ":status", "200", "A", "b") }, "rules of HTTP/2"},
		{"a body first", func(p *peer, id uint32) { p.WriteData(id, true, []byte("x")) }, "a body comes without a head"},
		{"a push", func(p *peer, id uint32) {
			p.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: []byte{0x82}, EndHeaders: true})
		}, "PROTOCOL_ERROR"},
		{"a stream of nobody", func(p *peer, id uint32) { p.WriteData(99, true, nil) }, "nobody has opened stream 99"},
		{"an endless head", func(p *peer, id uint32) {
			for i := range 100 {
				p.head(id, false, ":status", "103", "a", fmt.Sprint(i, strings.Repeat("b", 8<<10)))
			}
		}, "longer than 256 KiB"},
		{"one large head", func(p *peer, id uint32) {
			p.head(id, true, ":status", "200", "a", strings.Repeat("b", 200<<10), "c", strings.Repeat("d", 200<<10))
		}, ""},
		{"endless interim responses", func(p *peer, id uint32) {
			for range 200 {
				p.head(id, false, ":status", "103")
			}
		}, "more than 100 interim"},
		{"a switch", func(p *peer, id uint32) { p.head(id, true, ":status", "101") }, "switches protocols"},
		{"a short body", func(p *peer, id uint32) {
			p.head(id, false, ":status", "200", "content-length", "10")
			p.WriteData(id, true, []byte("abc"))
		}, "ended early: 3 of 10 bytes"},
		{"a long body", func(p *peer, id uint32) {
			p.head(id, false, ":status", "200", "content-length", "2")
			p.WriteData(id, true, []byte("abc"))
		}, "longer than its Content-Length"},
		{"a window beyond bounds", func(p *peer, id uint32) { p.WriteWindowUpdate(0, 1<<31-1) }, "FLOW_CONTROL_ERROR"},
		{"more than it may send", func(p *peer, id uint32) {
			p.head(id, false, ":status", "200")
			for p.WriteData(id, false, make([]byte, maxFrame)) == nil {
			}
		}, "FLOW_CONTROL_ERROR"},
		{"a reset", func(p *peer, id uint32) { p.WriteRSTStream(id, http2.ErrCodeInternal) }, "INTERNAL_ERROR"},
		{"a refusal of the first request", func(p *peer, id uint32) { p.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, "REFUSED_STREAM"},
		{"no settings", func(p *peer, id uint32) { p.WriteRawFrame(http2.FrameSettings, 0, 0, []byte{1}) }, "FRAME_SIZE_ERROR"},
		{"a large frame", func(p *peer, id uint32) { p.WriteRawFrame(http2.FrameData, 0, id, make([]byte, 1<<20)) }, "FRAME_SIZE_ERROR"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
				w.speak(serverIP+":443", 0, test.do)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				lease, err := tr.Acquire(ctx, tr.Reserve(address(t, "https://shop.example/"), "", 3))
				if err != nil {
					t.Fatal(err)
				}
				defer lease.Release()
				resp, err := lease.Send(ctx, &Request{Method: "GET"})
				if err == nil {
					time.Sleep(time.Minute) // who does not read is sent more than may be
					_, err = io.Copy(io.Discard, resp.Body)
				}
				if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want one with %q", err, test.want)
				}
				if lease.Stale(err) {
					t.Error("it would be sent again")
				}
			})
		})
	}
}

// A request that the server has refused, or did not see before it went away, is sent again.
func TestRefused(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		w.speak(serverIP+":443", 0, func(p *peer, id uint32) {
			switch id {
			case 3:
				p.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			case 5:
				p.WriteGoAway(3, http2.ErrCodeNo, nil)
			default:
				p.head(id, true, ":status", "204")
			}
		})
		for i, stale := range []bool{false, true, true, false} {
			got := get(t.Context(), t, tr, "https://shop.example/", Request{})
			if (got.err != nil) != stale || got.lease.Stale(got.err) != stale {
				t.Errorf("request %d: %v, stale: %t", i, got.err, got.lease.Stale(got.err))
			}
		}
	})
}

// R13: a server may allow fewer streams than are wanted: the others wait.
func TestStreamLimit(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, tr *Transport) {
		w.speak(serverIP+":443", time.Second, func(p *peer, id uint32) {
			if id == 1 {
				p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
				p.head(id, true, ":status", "204")
				return
			}
			p.head(id, true, ":status", "204")
		})
		get(t.Context(), t, tr, "https://shop.example/", Request{}).want(t, 204, "")
		done := make(chan result)
		begun := time.Now()
		for range 3 {
			p := tr.Reserve(address(t, "https://shop.example/"), "", 3)
			go func() { done <- fetch(t.Context(), t, tr, p, Request{}) }()
		}
		for range 3 {
			(<-done).want(t, 204, "")
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		if n := len(memnet.Told[event.TLSHandshake](w.Host)); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// services is a resolver that knows HTTPS records.
type services struct {
	*world
	records map[string][]stub.Service
	late    time.Duration // of AAAA
}

func (s services) Resolve(ctx context.Context, name string, want stub.Want) *stub.Lookup {
	parts := make(chan stub.Part, 3)
	go func() {
		defer close(parts)
		var four, six []netip.Addr
		for _, addr := range s.names[name] {
			if addr.Is4() {
				four = append(four, addr)
			} else {
				six = append(six, addr)
			}
		}
		parts <- stub.Part{Type: dns.TypeA, Addrs: four}
		if records := s.records[name]; want.Services && records != nil {
			parts <- stub.Part{Type: dns.TypeHTTPS, Services: records}
		} else if want.Services {
			parts <- stub.Part{Type: dns.TypeHTTPS, Err: &stub.Error{Name: name, NotFound: true}}
		}
		select {
		case <-time.After(s.late):
			parts <- stub.Part{Type: dns.TypeAAAA, Addrs: six}
		case <-ctx.Done():
		}
	}()
	return &stub.Lookup{Parts: parts}
}

// R6: HTTPS records say where a server is and what it speaks, and that http is to be asked by https.
func TestHTTPSRecords(t *testing.T) {
	run(t, Options{HTTP2: true}, func(t *testing.T, w *world, _ *Transport) {
		r := services{world: w, records: map[string][]stub.Service{
			"shop.example": {
				{Priority: 1, Target: "gone.example.", ALPN: []string{"h2"}},
				{Priority: 2, Target: "pool.example.", Port: 8443, ALPN: []string{"h2"}, NoDefaultALPN: true},
			},
			"fallback.example": {{Priority: 1, Target: "gone.example.", ALPN: []string{"h2"}}},
			"quic.example":     {{Priority: 1, Target: "quic.example.", ALPN: []string{"h3"}, NoDefaultALPN: true}},
		}}
		w.names["pool.example"] = []netip.Addr{netip.MustParseAddr("198.51.100.20")}
		for _, name := range []string{"fallback.example", "quic.example"} {
			w.names[name] = w.names["shop.example"]
		}
		w.serve("198.51.100.20:8443", w.secure("shop.example"), echo)
		w.serve(serverIP+":443", w.secure("fallback.example", "quic.example"), echo)
		tr := New(w, r, Options{HTTP2: true, HTTPSRecords: true})
		defer tr.Close("the test ends")
		got := get(t.Context(), t, tr, "https://shop.example/", Request{})
		got.want(t, 200, "GET / HTTP/2.0 ")
		if got.lease.Remote != "198.51.100.20:8443" {
			t.Errorf("%+v", got.lease)
		}
		get(t.Context(), t, tr, "https://fallback.example/", Request{}).want(t, 200, "GET / HTTP/2.0 ")
		get(t.Context(), t, tr, "https://quic.example/", Request{}).want(t, 200, "GET / HTTP/2.0 ")
		var upgrade *UpgradeError
		if got := get(t.Context(), t, tr, "http://shop.example/a", Request{}); !errors.As(got.err, &upgrade) || upgrade.To.String() != "https://shop.example/a" {
			t.Errorf("error %v", got.err)
		}
	})
}

// R6: an address is tried soon, though the other family's is not known yet.
func TestResolutionDelay(t *testing.T) {
	for late, want := range map[time.Duration]string{30 * time.Millisecond: "[2001:db8::1]:80", time.Second: serverIP + ":80"} {
		run(t, Options{}, func(t *testing.T, w *world, _ *Transport) {
			w.names["shop.example"] = append(w.names["shop.example"], netip.MustParseAddr("2001:db8::1"))
			w.serve(serverIP+":80", nil, echo)
			w.serve("[2001:db8::1]:80", nil, echo)
			tr := New(w, services{world: w, late: late}, Options{})
			defer tr.Close("the test ends")
			got := get(t.Context(), t, tr, "http://shop.example/", Request{})
			got.want(t, 200, "GET / HTTP/1.1 ")
			if got.lease.Remote != want || got.lease.Timing.Lookup != min(late, 50*time.Millisecond) {
				t.Errorf("AAAA after %v: %+v", late, got.lease)
			}
		})
	}
}
