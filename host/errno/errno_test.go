package errno

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestName(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		err     error
		name    string
		meaning bool
	}{
		{nil, "", false},
		{errors.New("something else"), "", false},
		{refused, "ECONNREFUSED", true},
		{fmt.Errorf("shop: %w", refused), "ECONNREFUSED", true},
		{syscall.EHOSTUNREACH, "EHOSTUNREACH", true},
		{syscall.ENETUNREACH, "ENETUNREACH", true},
		{syscall.ECONNRESET, "ECONNRESET", true},
		{syscall.ETIMEDOUT, "ETIMEDOUT", true},
		{os.ErrDeadlineExceeded, "ETIMEDOUT", true},
		{context.DeadlineExceeded, "ETIMEDOUT", true},
		{context.Canceled, "", true},
		{net.ErrClosed, "", true},
		{io.ErrUnexpectedEOF, "", true},
		{io.EOF, "", true},
	} {
		if got := Name(test.err); got != test.name {
			t.Errorf("Name(%v) = %q, want %q", test.err, got, test.name)
		}
		if got := Meaning(test.err); (got != "") != test.meaning {
			t.Errorf("Meaning(%v) = %q", test.err, got)
		}
	}
}

// Where sockets are files, the same error means something else.
func TestMeaningOfUnixSockets(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EADDRINUSE, syscall.EACCES, syscall.ENOENT, syscall.EAGAIN} {
		plain := os.NewSyscallError("connect", number)
		unix := fmt.Errorf("chat: %w", &net.OpError{Op: "dial", Net: "unix", Err: plain})
		if Name(unix) != Name(plain) || Meaning(unix) == Meaning(plain) || Meaning(unix) == "" {
			t.Errorf("%s: on a Unix socket %s, %q", Name(plain), Name(unix), Meaning(unix))
		}
	}
	if err := (&net.OpError{Op: "dial", Net: "unix", Err: context.Canceled}); Meaning(err) != Meaning(context.Canceled) {
		t.Errorf("canceled: %q", Meaning(err))
	}
}

func TestEveryNameIsTheSystems(t *testing.T) {
	for _, e := range table() {
		if e.meaning == "" {
			t.Errorf("%v has no meaning", e.err)
		}
		var number syscall.Errno
		if errors.As(e.err, &number) && e.name == "" {
			t.Errorf("%v has no name", e.err)
		}
	}
}
