package enginetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"scenario/event"
)

// Fact is an event without what differs between any two runs on one engine: times, ports that the system chose, numbers
// of traces. All else of it should be alike on every engine.
type Fact struct {
	Node  string
	Event string
	Attrs map[string]string // as JSON
}

// String is the fact on one line.
func (f Fact) String() string {
	text, err := json.Marshal(f.Attrs)
	if err != nil {
		return fmt.Sprint(err)
	}
	return f.Node + " " + f.Event + " " + string(text)
}

// add adds attributes; those of an object as OBJECT.KEY.
func (f Fact) add(prefix string, attrs map[string]any) {
	for key, value := range attrs {
		if object, ok := value.(map[string]any); ok {
			f.add(prefix+key+".", object)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			text = []byte(err.Error())
		}
		f.Attrs[prefix+key] = string(text)
	}
}

// Facts are what a run told, in an order that tells nothing.
func Facts(records []event.Record) []Fact {
	run := survey(records)
	var facts []Fact
	seen := make(map[string]bool)
	for _, r := range records {
		if run.raced(r) {
			continue
		}
		fact := Fact{Node: r.Node, Event: r.Event, Attrs: make(map[string]string)}
		fact.add("", run.attrs(r))
		text := fact.String()
		if run.browses && (slices.Contains(connections, r.Event) || run.referral(r)) {
			// How many connections a browser makes to a server, and in which page's trace, depends on which of its
			// requests are done when it has the next: that there are any is the fact. So with handshakes and frames on
			// them, whose requests and responses are facts of their own, and with referrals (see races).
			if seen[text] {
				continue
			}
			seen[text] = true
		}
		facts = append(facts, fact)
	}
	slices.SortFunc(facts, func(a, b Fact) int { return strings.Compare(a.String(), b.String()) })
	return facts
}

// connections are the words of what becomes of one.
var connections = []string{
	event.SocketAccept{}.Word(), event.SocketConnect{}.Word(), event.SocketClose{}.Word(),
	event.TLSHandshake{}.Word(), event.HTTP2Frame{}.Word(),
}

// whole is what must be known of all events of a run to understand one.
type whole struct {
	words   map[string]string // by id: what the event is
	browses bool              // a browser is at work: it does things side by side
	asked   map[string]bool   // by id: questions that were answered by a referral
	dropped map[string]bool   // by method and URL: responses that a browser called off while they came over HTTP/2
	stuck   bool              // a sender was stopped when the buffers on the way were full, and these are as large as they are
}

func survey(records []event.Record) whole {
	w := whole{words: make(map[string]string), asked: make(map[string]bool), dropped: make(map[string]bool)}
	for _, r := range records {
		if id := r.ID(); id != "" {
			w.words[scope(r, id)] = r.Event
		}
		if answer, ok := event.As[event.DNSAnswer](r); ok && answer.Kind == "referral" {
			w.asked[scope(r, r.Parent())] = true
		}
		if got, ok := event.As[event.HTTPResponse](r); ok && calledOff(got) {
			w.dropped[got.Method+" "+got.URL] = true
		}
		if start, ok := event.As[event.StepStart](r); ok && start.Action == "browse" {
			w.browses = true
		}
		if end, ok := event.As[event.StepEnd](r); ok {
			var send struct {
				Sent     int64 `json:"sent"`
				Complete bool  `json:"complete"`
			}
			w.stuck = w.stuck || json.Unmarshal(end.Result, &send) == nil && send.Sent > 0 && !send.Complete
		}
	}
	return w
}

// calledOff says that a rule of the web, or something else, had a browser look no further at a response over HTTP/2.
func calledOff(got event.HTTPResponse) bool {
	return got.Side == event.SideClient && got.Proto == "HTTP/2" && got.Error != ""
}

// scope makes an id one of the whole run: those of steps are, others count up on each node.
func scope(r event.Record, id string) string {
	if strings.HasPrefix(id, event.StepTrace) {
		return id
	}
	return r.Node + " " + id
}

// referral says of a question, or its answer, that it led to a server that knows more.
func (w whole) referral(r event.Record) bool {
	switch r.Event {
	case event.DNSQuery{}.Word():
		return w.asked[scope(r, r.ID())]
	case event.DNSAnswer{}.Word():
		return r.Attrs["kind"] == "referral"
	}
	return false
}

