package event

import "encoding/json"

// The words. Each type is one event; its comment is its meaning, its fields are its attributes. Addresses are "IP:port",
// durations are seconds (_s), sizes are bytes. The reference in docs/events.md is made from this file.

// Sides of an exchange, as an endpoint's events name them.
const (
	SideClient = "client"
	SideServer = "server"
)

// NodeReady says that every role of a node serves.
type NodeReady struct {
	Roles []string `json:"roles"`
}

// NodeExit says that a node ended, and why where it was not asked to.
type NodeExit struct {
	Error string `json:"error,omitempty"`
}

// LogLine is a line that a program or library wrote and that is no typed event.
type LogLine struct {
	Stream  string `json:"stream,omitempty"` // stdout or stderr of a program
	Message string `json:"msg"`
}

// StepStart says that a step begins.
type StepStart struct {
	Step   string `json:"step"`
	Action string `json:"action"`
	Target string `json:"target,omitempty"` // what the action is aimed at, as written: a URL, a name, an address
}

// StepEnd says that a step ended, and what came of it.
type StepEnd struct {
	Step     string          `json:"step"`
	Duration float64         `json:"duration_s"`
	Result   json.RawMessage `json:"result,omitempty"` // of the action, as its reference page tells
	Error    string          `json:"error,omitempty"`
}

// ExpectPass says that an expectation held.
type ExpectPass struct {
	Step       string `json:"step,omitempty"`
	Expression string `json:"expression"`
}

// ExpectFail says that an expectation did not hold.
type ExpectFail struct {
	Step       string `json:"step,omitempty"`
	Expression string `json:"expression"`
	Reason     string `json:"reason"`         // what was found instead
	Look       string `json:"look,omitempty"` // where to look: a file of the run folder, a node
}

// DNSQuery is a question, sent (client) or received (server).
type DNSQuery struct {
	Side      string `json:"side"`
	Local     string `json:"local,omitempty"`
	Remote    string `json:"remote"`
	Transport string `json:"transport"` // udp or tcp
	QueryID   uint16 `json:"query_id"`
	Name      string `json:"name"` // absolute, with the final dot
	Type      string `json:"type"`
	Recursion bool   `json:"recursion_desired"`
}

// DNSAnswer is the end of a lookup's exchange: a response sent (server) or received (client), or the error in its place.
type DNSAnswer struct {
	Side          string   `json:"side"`
	Local         string   `json:"local,omitempty"`
	Remote        string   `json:"remote,omitempty"`
	Transport     string   `json:"transport,omitempty"`
	QueryID       uint16   `json:"query_id"`
	Name          string   `json:"name"`
	Type          string   `json:"type"`
	RCode         string   `json:"rcode,omitempty"` // NOERROR, NXDOMAIN, SERVFAIL …
	Kind          string   `json:"kind,omitempty"`  // answer, referral, nodata, nxdomain, error
	Answer        []string `json:"answer,omitempty"`
	Authority     []string `json:"authority,omitempty"`
	TTL           uint32   `json:"ttl_s"`                   // the smallest TTL of the answer
	Authoritative bool     `json:"authoritative,omitempty"` // the AA bit
	Cached        bool     `json:"cached,omitempty"`        // answered from a cache of the node that answers
	Truncated     bool     `json:"truncated,omitempty"`
	ExtendedError string   `json:"extended_error,omitempty"` // RFC 8914: info code and text
	Size          int      `json:"size,omitempty"`
	Duration      float64  `json:"duration_s"`
	Error         string   `json:"error,omitempty"` // no response: timeout, refused …
}

// Kinds of sockets, as their events name them.
const (
	SocketListening  = "listening"
	SocketConnection = "connection"
	SocketDatagram   = "datagram"
)

// SocketCreate says that a socket was made, which has no address yet.
type SocketCreate struct {
	Network string `json:"network"` // tcp, udp, unix, unixgram
	Socket  string `json:"socket"`  // listening, connection, datagram: what it is to be
	Number  int    `json:"number,omitempty"`
}

// SocketBind says that a socket got its own address.
type SocketBind struct {
	Network string `json:"network"`
	Local   string `json:"local"` // or a path
	Socket  string `json:"socket"`
	Number  int    `json:"number,omitempty"`
}

