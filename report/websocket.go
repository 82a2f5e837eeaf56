package report

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"scenario/event"
)

// webSockets tells what became of the WebSockets of the step's node during the step, but for what was said over them.
func (t *teller) webSockets() {
	for _, r := range t.run.records {
		if r.Node != t.step.Node || r.Time.Before(t.step.start) || r.Time.After(t.step.end) {
			continue
		}
		switch r.Event {
		case event.HTTPResponse{}.Word():
			if e, ok := event.As[event.HTTPResponse](r); ok && e.Side == event.SideClient {
				text := fmt.Sprintf("the server answers the handshake with %d %s", e.Status, http.StatusText(e.Status))
				if _, body, _ := strings.Cut(e.Raw, "\r\n\r\n"); body != "" && e.Status != http.StatusSwitchingProtocols {
					text += ": " + strings.TrimSpace(body)
				}
				t.put(r.Time, "", in(plain, clean(text)), "")
			}
		case event.WSOpen{}.Word():
			if e, ok := event.As[event.WSOpen](r); ok {
				text := "WebSocket to " + e.URL
				if e.Subprotocol != "" {
					text += ", which speaks " + e.Subprotocol
				}
				t.put(r.Time, "", in(plain, clean(text)), "")
			}
		case event.WSFrame{}.Word():
			if e, ok := event.As[event.WSFrame](r); ok && (e.Opcode == "ping" || e.Opcode == "pong") {
				t.put(r.Time, "", in(faint, clean(e.Opcode+" "+e.Direction)), "")
			}
		case event.WSClose{}.Word():
			if e, ok := event.As[event.WSClose](r); ok {
				by := "this end"
				if e.By == "remote" {
					by = "the other end"
				}
				text := fmt.Sprintf("WebSocket closed by %s, code %d", by, e.Code)
				if why := cmp.Or(e.Reason, e.Meaning); why != "" {
					text += ": " + why
				}
				t.put(r.Time, "", in(plain, clean(text)), "")
			}
		}
	}
}
