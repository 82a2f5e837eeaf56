package browser

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"scenario/dnsd/stub"
	"scenario/host/errno"
	"scenario/nodes/browser/cookie"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/transport"
)

// Result is what came of opening a page. A page that cannot be loaded is a Result with an Error.
type Result struct {
	URL         string          `json:"url"`    // of the page shown, after redirects
	Status      int             `json:"status"` // 0: no response
	Title       string          `json:"title"`
	Text        string          `json:"text"`         // as a person reads it
	DOM         string          `json:"dom"`          // the tree of elements, indented
	Requests    []*Fetch        `json:"requests"`     // in the order they were found
	CookiesSent []string        `json:"cookies_sent"` // names of the cookies sent with the requests for the page itself
	Cookies     []cookie.Cookie `json:"cookies"`      // the jar afterwards
	Redirects   int             `json:"redirects"`    // on the way to the page
	Connections int             `json:"connections"`  // opened
	Lookups     int             `json:"lookups"`      // names that were not in the resolver's cache
	Failed      int             `json:"failed"`       // requests without a response, or with a status from 400; a favicon that nobody named does not count
	Skipped     int             `json:"skipped"`      // assets beyond the most that are loaded for a page
	Cached      int             `json:"cached"`       // requests that the cache answered, asking the server or not
	Bytes       int64           `json:"bytes"`        // of all bodies that came over the network
	Proto       string          `json:"proto"`        // of the page: HTTP/1.1 or HTTP/2
	Milestones  Milestones      `json:"milestones"`
	Duration    float64         `json:"duration_s"`
	Error       *Failure        `json:"error,omitempty"` // why there is no page, or not all of it
}

// Milestones are moments of a page load, in seconds since its start; 0: it did not come to that.
type Milestones struct {
	FirstByte        float64 `json:"first_byte_s"`
	Parsed           float64 `json:"parsed_s"`
	DOMContentLoaded float64 `json:"dom_content_loaded_s"`
	Load             float64 `json:"load_s"`
}

// Fetch is one request and what came of it. Times are seconds; Start counts from the start of the page load, the others
// are lengths.
type Fetch struct {
	URL          string   `json:"url"`
	Method       string   `json:"method"`
	Destination  string   `json:"destination"` // document, style, script, image, font, iframe, icon, audio, video, track, manifest, object, embed, fetch
	Initiator    string   `json:"initiator"`   // URL of the document or style sheet that names it; "browser": nothing names it; empty: typed
	Priority     int      `json:"priority"`    // urgency (RFC 9218): 0 goes first
	Status       int      `json:"status"`
	Type         string   `json:"type"`               // basic: of the page's origin; cors: of another one, which allows it; opaque: shown, but not to be read
	Proto        string   `json:"proto"`              // HTTP/1.1 or HTTP/2
	MIME         string   `json:"mime"`               // of the body
	From         string   `json:"from"`               // network, cache, or revalidated: the cache's, which the server confirmed
	Redirect     string   `json:"redirect,omitempty"` // where the response sends the browser
	Blocked      string   `json:"blocked,omitempty"`  // the rule of the web that forbids it: mixed-content, cors, nosniff …
	Size         int64    `json:"size"`               // of the body on the wire
	Decoded      int64    `json:"decoded_size"`       // behind its content coding
	Remote       string   `json:"remote"`             //
	Local        string   `json:"local"`              //
	Connection   string   `json:"connection"`         // tells the connections of a browser apart
	Reused       bool     `json:"reused"`             // went over a connection that was there
	CachedLookup bool     `json:"cached_lookup"`      // the resolver had the name in its cache
	ThirdParty   bool     `json:"third_party"`        //
	Cookies      []string `json:"cookies"`            // names sent
	Start        float64  `json:"start_s"`            //
	Queued       float64  `json:"queued_s"`           // waited for a connection
	Lookup       float64  `json:"lookup_s"`           //
	Connect      float64  `json:"connect_s"`          //
	TLS          float64  `json:"tls_s"`              //
	TTFB         float64  `json:"ttfb_s"`             // sent → first byte
	Receive      float64  `json:"receive_s"`          // first byte → last byte
	Duration     float64  `json:"duration_s"`         //
	Error        *Failure `json:"error,omitempty"`
}

// The phases in which a request can fail.
const (
	phaseURL      = "url"
	phaseRequest  = transport.PhaseRequest
	phaseResponse = transport.PhaseResponse
	phaseBlocked  = "blocked"
)

// Failure is why a request did not get its response.
type Failure struct {
	Phase   string `json:"phase"`            // url, lookup, connect, tls, request, response, blocked
	Errno   string `json:"errno"`            // the system's name of the error: ECONNREFUSED
	RCode   string `json:"rcode"`            // the name server's: NXDOMAIN
	Reason  string `json:"reason,omitempty"` // of phase tls: expired, wrong-name, untrusted …; of phase blocked: the rule
	Message string `json:"message"`          // what was tried and how it failed
	Meaning string `json:"meaning"`          // one plain sentence
}

// failure describes err, which ended a request in phase. limit is the time the page load had.
func failure(ctx context.Context, phase string, err error, limit time.Duration) *Failure {
	f := &Failure{Phase: phase, Errno: errno.Name(err), Message: err.Error(), Meaning: errno.Meaning(err)}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		f.Errno = errno.Name(ctx.Err())
		f.Meaning = errno.Meaning(ctx.Err())
		f.Message = fmt.Sprintf("not done within %v", limit)
		return f
	}
	var network *transport.Error
	if errors.As(err, &network) {
		f.Reason = network.Reason
		f.Meaning = cmp.Or(network.Meaning, f.Meaning)
		if f.Meaning == "" && phase == phaseResponse {
			f.Meaning = "what came is no response by the rules of HTTP, so nothing of it is used"
		}
	}
	var refused *policy.Refusal
	if errors.As(err, &refused) {
		f.Reason, f.Meaning = refused.Rule, refused.Reason
	}
	switch {
	case errors.Is(err, policy.ErrBomb):
		f.Meaning = "a small body becomes a huge one when it is decompressed, which would fill the memory"
	case errors.Is(err, errTooManyRedirects):
		f.Meaning = "the servers send the browser from one address to the next without end"
	}
	if f.Meaning == "" {
		f.Meaning = inGeneral(phase, err)
	}
	var lookup *stub.Error
	if errors.As(err, &lookup) {
		f.RCode = lookup.RCode
		switch {
		case lookup.NotFound:
			f.Meaning = "no such name exists, or it has no address"
		case lookup.Timeout:
			f.Errno = "ETIMEDOUT"
			f.Meaning = "the name server did not answer in time"
		case lookup.RCode != "":
			f.Meaning = "the name server could not find the answer"
		}
	}
	return f
}

// inGeneral says in a sentence what it means that a request failed in a phase, where nothing more is known.
func inGeneral(phase string, err error) string {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the answer ended before it was complete"
	case phase == transport.PhaseLookup:
		return "the address that belongs to the name could not be found out"
	case phase == transport.PhaseConnect:
		return "no connection to the server came about"
	case phase == transport.PhaseTLS:
		return "the two ends did not agree on encryption"
	case phase == transport.PhaseRequest:
		return "the request could not be sent"
	}
	return "what the server sent cannot be understood, or is more than a browser takes"
}
