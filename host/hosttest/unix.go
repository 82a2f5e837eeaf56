package hosttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"scenario/host"
)

// UnixHost is a host with Unix-domain sockets.
type UnixHost struct {
	Host host.Host
	// Folder is one of the host's own to which it can write, by a short path. Each case has one for itself.
	Folder string
	// Privileged says that modes of files do not bind the host.
	Privileged bool
}

// unixCase is a case's view of a UnixHost.
type unixCase struct {
	UnixHost
	files host.FileSystem
	path  string // of a socket that is not there yet
}

// RunUnix puts a host through the suite of Unix-domain sockets and of the files among which they are. open is called once a
// case, and cleans up by t.Cleanup.
func RunUnix(t *testing.T, open func(t *testing.T) UnixHost) {
	for _, c := range []struct {
		name string
		run  func(ctx context.Context, t *testing.T, u unixCase)
	}{
		{"Echo", unixEcho},
		{"HalfClose", unixHalfClose},
		{"CloseRead", unixCloseRead},
		{"Unread", unixUnread},
		{"Unaccepted", unixUnaccepted},
		{"Nothing", unixNothing},
		{"Stale", unixStale},
		{"RemoveStale", unixRemoveStale},
		{"RemoveStaleTogether", unixRemoveStaleTogether},
		{"NoSocket", unixNoSocket},
		{"InUse", unixInUse},
		{"Removed", unixRemoved},
		{"Abstract", unixAbstract},
		{"Modes", unixModes},
		{"Folders", unixFolders},
		{"Backlog", unixBacklog},
		{"Deadlines", unixDeadlines},
		{"CloseWakes", unixCloseWakes},
		{"Datagrams", unixDatagrams},
		{"DatagramErrors", unixDatagramErrors},
		{"DatagramsWait", unixDatagramsWait},
		{"Conn", unixConn},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := open(t)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			c.run(ctx, t, unixCase{u, u.Host.(host.FileSystem), u.Folder + "/chat.sock"})
		})
	}
}

// connect returns both ends of a connection, and who listens.
func (u unixCase) connect(ctx context.Context, t *testing.T) (client, server net.Conn, l net.Listener) {
	t.Helper()
	l = listen(ctx, t, u.Host, "unix", u.path)
	client = dial(ctx, t, u.Host, "unix", u.path)
	return client, accept(t, l), l
}

// leave has a server end as by a crash: its file stays.
func (u unixCase) leave(ctx context.Context, t *testing.T) {
	t.Helper()
	l := listen(ctx, t, u.Host, "unix", u.path)
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	must(t, "close", l.Close())
}

func (u unixCase) wantDialError(ctx context.Context, t *testing.T, what, path string, target error) {
	t.Helper()
	c, err := u.Host.Dial(ctx, "unix", path)
	if err == nil {
		c.Close()
	}
	wantError(t, "dial "+what, err, target)
}

func (u unixCase) wantListenError(ctx context.Context, t *testing.T, what, path string, target error) {
	t.Helper()
	l, err := u.Host.Listen(ctx, "unix", path)
	if err == nil {
		l.Close()
	}
	wantError(t, "listen "+what, err, target)
}

func unixEcho(ctx context.Context, t *testing.T, u unixCase) {
	c, s, l := u.connect(ctx, t)
	if l.Addr().String() != u.path || c.RemoteAddr().String() != u.path || s.LocalAddr().String() != u.path || l.Addr().Network() != "unix" {
		t.Errorf("addresses %s, %s, %s, want %s", l.Addr(), c.RemoteAddr(), s.LocalAddr(), u.path)
	}
	if c.LocalAddr().String() != s.RemoteAddr().String() {
		t.Errorf("ends disagree: %s and %s", c.LocalAddr(), s.RemoteAddr())
	}
	go func() { // ends when the client closes its side
		_, _ = io.Copy(s, s)
		_ = s.Close()
	}()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		_, _ = c.Write(sent)
		_ = closeWrite(c)
	}()
	if got := readAll(t, c); got != string(sent) {
		t.Errorf("%d bytes came back of %d, or they differ", len(got), len(sent))
	}
}

