package topology

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// record is a resource record of a zone.
type record struct {
	owner string // absolute
	kind  uint16 // dns.TypeA …
	data  string // of a derived record
	line  string // as the plan has it: a line of a master file (RFC 1035, section 5), relative to the zone
}

// readRecords reads the records that the file gives a zone.
func (c *compiler) readRecords(z *zone, lines *value) {
	owner := "@"
	for _, item := range lines.list() {
		if item.kind != text {
			continue
		}
		line := item.text
		const advice = "write a line of a master file, relative to the zone: www 300 IN A 192.0.2.1"
		if strings.HasPrefix(line, "$") || strings.ContainsAny(line, "\n\r") {
			c.errs.add(item.at, fmt.Sprintf("%q is no record", line), advice)
			continue
		}
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			line = owner + line // RFC 1035, section 5.1: the last stated owner
		}
		parser := dns.NewZoneParser(strings.NewReader(line+"\n"), z.name, "")
		parser.SetDefaultTTL(0)
		found := false
		for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
			found = true
			name := strings.ToLower(rr.Header().Name)
			if !dns.IsSubDomain(z.name, name) {
				c.errs.add(item.at, fmt.Sprintf("%s is outside of the zone %s", name, z.name), "put the record into the zone that it belongs to")
				break
			}
			if noData(rr) {
				c.errs.add(item.at, fmt.Sprintf("%q is no record: nothing stands after %s", item.text, dns.TypeToString[rr.Header().Rrtype]), advice)
				break
			}
			r := record{owner: name, kind: rr.Header().Rrtype, line: line}
			if !slices.Contains(z.written, r) {
				z.written = append(z.written, r)
			}
		}
		if err := parser.Err(); err != nil {
			c.errs.add(item.at, fmt.Sprintf("%q is no record: %s", item.text, whyNoRecord(err)), advice)
		} else if !found {
			c.errs.add(item.at, fmt.Sprintf("%q is no record", item.text), advice)
		}
		owner, _, _ = strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	}
}

// noData says whether a record lacks its data: the parser lets that pass for dynamic updates (RFC 2136).
func noData(rr dns.RR) bool {
	bare, err := dns.NewRR(rr.Header().Name + " IN " + dns.TypeToString[rr.Header().Rrtype])
	return err == nil && bare != nil && strings.TrimPrefix(rr.String(), rr.Header().String()) == strings.TrimPrefix(bare.String(), bare.Header().String())
}

// What the parser says of a record that it cannot read.
var (
	badField = regexp.MustCompile(`^bad (\S+) (\S+): (".*")$`)
	noTTL    = regexp.MustCompile(`^not a TTL: (".*")$`)
)

// whyNoRecord says in plain words what is wrong with a record.
func whyNoRecord(err error) string {
	said, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "dns: "), " at line: ")
	if m := badField.FindStringSubmatch(said); m != nil {
		if m[1] == m[2] {
			return fmt.Sprintf("%s is no address for %s", m[3], m[1])
		}
		return fmt.Sprintf("%s does not fit into %s (%s)", m[3], m[1], m[2])
	}
	if m := noTTL.FindStringSubmatch(said); m != nil {
		return m[1] + " is no TTL, no class and no type"
	}
	return strings.TrimPrefix(said, ": ") // a parameter of an HTTPS record has no more to be said about it
}

// has says whether the file gives the zone a record of that owner and type.
func (z *zone) has(owner string, kind uint16) bool {
	return slices.ContainsFunc(z.written, func(r record) bool { return r.owner == owner && r.kind == kind })
}

// add adds a derived record.
func (z *zone) add(owner string, kind uint16, data string) {
	relative := strings.TrimSuffix(owner, ".")
	switch {
	case owner == z.name:
		relative = "@"
	case z.name != rootName:
		relative = strings.TrimSuffix(owner, "."+z.name)
	}
	z.derived = append(z.derived, record{owner, kind, data, fmt.Sprintf("%s IN %s %s", relative, dns.TypeToString[kind], data)})
}

func (z *zone) addAddresses(owner string, addresses []netip.Addr) {
	for _, a := range addresses {
		kind := dns.TypeA
		if a.Is6() {
			kind = dns.TypeAAAA
		}
		z.add(owner, kind, a.String())
	}
}

// sortedRecords returns the records as a plan has them, each once: by owner, upper labels first, then by type and data.
func sortedRecords(records []record) []record {
	order := map[uint16]int{dns.TypeNS: 0, dns.TypeA: 1, dns.TypeAAAA: 2}
	slices.SortFunc(records, func(a, b record) int {
		return cmp.Or(
			compareNames(a.owner, b.owner),
			cmp.Compare(order[a.kind], order[b.kind]),
			compareData(a.data, b.data),
		)
	})
	return slices.Compact(records)
}

// compareNames orders names as RFC 4034, section 6.1 does: by labels, from the last.
func compareNames(a, b string) int {
	left, right := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(left)
	slices.Reverse(right)
	return slices.Compare(left, right)
}

// compareData orders addresses by number and the rest by letter.
func compareData(a, b string) int {
	left, leftErr := netip.ParseAddr(a)
	right, rightErr := netip.ParseAddr(b)
	if leftErr == nil && rightErr == nil {
		return left.Compare(right)
	}
	return strings.Compare(a, b)
}

// complete fills the options of a server in: its zones with all their records, and where recursion starts.
func (s *dnsServer) complete(zones map[string]*zone) {
	written := s.node.options[roleDNS]
	options := &value{kind: object, at: written.at}
	for _, k := range written.keys {
		if k.name != optionZones && k.name != optionRecursive && (k.name != optionHints || len(s.hints) == 0) {
			options.keys = append(options.keys, k)
		}
	}
	options.set(optionRecursive, &value{kind: boolean, json: s.recursive})
	if len(s.hints) > 0 {
		options.set(optionHints, texts(s.hints))
	}
	all := &value{kind: object}
	own := zoneKeys(written.get(optionZones))
	for _, name := range s.zones {
		z := &value{kind: object}
		for _, k := range own {
			if strings.ToLower(dns.Fqdn(k.name)) != name {
				continue
			}
			for _, setting := range k.value.keys {
				if setting.name != optionRecords {
					z.keys = append(z.keys, setting)
				}
			}
		}
		var lines []string
		for _, r := range append(slices.Clip(zones[name].written), zones[name].derived...) {
			lines = append(lines, r.line)
		}
		z.set(optionRecords, texts(lines))
		all.set(name, z)
	}
	if len(s.zones) > 0 {
		options.set(optionZones, all)
	}
	s.node.options[roleDNS] = options
}

func (v *value) set(name string, to *value) { v.keys = append(v.keys, key{name: name, value: to}) }

func texts(lines []string) *value {
	v := &value{kind: array}
	for _, line := range lines {
		v.items = append(v.items, &value{kind: text, text: line, json: line})
	}
	return v
}