// raced says of events that come or not by chance.
func (w whole) raced(r event.Record) bool {
	if failure, ok := event.As[event.SocketError](r); ok {
		// The end of a connection that the other end gave up: it may be read before the reset arrives, or after.
		return gaveUp(failure.Errno)
	}
	switch r.Event {
	case event.SocketSend{}.Word(), event.SocketRecv{}.Word():
		// Into which pieces a stream is cut; what went over it in all is told when it closes.
		return r.Attrs["socket"] == event.SocketConnection
	}
	if sent, ok := event.As[event.HTTPResponse](r); ok && sent.Side == event.SideServer && w.dropped[sent.Method+" "+sent.URL] {
		return true // the server has sent it by then, or not
	}
	if frame, ok := event.As[event.HTTP2Frame](r); ok {
		// How fast an end reads, which of both is the first to end the connection, and whether a body that the browser
		// calls off is there by then.
		return frame.Type == "WINDOW_UPDATE" || frame.Type == "GOAWAY" || frame.Type == "RST_STREAM" && frame.Detail == "CANCEL"
	}
	if answer, ok := event.As[event.DNSAnswer](r); ok {
		// A browser looks a name up for each connection that it makes: see Facts.
		return w.browses && answer.Side == event.SideClient && answer.Cached
	}
	return false
}

// gaveUp says of an error's name that it is how a connection ends whose other end gave it up.
func gaveUp(errno string) bool { return errno == "ECONNRESET" || errno == "EPIPE" }

// attrs are the event's attributes as every run has them.
func (w whole) attrs(r event.Record) map[string]any {
	attrs := make(map[string]any)
	for key, value := range r.Attrs {
		if !duration(key) {
			attrs[key] = w.plain(key, value)
		}
	}
	delete(attrs, event.KeyID)
	if parent := r.Parent(); parent != "" {
		attrs[event.KeyParent] = "a " + w.words[scope(r, parent)]
	}
	if trace := r.Trace(); trace != "" && !strings.HasPrefix(trace, event.StepTrace) {
		attrs[event.KeyTrace] = number.ReplaceAllString(trace, "/#")
	}
	for _, one := range races {
		one(w, r, attrs)
	}
	return attrs
}

// races take from an event what depends on who is first.
var races = []func(w whole, r event.Record, attrs map[string]any){
	// After a last exchange both ends close the connection, and whoever does it later finds it closed.
	func(_ whole, r event.Record, attrs map[string]any) {
		if closed, ok := event.As[event.SocketClose](r); ok && closed.Remote != "" && closed.Reason != "idle timeout" {
			delete(attrs, "by")
			delete(attrs, "reason")
		}
	},
	// Any of a browser's connections to a server may be the one that carries a request.
	func(w whole, r event.Record, attrs map[string]any) {
		if w.browses {
			for _, key := range []string{"reused", "sent", "received", "connections", "connection", "stream", "request"} {
				delete(attrs, key)
			}
		}
		if w.browses && slices.Contains(connections, r.Event) {
			delete(attrs, event.KeyParent)
			delete(attrs, event.KeyTrace)
		}
	},
	// A browser asks for several records of a name at once: which of these questions the resolver is the first to pass on,
	// and so learns from whom to ask for the others.
	func(w whole, r event.Record, attrs map[string]any) {
		if w.browses && w.referral(r) {
			for _, key := range []string{"name", "type", "size", event.KeyTrace} {
				delete(attrs, key)
			}
		}
	},
	// HPACK packs fields the better the more of them came before, and a date according to its digits (RFC 7541).
	func(_ whole, r event.Record, attrs map[string]any) {
		if attrs["proto"] == "HTTP/2" {
			delete(attrs, "header_bytes")
		}
		if frame, ok := event.As[event.HTTP2Frame](r); ok && frame.Type != "SETTINGS" {
			delete(attrs, "bytes")
			if frame.Type == "DATA" { // into which a body is cut as it is written; the last one may be empty
				delete(attrs, "flags")
			}
		}
	},
	// Sockets are numbered in the order in which they come, and not every system tells its initial sequence numbers.
	func(_ whole, _ event.Record, attrs map[string]any) {
		for _, key := range []string{"number", "listening", "isn", "peer_isn"} {
			delete(attrs, key)
		}
	},
	// How much a stuck sender has sent.
	func(w whole, r event.Record, attrs map[string]any) {
		if w.stuck && r.Event == (event.SocketClose{}).Word() {
			delete(attrs, "sent")
			delete(attrs, "received")
		}
	},
	// How much of a large response is on its way when a browser needs no more of it.
	func(w whole, r event.Record, attrs map[string]any) {
		if sent, ok := event.As[event.HTTPResponse](r); ok && w.browses && sent.Side == event.SideServer && sent.Size > 8<<10 {
			for _, key := range []string{"size", "truncated", "error"} {
				delete(attrs, key)
			}
		}
	},
	// How much of a response comes before a browser calls it off.
	func(_ whole, r event.Record, attrs map[string]any) {
		got, ok := event.As[event.HTTPResponse](r)
		if text, _ := attrs["raw"].(string); ok && calledOff(got) {
			attrs["raw"], _, _ = strings.Cut(text, "\r\n\r\n")
			delete(attrs, "size")
			delete(attrs, "truncated")
		}
	},
	// How far a bomb has come when it is found depends on the pieces in which it comes.
	func(_ whole, r event.Record, attrs map[string]any) {
		if text, _ := attrs["error"].(string); strings.HasSuffix(text, bombed) {
			delete(attrs, "size")
			delete(attrs, "decoded_size")
		}
	},
	// What is in a cache is as old as it is.
	func(_ whole, r event.Record, attrs map[string]any) {
		if cached, ok := event.As[event.HTTPCache](r); ok {
			attrs["reason"] = old.ReplaceAllString(cached.Reason, "it is # s old")
		}
	},
	// How much of a page has arrived when the parser gets on with it depends on how it is read.
	func(_ whole, r event.Record, attrs map[string]any) {
		if r.Event == (event.HTMLAsset{}).Word() {
			delete(attrs, "page_bytes")
			delete(attrs, "page_complete")
		}
	},
	// An answer from a cache is the older the later it is asked for.
	func(_ whole, r event.Record, attrs map[string]any) {
		if answer, ok := event.As[event.DNSAnswer](r); ok && answer.Cached {
			delete(attrs, "ttl_s")
			delete(attrs, "answer")
		}
	},
}