func unixHalfClose(ctx context.Context, t *testing.T, u unixCase) {
	a, b, _ := u.connect(ctx, t)
	_, err := io.WriteString(a, "question")
	must(t, "write", err)
	must(t, "close for writing", closeWrite(a))
	if got := readAll(t, b); got != "question" {
		t.Errorf("got %q before the end of the stream", got)
	}
	_, err = io.WriteString(b, "answer")
	must(t, "write to an end that sends no more", err)
	must(t, "close", b.Close())
	if got := readAll(t, a); got != "answer" {
		t.Errorf("got %q after the half close", got)
	}
	_, err = a.Write([]byte("more"))
	wantError(t, "write after the half close", err, syscall.EPIPE)
}

// unixCloseRead: other than by TCP, the writer is told that nobody reads any more.
func unixCloseRead(ctx context.Context, t *testing.T, u unixCase) {
	a, b, _ := u.connect(ctx, t)
	_, err := io.WriteString(b, "early")
	must(t, "write", err)
	must(t, "close for reading", a.(interface{ CloseRead() error }).CloseRead())
	_, err = b.Write([]byte("late"))
	wantError(t, "write to an end that reads no more", err, syscall.EPIPE)
	if got := readAll(t, a); got != "early" {
		t.Errorf("got %q of what was written before", got)
	}
}

// unixUnread: an end that closes without having read everything says so.
func unixUnread(ctx context.Context, t *testing.T, u unixCase) {
	a, b, _ := u.connect(ctx, t)
	_, err := io.WriteString(a, "unread")
	must(t, "write", err)
	_, err = io.WriteString(b, "last")
	must(t, "write", err)
	must(t, "close", b.Close())
	got := make([]byte, 16)
	n, err := a.Read(got)
	if must(t, "read", err); string(got[:n]) != "last" {
		t.Errorf("read %q, want what was written before the close", got[:n])
	}
	_, err = a.Read(got)
	wantError(t, "read then", err, syscall.ECONNRESET)
	_, err = a.Read(got)
	wantError(t, "read after the error", err, io.EOF)
	_, err = a.Write(got)
	wantError(t, "write to a closed end", err, syscall.EPIPE)
}

func unixUnaccepted(ctx context.Context, t *testing.T, u unixCase) {
	l := listen(ctx, t, u.Host, "unix", u.path)
	c := dial(ctx, t, u.Host, "unix", u.path)
	must(t, "close", l.Close())
	_, err := c.Read(make([]byte, 1))
	wantError(t, "read when the server closed without accepting", err, syscall.ECONNRESET)
}

