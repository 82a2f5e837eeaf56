package transport

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"scenario/internal/needs"
)

// message is a case of llhttp: bytes of a server, and what its parser says of them.
type message struct {
	name  string
	head  bool // the parser was told that there is no body
	bytes string
	log   string
}

// messages reads the cases of a file in which the parser is strict.
func messages(t *testing.T, file string) []message {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	meta := regexp.MustCompile(`<!-- meta=(\{.*?\}) *-->`)
	block := regexp.MustCompile("(?s)```http\n(.*?)```.*?```log\n(.*?)```")
	title := regexp.MustCompile(`(?m)^#+ (.*)$`)
	var list []message
	begin := 0
	for _, at := range meta.FindAllSubmatchIndex(text, -1) {
		kind := string(text[at[2]:at[3]])
		name := "?"
		if titles := title.FindAllStringSubmatch(string(text[begin:at[0]]), -1); titles != nil {
			name = titles[len(titles)-1][1]
		}
		begin = at[1]
		parts := block.FindSubmatch(text[at[1]:])
		if parts != nil && regexp.MustCompile(`"type": *"response"`).MatchString(kind) {
			list = append(list, message{name, strings.Contains(kind, `"skipBody": true`), unescape(string(parts[1])), string(parts[2])})
		}
	}
	return list
}

// unescape makes bytes of a case's text, as the runner of llhttp does.
func unescape(text string) string {
	text = strings.TrimSuffix(text, "\n")
	text = strings.ReplaceAll(text, "\\\n", "")
	text = strings.ReplaceAll(text, "\n", "\r\n")
	return strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t", `\f`, "\f").Replace(hex(text))
}

func hex(text string) string {
	return regexp.MustCompile(`\\x[0-9a-fA-F]{2}`).ReplaceAllStringFunc(text, func(code string) string {
		n, _ := strconv.ParseUint(code[2:], 16, 8) // the pattern has two digits
		return string([]byte{byte(n)})
	})
}

// verdict is what a client is to make of the bytes: the first response that is not interim, or its refusal.
type verdict struct {
	refused bool
	status  int
	body    string
}

// verdict reads the log of a case.
func (m message) verdict() verdict {
	const (
		chunked = 1 << 3
		sized   = 1 << 5
	)
	var v verdict
	complete, open := false, false // the message; its head alone
	for line := range strings.Lines(m.log) {
		fields := regexp.MustCompile(`^off=(\d+) (?:len=(\d+) )?(.*)`).FindStringSubmatch(strings.TrimSpace(line))
		if fields == nil {
			continue
		}
		offset, _ := strconv.Atoi(fields[1]) // the pattern has digits
		size, _ := strconv.Atoi(fields[2])
		interim := v.status != 0 && v.status < 200 && v.status != 101
		switch what := fields[3]; {
		case strings.HasPrefix(what, "headers complete"):
			head := regexp.MustCompile(`status=(\d+) v=\S+ flags=([0-9a-f]+) content_length=(\d+)`).FindStringSubmatch(what)
			v.status, _ = strconv.Atoi(head[1])
			flags, _ := strconv.ParseUint(head[2], 16, 32)
			open = flags&chunked != 0 || flags&sized != 0 && head[3] != "0"
		case strings.HasPrefix(what, "span[body]"):
			v.body += m.bytes[offset : offset+size]
		case what == "message complete" && !interim:
			complete = true
		case strings.HasPrefix(what, "error") && !strings.Contains(what, "ause") && !complete:
			return verdict{refused: true}
		}
		if complete {
			return v
		}
	}
	if v.status < 200 || open { // the bytes end in the middle
		return verdict{refused: true}
	}
	return v
}

// R10: what servers send is read, or refused, as a strict parser of HTTP/1.1 reads it.
func TestResponsesOfLLHTTP(t *testing.T) {
	const (
		switched = "a browser that asked for no other protocol takes no switch to one as an answer (RFC 9110, section 7.8)"
		foreign  = "a browser asks by HTTP, so that an answer in another protocol is none"
	)
	differences := map[string]string{
		"connection.md: HTTP 101 response with Upgrade and Content-Length header":    switched,
		"connection.md: HTTP 101 response with Upgrade and Transfer-Encoding header": switched,
		"sample.md: RTSP response": foreign,
		"sample.md: ICE response":  foreign,
	}
	dir := needs.Conformance(t, "http1", "response")
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	passed, all, used := 0, 0, 0
	for _, file := range files {
		for _, m := range messages(t, file) {
			all++
			name := filepath.Base(file) + ": " + m.name
			want, got := m.verdict(), ask(t, m)
			reason, listed := differences[name]
			switch {
			case got == want && !listed:
				passed++
			case got == want:
				t.Errorf("%s: is read as it should be, but listed as a difference: %s", name, reason)
			case listed:
				used++
				t.Logf("%s: %+v, llhttp %+v: %s", name, got, want, reason)
			default:
				t.Errorf("%s: %+v, want %+v\n%q", name, got, want, m.bytes)
			}
		}
	}
	if used != len(differences) {
		t.Errorf("%d of %d differences are of cases that there are", used, len(differences))
	}
	t.Logf("%d of %d strict responses of llhttp as it reads them, %d differences with a reason", passed, all, used)
}

// ask has a server answer with the bytes of a case.
func ask(t *testing.T, m message) verdict {
	w := newWorld(t)
	w.bytes(serverIP+":80", m.bytes)
	tr := New(w, w, Options{})
	defer w.end(tr)
	r := Request{}
	if m.head {
		r.Method = "HEAD"
	}
	got := get(t.Context(), t, tr, "http://"+serverIP+"/", r)
	if got.err != nil {
		return verdict{refused: true}
	}
	return verdict{status: got.resp.Status, body: got.body}
}
