package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

func encode(t testing.TB, coding string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, 6) // the level is one
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// R14
func TestDecode(t *testing.T) {
	body := []byte(strings.Repeat("All animals are equal. ", 200))
	for _, coding := range []string{"gzip", "deflate", "raw", "br", "zstd"} {
		name := coding
		if name == "raw" {
			name = "deflate"
		}
		wire := encode(t, coding, body)
		d := Decode(bytes.NewReader(wire), []string{name}, 1<<20)
		if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes, %v", coding, len(got), err)
		}
		d.Close()
		d = Decode(bytes.NewReader(wire[:len(wire)-3]), []string{name}, 1<<20)
		if _, err := io.ReadAll(d); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s, cut short: %v", coding, err)
		}
		d.Close()
		d = Decode(strings.NewReader(""), []string{name}, 1<<20)
		if got, err := io.ReadAll(d); err != nil || len(got) > 0 {
			t.Errorf("%s of nothing: %v", coding, err)
		}
		d = Decode(strings.NewReader("this is not compressed at all"), []string{name}, 1<<20)
		if _, err := io.ReadAll(d); err == nil {
			t.Errorf("%s of plain text is no error", coding)
		}
		d.Close()
	}
	three := encode(t, "br", encode(t, "zstd", encode(t, "gzip", body)))
	if got, err := io.ReadAll(Decode(bytes.NewReader(three), []string{"gzip", "zstd", "br"}, -1)); err != nil || !bytes.Equal(got, body) {
		t.Errorf("three codings: %v", err)
	}
}

// What has arrived is decoded, before the rest is there.
func TestDecodeWhileItArrives(t *testing.T) {
	in, out := io.Pipe()
	go func() {
		w := gzip.NewWriter(out)
		fmt.Fprint(w, "first")
		w.Flush()
	}()
	d := Decode(in, []string{"gzip"}, 100)
	got := make([]byte, 5)
	if _, err := io.ReadFull(d, got); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
	in.Close()
}

// R14
func TestBombs(t *testing.T) {
	zeros := make([]byte, 64<<20)
	for _, coding := range []string{"gzip", "br", "zstd"} {
		wire := encode(t, coding, zeros)
		for _, limit := range []int64{-1, 1 << 20} {
			d := Decode(bytes.NewReader(wire), []string{coding}, limit)
			n, err := io.Copy(io.Discard, d)
			if !errors.Is(err, ErrBomb) || n > bombSize+1<<20 {
				t.Errorf("%s, limit %d: %d bytes, %v", coding, limit, n, err)
			}
			d.Close()
		}
	}
	twice := encode(t, "gzip", encode(t, "gzip", zeros))
	if _, err := io.Copy(io.Discard, Decode(bytes.NewReader(twice), []string{"gzip", "gzip"}, -1)); !errors.Is(err, ErrBomb) {
		t.Errorf("a bomb in a bomb: %v", err)
	}
}

