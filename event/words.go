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
	Transport string `json:"transport"` // udp, tcp, tls (RFC 7858) or https (RFC 8484)
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
	Stream    uint32 `json:"stream,omitempty"` // of an HTTP/2 connection
	// Bytes of the head: on the wire, and without compression. Of HTTP/2 alone.
	HeaderBytes int    `json:"header_bytes,omitempty"`
	HeaderPlain int    `json:"header_plain_bytes,omitempty"`
	Raw         string `json:"raw,omitempty"` // the bytes on the wire as far as they are text, bounded; of HTTP/2 the fields that they stand for, a line each
	RawBase64   string `json:"raw_base64,omitempty"`
	Truncated   int64  `json:"truncated,omitempty"` // bytes of the raw view left out
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
	Proto       string  `json:"proto,omitempty"`
	Stream      uint32  `json:"stream,omitempty"`
	HeaderBytes int     `json:"header_bytes,omitempty"`
	HeaderPlain int     `json:"header_plain_bytes,omitempty"`
	Coding      string  `json:"content_encoding,omitempty"` // gzip, deflate, br, zstd: how the body was compressed
	Size        int64   `json:"size"`                       // of the body as it was sent
	Decoded     int64   `json:"decoded_size,omitempty"`     // of the body behind its content coding, where it has one
	TTFB        float64 `json:"ttfb_s,omitempty"`           // client: request sent → first byte
	Duration    float64 `json:"duration_s"`                 // client: request sent → last byte; server: read → written
	Error       string  `json:"error,omitempty"`            // what ended it before it was complete
	Raw         string  `json:"raw,omitempty"`              // the bytes on the wire as far as they are text, bounded
	RawBase64   string  `json:"raw_base64,omitempty"`
	Truncated   int64   `json:"truncated,omitempty"`
}

// HTTPSummary sums up the requests that a server answered beyond those of a second that it tells of in full.
type HTTPSummary struct {
	Requests int64    `json:"requests"`
	Statuses []string `json:"statuses,omitempty"` // "200: 4711": how many responses had it
	Bytes    int64    `json:"bytes"`              // of the responses
	Duration float64  `json:"duration_s"`         // since the first request of that second
}

// TLSHandshake says that the ends of a connection agreed on encryption, or why they did not (RFC 8446).
type TLSHandshake struct {
	Side       string   `json:"side"`
	Local      string   `json:"local"`
	Remote     string   `json:"remote"`
	ServerName string   `json:"server_name,omitempty"` // SNI (RFC 6066): everybody on the path can read it
	Version    string   `json:"version,omitempty"`     // TLS 1.3
	Cipher     string   `json:"cipher,omitempty"`
	Group      string   `json:"group,omitempty"` // of the key exchange: X25519
	ALPN       string   `json:"alpn,omitempty"`  // h2, http/1.1 (RFC 7301)
	Resumed    bool     `json:"resumed,omitempty"`
	Subject    string   `json:"subject,omitempty"` // of the server's certificate
	Issuer     string   `json:"issuer,omitempty"`
	Names      []string `json:"names,omitempty"` // that the certificate is for, addresses among them
	NotBefore  string   `json:"not_before,omitempty"`
	NotAfter   string   `json:"not_after,omitempty"` // RFC 3339
	Duration   float64  `json:"duration_s"`
	Reason     string   `json:"reason,omitempty"`  // in short why it failed: expired, wrong-name, untrusted …
	Meaning    string   `json:"meaning,omitempty"` // one plain sentence
	Error      string   `json:"error,omitempty"`
}

// HTTP2Frame is a frame of an HTTP/2 connection, sent or received (RFC 9113, section 4).
type HTTP2Frame struct {
	Side      string `json:"side"`
	Local     string `json:"local"`
	Remote    string `json:"remote"`
	Direction string `json:"direction"`        // sent or received
	Type      string `json:"type"`             // HEADERS, DATA, SETTINGS …
	Stream    uint32 `json:"stream"`           // 0: of the connection as a whole
	Flags     string `json:"flags,omitempty"`  // END_STREAM, END_HEADERS, ACK …
	Bytes     int    `json:"bytes"`            // of the payload
	Detail    string `json:"detail,omitempty"` // of SETTINGS, RST_STREAM, GOAWAY, WINDOW_UPDATE: what it says
}

