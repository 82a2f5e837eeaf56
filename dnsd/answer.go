package dnsd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/counted"
	"scenario/dnsd/wire"
	"scenario/dnsd/zone"
	"scenario/event"
)

const (
	// headerSize is the size of a message's header, in bytes: less is no message.
	headerSize = 12
	// minimalTTL is that of the record that answers a question for ANY, in seconds.
	minimalTTL = 3600
)

// The transports, as events name them.
const (
	transportUDP   = "udp"
	transportTCP   = "tcp"
	transportTLS   = "tls"
	transportHTTPS = "https"
)

// peer is who asks, and where.
type peer struct {
	transport     string
	local, remote string
	idle          time.Duration // how long its connection may be without a query
	meter         *counted.Conn // of its connection; nil: the end of that is not told
}

// ended says why its connection ends, where that is told: reading from it failed with err.
func (p peer) ended(err error) {
	switch {
	case p.meter == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.because("idle timeout")
	default:
		p.meter.Ended()
	}
}

// because says why the server closes its connection, where that is told.
func (p peer) because(reason string) {
	if p.meter != nil {
		p.meter.Because(reason)
	}
}

// encrypted says whether nobody but the server reads what the peer asks.
func (p peer) encrypted() bool { return p.transport == transportTLS || p.transport == transportHTTPS }

// begin starts the causal chain of a query; they are numbered in the order of the calls.
func (s *Server) begin(ctx context.Context) context.Context {
	return event.WithTrace(ctx, fmt.Sprintf("dns/%d", s.queries.Add(1)), "")
}

// answer returns the response to a query, packed; nil where there is to be none: for what is no query, and for names
// that are ignored.
func (s *Server) answer(ctx context.Context, from peer, packed []byte) []byte {
	response, _ := s.answerTTL(ctx, from, packed)
	return response
}

// answerTTL is answer, and how long the response holds, in seconds.
func (s *Server) answerTTL(ctx context.Context, from peer, packed []byte) (response []byte, ttl uint32) {
	if isNoQuery(packed) {
		return nil, 0
	}
	began := time.Now()
	query := new(dns.Msg)
	if err := query.Unpack(packed); err != nil {
		query = unreadable(packed)
	}
	asked := event.DNSQuery{
		Side: event.SideServer, Local: from.local, Remote: from.remote, Transport: from.transport,
		QueryID: query.Id, Recursion: query.RecursionDesired,
	}
	answered := event.DNSAnswer{
		Side: event.SideServer, Local: asked.Local, Remote: asked.Remote, Transport: asked.Transport, QueryID: query.Id,
	}
	if len(query.Question) > 0 {
		asked.Name, asked.Type = query.Question[0].Name, dns.Type(query.Question[0].Qtype).String()
		answered.Name, answered.Type = asked.Name, asked.Type
	}
	ctx = event.Begin(ctx, s.host.Log(), asked)
	defer func() {
		answered.Duration = time.Since(began).Seconds()
		event.Emit(ctx, s.host.Log(), answered)
	}()
	if s.ignores(asked.Name) {
		answered.Kind, answered.Error = wire.KindError, "left without an answer: the name is in the option ignore"
		return nil, 0
	}
	m, cached := s.respond(ctx, query)
	fit(m, from.transport, query.IsEdns0())
	if from.encrypted() && isPadded(query) {
		wire.Pad(m, responseBlock)
	}
	packed, err := m.Pack()
	if err != nil {
		answered.Kind, answered.Error = wire.KindError, fmt.Sprintf("pack the response: %v", err)
		return nil, 0
	}
	wire.Describe(&answered, m)
	answered.Cached, answered.Size = cached, len(packed)
	return packed, answered.TTL
}

// isNoQuery says whether there is nothing to answer. The QR bit means a response: to answer that could go on for ever.
func isNoQuery(packed []byte) bool { return len(packed) < headerSize || packed[2]&0x80 != 0 }

// isPadded says whether a query hides its length, and so wants the response to do (RFC 7830, section 4).
func isPadded(query *dns.Msg) bool {
	opt := query.IsEdns0()
	return opt != nil && slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool { return o.Option() == dns.EDNS0PADDING })
}

// unreadable is what can be said of a query of which only the header can be read.
func unreadable(packed []byte) *dns.Msg {
	query := new(dns.Msg)
	query.Id = binary.BigEndian.Uint16(packed)
	query.Opcode = int(packed[2]>>3) & 0xF
	query.RecursionDesired = packed[2]&1 != 0
	return query
}

// ignores says whether name is one of those to be silent about, or below one.
func (s *Server) ignores(name string) bool {
	return name != "" && slices.ContainsFunc(s.options.Ignore, func(above string) bool {
		return dns.IsSubDomain(dns.CanonicalName(above), dns.CanonicalName(name))
	})
}

