package echo

import (
	"errors"
	"net"
	"syscall"
)

// datagrams sends each datagram back to where it came from, until the socket is closed. One that cannot be sent back, or that
// nobody takes there, is lost, and the server goes on.
func (s *serving) datagrams() error {
	defer s.end()
	buffer := make([]byte, s.options.Buffer)
	for {
		n, from, err := s.packets.ReadFrom(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case ofADatagram(err):
			continue // sent before, and told
		case err != nil:
			return err
		}
		_, _ = s.packets.WriteTo(buffer[:n], from) // an error is told
	}
}

// ofADatagram says that err is not the socket's, but is about one datagram that went through it.
func ofADatagram(err error) bool {
	for _, known := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EMSGSIZE,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
