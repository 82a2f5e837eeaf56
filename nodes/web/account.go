package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// visitor is who a request comes from, as far as its session says.
type visitor struct {
	session string // the session's id; empty: there is none
	user    string
}

// sessionCookie is the name of the cookie that holds a session's id. Over TLS its prefix has browsers take it from this very
// host alone (RFC 6265bis, section 4.1.3.2).
func sessionCookie(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-session"
	}
	return "session"
}

// visitor finds out whose session a request belongs to.
func (h *handler) visitor(r *http.Request) visitor {
	cookie, err := r.Cookie(sessionCookie(r))
	if err != nil || h.data == nil || len(cookie.Value) > 64 {
		return visitor{}
	}
	user, err := h.data.user(cookie.Value, time.Now())
	if err != nil || user == "" {
		return visitor{}
	}
	return visitor{cookie.Value, user}
}

// csrf is the token that forms of a session bring, so that no other site can make them.
func (v visitor) csrf() string {
	if v.session == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("csrf " + v.session))
	return hex.EncodeToString(sum[:16])
}

// isAccount compares a password in a time that tells nothing of it.
func (h *handler) isAccount(user, password string) bool {
	want, found := h.options.Accounts[user]
	is, should := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(is[:], should[:]) == 1 && found
}

// input are the fields of a form or of a JSON object of texts.
func input(r *http.Request) (fields url.Values, isJSON bool, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, false, errors.New("the request has no Content-Type")
	}
	if kind != "application/json" {
		if kind == "multipart/form-data" {
			err = r.ParseMultipartForm(maxBody)
		} else {
			err = r.ParseForm()
		}
		return r.PostForm, false, err
	}
	var object map[string]string
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		return nil, true, err
	}
	fields = make(url.Values)
	for name, value := range object {
		fields.Set(name, value)
	}
	return fields, true, nil
}

// posted reads what a person sends to change something, and answers itself where that must not be: from another site, or
// without the token of the session where the form has one.
func (h *handler) posted(w http.ResponseWriter, r *http.Request, v visitor) (fields url.Values, isJSON, ok bool) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		sendPage(w, r, http.StatusForbidden)
		return nil, false, false
	}
	fields, isJSON, err := input(r)
	if err != nil {
		sendPage(w, r, http.StatusBadRequest)
		return nil, false, false
	}
	if token := fields.Get("csrf"); fields.Has("csrf") && subtle.ConstantTimeCompare([]byte(token), []byte(v.csrf())) != 1 {
		sendPage(w, r, http.StatusForbidden)
		return nil, false, false
	}
	return fields, isJSON, true
}

// login begins a session for who knows the password.
func (h *handler) login(from *peer, w http.ResponseWriter, r *http.Request, s *site, p *Path) {
	fields, isJSON, ok := h.posted(w, r, visitor{})
	if !ok {
		return
	}
	user := fields.Get("user")
	w.Header().Set("Cache-Control", "no-store")
	if !h.isAccount(user, fields.Get("password")) {
		h.refuseLogin(from, w, r, s, p, isJSON)
		return
	}
	id := h.random() + h.random()
	if err := h.data.begin(id, user, time.Now()); err != nil {
		h.log.Error("login failed", "error", err)
		sendPage(w, r, http.StatusInternalServerError)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie(r), Value: id, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
	if isJSON {
		sendJSON(w, r, http.StatusOK, map[string]string{"user": user})
		return
	}
	to := r.URL.Query().Get("next")
	if fields.Has("next") {
		to = fields.Get("next")
	}
	seeOther(w, r, to, p.Login.To)
}

// refuseLogin answers who does not know the password: 401 with the site's login page, where there is one.
func (h *handler) refuseLogin(from *peer, w http.ResponseWriter, r *http.Request, s *site, p *Path, isJSON bool) {
	// RFC 9110, section 11.6.1, wants a challenge: there is no scheme for forms.
	w.Header().Set("WWW-Authenticate", "Form")
	if isJSON {
		sendJSON(w, r, http.StatusUnauthorized, map[string]string{"error": "no such user, or another password"})
		return
	}
	switch f, _ := s.find(r.URL.Path); {
	case f == nil:
		sendPage(w, r, http.StatusUnauthorized)
	case f.page == nil:
		send(w, r, http.StatusUnauthorized, f.contentType, f.body)
	default:
		if err := h.make(from, w, r, f, http.StatusUnauthorized, p); err != nil {
			h.log.Error("page failed", "url", r.RequestURI, "error", err)
		}
	}
}

// logout ends the session.
func (h *handler) logout(w http.ResponseWriter, r *http.Request, p *Path) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		sendPage(w, r, http.StatusMethodNotAllowed)
		return
	}
	v := h.visitor(r)
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		sendPage(w, r, http.StatusForbidden)
		return
	}
	if v.session != "" {
		if err := h.data.end(v.session); err != nil {
			h.log.Error("logout failed", "error", err)
			sendPage(w, r, http.StatusInternalServerError)
			return
		}
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie(r), Path: "/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
	seeOther(w, r, "", p.Logout.To)
}