// SocketListen says that a server listens.
type SocketListen struct {
	Network string `json:"network"`
	Local   string `json:"local"`
	Socket  string `json:"socket,omitempty"`
	Number  int    `json:"number,omitempty"`  // counts the sockets of its node
	Backlog int    `json:"backlog,omitempty"` // how many connections may wait to be accepted, where that was set
}

// SocketAccept says that a listening socket got a connection.
type SocketAccept struct {
	Network         string `json:"network"`
	Local           string `json:"local"`
	Remote          string `json:"remote"`
	Socket          string `json:"socket,omitempty"`
	Number          int    `json:"number,omitempty"`            // of the connection's own socket
	Listening       int    `json:"listening,omitempty"`         // the number of the listening socket
	ISN             uint32 `json:"isn,omitempty"`               // the number of this end's SYN (RFC 9293, section 3.4), where the host tells
	PeerISN         uint32 `json:"peer_isn,omitempty"`          // the number of the other end's SYN, where the host tells
	MSS             int    `json:"mss,omitempty"`               // bytes of data that a segment to the other end holds at most
	WindowScale     int    `json:"window_scale,omitempty"`      // this end's windows are shifted by so many bits (RFC 7323)
	PeerWindowScale int    `json:"peer_window_scale,omitempty"` // the other end's windows are
	SACK            bool   `json:"sack_permitted,omitempty"`    // both ends take selective acknowledgements (RFC 2018)
	Timestamps      bool   `json:"timestamps,omitempty"`        // segments carry timestamps (RFC 7323)
}

// SocketConnect says that a connection was made.
type SocketConnect struct {
	Network         string  `json:"network"`
	Local           string  `json:"local"`
	Remote          string  `json:"remote"`
	Socket          string  `json:"socket,omitempty"`
	Number          int     `json:"number,omitempty"`            // counts the sockets of its node
	ISN             uint32  `json:"isn,omitempty"`               // the number of this end's SYN (RFC 9293, section 3.4), where the host tells
	PeerISN         uint32  `json:"peer_isn,omitempty"`          // the number of the other end's SYN, where the host tells
	MSS             int     `json:"mss,omitempty"`               // bytes of data that a segment to the other end holds at most
	WindowScale     int     `json:"window_scale,omitempty"`      // this end's windows are shifted by so many bits (RFC 7323)
	PeerWindowScale int     `json:"peer_window_scale,omitempty"` // the other end's windows are
	SACK            bool    `json:"sack_permitted,omitempty"`    // both ends take selective acknowledgements (RFC 2018)
	Timestamps      bool    `json:"timestamps,omitempty"`        // segments carry timestamps (RFC 7323)
	Duration        float64 `json:"duration_s"`
}

// SocketSend is a call that sent data. It says nothing of when, or whether, the data arrives.
type SocketSend struct {
	Network    string `json:"network"`
	Local      string `json:"local"`
	Remote     string `json:"remote"`
	Socket     string `json:"socket"`
	Number     int    `json:"number,omitempty"`
	Bytes      int    `json:"bytes"`
	Offset     int64  `json:"offset,omitempty"`      // bytes that the connection had sent before
	Data       string `json:"data,omitempty"`        // its beginning, where the scenario asks for it and it is text
	DataBase64 string `json:"data_base64,omitempty"` // in its place where it is no text
	Truncated  int64  `json:"truncated,omitempty"`   // bytes of the data left out
}

// SocketRecv is a call that received data: of a stream a piece, which need not be what one call sent; a datagram whole.
type SocketRecv struct {
	Network    string `json:"network"`
	Local      string `json:"local"`
	Remote     string `json:"remote"`
	Socket     string `json:"socket"`
	Number     int    `json:"number,omitempty"`
	Bytes      int    `json:"bytes"`
	Offset     int64  `json:"offset,omitempty"` // bytes that the connection had received before
	End        bool   `json:"end,omitempty"`    // there will be no more: the other end shut its direction down
	Data       string `json:"data,omitempty"`
	DataBase64 string `json:"data_base64,omitempty"`
	Truncated  int64  `json:"truncated,omitempty"`
}