// unixNothing: the server was not started, or the path is wrong. R25
func unixNothing(ctx context.Context, t *testing.T, u unixCase) {
	must(t, "create", u.files.Create(u.Folder+"/plain", 0o644))
	long := u.Folder + "/" + strings.Repeat("x", 108-len(u.Folder)-1)
	u.wantDialError(ctx, t, "where no file is", u.path, syscall.ENOENT)
	u.wantDialError(ctx, t, "where no folder is", u.Folder+"/none/chat.sock", syscall.ENOENT)
	u.wantDialError(ctx, t, "below a file", u.Folder+"/plain/chat.sock", syscall.ENOTDIR)
	u.wantDialError(ctx, t, "a path that is too long", long, syscall.EINVAL)
	u.wantListenError(ctx, t, "where no folder is", u.Folder+"/none/chat.sock", syscall.ENOENT)
	u.wantListenError(ctx, t, "below a file", u.Folder+"/plain/chat.sock", syscall.ENOTDIR)
	u.wantListenError(ctx, t, "at a path that is too long", long, syscall.EINVAL)
	for _, path := range []string{"", u.path + "\x00x"} {
		if c, err := u.Host.Dial(ctx, "unix", path); err == nil {
			c.Close()
			t.Errorf("dial %q: no error", path)
		}
		if l, err := u.Host.Listen(ctx, "unix", path); err == nil {
			l.Close()
			t.Errorf("listen at %q: no error", path)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	u.wantDialError(canceled, t, "with a canceled context", u.path, context.Canceled)
	listen(ctx, t, u.Host, "unix", long[:107])
}

// unixStale: what a server has left behind keeps the next one from its path until somebody removes it. R25
func unixStale(ctx context.Context, t *testing.T, u unixCase) {
	u.leave(ctx, t)
	u.wantDialError(ctx, t, "a stale socket", u.path, syscall.ECONNREFUSED)
	u.wantListenError(ctx, t, "where a stale socket is", u.path, syscall.EADDRINUSE)
	found, err := u.files.Lstat(u.path)
	if must(t, "lstat", err); found.Mode().Type() != fs.ModeSocket || found.Name() != "chat.sock" {
		t.Errorf("found %s %s, want a socket", found.Mode(), found.Name())
	}
	must(t, "remove", u.files.Remove(u.path))
	c, _, l := u.connect(ctx, t)
	must(t, "close", l.Close())
	_, err = u.files.Lstat(u.path)
	wantError(t, "lstat after a close in order", err, fs.ErrNotExist)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("write on a connection whose listener is closed: %v", err)
	}
}

// unixRemoveStale: cleaning up takes what was left behind, and nothing of those who live. R25
func unixRemoveStale(ctx context.Context, t *testing.T, u unixCase) {
	wantError(t, "where nothing is", u.files.RemoveStale(u.path), fs.ErrNotExist)
	wantError(t, "where no folder is", u.files.RemoveStale(u.Folder+"/none/s"), fs.ErrNotExist)
	plain := u.Folder + "/plain"
	must(t, "create", u.files.Create(plain, 0o600))
	wantError(t, "of a plain file", u.files.RemoveStale(plain), syscall.ENOTSOCK)
	wantError(t, "below a plain file", u.files.RemoveStale(plain+"/s"), syscall.ENOTDIR)
	must(t, "mkdir", u.files.Mkdir(u.Folder+"/folder", 0o700))
	wantError(t, "of a folder", u.files.RemoveStale(u.Folder+"/folder"), syscall.ENOTSOCK)

	l := listen(ctx, t, u.Host, "unix", u.path)
	wantError(t, "of a socket on which somebody listens", u.files.RemoveStale(u.path), syscall.EADDRINUSE)
	must(t, "set deadline", l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Unix(1, 0)))
	_, err := l.Accept()
	wantError(t, "accept: the server was asked in a way that it notices", err, os.ErrDeadlineExceeded)
	must(t, "set deadline", l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Time{}))
	dial(ctx, t, u.Host, "unix", u.path)
	accept(t, l)
	must(t, "close", l.Close())

	u.leave(ctx, t)
	if !u.Privileged {
		must(t, "chmod", u.files.Chmod(u.path, 0))
		wantError(t, "where the mode forbids to find out", u.files.RemoveStale(u.path), syscall.EACCES)
		must(t, "chmod", u.files.Chmod(u.path, 0o600))
	}
	must(t, "remove what is stale", u.files.RemoveStale(u.path))
	u.connect(ctx, t)
}

// unixRemoveStaleTogether: of servers that start at once where an old one left its file, one has the path, and keeps it. R25
func unixRemoveStaleTogether(ctx context.Context, t *testing.T, u unixCase) {
	for range 20 {
		u.leave(ctx, t)
		const servers = 8
		listening := make(chan net.Listener)
		for range servers {
			go func() {
				_ = u.files.RemoveStale(u.path)
				l, err := u.Host.Listen(ctx, "unix", u.path)
				if err != nil {
					l = nil
				}
				listening <- l
			}()
		}
		var winner net.Listener
		for range servers {
			switch l := <-listening; {
			case l == nil:
			case winner != nil:
				t.Error("two servers listen at one path")
				must(t, "close", l.Close())
			default:
				winner = l
			}
		}
		if winner == nil {
			t.Fatal("no server listens")
		}
		dial(ctx, t, u.Host, "unix", u.path)
		must(t, "close", winner.Close())
	}
}

// unixNoSocket: a file that is no socket looks like a stale one to who connects, and only lstat tells. R25
func unixNoSocket(ctx context.Context, t *testing.T, u unixCase) {
	must(t, "create", u.files.Create(u.path, 0o640))
	u.wantDialError(ctx, t, "a plain file", u.path, syscall.ECONNREFUSED)
	u.wantListenError(ctx, t, "where a plain file is", u.path, syscall.EADDRINUSE)
	found, err := u.files.Lstat(u.path)
	if must(t, "lstat", err); found.Mode() != 0o640 {
		t.Errorf("found %s, want a plain file", found.Mode())
	}
	u.wantDialError(ctx, t, "a folder", u.Folder, syscall.ECONNREFUSED)
	u.wantListenError(ctx, t, "where a folder is", u.Folder, syscall.EADDRINUSE)
}

