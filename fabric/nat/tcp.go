package nat

// tcpState is how far a TCP connection is, as a router between both ends can tell from the flags alone.
type tcpState uint8

const (
	none        tcpState = iota
	synSent              // SYN
	synSent2             // SYN from both sides
	synReceived          // SYN and its SYN ACK
	established          // and the ACK
	finWait              // FIN of one side
	closeWait            // and its ACK
	lastAck              // FIN of both sides
	timeWait             // and the last ACK
	closed               // RST
)

// seeTCP follows the state. Windows are not looked at: what is outside of them passes, as with Linux' setting
// nf_conntrack_tcp_be_liberal.
func (t *Table) seeTCP(c *conn, d direction, flags Flags, now int64) outcome {
	was := c.tcp
	next, result := was.after(d, flags)
	if result != follows || next == was && flags&(SYN|ACK) == SYN && !c.replied && was != none {
		return result // a SYN that is sent again does not lengthen anything
	}
	if next == ignored {
		return follows
	}
	if flags&RST != 0 && !c.replied {
		return refused
	}
	c.tcp = next
	life := t.lives[next]
	if next == established && !c.replied {
		life = min(life, t.timeouts.Unanswered)
	}
	c.expires = now + int64(life)
	return follows
}

// ignored is no state: the packet passes, and the state stays.
const ignored tcpState = 255

// after is the state that a packet leads to.
func (s tcpState) after(d direction, flags Flags) (tcpState, outcome) {
	switch {
	case flags&RST != 0:
		if s == none {
			return s, stray
		}
		return closed, follows
	case flags&SYN != 0 && flags&ACK == 0:
		return s.afterSYN(d)
	case flags&SYN != 0:
		return s.afterSYNACK(d)
	case flags&FIN != 0:
		return s.afterFIN()
	case flags&ACK != 0:
		return s.afterACK(d)
	}
	return s, stray
}

func (s tcpState) afterSYN(d direction) (tcpState, outcome) {
	switch {
	case d == original && (s == none || s == synSent):
		return synSent, follows
	case d == original && (s == timeWait || s == closed):
		return s, reopens // RFC 1122, section 4.2.2.13
	case d == reply && s == synSent || s == synSent2:
		return synSent2, follows
	case d == original:
		return ignored, follows // the other side knows better whether it belongs to the connection
	}
	return s, stray
}

func (s tcpState) afterSYNACK(d direction) (tcpState, outcome) {
	switch {
	case s == none || d == original && s == synSent:
		return s, stray
	case s == synSent || s == synSent2:
		return synReceived, follows
	}
	return ignored, follows
}

func (s tcpState) afterFIN() (tcpState, outcome) {
	switch s {
	case none, synSent, synSent2:
		return s, stray
	case synReceived, established:
		return finWait, follows
	case finWait, closeWait, lastAck:
		return lastAck, follows
	}
	return s, follows
}

func (s tcpState) afterACK(d direction) (tcpState, outcome) {
	switch s {
	case none: // a connection older than the table
		return established, follows
	case synSent, synSent2:
		if d == reply {
			return ignored, follows
		}
		return s, stray
	case synReceived:
		if d == original {
			return established, follows
		}
	case finWait:
		return closeWait, follows
	case lastAck:
		return timeWait, follows
	}
	return s, follows
}
