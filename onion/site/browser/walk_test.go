package browser

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
	"resguardo/onion/tornet/source"
	"resguardo/vault"
)

// kept is a page that the walk came to.
type kept struct {
	name     string // as a file name
	lang     string
	requests []string
	answer
}

// walker walks through the site in a browser without JavaScript, 320 pixels wide,
// by following its links and forms, and keeps every page that it comes to.
type walker struct {
	*tab
	*stage
	lang  string
	pages []kept
	dir   string
}

func (w *walker) at(path string) string { return "http://" + w.address + "/" + w.lang + path }

// keep keeps the page that is shown. Its status must be as expected.
func (w *walker) keep(name string, status int) {
	w.tab.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.page.status != status {
		w.tab.t.Errorf("%s %s: status %d, want %d", w.lang, name, w.page.status, status)
	}
	if slices.ContainsFunc(w.pages, func(k kept) bool { return k.name == name && k.lang == w.lang }) {
		w.tab.t.Errorf("two pages are named %s", name)
	}
	w.pages = append(w.pages, kept{name, w.lang, slices.Clone(w.requests), w.page})
}

// fill types into a field.
func (w *walker) fill(selector, text string) {
	w.tab.t.Helper()
	w.touch(selector)
	w.write(text)
}

// Selectors of buttons.
const (
	forward = "main .buttons > *"
	leave   = ".leave button"
)

// walkAll walks in every language and returns the pages.
func walkAll(t testing.TB, c *chromium) (pages []kept, css map[string][]byte) {
	t.Helper()
	s := newStage(t)
	var walkers []*walker
	for _, lang := range languages {
		w := &walker{tab: c.newTab(), stage: s, lang: lang, dir: t.TempDir()}
		w.choose()
		w.send()
		w.refusals()
		w.errors()
		w.desksChange()
		walkers = append(walkers, w)
	}
	full(walkers)
	busy(walkers)
	for _, w := range walkers {
		w.close()
		pages = append(pages, w.pages...)
	}
	return pages, s.css
}

// choose walks from the start to the form.
func (w *walker) choose() {
	w.open(w.at("/"))
	w.keep("landing", 200)
	w.click("main a[href$='/keys']")
	w.keep("keys", 200)
	w.open(w.at("/"))
	w.click(forward)
	w.keep("safety", 200)
	w.click(forward)
	w.keep("choice", 200)
	w.click(forward)
	w.keep("choice-nothing-ticked", 422)
	w.touch("input[value=unknown]")
	w.click(forward)
	w.keep("choice-states-unknown", 200)
	w.open(w.at("/report"))
	for _, state := range []string{"SON", "JAL", "CDMX", "CHIS"} {
		w.touch("input[value=" + state + "]")
	}
	w.click(forward)
	w.keep("choice-none-outside", 200)
	w.open(w.at("/report"))
	w.touch("#desks > summary")
	w.touch("#desks input[value=norte]")
	w.touch("details:not(#desks) > summary")
	w.touch("input[value='desk:norte']")
	w.click(forward)
	w.keep("choice-no-desk-left", 422)
	w.open(w.at("/report"))
	w.touch("input[value=SON]")
	w.touch("input[value=government]")
	w.touch("details:not(#desks) > summary")
	w.touch("input[value='org:estado']")
	w.click(forward)
	w.keep("form-proposed", 200)
}

// send walks from the form to the end of a report, and tries to send it again.
func (w *walker) send() {
	w.open(w.at("/report?desk=norte"))
	w.keep("form", 200)
	w.fill("#message", " ")
	w.click(forward)
	w.keep("form-empty", 422)
	w.fill("#message", "Lo vi en la garita.")
	for _, summary := range []string{"details:nth-of-type(2)", "details:nth-of-type(3)"} {
		w.touch(summary + " > summary")
	}
	w.touch("input[value=farm]")
	w.attach("#file", w.file("foto.jpg", 100<<10))
	w.click(forward)
	w.keep("codename", 200)
	w.fill("#words", "no es esta")
	w.click("button[value=check]")
	w.keep("codename-wrong", 200)
	var words string
	w.evaluate(`document.querySelector("#codename").innerText`, &words)
	w.fill("#words", strings.ToUpper(words))
	w.click("button[value=check]")
	w.keep("codename-right", 200)
	w.click(forward)
	w.keep("last", 200)
	w.mailbox(words)
	w.back()
	w.keep("received", 200)
	w.open(w.at("/"))
	w.click(leave)
	w.event("Page.loadEventFired", nil) // of the page outside; the recorder knows only ours
	w.keep("exit", 200)
}