func TestCodings(t *testing.T) {
	for value, want := range map[string][]string{"": nil, "identity": nil, "GZIP": {"gzip"}, "x-gzip, identity, br": {"gzip", "br"}} {
		if got, err := Codings(header("Content-Encoding", value)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
	for _, value := range []string{"compress", "gzip, gzip, gzip, gzip", "rot13"} {
		if _, err := Codings(header("Content-Encoding", value)); err == nil {
			t.Errorf("%q is no error", value)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		f.Add(byte(i), encode(f, coding, []byte("hello hello hello")))
	}
	f.Fuzz(func(t *testing.T, which byte, wire []byte) {
		coding := []string{"gzip", "deflate", "br", "zstd"}[which%4]
		d := Decode(bytes.NewReader(wire), []string{coding}, 1<<16)
		defer d.Close()
		if n, err := io.Copy(io.Discard, d); err == nil && n > 1<<16 {
			t.Errorf("%d bytes", n)
		}
	})
}

// R13
func TestRanges(t *testing.T) {
	got, err := ParseRanges("0-99, 200-,-50")
	if want := []Range{{0, 99}, {200, -1}, {-1, 50}}; err != nil || !slices.Equal(got, want) || RangeField(got) != "bytes=0-99,200-,-50" {
		t.Errorf("%v %v", got, err)
	}
	for _, text := range []string{"", "-", "5", "9-5", "a-b", "1-2,,", strings.Repeat("0-1,", 64) + "0-1", "99999999999999999999-"} {
		if _, err := ParseRanges(text); err == nil {
			t.Errorf("%q is no error", text)
		}
	}
	for text, want := range map[string]ContentRange{
		"bytes 0-99/200": {0, 99, 200}, "bytes 5-5/*": {5, 5, -1}, "bytes */10": {-1, -1, 10}, "Bytes 0-0/1": {0, 0, 1},
	} {
		if got, err := ParseContentRange(text); err != nil || got != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "bytes 0-200/200", "bytes 9-5/10", "bytes */*", "lines 0-1/2", "bytes 0-1", "bytes -1/2", "bytes 0-/2"} {
		if _, err := ParseContentRange(text); err == nil {
			t.Errorf("%q is no error", text)
		}
	}
	for _, test := range []struct {
		h    http.Header
		want string
	}{
		{header("ETag", `"a"`), `"a"`}, {header("ETag", `W/"a"`, "Last-Modified", "x"), "x"}, {header("ETag", `W/"a"`), ""},
	} {
		if got := Validator(test.h); got != test.want {
			t.Errorf("%v: %q", test.h, got)
		}
	}
}

// R13
func TestParts(t *testing.T) {
	read := func(h http.Header, body string) (string, error) {
		var got strings.Builder
		err := ReadParts(h, strings.NewReader(body), func(at ContentRange, r io.Reader) error {
			text, err := io.ReadAll(r)
			fmt.Fprintf(&got, "%d-%d:%s ", at.First, at.Last, text)
			return err
		})
		return got.String(), err
	}
	multi := header("Content-Type", "multipart/byteranges; boundary=B")
	two := "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-2/10\r\n\r\nabc\r\n--B\r\nContent-Range: bytes 5-6/10\r\n\r\nfg\r\n--B--\r\n"
	if got, err := read(multi, two); err != nil || got != "0-2:abc 5-6:fg " {
		t.Errorf("two parts: %q %v", got, err)
	}
	if got, err := read(header("Content-Range", "bytes 5-6/10"), "fg"); err != nil || got != "5-6:fg " {
		t.Errorf("one part: %q %v", got, err)
	}
	for name, test := range map[string]struct {
		h    http.Header
		body string
	}{
		"too short":         {header("Content-Range", "bytes 5-9/10"), "fg"},
		"too long":          {header("Content-Range", "bytes 5-6/10"), "fgh"},
		"no range":          {header(), "fg"},
		"unsatisfied":       {header("Content-Range", "bytes */10"), "fg"},
		"no boundary":       {header("Content-Type", "multipart/byteranges"), two},
		"no parts":          {multi, "--B--\r\n"},
		"a part too short":  {multi, strings.Replace(two, "abc", "ab", 1)},
		"a part too long":   {multi, strings.Replace(two, "abc", "abcd", 1)},
		"a part without it": {multi, strings.Replace(two, "Content-Range: bytes 0-2/10\r\n", "", 1)},
		"cut":               {multi, two[:len(two)-30]},
		"many":              {multi, strings.Repeat("--B\r\nContent-Range: bytes 0-0/10\r\n\r\na\r\n", 100) + "--B--\r\n"},
		"a long field":      {multi, "--B\r\nX: " + strings.Repeat("x", 9000) + "\r\nContent-Range: bytes 0-0/10\r\n\r\na\r\n--B--\r\n"},
	} {
		if got, err := read(test.h, test.body); err == nil {
			t.Errorf("%s is no error: %q", name, got)
		}
	}
}

func FuzzParts(f *testing.F) {
	f.Add("multipart/byteranges; boundary=B", "bytes 0-1/2", "--B\r\nContent-Range: bytes 0-0/2\r\n\r\na\r\n--B--\r\n")
	f.Fuzz(func(t *testing.T, kind, at, body string) {
		total := 0
		err := ReadParts(header("Content-Type", kind, "Content-Range", at), strings.NewReader(body), func(at ContentRange, r io.Reader) error {
			n, err := io.Copy(io.Discard, r)
			total += int(n)
			return err
		})
		if err == nil && total > len(body) {
			t.Errorf("%d bytes of %d", total, len(body))
		}
	})
}