var (
	number    = regexp.MustCompile(`/\d+$`)
	ephemeral = regexp.MustCompile(`((?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:]+\]):(?:3[2-9]|[4-6]\d)\d{3}\b`) // from 32768 on
	date      = regexp.MustCompile(`\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b`)     // RFC 9110, section 5.6.7
	stamp     = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)          // RFC 3339
	old       = regexp.MustCompile(`\bit is [0-9.e+-]+ s old\b`)                                         // of http.cache
	bomb      = regexp.MustCompile(`\b` + bombed + `: .*`)
	// A time-out, told by the context or the socket, whichever notices first.
	late = regexp.MustCompile(`\b(context deadline exceeded|i/o timeout)$`)
	// A connection that the other end gave up, told by who read before the reset arrived, or after.
	gone = regexp.MustCompile(`\bunexpected EOF$|^the connection ended before the response was complete$|\b(read|write) tcp \S+: (read|write): (connection reset by peer|broken pipe)$`)
)

// bombed begins the error of a body that becomes too large when it is decompressed.
const bombed = "decompression bomb"

// duration says of an attribute that it is how long something took. One that took no time, as may be in virtual time, is
// left out of some events.
func duration(key string) bool { return strings.HasSuffix(key, "_s") && key != "ttl_s" }

// plain is a value of an attribute, or in one, without dates, ports that the system chose, and numbers drawn.
func (w whole) plain(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		all := make(map[string]any, len(v))
		for k, one := range v {
			if !duration(k) {
				all[k] = w.plain(k, one)
			}
		}
		return w.result(all)
	case []any:
		all := make([]any, len(v))
		for i, one := range v {
			all[i] = w.plain(key, one)
		}
		if w.browses {
			// A browser has several requests under way at once.
			slices.SortFunc(all, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		return all
	case string:
		if key == "raw_base64" {
			text, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return err.Error()
			}
			v = string(text)
		}
		v = ephemeral.ReplaceAllString(v, "$1:#")
		v = date.ReplaceAllString(v, "#")
		v = stamp.ReplaceAllString(v, "#")
		v = late.ReplaceAllString(v, "late")
		v = bomb.ReplaceAllString(v, bombed)
		return gone.ReplaceAllString(v, "gone")
	case float64:
		switch key {
		case "query_id", "window_scale", "peer_window_scale": // the scales: by how much memory a system has for buffers
			return 0
		case "mss": // of a node with itself: Linux sends half a window at once, however large its loopback's packets may be
			if v > 1<<14 {
				return 0
			}
		}
	}
	return value
}

// result takes from an object in a step's result what depends on who is first: see races.
func (w whole) result(object map[string]any) map[string]any {
	if errno, _ := object["errno"].(string); object["error"] == "gone" || gaveUp(errno) {
		delete(object, "errno")
		delete(object, "meaning")
	}
	if _, headers := object["date"]; headers { // of a response that a cache had: it is as old as it is
		delete(object, "age")
	}
	if failed, _ := object["error"].(map[string]any); failed != nil {
		if message, _ := failed["message"].(string); strings.HasSuffix(message, bombed) {
			delete(object, "size")
			delete(object, "decoded_size")
		}
	}
	if _, received := object["pieces"]; received || w.stuck {
		delete(object, "pieces")
		delete(object, "calls")
		if _, binary := object["base64"]; binary { // frames of a WebSocket: a pong may pass a line, or not
			delete(object, "base64")
			delete(object, "sha256")
		}
	}
	if w.stuck {
		for _, key := range []string{"sent", "size", "sha256"} {
			delete(object, key)
		}
	}
	if w.browses {
		for _, key := range []string{"reused", "connections", "connection", "cached_lookup"} {
			delete(object, key)
		}
	}
	return object
}
