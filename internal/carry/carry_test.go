package carry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// streams returns pairs of streams, as they are between real processes: Unix sockets, and streams of a multiplexer.
func streams() map[string]func(t *testing.T) (here, there net.Conn) {
	return map[string]func(t *testing.T) (here, there net.Conn){
		"unix": func(t *testing.T) (net.Conn, net.Conn) { return pair(t, "unix") },
		"yamux": func(t *testing.T) (net.Conn, net.Conn) {
			a, b := pair(t, "unix")
			client, err := yamux.Client(a, nil)
			if err != nil {
				t.Fatal(err)
			}
			server, err := yamux.Server(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close(); server.Close() })
			here, err := client.Open()
			if err != nil {
				t.Fatal(err)
			}
			there, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return here, there
		},
	}
}

// pair returns both ends of a connection.
func pair(t *testing.T, network string) (net.Conn, net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "carry")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		addr = filepath.Join(dir, "s")
	}
	listener, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a, err := net.Dial(network, listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// lab is a carried connection to a server that the test plays.
type lab struct {
	client *Conn        // the dialing end
	server *net.TCPConn // what the carried connection leads to
	served chan error
}

func newLab(t *testing.T, streams func(t *testing.T) (net.Conn, net.Conn)) lab {
	t.Helper()
	here, there := streams(t)
	node, server := pair(t, "tcp")
	l := lab{server: server.(*net.TCPConn), served: make(chan error, 1)}
	go func() {
		l.served <- Serve(t.Context(), there, func(context.Context, string, string) (net.Conn, error) { return node, nil })
	}()
	var err error
	if l.client, err = Dial(t.Context(), here, "tcp", "shop.example:80"); err != nil {
		t.Fatal(err)
	}
	if l.client.RemoteAddr().String() != node.RemoteAddr().String() || l.client.LocalAddr().String() != node.LocalAddr().String() {
		t.Errorf("addresses %s, %s are not those of the node's connection", l.client.LocalAddr(), l.client.RemoteAddr())
	}
	return l
}

func (l lab) end(t *testing.T) {
	t.Helper()
	if err := <-l.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func forEach(t *testing.T, test func(t *testing.T, l lab)) {
	for name, streams := range streams() {
		t.Run(name, func(t *testing.T) { test(t, newLab(t, streams)) })
	}
}

// A request whose end is told by closing one direction gets its answer, however long; both directions hold at once.
func TestHalfClose(t *testing.T) {
	forEach(t, func(t *testing.T, l lab) {
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB: more than any window holds
		go func() {
			l.client.Write(sent)
			l.client.CloseWrite()
		}()
		got, err := io.ReadAll(l.server)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("the server read %d bytes, %v", len(got), err)
		}
		go func() {
			l.server.Write(sent)
			l.server.Close()
		}()
		got, err = io.ReadAll(l.client)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("the client read %d bytes, %v", len(got), err)
		}
		if _, err := l.client.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a write after CloseWrite: %v", err)
		}
		l.client.Close()
		l.end(t)
	})
}

func TestResetFromServer(t *testing.T) {
	forEach(t, func(t *testing.T, l lab) {
		l.server.Write([]byte("half an ans"))
		got := make([]byte, 11)
		if _, err := io.ReadFull(l.client, got); err != nil {
			t.Fatal(err)
		}
		l.server.SetLinger(0)
		l.server.Close()
		if _, err := l.client.Read(got); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		l.client.Close()
		l.end(t)
	})
}

func TestResetFromClient(t *testing.T) {
	forEach(t, func(t *testing.T, l lab) {
		l.client.CloseWrite()
		if _, err := l.server.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("the end of the direction: %v", err)
		}
		l.client.SetLinger(0)
		l.client.Close()
		l.end(t)
		l.server.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := l.server.Write([]byte("x")); err == nil {
			_, err = l.server.Read(make([]byte, 1))
			if !errors.Is(err, syscall.ECONNRESET) && err != io.EOF {
				t.Errorf("read: %v", err)
			}
		}
	})
}

