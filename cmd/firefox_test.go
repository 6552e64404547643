package cmd_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// firefox drives a stock Firefox ESR over Marionette, the protocol of its own test
// driver: frames of LENGTH:JSON, commands [0, id, name, arguments], answers [1, id, error, result].
// Its scripts run beside the page, so they work while pages have no JavaScript.
// Every fault ends the test.
type firefox struct {
	t         testing.TB
	conn      net.Conn
	r         *bufio.Reader
	id        int
	downloads string // folder of the files that it saves
}

// safest are preferences close to Tor Browser's "Safest" level. The last one says
// yes when Firefox asks whether to send a form again.
const safest = `user_pref("javascript.enabled", false);
user_pref("javascript.options.wasm", false);
user_pref("svg.disabled", true);
user_pref("mathml.disabled", true);
user_pref("gfx.downloadable_fonts.enabled", false);
user_pref("permissions.default.image", 2);
user_pref("network.cookie.cookieBehavior", 2);
user_pref("network.http.referer.hideOnionSource", true);
user_pref("privacy.resistFingerprinting", true);
user_pref("browser.privatebrowsing.autostart", true);
user_pref("browser.cache.disk.enable", false);
user_pref("dom.security.https_only_mode", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("app.update.enabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("services.settings.server", "http://127.0.0.1:1/");
user_pref("browser.download.folderList", 2);
user_pref("browser.download.dir", %q);
user_pref("browser.helperApps.neverAsk.saveToDisk", "application/octet-stream");
user_pref("marionette.port", %d);
user_pref("dom.confirm_repost.testing.always_accept", true);
`

// throughTor are preferences that send everything but loopback through a SOCKS
// port on this machine, names included.
const throughTor = `user_pref("network.proxy.type", 1);
user_pref("network.proxy.socks", "127.0.0.1");
user_pref("network.proxy.socks_port", %d);
user_pref("network.proxy.socks_version", 5);
user_pref("network.proxy.socks5_remote_dns", true);
user_pref("network.dns.blockDotOnion", false);
user_pref("network.dns.disabled", true);
user_pref("dom.securecontext.allowlist_onions", true);
`

// pageLoad is how long a page may take: 200 MB go up through three relays on two cores.
const pageLoad = 10 * time.Minute

