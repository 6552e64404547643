package site

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"resguardo/crypto/seal"
	"resguardo/onion/logtiles/logtest"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// sloppy is a codename as a person in a hurry types it.
func sloppy(words string) string {
	all := strings.Fields(words)
	for i, w := range all {
		r := []rune(w)
		if i%2 == 0 {
			w = string(r[:min(4, len(r))])
		}
		all[i] = strings.ToUpper(w)
	}
	text := "  1. " + strings.Join(all, ",\r\n -  ") + " .\n"
	return strings.NewReplacer("Á", "A", "É", "E", "Í", "I", "Ó", "O", "Ú", "U").Replace(text)
}

// A source comes back with eight words, reads, adds, and deletes one reply and
// then everything.
func TestMailboxJourney(t *testing.T) {
	m := newMail(t)
	log := logtest.Begin(t, m.vault)
	page := m.signIn("es", sloppy(m.words))
	m.has(page, http.StatusOK, "mailbox.none", "sent.report", "mailbox.waits", "mailbox.has")
	if !strings.Contains(page.body, "Equipo norte") || strings.Contains(page.body, "hola") || strings.Contains(page.body, m.words) {
		t.Errorf("page:\n%s", page.body)
	}

	added := m.add(field("session", sessionIn(t, page)), field("message", "También vi\r\nesto."), file("foto.jpg", "jpeg"))
	m.has(added, http.StatusOK, "mailbox.added", "sent.followup")
	c := m.kase()
	if len(c.Items) != 2 || c.Items[1].Kind != translog.Followup {
		t.Fatalf("items %+v", c.Items)
	}
	r, err := m.open(c.Items[1], "a")
	if err != nil {
		t.Fatal(err)
	}
	f := r.Manifest
	if f.Kind != "followup" || f.Sequence != 1 || f.Previous != fmt.Sprintf("%x", c.Items[0].SHA256) || f.ReplyTo != "" ||
		entry(t, r, "message.txt") != "También vi\nesto." || entry(t, r, "files/01") != "jpeg" || f.Files[1].Name != "foto.jpg" {
		t.Errorf("follow-up %+v", f)
	}
	if tag := translog.NewEvent(m.keys.Log, translog.Followup, 0).Tag(translog.Followup); c.Items[1].Tag != tag {
		t.Error("the follow-up's event is not one that the codename finds")
	}

	m.write("ack", "", func(x *written) { x.ref = c.Items[0].Tag })
	item := m.write("reply", "Gracias. ¿Puede salir <de ahí>?\n", func(x *written) { x.files = map[string]string{"Guía rápida.pdf": "%PDF"} })
	shown := m.press(sessionIn(t, added), "show")
	day := time.Now().UTC()
	read := m.site.locales.must("es", "mailbox.read", "date", fmt.Sprintf("%d de %s de %d", day.Day(), m.sentence("es", "month."+strconv.Itoa(int(day.Month()))), day.Year()))
	m.has(shown, http.StatusOK, "reply.checked", "reply.never", "mailbox.waits")
	for _, want := range []string{"¿Puede salir &lt;de ahí&gt;?", "Respuesta del equipo Equipo norte", read, "Guardar Gu_a_r_pida.pdf (0 KB)"} {
		if !strings.Contains(shown.body, want) {
			t.Errorf("no %q in:\n%s", want, shown.body)
		}
	}
	words := m.site.keyWords("es", m.world.recipients("a")[0].Fingerprint())
	if len(strings.Split(words, " · ")) != 6 || !strings.Contains(shown.body, words) || !strings.Contains(m.get("/es/keys").body, words) {
		t.Errorf("control words %q are not on both pages", words)
	}
	if i, err := m.vault.Item(item.ID); err != nil || !i.Seen {
		t.Error("a reply that was shown is not seen")
	}
	log.Close(t) // events wait for one epoch at most
	log.Publish(t)
	page = m.press(sessionIn(t, shown), "show")
	m.has(page, http.StatusOK, "mailbox.logged")

	deleted := m.press(sessionIn(t, page), "delete", "number", strconv.Itoa(item.Number))
	m.has(deleted, http.StatusOK, "mailbox.deleted")
	if _, err := m.vault.Item(item.ID); err == nil || strings.Contains(deleted.body, "Puede salir") || !strings.Contains(deleted.body, "borrada") {
		t.Errorf("a deleted reply is there: %v\n%s", err, deleted.body)
	}

	ask := m.press(sessionIn(t, deleted), "ask")
	m.has(ask, http.StatusOK, "erase.what", "erase.copies", "erase.past")
	if !strings.Contains(ask.body, "30 días") {
		t.Error("no word about backup copies")
	}
	back := m.press(sessionIn(t, ask), "show")
	ask = m.press(sessionIn(t, back), "ask")
	gone := m.press(sessionIn(t, ask), "erase")
	m.has(gone, http.StatusOK, "last.heading", "last.erased")
	if sessionField.MatchString(gone.body) || len(m.vault.Cases("")) != 0 || len(m.vault.AllItems()) != 0 {
		t.Error("something is left")
	}
	m.signedOut(m.press(sessionIn(t, ask), "show"))
	m.has(m.signIn("es", m.words), http.StatusUnprocessableEntity, "signin.unknown")
	if n := m.site.sessions.count; n != 0 {
		t.Errorf("%d sessions", n)
	}
	log.Close(t)
	for _, counter := range []uint64{0, uint64(item.Number)} {
		if tag := translog.NewEvent(m.keys.Log, translog.SourceDelete, counter).Tag(translog.SourceDelete); !m.vault.Logged(tag) {
			t.Errorf("source-delete %d is not in the log", counter)
		}
	}
}

