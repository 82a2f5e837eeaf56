package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"scenario/event"
)

// joinHandshakes gives each connection the handshake that was made on it.
func joinHandshakes(records []event.Record, made, accepted []*conn) {
	mine, theirs := byLink(made), byLink(accepted)
	for _, h := range pick[event.TLSHandshake](records) {
		at := link{h.Node, h.is.Local, h.is.Remote}
		side := mine
		if h.is.Side == event.SideServer {
			side = theirs
		}
		if c := latest(side[at], h.Time); c != nil && c.tls == nil {
			c.tls = &h
		}
	}
}

// handshake tells how the ends of a connection came to encryption: who proved what to whom, and what they agreed on.
func (t *teller) handshake(c *conn, tree string) {
	if c.tls == nil {
		return
	}
	h := c.tls.is
	begun := c.tls.Time.Add(-time.Duration(h.Duration * float64(time.Second)))
	server := t.run.who.short(c.Node, c.remote)
	if h.Error != "" || h.Reason != "" {
		t.put(begun, tree, say("TLS with ").add(server).in(bad, " fails: "+clean(cmp.Or(h.Reason, briefly(h.Error)))), seconds(h.Duration))
		t.certificate(h, tree)
		t.meaning(tree, cmp.Or(h.Meaning, briefly(h.Error)))
		if c.server != nil && c.server.tls != nil && c.server.tls.is.Error != "" {
			s := c.server.tls
			t.put(s.Time, tree+"└ ", in(name, s.Node).say(" is told: ").in(bad, briefly(s.is.Error)), "")
		}
		return
	}
	w := in(strong, clean(cmp.Or(h.Version, "TLS"))).say(": ")
	if h.Resumed {
		w = w.say("resumed: ").add(server).say(" and ").in(name, c.Node).say(" share a secret of an earlier connection, so no certificate is needed")
	} else {
		w = w.add(server).say(" proves that it is ").in(strong, clean(cmp.Or(h.ServerName, address(c.remote).String())))
		if h.Issuer != "" {
			w = w.say("; " + clean(commonName(h.Issuer)) + " vouches for it")
		}
	}
	t.put(begun, tree, w, seconds(h.Duration))
	if !h.Resumed {
		t.certificate(h, tree)
	}
	t.note(tree+"└ ", in(faint, agreement(h)))
}

// certificate tells whom the server's certificate is for, and how long it holds.
func (t *teller) certificate(h event.TLSHandshake, tree string) {
	if len(h.Names) == 0 && h.Subject == "" {
		return
	}
	names := slices.DeleteFunc(slices.Clone(h.Names), func(n string) bool { return n == "localhost" || address(n).IsLoopback() })
	if len(names) == 0 {
		names = []string{h.Subject}
	}
	text := "its certificate is for " + clean(listed(names, 4))
	if h.NotBefore != "" {
		text += ", from " + clean(day(h.NotBefore))
	}
	if h.NotAfter != "" {
		text += " until " + clean(day(h.NotAfter))
	}
	t.note(tree+"├ ", in(faint, text))
}

// commonName is the CN of a distinguished name (RFC 4514), or the whole where it has none.
func commonName(distinguished string) string {
	for part := range strings.SplitSeq(distinguished, ",") {
		if cn, ok := strings.CutPrefix(strings.TrimSpace(part), "CN="); ok && cn != "" {
			return cn
		}
	}
	return distinguished
}

// day is the date of a moment in RFC 3339.
func day(moment string) string {
	date, _, _ := strings.Cut(moment, "T")
	return date
}

// agreement says what the ends agreed on and what stood in the clear before.
func agreement(h event.TLSHandshake) string {
	var parts []string
	if h.Cipher != "" {
		text := "encrypted with " + clean(h.Cipher)
		if h.Group != "" {
			text += ", keys by " + clean(h.Group)
		}
		parts = append(parts, text)
	}
	switch h.ALPN {
	case "":
	case "h2":
		parts = append(parts, "both choose HTTP/2 (ALPN)")
	case "dot":
		parts = append(parts, "both choose DNS (ALPN dot)")
	default:
		parts = append(parts, "both choose "+clean(h.ALPN)+" (ALPN)")
	}
	if h.ServerName != "" {
		parts = append(parts, "in the clear before: the name "+clean(h.ServerName)+" (SNI)")
	}
	return strings.Join(parts, "; ")
}
