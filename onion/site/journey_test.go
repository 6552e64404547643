package site

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
)

// A source chooses by states, is proposed a desk, sends a text with answers and
// two files, checks the codename and finishes. The desk opens it.
func TestJourney(t *testing.T) {
	w := newWorld(t)
	form := w.postForm("/es/report", url.Values{"state": {"SON", "outside"}, "exclude": {"desk:otro"}})
	if form.status != http.StatusOK || !strings.Contains(form.body, "Equipo sur") || strings.Contains(form.body, "Equipo norte") {
		t.Fatalf("status %d, no proposal of sur in:\n%s", form.status, form.body)
	}
	answer := w.send("es",
		field("token", tokenIn(t, form)), field("desk", "sur"), field("exclude", "desk:otro"), field("share", "ngos"),
		field("a-kind", "farm"), field("a-kind", "debt"), field("message", "Lo vi.\r\nDos veces."), field("a-where", "Vícam"), field("a-free", ""),
		file("foto uno.jpg", "jpeg bytes"), file("", ""), file(`..\..\b.txt`, ""))
	words := codenameIn(t, answer)
	token := tokenIn(t, answer)
	if strings.Contains(answer.body, "hreflang") {
		t.Error("the codename page links to other languages")
	}

	r := w.only("sur", "c")
	if got := entry(t, r, "message.txt"); got != "Lo vi.\nDos veces." {
		t.Errorf("message %q", got)
	}
	if got, want := w.answers(r), "es\nkind: farm debt\nwhere: Vícam\n"; got != want {
		t.Errorf("answers %s, want %s", got, want)
	}
	if got := entry(t, r, "files/01") + "|" + entry(t, r, "files/02"); got != "jpeg bytes|" {
		t.Errorf("files %q", got)
	}
	m := r.Manifest
	if m.Share != "ngos" || !slices.Equal(m.Desks, []string{"sur"}) || !slices.Equal(m.Excluded.Desks, []string{"otro"}) ||
		m.Files[2].Name != "foto uno.jpg" || m.Day != time.Now().UTC().Format(time.DateOnly) || m.Origin != testOrigin {
		t.Errorf("manifest %+v", m)
	}
	// The codename shown is the one that the report can be answered to.
	c, err := codename.Parse(words, "es")
	if err != nil {
		t.Fatal(err)
	}
	keys := c.Derive(w.site.config.Params)
	identity, err := seal.IdentityFromSeed(keys.Age)
	if err != nil {
		t.Fatal(err)
	}
	deskLog := keys.DeskLog()
	if m.ReplyTo != identity.Recipient().String() || string(m.ThreadKey) != string(keys.Thread[:]) || string(m.DeskLogKey) != string(deskLog[:]) {
		t.Error("the manifest's keys are not those of the codename")
	}

	list := strings.Fields(words)
	list[4] = list[3]
	wrong := w.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}, "words": {strings.Join(list, " ")}})
	if codenameIn(t, wrong) != words || !strings.Contains(wrong.body, "Mira la palabra 5") {
		t.Errorf("wrong fifth word answers:\n%s", wrong.body)
	}
	right := w.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}, "words": {strings.ToUpper(words) + " "}})
	if codenameIn(t, right) != words || !strings.Contains(right.body, w.sentence("es", "codename.right")) {
		t.Errorf("right words answer:\n%s", right.body)
	}
	last := w.postForm("/es/codename", url.Values{"token": {token}, "action": {"finish"}})
	if last.status != http.StatusOK || strings.Contains(last.body, words) || !strings.Contains(last.body, w.sentence("es", "last.text")) {
		t.Errorf("finish answers:\n%s", last.body)
	}
	again := w.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}, "words": {words}})
	if strings.Contains(again.body, words) || again.body != last.body {
		t.Errorf("after finish, check answers:\n%s", again.body)
	}
}

// One word, nothing else, in English: enough.
func TestShortestReport(t *testing.T) {
	w := newWorld(t)
	words := codenameIn(t, w.send("en", field("token", w.token("en")), field("desk", "norte"), field("message", "Help"), file("", "")))
	if _, err := codename.Parse(words, "en"); err != nil {
		t.Error(err)
	}
	r := w.only("norte", "a")
	if entry(t, r, "message.txt") != "Help" || r.Manifest.Share != "ask" {
		t.Errorf("manifest %+v", r.Manifest)
	}
}

// Who is excluded gets no key, also through a second desk.
func TestExcludedHoldsNoKey(t *testing.T) {
	for _, tt := range []struct {
		name           string
		desks, exclude []string
		can, cannot    string
		inManifest     []string
	}{
		{"nothing excluded", []string{"norte"}, nil, "ab", "cde", []string{"norte"}},
		{"one person in two desks gets one key", []string{"norte", "sur"}, nil, "abc", "de", []string{"norte", "sur"}},
		{"a person in an excluded desk", []string{"norte"}, []string{"desk:sur"}, "a", "bcde", []string{"norte"}},
		{"chosen and excluded", []string{"norte", "sur"}, []string{"desk:sur"}, "a", "bcde", []string{"norte"}},
		{"an organisation", []string{"norte", "otro"}, []string{"org:gob"}, "ab", "cde", []string{"norte"}},
		{"government", []string{"estado", "otro"}, []string{"government"}, "e", "abcd", []string{"otro"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			parts := []part{field("token", w.token("es"))}
			for _, d := range tt.desks {
				parts = append(parts, field("desk", d))
			}
			for _, e := range tt.exclude {
				parts = append(parts, field("exclude", e))
			}
			codenameIn(t, w.send("es", append(parts, field("message", "x"), file("f", "y"))...))
			items := w.vault.Items(tt.inManifest[0])
			if len(items) != 1 || !slices.Equal(items[0].Desks, tt.inManifest) {
				t.Fatalf("items %+v", items)
			}
			for _, k := range strings.Split(tt.can, "") {
				r, err := w.open(items[0], k)
				if err != nil {
					t.Fatalf("key %s: %v", k, err)
				}
				if !slices.Equal(r.Manifest.Desks, tt.inManifest) || len(r.Manifest.Recipients) != len(tt.can) {
					t.Errorf("manifest %+v", r.Manifest)
				}
			}
			for _, k := range strings.Split(tt.cannot, "") {
				if _, err := w.open(items[0], k); err == nil {
					t.Errorf("key %s opens a report that excludes it", k)
				}
			}
		})
	}
}