// A reply whose deletion is in the log came back with an old copy of the vault. It is
// gone when its source signs in, and the others are not.
func TestDeletedReplyStaysDeleted(t *testing.T) {
	m := newMail(t)
	log := logtest.Begin(t, m.vault)
	first, second := m.write("reply", "la primera"), m.write("reply", "la segunda")
	m.write("reply", "la tercera")
	// The log has the tombstone of the second, and the vault still has the second.
	event := translog.NewEvent(m.keys.Log, translog.SourceDelete, uint64(second.Number))
	if err := m.vault.DeleteItem(t.Context(), first.ID, vault.Tombstone{Kind: translog.SourceDelete, Event: event}); err != nil {
		t.Fatal(err)
	}
	log.Close(t)
	page := m.signIn("es", m.words)
	m.has(page, http.StatusOK)
	if strings.Contains(page.body, "la segunda") || !strings.Contains(page.body, "la tercera") {
		t.Errorf("page:\n%s", page.body)
	}
	if _, err := m.vault.Item(second.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the reply is there: %v", err)
	}
	if err := m.site.bury(t.Context(), m.keys, second); err != nil { // as a second sign-in at the same moment
		t.Errorf("deleted twice: %v", err)
	}
	log.Close(t) // the log takes no event twice
}

// Wrong words are named before any key derivation; unknown ones are answered
// kindly, with the days.
func TestWrongWords(t *testing.T) {
	m := newMail(t)
	for range kdfSlots + kdfQueue {
		m.site.kdf.signIns.take(t.Context())
	}
	all := strings.Fields(m.words)
	for _, tt := range []struct{ typed, want string }{
		{strings.Join(append([]string{"Zzzzapato", "qqq"}, all[2:]...), " "), "<code>Zzzzapato, qqq</code>"},
		{strings.Join(all[:7], " "), "Escribiste 7."},
		{strings.Join(all, " ") + " " + all[0], "Escribiste 9."},
		{"", "Escribiste 0."},
		{strings.Repeat("<b>", 2000), "<code>b, b, b"},
	} {
		r := m.signIn("es", tt.typed)
		if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.body, tt.want) || strings.Contains(r.body, "<b>") {
			t.Errorf("%.40q: status %d, no %q in:\n%s", tt.typed, r.status, tt.want, r.body)
		}
	}
	m.has(m.signIn("es", m.words), http.StatusServiceUnavailable, "signin.busy")

	m = newMail(t)
	other := m.site.words["es"].Draw([32]byte{1}).String()
	r := m.signIn("es", other)
	m.has(r, http.StatusUnprocessableEntity, "signin.unknown")
	if !strings.Contains(r.body, "180 días") || !strings.Contains(r.body, "270") || !strings.Contains(r.body, other+"</textarea>") {
		t.Errorf("page:\n%s", r.body)
	}
}

