package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// tab is a page in Chromium, driven by the DevTools protocol.
type tab struct {
	t    *testing.T
	conn *websocket.Conn
	last int
	id   string // of the session
}

var devTools = regexp.MustCompile(`DevTools listening on (ws://\S+)`)

// openTab starts Chromium with more arguments, to end with the test, and opens a page in it.
func openTab(t *testing.T, url string, args ...string) *tab {
	t.Helper()
	cmd := exec.Command("chromium", append(args, "--headless", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), "about:blank")...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tab := &tab{t: t}
	t.Cleanup(func() {
		// Asked to, it ends all of its processes, which still write to its folder.
		if tab.conn == nil || tab.conn.Write(context.Background(), websocket.MessageText, []byte(`{"id": 0, "method": "Browser.close"}`)) != nil {
			_ = cmd.Process.Kill() // it may have ended
		}
		late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Wait() // how it ends is of no interest
	})
	var address string
	lines := bufio.NewScanner(said)
	for address == "" && lines.Scan() {
		if at := devTools.FindStringSubmatch(lines.Text()); at != nil {
			address = at[1]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	conn, _, err := websocket.Dial(t.Context(), address, nil)
	if err != nil {
		t.Fatalf("chromium at %q: %v", address, err)
	}
	conn.SetReadLimit(1 << 20)
	tab.conn = conn
	made := tab.call("Target.createTarget", map[string]any{"url": "about:blank"})
	tab.id = tab.call("Target.attachToTarget", map[string]any{"targetId": made["targetId"], "flatten": true})["sessionId"].(string)
	tab.call("Page.navigate", map[string]any{"url": url})
	return tab
}

// call sends a command and returns its result.
func (b *tab) call(method string, params map[string]any) map[string]any {
	b.t.Helper()
	b.last++
	request, err := json.Marshal(map[string]any{"id": b.last, "method": method, "params": params, "sessionId": b.id})
	if err != nil {
		b.t.Fatal(err)
	}
	if b.id == "" {
		request = bytes.Replace(request, []byte(`,"sessionId":""`), nil, 1)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	if err := b.conn.Write(ctx, websocket.MessageText, request); err != nil {
		b.t.Fatal(err)
	}
	for {
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		var answer struct {
			ID     int
			Result map[string]any
			Error  any
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			b.t.Fatal(err)
		}
		if answer.ID == b.last {
			if answer.Error != nil {
				b.t.Fatalf("%s: %v", method, answer.Error)
			}
			return answer.Result
		}
	}
}

// evaluate returns the value of an expression in the page.
func (b *tab) evaluate(expression string) any {
	b.t.Helper()
	result := b.call("Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
	})
	value, _ := result["result"].(map[string]any)
	return value["value"]
}

// until waits until an expression has a value.
func (b *tab) until(expression string, want any) {
	b.t.Helper()
	// The page itself waits, and looks again whenever it changes.
	quoted, err := json.Marshal(want)
	if err != nil {
		b.t.Fatal(err)
	}
	got := b.evaluate(fmt.Sprintf(`new Promise(done => {
		const look = () => { try { return %[1]s } catch { return null } };
		if (look() === %[2]s) return done(look());
		new MutationObserver((_, o) => { if (look() === %[2]s) { o.disconnect(); done(look()) } })
			.observe(document, {subtree: true, childList: true, characterData: true});
		setTimeout(() => done(look()), 20000);
	})`, expression, quoted))
	if got != want {
		b.t.Fatalf("%s is %v, want %v", expression, got, want)
	}
}

// enter types a line and sends it, as a person does.
func (b *tab) enter(line string) {
	b.t.Helper()
	b.evaluate(`document.querySelector('#text').focus()`)
	b.call("Input.insertText", map[string]any{"text": line})
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13})
	}
}
