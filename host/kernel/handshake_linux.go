package kernel

import (
	"encoding/binary"
	"net"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"scenario/host"
)

var _ host.Inspector = (*Host)(nil)

// Handshake implements [host.Inspector]: what the kernel says of the connection (TCP_INFO, tcp(7)), and of one that was
// accepted the SYN that opened it. The kernel tells nobody its own initial sequence number.
func (h *Host) Handshake(conn net.Conn) (agreed host.Handshake, ok bool) {
	tcp, isTCP := conn.(*net.TCPConn)
	if !isTCP {
		return agreed, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return agreed, false
	}
	var info, syn []byte
	err = raw.Control(func(fd uintptr) {
		info = option(fd, unix.TCP_INFO, 104)
		syn = option(fd, unix.TCP_SAVED_SYN, 256) // the headers of IP and TCP; empty on who connected
	})
	agreed, ok = readInfo(info)
	agreed.PeerISN = sequence(syn)
	return agreed, ok && err == nil
}

// option reads a socket option of TCP of at most size bytes; nil where there is none.
func option(fd uintptr, name, size int) []byte {
	value := make([]byte, size)
	length := uint32(size)
	_, _, fault := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_TCP, uintptr(name),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&length)), 0)
	if fault != 0 {
		return nil
	}
	return value[:length]
}

// readInfo reads the beginning of a struct tcp_info (linux/tcp.h). The two scales share a byte.
func readInfo(info []byte) (host.Handshake, bool) {
	const options, scales, mss = 5, 6, 16 // offsets
	if len(info) < mss+4 {
		return host.Handshake{}, false
	}
	agreed := host.Handshake{
		MSS:        int(binary.NativeEndian.Uint32(info[mss:])),
		SACK:       info[options]&2 != 0,
		Timestamps: info[options]&1 != 0,
	}
	if info[options]&4 != 0 {
		agreed.PeerWindowScale, agreed.WindowScale = int(info[scales]&0xf), int(info[scales]>>4)
	}
	return agreed, true
}

// sequence is the sequence number of a packet that begins with an IP header; 0 where it cannot be read.
func sequence(packet []byte) uint32 {
	if len(packet) == 0 {
		return 0
	}
	header := 40 // of IPv6
	if packet[0]>>4 == 4 {
		header = 4 * int(packet[0]&0xf)
	}
	if len(packet) < header+8 {
		return 0
	}
	return binary.BigEndian.Uint32(packet[header+4:])
}

// saveSYN has a listening socket keep the SYN of each connection until somebody asks for it.
func saveSYN(network, _ string, socket syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	// Without it a listener works all the same, and tells less.
	return socket.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_SAVE_SYN, 1)
	})
}
