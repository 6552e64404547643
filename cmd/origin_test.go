package cmd_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// honestOrigin: Firefox tells its own pages' forms from others. With the policy that
// tells least it could not, and its owner would be refused.
func (v *visit) honestOrigin() {
	v.signIn()
	v.shows("h1", "Tu buzón")
	if got := header(v.line.lastPost(), "Origin"); got != v.source {
		v.Errorf("Origin is %q, want %q", got, v.source)
	}
	v.line.strict.Store(true)
	defer v.line.strict.Store(false)
	v.signIn()
	if got := header(v.line.lastPost(), "Origin"); got != "null" {
		v.Errorf("with no-referrer Origin is %q, want null", got)
	}
	v.shows("h1", foreign)
}

// foreign is said to whom a form elsewhere brings.
const foreign = "Esta petición vino de otra página."

// header is a field of a request's header.
func header(request, name string) string {
	for line := range strings.Lines(request) {
		if n, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// foreignOrigin: a page elsewhere that even knows the value of the open mailbox, the
// codename and a form's token changes nothing, by forms or by links.
func (v *visit) foreignOrigin() {
	f := v.f
	f.open(v.source + "/es/report?desk=norte")
	token := f.property("[name=token]", "value")
	v.signIn()
	session, number := f.property("form[enctype] [name=session]", "value"), f.property("[name=number]", "value")
	mailbox, report := v.source+"/es/mailbox", v.source+"/es/report"
	attacks := []struct {
		name, action, enctype string
		fields                url.Values
	}{
		{"close", mailbox, "", url.Values{"session": {session}, "action": {"close"}}},
		{"leave", v.source + "/es/exit", "", url.Values{"session": {session}}},
		{"delete", mailbox, "", url.Values{"session": {session}, "action": {"delete"}, "number": {number}}},
		{"erase", mailbox, "", url.Values{"session": {session}, "action": {"erase"}}},
		{"add", mailbox, "multipart/form-data", url.Values{"session": {session}, "message": {"ajeno"}}},
		{"send", report, "multipart/form-data", url.Values{"token": {token}, "desk": {"norte"}, "message": {"ajeno"}}},
		{"sign in", mailbox, "", url.Values{"codename": {v.codename}}},
	}
	var page strings.Builder
	page.WriteString("<!doctype html><title>Elsewhere</title>")
	for i, a := range attacks {
		fmt.Fprintf(&page, `<form id=f%d method=post action=%q enctype=%q>`, i, a.action, a.enctype)
		for _, name := range []string{"token", "session", "desk", "action", "number", "codename", "message"} {
			if a.fields.Has(name) {
				fmt.Fprintf(&page, `<input type=hidden name=%s value=%q>`, name, a.fields.Get(name))
			}
		}
		fmt.Fprintf(&page, "<button>%s</button></form>", a.name)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page.String())
	}))
	v.Cleanup(elsewhere.Close)

	own := f.window()
	f.switchTo(f.newWindow())
	for i, a := range attacks {
		f.open(elsewhere.URL)
		f.follow(fmt.Sprintf("#f%d button", i))
		v.shows("h1", foreign)
		if got := header(v.line.lastPost(), "Origin"); got == v.source || got == "" {
			v.Errorf("%s: Origin is %q", a.name, got)
		}
		f.open("data:text/html," + url.PathEscape(page.String())) // a page without a name
		f.follow(fmt.Sprintf("#f%d button", i))
		v.shows("h1", foreign)
		f.open(a.action + "?" + a.fields.Encode()) // a link
	}
	f.closeWindow()
	f.switchTo(own)
	v.shows("h3", "comprobada")
	f.fill("#message", "Sigue siendo mío.")
	f.follow(send)
	v.shows("main", "Recibimos lo que agregaste.")
	v.shows("h3", "comprobada")
	if files := v.fetch(); len(files) != 5 {
		v.Errorf("fetched %q, want one more than before", files)
	}
}