func unixInUse(ctx context.Context, t *testing.T, u unixCase) {
	a, b, l := u.connect(ctx, t)
	u.wantListenError(ctx, t, "twice", u.path, syscall.EADDRINUSE)
	_, err := io.WriteString(a, "still here")
	must(t, "write", err)
	must(t, "close", a.Close())
	if got := readAll(t, b); got != "still here" {
		t.Errorf("the first server's connection brings %q", got)
	}
	dial(ctx, t, u.Host, "unix", u.path)
	accept(t, l)
}

// unixRemoved: a server whose file is removed is found by nobody, and goes on.
func unixRemoved(ctx context.Context, t *testing.T, u unixCase) {
	a, b, l := u.connect(ctx, t)
	must(t, "remove", u.files.Remove(u.path))
	u.wantDialError(ctx, t, "a server whose file was removed", u.path, syscall.ENOENT)
	_, err := io.WriteString(a, "on")
	must(t, "write", err)
	must(t, "close", a.Close())
	if got := readAll(t, b); got != "on" {
		t.Errorf("the connection brings %q", got)
	}
	again := listen(ctx, t, u.Host, "unix", u.path)
	dial(ctx, t, u.Host, "unix", u.path)
	accept(t, again)
	must(t, "close the first", l.Close())
}

func unixAbstract(ctx context.Context, t *testing.T, u unixCase) {
	name := "@scenario" + u.path
	u.wantDialError(ctx, t, "an abstract name that nobody has", name, syscall.ECONNREFUSED)
	l, err := u.Host.Listen(ctx, "unix", name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the system has no abstract names")
	}
	must(t, "listen", err)
	t.Cleanup(func() { l.Close() })
	u.wantListenError(ctx, t, "twice", name, syscall.EADDRINUSE)
	c := dial(ctx, t, u.Host, "unix", name)
	if s := accept(t, l); c.RemoteAddr().String() != name || s.LocalAddr().String() != name {
		t.Errorf("ends at %s and %s, want %s", c.RemoteAddr(), s.LocalAddr(), name)
	}
	must(t, "close", l.Close())
	u.wantDialError(ctx, t, "when its server is closed", name, syscall.ECONNREFUSED)
}

// unixModes: what a mode forbids is told from what is not there. R25
func unixModes(ctx context.Context, t *testing.T, u unixCase) {
	if u.Privileged {
		t.Skip("modes do not bind this host")
	}
	l := listen(ctx, t, u.Host, "unix", u.path)
	must(t, "chmod", u.files.Chmod(u.path, 0o400))
	u.wantDialError(ctx, t, "a socket that may not be written to", u.path, syscall.EACCES)
	must(t, "chmod", u.files.Chmod(u.path, 0o200))
	dial(ctx, t, u.Host, "unix", u.path)
	accept(t, l)

	folder := u.Folder + "/closed"
	must(t, "mkdir", u.files.Mkdir(folder, 0o700))
	t.Cleanup(func() { _ = u.files.Chmod(folder, 0o700) })
	inside := folder + "/s"
	within := listen(ctx, t, u.Host, "unix", inside)
	must(t, "chmod", u.files.Chmod(folder, 0o600))
	u.wantDialError(ctx, t, "in a folder that may not be searched", inside, syscall.EACCES)
	must(t, "chmod", u.files.Chmod(folder, 0o500))
	dial(ctx, t, u.Host, "unix", inside)
	accept(t, within)
	u.wantListenError(ctx, t, "in a folder that may not be written to", folder+"/other", syscall.EACCES)
	wantError(t, "remove from it", u.files.Remove(inside), syscall.EACCES)
	must(t, "chmod", u.files.Chmod(folder, 0o700))
	must(t, "close", within.Close())
}

