package web

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scenario/internal/needs"
)

// strictCase is a message of llhttp's tests and whether llhttp in its strict mode takes it.
type strictCase struct {
	page, title, message string
	valid                bool
}

// strictCases reads the messages that are for requests without leniency.
func strictCases(t *testing.T) []strictCase {
	pages, err := filepath.Glob(filepath.Join(needs.Conformance(t, "http1", "request"), "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no messages: %v", err)
	}
	section := regexp.MustCompile("(?s)\n#+ ([^\n]*)\n")
	block := regexp.MustCompile("(?s)<!-- *meta=(\\{[^\n]*\\}) *-->\n+```http\n(.*?)\n```\n.*?```log\n(.*?)\n```")
	failure := regexp.MustCompile(`error code=(\d+)`)
	var cases []strictCase
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		titles := section.FindAllStringSubmatchIndex(string(text), -1)
		for _, at := range block.FindAllStringSubmatchIndex(string(text), -1) {
			part := func(i int) string { return string(text[at[2*i]:at[2*i+1]]) }
			if !regexp.MustCompile(`"type": *"request"`).MatchString(part(1)) {
				continue
			}
			c := strictCase{page: strings.TrimSuffix(filepath.Base(page), ".md"), message: unfold(part(2)), valid: true}
			for _, title := range titles {
				if title[0] < at[0] {
					c.title = string(text[title[2]:title[3]])
				}
			}
			if code := failure.FindStringSubmatch(part(3)); code != nil {
				c.valid = code[1] == "22" // it stops at CONNECT and Upgrade, which are in order
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// unfold makes the bytes of a message as it stands on a page: lines end in CRLF but where one shows its own ends.
func unfold(text string) string {
	text = strings.ReplaceAll(text, "\\\n", "")
	text = strings.ReplaceAll(text, "\n", "\r\n")
	text = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t", `\f`, "\f").Replace(text)
	return regexp.MustCompile(`\\x([0-9a-f]{2})`).ReplaceAllStringFunc(text, func(escape string) string {
		var b byte
		for _, digit := range []byte(escape[2:]) {
			b = b<<4 | byte(strings.IndexByte("0123456789abcdef", digit))
		}
		return string([]byte{b})
	})
}

// withHost adds the Host field that HTTP/1.1 must have (RFC 9112, section 3.2) and llhttp does not ask for.
func withHost(message string) string {
	if regexp.MustCompile(`(?i)\r\nhost:`).MatchString(message) {
		return message
	}
	return regexp.MustCompile(`(?m)^([A-Z-]+ [^\r\n]* HTTP/1\.1\r\n)`).ReplaceAllString(message, "${1}Host: a\r\n")
}

// strictDifferences are the messages that the server answers and llhttp refuses, or the other way round, by a part of their
// titles, each with its reason.
var strictDifferences = map[string]string{
	"connection: No restart when keep-alive is off (1.0)":                                 whatFollows,
	"connection: CRLF between requests, explicit `close`":                                 whatFollows,
	"connection: CRLF between requests, explicit `close` followed by tab":                 whatFollows,
	"invalid: Invalid HTTP version":                                                       "the line has not ended; when it has, 505 is the answer",
	"method: CONNECT request":                                                             noTunnels,
	"method: CONNECT request with CAPS":                                                   noTunnels,
	"method: CONNECT with body":                                                           noTunnels,
	"uri: Underscore in hostname":                                                         noTunnels,
	"method: M-SEARCH request":                                                            "it is understood, and there is nothing at the target *: 404",
	"method: SOURCE request with ICE":                                                     "a web server does not speak ICE",
	"method: OPTIONS request with RTSP":                                                   "a web server does not speak RTSP",
	"method: ANNOUNCE request with RTSP":                                                  "a web server does not speak RTSP",
	"sample: No HTTP version":                                                             "HTTP/0.9 is no part of RFC 9112",
	"transfer-encoding: POST with `chunked` as last transfer-encoding":                    otherCodings,
	"transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)": otherCodings,
}

const (
	whatFollows  = "what follows the last request of a connection is not looked at (RFC 9112, section 9.6)"
	noTunnels    = "an origin server makes no tunnels: it understands the request and answers 405 (RFC 9110, section 9.3.6)"
	otherCodings = "it is understood, and answered with 501: the server has no other transfer coding than chunked (RFC 9112, section 6.1)"
)

// R10, R12: the server answers what is in order and refuses what is not.
func TestStrictRequests(t *testing.T) {
	cases := strictCases(t)
	if len(cases) < 100 {
		t.Fatalf("%d messages found, want more", len(cases))
	}
	right, listed := 0, 0
	used := make(map[string]bool)
	for _, c := range cases {
		var status int
		synctest.Test(t, func(t *testing.T) { status = strictAnswer(t, withHost(c.message)) })
		// A message that is not whole is neither refused nor answered.
		answered := status/100 == 2 || status == -1
		if answered == c.valid {
			right++
			continue
		}
		if reason, found := strictDifferences[c.page+": "+c.title]; found {
			listed++
			used[c.page+": "+c.title] = true
			t.Logf("%s: %s: status %d, valid for llhttp: %t: %s", c.page, c.title, status, c.valid, reason)
			continue
		}
		t.Errorf("%s: %s: %q: status %d, valid for llhttp: %t", c.page, c.title, c.message, status, c.valid)
	}
	for title := range strictDifferences {
		if !used[title] {
			t.Errorf("%s makes no difference", title)
		}
	}
	t.Logf("%d of %d messages as llhttp has it, %d differ for a reason", right, len(cases), listed)
}

// strictAnswer is the worst status with which the requests of a message were answered; 0: the connection ended without an
// answer; -1: the server waits for more.
func strictAnswer(t *testing.T, message string) int {
	l := newLab()
	_, stop := l.serve(t, `{"paths": {"/*": {"body": "ok"}}}`)
	defer stop()
	c := l.dial(t, "198.51.100.7")
	defer c.Close()
	go func() { _, _ = io.WriteString(c, message) }()
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	worst := 0
	if err != nil {
		worst = -1
	}
	for _, line := range regexp.MustCompile(`(?m)HTTP/1\.[01] (\d)(\d)(\d) `).FindAllSubmatch(answer, -1) {
		status := int(line[1][0]-'0')*100 + int(line[2][0]-'0')*10 + int(line[3][0]-'0')
		if status != http.StatusContinue {
			worst = max(worst, status)
		}
	}
	if bytes.Contains(answer, []byte("HTTP/1.1 200")) && worst == 0 {
		worst = http.StatusOK
	}
	return worst
}