// The same form sent many times at once makes one report and one codename.
func TestDoubleSendMakesOneReport(t *testing.T) {
	w := newWorld(t)
	token := w.token("es")
	const sends = 8
	answers := make([]response, sends)
	var wg sync.WaitGroup
	for i := range sends {
		wg.Go(func() {
			// A second send in another language shows the codename of the first.
			lang := [...]string{"es", "en"}[i%2]
			answers[i] = w.send(lang, field("token", token), field("desk", "norte"), field("message", "x"), file("f", strings.Repeat("y", 1<<20)))
		})
	}
	wg.Wait()
	w.stored(1)
	words := codenameIn(t, answers[0])
	for _, a := range answers {
		if codenameIn(t, a) != words {
			t.Error("two codenames for one report")
		}
	}
	c, err := codename.Parse(words, "es")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := seal.IdentityFromSeed(c.Derive(w.site.config.Params).Age)
	if err != nil {
		t.Fatal(err)
	}
	if w.only("norte", "a").Manifest.ReplyTo != identity.Recipient().String() {
		t.Error("the codename shown is not that of the stored report")
	}
}

// What a form sent again is answered, by the time and by what happened before.
func TestSendAgain(t *testing.T) {
	w := newWorld(t)
	start := time.Now()
	now := start
	var mu sync.Mutex
	w.site.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	wait := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = start.Add(d) }

	token := w.token("es")
	send := func() response {
		return w.send("es", field("token", token), field("desk", "norte"), field("message", "hola"))
	}
	finish := func() { w.postForm("/es/codename", url.Values{"token": {token}, "action": {"finish"}}) }
	received := w.sentence("es", "received.heading")

	words := codenameIn(t, send())
	wait(9 * time.Minute)
	if codenameIn(t, send()) != words {
		t.Error("another codename after 9 minutes")
	}
	check := w.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}, "words": {words}})
	if codenameIn(t, check) != words {
		t.Error("another codename at the check")
	}
	wait(10 * time.Minute)
	if r := send(); r.status != http.StatusOK || !strings.Contains(r.body, received) || strings.Contains(r.body, words) {
		t.Errorf("after 10 minutes: status %d:\n%s", r.status, r.body)
	}
	check = w.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}, "words": {words}})
	if check.status != http.StatusOK || !strings.Contains(check.body, w.sentence("es", "last.heading")) {
		t.Errorf("check after 10 minutes: status %d:\n%s", check.status, check.body)
	}
	w.stored(1)

	token = w.token("es")
	words = codenameIn(t, send())
	finish()
	if r := send(); r.status != http.StatusOK || !strings.Contains(r.body, received) || strings.Contains(r.body, words) {
		t.Errorf("after finish: status %d:\n%s", r.status, r.body)
	}
	w.stored(2)
}

// A form is good for 24 hours of the clock, and only in the process that made it.
func TestExpiredForm(t *testing.T) {
	w := newWorld(t)
	start := time.Date(2026, 3, 1, 10, 59, 59, 0, time.UTC)
	now := start
	var mu sync.Mutex
	w.site.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	token := w.token("es")
	send := func(at time.Time, token string) response {
		mu.Lock()
		now = at
		mu.Unlock()
		return w.send("es", field("token", token), field("desk", "norte"), field("message", "sigue aquí"), field("a-where", "Tepic"), file("f", "x"))
	}
	expired := send(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), token)
	w.refused(expired, http.StatusBadRequest, "expired", "sigue aquí")
	if !strings.Contains(expired.body, "\nTepic</textarea>") || !strings.Contains(expired.body, `name="desk" value="norte"`) {
		t.Error("answers or desk are not shown again")
	}
	other := newWorld(t)
	w.refused(send(start, other.token("es")), http.StatusBadRequest, "expired", "sigue aquí")
	w.refused(send(start, ""), http.StatusBadRequest, "expired", "sigue aquí")
	// A form that was refused has a token that works.
	codenameIn(t, send(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), tokenIn(t, expired)))
	// And so has the first one, in its last second.
	codenameIn(t, send(time.Date(2026, 3, 2, 9, 59, 59, 0, time.UTC), token))
}

// A refused send gives its form back.
func TestRefusedSendFreesToken(t *testing.T) {
	w := newWorld(t)
	token := w.token("es")
	w.refused(w.send("es", field("token", token), field("desk", "norte"), field("message", "  \r\n ")), http.StatusUnprocessableEntity, "empty", "")
	codenameIn(t, w.send("es", field("token", token), field("desk", "norte"), field("message", "x")))
}