// What was used is dead: a page gone back to, a page reloaded, a stolen value.
func TestUsedValuesAreDead(t *testing.T) {
	t.Run("back", func(t *testing.T) {
		m := newMail(t)
		item := m.write("reply", "una respuesta")
		first := sessionIn(t, m.signIn("es", m.words))
		second := sessionIn(t, m.press(first, "show"))
		m.signedOut(m.press(first, "delete", "number", strconv.Itoa(item.Number)), "una respuesta", m.words)
		if _, err := m.vault.Item(item.ID); err != nil {
			t.Error("an old page deleted a reply")
		}
		// Whoever holds the newer page is out too: two people might hold them.
		m.signedOut(m.press(second, "show"), "una respuesta")
	})
	t.Run("reload after a change", func(t *testing.T) {
		m := newMail(t)
		value := sessionIn(t, m.signIn("es", m.words))
		m.has(m.add(field("session", value), field("message", "más")), http.StatusOK, "mailbox.added")
		m.signedOut(m.add(field("session", value), field("message", "más")), "más")
		if n := len(m.kase().Items); n != 2 {
			t.Errorf("%d items", n)
		}
	})
	t.Run("first page reloaded", func(t *testing.T) {
		m := newMail(t)
		form := url.Values{"token": {tokenIn(t, m.get("/es/mailbox"))}, "codename": {m.words}}
		sessionIn(t, m.postForm("/es/mailbox", form))
		m.signedOut(m.postForm("/es/mailbox", form), m.words)
	})
	t.Run("wrong words reloaded", func(t *testing.T) {
		m := newMail(t)
		form := url.Values{"token": {tokenIn(t, m.get("/es/mailbox"))}, "codename": {"zzzz " + m.words}}
		m.has(m.postForm("/es/mailbox", form), http.StatusUnprocessableEntity, "signin.look")
		m.signedOut(m.postForm("/es/mailbox", form), m.words, "zzzz")
	})
	t.Run("restart", func(t *testing.T) {
		m := newMail(t)
		token, value := tokenIn(t, m.get("/es/mailbox")), sessionIn(t, m.signIn("es", m.words))
		m.site.sessions, m.site.signIns = newSessions(), newTokens()
		m.signedOut(m.press(value, "show"))
		m.signedOut(m.postForm("/es/mailbox", url.Values{"token": {token}, "codename": {m.words}}), m.words)
	})
	t.Run("never valid", func(t *testing.T) {
		m := newMail(t)
		for _, value := range []string{"", "x", strings.Repeat("A", 22), strings.Repeat("x", 4000), "\x00"} {
			m.signedOut(m.press(value, "erase"))
		}
		m.signedOut(m.add(field("message", "secreto")), "secreto")
		m.signedOut(m.add(field("session", "x"), field("message", "secreto"), file("f", "y")), "secreto")
		if n := len(m.kase().Items); n != 1 {
			t.Errorf("%d items", n)
		}
	})
}

// Each page has another value, and the store keeps none of them.
func TestSessionValuesRotate(t *testing.T) {
	m := newMail(t)
	seen := map[string]bool{}
	page := m.signIn("es", m.words)
	for range 10 {
		value := sessionIn(t, page)
		if seen[value] {
			t.Fatal("a value came twice")
		}
		seen[value] = true
		if n := len(m.site.sessions.by); n > 2 {
			t.Fatalf("%d values remembered", n)
		}
		page = m.press(value, "show")
	}
}

// "Leave now" and "close" end the session; leave does so whatever else comes.
func TestLeaving(t *testing.T) {
	m := newMail(t)
	value := sessionIn(t, m.signIn("es", m.words))
	if r := m.postForm("/es/exit", url.Values{"session": {value}}); r.status != http.StatusOK || r.header.Get("Refresh") == "" {
		t.Errorf("status %d", r.status)
	}
	m.signedOut(m.press(value, "show"))
	value = sessionIn(t, m.signIn("es", m.words))
	m.has(m.press(value, "close"), http.StatusOK, "last.heading", "last.back")
	m.signedOut(m.press(value, "show"))
	if n := m.site.sessions.count; n != 0 {
		t.Errorf("%d sessions", n)
	}
	for _, body := range []string{"%zz", strings.Repeat("session=", 20000), "\x00"} {
		if r := m.do(m.request("POST", "/es/exit", strings.NewReader(body))); r.status != http.StatusOK {
			t.Errorf("status %d", r.status)
		}
	}
}

