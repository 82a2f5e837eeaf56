package proxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"scenario/internal/carry"
)

// Numbers of SOCKS (RFC 1928).
const (
	socksVersion  = 5
	socks4Version = 4

	methodNone         = 0x00 // no authentication
	methodUnacceptable = 0xff

	commandConnect = 1

	addrIPv4 = 1
	addrName = 3
	addrIPv6 = 4
)

// reply is the answer to a request (RFC 1928, section 6).
type reply byte

const (
	replySucceeded          reply = 0
	replyFailure            reply = 1
	replyForbidden          reply = 2
	replyNetworkUnreachable reply = 3
	replyHostUnreachable    reply = 4 // or there is no such name
	replyRefused            reply = 5
	replyLate               reply = 6 // "TTL expired": the nearest to a time that has run out
	replyNoCommand          reply = 7
	replyNoAddress          reply = 8
)

// replyTo tells a client what became of its connection.
func replyTo(err error) reply {
	var lookup *net.DNSError
	switch {
	case err == nil:
		return replySucceeded
	case errors.As(err, &lookup) && lookup.IsTimeout:
		return replyLate
	case lookup != nil:
		return replyHostUnreachable
	case errors.Is(err, syscall.ECONNREFUSED):
		return replyRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return replyNetworkUnreachable
	case errors.Is(err, syscall.EHOSTUNREACH):
		return replyHostUnreachable
	case late(err):
		return replyLate
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return replyForbidden
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return replyNoAddress
	}
	return replyFailure
}

// socks serves a client that speaks SOCKS5.
func (p *proxy) socks(ctx context.Context, c *client) {
	defer c.Close()
	addr, code, err := greet(c.in, c)
	if err != nil {
		p.log.Info("no SOCKS request", "client", c.RemoteAddr().String(), "error", err.Error())
		if code != replySucceeded {
			answer(c, code, nil)
		}
		return
	}
	dialCtx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	c.watched = carry.Watch(c.in, giveUp) // closing c ends it
	remote, err := p.dial(dialCtx, "tcp", addr)
	if err != nil {
		answer(c, replyTo(err), nil)
		return
	}
	if err := answer(c, replySucceeded, remote.LocalAddr()); err != nil {
		remote.Close()
		return
	}
	carry.Relay(ctx, c, remote)
}

// greet agrees on no authentication and reads the request up to its end (RFC 1928, sections 3 and 4). Where there is an
// error, the reply says it to the client, unless it is replySucceeded.
func greet(in *bufio.Reader, out io.Writer) (addr string, code reply, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return "", 0, err
	}
	if head[0] != socksVersion {
		return "", 0, fmt.Errorf("greeting of SOCKS version %d", head[0])
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(in, methods); err != nil {
		return "", 0, err
	}
	method, refused := byte(methodUnacceptable), errors.New("the client insists on authentication, which there is none of")
	for _, m := range methods {
		if m == methodNone {
			method, refused = methodNone, nil
		}
	}
	if _, err := out.Write([]byte{socksVersion, method}); err != nil {
		return "", 0, err
	}
	if refused != nil {
		return "", 0, refused
	}
	return readRequest(in)
}

// readRequest reads a request (RFC 1928, section 4) and returns the address that it is for, "host:port".
func readRequest(in *bufio.Reader) (addr string, code reply, err error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return "", 0, err
	}
	if head[0] != socksVersion {
		return "", replyFailure, fmt.Errorf("request of SOCKS version %d", head[0])
	}
	size := 0
	switch head[3] {
	case addrIPv4:
		size = 4
	case addrIPv6:
		size = 16
	case addrName:
		n, err := in.ReadByte()
		if err != nil {
			return "", 0, err
		}
		size = int(n)
	default:
		return "", replyNoAddress, fmt.Errorf("address of type %d: there are 1 (IPv4), 3 (a name) and 4 (IPv6)", head[3])
	}
	rest := make([]byte, size+2)
	if _, err := io.ReadFull(in, rest); err != nil {
		return "", 0, err
	}
	host := string(rest[:size])
	if head[3] != addrName {
		ip, _ := netip.AddrFromSlice(rest[:size]) // 4 or 16 bytes
		host = ip.Unmap().String()
	}
	switch {
	case head[1] != commandConnect:
		return "", replyNoCommand, fmt.Errorf("%s is not done: this proxy connects, and that is all", commandName(head[1]))
	case host == "":
		return "", replyFailure, errors.New("request for a name that is empty")
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(rest[size:])))), 0, nil
}

func commandName(command byte) string {
	switch command {
	case 2:
		return "BIND"
	case 3:
		return "UDP ASSOCIATE"
	}
	return fmt.Sprintf("command %d", command)
}

// answer writes a reply with the address that the connection comes from, where there is one.
func answer(out io.Writer, code reply, bound net.Addr) error {
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if tcp, ok := bound.(*net.TCPAddr); ok && tcp.AddrPort().IsValid() {
		at = tcp.AddrPort()
	}
	ip, kind := at.Addr().Unmap(), byte(addrIPv4)
	if ip.Is6() {
		kind = addrIPv6
	}
	text := append([]byte{socksVersion, byte(code), 0, kind}, ip.AsSlice()...)
	_, err := out.Write(binary.BigEndian.AppendUint16(text, at.Port()))
	return err
}

// refuse4 tells a client of SOCKS4 that its request is rejected (code 91): it would look names up itself.
func refuse4(c *client) {
	defer c.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return
	}
	if _, err := c.in.ReadString(0); err != nil { // the user's name; what is not read would be answered with a reset
		return
	}
	_, _ = c.Write([]byte{0, 91, 0, 0, 0, 0, 0, 0}) // a client that has gone does not want to know
}
