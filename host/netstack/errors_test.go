package netstack_test

import (
	"io"
	"net"
	"regexp"
	"runtime"
	"testing"
	"time"

	"scenario/host"
	"scenario/host/kernel"
	"scenario/host/netstack"
)

// Errors read as those of the kernel's sockets do, with all that an *net.OpError has. R3
func TestErrorsAreTheKernels(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the errors are those of Linux")
	}
	port := regexp.MustCompile(`:\d+`)
	for _, c := range []struct {
		name string
		do   func(s script) error
	}{
		{"dial refused", func(s script) error { return s.dialClosed("tcp") }},
		{"dial of the wrong family", func(s script) error { _, err := s.Dial(s.Context(), "tcp6", "127.0.0.1:1"); return err }},
		{"listen twice", func(s script) error {
			_, err := s.Listen(s.Context(), "tcp", s.listener().Addr().String())
			return err
		}},
		{"listen on a part of what is taken", func(s script) error {
			l, err := s.Listen(s.Context(), "tcp4", ":0")
			s.must(err)
			s.Cleanup(func() { _ = l.Close() })
			_, err = s.Listen(s.Context(), "tcp", port.FindString(l.Addr().String()))
			return err
		}},
		{"listen elsewhere", func(s script) error { _, err := s.Listen(s.Context(), "tcp", "203.0.113.9:1"); return err }},
		{"listen on datagrams elsewhere", func(s script) error {
			_, err := s.ListenPacket(s.Context(), "udp", "203.0.113.9:1")
			return err
		}},
		{"accept when closed", func(s script) error {
			l := s.listener()
			s.must(l.Close())
			_, err := l.Accept()
			return err
		}},
		{"close a listener twice", func(s script) error {
			l := s.listener()
			s.must(l.Close())
			return l.Close()
		}},
		{"read after the deadline", func(s script) error {
			c, _ := s.pair()
			s.must(c.SetReadDeadline(time.Unix(1, 0)))
			return read(c)
		}},
		{"write after the deadline", func(s script) error {
			c, _ := s.pair()
			s.must(c.SetWriteDeadline(time.Unix(1, 0)))
			return write(c)
		}},
		{"read when closed", func(s script) error {
			c, _ := s.pair()
			s.must(c.Close())
			return read(c)
		}},
		{"write when closed", func(s script) error {
			c, _ := s.pair()
			s.must(c.Close())
			return write(c)
		}},
		{"close twice", func(s script) error {
			c, _ := s.pair()
			s.must(c.Close())
			return c.Close()
		}},
		{"set a deadline when closed", func(s script) error {
			c, _ := s.pair()
			s.must(c.Close())
			return c.SetDeadline(time.Time{})
		}},
		{"write after the half close", func(s script) error {
			c, _ := s.pair()
			s.must(c.(halfCloser).CloseWrite())
			return write(c)
		}},
		{"read after the half close for reading", func(s script) error {
			c, _ := s.pair()
			s.must(c.(interface{ CloseRead() error }).CloseRead())
			return read(c)
		}},
		{"set an option when closed", func(s script) error {
			c, _ := s.pair()
			s.must(c.Close())
			return c.(interface{ SetNoDelay(bool) error }).SetNoDelay(true)
		}},
		{"half close when closed", func(s script) error {
			c, _ := s.pair()
			s.must(c.Close())
			return c.(halfCloser).CloseWrite()
		}},
		{"read after a reset", func(s script) error {
			c, peer := s.pair()
			s.reset(peer)
			return read(c)
		}},
		{"read twice after a reset", func(s script) error {
			c, peer := s.pair()
			s.reset(peer)
			_ = read(c)
			return read(c)
		}},
		{"write after a reset was read", func(s script) error {
			c, peer := s.pair()
			s.reset(peer)
			_ = read(c)
			return write(c)
		}},
		{"half close after a reset was read", func(s script) error {
			c, peer := s.pair()
			s.reset(peer)
			_ = read(c)
			return c.(halfCloser).CloseWrite()
		}},
		{"read when the peer closed", func(s script) error {
			c, peer := s.pair()
			s.must(peer.Close())
			return read(c)
		}},
		{"read when data was left unread", func(s script) error {
			c, peer := s.pair()
			s.must(write(c))
			s.must(read(peer))
			s.must(write(c))
			s.must(write(c))
			_, err := io.ReadFull(peer, make([]byte, 1))
			s.must(err)
			s.must(peer.Close())
			return read(c)
		}},
		{"read refused", func(s script) error {
			c := s.refused()
			s.must(c.SetReadDeadline(time.Now().Add(time.Second)))
			return read(c)
		}},
		{"write refused", func(s script) error {
			c := s.refused()
			var err error
			for until := time.Now().Add(time.Second); err == nil && time.Now().Before(until); {
				err = write(c)
			}
			return err
		}},
		{"datagram too long", func(s script) error {
			_, err := s.socket().WriteTo(make([]byte, 65508), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
			return err
		}},
		{"datagram to a connected socket", func(s script) error {
			_, err := s.refused().(net.PacketConn).WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
			return err
		}},
		{"datagram when closed", func(s script) error {
			c := s.socket()
			s.must(c.Close())
			_, err := c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
			return err
		}},
		{"read datagrams when closed", func(s script) error {
			c := s.socket()
			s.must(c.Close())
			_, _, err := c.ReadFrom(make([]byte, 1))
			return err
		}},
		{"read datagrams after the deadline", func(s script) error {
			c := s.socket()
			s.must(c.SetReadDeadline(time.Unix(1, 0)))
			_, _, err := c.ReadFrom(make([]byte, 1))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			words := func(h host.Host) string {
				err := c.do(script{t, h})
				if err == nil {
					return "no error"
				}
				return port.ReplaceAllString(err.Error(), ":N")
			}
			want := words(kernel.New(kernel.Options{}))
			machine := newCards().machine(t, 1, "10.0.0.1/24", "fd00::1/64")
			if got := words(machine.Host(netstack.HostOptions{})); got != want {
				t.Errorf("error %q, the kernel's is %q", got, want)
			}
		})
	}
}