func TestMailboxStates(t *testing.T) {
	at := func(m *mail, days int) {
		day := time.Now().AddDate(0, 0, days)
		m.site.now = func() time.Time { return day }
	}
	t.Run("deadlines", func(t *testing.T) {
		m := newMail(t, func(c *Config) { c.OtherWays = []Way{{Text: map[string]string{"es": "Por carta"}}} })
		for days, want := range map[int]string{7: "", 8: "late.read", 90: "late.read", 91: "late.answer"} {
			at(m, days)
			page := m.signIn("es", m.words).body
			for _, id := range []string{"late.read", "late.answer"} {
				if got := strings.Contains(page, m.sentence("es", id)); got != (id == want) || want != "" && !strings.Contains(page, "Por carta") {
					t.Errorf("after %d days: %s shown: %v", days, id, got)
				}
			}
		}
		m.write("ack", "")
		at(m, 8)
		if page := m.signIn("es", m.words).body; strings.Contains(page, m.sentence("es", "late.read")) || !strings.Contains(page, "Leído el") {
			t.Errorf("after an acknowledgement:\n%s", page)
		}
	})
	t.Run("promises", func(t *testing.T) {
		for _, tt := range []struct{ confirm, answer int }{{5, 0}, {0, 30}, {0, 0}} {
			m := newMail(t, func(c *Config) { c.ConfirmDays, c.AnswerDays = tt.confirm, tt.answer })
			sent := m.send("es", field("token", m.token("es")), field("desk", "norte"), field("message", "x"))
			for days, late := range map[int]string{0: "", tt.confirm: "", tt.answer: "", 6: "late.read", 31: "late.answer", 400: ""} {
				if late == "late.read" && tt.confirm == 0 || late == "late.answer" && tt.answer == 0 {
					late = ""
				}
				if days > 30 && tt.answer == 0 && tt.confirm > 0 {
					late = "late.read"
				}
				if days == 400 && tt.answer > 0 {
					late = "late.answer"
				}
				at(m, days)
				page := m.signIn("es", m.words).body
				for _, id := range []string{"late.read", "late.answer"} {
					if got := strings.Contains(page, m.sentence("es", id)); got != (id == late) {
						t.Errorf("%+v after %d days: %s shown: %v", tt, days, id, got)
					}
				}
				for _, page := range []string{page, sent.body} {
					if strings.Contains(page, "En 5 días o menos te confirmamos que lo leímos.") != (tt.confirm > 0 && (late == "" || page == sent.body)) ||
						strings.Contains(page, "En 30 días o menos te decimos qué pasó.") != (tt.answer > 0 && (late == "" || page == sent.body)) {
						t.Errorf("%+v after %d days: promises in\n%s", tt, days, page)
					}
				}
			}
		}
	})
	t.Run("end", func(t *testing.T) {
		m := newMail(t)
		if page := m.signIn("es", m.words).body; !strings.Contains(page, "180 días") || !strings.Contains(page, "270") || strings.Contains(page, "Queda") {
			t.Errorf("page:\n%s", page)
		}
		m.vault.See(t.Context(), m.kase().Items[0].ID)
		at(m, 180-14)
		if page := m.signIn("es", m.words).body; !strings.Contains(page, "Quedan 14 días.") {
			t.Errorf("page:\n%s", page)
		}
		at(m, 179)
		if page := m.signIn("es", m.words).body; !strings.Contains(page, "Queda 1 día.") {
			t.Errorf("page:\n%s", page)
		}
		if err := m.vault.SetHold(t.Context(), m.kase().ID, true); err != nil {
			t.Fatal(err)
		}
		m.has(m.signIn("es", m.words), http.StatusOK, "mailbox.held")
	})
	t.Run("teams and closing", func(t *testing.T) {
		m := newMail(t)
		m.write("note", "a", func(x *written) { x.joins = "sur" })
		if page := m.signIn("es", m.words).body; !strings.Contains(page, "Tu reporte pasó al equipo Equipo sur.") || !strings.Contains(page, "Equipo norte, Equipo sur.") {
			t.Errorf("page:\n%s", page)
		}
		m.write("recuse", "", func(x *written) { x.leaves = "norte" })
		if page := m.signIn("es", m.words).body; !strings.Contains(page, "El equipo Equipo norte ya no lo atiende.") {
			t.Errorf("page:\n%s", page)
		}
		m.write("close", "")
		page := m.signIn("es", m.words)
		if !strings.Contains(page.body, "cerró este reporte") {
			t.Errorf("page:\n%s", page.body)
		}
		page = m.add(field("session", sessionIn(t, page)), field("message", "algo cambió"))
		m.has(page, http.StatusOK, "mailbox.added", "mailbox.none")
		if strings.Contains(page.body, "cerró este reporte") {
			t.Error("closed after the source wrote again")
		}
		m.write("recuse", "", func(x *written) { x.leaves = "sur" })
		page = m.signIn("es", m.words)
		m.has(page, http.StatusOK, "mailbox.nobody")
		m.has(m.add(field("session", sessionIn(t, page)), field("message", "para nadie")), http.StatusUnprocessableEntity, "error.no_team")
	})
}

