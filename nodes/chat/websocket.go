package chat

import (
	"context"
	_ "embed" // of the page
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"

	"scenario/nodes/client/sock"
	"scenario/nodes/ws"
)

const (
	// webName is the role's in the traces of connections to the WebSocket's port.
	webName = Name + "-web"
	// webPath is where the room is, among the paths of that port.
	webPath = "/chat"
	// subprotocol is what goes over the WebSocket (RFC 6455, section 1.9): one line of the room's in each text message,
	// without its end.
	subprotocol = "chat.scenario"
)

//go:embed page.html
var page string

// web answers requests: at webPath who comes takes part in the room, at / there is a page that does so in a browser. A
// WebSocket takes part until ctx ends, which must be the room's.
func (r *room) web(ctx context.Context) http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc(webPath, func(w http.ResponseWriter, request *http.Request) {
		c, err := ws.Accept(w, request, ws.Options{
			Subprotocols: []string{subprotocol}, Origins: r.options.Origins, Limit: maxLine,
		})
		if err != nil {
			r.log.Info("no WebSocket", "role", Name, "remote", request.RemoteAddr, "why", err.Error())
			return
		}
		r.admit(ctx, &webPeer{conn: c, max: maxLine})
		<-c.Closed()
	})
	routes.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'")
		_, _ = strings.NewReader(page).WriteTo(w) // a client that is gone needs no page
	})
	return routes
}

// webPeer is a peer each of whose lines is a text message of a WebSocket.
type webPeer struct {
	conn *ws.Conn
	max  int // bytes of a line
}

var _ peer = (*webPeer)(nil)

func (p *webPeer) receive() (string, error) {
	text, pong, err := p.conn.Receive()
	if pong || err != nil {
		return "", err
	}
	return checkLine([]byte(text), p.max)
}

func (p *webPeer) send(lines [][]byte) error {
	for _, l := range lines {
		if err := p.conn.Send(l[:len(l)-1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *webPeer) ask() error {
	p.conn.Ping()
	return nil
}

func (p *webPeer) close(why string) { p.conn.Close(codeOf(why), why) }

func (p *webPeer) socket() *sock.Conn { return p.conn.Socket() }

// codeOf is the code that goes with a reason for which an end of the chat closes a connection.
func codeOf(why string) ws.Code {
	switch why {
	case endLeft, "not joined":
		return ws.Normal
	case endStopped, nodeStops:
		return ws.GoingAway
	case endSlow, endNoName:
		return ws.Policy
	case endFull:
		return ws.TryLater
	}
	if strings.HasPrefix(why, endSilent) {
		return ws.Internal
	}
	return ws.Normal
}

// lossOfWebSocket says how a WebSocket ended that was not left by the leave word; empty: it was left on purpose.
func lossOfWebSocket(end *ws.Ended) string {
	switch {
	case end.Remote && (end.Code == ws.Normal || end.Code == ws.NoCode):
		return ""
	case end.Remote && end.Code == ws.GoingAway && end.Reason == "":
		return "the page was left (1001)"
	case end.Reason == "":
		return fmt.Sprintf("closed with code %d", end.Code)
	}
	return fmt.Sprintf("%s (%d)", end.Reason, end.Code)
}

// dialWeb connects to a server's WebSocket and notes in the result what can be said of it.
func (c *client) dialWeb(ctx context.Context, d sock.Dialer, args JoinArgs, result *JoinResult) (peer, error) {
	var seed [32]byte
	c.mu.Lock()
	for i := 0; i < len(seed); i += 8 {
		for j, n := 0, c.random.Uint64(); j < 8; j++ {
			seed[i+j] = byte(n >> (8 * j))
		}
	}
	c.mu.Unlock()
	conn, shake, err := ws.Dialer{
		Dialer: d, Rand: rand.NewChaCha8(seed), Subprotocols: []string{subprotocol}, Origin: args.Origin, Limit: maxServerLine,
	}.Dial(ctx, args.Server)
	result.Status, result.Local, result.Remote = shake.Status, shake.Local, shake.Remote
	if err != nil {
		return nil, err
	}
	result.Protocol = conn.Subprotocol()
	return &webPeer{conn: conn, max: maxServerLine}, nil
}
