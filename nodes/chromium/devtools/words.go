package devtools

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/chromedp/cdproto/network"

	"scenario/event"
)

// Failure is why a request did not get its response.
type Failure struct {
	Phase   string `json:"phase"`            // lookup, connect, tls, request, response, blocked
	Errno   string `json:"errno"`            // the system's name of the error, where Chromium's stands for one: ECONNREFUSED
	RCode   string `json:"rcode"`            // empty: Chromium does not tell what the name server said
	Reason  string `json:"reason,omitempty"` // of phase tls: expired, wrong-name, untrusted …; of phase blocked: the rule
	Message string `json:"message"`          // Chromium's name of the error: net::ERR_CONNECTION_REFUSED
	Meaning string `json:"meaning"`          // one plain sentence
}

// The phases in which a request can fail.
const (
	phaseLookup   = "lookup"
	phaseConnect  = "connect"
	phaseTLS      = "tls"
	phaseRequest  = "request"
	phaseResponse = "response"
	phaseBlocked  = "blocked"
)

// netError is what an error of Chromium's network means
// (https://source.chromium.org/chromium/chromium/src/+/main:net/base/net_error_list.h).
type netError struct{ name, phase, errno, meaning string }

// netErrors are those that are met; a name that ends in _ stands for all that begin so.
func netErrors() []netError {
	return []netError{
		{"NAME_NOT_RESOLVED", phaseLookup, "", "no such name exists, or it has no address"},
		{"NAME_", phaseLookup, "", "the name could not be looked up"},
		{"DNS_", phaseLookup, "", "the name server did not answer as it should"},
		{"CONNECTION_REFUSED", phaseConnect, "ECONNREFUSED", "nobody listens on that port"},
		{"CONNECTION_TIMED_OUT", phaseConnect, "ETIMEDOUT", "no answer came to the attempts to connect"},
		{"CONNECTION_FAILED", phaseConnect, "", "no connection could be made"},
		{"ADDRESS_UNREACHABLE", phaseConnect, "EHOSTUNREACH", "no way leads to the address"},
		{"ADDRESS_INVALID", phaseConnect, "", "nobody can be at that address"},
		{"INTERNET_DISCONNECTED", phaseConnect, "ENETUNREACH", "the node has no route to the address"},
		{"UNSAFE_PORT", phaseBlocked, "", "browsers do not speak HTTP to that port, which belongs to another protocol"},
		{"CERT_DATE_INVALID", phaseTLS, "", "the certificate is no longer, or not yet, valid"},
		{"CERT_COMMON_NAME_INVALID", phaseTLS, "", "the certificate is for another name"},
		{"CERT_AUTHORITY_INVALID", phaseTLS, "", "nobody whom the browser trusts vouches for the certificate"},
		{"CERT_", phaseTLS, "", "the certificate is not one that the browser takes"},
		{"SSL_VERSION_OR_CIPHER_MISMATCH", phaseTLS, "", "browser and server know no version or cipher in common"},
		{"SSL_PROTOCOL_ERROR", phaseTLS, "", "the server does not speak TLS there"},
		{"SSL_", phaseTLS, "", "browser and server could not agree on encryption"},
		{"CONNECTION_RESET", phaseResponse, "ECONNRESET", "the other end reset the connection"},
		{"CONNECTION_CLOSED", phaseResponse, "", "the other end closed the connection before its response was complete"},
		{"CONNECTION_ABORTED", phaseResponse, "ECONNABORTED", "the connection was given up"},
		{"EMPTY_RESPONSE", phaseResponse, "", "the server closed the connection without a word"},
		{"CONTENT_LENGTH_MISMATCH", phaseResponse, "", "the connection ended before as many bytes had come as the response promised"},
		{"INCOMPLETE_CHUNKED_ENCODING", phaseResponse, "", "the connection ended before the last chunk had come"},
		{"INVALID_CHUNKED_ENCODING", phaseResponse, "", "the chunks of the response are not cut as they should be"},
		{"INVALID_HTTP_RESPONSE", phaseResponse, "", "what the server sent is no response"},
		{"INVALID_RESPONSE", phaseResponse, "", "what the server sent is no response"},
		{"RESPONSE_HEADERS_TOO_BIG", phaseResponse, "", "the head of the response is too large"},
		{"CONTENT_DECODING_FAILED", phaseResponse, "", "the body is not coded as the response says"},
		{"HTTP2_", phaseResponse, "", "the server broke the rules of HTTP/2"},
		{"TOO_MANY_REDIRECTS", phaseResponse, "", "the servers send the browser from one address to the next without end"},
		{"UNSAFE_REDIRECT", phaseBlocked, "", "the response sends the browser where no page may send it"},
		{"TIMED_OUT", phaseResponse, "ETIMEDOUT", "no answer came in time"},
		{"ABORTED", phaseResponse, "", "the browser gave the request up: the page went away, or did not need it any more"},
		{"BLOCKED_", phaseBlocked, "", "a rule of the web forbids to load or show it"},
		{"NETWORK_", phaseConnect, "", "the network changed or does not let the browser through"},
	}
}

