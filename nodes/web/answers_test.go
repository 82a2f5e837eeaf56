package web

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// wire makes a message of lines: heads end in CRLF.
func wire(lines ...string) string { return strings.Join(lines, "\r\n") }

// steady replaces what differs from run to run.
func steady(answer string) string {
	answer = regexp.MustCompile(`Date: [^\r]*`).ReplaceAllString(answer, date)
	return regexp.MustCompile(`Etag: "[0-9a-f]{16}"`).ReplaceAllString(answer, etag)
}

const (
	date = "Date: now"
	etag = "Etag: tag"
)

// R10: methods, status classes, common fields, static files and pages made for a request, errors as status lines.
func TestAnswers(t *testing.T) {
	const shop = `{"site": "shop"}`
	tests := []struct {
		name, options, request, want string
	}{
		{
			"file", shop, wire("GET /style.css HTTP/1.1", "Host: shop.example", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 5", "Content-Type: text/css; charset=utf-8",
				etag, "Server: scenario", date, "Connection: close", "", "h1 {}"),
		},
		{
			"HEAD of a file", shop, wire("HEAD /style.css HTTP/1.1", "Host: shop.example", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 5", "Content-Type: text/css; charset=utf-8",
				etag, "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"file that has not changed", shop,
			wire("GET /style.css HTTP/1.1", "Host: a", "If-None-Match: *", "Connection: close", "", ""),
			wire("HTTP/1.1 304 Not Modified", etag, "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"HTTP/1.0 without a Host", shop, wire("GET / HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 13", "Content-Type: text/html; charset=utf-8",
				etag, "Server: scenario", date, "", "<h1>Shop</h1>"),
		},
		{
			"missing file with a page of the site's", shop, wire("GET /nothing HTTP/1.1", "Host: a", "Connection: close", "", ""),
			wire("HTTP/1.1 404 Not Found", "Content-Length: 21", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				date, "Connection: close", "", "<h1>No such page</h1>"),
		},
		{
			"missing file without", `{"site": "other"}`, wire("GET /nothing HTTP/1.0", "", ""),
			wire("HTTP/1.0 404 Not Found", "Content-Length: 68", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"X-Site: other", date, "", "<!doctype html>\n<title>404 Not Found</title>\n<h1>404 Not Found</h1>\n"),
		},
		{
			"way out of the folder", shop, wire("HEAD /../other/index.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 404 Not Found", "Content-Length: 21", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				date, "", ""),
		},
		{
			"folder without its slash", shop, wire("HEAD /news HTTP/1.0", "", ""),
			wire("HTTP/1.0 301 Moved Permanently", "Content-Length: 84", "Content-Type: text/html; charset=utf-8",
				"Location: /news/", "Server: scenario", date, "", ""),
		},
		{
			"method that a file does not have", shop, wire("POST / HTTP/1.1", "Host: a", "Content-Length: 2", "Connection: close", "", "hi"),
			wire("HTTP/1.1 405 Method Not Allowed", "Allow: GET, HEAD", "Content-Length: 86",
				"Content-Type: text/html; charset=utf-8", "Server: scenario", date, "Connection: close", "",
				"<!doctype html>\n<title>405 Method Not Allowed</title>\n<h1>405 Method Not Allowed</h1>\n"),
		},
		{
			"method that a page does not have", shop, wire("DELETE /hello.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 405 Method Not Allowed", "Allow: GET, HEAD, POST", "Content-Length: 86",
				"Content-Type: text/html; charset=utf-8", "Server: scenario", date, "",
				"<!doctype html>\n<title>405 Method Not Allowed</title>\n<h1>405 Method Not Allowed</h1>\n"),
		},
		{
			"options of the server", shop, wire("OPTIONS * HTTP/1.1", "Host: a", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Allow: GET, HEAD, POST", "Content-Length: 0", "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"page from a template", shop,
			wire("POST /hello.html HTTP/1.1", "Host: Shop.example", "Cookie: visit=2; theme=dark", "Content-Type: application/x-www-form-urlencoded",
				"Content-Length: 9", "Connection: close", "", "name=%3C3"),
			wire("HTTP/1.1 200 OK", "Content-Length: 73", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"Set-Cookie: visit=3; Path=/; Max-Age=60", date, "Connection: close", "",
				"<p>POST /hello.html Shop.example 198.51.100.7 visit 3 of 1 &lt;3 dark</p>"),
		},
		{
			"template that fails", shop, wire("GET /broken.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 500 Internal Server Error", "Content-Length: 92", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				date, "", "<!doctype html>\n<title>500 Internal Server Error</title>\n<h1>500 Internal Server Error</h1>\n"),
		},
		{
			"cookie deleted, identifier made", shop, wire("GET /forget.html HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Content-Length: 16", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"Set-Cookie: visit=; Path=/; Max-Age=0", date, "", "58266ec7a4134f1d"),
		},
		{
			"redirect", `{"paths": {"/old": {"location": "http://new.example/"}}}`, wire("HEAD /old HTTP/1.0", "", ""),
			wire("HTTP/1.0 302 Found", "Content-Length: 60", "Content-Type: text/html; charset=utf-8", "Location: http://new.example/",
				"Server: scenario", date, "", ""),
		},
		{
			"redirect for good", `{"paths": {"/old": {"status": 308, "location": "/", "body": "moved"}}}`, wire("GET /old HTTP/1.0", "", ""),
			wire("HTTP/1.0 308 Permanent Redirect", "Content-Length: 5", "Content-Type: text/plain; charset=utf-8", "Location: /",
				"Server: scenario", date, "", "moved"),
		},
		{
			"status on purpose", `{"paths": {"/x/*": {"status": 204}, "/x/y*": {"status": 503, "body": "busy", "headers": {"Retry-After": "9"}}}}`,
			wire("GET /x/yz HTTP/1.1", "Host: a", "", "GET /x/a HTTP/1.1", "Host: a", "Connection: close", "", ""),
			wire("HTTP/1.1 503 Service Unavailable", "Content-Length: 4", "Content-Type: text/plain; charset=utf-8", "Retry-After: 9",
				"Server: scenario", date, "",
				"busyHTTP/1.1 204 No Content", "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"file of the scenario's before the site's", `{"site": "shop", "server": "", "files": {"/": "<b>mine</b>"}}`, wire("HEAD / HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 11", "Content-Type: text/html; charset=utf-8",
				etag, date, "", ""),
		},
		{
			"file with a media type", `{"files": {"/a": {"body": "{}", "content_type": "application/json"}}}`, wire("HEAD /a HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 2", "Content-Type: application/json",
				etag, "Server: scenario", date, "", ""),
		},
		{
			"virtual host", `{"site": "shop", "hosts": {"Other.example": "other"}}`, wire("HEAD / HTTP/1.1", "Host: other.example:80", "Connection: close", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 14", "Content-Type: text/html; charset=utf-8",
				etag, "Server: scenario", "X-Site: other", date, "Connection: close", "", ""),
		},
		{
			"address of the client", `{"site": "address"}`, wire("GET /whatever HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Content-Length: 13", "Content-Type: text/plain; charset=utf-8", "Server: scenario", date, "", "198.51.100.7\n"),
		},
		{
			"nothing asked for", `{}`, wire("HEAD / HTTP/1.0", "", ""),
			wire("HTTP/1.0 200 OK", "Accept-Ranges: bytes", "Content-Length: 103", "Content-Type: text/html; charset=utf-8",
				etag, "Server: scenario", date, "", ""),
		},
		{
			"keep-alive off", `{"site": "shop", "keep_alive": false}`, wire("HEAD /style.css HTTP/1.1", "Host: a", "", ""),
			wire("HTTP/1.1 200 OK", "Accept-Ranges: bytes", "Content-Length: 5", "Content-Type: text/css; charset=utf-8",
				etag, "Server: scenario", date, "Connection: close", "", ""),
		},
		{
			"close on purpose", `{"paths": {"/*": {"close": true, "body": "bye"}}}`, wire("GET / HTTP/1.1", "Host: a", "", ""),
			wire("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 3", "Content-Type: text/plain; charset=utf-8",
				"Server: scenario", date, "", "bye"),
		},
		{
			"body that is asked for first", shop, wire("POST /hello.html HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 1", "Connection: close", "", "x"),
			wire("HTTP/1.1 100 Continue", "", "HTTP/1.1 200 OK", "Content-Length: 53", "Content-Type: text/html; charset=utf-8", "Server: scenario",
				"Set-Cookie: visit=1; Path=/; Max-Age=60", date, "Connection: close", "",
				"<p>POST /hello.html a 198.51.100.7 visit 1 of 1  </p>"),
		},
		{
			"body that is too large", shop, wire("POST / HTTP/1.1", "Host: a", "Content-Length: 2000000", "", strings.Repeat("x", maxBody+1)),
			wire("HTTP/1.1 413 Request Entity Too Large", "Connection: close", "Content-Length: 98", "Content-Type: text/html; charset=utf-8",
				"Server: scenario", date, "",
				"<!doctype html>\n<title>413 Request Entity Too Large</title>\n<h1>413 Request Entity Too Large</h1>\n"),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				l.serve(t, test.options)
				if diff := cmp.Diff(test.want, steady(l.talk(t, test.request))); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			})
		})
	}
}
