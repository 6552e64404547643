package browser

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSlowNetwork: over 50 kbit/s down and 20 up with a round trip of 1.5 s (as Chromium
// emulates it) the first page comes within 15 s, a report with a file of 100 KB arrives,
// and "leave now" hides the page before any answer can come.
func TestSlowNetwork(t *testing.T) {
	t.Parallel()
	s := newStage(t, "es")
	b := newChromium(t).newTab()
	b.call("Network.emulateNetworkConditions", map[string]any{"offline": false, "latency": 1500,
		"downloadThroughput": 50_000 / 8, "uploadThroughput": 20_000 / 8}, nil)
	began := time.Now()
	b.open("http://" + s.address + "/es/")
	took := time.Since(began)
	t.Logf("first page: %.1f s", took.Seconds())
	if took > 15*time.Second {
		t.Errorf("the first page took %s", took)
	}

	hidden := func() bool {
		var h bool
		b.evaluate(`(() => { const m = document.querySelector("main");
			if (!m || location.pathname.endsWith("/exit")) return true; // the next page, or the moment before it
			const s = getComputedStyle(m);
			return s.visibility == "hidden" || s.opacity == "0" })()`, &h)
		return h
	}
	if hidden() {
		t.Fatal("the page is hidden before anybody left")
	}
	x, y := b.point(leave)
	b.forget()
	b.mouse("mousePressed", x, y)
	if !hidden() {
		t.Error("the page is shown while “leave now” is pressed")
	}
	b.mouse("mouseReleased", x, y)
	if !hidden() {
		t.Error("the page is shown while the answer to “leave now” is on its way")
	}
	b.event("Page.loadEventFired", nil)

	b.open("http://" + s.address + "/es/report?desk=norte")
	file := filepath.Join(t.TempDir(), "foto.jpg")
	if err := os.WriteFile(file, make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	b.touch("#message")
	b.paste("Lo vi en la garita.")
	b.attach("#file", file)
	began = time.Now()
	b.click(forward)
	t.Logf("report with a file of 100 KB: %.1f s", time.Since(began).Seconds())
	var words string
	b.evaluate(`document.querySelector("#codename").innerText`, &words)
	if words == "" {
		t.Error("no codename")
	}
}
