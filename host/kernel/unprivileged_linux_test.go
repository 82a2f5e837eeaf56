package kernel_test

import (
	"context"
	"io/fs"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"scenario/host/hosttest"
	"scenario/host/kernel"
	"scenario/internal/needs"
)

// As the user as whom roles run in a node's container, modes forbid what they forbid. R25
func TestUnixSocketsAsNobody(t *testing.T) {
	needs.Root(t)
	hosttest.RunUnix(t, func(t *testing.T) hosttest.UnixHost {
		folder := shortFolder(t)
		if err := os.Chown(folder, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		return hosttest.UnixHost{Host: asNobody{kernel.New(kernel.Options{})}, Folder: folder}
	})
}

const nobody = 65534

// asNobody is a Host that uses files as another user, without root's right to any file (setfsuid(2)).
type asNobody struct{ *kernel.Host }

func (h asNobody) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		_ = unix.Setfsgid(nobody)
		_ = unix.Setfsuid(nobody)
		if now, _ := unix.SetfsuidRetUid(-1); now != nobody {
			done <- syscall.EPERM
			return
		}
		done <- f()
	}()
	return <-done
}

func (h asNobody) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = h.do(func() (err error) { c, err = h.Host.Dial(ctx, network, addr); return err })
	return c, err
}

func (h asNobody) Listen(ctx context.Context, network, addr string) (l net.Listener, err error) {
	err = h.do(func() (err error) { l, err = h.Host.Listen(ctx, network, addr); return err })
	return l, err
}

func (h asNobody) ListenBacklog(ctx context.Context, network, addr string, backlog int) (l net.Listener, err error) {
	err = h.do(func() (err error) { l, err = h.Host.ListenBacklog(ctx, network, addr, backlog); return err })
	return l, err
}

func (h asNobody) ListenPacket(ctx context.Context, network, addr string) (c net.PacketConn, err error) {
	err = h.do(func() (err error) { c, err = h.Host.ListenPacket(ctx, network, addr); return err })
	return c, err
}

func (h asNobody) Lstat(path string) (info fs.FileInfo, err error) {
	err = h.do(func() (err error) { info, err = h.Host.Lstat(path); return err })
	return info, err
}

func (h asNobody) Create(path string, mode fs.FileMode) error {
	return h.do(func() error { return h.Host.Create(path, mode) })
}

func (h asNobody) Mkdir(path string, mode fs.FileMode) error {
	return h.do(func() error { return h.Host.Mkdir(path, mode) })
}

func (h asNobody) Chmod(path string, mode fs.FileMode) error {
	return h.do(func() error { return h.Host.Chmod(path, mode) })
}

func (h asNobody) Remove(path string) error {
	return h.do(func() error { return h.Host.Remove(path) })
}

func (h asNobody) RemoveStale(path string) error {
	return h.do(func() error { return h.Host.RemoveStale(path) })
}
