package cmd_test

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// roundTrip is that of a bad network, and hiddenWithin what "leave now" promises on it.
const (
	roundTrip    = 1500 * time.Millisecond
	hiddenWithin = 300 * time.Millisecond
)

// outside is the page that "leave now" leads to. It answers when it is told to.
type outside struct {
	*httptest.Server
	asked chan http.Header
	open  chan struct{}
}

func newOutside(t testing.TB) *outside {
	o := &outside{asked: make(chan http.Header), open: make(chan struct{})}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		select {
		case o.asked <- r.Header:
			<-o.open
		case <-r.Context().Done():
		}
		fmt.Fprint(w, "<!doctype html><title>Outside</title><h1>Outside</h1>")
	}))
	t.Cleanup(func() { close(o.open); o.CloseClientConnections(); o.Close() })
	return o
}

// leave: at a round trip of 1.5 s the page is gone long before the answer can come.
// Then comes a page of ours, then one outside. The mailbox is closed, and going back
// shows neither it nor what was typed.
func (v *visit) leave() {
	f := v.f
	best := time.Hour
	f.open(v.source + "/es/")
	best = min(best, v.leaveNow())
	f.open(v.source + "/es/report?desk=norte")
	f.fill("#message", story)
	best = min(best, v.leaveNow())
	f.back()
	v.shows("h1", "Tu reporte")
	v.holds("#message", "")
	v.signIn()
	session := f.property(".leave [name=session]", "value")
	best = min(best, v.leaveNow())
	v.refusedSession(session)
	f.back()
	v.shows("main", "Por seguridad cerramos tu buzón.")
	v.Logf("“leave now” at a round trip of %s: the page is hidden %d ms after the press (best of 3)", roundTrip, best.Milliseconds())
	if best > hiddenWithin {
		v.Errorf("the page is hidden after %s, want %s at most", best, hiddenWithin)
	}
}

// leaveNow leaves the page that is shown, and returns how long after the press the
// driver knew that it was hidden.
func (v *visit) leaveNow() (took time.Duration) {
	f := v.f
	const hidden = `return [...document.querySelectorAll(".leave ~ *")].every(e => {
		const s = getComputedStyle(e); return s.visibility == "hidden" || s.opacity == "0" })`
	if v.blank() || script[bool](f, hidden) {
		v.Fatal("the page is hidden before anybody left")
	}
	f.over(".leave button")
	v.line.delay.Store(int64(roundTrip / 2))
	defer v.line.delay.Store(0)
	answers, began := v.line.answers.Load(), time.Now()
	f.press(1)
	for !script[bool](f, hidden) {
		if v.line.answers.Load() != answers {
			v.Fatal("the answer was there before the page was hidden")
		}
	}
	took = time.Since(began)
	if !v.blank() {
		v.Error("the picture of the hidden page is not blank")
	}
	if v.line.answers.Load() != answers {
		v.Error("the answer was there before the page was seen to be hidden")
	}
	var header http.Header
	select {
	case header = <-v.outside.asked:
	case <-time.After(patience):
		v.Fatalf("the page outside is not asked for; the page is %s", f.page())
	}
	f.await("h1", "Un momento") // ours, while the one outside has not answered
	if header.Get("Referer") != "" || header.Get("Origin") != "" {
		v.Errorf("the page outside learns where the source comes from: %v", header)
	}
	v.outside.open <- struct{}{}
	f.await("h1", "Outside")
	v.Logf("hidden after %d ms, outside after %.1f s", took.Milliseconds(), time.Since(began).Seconds())
	return took
}

// blank reports whether nothing is seen below the bar with the button.
func (v *visit) blank() bool {
	v.Helper()
	picture, err := png.Decode(bytes.NewReader(v.f.picture()))
	v.must(err)
	size := picture.Bounds()
	bar := script[float64](v.f, `return document.querySelector(".leave").getBoundingClientRect().bottom / innerHeight`)
	paper := picture.At(0, size.Max.Y-1)
	for y := int(bar*float64(size.Dy())) + 1; y < size.Max.Y; y++ {
		for x := range size.Max.X {
			if picture.At(x, y) != paper {
				return false
			}
		}
	}
	return true
}

// refusedSession: a page of the mailbox that somebody kept opens nothing any more.
func (v *visit) refusedSession(value string) {
	v.Helper()
	resp, err := v.tor.HTTP("kept").PostForm(v.source+"/es/mailbox", url.Values{"session": {value}, "action": {"show"}})
	v.must(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	v.must(err)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(page), "Por seguridad cerramos tu buzón.") {
		v.Errorf("the session goes on after “leave now”: %s\n%s", resp.Status, page)
	}
}
