package cache

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkMarshal writes what some page loads have left: the browser does so after each of them.
func BenchmarkMarshal(b *testing.B) {
	c := New(Limits{Total: 16 << 20, Response: 4 << 20})
	for i := range 200 {
		body := bytes.Repeat([]byte("body { color: \"red\" }\n"), 1000)
		if i%2 == 0 {
			body = bytes.Repeat([]byte{0, 1, 0xfe, 0xff}, 5000)
		}
		c.Store(noon, Request{URL: fmt.Sprintf("http://shop.example/%d", i)}, Response{Status: 200, Header: fields(noon, fresh), Body: body})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Marshal(); err != nil {
			b.Fatal(err)
		}
	}
}