// mailbox walks through the mailbox of a codename, but for its end.
func (w *walker) mailbox(words string) {
	w.open(w.at("/mailbox"))
	w.keep("sign-in", 200)
	w.fill("#codename", "qqqq zzzz")
	w.click(forward)
	w.keep("sign-in-unknown-words", 422)
	w.open(w.at("/mailbox"))
	w.fill("#codename", words+" "+words)
	w.click(forward)
	w.keep("sign-in-wrong-count", 422)
	w.open(w.at("/mailbox"))
	list := strings.Fields(words) // in another order they are nobody's
	slices.Reverse(list)
	w.fill("#codename", strings.Join(list, " "))
	w.click(forward)
	w.keep("sign-in-no-mailbox", 422)
	w.open(w.at("/mailbox"))
	w.fill("#codename", strings.ToUpper(words))
	w.click(forward)
	w.keep("mailbox", 200)
	w.click("form[enctype] .buttons button")
	w.keep("mailbox-nothing-written", 422)
	w.fill("#message", "Siguen ahí.")
	w.click("form[enctype] .buttons button")
	w.keep("mailbox-added", 200)
	w.click("main section:last-of-type form:last-of-type button")
	w.keep("mailbox-erase", 200)
	w.click("main form:last-of-type button")
	w.keep("mailbox-not-erased", 200)
	w.click("main section:last-of-type form:nth-last-of-type(2) button")
	w.keep("mailbox-closed", 200)
	w.open(w.at("/mailbox"))
}

// back goes back to the codename, as the browser's button does, and sends the
// report again when the browser asks.
func (w *walker) back() {
	var h struct {
		Entries []struct {
			ID  int
			URL string
		}
	}
	w.call("Page.getNavigationHistory", nil, &h)
	i := len(h.Entries) - 1
	for i >= 0 && !strings.HasSuffix(h.Entries[i].URL, "/report") {
		i--
	}
	if i < 0 {
		w.tab.t.Fatalf("no report in the history %v", h.Entries)
	}
	w.forget()
	w.call("Page.navigateToHistoryEntry", map[string]any{"entryId": h.Entries[i].ID}, nil)
	w.event("Page.loadEventFired", nil) // of Chromium's own page, which asks
	w.forget()
	w.call("Page.reload", nil, nil)
	w.event("Page.loadEventFired", nil)
}

// file makes a file of size bytes.
func (w *walker) file(name string, size int64) string {
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		w.tab.t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		w.tab.t.Fatal(err)
	}
	return path
}

// refusals walks to refused forms. What was typed stands there again.
func (w *walker) refusals() {
	refused := func(name string, status int, spoil func()) {
		w.tab.t.Helper()
		w.open(w.at("/report?desk=norte"))
		w.fill("#message", "Lo vi en la garita.")
		spoil()
		w.click(forward)
		w.keep(name, status)
		var text string
		w.evaluate(`document.querySelector("#message").value`, &text)
		if !strings.HasPrefix(text, "Lo vi en la garita.") {
			w.tab.t.Errorf("%s: the text is %.40q", name, text)
		}
	}
	refused("form-file-large", 413, func() { w.attach("#file", w.file("video.mp4", 9<<20)) })
	refused("form-text-long", 413, func() { w.write(strings.Repeat("Nadie hace nada. ", 4_000)) })
	refused("form-text-cut", 413, func() { w.write(strings.Repeat("Nadie hace nada. ", 9_000)) })
	refused("form-malformed", 400, func() { w.evaluate(`document.querySelector("[name=share]").name = "colour"`, nil) })
	before := w.desksNow()
	refused("form-desk-gone", 422, func() { w.setDesks(before[1:]) })
	w.setDesks(before)
	refused("form-desk-without-keys", 422, func() {
		after := slices.Clone(before)
		after[0].Recipients = nil
		w.setDesks(after)
	})
	w.setDesks(before)
	refused("form-cannot-encrypt", 500, func() {
		after := slices.Clone(before)
		after[0].Recipients = make([]seal.Recipient, 1)
		w.setDesks(after)
	})
	w.setDesks(before)
	refused("form-expired", 400, func() { w.restart(vault.Options{}) })
	w.click(forward) // and now it is taken
	w.keep("codename-after-expiry", 200)
	v := w.restart(vault.Options{})
	refused("form-cannot-store", 500, func() { v.Close() })
	w.restart(vault.Options{})
}

