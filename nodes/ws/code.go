package ws

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Code is why a WebSocket is closed (RFC 6455, section 7.4).
type Code int

// The codes that are used here.
const (
	Normal        Code = 1000
	GoingAway     Code = 1001
	ProtocolError Code = 1002
	Unsupported   Code = 1003
	NoCode        Code = 1005 // never sent: the close frame has none
	Abnormal      Code = 1006 // never sent: there was no close frame
	InvalidText   Code = 1007
	Policy        Code = 1008
	TooBig        Code = 1009
	Internal      Code = 1011
	TryLater      Code = 1013
)

// Meaning is one plain sentence about the code; empty where the standard has none.
func (c Code) Meaning() string {
	switch c {
	case Normal:
		return "all is done, and the connection is closed on purpose"
	case GoingAway:
		return "the server stops, or the browser has left the page"
	case ProtocolError:
		return "a frame broke the rules of the protocol"
	case Unsupported:
		return "a message was of a kind that this end does not take, such as binary data where there is to be text"
	case NoCode:
		return "the connection was closed on purpose, and nothing was said of why"
	case Abnormal:
		return "the connection ended without a close frame"
	case InvalidText:
		return "a text message was not UTF-8"
	case Policy:
		return "a message, or who sent it, broke a rule of this end"
	case TooBig:
		return "a message was longer than this end takes"
	case Internal:
		return "something failed at this end, or nobody answered any more"
	case TryLater:
		return "the server has too much to do just now"
	}
	return ""
}

// Ended is why nothing more is received: a WebSocket was closed, or is to be closed for what came.
type Ended struct {
	Code   Code
	Reason string
	Remote bool // the other end said so
}

func (e *Ended) Error() string {
	by := "closed for what it sent"
	if e.Remote {
		by = "closed by the other end"
	}
	text := fmt.Sprintf("%s, with code %d", by, e.Code)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// maxReason is how many bytes a close frame has for a reason: a control frame has 125, and the code takes two.
const maxReason = 123

// cutReason shortens a reason to what a close frame holds, between characters.
func cutReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= maxReason {
		return reason
	}
	end := maxReason
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}