// failure explains an error of Chromium's network by its name, such as net::ERR_CONNECTION_REFUSED.
func failure(text string) *Failure {
	f := &Failure{Phase: phaseResponse, Message: bounded(text), Meaning: "the request failed"}
	name := strings.TrimPrefix(text, "net::ERR_")
	for _, e := range netErrors() {
		if name == e.name || strings.HasSuffix(e.name, "_") && strings.HasPrefix(name, e.name) {
			f.Phase, f.Errno, f.Meaning = e.phase, e.errno, e.meaning
			break
		}
	}
	return f
}

func phase(text string) string { return failure(text).Phase }

// failureOf says why a request failed.
func failureOf(x *exchange) *Failure {
	f := failure(x.failed.ErrorText)
	switch {
	case x.failed.CorsErrorStatus != nil:
		f.Phase, f.Reason, f.Meaning = phaseBlocked, "cors", corsReason(x.failed.CorsErrorStatus)
	case x.failed.BlockedReason != "":
		f.Phase, f.Reason, f.Meaning = phaseBlocked, bounded(string(x.failed.BlockedReason)), blockReason(x.failed.BlockedReason)
		f.Message = cmp.Or(f.Message, "blocked: "+f.Reason)
	}
	return f
}

// handshakeFailure is a handshake that ended in an error of the certificate or of the protocol.
func (t *telling) handshakeFailure(x *exchange, f *Fetch) event.TLSHandshake {
	e := event.TLSHandshake{
		Side: event.SideClient, Local: f.Local, Remote: f.Remote, ServerName: serverName(f.URL),
		Error: f.Error.Message, Meaning: f.Error.Meaning, Reason: "handshake",
	}
	c := t.load.certificate
	if c != nil && c.CertificateNetworkError == f.Error.Message && t.load.isPage(x) {
		e.Version, e.Cipher, e.Group = c.Protocol, c.Cipher, cmp.Or(c.KeyExchangeGroup, c.KeyExchange)
		e.Subject, e.Issuer = bounded(c.SubjectName), bounded(c.Issuer)
		e.NotBefore, e.NotAfter = date(float64(c.ValidFrom)), date(float64(c.ValidTo))
	} else {
		c = nil
	}
	switch strings.TrimPrefix(x.failed.ErrorText, "net::ERR_") {
	case "CERT_DATE_INVALID":
		e.Reason = "expired"
		if c != nil && float64(c.ValidFrom) > float64(t.load.start.Unix()) {
			e.Reason = "not-yet-valid"
		}
	case "CERT_COMMON_NAME_INVALID":
		e.Reason = "wrong-name"
	case "CERT_AUTHORITY_INVALID":
		e.Reason = "untrusted"
	}
	f.Error.Reason = e.Reason
	return e
}

// connectionName tells the connections of a browser apart.
func connectionName(r *network.Response) string { return strconv.FormatInt(whole(r.ConnectionID), 10) }