// errors walks to the pages of one sentence.
func (w *walker) errors() {
	w.open(w.at("/nowhere"))
	w.keep("404", 404)
	w.open(w.at("/exit"))
	w.keep("405", 405)
	w.open(w.at("/report"))
	w.evaluate(`document.querySelector("[name=state]").name = "colour"`, nil)
	w.touch("[name=colour]")
	w.click(forward)
	w.keep("400", 400)
	w.open("data:text/html," + url.PathEscape(`<form method="post" action="`+w.at("/exit")+`"><button>go</button></form>`))
	w.click("button")
	w.keep("403", 403)
	w.open(strings.Replace(w.at("/"), "127.0.0.1", "localhost", 1))
	w.keep("421", 421)
	w.mu.Lock()
	w.fail = true
	w.mu.Unlock()
	w.open(w.at("/keys"))
	w.keep("500", 500)
	w.open(w.at("/report?desk=norte"))
	w.fill("#message", "Lo vi en la garita.")
	w.click(forward)
	w.fill("#words", strings.Repeat("palabra ", 10_000))
	w.click("button[value=check]")
	w.keep("413", 413)
	w.call("Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]string{"X-Tor2web": "1"}}, nil)
	w.open(w.at("/"))
	w.keep("gateway", 403)
	w.call("Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]string{}}, nil)
}

// desksChange walks to what depends on which desks there are.
func (w *walker) desksChange() {
	before := w.setDesks(nil)
	w.open(w.at("/report"))
	w.keep("choice-without-desks", 200)
	w.setDesks(before[:1])
	w.open(w.at("/report"))
	w.keep("choice-one-desk", 200)
	w.setDesks(before[3:4])
	w.open(w.at("/report"))
	w.keep("choice-one-desk-without-keys", 200)
	w.setDesks(many(w.tab.t))
	w.open(w.at("/keys"))
	w.keep("keys-127", 200)
	w.open(w.at("/report"))
	w.keep("choice-127", 200)
	w.touch("#desks > summary")
	w.evaluate(`for (const d of [...document.querySelectorAll("#desks input")].slice(0, 60)) d.checked = true`, nil)
	w.click(forward)
	w.keep("form-60-of-127", 200)
	w.setDesks(before)
}

// full walks to a vault without room.
func full(walkers []*walker) {
	walkers[0].restart(vault.Options{MaxBytes: 1})
	for _, w := range walkers {
		w.open(w.at("/report"))
		w.keep("full", 503)
	}
}

// busy walks to a server that has too much to do. Forms were opened before.
func busy(walkers []*walker) {
	s := walkers[0].stage
	usual := s.params
	s.params.Time = passes(s.t, s.params, 5*time.Second)
	s.restart(vault.Options{})
	s.params = usual
	for _, w := range walkers {
		w.open(w.at("/report?desk=norte"))
		w.fill("#message", "Lo vi en la garita.")
	}
	defer s.crowd()()
	for _, w := range walkers {
		w.click(forward)
		w.keep("form-busy", 503)
		w.open(w.at("/report"))
		w.keep("busy", 503)
	}
}

// passes is how many passes make one derivation last about so long.
func passes(t testing.TB, p codename.Params, long time.Duration) uint32 {
	t.Helper()
	list, err := codename.ForLanguage("es")
	if err != nil {
		t.Fatal(err)
	}
	p.Time = 1000
	began := time.Now()
	list.Draw([32]byte{}).Derive(p)
	return uint32(float64(p.Time) * float64(long) / float64(time.Since(began)))
}

// crowd sends reports until the site takes no more. leave ends them.
func (s *stage) crowd() (leave func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var all sync.WaitGroup
	for range 80 { // more than the site has places
		all.Go(func() {
			v := source.Source{URL: "http://" + s.address, Desk: "norte"}
			for ctx.Err() == nil {
				v.Send(ctx, source.Report{Message: "."}) // stored, refused or cut off
			}
		})
	}
	leave = func() { cancel(); all.Wait() }
	for began := time.Now(); ; {
		r, err := http.Get("http://" + s.address + "/es/report")
		if err != nil || time.Since(began) > patience {
			leave()
			s.t.Fatalf("the site does not become busy: %v", err)
		}
		r.Body.Close()
		if r.StatusCode == http.StatusServiceUnavailable {
			return leave
		}
	}
}
