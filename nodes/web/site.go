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
	"strconv"
	"strings"
	"sync"
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
	exact    map[string]*Path
	prefixes map[string]*Path // without the final *
	longest  []string         // the prefixes, longest first
	cookies  []Cookie

	loginPath string // where people log in; empty: nowhere
}

// file is one file of a site.
type file struct {
	body        []byte
	contentType string
	tag         string             // strong entity tag
	page        *template.Template // in place of the body: made anew for each request
	served      atomic.Int64       // how often the page was made

	compressible                     bool
	tagField, typeField, lengthField []string // header fields' values

	mu       sync.Mutex
	variants map[string][]byte // by content coding
}

// newSite makes the site of that name, or one of nothing where there is no name, with what the scenario adds to it: that
// stands before the site's own.
func newSite(sites fs.FS, name string, o Options) (*site, error) {
	s := &site{files: make(map[string]*file), exact: make(map[string]*Path), prefixes: make(map[string]*Path)}
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
				s.prefixes[prefix] = &p
			} else {
				s.exact[name] = &p
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.exact)) {
		if s.exact[name].Login != nil && s.loginPath == "" {
			s.loginPath = name
		}
	}
	s.longest = slices.SortedFunc(maps.Keys(s.prefixes), func(x, y string) int { return cmp.Or(len(y)-len(x), strings.Compare(x, y)) })
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
	f.compressible = len(body) >= minCompressed && compressible(f.contentType)
	f.tagField, f.typeField, f.lengthField = []string{f.tag}, []string{f.contentType}, []string{strconv.Itoa(len(body))}
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

// behaviour is what the site does for a URL's path: what is said of the path itself, else of the longest prefix; nil where
// nothing is.
func (s *site) behaviour(urlPath string) *Path {
	if p, found := s.exact[urlPath]; found {
		return p
	}
	for _, prefix := range s.longest {
		if strings.HasPrefix(urlPath, prefix) {
			return s.prefixes[prefix]
		}
	}
	return nil
}

// conditional says that a request is about a part of a file, or depends on what the client has of it.
func conditional(header http.Header) bool {
	for _, name := range [...]string{"If-None-Match", "Range", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range"} {
		if len(header[name]) > 0 {
			return true
		}
	}
	return false
}

// serve answers with the file's content, in the content coding that suits the client: conditional and range requests as
// net/http does them.
func (f *file) serve(w http.ResponseWriter, r *http.Request, p *Path) {
	header := w.Header()
	tag, body, length := f.tagField, f.body, f.lengthField
	if p.ETag != "" {
		tag = []string{map[string]string{"strong": f.tag, "weak": "W/" + f.tag, "none": ""}[p.ETag]}
	}
	if f.compressible && p.ChunkDelay == 0 {
		if offered := p.codings(); len(offered) > 0 {
			addVary(header, "Accept-Encoding")
			coding, ok := negotiate(r.Header["Accept-Encoding"], offered)
			if !ok {
				sendPage(w, r, http.StatusNotAcceptable)
				return
			}
			if coding != "" {
				header.Set("Content-Encoding", coding)
				body, tag = f.variant(coding), []string{variantTag(tag[0], coding)}
				length = []string{strconv.Itoa(len(body))}
			}
		}
	}
	if len(header["Content-Type"]) == 0 {
		header["Content-Type"] = f.typeField
	}
	if tag[0] != "" && len(header["Etag"]) == 0 { // the path's headers win
		header["Etag"] = tag
	}
	var changed time.Time
	if p.LastModified != "" {
		changed, _ = modified(p.LastModified, time.Now()) // check has read it
		header.Set("Last-Modified", changed.UTC().Format(http.TimeFormat))
	}
	if conditional(r.Header) {
		http.ServeContent(serveRanges(w, r, p), r, "", changed, bytes.NewReader(body))
		return
	}
	header["Accept-Ranges"], header["Content-Length"] = acceptRanges(p), length
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		// A client that is gone is told of by its connection.
		_, _ = w.Write(body)
	}
}

func acceptRanges(p *Path) []string {
	if p.Ranges != "" {
		return []string{p.Ranges}
	}
	return []string{"bytes"}
}

// variant is the file's content in a content coding. It is compressed once.
func (f *file) variant(coding string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.variants == nil {
		f.variants = make(map[string][]byte)
	}
	if f.variants[coding] == nil {
		f.variants[coding] = compressed(coding, f.body)
	}
	return f.variants[coding]
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
