package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"scenario/host"
)

var _ host.Pinger = (*Host)(nil)

// echoHeader is the length of an echo message before its payload, in bytes (RFC 792, RFC 4443 section 4.1).
const echoHeader = 8

// maxPayload is what fits into an IPv4 packet beside its header.
const maxPayload = 65535 - 20 - echoHeader

// Ping implements [host.Pinger] with an unprivileged ICMP socket for each call. The kernel picks the identifier and
// hands out only answers to it, ICMP errors through the socket's error queue (ip(7), IP_RECVERR). The process's group must
// be in net.ipv4.ping_group_range; else the error is os.ErrPermission.
func (h *Host) Ping(ctx context.Context, echo host.Echo) (host.Pong, error) {
	if ctx.Err() != nil {
		return host.Pong{}, ctx.Err()
	}
	pong, err := ping(ctx, echo)
	if err != nil && ctx.Err() != nil {
		return host.Pong{}, ctx.Err()
	}
	if err != nil {
		return host.Pong{}, fmt.Errorf("ping %s: %w", echo.To, err)
	}
	return pong, nil
}

func ping(ctx context.Context, echo host.Echo) (host.Pong, error) {
	if !echo.To.IsValid() {
		return host.Pong{}, errors.New("no address")
	}
	if echo.Size < 0 || echo.Size > maxPayload {
		return host.Pong{}, fmt.Errorf("%d bytes of payload: at most %d fit", echo.Size, maxPayload)
	}
	echo.To = echo.To.Unmap()
	proto := protocolOf(echo.To)
	fd, err := proto.open(echo.TTL)
	if err != nil {
		return host.Pong{}, err
	}
	// The descriptor does not block, so the File waits in the runtime's poller: for data and for POLLERR alike.
	file := os.NewFile(uintptr(fd), "icmp")
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return host.Pong{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	to, err := sockaddr(echo.To)
	if err != nil {
		return host.Pong{}, err
	}
	message := proto.echo(echo)
	sent := time.Now()
	if err := unix.Sendto(fd, message, 0, to); err != nil {
		return host.Pong{}, os.NewSyscallError("sendto", err)
	}
	return proto.await(ctx, raw, echo, sent)
}

// protocol is what differs between ICMP for IPv4 and for IPv6.
type protocol struct {
	family, number          int
	level, hopLimit, errors int   // socket options
	request, reply          uint8 // ICMP types
	exceeded, unreachable   uint8
	origin                  uint8 // of errors that are ICMP messages (ip(7))
}

func protocolOf(a netip.Addr) protocol {
	if a.Is4() {
		return protocol{
			family: unix.AF_INET, number: unix.IPPROTO_ICMP,
			level: unix.IPPROTO_IP, hopLimit: unix.IP_TTL, errors: unix.IP_RECVERR,
			request: uint8(ipv4.ICMPTypeEcho), reply: uint8(ipv4.ICMPTypeEchoReply),
			exceeded: uint8(ipv4.ICMPTypeTimeExceeded), unreachable: uint8(ipv4.ICMPTypeDestinationUnreachable),
			origin: unix.SO_EE_ORIGIN_ICMP,
		}
	}
	return protocol{
		family: unix.AF_INET6, number: unix.IPPROTO_ICMPV6,
		level: unix.IPPROTO_IPV6, hopLimit: unix.IPV6_UNICAST_HOPS, errors: unix.IPV6_RECVERR,
		request: uint8(ipv6.ICMPTypeEchoRequest), reply: uint8(ipv6.ICMPTypeEchoReply),
		exceeded: uint8(ipv6.ICMPTypeTimeExceeded), unreachable: uint8(ipv6.ICMPTypeDestinationUnreachable),
		origin: unix.SO_EE_ORIGIN_ICMP6,
	}
}

// open returns a socket for one echo.
func (p protocol) open(ttl int) (fd int, err error) {
	fd, err = unix.Socket(p.family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, p.number)
	if errors.Is(err, os.ErrPermission) {
		return -1, fmt.Errorf("%w (net.ipv4.ping_group_range does not include this process's group)", os.NewSyscallError("socket", err))
	}
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = unix.SetsockoptInt(fd, p.level, p.errors, 1)
	if err == nil && ttl != 0 {
		err = unix.SetsockoptInt(fd, p.level, p.hopLimit, ttl)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("setsockopt", err)
	}
	return fd, nil
}

// echo is the echo request without identifier and checksum, which the kernel fills in.
func (p protocol) echo(echo host.Echo) []byte {
	message := make([]byte, echoHeader+echo.Size)
	message[0] = p.request
	binary.BigEndian.PutUint16(message[6:], echo.Sequence)
	for i := range echo.Size {
		message[echoHeader+i] = byte(i)
	}
	return message
}

// errNotOurs is a message that answers some other echo.
var errNotOurs = errors.New("not the answer to this echo")

// await reads what the socket gets until the echo is answered. The socket is the echo's own: any ICMP error is about it.
func (p protocol) await(ctx context.Context, raw syscall.RawConn, echo host.Echo, sent time.Time) (host.Pong, error) {
	var pong host.Pong
	var failure error
	err := raw.Read(func(fd uintptr) (done bool) {
		failure = errNotOurs
		for errors.Is(failure, errNotOurs) && ctx.Err() == nil {
			pong, failure = p.receive(int(fd), echo)
		}
		return !errors.Is(failure, unix.EAGAIN)
	})
	pong.RTT = time.Since(sent)
	if err == nil {
		err = failure
	}
	return pong, err
}

// receive reads one message or error; unix.EAGAIN says that there is none yet.
func (p protocol) receive(fd int, echo host.Echo) (host.Pong, error) {
	pong, err := p.readError(fd)
	if !errors.Is(err, unix.EAGAIN) {
		return pong, err
	}
	pong, err = p.readReply(fd, echo)
	if err == nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, errNotOurs) {
		return pong, err
	}
	// An ICMP error arrived between the two: the socket tells its number, the queue the whole of it.
	if pong, queued := p.readError(fd); !errors.Is(queued, unix.EAGAIN) {
		return pong, queued
	}
	return pong, err
}