// A client that closes while the server sends on does not leave the server writing for ever.
func TestClose(t *testing.T) {
	forEach(t, func(t *testing.T, l lab) {
		written := make(chan error, 1)
		go func() {
			for {
				if _, err := l.server.Write(make([]byte, 64<<10)); err != nil {
					written <- err
					return
				}
			}
		}()
		if _, err := io.ReadFull(l.client, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		l.client.Close()
		if _, err := l.client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}
		<-written
		l.end(t)
	})
}

// What ends the serving process is no end of the data.
func TestStreamBreaks(t *testing.T) {
	here, there := pair(t, "unix")
	go func() {
		there.Read(make([]byte, 1000))
		there.Write([]byte(`{"local":"10.0.0.1:4000","remote":"10.0.0.2:80"}` + "\n\x00\x00\x05shor"))
		there.Close()
	}()
	c, err := Dial(t.Context(), here, "tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if string(got) != "shor" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestDialErrors(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		err      error
		is       error
		notFound bool
	}{
		{err: refused, is: syscall.ECONNREFUSED},
		{err: fmt.Errorf("try: %w", syscall.EHOSTUNREACH), is: syscall.EHOSTUNREACH},
		{err: context.DeadlineExceeded, is: syscall.ETIMEDOUT},
		{err: &net.DNSError{Err: "no such name", Name: "nosuch.example", IsNotFound: true}, notFound: true},
		{err: errors.New("something else")},
	} {
		here, there := pair(t, "unix")
		go Serve(t.Context(), there, func(context.Context, string, string) (net.Conn, error) { return nil, test.err })
		_, err := Dial(t.Context(), here, "tcp", "shop.example:80")
		if err == nil || err.Error() != test.err.Error() {
			t.Errorf("%v arrived as %v", test.err, err)
		}
		if test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%v is no %v any more", err, test.is)
		}
		var dns *net.DNSError
		if found := errors.As(err, &dns) && dns.IsNotFound; found != test.notFound {
			t.Errorf("%v: not found: %v", err, found)
		}
	}
}

// Who gives up ends the attempt at the other end, and who ends the other end is told.
func TestGiveUp(t *testing.T) {
	for name, streams := range streams() {
		t.Run(name, func(t *testing.T) {
			here, there := streams(t)
			dialing, given := make(chan bool), make(chan bool)
			go Serve(t.Context(), there, func(ctx context.Context, _, _ string) (net.Conn, error) {
				close(dialing)
				<-ctx.Done()
				close(given)
				return nil, ctx.Err()
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-dialing
				cancel()
			}()
			if _, err := Dial(ctx, here, "tcp", "10.0.0.1:80"); !errors.Is(err, context.Canceled) {
				t.Errorf("Dial: %v", err)
			}
			<-given
		})
	}
}

func TestReadDeadline(t *testing.T) {
	forEach(t, func(t *testing.T, l lab) {
		l.client.SetReadDeadline(time.Unix(1, 0))
		if _, err := l.client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		l.client.SetReadDeadline(time.Time{})
		l.server.Write([]byte("later"))
		got := make([]byte, 5)
		if _, err := io.ReadFull(l.client, got); err != nil || string(got) != "later" {
			t.Errorf("read %q, %v", got, err)
		}
		l.client.Close()
		l.server.Close()
		l.end(t)
	})
}

// Whatever comes in from the other process, reading ends.
func FuzzConn(f *testing.F) {
	f.Add([]byte("\x00\x00\x02hi\x01\x00\x00"))
	f.Add([]byte("\x02\x00\x0aECONNRESET"))
	f.Add([]byte("\x02\xff\xff"))
	f.Add([]byte("\x09\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		here, there := net.Pipe()
		go func() {
			there.Write(text)
			there.Close()
		}()
		got, err := io.ReadAll(newConn(here, newReader(here), nil, nil))
		if len(got) > len(text) {
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
		if err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
		here.Close()
	})
}