// rules tells of rules of the web, and of the cache, that had a part in a request.
func (t *telling) rules(x *exchange, f *Fetch, below *told) {
	at := t.load.wall(max(x.end, x.sent.Timestamp.Float64()))
	switch f.From {
	case "cache":
		reason := "the cache has it and it is fresh"
		if x.cached {
			reason = "the page has loaded it already, and keeps it in memory"
		}
		t.add(at, below, event.HTTPCache{URL: f.URL, Result: "hit", Reason: reason})
	case "revalidated":
		t.add(at, below, event.HTTPCache{URL: f.URL, Result: "revalidated", Reason: "the server says that what the cache has is still right (304)"})
	}
	t.cors(x, f, below)
	if x.failed == nil {
		return
	}
	rule, reason := "", ""
	switch b := x.failed.BlockedReason; {
	case b != "" && b != network.BlockedReasonOther:
		rule, reason = string(b), blockReason(b)
	case x.failed.ErrorText == "net::ERR_BLOCKED_BY_RESPONSE":
		rule, reason = "response", "the response forbids that this page shows it"
		if headers := answerFields(x); field(headers, "X-Frame-Options") != "" {
			rule, reason = "x-frame-options", "the response forbids to show it in this page's frame: X-Frame-Options: "+field(headers, "X-Frame-Options")
		}
		if policy := field(answerFields(x), "Content-Security-Policy"); strings.Contains(policy, "frame-ancestors") {
			rule, reason = "frame-ancestors", "the response forbids to show it in this page's frame: Content-Security-Policy: "+policy
		}
	case x.failed.ErrorText == "net::ERR_BLOCKED_BY_CSP":
		rule, reason = "csp", blockReason(network.BlockedReasonCsp)
	case x.failed.ErrorText == "net::ERR_BLOCKED_BY_ORB":
		rule, reason = "orb", "a page of another origin may not have this kind of answer in that place (opaque response blocking)"
	}
	if rule != "" {
		f.Error.Reason = bounded(rule)
		t.add(at, below, event.PageBlock{Page: t.owner(x), URL: f.URL, Rule: bounded(rule), Reason: bounded(reason)})
	}
}

func answerFields(x *exchange) network.Headers {
	if x.answer != nil {
		return x.answer.Headers
	}
	if x.response != nil {
		return x.response.Headers
	}
	return nil
}

// cors tells whether a page may see the answer of another origin.
func (t *telling) cors(x *exchange, f *Fetch, below *told) {
	origin := t.load.said(x, "Origin")
	e := event.CORSCheck{URL: f.URL, Origin: bounded(origin), Mode: "cors", Preflight: f.Destination == destPreflight}
	if e.Preflight {
		e.Mode = "preflight"
	}
	at := t.load.wall(max(x.end, x.sent.Timestamp.Float64()))
	switch {
	case x.failed != nil && x.failed.CorsErrorStatus != nil:
		e.Reason = corsReason(x.failed.CorsErrorStatus)
	case x.failed == nil && origin != "" && x.response != nil && x.next == "" && field(answerFields(x), "Access-Control-Allow-Origin") != "":
		e.Allowed = true
		e.Reason = bounded("the answer allows it: Access-Control-Allow-Origin: " + field(answerFields(x), "Access-Control-Allow-Origin"))
	default:
		return
	}
	t.add(at, below, e)
}

// blockReason says in plain words why DevTools say that a request was blocked.
func blockReason(r network.BlockedReason) string {
	known := map[network.BlockedReason]string{
		network.BlockedReasonCsp:               "the page's Content-Security-Policy does not allow it",
		network.BlockedReasonMixedContent:      "an encrypted page may not load this in plain",
		network.BlockedReasonOrigin:            "its origin may not have it",
		network.BlockedReasonIntegrity:         "its content is not what the page's integrity attribute says",
		network.BlockedReasonSubresourceFilter: "a filter of the browser's keeps it away",
		network.BlockedReasonContentType:       "its type is not one for that place, and the server forbids to guess (nosniff)",
		network.BlockedReasonCorpNotSameOrigin: "the server gives it to pages of its own origin alone (Cross-Origin-Resource-Policy)",
		network.BlockedReasonCorpNotSameSite:   "the server gives it to pages of its own site alone (Cross-Origin-Resource-Policy)",
	}
	return cmp.Or(known[r], "a rule of the web forbids to load it ("+bounded(string(r))+")")
}

