package browser

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scenario/event"
)

// R7: a person logs in, writes a comment and goes back.
func TestForms(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	comments := ""
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch r.URL.Path {
		case "/":
			writePage(rw, `<!doctype html><link rel=icon href=data:,><title>Start</title><a href="/login">Log in</a><a href="/about">About <b>us</b></a>`)
		case "/login":
			if r.Method == http.MethodPost {
				http.SetCookie(rw, &http.Cookie{Name: "user", Value: r.FormValue("user")})
				rw.Header().Set("Origin-Was", r.Header.Get("Origin"))
				http.Redirect(rw, r, "/room", http.StatusSeeOther)
				return
			}
			writePage(rw, `<link rel=icon href=data:,><form method=post><label>Name: <input name=user></label><input type=password name=secret><button>Enter</button></form>`)
		case "/room":
			if c, err := r.Cookie("user"); err == nil {
				if r.Method == http.MethodPost {
					comments += c.Value + ": " + r.FormValue("text") + "\n"
				}
				writePage(rw, `<link rel=icon href=data:,><title>Room</title><pre>`+comments+`</pre><form name=say method=post><textarea name=text></textarea><input type=submit value=Say></form>`)
			}
		default:
			writePage(rw, `<link rel=icon href=data:,><title>About</title>`)
		}
	})
	w.run(`{}`, func(b *running) {
		if _, err := b.do("click", `{"text": "Log in"}`); err == nil {
			t.Error("without a page something was clicked")
		}
		b.browse("https://shop.example/")
		if got := result[*Result](b, "click", `{"text": "about us"}`); got.Title != "About" || got.Requests[0].Initiator != "https://shop.example/" {
			t.Errorf("about: %+v", got)
		}
		if got := result[*Result](b, "back", ``); got.Title != "Start" {
			t.Errorf("back: %+v", got)
		}
		result[*Result](b, "click", `{"selector": "a[href='/login']"}`)
		form := result[*FormResult](b, "fill", `{"field": "Name", "value": "ann"}`)
		if fmt.Sprint(form.Fields) != "[{user ann} {secret }]" {
			t.Errorf("the form: %+v", form)
		}
		result[*FormResult](b, "fill", `{"fields": {"secret": "rose"}}`)
		in := result[*Result](b, "click", `{"text": "Enter"}`)
		if in.Title != "Room" || in.URL != "https://shop.example/room" || in.Redirects != 1 || in.Requests[0].Method != "POST" || in.Requests[1].Method != "GET" {
			t.Fatalf("logged in: %+v", in)
		}
		said := result[*Result](b, "submit", `{"fields": {"text": "Hello & welcome"}}`)
		if !strings.Contains(said.Text, "ann: Hello & welcome") {
			t.Errorf("the room: %q", said.Text)
		}
		result[*Result](b, "submit", `{"fields": {"text": "Again"}}`)
		mu.Lock()
		before := comments
		mu.Unlock()
		if again := result[*Result](b, "back", ``); !strings.Contains(again.Text, "Hello & welcome") || strings.Contains(again.Text, "Again") || len(again.Requests) != 0 {
			t.Errorf("back to what a form has brought: %q", again.Text)
		}
		if comments != before {
			t.Errorf("back sent the form again: %q", comments)
		}
		for action, args := range map[string]string{
			"click": `{"text": "nothing"}`, "fill": `{"field": "nothing", "value": "x"}`, "submit": `{"form": "nothing"}`,
		} {
			if _, err := b.do(action, args); err == nil {
				t.Errorf("%s %s is no error", action, args)
			}
		}
	})
	var post event.HTTPRequest
	for _, r := range all[event.HTTPRequest](w) {
		if r.Method == "POST" && strings.HasSuffix(r.URL, "/login") {
			post = r
		}
	}
	if !strings.HasSuffix(post.Raw, "user=ann&secret=rose") || !strings.Contains(post.Raw, "origin: https://shop.example") {
		t.Errorf("the form was sent as %q", post.Raw)
	}
}

