package browser

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"resguardo/onion/site"
	"resguardo/vault"
)

const foreign = "Esta petición vino de otra página."

// TestOrigin: under a name that is not this machine's, as onion names are, Chromium
// says that our forms are ours, and that another site's are not. A page elsewhere
// that even knows a form's token and the value of an open mailbox changes nothing.
func TestOrigin(t *testing.T) {
	s := newStage(t, "es")
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	host := "paginas.example:" + port
	s.restart(vault.Options{}, func(c *site.Config) { c.Hosts = []string{host} })
	seen := &watch{site: s.site}
	s.mu.Lock()
	s.site = seen
	s.mu.Unlock()
	at := "http://" + host + "/es"
	c := newChromium(t, "--host-resolver-rules=MAP *.example 127.0.0.1")
	own, other := c.newTab(), c.newTab()

	own.open(at + "/report?desk=norte")
	token := own.value("[name=token]")
	other.attacks(at, []attack{
		{"/report", "multipart/form-data", [][2]string{{"token", token}, {"desk", "norte"}, {"message", "ajeno"}}},
	})
	own.set("#message", "Lo vi en la garita.")
	own.click(forward)
	words := own.text("#codename")
	if page := own.text("main"); strings.Contains(page, "Este reporte ya estaba") {
		t.Errorf("the foreign page has sent a report:\n%s", page)
	}
	seen.honest(t, host)
	other.attacks(at, []attack{{"/codename", "", [][2]string{{"token", token}, {"action", "finish"}}}})
	own.set("#words", words)
	own.click("button[value=check]")
	if got := own.text("#codename"); got != words {
		t.Errorf("the foreign page has finished the report: codename %q, want %q", got, words)
	}

	own.open(at + "/mailbox")
	own.set("#codename", words)
	own.click(forward)
	seen.honest(t, host)
	session := own.value("form[enctype] [name=session]")
	other.attacks(at, []attack{
		{"/mailbox", "", [][2]string{{"session", session}, {"action", "close"}}},
		{"/mailbox", "", [][2]string{{"session", session}, {"action", "erase"}}},
		{"/mailbox", "multipart/form-data", [][2]string{{"session", session}, {"message", "ajeno"}}},
		{"/mailbox", "", [][2]string{{"codename", words}}},
		{"/exit", "", [][2]string{{"session", session}}},
	})
	own.set("#message", "Siguen ahí.")
	own.click("form[enctype] button")
	seen.honest(t, host)
	var sent int
	own.evaluate(`document.querySelectorAll("main li").length`, &sent)
	if sent != 2 {
		t.Errorf("the mailbox lists %d items, want the report and what its owner added:\n%s", sent, own.text("main"))
	}

	// With the policy that tells least, our own forms would look foreign.
	seen.beStrict()
	own.open(at + "/mailbox")
	own.set("#codename", words)
	own.click(forward)
	if got := own.text("h1"); !strings.Contains(got, foreign) {
		t.Errorf("with no-referrer a form of ours is answered with %q", got)
	}
}

// watch is a site whose visitors' posts are seen.
type watch struct {
	site http.Handler

	mu     sync.Mutex
	strict bool        // sends Referrer-Policy: no-referrer
	last   http.Header // of the last POST
}

func (h *watch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.site.ServeHTTP(w, r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Method == http.MethodPost {
		h.last = r.Header.Clone()
	}
	if h.strict {
		w.Header().Set("Referrer-Policy", "no-referrer") // the recorder has sent nothing yet
	}
}

func (h *watch) beStrict() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strict = true
}

// honest checks what the last post said of where it came from.
func (h *watch) honest(t *testing.T, host string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if got := h.last.Get("Origin"); got != "http://"+host {
		t.Errorf("Origin is %q, want http://%s", got, host)
	}
	if got := h.last.Values("Sec-Fetch-Site"); len(got) > 0 {
		t.Errorf("Sec-Fetch-Site is %q: this name is no different from this machine's", got)
	}
}

// attack is a form on a foreign page.
type attack struct {
	path, enctype string
	fields        [][2]string
}

// attacks presses each form on a page of another name, and the first one on a page
// without a name.
func (b *tab) attacks(at string, all []attack) {
	b.t.Helper()
	var page strings.Builder
	page.WriteString("<!doctype html><title>Elsewhere</title>")
	for _, a := range all {
		fmt.Fprintf(&page, `<form method="post" action="%s%s" enctype="%s">`, at, a.path, a.enctype)
		for _, f := range a.fields {
			fmt.Fprintf(&page, `<input type="hidden" name="%s" value="%s">`, f[0], f[1])
		}
		page.WriteString("<button>go</button></form>")
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/nameless" {
			w.Header().Set("Content-Security-Policy", "sandbox allow-forms")
		}
		fmt.Fprint(w, page.String())
	}))
	defer elsewhere.Close()
	_, port, _ := net.SplitHostPort(elsewhere.Listener.Addr().String())
	for i, a := range all {
		for _, path := range []string{"/", "/nameless"} {
			if i > 0 && path != "/" {
				break
			}
			b.open("http://ajena.example:" + port + path)
			b.click(fmt.Sprintf("form:nth-of-type(%d) button", i+1))
			if got := b.text("h1"); !strings.Contains(got, foreign) {
				b.t.Errorf("a foreign page %s sends %q to %s: %q", path, a.fields, a.path, got)
			}
		}
	}
}

// text is the text of an element.
func (b *tab) text(selector string) (text string) {
	b.t.Helper()
	b.evaluate("document.querySelector("+quote(selector)+").innerText", &text)
	return text
}

// value is the value of a field.
func (b *tab) value(selector string) (text string) {
	b.t.Helper()
	b.evaluate("document.querySelector("+quote(selector)+").value", &text)
	return text
}

// set gives a field a value.
func (b *tab) set(selector, text string) {
	b.t.Helper()
	b.evaluate("document.querySelector("+quote(selector)+").value = "+quote(text), &text)
}