// respond makes the response, whatever its size; cached where it is from the cache alone.
func (s *Server) respond(ctx context.Context, query *dns.Msg) (response *dns.Msg, cached bool) {
	m := new(dns.Msg)
	m.SetReply(query)
	m.Opcode, m.RecursionDesired = query.Opcode, query.RecursionDesired
	m.RecursionAvailable = s.recursor != nil
	opt := query.IsEdns0()
	if opt != nil {
		m.SetEdns0(wire.UDPSize, opt.Do())
	}
	if code := refuse(query); code != dns.RcodeSuccess {
		m.Rcode = code
		return m, false
	}
	q := query.Question[0]
	var ede *dns.EDNS0_EDE
	switch {
	case q.Qclass != dns.ClassINET, q.Qtype == dns.TypeAXFR, q.Qtype == dns.TypeIXFR:
		m.Rcode = dns.RcodeRefused
		ede = &dns.EDNS0_EDE{
			InfoCode:  dns.ExtendedErrorCodeNotSupported,
			ExtraText: "only records of class IN are served, and no transfers",
		}
	case s.recursor == nil:
		ede = s.authoritative(m, q)
	case !query.RecursionDesired:
		ede, cached = s.known(m, q)
	default:
		ede, cached = s.recursive(ctx, m, q)
	}
	if opt != nil && ede != nil {
		reply := m.IsEdns0()
		reply.Option = append(reply.Option, &dns.EDNS0_EDE{InfoCode: ede.InfoCode, ExtraText: shorten(ede.ExtraText)})
	}
	return m, cached
}

// refuse is the response code for a query that asks nothing that could be answered; NOERROR for any other.
func refuse(query *dns.Msg) int {
	opts := 0
	for _, rr := range query.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			opts++
		}
	}
	switch {
	case query.Opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented
	case opts == 1 && query.IsEdns0().Version() != 0:
		return dns.RcodeBadVers // RFC 6891, section 6.1.3
	case opts > 1, len(query.Question) != 1: // RFC 6891, section 6.1.1; RFC 9619
		return dns.RcodeFormatError
	}
	switch query.Question[0].Qtype {
	case dns.TypeNone, dns.TypeOPT:
		return dns.RcodeFormatError
	case dns.TypeTKEY, dns.TypeTSIG, dns.TypeMAILA, dns.TypeMAILB:
		return dns.RcodeNotImplemented
	}
	return dns.RcodeSuccess
}

// authoritative answers from the zones.
func (s *Server) authoritative(m *dns.Msg, q dns.Question) *dns.EDNS0_EDE {
	a := s.options.Zones.Answer(q.Name, q.Qtype)
	m.Rcode, m.Authoritative = a.RCode, a.Authoritative
	m.Answer, m.Ns = slices.Clone(a.Answer), slices.Clone(a.Authority)
	m.Extra = append(slices.Clone(a.Additional), m.Extra...)
	if a.RCode != dns.RcodeRefused {
		return nil
	}
	text := "this server serves no zone"
	if zones := s.options.Zones.Origins(); len(zones) > 0 {
		text = "this server serves " + strings.Join(zones, " ")
	}
	return &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNotAuthoritative, ExtraText: text}
}

// known answers a query that does not ask for recursion: from the zones, or from the cache where that suffices.
func (s *Server) known(m *dns.Msg, q dns.Question) (ede *dns.EDNS0_EDE, cached bool) {
	if s.options.Zones.Lookup(q.Name, q.Qtype).Kind != zone.NotServed {
		return s.authoritative(m, q), false
	}
	result, ok := s.recursor.Known(q.Name, q.Qtype)
	if !ok {
		m.Rcode = dns.RcodeRefused // RFC 8914, section 4.21
		return &dns.EDNS0_EDE{
			InfoCode:  dns.ExtendedErrorCodeNotAuthoritative,
			ExtraText: "not in the cache, and recursion was not asked for",
		}, false
	}
	m.Rcode, m.Answer, m.Ns = result.RCode, result.Answer, result.Authority
	return result.Extended, result.Cached
}

// recursive answers from wherever the answer is.
func (s *Server) recursive(ctx context.Context, m *dns.Msg, q dns.Question) (ede *dns.EDNS0_EDE, cached bool) {
	if q.Qtype == dns.TypeANY {
		switch s.options.Zones.Lookup(q.Name, q.Qtype).Kind {
		case zone.NotServed, zone.Referral:
			m.Answer = []dns.RR{zone.Minimal(q.Name, minimalTTL)}
			return nil, false
		}
		return s.authoritative(m, q), false
	}
	result := s.recursor.Resolve(ctx, q.Name, q.Qtype)
	m.Rcode, m.Authoritative = result.RCode, result.Authoritative
	m.Answer, m.Ns = slices.Clone(result.Answer), slices.Clone(result.Authority)
	return result.Extended, result.Cached
}

// maxExtraText bounds the text of an extended error, in bytes.
const maxExtraText = 400

func shorten(text string) string {
	if len(text) <= maxExtraText {
		return text
	}
	return text[:maxExtraText] + "…"
}

// fit makes the response as small as the transport asks. What is left out of the additional section is no loss, but for
// the glue of a referral (RFC 9471); anything else sets TC.
func fit(m *dns.Msg, transport string, asked *dns.OPT) {
	size := dns.MinMsgSize
	switch {
	case transport != transportUDP:
		size = dns.MaxMsgSize
	case asked != nil:
		size = min(max(size, int(asked.UDPSize())), wire.UDPSize)
	}
	m.Compress = true
	if m.Len() > size && wire.Kind(m) != wire.KindReferral {
		m.Extra = slices.DeleteFunc(slices.Clone(m.Extra), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeOPT })
	}
	if reply := m.IsEdns0(); reply != nil && m.Len() > size {
		reply.Option = nil // the extended error: RFC 8914, section 3
	}
	if m.Len() > size {
		m.Truncate(size)
		m.Compress = true
	}
}