func unixFolders(_ context.Context, t *testing.T, u unixCase) {
	folder := u.Folder + "/a"
	must(t, "mkdir", u.files.Mkdir(folder, 0o750))
	found, err := u.files.Lstat(folder)
	if must(t, "lstat", err); found.Mode() != fs.ModeDir|0o750 || !found.IsDir() {
		t.Errorf("found %s, want a folder", found.Mode())
	}
	must(t, "create", u.files.Create(folder+"/file", 0o666))
	wantError(t, "create again", u.files.Create(folder+"/file", 0o600), fs.ErrExist)
	wantError(t, "mkdir again", u.files.Mkdir(folder, 0o600), fs.ErrExist)
	wantError(t, "remove a folder that is not empty", u.files.Remove(folder), syscall.ENOTEMPTY)
	found, err = u.files.Lstat(folder + "/file")
	if must(t, "lstat", err); found.Mode() != 0o666 || found.Size() != 0 {
		t.Errorf("found %s of %d bytes", found.Mode(), found.Size())
	}
	must(t, "remove", u.files.Remove(folder+"/file"))
	must(t, "remove", u.files.Remove(folder))
	wantError(t, "remove again", u.files.Remove(folder), fs.ErrNotExist)
	wantError(t, "chmod what is not there", u.files.Chmod(folder, 0o700), fs.ErrNotExist)
	var path *fs.PathError
	if _, err := u.files.Lstat(folder + "/file"); !errors.As(err, &path) || path.Err != syscall.ENOENT || path.Path != folder+"/file" {
		t.Errorf("lstat in a folder that is not there: %v", err)
	}
}

// unixBacklog: one more than the backlog wait to be accepted, as on Linux.
func unixBacklog(ctx context.Context, t *testing.T, u unixCase) {
	l, err := u.Host.(host.Backlog).ListenBacklog(ctx, "unix", u.path, 2)
	must(t, "listen", err)
	t.Cleanup(func() { l.Close() })
	for range 3 {
		dial(ctx, t, u.Host, "unix", u.path)
	}
	u.wantDialError(ctx, t, "when the queue is full", u.path, syscall.EAGAIN)
	accept(t, l)
	dial(ctx, t, u.Host, "unix", u.path)
	if l, err := u.Host.(host.Backlog).ListenBacklog(ctx, "unix", u.path+"2", -1); err == nil {
		l.Close()
		t.Error("listen with a backlog of -1: no error")
	}
}

func unixDeadlines(ctx context.Context, t *testing.T, u unixCase) {
	a, _, l := u.connect(ctx, t)
	past := time.Unix(1, 0)
	must(t, "set read deadline", a.SetReadDeadline(past))
	_, err := a.Read(make([]byte, 1))
	wantError(t, "read after the deadline", err, os.ErrDeadlineExceeded)
	must(t, "clear deadlines", a.SetDeadline(time.Time{}))
	// A deadline that is set while a call waits wakes it.
	woken := make(chan error)
	go func() {
		_, err := a.Write(make([]byte, 8<<20))
		woken <- err
	}()
	must(t, "set write deadline", a.SetWriteDeadline(past))
	wantError(t, "write when the deadline passes", <-woken, os.ErrDeadlineExceeded)
	go func() {
		_, err := l.Accept()
		woken <- err
	}()
	must(t, "set deadline", l.(interface{ SetDeadline(time.Time) error }).SetDeadline(past))
	wantError(t, "accept when the deadline passes", <-woken, os.ErrDeadlineExceeded)
}

func unixCloseWakes(ctx context.Context, t *testing.T, u unixCase) {
	a, _, l := u.connect(ctx, t)
	woken := make(chan error)
	go func() {
		_, err := l.Accept()
		woken <- err
	}()
	must(t, "close", l.Close())
	wantError(t, "accept when the listener is closed", <-woken, net.ErrClosed)
	wantError(t, "close twice", l.Close(), net.ErrClosed)
	go func() {
		_, err := a.Read(make([]byte, 1))
		woken <- err
	}()
	must(t, "close", a.Close())
	wantError(t, "read when the connection is closed", <-woken, net.ErrClosed)
	_, err := a.Write([]byte("x"))
	wantError(t, "write to a closed connection", err, net.ErrClosed)
	wantError(t, "close twice", a.Close(), net.ErrClosed)
}

func unixConn(ctx context.Context, t *testing.T, u unixCase) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		l, err := u.Host.Listen(ctx, "unix", u.path)
		if err != nil {
			return nil, nil, nil, err
		}
		defer l.Close()
		if a, err = u.Host.Dial(ctx, "unix", u.path); err != nil {
			return nil, nil, nil, err
		}
		if b, err = l.Accept(); err != nil {
			a.Close()
			return nil, nil, nil, err
		}
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}
