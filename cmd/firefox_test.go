package cmd_test

import (
	"bufio"
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
type firefox struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	id   int
}

// safest are preferences close to Tor Browser's "Safest" level.
const safest = `user_pref("javascript.enabled", false);
user_pref("javascript.options.wasm", false);
user_pref("svg.disabled", true);
user_pref("mathml.disabled", true);
user_pref("gfx.downloadable_fonts.enabled", false);
user_pref("permissions.default.image", 2);
user_pref("network.cookie.cookieBehavior", 2);
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
`

// newFirefox starts a headless Firefox with JavaScript off and a new profile.
func newFirefox(t *testing.T) *firefox {
	t.Helper()
	profile, port := t.TempDir(), freePort(t)
	prefs := safest + fmt.Sprintf("user_pref(\"marionette.port\", %d);\n", port)
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", profile)
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "MOZ_DISABLE_AUTO_SAFE_MODE=1")
	if err := c.Start(); err != nil {
		t.Fatalf("firefox-esr (make deps installs it): %v", err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	f := &firefox{t: t}
	deadline := time.Now().Add(60 * time.Second)
	for f.conn == nil {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			f.conn = conn
		} else if time.Now().After(deadline) {
			t.Fatalf("firefox does not answer: %v", err)
		} else {
			time.Sleep(100 * time.Millisecond) // another program's start has no event to wait for
		}
	}
	t.Cleanup(func() { f.conn.Close() })
	f.r = bufio.NewReader(f.conn)
	f.frame() // its greeting
	f.do("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{}})
	return f
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (f *firefox) frame() []byte {
	f.t.Helper()
	f.conn.SetReadDeadline(time.Now().Add(3 * time.Minute))
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
		f.t.Fatalf("%s %v: %s", name, args, answer[2])
	}
	return answer[3]
}

func (f *firefox) open(url string) {
	f.t.Helper()
	f.do("WebDriver:Navigate", map[string]any{"url": url})
}

// element finds the first element of a CSS selector and returns its id.
func (f *firefox) element(selector string) string {
	f.t.Helper()
	var found struct{ Value map[string]string }
	if err := json.Unmarshal(f.do("WebDriver:FindElement", map[string]any{"using": "css selector", "value": selector}), &found); err != nil {
		f.t.Fatal(err)
	}
	for _, id := range found.Value {
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

func (f *firefox) click(selector string) {
	f.t.Helper()
	f.do("WebDriver:ElementClick", map[string]any{"id": f.element(selector)})
}

func (f *firefox) text(selector string) string {
	f.t.Helper()
	return f.value("WebDriver:GetElementText", map[string]any{"id": f.element(selector)})
}

func (f *firefox) property(selector, name string) string {
	f.t.Helper()
	return f.value("WebDriver:GetElementProperty", map[string]any{"id": f.element(selector), "name": name})
}

func (f *firefox) value(command string, args map[string]any) string {
	f.t.Helper()
	var v struct{ Value string }
	if err := json.Unmarshal(f.do(command, args), &v); err != nil {
		f.t.Fatal(err)
	}
	return v.Value
}

// TestFirefox sends a report with two files through stock Firefox with JavaScript off, and
// reads the refusal of a file that is too large while 200 MB of it are on their way.
func TestFirefox(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.configure(`report = "4 GiB"`, `report = "150 MiB"`)
	h.start()
	f := newFirefox(t)
	dir := t.TempDir()
	files := map[string]string{"foto.jpg": strings.Repeat("\xff\xd8 not really a photo ", 9000), "nota de voz.ogg": "OggS"}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	large := filepath.Join(dir, "large.mp4")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 200_000_000); err != nil {
		t.Fatal(err)
	}

	f.open(h.source + "/es/report?desk=norte")
	f.fill("textarea[name=message]", "Lo vi en la garita.")
	f.fill("input[name=file]", large)
	f.click("form[enctype] button")
	if got := f.property("textarea[name=message]", "value"); got != "Lo vi en la garita." {
		t.Errorf("after the refusal the form holds %q", got)
	}
	if page := f.text("main"); !strings.Contains(page, "muy grande") {
		t.Errorf("the refusal is not readable:\n%s", page)
	}

	f.open(h.source + "/es/report?desk=norte")
	f.fill("textarea[name=message]", "Lo vi en la garita.")
	for name := range files {
		f.fill("input[name=file]", filepath.Join(dir, name))
	}
	f.click("form[enctype] button")
	words := f.text("#codename")
	if len(strings.Fields(words)) != 8 {
		t.Fatalf("codename %q", words)
	}
	f.fill("input[name=words]", words)
	f.click("button[value=check]")
	f.click("button[value=finish]")

	got := h.fetch()
	if len(got) != 1 {
		t.Fatalf("fetched %q, want one report", got)
	}
	entries := h.unseal(got[0])
	if a, b := entries["files/01"], entries["files/02"]; a+b != files["foto.jpg"]+files["nota de voz.ogg"] && b+a != files["foto.jpg"]+files["nota de voz.ogg"] {
		t.Errorf("the files differ from what was attached: %d and %d bytes", len(a), len(b))
	}
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
