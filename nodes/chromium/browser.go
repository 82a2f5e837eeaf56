package chromium

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"

	"scenario/host"
	"scenario/nodes/chromium/devtools"
	"scenario/nodes/chromium/netlog"
)

// Bounds of what Chromium keeps for us.
const (
	startTimeout = time.Minute
	maxBody      = 1 << 20  // bytes of a body that can be asked for
	maxBodies    = 16 << 20 // and of all
)

// browser is a Chromium that runs, with its one tab.
type browser struct {
	settings settings
	host     host.Host
	session  *devtools.Session
	log      *netlog.Log
	frame    cdp.FrameID
	load     atomic.Pointer[devtools.Load] // what happens now is noted there; nil: in no load

	tab     context.Context // of chromedp
	cancel  func()          // ends Chromium and waits for its end
	reading sync.WaitGroup  // of the log
	ended   context.Context // of Serve
	lost    chan struct{}   // closed when Chromium is gone
	turn    chan struct{}   // holds a value while an action is carried out
	actions sync.WaitGroup
}

// makers are hosts that Chromium asks for things of its own, whatever its flags and policies say. It finds none of them.
func makers() []string {
	return []string{
		"accounts.google.com", "clients2.google.com", "connectivitycheck.gstatic.com", "content-autofill.googleapis.com",
		"edgedl.me.gvt1.com", "optimizationguide-pa.googleapis.com", "passwordsleakcheck-pa.googleapis.com", "redirector.gvt1.com",
		"safebrowsing.googleapis.com", "update.googleapis.com",
	}
}

// flags are those that make Chromium quiet: whatever it does by itself would be told as if the page had done it.
func flags(s settings) []chromedp.ExecAllocatorOption {
	// Pages of other sites in frames stay in the tab's process: else each would have DevTools of its own.
	off := []string{
		"Translate", "OptimizationHints", "MediaRouter", "DialMediaRouteProvider", "InterestFeedContentSuggestions", "IsolateOrigins",
		"site-per-process", "CertificateTransparencyComponentUpdater", "AutofillServerCommunication", "HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable",
		"LocalNetworkAccessChecks", "CaptivePortalInterstitial", "BlockInsecurePrivateNetworkRequests", "SpareRendererForSitePerProcess",
	}
	all := []chromedp.ExecAllocatorOption{
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Env("HOME=/tmp", "XDG_CONFIG_HOME=/tmp", "XDG_CACHE_HOME=/tmp", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin"),
		chromedp.WindowSize(s.width, s.height),
		chromedp.Flag("disable-features", strings.Join(off, ",")),
		chromedp.Flag("host-resolver-rules", "MAP "+strings.Join(makers(), " ~NOTFOUND, MAP ")+" ~NOTFOUND"),
		chromedp.Flag("password-store", "basic"),
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("accept-lang", "en"),
	}
	for _, name := range []string{
		"disable-background-networking", "disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-breakpad",
		"disable-client-side-phishing-detection", "disable-component-update", "disable-component-extensions-with-background-pages",
		"disable-default-apps", "disable-dev-shm-usage", "disable-domain-reliability", "disable-extensions", "disable-field-trial-config",
		"disable-hang-monitor", "disable-popup-blocking", "disable-prompt-on-repost", "disable-quic", "disable-renderer-backgrounding",
		"disable-search-engine-choice-screen", "disable-site-isolation-trials", "disable-sync", "metrics-recording-only", "mute-audio",
		"no-pings", "no-service-autorun", "safebrowsing-disable-auto-update",
	} {
		all = append(all, chromedp.Flag(name, true))
	}
	if !s.http2 {
		all = append(all, chromedp.Flag("disable-http2", true))
	}
	for _, arg := range s.args {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if hasValue {
			all = append(all, chromedp.Flag(name, value))
		} else {
			all = append(all, chromedp.Flag(name, true))
		}
	}
	return all
}

// policyFile is where Debian's Chromium takes orders from, beside those of the engine that say whom it trusts.
const policyFile = "/etc/chromium/policies/managed/role.json"

// writePolicy has Chromium do what no flag does, in the file that is there for those who keep machines
// (https://chromeenterprise.google/policies/).
func writePolicy(s settings) error {
	text, err := json.Marshal(map[string]any{
		"BlockThirdPartyCookies":   !s.thirdParty,
		"NetworkPredictionOptions": 2, // no connections and lookups ahead of what a page needs
		"DnsOverHttpsMode":         "off",
		"HttpsUpgradesEnabled":     false,
		"ComponentUpdatesEnabled":  false,
		"QuicAllowed":              false,
		"SearchSuggestEnabled":     false,
		// No questions to the maker whether a network lets one through, where a page cannot be had.
		"AlternateErrorPagesEnabled":       false,
		"PasswordLeakDetectionEnabled":     false,
		"SafeBrowsingProtectionLevel":      0,
		"BrowserNetworkTimeQueriesEnabled": false,
		"PasswordManagerEnabled":           false,
		"TranslateEnabled":                 false,
		"MetricsReportingEnabled":          false,
		"SyncDisabled":                     true,
		"BrowserSignin":                    0,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(policyFile, text, 0o644); err != nil {
		return fmt.Errorf("the policies of Chromium cannot be written: this role is for the docker engine's nodes: %w", err)
	}
	return nil
}

// start starts Chromium and waits until it can open pages.
func start(ctx context.Context, h host.Host, s settings) (*browser, error) {
	if err := writePolicy(s); err != nil {
		return nil, err
	}
	log, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b := &browser{
		settings: s, host: h, session: devtools.NewSession(), log: netlog.New(), ended: ctx,
		lost: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	b.reading.Go(func() { _ = b.log.Read(log) }) // without it, connections have no local address
	output := &tail{}
	options := append(flags(s),
		chromedp.ExecPath(s.program),
		chromedp.CombinedOutput(output),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			// What a program inherits are 0 to 2 and these, in order.
			cmd.ExtraFiles = append(cmd.ExtraFiles, told)
			cmd.Args = append(cmd.Args, fmt.Sprintf("--log-net-log=/proc/self/fd/%d", 2+len(cmd.ExtraFiles)))
		}))
	// Chromium lasts until stop, which ends it in order: not until ctx ends.
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(ctx), options...)
	tab, endTab := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}), chromedp.WithLogf(func(string, ...any) {}))
	b.tab = tab
	b.cancel = func() {
		endTab()
		end()
		log.Close()
		b.reading.Wait()
	}
	starting := make(chan error, 1)
	go func() { starting <- b.open() }()
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	select {
	case err = <-starting:
	case <-ctx.Done():
		err = ctx.Err()
	case <-limit.C:
		err = fmt.Errorf("it is not ready after %v", startTimeout)
	}
	told.Close()
	if err != nil {
		b.cancel()
		return nil, startError(s.program, err, output.String())
	}
	go func() {
		<-tab.Done()
		close(b.lost)
	}()
	return b, nil
}