// R18: requests as scripts make them.
func TestFetchAction(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var asked []string
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api" {
			body, _ := io.ReadAll(r.Body)
			rw.Header().Set("X-Own", "1")
			fmt.Fprintf(rw, "%s %s %s %s", r.Method, r.Header.Get("Content-Type"), r.Header.Get("Sec-Fetch-Site"), body)
			return
		}
		http.SetCookie(rw, &http.Cookie{Name: "s", Value: "1"})
		writePage(rw, "<link rel=icon href=data:,>shop")
	})
	w.site("api.example", func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("Origin")+" "+r.Header.Get("Access-Control-Request-Headers"))
		mu.Unlock()
		h := rw.Header()
		switch r.URL.Path {
		case "/open":
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("X-Hidden", "1")
			h.Set("X-Shown", "1")
			h.Set("Access-Control-Expose-Headers", "X-Shown")
		case "/asked":
			h.Set("Access-Control-Allow-Origin", "https://shop.example")
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Allow-Methods", "PUT")
			h.Set("Access-Control-Allow-Headers", "content-type")
			h.Set("Access-Control-Max-Age", "60")
		case "/moved":
			h.Set("Access-Control-Allow-Origin", "*")
			http.Redirect(rw, r, "/open", http.StatusFound)
			return
		}
		if r.Method != http.MethodOptions {
			io.WriteString(rw, "data")
		}
	})
	w.run(`{}`, func(b *running) {
		if _, err := b.do("fetch", `{"url": "/api"}`); err == nil {
			t.Error("without a page something was fetched")
		}
		b.browse("https://shop.example/")
		fetch := func(args string) *FetchResult { t.Helper(); return result[*FetchResult](b, "fetch", args) }
		if got := fetch(`{"url": "/api", "method": "post", "json": {"a": 1}}`); got.Body != `POST application/json same-origin {"a": 1}` || got.Type != "basic" || got.Headers["x-own"] != "1" {
			t.Errorf("own origin: %+v", got)
		}
		got := fetch(`{"url": "https://api.example/open"}`)
		if got.Type != "cors" || got.Body != "data" || got.Headers["x-shown"] != "1" || got.Headers["x-hidden"] != "" {
			t.Errorf("open: %+v", got)
		}
		if got := fetch(`{"url": "https://api.example/shut"}`); got.Type != "error" || got.Body != "" || got.Error == nil || got.Error.Reason != "cors" {
			t.Errorf("shut: %+v", got)
		}
		if got := fetch(`{"url": "https://api.example/shut", "mode": "no-cors"}`); got.Type != "opaque" || got.Status != 0 || got.Body != "" || got.Error != nil {
			t.Errorf("opaque: %+v", got)
		}
		if got := fetch(`{"url": "https://api.example/open", "mode": "same-origin"}`); got.Error == nil || got.Error.Reason != "same-origin" {
			t.Errorf("same-origin: %+v", got)
		}
		if got := fetch(`{"url": "https://api.example/open", "credentials": "include"}`); got.Error == nil {
			t.Errorf("with cookies: %+v", got)
		}
		if got := fetch(`{"url": "https://api.example/moved"}`); !got.Redirected || got.URL != "https://api.example/open" {
			t.Errorf("moved: %+v %+v", got, got.Error)
		}
		if got := fetch(`{"url": "https://api.example/moved", "redirect": "error"}`); got.Error == nil {
			t.Errorf("moved, and that is an error: %+v", got)
		}
		if got := fetch(`{"url": "https://api.example/moved", "redirect": "manual"}`); got.Type != "opaqueredirect" || got.Status != 0 {
			t.Errorf("moved by hand: %+v", got)
		}
		mu.Lock()
		asked = nil
		mu.Unlock()
		put := `{"url": "https://api.example/asked", "method": "PUT", "json": [1], "credentials": "include"}`
		for range 2 {
			if got := fetch(put); got.Body != "data" || got.Error != nil {
				t.Errorf("asked: %+v %+v", got, got.Error)
			}
		}
		time.Sleep(2 * time.Minute)
		fetch(put)
		want := []string{
			"OPTIONS /asked https://shop.example content-type", "PUT /asked https://shop.example ", "PUT /asked https://shop.example ",
			"OPTIONS /asked https://shop.example content-type", "PUT /asked https://shop.example ",
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked %q", asked)
		}
		if got := fetch(`{"url": "https://api.example/asked", "method": "DELETE", "credentials": "include"}`); got.Error == nil || !strings.Contains(got.Error.Message, "DELETE") {
			t.Errorf("not allowed: %+v", got)
		}
		for _, args := range []string{
			`{"url": "/", "method": "TRACE"}`, `{"url": "/", "mode": "other"}`, `{"url": "/", "body": "x"}`, `{"url": "mailto:a@b.example"}`,
			`{"url": "/", "mode": "no-cors", "method": "PUT"}`, `{"url": "/", "headers": {"a b": "1"}}`, `{"url": "/", "cache": "only-if-cached"}`,
		} {
			if _, err := b.do("fetch", args); err == nil {
				t.Errorf("%s is no error", args)
			}
		}
	})
	preflights := 0
	for _, c := range all[event.CORSCheck](w) {
		if c.Preflight {
			preflights++
		}
	}
	if preflights != 3 {
		t.Errorf("%d preflights are told", preflights)
	}
}