// HTTPFetch sums up one request of a page load, from where it was found to its last byte, over whatever connection or
// from the cache. Times are seconds; Start counts from the start of the page load, the others are lengths.
type HTTPFetch struct {
	Page        string  `json:"page"` // the page that is being loaded
	URL         string  `json:"url"`
	Method      string  `json:"method"`
	Destination string  `json:"destination"` // document, style, script, image, font, iframe, fetch … (Fetch, section 2.2.5)
	Initiator   string  `json:"initiator,omitempty"`
	Priority    int     `json:"priority"` // urgency (RFC 9218): 0 goes first
	Status      int     `json:"status"`
	Proto       string  `json:"proto,omitempty"`
	MIME        string  `json:"mime,omitempty"`
	Redirect    string  `json:"redirect,omitempty"` // where the response sends the browser
	From        string  `json:"from"`               // network, cache, or revalidated: the cache's, which the server confirmed
	Local       string  `json:"local,omitempty"`
	Remote      string  `json:"remote,omitempty"`
	Connection  string  `json:"connection,omitempty"` // tells the connections of a browser apart
	Reused      bool    `json:"reused,omitempty"`
	ThirdParty  bool    `json:"third_party,omitempty"`
	Start       float64 `json:"start_s"`
	Queued      float64 `json:"queued_s"`
	Lookup      float64 `json:"lookup_s"`
	Connect     float64 `json:"connect_s"` // without TLS
	TLS         float64 `json:"tls_s"`
	Send        float64 `json:"send_s"`
	Wait        float64 `json:"wait_s"` // sent → first byte
	Receive     float64 `json:"receive_s"`
	Size        int64   `json:"size"`              // of the body on the wire
	Decoded     int64   `json:"decoded_size"`      // behind its content coding
	Request     string  `json:"request,omitempty"` // the id of its http.request, which the http.response names as its parent; empty: nothing was sent
	Failed      string  `json:"failed,omitempty"`  // the phase that failed: lookup, connect, tls, request, response, blocked
	Error       string  `json:"error,omitempty"`
}

// HTTPCache says what the cache of a browser did for a request (RFC 9111).
type HTTPCache struct {
	URL    string  `json:"url"`
	Result string  `json:"result"` // hit, stale, revalidated, miss, stored, not-stored, invalidated
	Reason string  `json:"reason"` // why, in one plain sentence
	Age    float64 `json:"age_s,omitempty"`
	Fresh  float64 `json:"fresh_s,omitempty"` // how long it is fresh from when it was made
}

// CORSCheck says whether a page may see the answer of another origin (Fetch, section 4.10).
type CORSCheck struct {
	URL       string `json:"url"`
	Origin    string `json:"origin"`
	Mode      string `json:"mode"` // cors, no-cors, preflight
	Allowed   bool   `json:"allowed"`
	Reason    string `json:"reason"`
	Preflight bool   `json:"preflight,omitempty"` // the browser asks first
}

// PageBlock says that the browser did not load or show something, because a rule of the web forbids it.
type PageBlock struct {
	Page   string `json:"page"`
	URL    string `json:"url"`
	Rule   string `json:"rule"` // mixed-content, x-frame-options, frame-ancestors, nosniff …
	Reason string `json:"reason"`
}

// URLUpgrade says that the browser went to https though the address says http.
type URLUpgrade struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"` // hsts (RFC 6797), https-record (RFC 9460), mixed-content
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

// PageMilestone is a moment of a page load: url, redirect, early_hints, first_byte, parsed, dom_content_loaded, load.
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
	Secure     bool   `json:"secure,omitempty"`
	HTTPOnly   bool   `json:"http_only,omitempty"`
	SameSite   string `json:"same_site,omitempty"` // as it counts
	Partition  string `json:"partition,omitempty"` // the top-level site whose jar holds it
	Expires    string `json:"expires,omitempty"`   // RFC 3339; empty: ends with the session
	Change     string `json:"change"`              // new, replaced, deleted, expired, evicted
	Reason     string `json:"reason,omitempty"`
	ThirdParty bool   `json:"third_party,omitempty"`
}

// CookieSend says that the browser sent a cookie.
type CookieSend struct {
	URL        string `json:"url"`
	Name       string `json:"name"`
	Value      string `json:"value"`
	Partition  string `json:"partition,omitempty"`
	Reason     string `json:"reason,omitempty"` // why it goes along
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
func (HTTPSummary) Word() string    { return "http.summary" }
func (TLSHandshake) Word() string   { return "tls.handshake" }
func (HTTP2Frame) Word() string     { return "http2.frame" }
func (HTTPFetch) Word() string      { return "http.fetch" }
func (HTTPCache) Word() string      { return "http.cache" }
func (CORSCheck) Word() string      { return "cors.check" }
func (PageBlock) Word() string      { return "page.block" }
func (URLUpgrade) Word() string     { return "url.upgrade" }
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
		TLSHandshake{}, HTTPRequest{}, HTTPResponse{}, HTTPSummary{}, HTTP2Frame{}, HTTPFetch{}, HTTPCache{}, CORSCheck{}, PageBlock{}, URLUpgrade{},
		WSOpen{}, WSFrame{}, WSClose{}, HTMLAsset{}, PageMilestone{}, PageLoad{},
		CookieStore{}, CookieSend{}, CookieBlock{},
		ChatJoin{}, ChatMessage{}, ChatLeave{},
		ICMPEcho{}, AccessDeny{}, LinkDrop{}, Fault{},
	}
}
