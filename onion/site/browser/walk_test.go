package browser

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"resguardo/crypto/seal"
	"resguardo/onion/site"
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
	t     testing.TB
	pages []kept
	dir   string
}

func (w *walker) at(path string) string { return "http://" + w.address + "/" + w.lang + path }

// keep keeps the page that is shown. Its status must be as expected.
func (w *walker) keep(name string, status int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(kept{name, w.lang, slices.Clone(w.requests), w.page}, status)
}

func (w *walker) add(p kept, status int) {
	w.t.Helper()
	if p.status != status {
		w.t.Errorf("%s: status %d, want %d", p.name, p.status, status)
	}
	if slices.ContainsFunc(w.pages, func(k kept) bool { return k.name == p.name }) {
		w.t.Errorf("two pages are named %s", p.name)
	}
	w.pages = append(w.pages, p)
}

// fill types into a field.
func (w *walker) fill(selector, text string) {
	w.t.Helper()
	w.touch(selector)
	w.paste(text)
}

// pick chooses an entry of a list.
func (w *walker) pick(name, value string) {
	w.t.Helper()
	var now string
	w.evaluate(fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.value = %s; return e.value })()`, quote("[name="+name+"]"), quote(value)), &now)
	if now != value {
		w.t.Fatalf("%s has no entry %q", name, value)
	}
}

// Selectors of buttons.
const (
	forward = "main .buttons > *"
	leave   = ".leave button"
)

// walk walks in one language and returns the pages.
func walk(t testing.TB, c *chromium, lang string) (pages []kept, css map[string][]byte) {
	t.Helper()
	s := newStage(t, lang)
	w := &walker{tab: c.newTab(), stage: s, t: t, dir: t.TempDir()}
	slow := w.sendSlowly()
	w.choose()
	w.send()
	w.refusals()
	w.errors()
	w.desksChange()
	w.mailboxes()
	w.addMore()
	w.limits()
	w.close()
	w.add(<-slow, 408)
	return w.pages, s.css
}

// choose walks from the start to the form.
func (w *walker) choose() {
	w.open(w.at("/"))
	w.keep("landing", 200)
	w.click("main a[href$='/keys']")
	w.keep("keys", 200)
	for _, name := range []string{"help", "privacy"} {
		w.click("footer a[href$='/" + name + "']")
		w.keep(name, 200)
	}
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
	w.pick("team-norte", "yes")
	w.touch("input[value='org:estado']")
	before := w.setDesks(w.desksNow()[2:])
	w.click(forward)
	w.keep("choice-desk-gone", 422)
	w.setDesks(before)
	w.open(w.at("/report"))
	w.touch("#desks > summary")
	for _, id := range []string{"norte", "sur", "bajio", "centro"} {
		w.pick("team-"+id, "no")
	}
	w.touch("input[value=government]")
	w.touch("input[value=SON]")
	w.click(forward)
	w.keep("choice-no-desk-left", 422)
	w.open(w.at("/report"))
	w.touch("input[value=SON]")
	w.touch("input[value=government]")
	w.touch("#desks > summary")
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
	w.evaluate(`for (const d of document.querySelectorAll("main form > details")) d.open = true`, nil)
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
	w.back(0)
	w.keep("codename-sent-before", 200)
	w.click(forward)
	w.keep("last", 200)
	w.signIns(words)
	w.back(0)
	w.keep("received", 200)
	w.open(w.at("/"))
	w.click(leave)
	w.event("Page.loadEventFired", nil) // of the page outside; the recorder knows only ours
	w.keep("exit", 200)
}

// signIns walks through the mailbox of a codename, but for what a desk puts into it.
func (w *walker) signIns(words string) {
	w.open(w.at("/mailbox"))
	w.keep("sign-in", 200)
	w.fill("#codename", "qqqq zzzz")
	w.click(forward)
	w.keep("sign-in-unknown-words", 422)
	w.signIn(words + " " + words)
	w.keep("sign-in-wrong-count", 422)
	list := strings.Fields(words) // in another order they are nobody's
	slices.Reverse(list)
	w.signIn(strings.Join(list, " "))
	w.keep("sign-in-no-mailbox", 422)
	w.signIn(strings.ToUpper(words))
	w.keep("mailbox", 200)
	w.click(sendMore)
	w.keep("mailbox-nothing-written", 422)
	w.fill("#message", "Siguen ahí.")
	w.click(sendMore)
	w.keep("mailbox-added", 200)
	w.click("button[value=ask]")
	w.keep("mailbox-erase", 200)
	w.click("button[value=show]")
	w.keep("mailbox-not-erased", 200)
	w.click("button[value=close]")
	w.keep("mailbox-closed", 200)
	w.back(1) // to a page whose value was used
	w.keep("sign-in-again", 403)
	w.signIn(words)
	w.click("button[value=ask]")
	w.click("button[value=erase]")
	w.keep("mailbox-erased", 200)
	w.open(w.at("/mailbox"))
}

// sendMore is the button that adds something to a report.
const sendMore = "form[enctype] .buttons button"

// signIn opens the mailbox of a codename.
func (w *walker) signIn(words string) {
	w.t.Helper()
	w.open(w.at("/mailbox"))
	w.fill("#codename", words)
	w.click(forward)
}

// back goes back to the report, or to the mailbox (1), as the browser's button does,
// and sends the form again when the browser asks.
func (w *walker) back(mailbox int) {
	w.t.Helper()
	var h struct {
		CurrentIndex int
		Entries      []struct {
			ID  int
			URL string
		}
	}
	w.call("Page.getNavigationHistory", nil, &h)
	i := h.CurrentIndex - 1
	for end := [...]string{"/report", "/mailbox"}[mailbox]; i >= 0 && !strings.HasSuffix(h.Entries[i].URL, end); {
		i--
	}
	if i < 0 {
		w.t.Fatalf("no report in the history %v", h.Entries)
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
		w.t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// refused fills in the form, spoils it and sends it. What was typed stands there again.
func (w *walker) refused(name string, status int, spoil func()) {
	w.t.Helper()
	w.sendSpoilt(spoil)
	w.keepRefused(name, status)
}

// sendSpoilt fills in the form, spoils it and sends it.
func (w *walker) sendSpoilt(spoil func()) {
	w.t.Helper()
	w.open(w.at("/report?desk=norte"))
	w.fill("#message", "Lo vi en la garita.")
	spoil()
	w.click(forward)
}

// keepRefused keeps a page that must show the text again.
func (w *walker) keepRefused(name string, status int) {
	w.t.Helper()
	w.keep(name, status)
	var text string
	w.evaluate(`document.querySelector("#message").value`, &text)
	if !strings.HasPrefix(text, "Lo vi en la garita.") {
		w.t.Errorf("%s: the text is %.40q", name, text)
	}
}

// refusals walks to refused forms.
func (w *walker) refusals() {
	w.refused("form-file-large", 413, func() { w.attach("#file", w.file("video.mp4", 9<<20)) })
	w.refused("form-files-many", 413, func() {
		w.attach("#file", slices.Repeat([]string{w.file("foto.jpg", 10)}, 21)...)
	})
	w.refused("form-text-long", 413, func() { w.paste(strings.Repeat("Nadie hace nada. ", 4_000)) })
	w.refused("form-text-cut", 413, func() { w.paste(strings.Repeat("Nadie hace nada. ", 9_000)) })
	w.refused("form-malformed", 400, func() { w.evaluate(`document.querySelector("[name=share]").name = "colour"`, nil) })
	before := w.desksNow()
	w.refused("form-desk-gone", 422, func() { w.setDesks(before[1:]) })
	w.setDesks(before)
	change := func(f func(*site.Desk)) {
		after := slices.Clone(before)
		f(&after[0])
		w.setDesks(after)
	}
	w.refused("form-desk-without-keys", 422, func() { change(func(d *site.Desk) { d.Recipients = nil }) })
	w.setDesks(before)
	w.refused("form-desks-many", 422, func() {
		change(func(d *site.Desk) { d.Recipients = recipients(w.t, seal.MaxRecipients+1) })
	})
	w.setDesks(before)
	w.refused("form-cannot-encrypt", 500, func() { change(func(d *site.Desk) { d.Recipients = make([]seal.Recipient, 1) }) })
	w.setDesks(before)
	w.refused("form-expired", 400, func() { w.restart(vault.Options{}) })
	w.click(forward) // and now it is taken
	w.keep("codename-after-expiry", 200)
	w.restart(vault.Options{})
	w.refused("form-cannot-store", 500, func() { w.vault.Close() })
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
	w.failOnce()
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

// desksChange walks to what depends on which desks there are, and on how the
// operator has set the site up.
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
	w.setDesks(many(w.t))
	w.open(w.at("/keys"))
	w.keep("keys-127", 200)
	w.open(w.at("/report"))
	w.keep("choice-127", 200)
	w.touch("#desks > summary")
	w.evaluate(`for (const d of [...document.querySelectorAll("#desks select")].slice(0, 60)) d.value = "yes"`, nil)
	w.click(forward)
	w.keep("form-60-of-127", 200)
	w.setDesks(before)
	added, faults := site.ParseLanguage("yua", []byte("name = \"Maayat'aan\"\nbase = "+quote(base(w.lang))+"\nreviewed = false\n"), site.Questions{})
	if len(faults) > 0 {
		w.t.Fatal(faults)
	}
	w.restart(vault.Options{}, func(c *site.Config) {
		c.Demo, c.Added, c.Languages = true, []site.Language{added}, append(languages[:], "yua")
	})
	w.open(strings.Replace(w.at("/"), "/"+w.lang, "/yua", 1))
	w.keep("landing-to-be-reviewed", 200)
	w.open(w.at("/report?desk=norte"))
	w.keep("form-for-trial", 200)
	w.restart(vault.Options{})
}