// R13: downloads in parts, from the middle, and from servers that have no ranges.
func TestDownload(t *testing.T) {
	content := make([]byte, 100_000)
	for i := range content {
		content[i] = byte(i * i >> 3)
	}
	hash := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	w := newWorld(t)
	cut, changed := true, false
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/octet-stream")
		switch r.URL.Path {
		case "/none":
			rw.Header().Set("Accept-Ranges", "none")
			rw.Write(content)
		case "/ignores":
			rw.Header().Set("Content-Length", fmt.Sprint(len(content)))
			if r.Method != http.MethodHead {
				rw.Write(content)
			}
		case "/cut":
			rw.Header().Set("ETag", `"1"`)
			if changed && !cut {
				rw.Header().Set("ETag", `"2"`)
			}
			if cut && r.Header.Get("Range") == "" {
				rw.Header().Set("Content-Length", fmt.Sprint(len(content)))
				rw.Write(content[:40_000])
				panic(http.ErrAbortHandler)
			}
			http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
		default:
			rw.Header().Set("ETag", `"1"`)
			http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
		}
	})
	w.run(`{}`, func(b *running) {
		download := func(args string) *DownloadResult { t.Helper(); return result[*DownloadResult](b, "download", args) }
		for _, test := range []struct {
			args     string
			parts    int
			fallback bool
		}{
			{`"url": "http://shop.example/f"`, 1, false},
			{`"url": "http://shop.example/f", "parallel": 4`, 4, false},
			{`"url": "https://shop.example/f", "parallel": 4`, 4, false},
			{`"url": "http://shop.example/none", "parallel": 4`, 1, true},
			{`"url": "http://shop.example/ignores", "parallel": 4`, 1, true},
		} {
			got := download(`{` + test.args + `, "expect": "` + hash(content) + `"}`)
			if got.Error != nil || !got.Verified || len(got.Parts) != test.parts || got.Size != 100_000 || (got.Fallback != "") != test.fallback {
				t.Errorf("%s: %+v %+v", test.args, got, got.Error)
			}
			for i, p := range got.Parts {
				if p.Bytes != p.Last-p.First+1 || i > 0 && p.First != got.Parts[i-1].Last+1 || p.SHA256 != hash(content[p.First:p.Last+1]) {
					t.Errorf("%s: part %d is %+v", test.args, i, p)
				}
			}
		}
		got := download(`{"url": "http://shop.example/f", "ranges": "0-99,200-299,-50"}`)
		want := slices.Concat(content[:100], content[200:300], content[99_950:])
		if got.Error != nil || got.Status != 206 || len(got.Parts) != 3 || got.SHA256 != hash(want) || got.Whole != 100_000 {
			t.Errorf("ranges: %+v %+v", got, got.Error)
		}
		if got := download(`{"url": "http://shop.example/f", "ranges": "200000-"}`); got.Status != 416 || got.Error == nil || got.Whole != 100_000 {
			t.Errorf("beyond the end: %+v", got)
		}
		half := download(`{"url": "http://shop.example/cut"}`)
		if half.Error == nil || half.Size != 40_000 {
			t.Fatalf("cut: %+v", half)
		}
		cut = false
		rest := download(fmt.Sprintf(`{"url": "http://shop.example/cut", "resume_from": %d, "expect": %q}`, half.Size, hash(content)))
		if rest.Error != nil || !rest.Verified || rest.ResumedFrom != 40_000 || len(rest.Parts) != 2 || rest.Requests[0].Size != 60_000 {
			t.Errorf("resumed: %+v %+v", rest, rest.Error)
		}
		changed = true
		cut = true
		half = download(`{"url": "http://shop.example/cut"}`)
		cut = false
		other := download(fmt.Sprintf(`{"url": "http://shop.example/cut", "resume_from": %d}`, half.Size))
		if other.Error != nil || other.Fallback == "" || other.ResumedFrom != 0 || other.SHA256 != hash(content) || len(other.Parts) != 1 {
			t.Errorf("resumed, and the file is another one: %+v %+v", other, other.Error)
		}
		wrong := download(`{"url": "http://shop.example/f", "expect": "00"}`)
		if wrong.Error == nil || wrong.Verified || !strings.Contains(wrong.Error.Message, "SHA-256") {
			t.Errorf("wrong: %+v", wrong)
		}
		for _, args := range []string{
			`{"url": "two words"}`, `{"url": "shop.example/f", "ranges": "x"}`, `{"url": "shop.example/f", "parallel": 99}`,
			`{"url": "shop.example/f", "parallel": 2, "resume_from": 5}`,
		} {
			if _, err := b.do("download", args); err == nil {
				t.Errorf("%s is no error", args)
			}
		}
	})
}