// newFirefox starts a headless Firefox with JavaScript off and a new profile, with
// its traffic through the SOCKS port at socks.
func newFirefox(t testing.TB, socks net.Addr) *firefox {
	t.Helper()
	f := &firefox{t: t, downloads: t.TempDir()}
	profile, port := t.TempDir(), freePort(t)
	prefs := fmt.Sprintf(safest+throughTor, f.downloads, port, socks.(*net.TCPAddr).Port)
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", profile)
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "MOZ_DISABLE_AUTO_SAFE_MODE=1")
	if err := c.Start(); err != nil {
		t.Fatalf("firefox-esr (make deps installs it): %v", err)
	}
	t.Cleanup(func() { // with its other processes, which would go on writing while the profile goes
		if f.conn != nil {
			quit := `[0,0,"Marionette:Quit",{"flags":["eForceQuit"]}]`
			fmt.Fprintf(f.conn, "%d:%s", len(quit), quit)
			defer f.conn.Close()
		}
		late := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
		defer late.Stop()
		c.Wait()
	})
	for deadline := time.Now().Add(time.Minute); f.conn == nil; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			f.conn = conn
		} else if time.Now().After(deadline) {
			t.Fatalf("firefox does not answer: %v", err)
		} else {
			time.Sleep(100 * time.Millisecond) // another program's start has no event to wait for
		}
	}
	f.r = bufio.NewReader(f.conn)
	f.frame() // its greeting
	f.do("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{"timeouts": map[string]any{"pageLoad": pageLoad.Milliseconds()}}})
	return f
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (f *firefox) frame() []byte {
	f.t.Helper()
	f.conn.SetReadDeadline(time.Now().Add(pageLoad + time.Minute))
	length, err := f.r.ReadString(':')
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		f.t.Fatal(err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(f.r, b); err != nil {
		f.t.Fatal(err)
	}
	return b
}

// do sends one command and returns its result.
func (f *firefox) do(name string, args map[string]any) json.RawMessage {
	f.t.Helper()
	result, fault := f.try(name, args)
	if fault != "" {
		f.t.Fatalf("%s %v: %s\nthe page is %s", name, args, fault, f.page())
	}
	return result
}

// try is do that returns the browser's fault as text.
func (f *firefox) try(name string, args map[string]any) (result json.RawMessage, fault string) {
	f.t.Helper()
	f.id++
	b, err := json.Marshal([]any{0, f.id, name, args})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(f.conn, "%d:%s", len(b), b); err != nil {
		f.t.Fatal(err)
	}
	var answer [4]json.RawMessage
	if err := json.Unmarshal(f.frame(), &answer); err != nil {
		f.t.Fatal(err)
	}
	if string(answer[2]) != "null" {
		fault = string(answer[2])
	}
	return answer[3], fault
}

// page is what a failed test says of the page that is shown.
func (f *firefox) page() string {
	url, _ := f.try("WebDriver:ExecuteScript", map[string]any{"script": "return document.documentURI", "args": []any{}})
	source, _ := f.try("WebDriver:GetPageSource", nil)
	return string(url) + " " + string(source)
}

func (f *firefox) open(url string) {
	f.t.Helper()
	f.do("WebDriver:Navigate", map[string]any{"url": url})
}

// refresh loads the page again. A form that it came from is sent again.
func (f *firefox) refresh() {
	f.t.Helper()
	f.do("WebDriver:Refresh", nil)
}

// back goes one page back. In the place of a page that came by a form Firefox shows
// one of its own, which offers to send the form again; this accepts.
func (f *firefox) back() {
	f.t.Helper()
	if _, fault := f.try("WebDriver:Back", nil); strings.Contains(fault, "about:neterror?e=notCached") {
		f.refresh()
	} else if fault != "" {
		f.t.Fatalf("back: %s\nthe page is %s", fault, f.page())
	}
}

// element finds the first element of a CSS selector and returns its id.
func (f *firefox) element(selector string) string {
	f.t.Helper()
	for _, id := range value[map[string]string](f, "WebDriver:FindElement", map[string]any{"using": "css selector", "value": selector}) {
		return id
	}
	f.t.Fatalf("no element %s", selector)
	return ""
}

// fill types text into an element; for a file input, text is a path.
func (f *firefox) fill(selector, text string) {
	f.t.Helper()
	f.do("WebDriver:ElementSendKeys", map[string]any{"id": f.element(selector), "text": text})
}

// click presses an element of the page that does not lead away from it.
func (f *firefox) click(selector string) {
	f.t.Helper()
	f.do("WebDriver:ElementClick", map[string]any{"id": f.element(selector)})
}

// follow presses a link or a button and waits for the page that it leads to. After 5 s
// Firefox itself takes a slow answer for none.
func (f *firefox) follow(selector string) {
	f.t.Helper()
	before := f.element("html")
	f.click(selector)
	f.soon("another page after "+selector, func() bool {
		_, gone := f.try("WebDriver:GetElementTagName", map[string]any{"id": before})
		return gone != ""
	})
	f.soon("all of the page", func() bool {
		state, fault := f.try("WebDriver:ExecuteScript", map[string]any{"script": "return document.readyState", "args": []any{}})
		return fault == "" && strings.Contains(string(state), "complete")
	})
}

// soon calls ready until it is true.
func (f *firefox) soon(what string, ready func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(pageLoad); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("not within %s: %s; the page is %s", pageLoad, what, f.page())
		}
	}
}

