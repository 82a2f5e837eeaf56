package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stdio is the standard streams of a Pipe in this process.
type stdio struct {
	io.Reader
	io.WriteCloser
}

// open makes a tunnel whose connections dial makes.
func open(t *testing.T, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *Session {
	t.Helper()
	dir, err := os.MkdirTemp("", "tunnel")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	closeListener, err := Listen(socket, dial)
	if err != nil {
		t.Fatal(err)
	}
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	var piping sync.WaitGroup
	piping.Go(func() {
		err := Pipe(context.Background(), socket, in, out)
		// The test ends both ends in any order, and one may still have had something to say to the other.
		if err != nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		// So it is when a process ends.
		in.Close()
		out.Close()
	})
	session, err := NewSession(stdio{stdout, stdin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closeListener()
		session.Close()
		piping.Wait()
		os.RemoveAll(dir)
	})
	return session
}

func dialTCP(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// Connections side by side do not wait for each other, not even for one whose end does not read.
func TestSideBySide(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				io.Copy(conn, conn)
			})
		}
	})
	session := open(t, dialTCP)
	idle, err := session.Dial(t.Context(), "tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		for {
			if _, err := idle.Write(make([]byte, 1<<20)); err != nil { // what comes back is not read
				return
			}
		}
	}()
	sent := bytes.Repeat([]byte("abcdefgh"), 1<<16)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			conn, err := session.Dial(t.Context(), "tcp", server.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			go func() {
				conn.Write(sent)
				conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			got, err := io.ReadAll(conn)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes of %d came back, %v", len(got), len(sent), err)
			}
		})
	}
	clients.Wait()
	idle.Close()
	<-stuck
	server.Close()
	serving.Wait()
}

func TestErrorsKeepTheirErrno(t *testing.T) {
	session := open(t, func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	})
	if _, err := session.Dial(t.Context(), "tcp", "10.0.0.1:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
}

// Connections end with the session, in a way that nobody takes for an end in order.
func TestEnd(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	session := open(t, dialTCP)
	conn, err := session.Dial(t.Context(), "tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	session.Close()
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	conn.Close()
	if !session.Ended() {
		t.Error("the session says that it goes on")
	}
	if _, err := session.Dial(t.Context(), "tcp", server.Addr().String()); !errors.Is(err, ErrEnded) {
		t.Errorf("Dial: %v", err)
	}
}
