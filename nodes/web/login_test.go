package web

import (
	"bufio"
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"scenario/host/hosttest/memnet"
)

// kept is a host that keeps files, as those of engines do.
type kept struct {
	*memnet.Host
	mu    sync.Mutex
	files map[string][]byte
}

func (k *kept) ReadFile(name string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if content, found := k.files[name]; found {
		return content, nil
	}
	return nil, fs.ErrNotExist
}

func (k *kept) WriteFile(name string, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files[name] = data
	return nil
}

// people is a server with accounts, and a way to ask it.
type people struct {
	t    *testing.T
	net  *memnet.Net
	host *kept
	stop func()
}

const peopleOptions = `{
	"accounts": {"ann": "secret"},
	"files": {
		"/login.html": "<form method=post></form>",
		"/private.tmpl.html": "Hello {{.User}}, {{.Settings.theme}} {{.CSRF}}",
		"/book.tmpl.html": "{{range .Comments \"book\"}}<p>{{.User}}: {{.Text}}</p>{{end}}"
	},
	"paths": {
		"/login.html": {"login": {"to": "/private.html"}},
		"/logout": {"logout": {"to": "/bye"}},
		"/private.html": {"require": "login"},
		"/settings": {"settings": ["theme", "lang"]},
		"/comments": {"comments": "book"}
	}}`

func newPeople(t *testing.T) *people {
	n := memnet.New()
	p := &people{t: t, net: n, host: &kept{Host: n.Host("server", "192.0.2.80"), files: make(map[string][]byte)}}
	p.start()
	return p
}

// start starts the server, on what it left behind.
func (p *people) start() {
	p.t.Helper()
	made, err := Kind(testSites()).New(json.RawMessage(peopleOptions))
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- made.Serve(ctx, p.host, func() { close(ready) }) }()
	<-ready
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(p.stop)
}

// reply is what came back.
type reply struct {
	status                 int
	location, cookie, body string
}

// ask sends one request on a connection of its own; fields are header lines.
func (p *people) ask(method, path, body string, fields ...string) reply {
	p.t.Helper()
	c, err := p.net.Host("10.0.0.1", "10.0.0.1").Dial(p.t.Context(), "tcp", "192.0.2.80:80")
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	request, err := http.NewRequest(method, "http://shop.example"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Close = true
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(body, "{") {
			request.Header.Set("Content-Type", "application/json")
		}
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	return p.exchange(c, request)
}

func (p *people) exchange(c net.Conn, request *http.Request) reply {
	p.t.Helper()
	if err := request.Write(c); err != nil {
		p.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), request)
	if err != nil {
		p.t.Fatal(err)
	}
	var body strings.Builder
	if _, err := bufio.NewReader(response.Body).WriteTo(&body); err != nil {
		p.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header.Get("Location"), response.Header.Get("Set-Cookie"), body.String()}
}

// R6: a login is kept in a session, and whoever has none is sent to the login, and back from there.
func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeople(t)
		want := func(got reply, status int, location string) {
			t.Helper()
			if got.status != status || got.location != location {
				t.Errorf("got %+v, want %d and location %q", got, status, location)
			}
		}
		want(p.ask("GET", "/private.html?a=1", "", "Accept: text/html"), 303, "/login.html?next=%2Fprivate.html%3Fa%3D1")
		want(p.ask("GET", "/private.html", "", "Accept: application/json"), 401, "")
		want(p.ask("GET", "/private.html", "", "Accept: text/html", "Sec-Fetch-Mode: cors"), 401, "")
		want(p.ask("POST", "/login.html", "user=ann&password=wrong"), 401, "")
		want(p.ask("POST", "/login.html", "user=bob&password="), 401, "")
		want(p.ask("POST", "/login.html", "user=ann&password=secret", "Sec-Fetch-Site: cross-site"), 403, "")
		want(p.ask("POST", "/login.html", "user=ann&password=secret", "Origin: http://evil.example"), 403, "")
		want(p.ask("POST", "/login.html?next=/private.html%3Fa=1", "user=ann&password=secret"), 303, "/private.html?a=1")
		for _, elsewhere := range []string{"//evil.example", "http://evil.example/", "/\\evil.example", "/%09/evil.example", "x"} {
			want(p.ask("POST", "/login.html?next="+elsewhere, "user=ann&password=secret"), 303, "/private.html")
		}
		in := p.ask("POST", "/login.html", `{"user": "ann", "password": "secret"}`)
		want(in, 200, "")
		session, attributes, _ := strings.Cut(in.cookie, "; ")
		if attributes != "Path=/; HttpOnly; SameSite=Lax" || len(session) < len("session=")+32 {
			t.Errorf("cookie %q", in.cookie)
		}
		cookie := "Cookie: " + session
		page := p.ask("GET", "/private.html", "", cookie)
		token := strings.TrimPrefix(page.body, "Hello ann,  ")
		if page.status != 200 || len(token) != 32 {
			t.Errorf("page %+v", page)
		}
		want(p.ask("POST", "/settings", "theme=dark&csrf=guessed", cookie), 403, "")
		want(p.ask("POST", "/settings", "theme=dark&other=x&csrf="+token, cookie), 303, "/")
		want(p.ask("POST", "/settings", "theme=light"), 401, "")
		if got := p.ask("GET", "/settings", "", cookie); got.body != `{"theme":"dark"}`+"\n" {
			t.Errorf("settings %+v", got)
		}

		p.stop()
		p.start()
		if got := p.ask("GET", "/private.html", "", cookie); got.body != "Hello ann, dark "+token {
			t.Errorf("after a restart: %+v", got)
		}
		want(p.ask("GET", "/logout", "", cookie), 405, "")
		want(p.ask("POST", "/logout", "", cookie), 303, "/bye")
		want(p.ask("GET", "/private.html", "", cookie), 401, "")
	})
}

// R7: comments are kept in the server's database, whatever is in them, and are there after a restart.
func TestComments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeople(t)
		const nasty = `'); DROP TABLE comments; --`
		steps := []struct {
			body   string
			fields []string
			status int
		}{
			{"name=bob&text=%3Cb%3Ehi%3C/b%3E", nil, 303},
			{`{"name": "` + nasty + `", "text": "` + nasty + `"}`, nil, 201},
			{"name=bob&text=", nil, 422},
			{"name=bob&text=" + strings.Repeat("x", maxComment+1), nil, 422},
			{"name=bob&text=x", []string{"Sec-Fetch-Site: cross-site"}, 403},
			{`{"text": 1}`, nil, 400},
		}
		for _, step := range steps {
			if got := p.ask("POST", "/comments", step.body, step.fields...); got.status != step.status {
				t.Errorf("%.40s: %+v, want %d", step.body, got, step.status)
			}
		}
		p.stop()
		p.start()
		var got []Comment
		if err := json.Unmarshal([]byte(p.ask("GET", "/comments", "").body), &got); err != nil {
			t.Fatal(err)
		}
		want := []Comment{{1, "bob", "<b>hi</b>", "2000-01-01T00:00:00Z"}, {2, nasty, nasty, "2000-01-01T00:00:00Z"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("comments (-want +got):\n%s", diff)
		}
		page := p.ask("GET", "/book.html", "").body
		if !strings.Contains(page, "<p>bob: &lt;b&gt;hi&lt;/b&gt;</p>") || !strings.Contains(page, "DROP TABLE") {
			t.Errorf("page %q", page)
		}
		if got := p.ask("DELETE", "/comments", ""); got.status != 405 {
			t.Errorf("DELETE: %+v", got)
		}
	})
}
