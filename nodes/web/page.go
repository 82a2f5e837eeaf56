package web

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
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

	User     string            // who is logged in; empty: nobody
	Session  string            // the session's id
	CSRF     string            // the token that a form of the session brings as its field "csrf"
	Settings map[string]string // the user's

	handler *handler
	header  http.Header
	stream  func(wait time.Duration) error // sends what there is; nil: the page is sent when it is complete
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
func (p *page) Random() string { return p.handler.random() }

// Comments is the list of that name, oldest first; what is printed of it is escaped as everything is.
func (p *page) Comments(list string) ([]Comment, error) {
	if p.handler.data == nil {
		return nil, errors.New("no path of this server has comments")
	}
	return p.handler.data.comments(list)
}

// Pause sends what has been made of the page so far and waits: {{.Pause "200ms"}}. It returns nothing to print.
func (p *page) Pause(wait string) (string, error) {
	d, err := time.ParseDuration(wait)
	if err != nil {
		return "", err
	}
	if p.stream == nil {
		return "", errors.New("the path does not say stream: true, so that its page is sent when it is complete")
	}
	return "", p.stream(d)
}

// make answers with the page that a file's template makes for this request.
func (h *handler) make(from *peer, w http.ResponseWriter, r *http.Request, f *file, status int, path *Path) error {
	if err := r.ParseForm(); err != nil {
		sendPage(w, r, http.StatusBadRequest)
		return nil
	}
	p := &page{
		Request: r, Method: r.Method, URL: r.RequestURI, Path: r.URL.Path, Host: r.Host, RemoteAddr: clientOf(r),
		Cookies: make(map[string]string), Form: r.Form, Visit: 1, Served: f.served.Add(1),
		handler: h, header: w.Header(),
	}
	for _, cookie := range r.Cookies() {
		p.Cookies[cookie.Name] = cookie.Value
	}
	if visits, err := strconv.Atoi(p.Cookies["visit"]); err == nil && visits > 0 {
		p.Visit = visits + 1
	}
	if v := h.visitor(r); v.user != "" {
		p.User, p.Session, p.CSRF = v.user, v.session, v.csrf()
		var err error
		if p.Settings, err = h.data.settings(v.user); err != nil {
			sendPage(w, r, http.StatusInternalServerError)
			return err
		}
	}
	if path.Stream && r.Method != http.MethodHead {
		return p.send(from, w, f, status)
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

// send sends the page while it is made. What fails then cannot be answered any more: the response ends before its end.
func (p *page) send(from *peer, w http.ResponseWriter, f *file, status int) error {
	begin := sync.OnceFunc(func() {
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", f.contentType)
		}
		w.WriteHeader(status)
	})
	var made bytes.Buffer
	p.stream = func(wait time.Duration) error {
		begin()
		_, err := w.Write(made.Bytes())
		made.Reset()
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		pause(from.ctx, wait)
		return err
	}
	err := f.page.Execute(&made, p)
	if err == nil {
		err = p.stream(0)
	}
	if err == nil {
		return nil
	}
	if from.ctx.Err() == nil { // else it is the client that went away
		from.log.Error("page failed", "url", p.URL, "error", err)
	}
	panic(http.ErrAbortHandler)
}
