package dns

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/host/kernel"
	"scenario/internal/needs"
)

// diary keeps what a node tells.
type diary struct {
	mu      sync.Mutex
	records []event.Record
}

func (d *diary) Record(r event.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, r)
}

// told is the questions and answers, one a line.
func (d *diary) told() (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		if q, ok := event.As[event.DNSQuery](r); ok {
			lines = append(lines, fmt.Sprintf("%s < %s %s %s", r.Trace(), q.Transport, q.Name, q.Type))
		}
		if a, ok := event.As[event.DNSAnswer](r); ok {
			lines = append(lines, fmt.Sprintf("%s > %s %s truncated=%t", r.Trace(), a.Transport, cmp.Or(a.RCode, a.Error), a.Truncated))
		}
	}
	return lines
}

// freePort is a port of 127.0.0.1 that nobody had a moment ago.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// serve plays the role on 127.0.0.1 until the test ends and returns its port.
func serve(t *testing.T, options map[string]any, tells *diary) uint16 {
	t.Helper()
	port := freePort(t)
	options["listen"] = []string{fmt.Sprintf("127.0.0.1:%d", port)}
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	role, err := Kind().New(text)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	h := kernel.New(kernel.Options{Log: event.NewLogger("ns", tells)})
	go func() { ended <- role.Serve(ctx, h, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return port
}

var (
	digStatus = regexp.MustCompile(`status: (\w+)`)
	digFlags  = regexp.MustCompile(`flags: ([a-z ]+);`)
	digEDE    = regexp.MustCompile(`EDE: (\d+)`)
)

// dig returns what dig makes of the response: status and flags, extended error, records.
func dig(t *testing.T, port uint16, args string) string {
	t.Helper()
	command := append([]string{
		"@127.0.0.1", "-p", strconv.Itoa(int(port)), "+noall", "+comments", "+answer", "+authority", "+additional", "+tries=1",
	}, strings.Fields(args)...)
	output, err := exec.Command("dig", command...).Output()
	if err != nil {
		t.Fatalf("dig %s: %v\n%s", args, err, output)
	}
	var lines []string
	for _, line := range strings.Split(string(output), "\n") {
		switch {
		case digStatus.MatchString(line):
			lines = append(lines, digStatus.FindStringSubmatch(line)[1])
		case digFlags.MatchString(line) && !strings.HasPrefix(line, "; EDNS"):
			lines[0] += " " + digFlags.FindStringSubmatch(line)[1]
		case digEDE.MatchString(line):
			lines[0] += " ede " + digEDE.FindStringSubmatch(line)[1]
		case line != "" && !strings.HasPrefix(line, ";"):
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(lines, "\n")
}

func TestDig(t *testing.T) {
	needs.Program(t, "dig")
	long := "long TXT" + strings.Repeat(` "`+strings.Repeat("x", 200)+`"`, 10)
	zones := map[string]any{
		"shop.example": map[string]any{
			"records": []string{
				"www 60 IN CNAME shop.example.", "@ A 192.0.2.80", "@ MX 10 mail", "mail A 192.0.2.25", "* TXT any",
				"dept NS ns.dept", "ns.dept A 192.0.2.53", "old DNAME new.example.", "a.b A 192.0.2.1", long,
			},
			"ttl": "1h", "negative_ttl": "10s",
		},
		"sub.shop.example": map[string]any{"records": []string{"@ A 192.0.2.81"}},
	}
	const soa = "shop.example. 10 IN SOA shop.example. hostmaster.shop.example. 1 3600 600 604800 10"
	authoritative := serve(t, map[string]any{"zones": zones}, new(diary))
	recursive := serve(t, map[string]any{"zones": zones, "recursive": true}, new(diary))

	tests := []struct {
		name string
		port uint16
		args string
		want string
	}{
		{"alias", authoritative, "www.shop.example +norec", "NOERROR qr aa\nwww.shop.example. 60 IN CNAME shop.example.\nshop.example. 3600 IN A 192.0.2.80"},
		{"additional", authoritative, "SHOP.example MX +norec", "NOERROR qr aa\nshop.example. 3600 IN MX 10 mail.shop.example.\nmail.shop.example. 3600 IN A 192.0.2.25"},
		{"wildcard", authoritative, "x.y.shop.example TXT +norec", "NOERROR qr aa\nx.y.shop.example. 3600 IN TXT \"any\""},
		{"no data at a wildcard", authoritative, "x.shop.example +norec", "NOERROR qr aa\n" + soa},
		{"empty non-terminal", authoritative, "b.shop.example TXT +norec", "NOERROR qr aa\n" + soa},
		{"no such name", authoritative, "x.b.shop.example TXT +norec", "NXDOMAIN qr aa\n" + soa},
		{"referral", authoritative, "x.dept.shop.example +norec", "NOERROR qr\ndept.shop.example. 3600 IN NS ns.dept.shop.example.\nns.dept.shop.example. 3600 IN A 192.0.2.53"},
		{"most specific zone", authoritative, "sub.shop.example +norec", "NOERROR qr aa\nsub.shop.example. 300 IN A 192.0.2.81"},
		{"dname", authoritative, "a.old.shop.example +norec", "NOERROR qr aa\nold.shop.example. 3600 IN DNAME new.example.\na.old.shop.example. 3600 IN CNAME a.new.example."},
		{"any", authoritative, "shop.example ANY +norec +notcp", "NOERROR qr aa\nshop.example. 3600 IN HINFO \"RFC8482\" \"\""},
		{"not served", authoritative, "elsewhere.example", "REFUSED qr rd ede 20"},
		{"not served, without EDNS0", authoritative, "elsewhere.example +noedns", "REFUSED qr rd"},
		{"another class", authoritative, "version.bind CH TXT +norec", "REFUSED qr ede 21"},
		{"another opcode", authoritative, "shop.example +opcode=notify +norec", "NOTIMP qr"},
		{"another version of EDNS", authoritative, "shop.example +edns=1 +noednsneg +norec", "BADVERS qr"},
		{"cut", authoritative, "long.shop.example TXT +ignore +norec", "NOERROR qr aa tc"},
		{"cut, without EDNS0", authoritative, "long.shop.example TXT +ignore +noedns +norec", "NOERROR qr aa tc"},
		{"over tcp", authoritative, "www.shop.example CNAME +tcp +norec", "NOERROR qr aa\nwww.shop.example. 60 IN CNAME shop.example."},
		{"own zone of a resolver", recursive, "www.shop.example", "NOERROR qr aa rd ra\nwww.shop.example. 60 IN CNAME shop.example.\nshop.example. 3600 IN A 192.0.2.80"},
		{"resolver not asked for recursion", recursive, "elsewhere.example +norec", "REFUSED qr ra ede 20"},
		{"resolver without a root", recursive, "elsewhere.example", "SERVFAIL qr rd ra ede 22"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := gocmp.Diff(test.want, dig(t, test.port, test.args)); diff != "" {
				t.Errorf("dig %s (-want +got):\n%s", test.args, diff)
			}
		})
	}
}

// An answer that is too long for a datagram is asked for again over TCP; the log tells both, each in its own trace.
func TestDigOverBoth(t *testing.T) {
	needs.Program(t, "dig")
	var tells diary
	records := []string{"@ TXT" + strings.Repeat(` "`+strings.Repeat("x", 250)+`"`, 5)}
	port := serve(t, map[string]any{"zones": map[string]any{"a.example": map[string]any{"records": records}}}, &tells)
	if got := dig(t, port, "a.example TXT"); !strings.HasPrefix(got, "NOERROR qr aa rd\na.example. 300 IN TXT ") {
		t.Errorf("dig: %s", got)
	}
	want := []string{
		"dns/1 < udp a.example. TXT", "dns/1 > udp NOERROR truncated=true",
		"dns/2 < tcp a.example. TXT", "dns/2 > tcp NOERROR truncated=false",
	}
	if diff := gocmp.Diff(want, tells.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A name to ignore gets no answer; that is told.
func TestDigIgnored(t *testing.T) {
	needs.Program(t, "dig")
	var tells diary
	port := serve(t, map[string]any{"zones": map[string]any{"a": nil}, "ignore": []string{"Slow.a"}}, &tells)
	output, err := exec.Command("dig", "@127.0.0.1", "-p", strconv.Itoa(int(port)), "x.slow.A", "+tries=1", "+timeout=1").Output()
	if err == nil {
		t.Errorf("dig has an answer:\n%s", output)
	}
	want := []string{
		"dns/1 < udp x.slow.A. A",
		"dns/1 > udp left without an answer: the name is in the option ignore truncated=false",
	}
	if diff := gocmp.Diff(want, tells.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// An address that the server cannot have is told, and named by the error.
func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var tells diary
	role, err := Kind().New(json.RawMessage(fmt.Sprintf(`{"listen": [%q]}`, l.Addr())))
	if err != nil {
		t.Fatal(err)
	}
	err = role.Serve(t.Context(), kernel.New(kernel.Options{Log: event.NewLogger("ns", &tells)}), func() { t.Error("ready") })
	if err == nil || !strings.Contains(err.Error(), "listen on tcp "+l.Addr().String()) {
		t.Errorf("Serve: %v", err)
	}
	i := slices.IndexFunc(tells.records, func(r event.Record) bool { return r.Event == event.SocketError{}.Word() })
	if i < 0 {
		t.Fatal("no socket.error is told")
	}
	if failure, _ := event.As[event.SocketError](tells.records[i]); failure.Errno != "EADDRINUSE" || failure.Local != l.Addr().String() {
		t.Errorf("told is %+v", failure)
	}
}