// SocketShutdown says that this end ended one direction of a connection and left the other open.
type SocketShutdown struct {
	Network string `json:"network"`
	Local   string `json:"local"`
	Remote  string `json:"remote"`
	Socket  string `json:"socket"`
	Number  int    `json:"number,omitempty"`
	How     string `json:"how"` // write: it sends no more; read: it takes no more
}

// SocketError is a socket call that failed, with the system's own name of the error.
type SocketError struct {
	Network  string  `json:"network"`
	Op       string  `json:"op"` // listen, connect, read, write …
	Local    string  `json:"local,omitempty"`
	Remote   string  `json:"remote,omitempty"`
	Socket   string  `json:"socket,omitempty"`
	Number   int     `json:"number,omitempty"`
	Errno    string  `json:"errno,omitempty"` // ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT …
	Error    string  `json:"error"`
	Meaning  string  `json:"meaning,omitempty"` // one plain sentence
	Duration float64 `json:"duration_s"`
}

// SocketClose says that this end closed a socket, or found its connection closed by the other end.
type SocketClose struct {
	Network  string `json:"network"`
	Local    string `json:"local"`
	Remote   string `json:"remote,omitempty"` // empty: a socket that listens or has no other end
	Socket   string `json:"socket,omitempty"`
	Number   int    `json:"number,omitempty"`
	By       string `json:"by,omitempty"` // local or remote
	Sent     int64  `json:"sent"`
	Received int64  `json:"received"`
	Reason   string `json:"reason,omitempty"` // idle timeout, page complete …
}

// HTTPRequest is a request, sent (client) or received (server).
type HTTPRequest struct {
	Side      string `json:"side"`
	Local     string `json:"local"`
	Remote    string `json:"remote"`
	Method    string `json:"method"`
	URL       string `json:"url"` // absolute
	Proto     string `json:"proto"`
	Host      string `json:"host"`
	UserAgent string `json:"user_agent,omitempty"`
	Cookie    string `json:"cookie,omitempty"`
	Reused    bool   `json:"reused,omitempty"` // not the connection's first request
	Raw       string `json:"raw,omitempty"`    // the bytes on the wire as far as they are text, bounded
	RawBase64 string `json:"raw_base64,omitempty"`
	Truncated int64  `json:"truncated,omitempty"` // bytes of the raw view left out
}

// HTTPResponse is the response to a request, received (client) or sent (server), or the error in its place.
type HTTPResponse struct {
	Side        string  `json:"side"`
	Local       string  `json:"local"`
	Remote      string  `json:"remote"`
	Method      string  `json:"method"`
	URL         string  `json:"url"`
	Status      int     `json:"status"`
	ContentType string  `json:"content_type,omitempty"`
	Location    string  `json:"location,omitempty"`
	Size        int64   `json:"size"`             // of the body
	TTFB        float64 `json:"ttfb_s,omitempty"` // client: request sent → first byte
	Duration    float64 `json:"duration_s"`       // client: request sent → last byte; server: read → written
	Error       string  `json:"error,omitempty"`  // what ended it before it was complete
	Raw         string  `json:"raw,omitempty"`    // the bytes on the wire as far as they are text, bounded
	RawBase64   string  `json:"raw_base64,omitempty"`
	Truncated   int64   `json:"truncated,omitempty"`
}

// WSOpen says that a WebSocket was made of a connection: its handshake is done (RFC 6455, section 4).
type WSOpen struct {
	Side        string `json:"side"`
	Local       string `json:"local"`
	Remote      string `json:"remote"`
	URL         string `json:"url"`
	Origin      string `json:"origin,omitempty"`      // of the page that opened it, where a browser or somebody like one says so
	Subprotocol string `json:"subprotocol,omitempty"` // that both ends speak
}