// R13
func TestSeek(t *testing.T) {
	content := make([]byte, 10<<20)
	w := newWorld(t)
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "video/mp4")
		if r.URL.Path == "/none" {
			rw.Header().Set("Accept-Ranges", "none")
			rw.Header().Set("Content-Length", fmt.Sprint(len(content)))
			rw.Write(content)
			return
		}
		rw.Header().Set("ETag", `"1"`)
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
	})
	w.run(`{}`, func(b *running) {
		for _, scheme := range []string{"http", "https"} {
			got := result[*SeekResult](b, "seek", `{"url": "`+scheme+`://shop.example/film", "at": 0.5}`)
			if got.Error != nil || !got.Seekable || got.At != 5<<20 || got.Played != playAhead || got.Skipped != 0 || len(got.Requests) != 2 || got.Status != 206 {
				t.Errorf("%s: %+v %+v", scheme, got, got.Error)
			}
		}
		got := result[*SeekResult](b, "seek", `{"url": "http://shop.example/none", "at": 1000000}`)
		if got.Error != nil || got.Seekable || got.Skipped != 1_000_000 || got.Status != 200 {
			t.Errorf("without ranges: %+v %+v", got, got.Error)
		}
		if got := result[*SeekResult](b, "seek", `{"url": "http://shop.example/film", "at": 99000000}`); got.Error == nil {
			t.Errorf("beyond the end: %+v", got)
		}
	})
}

// R6: what each policy lets an ad host know.
func TestThirdPartyPolicies(t *testing.T) {
	for policy, want := range map[string]string{
		"allow": " | id=1 | id=1", "block-third-party": " |  | ", "partition": " |  | id=1",
	} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t)
			var mu sync.Mutex
			var seen []string
			w.site("ads.example", func(rw http.ResponseWriter, r *http.Request) {
				mu.Lock()
				seen = append(seen, r.Header.Get("Cookie"))
				mu.Unlock()
				rw.Header().Set("Set-Cookie", "id=1; Secure; SameSite=None; Max-Age=600")
				rw.Header().Set("Cache-Control", "no-store")
			})
			page := func(rw http.ResponseWriter, _ *http.Request) {
				writePage(rw, "<link rel=icon href=data:,><img src=https://ads.example/ad.png>")
			}
			w.site("shop.example", page)
			w.site("books.example", page)
			w.run(`{"cookies": "`+policy+`"}`, func(b *running) {
				b.browse("https://shop.example/")
				b.browse("https://books.example/")
				b.browse("https://shop.example/")
			})
			if got := strings.Join(seen, " | "); got != want {
				t.Errorf("the ad host saw %q, want %q", got, want)
			}
		})
	}
}