// readReply reads one ICMP message.
func (p protocol) readReply(fd int, echo host.Echo) (host.Pong, error) {
	message := make([]byte, echoHeader)
	n, _, _, from, err := unix.Recvmsg(fd, message, nil, unix.MSG_DONTWAIT)
	if err != nil {
		return host.Pong{}, os.NewSyscallError("recvmsg", err)
	}
	addr := addrOf(from)
	if n < echoHeader || message[0] != p.reply || binary.BigEndian.Uint16(message[6:]) != echo.Sequence {
		return host.Pong{}, errNotOurs
	}
	return host.Pong{From: addr, Kind: host.EchoReply}, nil
}

// readError reads one entry of the socket's error queue.
func (p protocol) readError(fd int) (host.Pong, error) {
	control := make([]byte, 512)
	_, n, _, _, err := unix.Recvmsg(fd, nil, control, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return host.Pong{}, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return host.Pong{}, os.NewSyscallError("control message", err)
	}
	for _, m := range messages {
		if int(m.Header.Level) == p.level && int(m.Header.Type) == p.errors {
			return p.parseError(m.Data)
		}
	}
	return host.Pong{}, errNotOurs
}

// parseError reads a sock_extended_err and the address of who sent the error, which follows it (ip(7)).
func (p protocol) parseError(data []byte) (host.Pong, error) {
	const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	if len(data) < size {
		return host.Pong{}, errNotOurs
	}
	e := unix.SockExtendedErr{
		Errno:  binary.NativeEndian.Uint32(data),
		Origin: data[4],
		Type:   data[5],
		Code:   data[6],
	}
	from := offender(data[size:])
	if e.Origin != p.origin {
		return host.Pong{}, unix.Errno(e.Errno)
	}
	switch e.Type {
	case p.exceeded:
		return host.Pong{From: from, Kind: host.TimeExceeded, Code: int(e.Code)}, nil
	case p.unreachable:
		return host.Pong{From: from, Kind: host.DestinationUnreachable, Code: int(e.Code)}, nil
	}
	return host.Pong{}, fmt.Errorf("ICMP error of type %d code %d from %s: %w", e.Type, e.Code, from, unix.Errno(e.Errno))
}

// offender is the address in a raw sockaddr_in or sockaddr_in6.
func offender(sockaddr []byte) netip.Addr {
	if len(sockaddr) < unix.SizeofSockaddrInet4 {
		return netip.Addr{}
	}
	switch binary.NativeEndian.Uint16(sockaddr) {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(sockaddr[4:8]))
	case unix.AF_INET6:
		if len(sockaddr) >= unix.SizeofSockaddrInet6 {
			return netip.AddrFrom16([16]byte(sockaddr[8:24])).Unmap()
		}
	}
	return netip.Addr{}
}

func addrOf(s unix.Sockaddr) netip.Addr {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(s.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(s.Addr)
	}
	return netip.Addr{}
}

func sockaddr(a netip.Addr) (unix.Sockaddr, error) {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}, nil
	}
	s := &unix.SockaddrInet6{Addr: a.As16()}
	if zone := a.Zone(); zone != "" {
		index, err := strconv.ParseUint(zone, 10, 32)
		if err != nil {
			i, err := net.InterfaceByName(zone)
			if err != nil {
				return nil, fmt.Errorf("zone %q: %w", zone, err)
			}
			index = uint64(i.Index)
		}
		s.ZoneId = uint32(index)
	}
	return s, nil
}