// WSFrame is a frame of a WebSocket, sent or received (RFC 6455, section 5).
type WSFrame struct {
	Side      string `json:"side"`
	Local     string `json:"local"`
	Remote    string `json:"remote"`
	Direction string `json:"direction"`           // sent or received
	Opcode    string `json:"opcode"`              // text, binary, continuation, ping, pong, close, reserved
	Bytes     int64  `json:"bytes"`               // of the payload
	Fragment  bool   `json:"fragment,omitempty"`  // the message goes on in another frame
	Masked    bool   `json:"masked,omitempty"`    // as all frames of clients are, and none of servers
	Reserved  bool   `json:"reserved,omitempty"`  // a bit is set that has no meaning here
	Code      int    `json:"code,omitempty"`      // of a close frame
	Text      string `json:"text,omitempty"`      // the payload's beginning, without its mask, where it is text
	Truncated int64  `json:"truncated,omitempty"` // bytes of the text left out
}

// WSClose says that a WebSocket ended.
type WSClose struct {
	Side    string `json:"side"`
	Local   string `json:"local"`
	Remote  string `json:"remote"`
	By      string `json:"by"`   // whose close frame was first, or who ended it without one: local or remote
	Code    int    `json:"code"` // of that frame; 1005: it has none; 1006: there was no close frame
	Reason  string `json:"reason,omitempty"`
	Meaning string `json:"meaning,omitempty"` // of the code, in one plain sentence
}

// HTMLAsset says that the parser found a resource the page needs; PageBytes tells how much of the page had arrived.
type HTMLAsset struct {
	Page        string `json:"page"`
	URL         string `json:"url"`
	Destination string `json:"destination"` // style, script, image, font, iframe, icon (Fetch, section 2.2.5)
	Initiator   string `json:"initiator,omitempty"`
	ThirdParty  bool   `json:"third_party,omitempty"`
	PageBytes   int64  `json:"page_bytes"`
	Complete    bool   `json:"page_complete"` // the page had arrived whole
}

// PageMilestone is a moment of a page load: url, redirect, first_byte, parsed, load.
type PageMilestone struct {
	Milestone string  `json:"milestone"`
	URL       string  `json:"url"`
	Detail    string  `json:"detail,omitempty"`
	Since     float64 `json:"since_start_s"`
}

// PageLoad sums up a page load that ended.
type PageLoad struct {
	URL         string  `json:"url"`
	Status      int     `json:"status"`
	Title       string  `json:"title,omitempty"`
	Requests    int     `json:"requests"`
	Failed      int     `json:"failed"`
	Connections int     `json:"connections"`
	Lookups     int     `json:"lookups"`
	Bytes       int64   `json:"bytes"`
	Duration    float64 `json:"duration_s"`
	Error       string  `json:"error,omitempty"`
}

// CookieStore says that the browser stored, replaced or deleted a cookie.
type CookieStore struct {
	URL        string `json:"url"`
	Name       string `json:"name"`
	Value      string `json:"value"`
	Domain     string `json:"domain"`
	HostOnly   bool   `json:"host_only"`
	Path       string `json:"path"`
	Expires    string `json:"expires,omitempty"` // RFC 3339; empty: ends with the session
	Change     string `json:"change"`            // new, replaced, deleted, expired
	ThirdParty bool   `json:"third_party,omitempty"`
}

// CookieSend says that the browser sent a cookie.
type CookieSend struct {
	URL        string `json:"url"`
	Name       string `json:"name"`
	Value      string `json:"value"`
	ThirdParty bool   `json:"third_party,omitempty"`
}

// CookieBlock says that the browser did not store or send a cookie that it was offered or holds.
type CookieBlock struct {
	URL    string `json:"url"`
	Name   string `json:"name"`
	Op     string `json:"op"` // store or send
	Reason string `json:"reason"`
}

// ChatJoin says that somebody joined a room.
type ChatJoin struct {
	Side   string `json:"side"`
	Name   string `json:"name"`
	Remote string `json:"remote,omitempty"`
}

// ChatMessage is a message, sent or received.
type ChatMessage struct {
	Side string `json:"side"`
	Name string `json:"name"` // who says it
	Text string `json:"text"`
}

// ChatLeave says that somebody left a room, or was lost.
type ChatLeave struct {
	Side   string `json:"side"`
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
}

// ICMPEcho is an echo request and what came of it (ping, one hop of traceroute).
type ICMPEcho struct {
	To       string  `json:"to"`
	TTL      int     `json:"ttl"`
	Sequence int     `json:"sequence"`
	From     string  `json:"from,omitempty"`  // who answered
	Reply    string  `json:"reply,omitempty"` // echo-reply, time-exceeded, destination-unreachable
	Duration float64 `json:"duration_s"`
	Error    string  `json:"error,omitempty"` // nobody answered
}

