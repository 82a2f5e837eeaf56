package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// fetch PROCESS NODE [HOST] gets a page through the proxy into the node that the process has told of, from a server of
// the test or from HOST. It becomes the script's stdout, behind its status where that is not 200.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	text, _ := named(ts, args[0]).output.read()
	at := regexp.MustCompile("proxy into " + args[1] + ` .*?: (\S+)`).FindStringSubmatch(text)
	if at == nil {
		ts.Fatalf("%s tells of no proxy into %s:\n%s", args[0], args[1], text)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "page of %s\n", r.Host)
	}))
	defer web.Close()
	_, port, err := net.SplitHostPort(web.Listener.Addr().String())
	ts.Check(err)
	address := "http://web.example:" + port + "/"
	if len(args) > 2 {
		address = "http://" + args[2] + "/"
	}
	transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: at[1]})}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(address)
	ts.Check(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		fmt.Fprint(ts.Stdout(), resp.StatusCode, " ")
	}
	ts.Stdout().Write(page)
}