// startError explains why a program did not start.
func startError(program string, err error, output string) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("program %q is not found: install Debian's package %s (apt-get install %s), or name another program: %w",
			program, debianPackage, debianPackage, err)
	}
	if output = strings.TrimSpace(output); output != "" {
		return fmt.Errorf("start %s: %w: it says: %s", program, err, output)
	}
	return fmt.Errorf("start %s: %w", program, err)
}

// open starts the process and prepares its tab.
func (b *browser) open() error {
	if err := chromedp.Do(b.tab); err != nil {
		return err
	}
	b.frame = cdp.FrameID(chromedp.FromContext(b.tab).Target.TargetID)
	if err := chromedp.Listen(b.tab, b.take); err != nil {
		return err
	}
	most, each, post := int64(maxBodies), int64(maxBody), int64(64<<10)
	if _, err := chromedp.Call(b.tab, network.Enable, network.EnableParams{
		MaxTotalBufferSize: &most, MaxResourceBufferSize: &each, MaxPostDataSize: &post,
	}); err != nil {
		return err
	}
	if _, err := chromedp.Call(b.tab, security.Enable, cdp.Empty{}); err != nil {
		return err
	}
	if _, err := chromedp.Call(b.tab, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: "deny"}); err != nil {
		return err
	}
	return chromedp.Do(b.tab, chromedp.EmulateViewport(int64(b.settings.width), int64(b.settings.height)))
}

// take notes an event of DevTools. It is called between messages of the tab, and so may wait for nothing.
func (b *browser) take(ev any) {
	if _, ok := ev.(*page.EventJavascriptDialogOpening); ok {
		go func() { // nobody is there to answer; else the page would wait for ever
			_, _ = chromedp.Call(b.tab, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: false})
		}()
		return
	}
	if l := b.load.Load(); l != nil {
		l.Take(ev)
	}
}

// stop ends Chromium with all its processes, and removes its profile.
func (b *browser) stop() { b.cancel() }

// tail keeps the end of what Chromium writes.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// maxOutput is how much of it is kept, in bytes.
const maxOutput = 2 << 10

// Write keeps the end of p.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - maxOutput; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
