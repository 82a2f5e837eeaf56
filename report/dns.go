package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"scenario/event"
)

// question tells a lookup: what the client asked, what its resolver did to find out, and what came back. An answer that
// the client knows by itself is told once.
func (t *teller) question(q *question) {
	t.toldQuery[q] = true
	again := t.toldName[questionText(q)]
	t.toldName[questionText(q)] = true
	if q.ask.Remote == "" {
		if !again {
			t.put(q.Time, "", in(name, q.Node).say(" still knows "+hostName(q.ask.Name)+" "+clean(q.ask.Type)+": ").add(t.answer(q)), "")
		}
		return
	}
	how := ""
	if q.ask.Transport != "" {
		how = " over " + transportName(q.ask.Transport)
	}
	for _, c := range t.made { // one that was made for questions, as those behind TLS are
		if c.failed == nil && q.ask.Local != "" && c.local == q.ask.Local && c.remote == q.ask.Remote && !t.toldConn[c] {
			t.connection(c, "")
		}
	}
	t.put(q.Time, "", in(name, q.Node).say(" asks ").add(t.run.who.at(q.Node, q.ask.Remote)).
		say(how+": ").in(strong, questionText(q)).in(faint, fmt.Sprintf("  id %d", q.ask.QueryID)), "")
	t.resolver(q, "", make(map[*question]bool))
	if q.answer == nil {
		t.note("", in(bad, "no answer is recorded"))
		return
	}
	t.put(q.answer.Time, "", say("→ ").add(t.answer(q)), seconds(q.answer.is.Duration))
}

// resolver tells what the server did with a question that reached it: it knew the answer, or asked others in turn.
func (t *teller) resolver(q *question, tree string, told map[*question]bool) {
	s := q.server
	if s == nil || told[s] {
		return
	}
	told[s] = true
	if len(s.further) == 0 {
		if s.answer != nil && s.answer.is.Cached {
			t.put(s.Time, tree+"└ ", in(name, s.Node).say(" has the answer in its cache"), "")
		} else if s.answer != nil && s.answer.is.Authoritative {
			t.put(s.Time, tree+"└ ", in(name, s.Node).say(" serves this zone itself"), "")
		}
		return
	}
	t.put(s.Time, tree+"└ ", in(name, s.Node).say(" does not have it in its cache and asks in turn"), "")
	tree = continued(tree + "└ ")
	for i, f := range s.further {
		w := t.run.who.at(f.Node, f.ask.Remote)
		if questionText(f) != questionText(q) {
			w = w.say(": " + questionText(f))
		}
		if f.ask.Transport != "" && f.ask.Transport != "udp" {
			w = w.say(" over " + transportName(f.ask.Transport))
		}
		took := ""
		if w = w.say(" → ").add(t.answer(f)); f.answer != nil {
			took = seconds(f.answer.is.Duration)
		}
		t.put(f.Time, tree+branch(i, len(s.further)), w, took)
		if f.server != nil && len(f.server.further) > 0 && len(told) < maxDepth {
			t.resolver(f, tree+below(i, len(s.further)), told)
		}
	}
}

// transportName says what a question goes over.
func transportName(transport string) string {
	switch transport {
	case "tls":
		return "TLS (DoT, RFC 7858)"
	case "https":
		return "HTTPS (DoH, RFC 8484)"
	}
	return clean(transport)
}

// transportProtocol is what carries a question's packets: udp or tcp.
func transportProtocol(transport string) string {
	if transport == "" || transport == "udp" {
		return "udp"
	}
	return "tcp"
}

// questionText is the question as people write it: shop.example A?
func questionText(q *question) string { return hostName(q.ask.Name) + " " + clean(q.ask.Type) + "?" }

// hostName is a domain name without the final dot of an absolute one; the root keeps its dot.
func hostName(name string) string {
	if name == "." {
		return name
	}
	return clean(strings.TrimSuffix(name, "."))
}

