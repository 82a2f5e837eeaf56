//go:build unix && !aix && !solaris

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// ListenBacklog implements [host.Backlog]. Package net has a backlog of its own, but a socket that listens takes another
// (listen(2)). The system bounds it by net.core.somaxconn.
func (h *Host) ListenBacklog(ctx context.Context, network, addr string, backlog int) (net.Listener, error) {
	if backlog < 0 {
		return nil, fmt.Errorf("listen %s %s: a backlog of %d", network, addr, backlog)
	}
	l, err := h.Listen(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	raw, err := l.(syscall.Conn).SyscallConn()
	if err == nil {
		var refused error
		err = raw.Control(func(fd uintptr) { refused = os.NewSyscallError("listen", syscall.Listen(int(fd), backlog)) })
		err = errors.Join(err, refused)
	}
	if err != nil {
		_ = l.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Addr: l.Addr(), Err: err}
	}
	return l, nil
}

// lockFolder locks the folder of a path against others who call it (flock(2)).
func lockFolder(path string) (unlock func(), err error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, cause(err)
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		_ = folder.Close()
		return nil, err
	}
	return func() { _ = folder.Close() }, nil
}
