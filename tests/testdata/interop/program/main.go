// Program program is a web server and a web client of nobody's but net/http: a node of a scenario runs it.
//
//	program serve             serves /srv and /big.bin at ports 80 and 443
//	program fetch BASE...     gets the same from servers and prints a line for each: what came, and how
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
)

// size is of /big.bin: lines of 16 bytes, each its own offset.
const size = 300_000

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve()
	case len(args) > 1 && args[0] == "fetch":
		for _, base := range args[1:] {
			if err := visit(base); err != nil {
				return fmt.Errorf("%s: %w", base, err)
			}
		}
		return nil
	}
	return errors.New("usage: program serve | program fetch BASE...")
}

// serve listens on both ports. net/http speaks HTTP/2 where it is encrypted.
func serve() error {
	big, changed := numbered(), time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("/big.bin", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"big"`)
		http.ServeContent(w, r, "big.bin", changed, bytes.NewReader(big))
	})
	mux.HandleFunc("/", file)
	failed := make(chan error)
	go func() { failed <- http.ListenAndServe(":80", mux) }()
	go func() {
		failed <- http.ListenAndServeTLS(":443", "/etc/scenario/cert.pem", "/etc/scenario/key.pem", mux)
	}()
	return <-failed
}

// file answers with a file of /srv, compressed for whoever takes that.
func file(w http.ResponseWriter, r *http.Request) {
	name := path.Clean(r.URL.Path)
	if name == "/" {
		name = "/index.html"
	}
	text, err := os.ReadFile("/srv" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	tag := fmt.Sprintf(`"%.8x"`, sha256.Sum256(text))
	header := w.Header()
	header.Set("Vary", "Accept-Encoding")
	header.Set("Cache-Control", map[bool]string{true: "max-age=3600", false: "no-cache"}[name == "/style.css"])
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		if _, err := z.Write(text); err != nil {
			panic(err) // a buffer takes everything
		}
		if err := z.Close(); err != nil {
			panic(err)
		}
		header.Set("Content-Encoding", "gzip")
		text, tag = out.Bytes(), `W/`+tag
	}
	header.Set("ETag", tag)
	header.Set("Content-Type", map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css", ".svg": "image/svg+xml"}[path.Ext(name)])
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
}

func numbered() []byte {
	var all bytes.Buffer
	for offset := 0; offset < size; offset += 16 {
		fmt.Fprintf(&all, "%015d\n", offset)
	}
	return all.Bytes()
}

// visit gets the page, which the transport decompresses, and the big file in three parts at once.
func visit(base string) error {
	page, proto, err := get(base+"/", nil)
	if err != nil {
		return err
	}
	parts := make([]chan []byte, 3)
	failed := make(chan error, len(parts))
	for i := range parts {
		parts[i] = make(chan []byte, 1)
		go func() {
			first := i * size / len(parts)
			part, _, err := get(base+"/big.bin", http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", first, first+size/len(parts)-1)}})
			failed <- err
			parts[i] <- part
		}()
	}
	sum := sha256.New()
	for range parts {
		if err := <-failed; err != nil {
			return err
		}
	}
	for _, part := range parts {
		sum.Write(<-part)
	}
	_, err = fmt.Printf("%s %s welcome=%t sum=%x\n", base, proto, bytes.Contains(page, []byte("Welcome")), sum.Sum(nil))
	return err
}

// get returns a body, and how the server was spoken with. A part is wanted where fields ask for one.
func get(url string, fields http.Header) (body []byte, how string, err error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	want := http.StatusOK
	if fields != nil {
		request.Header, want = fields, http.StatusPartialContent
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		return nil, "", fmt.Errorf("%s, want %d", response.Status, want)
	}
	if body, err = io.ReadAll(response.Body); err != nil {
		return nil, "", err
	}
	return body, fmt.Sprintf("%s uncompressed=%t", response.Proto, response.Uncompressed), nil
}