// over scrolls to an element and puts the mouse over it.
func (f *firefox) over(selector string) {
	f.t.Helper()
	script[any](f, `document.querySelector(arguments[0]).scrollIntoView({block: "center", behavior: "instant"})`, selector)
	f.pointer(map[string]any{"type": "pointerMove", "x": 0, "y": 0, "duration": 0,
		"origin": map[string]string{"element-6066-11e4-a52e-4f735466cecf": f.element(selector)}})
}

// press presses the mouse count times in a row, and waits for nothing.
func (f *firefox) press(count int) {
	f.t.Helper()
	var presses []map[string]any
	for range count {
		presses = append(presses, map[string]any{"type": "pointerDown", "button": 0}, map[string]any{"type": "pointerUp", "button": 0})
	}
	f.pointer(presses...)
}

func (f *firefox) pointer(actions ...map[string]any) {
	f.t.Helper()
	f.do("WebDriver:PerformActions", map[string]any{"actions": []any{map[string]any{"type": "pointer", "id": "mouse",
		"parameters": map[string]string{"pointerType": "mouse"}, "actions": actions}}})
}

func (f *firefox) text(selector string) string {
	f.t.Helper()
	return value[string](f, "WebDriver:GetElementText", map[string]any{"id": f.element(selector)})
}

// await waits until an element is there and has the text.
func (f *firefox) await(selector, text string) {
	f.t.Helper()
	f.soon(fmt.Sprintf("%s with %q", selector, text), func() bool {
		const body = `const e = document.querySelector(arguments[0]); return e ? e.textContent : ""`
		got, fault := f.try("WebDriver:ExecuteScript", map[string]any{"script": body, "args": []any{selector}})
		return fault == "" && strings.Contains(string(got), text)
	})
}

// property is a property of an element, as text.
func (f *firefox) property(selector, name string) string {
	f.t.Helper()
	return fmt.Sprint(value[any](f, "WebDriver:GetElementProperty", map[string]any{"id": f.element(selector), "name": name}))
}

// url is the address of the page that is shown.
func (f *firefox) url() string {
	f.t.Helper()
	return value[string](f, "WebDriver:GetCurrentURL", nil)
}

// window is the tab that commands go to.
func (f *firefox) window() string {
	f.t.Helper()
	return value[string](f, "WebDriver:GetWindowHandle", nil)
}

// newWindow opens another tab.
func (f *firefox) newWindow() string {
	f.t.Helper()
	var made struct{ Handle string }
	if err := json.Unmarshal(f.do("WebDriver:NewWindow", map[string]any{"type": "tab"}), &made); err != nil {
		f.t.Fatal(err)
	}
	return made.Handle
}

func (f *firefox) switchTo(window string) {
	f.t.Helper()
	f.do("WebDriver:SwitchToWindow", map[string]any{"handle": window})
}

func (f *firefox) closeWindow() {
	f.t.Helper()
	f.do("WebDriver:CloseWindow", nil)
}

// picture is what is on the screen, as PNG.
func (f *firefox) picture() []byte {
	f.t.Helper()
	png, err := base64.StdEncoding.DecodeString(value[string](f, "WebDriver:TakeScreenshot", map[string]any{"full": false}))
	if err != nil {
		f.t.Fatal(err)
	}
	return png
}

// script runs the body of a JavaScript function beside the page.
func script[T any](f *firefox, body string, args ...any) T {
	f.t.Helper()
	return value[T](f, "WebDriver:ExecuteScript", map[string]any{"script": body, "args": append([]any{}, args...)})
}

// value sends a command and returns the value that it answers.
func value[T any](f *firefox, command string, args map[string]any) T {
	f.t.Helper()
	var v struct{ Value T }
	if err := json.Unmarshal(f.do(command, args), &v); err != nil {
		f.t.Fatal(err)
	}
	return v.Value
}

// configure replaces one line of the vault's configuration.
func (h *house) configure(old, new string) {
	h.t.Helper()
	path := filepath.Join(h.dir, "resguardo.toml")
	b, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		h.t.Fatalf("%s has no line %q:\n%s", path, old, b)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o600); err != nil {
		h.t.Fatal(err)
	}
}
