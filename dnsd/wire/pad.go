package wire

import "github.com/miekg/dns"

// Pad makes the packed length of a message that has an OPT record a multiple of block, in bytes, as far as a message can be
// long: then its length tells little of what is in it (RFC 7830; RFC 8467, section 4).
func Pad(m *dns.Msg, block int) {
	opt := m.IsEdns0()
	if opt == nil {
		return
	}
	const optionHeader = 4
	length := m.Len() + optionHeader
	missing := (block - length%block) % block
	if length+missing > dns.MaxMsgSize {
		return
	}
	opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, missing)})
}
