package browser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience is the hard limit of one command to Chromium, and of one page.
const patience = 2 * time.Minute

// chromium is a headless Chromium, driven over the Chrome DevTools Protocol: JSON
// messages that end in a zero byte, to its file descriptor 3 and from its 4. One
// goroutine uses it. Every fault of it ends the test.
type chromium struct {
	t      testing.TB
	to     *os.File
	from   *os.File
	rest   []byte // read and not yet taken apart
	id     int
	events []message // not yet asked for
}

// message is a command, its answer, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct{ Message string }
}

// need returns the path of a program that the test cannot do without.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	missing(t, err)
	return path
}

// missing skips the test, or fails it if CI=true, when something is not installed.
func missing(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v (make deps installs it)", err)
	}
	t.Skipf("%v (make deps installs it)", err)
}

// newChromium starts a Chromium with an empty profile. It shows no images, loads no
// fonts and keeps no cookies. The flags come beside its own.
func newChromium(t testing.TB, flags ...string) *chromium {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser, which takes minutes under the race detector")
	}
	path, home := need(t, "chromium"), t.TempDir()
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, append(flags, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-extensions", "--force-color-profile=srgb", "--lang=en-US",
		"--blink-settings=imagesEnabled=false,downloadableBinaryFontsEnabled=false,cookieEnabled=false",
		"--user-data-dir="+filepath.Join(home, "profile"), "--remote-debugging-pipe", "about:blank")...)
	c.Env = append(os.Environ(), "HOME="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	c.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &chromium{t: t, to: to, from: from}
	t.Cleanup(func() {
		// Asked to close, it ends its children too; they write to the profile until then.
		fmt.Fprintf(to, "{\"id\":%d,\"method\":\"Browser.close\"}\x00", b.id+1)
		kill := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
		c.Wait()
		kill.Stop()
		to.Close()
		from.Close()
	})
	return b
}

// do sends one command to a tab, or to the browser if session is empty, and reads
// its answer into result if that is not nil.
func (c *chromium) do(session, method string, params map[string]any, result any) {
	c.t.Helper()
	if err := c.try(session, method, params, result); err != nil {
		c.t.Fatalf("chromium: %s: %v", method, err)
	}
}

func (c *chromium) try(session, method string, params map[string]any, result any) error {
	c.id++
	command := map[string]any{"id": c.id, "method": method}
	if session != "" {
		command["sessionId"] = session
	}
	if params != nil {
		command["params"] = params
	}
	b, err := json.Marshal(command)
	if err != nil {
		return err
	}
	if _, err := c.to.Write(append(b, 0)); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		m, err := c.read(deadline)
		if err != nil {
			return err
		}
		switch {
		case m.ID == 0:
			c.events = append(c.events, m)
		case m.ID != c.id:
			return fmt.Errorf("answer %d to command %d", m.ID, c.id)
		case m.Error != nil:
			return errors.New(m.Error.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		default:
			return nil
		}
	}
}

// read returns the next message.
func (c *chromium) read(deadline time.Time) (message, error) {
	var m message
	if err := c.from.SetReadDeadline(deadline); err != nil {
		return m, err
	}
	for {
		if one, rest, ok := bytes.Cut(c.rest, []byte{0}); ok {
			c.rest = rest
			return m, json.Unmarshal(one, &m)
		}
		buf := make([]byte, 64<<10)
		n, err := c.from.Read(buf)
		if err != nil {
			return m, err
		}
		c.rest = append(c.rest, buf[:n]...)
	}
}

// tab is one page of the browser, 320 CSS pixels wide unless it is resized.
type tab struct {
	*chromium
	session string
	target  string
}

// newTab opens a tab. JavaScript is off until script is called.
func (c *chromium) newTab() *tab {
	c.t.Helper()
	var made struct{ TargetID, SessionID string }
	c.do("", "Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	b := &tab{chromium: c, target: made.TargetID}
	c.do("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &made)
	b.session = made.SessionID
	b.call("Page.enable", nil, nil)
	b.call("Network.enable", nil, nil)
	b.call("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	b.script(false)
	b.resize(320, 640, 1)
	return b
}

func (b *tab) close() {
	b.t.Helper()
	b.do("", "Target.closeTarget", map[string]any{"targetId": b.target}, nil)
}

func (b *tab) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.do(b.session, method, params, result)
}

// script turns JavaScript of pages on or off; evaluate works either way.
func (b *tab) script(on bool) {
	b.t.Helper()
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// resize sets the size in CSS pixels, and how many pixels of the screen each one has.
func (b *tab) resize(width, height int, scale float64) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": false}, nil)
}

// media emulates media features, as pairs of name and value.
func (b *tab) media(pairs ...string) {
	b.t.Helper()
	features := []map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		features = append(features, map[string]string{"name": pairs[i], "value": pairs[i+1]})
	}
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": features}, nil)
}

// forget drops the events that have come so far.
func (b *tab) forget() { b.events = nil }

// event returns the next event of a name, and reads its parameters into params.
func (b *tab) event(method string, params any) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for i := 0; ; i++ {
		if i == len(b.events) {
			m, err := b.read(deadline)
			if err != nil {
				b.t.Fatalf("chromium: no %s: %v", method, err)
			}
			b.events = append(b.events, m)
		}
		if m := b.events[i]; m.Session == b.session && m.Method == method {
			b.events = append(b.events[:i:i], b.events[i+1:]...)
			if params != nil {
				if err := json.Unmarshal(m.Params, params); err != nil {
					b.t.Fatal(err)
				}
			}
			return
		}
	}
}