type halfCloser interface{ CloseWrite() error }

// script is what the cases do with a host.
type script struct {
	*testing.T
	host.Host
}

func (s script) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

func (s script) listener() net.Listener {
	l, err := s.Host.Listen(s.Context(), "tcp", "127.0.0.1:0")
	s.must(err)
	s.Cleanup(func() { _ = l.Close() })
	return l
}

func (s script) socket() net.PacketConn {
	c, err := s.Host.ListenPacket(s.Context(), "udp", "127.0.0.1:0")
	s.must(err)
	s.Cleanup(func() { _ = c.Close() })
	return c
}

// pair is both ends of a connection.
func (s script) pair() (a, b net.Conn) {
	l := s.listener()
	a, err := s.Host.Dial(s.Context(), "tcp", l.Addr().String())
	s.must(err)
	b, err = l.Accept()
	s.must(err)
	s.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func (s script) dialClosed(network string) error {
	l := s.listener()
	s.must(l.Close())
	_, err := s.Host.Dial(s.Context(), network, l.Addr().String())
	return err
}

// refused is a socket that has sent to a port at which nobody is.
func (s script) refused() net.Conn {
	closed := s.socket()
	s.must(closed.Close())
	c, err := s.Host.Dial(s.Context(), "udp", closed.LocalAddr().String())
	s.must(err)
	s.Cleanup(func() { _ = c.Close() })
	s.must(write(c))
	return c
}

func (s script) reset(c net.Conn) {
	s.must(c.(interface{ SetLinger(int) error }).SetLinger(0))
	s.must(c.Close())
}

func read(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

func write(c net.Conn) error {
	_, err := c.Write([]byte("x"))
	return err
}
