package scenarios

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/host/hosttest/memnet"
	"scenario/nodes/web"
)

// Files are small: they are part of every binary, and the log shows them.
func TestSitesAreSmall(t *testing.T) {
	const limit = 40 << 10
	err := fs.WalkDir(Sites(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > limit {
			t.Errorf("%s has %d bytes, more than %d", name, info.Size(), limit)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSitesCanBeServed(t *testing.T) {
	sites, err := fs.ReadDir(Sites(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range sites {
		if _, err := web.Kind(Sites()).New(json.RawMessage(`{"site": "` + site.Name() + `"}`)); err != nil {
			t.Errorf("%s: %v", site.Name(), err)
		}
	}
}

// browse serves every site and returns a client that keeps cookies, as a browser does.
func browse(t *testing.T) *http.Client {
	t.Helper()
	network := memnet.New()
	server, laptop := network.Host("server", "192.0.2.80"), network.Host("laptop", "198.51.100.7")
	r, err := web.Kind(Sites()).New(json.RawMessage(`{"hosts": {
		"shop.example": "shop", "cdn.example": "cdn", "ads.example": "ads", "books.example": "books", "address.example": "address"}}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- r.Serve(ctx, server, func() { close(ready) }) }()
	<-ready
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return laptop.Dial(ctx, network, "192.0.2.80:80")
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: transport, Jar: jar}
}

// get loads a URL, which must be there, and returns its text and the names of the cookies that it sets.
func get(t *testing.T, c *http.Client, url string) (text string, cookies []string) {
	t.Helper()
	response, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", url, response.Status)
	}
	for _, cookie := range response.Cookies() {
		cookies = append(cookies, cookie.Name)
	}
	return string(body), cookies
}

// R4, R5: everything that the pages name is there, third parties' included.
func TestSitesAreComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := browse(t)
		seen := make(map[string]bool)
		next := []string{"http://shop.example/", "http://books.example/", "http://shop.example/favicon.ico"}
		for len(next) > 0 {
			url := next[0]
			next = next[1:]
			if seen[url] {
				continue
			}
			seen[url] = true
			text, _ := get(t, c, url)
			site := url[:strings.Index(url[len("http://"):], "/")+len("http://")]
			for _, link := range regexp.MustCompile(`(?:href="|src="|action="|url\(")(/[^"]*)"`).FindAllStringSubmatch(text, -1) {
				if strings.HasPrefix(link[1], "//") {
					link[1] = "http:" + link[1]
				} else {
					link[1] = site + link[1]
				}
				next = append(next, strings.ReplaceAll(link[1], "&amp;", "&"))
			}
		}
		if len(seen) < 20 {
			t.Errorf("%d resources found: %v", len(seen), seen)
		}
	})
}

// R6: the shop knows who comes again, keeps a setting and forgets it; an offer expires; the ads know who reads.
func TestCookiesOfTheSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := browse(t)
		steps := []struct {
			url, want string
			cookies   []string
		}{
			{"http://shop.example/", "You have not been here before.", []string{"visit", "session"}},
			{"http://shop.example/", "This is visit number 2.", []string{"visit"}},
			{"http://shop.example/greeting.html", "The theme is not chosen.", []string{"visit"}},
			{"http://shop.example/greeting.html?theme=dark", "The theme is dark.", []string{"theme", "visit"}},
			{"http://shop.example/", `class="dark"`, []string{"visit"}},
			{"http://shop.example/old", "An offer for you", []string{"offer"}},
			{"http://shop.example/product.html?item=hat", "Your offer still holds", []string{"offer"}},
			{"http://shop.example/forget.html", "delete 4 cookies", []string{"offer", "session", "theme", "visit"}},
			{"http://shop.example/", "You have not been here before.", []string{"visit", "session"}},
			{"http://ads.example/banner.html", "We have not met.", []string{"uid"}},
			{"http://ads.example/banner.html", "We know you", nil},
			{"http://ads.example/pixel.gif", "GIF89a", nil},
			{"http://address.example/ip", "198.51.100.7\n", nil},
		}
		for _, step := range steps {
			text, cookies := get(t, c, step.url)
			if !strings.Contains(text, step.want) {
				t.Errorf("%s: %q is not in\n%s", step.url, step.want, text)
			}
			if diff := cmp.Diff(step.cookies, cookies); diff != "" {
				t.Errorf("%s: cookies (-want +got):\n%s", step.url, diff)
			}
		}
		get(t, c, "http://shop.example/product.html")
		time.Sleep(2 * time.Second)
		if text, _ := get(t, c, "http://shop.example/product.html"); !strings.Contains(text, "An offer for you") {
			t.Error("the offer holds after its end")
		}
	})
}
