package visitor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"scenario/event"
	"scenario/host/hosttest/memnet"
	"scenario/nodes/visitor"
)

// names answers for the node's name server: shop.example is 10.0.0.2 alone, all else does not exist.
func names(t *testing.T, h *memnet.Host) {
	conn, err := h.ListenPacket(t.Context(), "udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var query dns.Msg
			if query.Unpack(buffer[:n]) != nil {
				continue
			}
			reply := new(dns.Msg).SetReply(&query)
			switch question := query.Question[0]; {
			case question.Name != "shop.example.":
				reply.Rcode = dns.RcodeNameError
			case question.Qtype == dns.TypeA:
				rr, _ := dns.NewRR("shop.example. 60 A 10.0.0.2")
				reply.Answer = append(reply.Answer, rr)
			}
			if text, err := reply.Pack(); err == nil {
				conn.WriteTo(text, from)
			}
		}
	}()
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		laptop, shop := network.Host("laptop", "10.0.0.1"), network.Host("shop", "10.0.0.2")
		names(t, shop)
		laptop.Servers = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:53")}
		listener, err := shop.Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		v := visitor.New(laptop)

		conn, err := v.Dial(t.Context(), "tcp", "shop.example:80")
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := accepted.RemoteAddr().(*net.TCPAddr).IP.String(); got != "10.0.0.1" {
			t.Errorf("the server sees %s", got)
		}
		conn.(interface{ CloseWrite() error }).CloseWrite()
		if _, err := accepted.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the end of one direction: %v", err)
		}
		accepted.Close()
		conn.Close()

		if _, err := v.Dial(t.Context(), "tcp", "shop.example:81"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a closed port: %v", err)
		}
		_, err = v.Dial(t.Context(), "tcp", "nosuch.example:80")
		var lookup *net.DNSError
		if !errors.As(err, &lookup) || !lookup.IsNotFound {
			t.Errorf("no such name: %v", err)
		}
		if want := "lookup nosuch.example: no such name (NXDOMAIN from 10.0.0.2:53)"; err.Error() != want {
			t.Errorf("no such name: %q, want %q", err, want)
		}
		network.Silence("10.0.0.9")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := v.Dial(ctx, "tcp", "10.0.0.9:80"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("silence: %v", err)
		}
		for _, bad := range []string{"shop.example", ":80", "shop.example:http"} {
			if _, err := v.Dial(t.Context(), "tcp", bad); err == nil {
				t.Errorf("%q was connected to", bad)
			}
		}
		if _, err := v.Dial(t.Context(), "udp", "shop.example:80"); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("udp: %v", err)
		}
		told := memnet.Told[event.SocketConnect](laptop)
		if len(told) != 1 || told[0].Remote != "10.0.0.2:80" {
			t.Errorf("told: %v", told)
		}
		for _, r := range laptop.Records() {
			if r.Event == told[0].Word() && r.Attrs[event.KeyTrace] != "visitor/1" {
				t.Errorf("trace %v", r.Attrs[event.KeyTrace])
			}
		}
	})
}

// What is under way and what is open when the visitor is closed ends, and has told so by then.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		laptop, shop := network.Host("laptop", "10.0.0.1"), network.Host("shop", "10.0.0.2")
		listener, err := shop.Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		v := visitor.New(laptop)
		open, err := v.Dial(t.Context(), "tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		network.Silence("10.0.0.9")
		under := make(chan error, 1)
		go func() {
			_, err := v.Dial(t.Context(), "tcp", "10.0.0.9:80")
			under <- err
		}()
		synctest.Wait()
		v.Close()
		if told := memnet.Told[event.SocketClose](laptop); len(told) != 1 {
			t.Errorf("the laptop told of %d connections that were closed, want 1", len(told))
		}
		if err := <-under; err == nil {
			t.Error("a connection that was under way was made")
		}
		if _, err := open.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is open")
		}
		if _, err := v.Dial(t.Context(), "tcp", "10.0.0.2:80"); err == nil {
			t.Error("a connection was made after the end")
		}
		open.Close()
	})
}
