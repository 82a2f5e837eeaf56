package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	templateSuffix = ".tmpl.html" // of a file that is a template; it is served as NAME.html
	settingsFile   = "site.json"  // of a site's folder: what the site says of itself; not served
	indexFile      = "index.html" // what is served for a folder
	missingFile    = "/404.html"  // what is served, with status 404, for a file that is missing

	// firstPage is the index of a server to which no site and no files were given.
	firstPage = "<!doctype html>\n<title>It works</title>\n<h1>It works</h1>\n<p>This is a web server of the scenario.</p>\n"
)

// site is what one host name serves.
type site struct {
	files    map[string]*file
	exact    map[string]Path
	prefixes map[string]Path // without the final *
	cookies  []Cookie
}

// file is one file of a site.
type file struct {
	body        []byte
	contentType string
	tag         string             // strong entity tag
	page        *template.Template // in place of the body: made anew for each request
	served      atomic.Int64       // how often the page was made
}

// newSite makes the site of that name, or one of nothing where there is no name, with what the scenario adds to it: that
// stands before the site's own.
func newSite(sites fs.FS, name string, o Options) (*site, error) {
	s := &site{files: make(map[string]*file), exact: make(map[string]Path), prefixes: make(map[string]Path)}
	folder, err := open(sites, name)
	if err != nil {
		return nil, err
	}
	var own settings
	if folder != nil {
		if own, err = s.load(folder); err != nil {
			return nil, fmt.Errorf("site %s: %w", name, err)
		}
	} else if len(o.Files) == 0 {
		o.Files = map[string]File{"/": {Body: firstPage}}
	}
	for _, at := range slices.Sorted(maps.Keys(o.Files)) {
		if err := s.add(at, o.Files[at].ContentType, []byte(o.Files[at].Body)); err != nil {
			return nil, fmt.Errorf("files: %w", err)
		}
	}
	for _, paths := range []map[string]Path{own.Paths, o.Paths} {
		for name, p := range paths {
			if prefix, found := strings.CutSuffix(name, "*"); found {
				s.prefixes[prefix] = p
			} else {
				s.exact[name] = p
			}
		}
	}
	s.cookies = slices.Concat(own.Cookies, o.Cookies)
	return s, nil
}

// open returns the folder of a site; nil for no name.
func open(sites fs.FS, name string) (fs.FS, error) {
	if name == "" {
		return nil, nil
	}
	entries, err := fs.ReadDir(sites, ".")
	if err != nil {
		return nil, err
	}
	var known []string
	for _, entry := range entries {
		if entry.Name() == name && entry.IsDir() {
			return fs.Sub(sites, name)
		}
		known = append(known, entry.Name())
	}
	return nil, fmt.Errorf("no such site: %q; there are %s", name, strings.Join(known, ", "))
}

// load adds the folder's files and returns its settings.
func (s *site) load(folder fs.FS) (own settings, err error) {
	err = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		if name != settingsFile {
			return s.add("/"+name, "", body)
		}
		if err := errors.Join(strict(body, &own), own.check()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	return own, err
}

// add adds a file under its path.
func (s *site) add(name, contentType string, body []byte) error {
	if strings.HasSuffix(name, "/") {
		name += indexFile
	}
	f := &file{body: body, contentType: contentType}
	if base, found := strings.CutSuffix(name, templateSuffix); found {
		page, err := template.New(path.Base(name)).Parse(string(body))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		name, f.page = base+".html", page
	}
	f.contentType = cmp.Or(f.contentType, contentTypes()[path.Ext(name)], http.DetectContentType(body))
	sum := sha256.Sum256(body)
	f.tag = fmt.Sprintf(`"%x"`, sum[:8])
	s.files[path.Clean(name)] = f
	return nil
}

// find returns the file for a URL's path. A folder without its final slash is found as the path to redirect to.
func (s *site) find(urlPath string) (f *file, redirect string) {
	name := path.Clean("/" + urlPath)
	if strings.HasSuffix(urlPath, "/") {
		return s.files[path.Join(name, indexFile)], ""
	}
	if f = s.files[name]; f == nil && s.files[path.Join(name, indexFile)] != nil {
		redirect = name + "/"
	}
	return f, redirect
}

// behaviour is what the site does for a URL's path: what is said of the path itself, else of the longest prefix.
func (s *site) behaviour(urlPath string) Path {
	if p, found := s.exact[urlPath]; found {
		return p
	}
	longest := ""
	for _, prefix := range slices.Sorted(maps.Keys(s.prefixes)) {
		if strings.HasPrefix(urlPath, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	return s.prefixes[longest]
}

// serve answers with the file's content: conditional and range requests as net/http does them.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", f.contentType)
	}
	w.Header().Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// contentTypes are media types by a name's ending. The machine's own table is not asked: it is another on every machine.
func contentTypes() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".json": "application/json", ".txt": "text/plain; charset=utf-8", ".xml": "application/xml",
		".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml", ".webp": "image/webp",
		".ico": "image/x-icon", ".woff2": "font/woff2", ".woff": "font/woff", ".ttf": "font/ttf",
		".mp4": "video/mp4", ".webm": "video/webm", ".mp3": "audio/mpeg", ".pdf": "application/pdf", ".wasm": "application/wasm",
	}
}

// sendPage answers with a small page that names the status.
func sendPage(w http.ResponseWriter, r *http.Request, status int) {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	send(w, r, status, "text/html; charset=utf-8", []byte("<!doctype html>\n<title>"+text+"</title>\n<h1>"+text+"</h1>\n"))
}

// send answers with a body.
func send(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	if len(body) > 0 && w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent && status != http.StatusNotModified {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.WriteHeader(status)
	if len(body) > 0 && r.Method != http.MethodHead {
		// A client that is gone is told of by its connection.
		_, _ = w.Write(body)
	}
}
