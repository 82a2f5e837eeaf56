package tests

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"scenario/internal/needs"
)

// A room by WebSocket, and a laptop whose network Chromium sees.
const webRoom = `
networks:
  lan: 192.168.1.0/24
nodes:
  room:
    networks: {lan: 192.168.1.10}
    names: [room.example]
    chat: {listen: ":5555", websocket: ":8080", origins: [shop.example]}
  laptop: {networks: {lan: 192.168.1.11}}
  names: {networks: [lan], dns: }
`

// R8, R26: Chromium, as a node's browser, opens the room's page, and its user chats with somebody who came by TCP.
func TestChatPage(t *testing.T) {
	needs.Program(t, "chromium")
	for _, engine := range []string{"docker", "embedded"} {
		t.Run(engine, func(t *testing.T) {
			if engine == "docker" {
				needs.Docker(t)
			}
			dir := t.TempDir()
			run := func(args ...string) outcome {
				cmd := exec.CommandContext(t.Context(), binary(), args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
				return runCommand(t, cmd)
			}
			if err := os.WriteFile(filepath.Join(dir, "room.yaml"), []byte(webRoom), 0o644); err != nil {
				t.Fatal(err)
			}
			up := run("up", "-d", "--engine", engine, "--name", "page-"+engine, "--proxy", "laptop", "room.yaml")
			up.expectCode(t, 0)
			defer func() { run("down").expectCode(t, 0) }()
			at := regexp.MustCompile(`proxy into laptop .*?: (127\.\S+)`).FindStringSubmatch(up.stderr)
			if at == nil {
				t.Fatalf("no address is told:\n%s", up.stderr)
			}
			chatWithPage(t, at[1])
			told := run("logs", "--json", "room").stdout
			for _, want := range []string{
				`"ws.open".*"origin":"http://room.example:8080".*"remote":"192\.168\.1\.11:`, `"http.request".*Chrome/`,
				`"http.response".*A page of null may not open a WebSocket here.*"status":403`,
			} {
				if !regexp.MustCompile(want).MatchString(told) {
					t.Errorf("the room does not tell of %s:\n%s", want, told)
				}
			}
		})
	}
}

// chatWithPage is a conversation of somebody by TCP and of a page in Chromium, both through a proxy.
func chatWithPage(t *testing.T, through string) {
	t.Helper()
	dialer, err := proxy.SOCKS5("tcp", through, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := dialer.Dial("tcp", "room.example:5555")
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	if err := ann.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	heard := bufio.NewReader(ann)
	hear := func(lines ...string) {
		t.Helper()
		for _, want := range lines {
			if got, err := heard.ReadString('\n'); got != want+"\n" {
				t.Fatalf("ann hears %q (%v), want %q", got, err, want)
			}
		}
	}
	say := func(line string) {
		t.Helper()
		if _, err := io.WriteString(ann, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	say("ann")
	hear("# what is your name?", "* ann joined")

	page := openTab(t, "http://room.example:8080/", "--proxy-server=socks5://"+through)
	page.until(`document.querySelector('#state').textContent`, "connected by chat.scenario: give a name first")
	page.enter("eve")
	hear("* eve joined")
	page.enter("hello from a page ☺")
	hear("eve: hello from a page ☺")
	say("<b>hello</b> page")
	page.until(`document.querySelector('#lines li:last-child').outerHTML`, `<li class="message">ann: &lt;b&gt;hello&lt;/b&gt; page</li>`)
	page.evaluate(`document.querySelector('#leave').click()`)
	hear("* eve left")
	page.until(`document.querySelector('#state').textContent`, "closed, code 1000: left")

	// A page of another origin, in the same browser.
	if got := page.evaluate(`(async () => {
		const frame = document.createElement('iframe');
		frame.sandbox = 'allow-scripts';
		frame.srcdoc = '<script>const s = new WebSocket("ws://room.example:8080/chat"); s.onopen = () => parent.postMessage("open", "*"); s.onclose = e => parent.postMessage("closed " + e.code, "*")<\/script>';
		const said = new Promise(done => window.addEventListener('message', e => done(e.data)));
		document.body.append(frame);
		return said;
	})()`); got != "closed 1006" {
		t.Errorf("a page of another origin found the WebSocket %v", got)
	}
}