// seeOther goes on with a GET of a path of this site: that which the request names, else that of the scenario. Others are not
// gone to: a link to a login must not end at a stranger's (open redirect).
func seeOther(w http.ResponseWriter, r *http.Request, wanted, otherwise string) {
	if !isLocal(wanted) {
		wanted = otherwise
	}
	if wanted == "" {
		wanted = "/"
	}
	w.Header().Set("Location", wanted)
	send(w, r, http.StatusSeeOther, "", nil)
}

// isLocal says that a redirect to it stays on this host, whatever a browser makes of it: "//host", "/\host" and white space
// that browsers drop lead elsewhere.
func isLocal(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\t\r\n") {
		return false
	}
	u, err := url.Parse(path)
	return err == nil && u.Host == "" && u.Scheme == ""
}

// admit says whether a request may see a path; else it answers.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, s *site, p *Path) bool {
	if p.Require == "basic" {
		user, password, ok := r.BasicAuth()
		if ok && h.isAccount(user, password) {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="scenario", charset="UTF-8"`)
		sendPage(w, r, http.StatusUnauthorized)
		return false
	}
	w.Header().Set("Cache-Control", "private, no-store")
	if h.visitor(r).user != "" {
		return true
	}
	// A page is for a person, who can log in; a script cannot.
	mode := r.Header.Get("Sec-Fetch-Mode")
	person := (mode == "navigate" || mode == "" && strings.Contains(r.Header.Get("Accept"), "text/html")) && s.loginPath != ""
	if !person {
		w.Header().Set("WWW-Authenticate", "Form")
		sendPage(w, r, http.StatusUnauthorized)
		return false
	}
	seeOther(w, r, "", s.loginPath+"?next="+url.QueryEscape(r.URL.RequestURI()))
	return false
}

// settings keeps and shows what a user has chosen.
func (h *handler) settings(w http.ResponseWriter, r *http.Request, p *Path) {
	v := h.visitor(r)
	if v.user == "" {
		w.Header().Set("WWW-Authenticate", "Form")
		sendPage(w, r, http.StatusUnauthorized)
		return
	}
	var isJSON bool
	if r.Method == http.MethodPost {
		fields, asJSON, ok := h.posted(w, r, v)
		if !ok {
			return
		}
		isJSON = asJSON
		for _, name := range slices.Sorted(slices.Values(p.Settings)) {
			if value := fields.Get(name); fields.Has(name) && len(value) <= maxComment {
				if err := h.data.set(v.user, name, value); err != nil {
					h.log.Error("setting not kept", "error", err)
					sendPage(w, r, http.StatusInternalServerError)
					return
				}
			}
		}
		if !isJSON {
			seeOther(w, r, fields.Get("next"), "/")
			return
		}
	}
	kept, err := h.data.settings(v.user)
	if err != nil {
		h.log.Error("settings not read", "error", err)
		sendPage(w, r, http.StatusInternalServerError)
		return
	}
	sendJSON(w, r, http.StatusOK, kept)
}

// comments adds to a list, and shows it.
func (h *handler) comments(w http.ResponseWriter, r *http.Request, s *site, p *Path) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		all, err := h.data.comments(p.Comments)
		if err != nil {
			sendPage(w, r, http.StatusInternalServerError)
			return err
		}
		sendJSON(w, r, http.StatusOK, all)
		return nil
	case http.MethodPost:
	default:
		w.Header().Set("Allow", pageMethods)
		sendPage(w, r, http.StatusMethodNotAllowed)
		return nil
	}
	v := h.visitor(r)
	fields, isJSON, ok := h.posted(w, r, v)
	if !ok {
		return nil
	}
	text := strings.TrimSpace(fields.Get("text"))
	name := v.user
	if name == "" {
		name = fields.Get("name")
	}
	if text == "" || len(text) > maxComment || len(name) > maxComment || !utf8.ValidString(text) || !utf8.ValidString(name) {
		sendPage(w, r, http.StatusUnprocessableEntity)
		return nil
	}
	added, err := h.data.addComment(p.Comments, name, text, time.Now())
	switch {
	case errors.Is(err, errFull):
		sendPage(w, r, http.StatusInsufficientStorage)
	case err != nil:
		sendPage(w, r, http.StatusInternalServerError)
		return err
	case isJSON:
		sendJSON(w, r, http.StatusCreated, added)
	default:
		back, err := url.Parse(r.Referer())
		if err != nil || back.Host != r.Host {
			back = &url.URL{Path: "/"}
		}
		seeOther(w, r, fields.Get("next"), back.RequestURI())
	}
	return nil
}