// A mailbox that is deleted while it is open is told so.
func TestMailboxDeletedMeanwhile(t *testing.T) {
	m := newMail(t)
	value := sessionIn(t, m.signIn("es", m.words))
	other := sessionIn(t, m.signIn("es", m.words))
	if err := m.vault.Expire(t.Context(), m.kase().ID, 0); err != nil {
		t.Fatal(err)
	}
	m.has(m.press(value, "show"), http.StatusUnprocessableEntity, "signin.unknown")
	r := m.add(field("session", other), field("message", "tarde"), file("f", "x"))
	m.has(r, http.StatusUnprocessableEntity, "signin.unknown")
	if strings.Contains(r.body, "tarde") || m.site.sessions.count != 0 {
		t.Error("a session is left, or the text is shown")
	}
}

func TestFollowupIsRefused(t *testing.T) {
	m := newMail(t, func(c *Config) { c.MaxFiles = 2 })
	page := m.signIn("es", m.words)
	for _, tt := range []struct {
		name   string
		parts  []part // after the session
		status int
		key    string
		text   string
	}{
		{"nothing", nil, 422, "nothing", ""},
		{"white", []part{field("message", " \r\n"), file("", "")}, 422, "nothing", ""},
		{"long text", []part{field("message", strings.Repeat("b", 64<<10+1))}, 413, "text_long", ""},
		{"many files", []part{field("message", "sigue aquí"), file("a", "1"), file("b", "2"), file("c", "3")}, 413, "files_many", "sigue aquí"},
		{"desk", []part{field("desk", "sur"), field("message", "sigue aquí")}, 400, "malformed", "sigue aquí"},
		{"token", []part{field("message", "sigue aquí"), field("token", "x")}, 400, "malformed", "sigue aquí"},
		{"answers", []part{field("message", "sigue aquí"), field("a-kind", "farm")}, 400, "malformed", "sigue aquí"},
		{"two messages", []part{field("message", "sigue aquí"), field("message", "y")}, 400, "malformed", "y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page = m.add(append([]part{field("session", sessionIn(t, page))}, tt.parts...)...)
			m.has(page, tt.status, "error."+tt.key)
			if !strings.Contains(page.body, "\n"+tt.text) || !strings.Contains(page.body, tt.text+"</textarea>") {
				t.Errorf("the text is not shown again:\n%s", page.body)
			}
			if n := len(m.kase().Items); n != 1 {
				t.Errorf("%d items", n)
			}
		})
	}
	// Files alone are enough, and the page that was refused last still works.
	m.has(m.add(field("session", sessionIn(t, page)), file("a", "1")), http.StatusOK, "mailbox.added")
	r, err := m.open(m.kase().Items[1], "a")
	if err != nil || len(r.Manifest.Files) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	value := sessionIn(t, m.signIn("es", m.words))
	m.signedOut(m.add(field("session", value), field("session", "x"), field("message", "secreto")), "secreto")
}

