package web

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// caching sets what a path says of how long and for whom a response may be kept (RFC 9111).
func (h *handler) caching(header http.Header, p *Path) {
	now := time.Now()
	if p.Cache != "" {
		header.Set("Cache-Control", p.Cache)
	}
	if p.Vary != "" {
		header.Set("Vary", p.Vary)
	}
	if p.Age > 0 {
		header.Set("Age", strconv.Itoa(int(time.Duration(p.Age).Seconds())))
	}
	if p.Expires > 0 {
		header.Set("Expires", now.Add(time.Duration(p.Expires)).UTC().Format(http.TimeFormat))
	}
}

// echo answers what the server sees of a request, as text.
func echo(w http.ResponseWriter, r *http.Request, what string) {
	var text strings.Builder
	switch what {
	case "headers":
		fmt.Fprintf(&text, "Host: %s\n", r.Host)
		writeFields(&text, r.Header)
	case "cookies":
		for _, cookie := range r.Cookies() {
			fmt.Fprintf(&text, "%s=%s\n", cookie.Name, cookie.Value)
		}
	case "request":
		fmt.Fprintf(&text, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
		writeFields(&text, r.Header)
		text.WriteByte('\n')
		// The body has been read; it is in memory.
		_, _ = io.Copy(&text, r.Body)
	default:
		text.WriteString(clientOf(r) + "\n")
	}
	send(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte(text.String()))
}

func writeFields(text *strings.Builder, fields http.Header) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range fields[name] {
			fmt.Fprintf(text, "%s: %s\n", name, value)
		}
	}
}

// sendStatus answers with a status and a body of the scenario's, or a page that names the status.
func sendStatus(w http.ResponseWriter, r *http.Request, status int, body string) {
	switch {
	case body != "":
		send(w, r, status, http.DetectContentType([]byte(body)), []byte(body))
	case status < 300 || status == http.StatusNotModified:
		send(w, r, status, "", nil)
	default:
		sendPage(w, r, status)
	}
}

// sendPage answers with a small page that names the status.
func sendPage(w http.ResponseWriter, r *http.Request, status int) {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	send(w, r, status, "text/html; charset=utf-8", []byte("<!doctype html>\n<title>"+text+"</title>\n<h1>"+text+"</h1>\n"))
}

// sendJSON answers with a value as JSON.
func sendJSON(w http.ResponseWriter, r *http.Request, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		sendPage(w, r, http.StatusInternalServerError)
		return
	}
	send(w, r, status, "application/json", append(text, '\n'))
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

// serveSize answers with a body of so many bytes: lines of 16, each of which says where it begins.
func serveSize(w http.ResponseWriter, r *http.Request, p *Path) {
	size := int64(p.Size)
	header := w.Header()
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/octet-stream")
	}
	if header.Get("ETag") == "" {
		header.Set("ETag", fmt.Sprintf(`"size-%d"`, size))
	}
	http.ServeContent(serveRanges(w, r, p), r, "", time.Time{}, &numbered{size: size})
}

// numbered is a file of lines of 16 bytes: 15 digits, the offset of the line, and a line feed.
type numbered struct{ size, at int64 }

func (n *numbered) Read(p []byte) (int, error) {
	if n.at >= n.size {
		return 0, io.EOF
	}
	const width = 16
	done := 0
	for done < len(p) && n.at < n.size {
		line := fmt.Appendf(nil, "%015d\n", n.at/width*width)
		k := copy(p[done:], line[n.at%width:min(width, n.at%width+n.size-n.at)])
		done += k
		n.at += int64(k)
	}
	return done, nil
}

func (n *numbered) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += n.at
	case io.SeekEnd:
		offset += n.size
	}
	n.at = offset
	return offset, nil
}
