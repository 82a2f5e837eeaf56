package web

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// page is what a template sees: the request, and a way to set cookies before the response begins.
type page struct {
	Request    *http.Request
	Method     string
	URL        string // as on the wire
	Path       string
	Host       string // as the client wrote it, with its port
	RemoteAddr string // the client's IP address, as the server sees it
	Cookies    map[string]string
	Form       url.Values // of the query and of a form's body
	Visit      int        // which visit this is, by the cookie "visit" that counts the earlier ones; 1 is the first
	Served     int64      // how often the server has made this page, this time included

	random func() string
	header http.Header
}

// SetCookie sets a cookie; attributes are written as in the Set-Cookie field: "Max-Age=3600", "HttpOnly". It returns nothing
// to print.
func (p *page) SetCookie(name string, value any, attributes ...string) (string, error) {
	line := strings.Join(append([]string{name + "=" + fmt.Sprint(value)}, attributes...), "; ")
	cookie, err := http.ParseSetCookie(line)
	if err == nil {
		err = cookie.Valid()
	}
	if err != nil {
		return "", fmt.Errorf("cookie %q: %w", line, err)
	}
	if len(cookie.Unparsed) > 0 {
		return "", fmt.Errorf("cookie %q: no such attribute: %s", line, cookie.Unparsed[0])
	}
	p.header.Add("Set-Cookie", line)
	return "", nil
}

// DeleteCookie deletes a cookie that was set for the path /.
func (p *page) DeleteCookie(name string) (string, error) {
	return p.SetCookie(name, "", "Path=/", "Max-Age=0")
}

// Random is a new identifier, from the node's randomness.
func (p *page) Random() string { return p.random() }

// make answers with the page that the file's template makes for this request.
func (f *file) make(w http.ResponseWriter, r *http.Request, status int, random func() string) error {
	if err := r.ParseForm(); err != nil {
		sendPage(w, r, http.StatusBadRequest)
		return nil
	}
	p := &page{
		Request: r, Method: r.Method, URL: r.RequestURI, Path: r.URL.Path, Host: r.Host, RemoteAddr: clientOf(r),
		Cookies: make(map[string]string), Form: r.Form, Visit: 1, Served: f.served.Add(1),
		random: random, header: w.Header(),
	}
	for _, cookie := range r.Cookies() {
		p.Cookies[cookie.Name] = cookie.Value
	}
	if visits, err := strconv.Atoi(p.Cookies["visit"]); err == nil && visits > 0 {
		p.Visit = visits + 1
	}
	var body bytes.Buffer
	if err := f.page.Execute(&body, p); err != nil {
		w.Header().Del("Set-Cookie")
		sendPage(w, r, http.StatusInternalServerError)
		return err
	}
	send(w, r, status, f.contentType, body.Bytes())
	return nil
}