// If the source excluded nobody, all who read for the desks of the case get a key
// of a follow-up.
func TestFollowupReachesTheDesk(t *testing.T) {
	m := newMail(t)
	value := sessionIn(t, m.signIn("es", m.words))
	m.has(m.add(field("session", value), field("message", "más")), http.StatusOK, "mailbox.added")
	r, err := m.open(m.kase().Items[1], "a")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Manifest.Recipients; len(got) != 2 {
		t.Errorf("sealed to %q: norte has two readers", got)
	}
}

// If it excluded somebody, nobody gets a key who might be excluded: whoever is in
// a desk that does not have the case.
func TestFollowupKeepsTheExcludedOut(t *testing.T) {
	m := newMailOf(t, []part{field("exclude", "org:gob")})
	add := func() *seal.Report {
		t.Helper()
		value := sessionIn(t, m.signIn("es", m.words))
		m.has(m.add(field("session", value), field("message", "más")), http.StatusOK, "mailbox.added")
		items := m.kase().Items
		r, err := m.open(items[len(items)-1], "a")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b, c := m.world.recipients("a")[0], m.world.recipients("b")[0], m.world.recipients("c")[0]
	if got := add().Manifest.Recipients; len(got) != 1 || got[0] != a.Fingerprint() {
		t.Errorf("sealed to %q: b is in sur, too", got)
	}
	m.write("note", "", func(x *written) { x.joins = "sur" })
	got := strings.Join(add().Manifest.Recipients, " ")
	for _, k := range []seal.Recipient{a, b, c} {
		if !strings.Contains(got, k.Fingerprint()) {
			t.Errorf("after the case was handed over, %s has no key", k.Fingerprint())
		}
	}
	m.desks[0].Recipients, m.desks[1].Recipients = nil, m.desks[2].Recipients
	value := sessionIn(t, m.signIn("es", m.words))
	m.has(m.add(field("session", value), field("message", "más")), http.StatusUnprocessableEntity, "error.no_team")
}

// The files of the vault hold nothing of a codename, of what was added, or of a reply.
func TestMailboxLeavesNothingInClear(t *testing.T) {
	m := newMail(t)
	m.write("reply", "canario-respuesta", func(x *written) { x.files = map[string]string{"canario-nombre": "canario-archivo"} })
	page := m.signIn("es", m.words)
	m.has(page, http.StatusOK, "reply.checked")
	page = m.add(field("session", sessionIn(t, page)), field("message", "canario-texto"), file("canario-otro", "canario-foto"))
	m.add(field("session", sessionIn(t, page)), field("message", "canario-rechazado"), field("desk", "x"))
	m.signIn("es", "canario "+m.words)
	secrets := []string{"canario", m.words, strings.Join(strings.Fields(m.words)[:3], " "), string(m.keys.Mailbox[:]), string(m.keys.Age[:]), string(m.keys.Thread[:]), string(m.keys.Log[:])}
	found := 0
	err := filepath.Walk(m.dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found += len(b)
		for _, s := range secrets {
			if strings.Contains(string(b), s) {
				t.Errorf("%s holds %q", path, s)
			}
		}
		return err
	})
	if err != nil || found < 100_000 {
		t.Errorf("%d bytes searched, %v", found, err)
	}
}

// Every address and every action takes only its own mailbox: with the session of
// one source, nothing of another can be reached.
func TestSourcesAreApart(t *testing.T) {
	m := newMail(t)
	item := m.write("reply", "solo para la primera", func(x *written) { x.files = map[string]string{"f": "secreto"} })
	number := strconv.Itoa(item.Number)
	second := codenameIn(t, m.send("es", field("token", m.token("es")), field("desk", "norte"), field("message", "otra")))
	for _, action := range []string{"show", "read", "file", "delete", "ask", "close", "nada", ""} {
		value := sessionIn(t, m.signIn("es", second))
		r := m.press(value, action, "number", number, "entry", "files/01")
		if strings.Contains(r.body, "solo para") || strings.Contains(r.body, "secreto") {
			t.Errorf("%q shows another mailbox", action)
		}
	}
	m.has(m.press(sessionIn(t, m.signIn("es", second)), "erase"), http.StatusOK, "last.erased")
	if _, err := m.vault.Item(item.ID); err != nil {
		t.Fatal(err)
	}
	m.has(m.signIn("es", m.words), http.StatusOK, "reply.checked")
}