// corsReason says in plain words why a page may not see an answer.
func corsReason(s *network.CorsErrorStatus) string {
	known := map[network.CorsError]string{
		network.CorsErrorMissingAllowOriginHeader:             "the answer has no Access-Control-Allow-Origin",
		network.CorsErrorAllowOriginMismatch:                  "Access-Control-Allow-Origin names another origin",
		network.CorsErrorWildcardOriginNotAllowed:             "with credentials, Access-Control-Allow-Origin must name the origin: * is not enough",
		network.CorsErrorMultipleAllowOriginValues:            "Access-Control-Allow-Origin names more than one origin",
		network.CorsErrorInvalidAllowOriginValue:              "Access-Control-Allow-Origin holds no origin",
		network.CorsErrorInvalidAllowCredentials:              "with credentials, Access-Control-Allow-Credentials must be true",
		network.CorsErrorPreflightMissingAllowOriginHeader:    "the answer to the question beforehand has no Access-Control-Allow-Origin",
		network.CorsErrorPreflightAllowOriginMismatch:         "the answer to the question beforehand allows another origin",
		network.CorsErrorPreflightInvalidStatus:               "the answer to the question beforehand has no status from 200 to 299",
		network.CorsErrorPreflightDisallowedRedirect:          "the question beforehand was redirected",
		network.CorsErrorMethodDisallowedByPreflightResponse:  "Access-Control-Allow-Methods does not name the method",
		network.CorsErrorHeaderDisallowedByPreflightResponse:  "Access-Control-Allow-Headers does not name a header field of the request",
		network.CorsErrorInvalidAllowMethodsPreflightResponse: "Access-Control-Allow-Methods cannot be read",
		network.CorsErrorInvalidAllowHeadersPreflightResponse: "Access-Control-Allow-Headers cannot be read",
		network.CorsErrorDisallowedByMode:                     "the page asked for an answer of its own origin alone",
	}
	reason := cmp.Or(known[s.CorsError], "the answer does not allow the page to see it ("+bounded(string(s.CorsError))+")")
	if s.FailedParameter != "" {
		reason += ": " + bounded(s.FailedParameter)
	}
	return reason
}

// reasons says in plain words why a cookie was not sent or stored.
func reasons[R ~string](all []R) string {
	var out []string
	for _, r := range all[:min(len(all), maxHops)] {
		out = append(out, cookieReason(string(r)))
	}
	return strings.Join(out, "; ")
}

func cookieReason(r string) string {
	known := map[string]string{
		"SecureOnly":                               "it is Secure, and the connection is not encrypted",
		"NotOnPath":                                "its Path does not cover the request's",
		"DomainMismatch":                           "its Domain does not cover the request's host",
		"SameSiteStrict":                           "SameSite=Strict, and the request comes from another site",
		"SameSiteLax":                              "SameSite=Lax, and the request comes from another site",
		"SameSiteUnspecifiedTreatedAsLax":          "it names no SameSite and so counts as Lax, and the request comes from another site",
		"SameSiteNoneInsecure":                     "SameSite=None needs Secure",
		"UserPreferences":                          "the browser's settings block cookies of third parties",
		"ThirdPartyPhaseout":                       "the browser's settings block cookies of third parties",
		"SyntaxError":                              "it is not written as a cookie is",
		"SchemeNotSupported":                       "the address's scheme has no cookies",
		"OverwriteSecure":                          "a connection that is not encrypted may not replace a Secure cookie",
		"InvalidDomain":                            "its Domain is not one that the host may set cookies for",
		"InvalidPrefix":                            "its name begins with __Secure- or __Host-, and it does not keep the rules of that",
		"NameValuePairExceedsMaxSize":              "name and value are longer than 4096 bytes",
		"DisallowedCharacter":                      "it holds a control character",
		"NoCookieContent":                          "it has neither name nor value",
		"PortMismatch":                             "it was set on another port",
		"SchemeMismatch":                           "it was set over another scheme",
		"AnonymousContext":                         "the frame has no credentials",
		"SchemefulSameSiteStrict":                  "SameSite=Strict, and the request comes from another site, to which the scheme belongs",
		"SchemefulSameSiteLax":                     "SameSite=Lax, and the request comes from another site, to which the scheme belongs",
		"SchemefulSameSiteUnspecifiedTreatedAsLax": "it names no SameSite and so counts as Lax, and the request comes from another site, to which the scheme belongs",
	}
	return cmp.Or(known[r], fmt.Sprintf("Chromium's own reason (%s)", bounded(r)))
}
