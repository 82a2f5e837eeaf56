// Package errno names the errors of socket calls as the system does (ECONNREFUSED) and says in one sentence what each
// means for whoever sees it.
package errno

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// entry is one error with its name and meaning. An entry without a name is no error of the system, but has a meaning.
type entry struct {
	err     error
	name    string
	meaning string
}

// table is searched from its beginning: a wrapped error has the first entry that errors.Is finds.
func table() []entry {
	const late = "no answer came in time: packets are dropped on the way, or the other end does not answer"
	return []entry{
		{syscall.ECONNREFUSED, "ECONNREFUSED", "the machine answered that nothing listens on this port"},
		{syscall.EHOSTUNREACH, "EHOSTUNREACH", "a router on the way could not deliver the packet, or no machine on its network has the address"},
		{syscall.ENETUNREACH, "ENETUNREACH", "no route leads from here to this network"},
		{syscall.ETIMEDOUT, "ETIMEDOUT", late},
		{syscall.ECONNRESET, "ECONNRESET", "the other end broke the connection off instead of closing it"},
		{syscall.ECONNABORTED, "ECONNABORTED", "the connection was given up before it could be used"},
		{syscall.EPIPE, "EPIPE", "nothing more can be sent: the other end closed the connection, or this end had ended its direction"},
		{syscall.EADDRINUSE, "EADDRINUSE", "another program holds this address and port"},
		{syscall.EADDRNOTAVAIL, "EADDRNOTAVAIL", "this machine does not have the address, or has no free port left"},
		{syscall.EACCES, "EACCES", "the system does not permit this program to do it"},
		{syscall.EPERM, "EPERM", "the system or its firewall forbids it"},
		{syscall.EMSGSIZE, "EMSGSIZE", "the message is too long to be sent in one piece"},
		{syscall.EMFILE, "EMFILE", "the program has as many files and sockets open as it may"},
		{syscall.ENOBUFS, "ENOBUFS", "the system has no memory left for the socket"},
		{syscall.ENOTCONN, "ENOTCONN", "the socket is not connected"},
		{syscall.EINVAL, "EINVAL", "the call does not fit the socket or the address"},
		{syscall.EAFNOSUPPORT, "EAFNOSUPPORT", "this machine does not speak this kind of address"},
		{syscall.EAGAIN, "EAGAIN", "it cannot be done without waiting"},
		{syscall.ENOENT, "ENOENT", "there is no such file or folder"},
		{syscall.ENOTDIR, "ENOTDIR", "a part of the path is a file where it should be a folder"},
		{syscall.ENOTSOCK, "ENOTSOCK", "the file is no socket"},
		{syscall.EEXIST, "EEXIST", "there is a file of this name already"},
		{syscall.ENOTEMPTY, "ENOTEMPTY", "the folder has files in it"},
		{syscall.EROFS, "EROFS", "the folder is part of a file system that cannot be written to"},
		{syscall.EPROTOTYPE, "EPROTOTYPE", "the socket at this path is of another type: a stream is no datagram socket"},
		{os.ErrDeadlineExceeded, "ETIMEDOUT", late},
		{context.DeadlineExceeded, "ETIMEDOUT", late},
		{context.Canceled, "", "it was called off before it ended"},
		{net.ErrClosed, "", "this end had closed the socket"},
		{io.ErrUnexpectedEOF, "", "the other end closed the connection in the middle"},
		{io.EOF, "", "the other end closed the connection"},
	}
}

// unixTable has what errors mean where sockets are files, as far as that is something else. It is searched first then.
func unixTable() []entry {
	return []entry{
		{syscall.ECONNREFUSED, "ECONNREFUSED", "the file is there, but nobody listens on it: its server has ended, or it is no socket"},
		{syscall.ENOENT, "ENOENT", "there is no such file: the server was not started, or the path is wrong"},
		{syscall.EADDRINUSE, "EADDRINUSE", "there is a file at this path already: of a server that runs, of one that has ended, or another file"},
		{syscall.EACCES, "EACCES", "the mode of the socket file, or of a folder on the way to it, forbids it to this user"},
		{syscall.EAGAIN, "EAGAIN", "as many connections wait to be accepted as may: the server does not keep up"},
		{syscall.ECONNRESET, "ECONNRESET", "the other end closed the connection without having read everything"},
		{syscall.EINVAL, "EINVAL", "the path is longer than the address of a socket has room for (107 bytes on Linux)"},
	}
}

// Name is the system's name of err, such as "ECONNREFUSED"; empty where the system has none for it. A deadline that
// passed is an ETIMEDOUT, whoever set it.
func Name(err error) string { return find(err).name }

// Meaning is one plain sentence, without a capital or a full stop, on what err means; empty where there is none to give.
func Meaning(err error) string { return find(err).meaning }

// Named is the error that the system calls by that name; nil where none of those that are known here is.
func Named(name string) error {
	for _, e := range table() {
		if name != "" && e.name == name {
			return e.err
		}
	}
	return nil
}

func find(err error) entry {
	if err == nil {
		return entry{}
	}
	entries := table()
	var op *net.OpError
	if errors.As(err, &op) && strings.HasPrefix(op.Net, "unix") {
		entries = append(unixTable(), entries...)
	}
	for _, e := range entries {
		if errors.Is(err, e.err) {
			return e
		}
	}
	return entry{}
}
