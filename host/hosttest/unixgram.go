package hosttest

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// bindPacket returns a datagram socket that is bound to a path, whose file is removed after the test.
func (u unixCase) bindPacket(ctx context.Context, t *testing.T, path string) net.PacketConn {
	t.Helper()
	c := listenPacket(ctx, t, u.Host, "unixgram", path)
	t.Cleanup(func() { _ = u.files.Remove(path) })
	must(t, "set deadline", c.SetDeadline(time.Now().Add(limit)))
	return c
}

// unixDatagrams arrive whole and in order, with the address of a sender that has one.
func unixDatagrams(ctx context.Context, t *testing.T, u unixCase) {
	server := u.bindPacket(ctx, t, u.path)
	client := dial(ctx, t, u.Host, "unixgram", u.path)
	named := u.bindPacket(ctx, t, u.path+"2")
	if client.RemoteAddr().String() != u.path || server.LocalAddr().String() != u.path || server.LocalAddr().Network() != "unixgram" {
		t.Errorf("addresses %s and %s, want %s", client.RemoteAddr(), server.LocalAddr(), u.path)
	}
	buffer := make([]byte, 8)
	for _, text := range []string{"first", "", "too long for the buffer", "last"} {
		_, err := client.Write([]byte(text))
		must(t, "write", err)
	}
	for _, want := range []string{"first", "", "too long", "last"} {
		n, from, err := server.ReadFrom(buffer)
		if must(t, "read", err); string(buffer[:n]) != want || from != nil {
			t.Errorf("read %q from %v, want %q from nobody", buffer[:n], from, want)
		}
	}
	_, err := named.WriteTo([]byte("question"), server.LocalAddr())
	must(t, "write", err)
	n, from, err := server.ReadFrom(buffer)
	if must(t, "read", err); string(buffer[:n]) != "question" || from.String() != u.path+"2" {
		t.Errorf("read %q from %v", buffer[:n], from)
	}
	_, err = server.WriteTo([]byte("answer"), from)
	must(t, "answer", err)
	n, from, err = named.ReadFrom(buffer)
	if must(t, "read", err); string(buffer[:n]) != "answer" || from.String() != u.path {
		t.Errorf("read %q from %v", buffer[:n], from)
	}
}

func unixDatagramErrors(ctx context.Context, t *testing.T, u unixCase) {
	dialError := func(what, network, path string, target error) {
		t.Helper()
		c, err := u.Host.Dial(ctx, network, path)
		if err == nil {
			c.Close()
		}
		wantError(t, "dial "+what, err, target)
	}
	dialError("where nothing is", "unixgram", u.path, syscall.ENOENT)
	stream := u.Folder + "/stream"
	listen(ctx, t, u.Host, "unix", stream)
	dialError("a stream socket", "unixgram", stream, syscall.EPROTOTYPE)
	server := u.bindPacket(ctx, t, u.path)
	dialError("a datagram socket", "unix", u.path, syscall.EPROTOTYPE)
	client := dial(ctx, t, u.Host, "unixgram", u.path)
	_, err := client.Write(make([]byte, 1<<20))
	wantError(t, "write a datagram that is too long", err, syscall.EMSGSIZE)
	_, err = client.(net.PacketConn).WriteTo([]byte("x"), server.LocalAddr())
	wantError(t, "write to an address on a connected socket", err, net.ErrWriteToConnected)
	for what, c := range map[error]net.Addr{
		syscall.ENOENT:       &net.UnixAddr{Name: u.path + "2", Net: "unixgram"},
		syscall.EPROTOTYPE:   &net.UnixAddr{Name: stream, Net: "unixgram"},
		syscall.EAFNOSUPPORT: &net.UnixAddr{Name: u.path, Net: "unix"},
		syscall.EINVAL:       &net.UDPAddr{},
	} {
		_, err := server.WriteTo([]byte("x"), c)
		wantError(t, "write to "+c.String(), err, what)
	}
	_, err = u.Host.ListenPacket(ctx, "unixgram", u.path)
	wantError(t, "listen twice", err, syscall.EADDRINUSE)
	wantError(t, "remove what is not stale", u.files.RemoveStale(u.path), syscall.EADDRINUSE)

	must(t, "close", server.Close())
	_, err = client.Write([]byte("x"))
	wantError(t, "write to a closed socket", err, syscall.ECONNREFUSED)
	_, err = client.Write([]byte("x"))
	wantError(t, "write then", err, syscall.ENOTCONN)
	dialError("a stale socket", "unixgram", u.path, syscall.ECONNREFUSED)
	must(t, "remove what is stale", u.files.RemoveStale(u.path))
}

// unixDatagramsWait: a datagram for which there is no room is not lost: its sender waits.
func unixDatagramsWait(ctx context.Context, t *testing.T, u unixCase) {
	server := u.bindPacket(ctx, t, u.path)
	client := dial(ctx, t, u.Host, "unixgram", u.path)
	must(t, "set deadline", client.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
	sent := 0
	var err error
	for ; err == nil && sent < 1<<16; sent++ {
		_, err = client.Write([]byte{byte(sent)})
	}
	sent-- // the last failed
	wantError(t, "write when there is no room", err, os.ErrDeadlineExceeded)
	must(t, "set deadline", client.SetWriteDeadline(time.Now().Add(limit)))
	written := make(chan error)
	go func() {
		_, err := client.Write([]byte{byte(sent)})
		written <- err
	}()
	buffer := make([]byte, 8)
	for i := range sent + 1 {
		if _, _, err := server.ReadFrom(buffer); err != nil || buffer[0] != byte(i) {
			t.Fatalf("read datagram %d of %d as %d: %v", i, sent, buffer[0], err)
		}
	}
	must(t, "write when there is room", <-written)

	go func() {
		_, _, err := server.ReadFrom(buffer)
		written <- err
	}()
	must(t, "close", server.Close())
	wantError(t, "read when the socket is closed", <-written, net.ErrClosed)
	if err := server.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("close twice: %v", err)
	}
}
