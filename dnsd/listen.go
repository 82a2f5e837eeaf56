package dnsd

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"scenario/host"
)

// The ports of the transports: RFC 1035, section 4.2; RFC 7858, section 3.1; RFC 8484.
const (
	Port      = 53
	TLSPort   = 853
	HTTPSPort = 443
)

// ParseListen reads where to listen: "IP:port", "IP" (with the transport's own port) or ":port". The address is unspecified
// for "all".
func ParseListen(text string, port uint16) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(addr, port), nil
	}
	if port, ok := strings.CutPrefix(text, ":"); ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("listen %q: not a port", text)
		}
		return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n)), nil
	}
	addr, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen %q: want IP:port, IP or :port", text)
	}
	return addr, nil
}

// listenAddrs returns the addresses to open sockets on. "All addresses" (:: for both families, 0.0.0.0 for IPv4) becomes
// each address that the host has, so that a response over UDP leaves from the address that was asked. Link-local
// addresses are left out: they mean something only together with an interface.
func listenAddrs(h host.Host, listen []string, port uint16) ([]netip.AddrPort, error) {
	if len(listen) == 0 {
		listen = []string{fmt.Sprintf(":%d", port)}
	}
	var addrs []netip.AddrPort
	for _, text := range listen {
		addr, err := ParseListen(text, port)
		if err != nil {
			return nil, err
		}
		if !addr.Addr().IsUnspecified() {
			addrs = append(addrs, addr)
			continue
		}
		interfaces, err := h.Interfaces()
		if err != nil {
			return nil, fmt.Errorf("list interfaces: %w", err)
		}
		for _, itf := range interfaces {
			for _, prefix := range itf.Addrs {
				own := prefix.Addr()
				if !own.IsLinkLocalUnicast() && (addr.Addr().Is6() || own.Is4()) {
					addrs = append(addrs, netip.AddrPortFrom(own, addr.Port()))
				}
			}
		}
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return slices.Compact(addrs), nil
}