// open loads an address and waits until it is shown.
func (b *tab) open(url string) {
	b.t.Helper()
	b.forget()
	var r struct{ ErrorText string }
	b.call("Page.navigate", map[string]any{"url": url}, &r)
	if r.ErrorText != "" {
		b.t.Fatalf("chromium: open %s: %s", url, r.ErrorText)
	}
	b.shown()
}

// shown waits until a page is loaded and was drawn once: only then has the element
// with the attribute autofocus the focus, and was the page scrolled to it.
func (b *tab) shown() {
	b.t.Helper()
	b.event("Page.loadEventFired", nil)
	// A page that goes on by itself may be gone by now.
	_ = b.try(b.session, "Page.captureScreenshot", map[string]any{"clip": map[string]any{"x": 0, "y": 0, "width": 1, "height": 1, "scale": 1}}, nil)
}

// evaluate runs an expression in the page and reads its value into result. A
// promise is waited for.
func (b *tab) evaluate(expression string, result any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if e := r.ExceptionDetails; e != nil {
		b.t.Fatalf("chromium: %s %s", e.Text, e.Exception.Description)
	}
	if result != nil {
		if err := json.Unmarshal(r.Result.Value, result); err != nil {
			b.t.Fatalf("chromium: %s: %v", r.Result.Value, err)
		}
	}
}

// quote is text as a JavaScript string.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// point returns where an element can be touched, after it was scrolled to: the
// middle of its first line.
func (b *tab) point(selector string) (x, y float64) {
	b.t.Helper()
	var p []float64
	b.evaluate(fmt.Sprintf(`(() => { const e = document.querySelector(%s); if (!e) return [];
		e.scrollIntoView({block: "center", behavior: "instant"}); const r = e.getClientRects()[0];
		return r ? [r.x + r.width / 2, r.y + r.height / 2] : [] })()`, quote(selector)), &p)
	if len(p) != 2 {
		b.t.Fatalf("chromium: no element %s is shown", selector)
	}
	return p[0], p[1]
}

// touch presses and releases the mouse on an element.
func (b *tab) touch(selector string) {
	b.t.Helper()
	x, y := b.point(selector)
	b.mouse("mousePressed", x, y)
	b.mouse("mouseReleased", x, y)
}

func (b *tab) mouse(kind string, x, y float64) {
	b.t.Helper()
	b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
}

// click touches an element that leads to another page and waits until that is shown.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.forget()
	b.touch(selector)
	b.shown()
}

// key is a key of the keyboard, as Chromium describes it.
type key struct {
	name, code, text string
	number           int
}

var (
	tabKey   = key{"Tab", "Tab", "", 9}
	enterKey = key{"Enter", "Enter", "\r", 13}
	spaceKey = key{" ", "Space", " ", 32}
)

// press presses a key of the keyboard.
func (b *tab) press(k key) {
	b.t.Helper()
	down := map[string]any{"type": "keyDown", "key": k.name, "code": k.code, "windowsVirtualKeyCode": k.number}
	if k.text != "" {
		down["text"] = k.text
	}
	b.call("Input.dispatchKeyEvent", down, nil)
	b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": k.name, "code": k.code, "windowsVirtualKeyCode": k.number}, nil)
}

// paste puts text into the field that has the focus, as pasting does.
func (b *tab) paste(text string) {
	b.t.Helper()
	b.call("Input.insertText", map[string]any{"text": text}, nil)
}

// attach chooses files.
func (b *tab) attach(selector string, paths ...string) {
	b.t.Helper()
	var r struct{ Result struct{ ObjectID string } }
	b.call("Runtime.evaluate", map[string]any{"expression": fmt.Sprintf("document.querySelector(%s)", quote(selector))}, &r)
	b.call("DOM.setFileInputFiles", map[string]any{"files": paths, "objectId": r.Result.ObjectID}, nil)
}

// picture is the whole page as PNG.
func (b *tab) picture() []byte {
	b.t.Helper()
	var r struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &r)
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}