// AccessDeny says that a server turned an address away because it is banned there.
type AccessDeny struct {
	Local  string `json:"local"`
	Remote string `json:"remote"`
	Rule   string `json:"rule"` // the address or prefix that is banned
}

// LinkDrop says that a link lost a frame.
type LinkDrop struct {
	Network   string `json:"network"`
	Direction string `json:"direction"` // up: from the node into the network; down: to the node
	Reason    string `json:"reason"`    // loss: by chance; queue: there was no room for it
	Bytes     int    `json:"bytes"`     // of the frame
	Packet    string `json:"packet"`    // what it was: "tcp 10.0.0.1:40000 > 10.0.0.2:80"
}

// Fault is something the scenario or the system did to a node: stop, crash, lost.
type Fault struct {
	Fault  string `json:"fault"`
	Target string `json:"target"`
	Detail string `json:"detail,omitempty"`
}

func (NodeReady) Word() string      { return "node.ready" }
func (NodeExit) Word() string       { return "node.exit" }
func (LogLine) Word() string        { return "log" }
func (StepStart) Word() string      { return "step.start" }
func (StepEnd) Word() string        { return "step.end" }
func (ExpectPass) Word() string     { return "expect.pass" }
func (ExpectFail) Word() string     { return "expect.fail" }
func (DNSQuery) Word() string       { return "dns.query" }
func (DNSAnswer) Word() string      { return "dns.answer" }
func (SocketCreate) Word() string   { return "socket.create" }
func (SocketBind) Word() string     { return "socket.bind" }
func (SocketListen) Word() string   { return "socket.listen" }
func (SocketAccept) Word() string   { return "socket.accept" }
func (SocketConnect) Word() string  { return "socket.connect" }
func (SocketSend) Word() string     { return "socket.send" }
func (SocketRecv) Word() string     { return "socket.recv" }
func (SocketShutdown) Word() string { return "socket.shutdown" }
func (SocketError) Word() string    { return "socket.error" }
func (SocketClose) Word() string    { return "socket.close" }
func (HTTPRequest) Word() string    { return "http.request" }
func (HTTPResponse) Word() string   { return "http.response" }
func (WSOpen) Word() string         { return "ws.open" }
func (WSFrame) Word() string        { return "ws.frame" }
func (WSClose) Word() string        { return "ws.close" }
func (HTMLAsset) Word() string      { return "html.asset" }
func (PageMilestone) Word() string  { return "page.milestone" }
func (PageLoad) Word() string       { return "page.load" }
func (CookieStore) Word() string    { return "cookie.store" }
func (CookieSend) Word() string     { return "cookie.send" }
func (CookieBlock) Word() string    { return "cookie.block" }
func (ChatJoin) Word() string       { return "chat.join" }
func (ChatMessage) Word() string    { return "chat.message" }
func (ChatLeave) Word() string      { return "chat.leave" }
func (ICMPEcho) Word() string       { return "icmp.echo" }
func (AccessDeny) Word() string     { return "access.deny" }
func (LinkDrop) Word() string       { return "link.drop" }
func (Fault) Word() string          { return "fault" }

// Words returns a zero value of every event, in the order of the reference.
func Words() []Event {
	return []Event{
		NodeReady{}, NodeExit{}, LogLine{}, StepStart{}, StepEnd{}, ExpectPass{}, ExpectFail{},
		DNSQuery{}, DNSAnswer{},
		SocketCreate{}, SocketBind{}, SocketListen{}, SocketAccept{}, SocketConnect{},
		SocketSend{}, SocketRecv{}, SocketShutdown{}, SocketError{}, SocketClose{},
		HTTPRequest{}, HTTPResponse{}, WSOpen{}, WSFrame{}, WSClose{}, HTMLAsset{}, PageMilestone{}, PageLoad{},
		CookieStore{}, CookieSend{}, CookieBlock{},
		ChatJoin{}, ChatMessage{}, ChatLeave{},
		ICMPEcho{}, AccessDeny{}, LinkDrop{}, Fault{},
	}
}