// answer says what came of a question.
func (t *teller) answer(q *question) words {
	if q.answer == nil {
		return in(bad, "no answer is recorded")
	}
	a := q.answer.is
	host := hostName(q.ask.Name)
	var w words
	switch {
	case a.Error != "":
		return in(bad, "no answer: "+clean(a.Error))
	case a.RCode == "NXDOMAIN":
		w = in(bad, "NXDOMAIN").say(": there is no name " + host)
	case a.RCode == "SERVFAIL":
		w = in(bad, "SERVFAIL").say(": the server could not find out")
	case a.RCode == "REFUSED":
		w = in(bad, "REFUSED").say(": the server does not answer such questions for this client")
	case a.RCode != "" && a.RCode != "NOERROR":
		w = in(bad, clean(a.RCode))
	case a.Truncated:
		w = say("cut short: too long for one datagram, to be asked again over tcp")
	case a.Kind == "referral":
		w = t.referral(a)
	case len(a.Answer) == 0:
		w = say(host + " exists, but has no " + clean(a.Type) + " record")
	default:
		w = t.values(q, a)
	}
	if a.ExtendedError != "" {
		w = w.say("; because: ").in(bad, clean(a.ExtendedError))
	}
	return w
}

// referral says whom to ask instead.
func (t *teller) referral(a event.DNSAnswer) words {
	zone, servers := "", []string(nil)
	for _, text := range a.Authority {
		if rr := parseRR(text); rr.kind == "NS" {
			zone = rr.owner
			servers = append(servers, hostName(rr.value))
		}
	}
	if len(servers) == 0 {
		return say("referral to other servers")
	}
	return say("ask ").in(name, listed(servers, 3)).say(", which serves " + hostName(zone))
}

// values lists the records of an answer, aliases in the order in which they lead to the last one.
func (t *teller) values(q *question, a event.DNSAnswer) words {
	var w words
	alias := ""
	var found []string
	for _, text := range a.Answer {
		rr := parseRR(text)
		switch {
		case rr.kind == "CNAME" && a.Type != "CNAME":
			alias += hostName(rr.owner) + " is another name for " + hostName(rr.value) + "; "
		case rr.kind == "A" || rr.kind == "AAAA":
			one := clean(rr.value)
			if owner := t.run.who.owner(q.Node, rr.value); owner != "" {
				one += " (" + owner + ")"
			}
			found = append(found, one)
		default:
			found = append(found, clean(strings.TrimSpace(rr.kind+" "+rr.value)))
		}
	}
	if len(found) == 0 {
		found = []string{"no " + clean(a.Type) + " record"}
	}
	w = say(alias).in(strong, listed(found, 6)).in(faint, fmt.Sprintf("  TTL %d s", a.TTL))
	switch {
	case q.ask.Remote == "":
		w = w.in(faint, " left")
	case a.Cached:
		w = w.in(faint, ", from a cache")
	case a.Authoritative:
		w = w.in(faint, ", authoritative")
	}
	return w
}

// listed joins the first n of all with commas and says how many more there are.
func listed(all []string, n int) string {
	if len(all) <= n {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:n], ", ") + fmt.Sprintf(" and %d more", len(all)-n)
}

// resourceRecord is a DNS record as master files write it (RFC 1035, section 5.1), as far as a telling needs it.
type resourceRecord struct{ owner, kind, value string }

// parseRR reads a record's text: owner, TTL and class in either order and not always there, type, value.
func parseRR(text string) resourceRecord {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return resourceRecord{}
	}
	rest := slices.Clone(fields[1:])
	for len(rest) > 0 {
		if _, err := strconv.Atoi(rest[0]); err != nil && rest[0] != "IN" {
			break
		}
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return resourceRecord{value: fields[0]}
	}
	return resourceRecord{fields[0], rest[0], strings.Join(rest[1:], " ")}
}

// addresses are the IP addresses that the step's lookups found for the host.
func (t *teller) addresses(host string) []string {
	var all []string
	for _, q := range t.asked {
		if q.answer == nil || !sameHost(q.ask.Name, host) {
			continue
		}
		for _, text := range q.answer.is.Answer {
			if rr := parseRR(text); rr.kind == "A" || rr.kind == "AAAA" {
				all = append(all, rr.value)
			}
		}
	}
	return all
}

// sameHost says whether a domain name, absolute or not, is the host of a URL.
func sameHost(name, host string) bool {
	return strings.EqualFold(strings.TrimSuffix(name, "."), strings.TrimSuffix(host, "."))
}
