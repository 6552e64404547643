package site

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
)

// For every change of a reply, what the mailbox says about it.
func TestReplyIsChecked(t *testing.T) {
	const text = "ven mañana"
	for _, tt := range []struct {
		name   string
		change func(*mail, *written)
		state  replyState
	}{
		{"as it should be", func(*mail, *written) {}, replyChecked},
		{"other thread key", func(m *mail, x *written) { x.thread = make([]byte, 32) }, replyUnchecked},
		{"signed by a reviewer of another team", func(m *mail, x *written) { x.by = m.reviewers["d"] }, replyUnchecked},
		{"card not in force", func(m *mail, x *written) { m.cards = nil }, replyUnchecked},
		{"other signing key under the name of the card", func(m *mail, x *written) { x.by = m.world.reviewer("a", card.Reviewer) }, replyUnchecked},
		{"auditor", func(m *mail, x *written) { m.cards[0].Role = card.Auditor }, replyUnchecked},
		{"reviewer of the team no more", func(m *mail, x *written) { m.desks[0].Recipients = m.desks[0].Recipients[1:] }, replyUnchecked},
		{"sequence too high", func(m *mail, x *written) { x.manifest.Sequence++ }, replyUnchecked},
		{"sequence too low", func(m *mail, x *written) { x.manifest.Sequence--; x.letter.Previous = [32]byte{} }, replyUnchecked},
		{"other previous hash", func(m *mail, x *written) { x.letter.Previous[0]++ }, replyUnchecked},
		{"other case", func(m *mail, x *written) { x.manifest.Case = "aaaaaaaaaaaaaaaa" }, replyStrange},
		{"other origin", func(m *mail, x *written) { x.manifest.Origin = "otra" }, replyStrange},
		{"not sealed to the source", func(m *mail, x *written) {
			to, err := seal.ParseRecipient(m.world.recipients("e")[0].String())
			if err != nil {
				m.t.Fatal(err)
			}
			x.to[len(x.to)-1], x.letter.Recipient = to, to.Fingerprint()
		}, replyShut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMail(t)
			m.write("ack", "")
			item := m.write("reply", text, func(x *written) { x.files = map[string]string{"f": "archivo"}; tt.change(m, x) })
			page := m.signIn("es", m.words)
			m.has(page, http.StatusOK, "reply."+string(tt.state))
			if strings.Contains(page.body, text) != (tt.state == replyChecked || tt.state == replyUnchecked) {
				t.Errorf("text shown:\n%s", page.body)
			}
			if tt.state != replyChecked {
				m.has(page, http.StatusOK, "reply."+string(tt.state)+"_why", "reply.ask")
			}
			for _, other := range []string{"checked", "unchecked"} {
				if tt.state == replyChecked && other == "unchecked" || tt.state != replyChecked && other == "checked" {
					if strings.Contains(page.body, "· "+m.sentence("es", "reply."+other)+"<") {
						t.Errorf("the page says %s", other)
					}
				}
			}
			got := m.press(sessionIn(t, page), "file", "number", strconv.Itoa(item.Number), "entry", "files/01")
			if (got.status == http.StatusOK) != (tt.state == replyChecked) || (got.body == "archivo") != (tt.state == replyChecked) {
				t.Errorf("file: status %d, %q", got.status, got.body)
			}
		})
	}
}

// The chain of replies holds over one that was deleted, and not over one that is
// missing without a trace.
func TestReplyChain(t *testing.T) {
	m := newMail(t)
	first := m.write("reply", "uno")
	m.write("reply", "dos")
	page := m.signIn("es", m.words)
	page = m.press(sessionIn(t, page), "delete", "number", strconv.Itoa(first.Number))
	m.write("reply", "tres")
	page = m.press(sessionIn(t, page), "show")
	if n := strings.Count(page.body, "· comprobada"); n != 2 || strings.Contains(page.body, "NO comprobada") {
		t.Errorf("%d replies checked:\n%s", n, page.body)
	}
	c := m.kase()
	c.Gone = nil // as if the server had lost it
	v := &visit{site: m.site, lang: "es", keys: m.keys, kase: c}
	o, err := v.opener()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range c.Items {
		if i.Kind == translog.Reply {
			if r := v.read(o, i); r.state != replyUnchecked {
				t.Errorf("reply %d is %s without its forerunner", i.Number, r.state)
			}
		}
	}
}

// A reply stored under a changed hash or cut is shown as one that does not open.
func TestDamagedReply(t *testing.T) {
	m := newMail(t)
	m.write("reply", "bien")
	c := m.kase()
	x := &written{kind: "reply", desks: []string{"norte"}, to: m.world.recipients("a"), manifest: seal.Manifest{Day: c.Day}}
	good, err := m.vault.OpenItem(c.Items[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	sealed := make([]byte, c.Items[1].Size)
	if _, err := good.ReadAt(sealed, 0); err != nil {
		t.Fatal(err)
	}
	sealed[len(sealed)-1]++
	m.append(c, x, sealed)
	page := m.signIn("es", m.words)
	m.has(page, http.StatusOK, "reply.shut", "reply.shut_why", "reply.checked")
}

// What a reviewer writes comes as text, and so do the names of files.
func TestReplyTextIsInert(t *testing.T) {
	m := newMail(t)
	for _, x := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</textarea><svg/onload=alert(1)>`, `' autofocus onfocus=alert(1) x='`,
		`</p></div></main><form action=//example.org><button>`, `{{.Page}}`, "\x00<b>", "<!--", `&lt;b&gt;`, "\u2028<math><mi//xlink:href=\"data:x,<script>alert(4)</script>\">",
		"\u202e\u2066txet", "</title><iframe src=//example.org>", "\x1b]0;x\x07", string([]byte{0xff, 0xfe, '<'}),
	} {
		item := m.write("reply", x, func(w *written) { w.files = map[string]string{x: "f"} })
		page := m.signIn("es", m.words)
		checkPage(t, "es", page.body)
		m.has(page, http.StatusOK, "reply.checked")
		page = m.press(sessionIn(t, page), "read", "number", strconv.Itoa(item.Number))
		checkPage(t, "es", page.body)
		refused := m.add(field("session", sessionIn(t, page)), field("message", x), field("desk", "x"), file(x, x)) // no such field
		checkPage(t, "es", refused.body)
		m.has(refused, http.StatusBadRequest, "error.malformed")
	}
	for _, x := range []string{`<script>`, `"><img src=x>`, "-1", "99999999999999999999", "1;2"} {
		for _, action := range []string{"read", "delete", "file", x} {
			r := m.press(sessionIn(t, m.signIn("es", m.words)), action, "number", x, "entry", x)
			checkPage(t, "es", r.body)
		}
	}
}

// Long replies, many replies and many files keep the page light; each reply can
// be read on a page of its own, and what is longer can be saved.
func TestMailboxIsLight(t *testing.T) {
	m := newMail(t, func(c *Config) { c.Demo = true; c.Hotline = "800 5533 000" })
	long := strings.Repeat("<ñ>", 20_000)
	files := map[string]string{}
	for i := range 60 {
		files[strings.Repeat("x", 900)+strconv.Itoa(i)] = "f"
	}
	var numbers []int
	for i := range 12 {
		item := m.write("reply", strings.Repeat("palabras ", 200+100*i), func(x *written) {
			if i%3 == 0 {
				x.files = files
			}
		})
		numbers = append(numbers, item.Number)
	}
	huge := m.write("reply", long).Number
	check := func(name string, r response) {
		t.Helper()
		size := len(r.body) + len(m.site.css)
		t.Logf("%s: %d bytes", name, size)
		if size > 50_000 {
			t.Errorf("%s: %d bytes", name, size)
		}
		checkPage(t, "es", r.body)
	}
	page := m.signIn("es", m.words)
	check("mailbox", page)
	page = m.add(field("session", sessionIn(t, page)), field("message", "x"), field("desk", "x"))
	check("refused", page)
	for _, n := range append(numbers, huge) {
		page = m.press(sessionIn(t, page), "read", "number", strconv.Itoa(n))
		check(fmt.Sprint("reply ", n), page)
		m.has(page, http.StatusOK, "reply.checked")
	}
	m.has(page, http.StatusOK, "reply.long", "mailbox.save_text")
	whole := m.press(sessionIn(t, page), "file", "number", strconv.Itoa(huge), "entry", "message.txt")
	if whole.body != long {
		t.Errorf("%d bytes of text, want %d", len(whole.body), len(long))
	}
	m.has(m.press(sessionIn(t, page), "ask"), http.StatusOK, "erase.what")
}

// A download leaves its page good, names its file harmlessly, and ends without
// the last bytes if they are not those that were signed.
func TestDownload(t *testing.T) {
	m := newMail(t)
	content := strings.Repeat("0123456789abcdef", 40_000)
	item := m.write("reply", "x", func(x *written) { x.files = map[string]string{"../\r\nX: y\"é.exe": content} })
	number := strconv.Itoa(item.Number)
	page := m.signIn("es", m.words)
	value := sessionIn(t, page)
	for range 2 {
		r := m.press(value, "file", "number", number, "entry", "files/01")
		if r.status != http.StatusOK || r.body != content {
			t.Errorf("status %d, %d bytes", r.status, len(r.body))
		}
		checkHeaders(t, r, map[string]string{"Content-Type": "application/octet-stream", "Content-Disposition": `attachment; filename="X__y__.exe"`})
	}
	for _, bad := range [][2]string{{number, "files/02"}, {number, "manifest.json"}, {number, "signature.note"}, {number, "../x"}, {number, ""}, {"0", "message.txt"}, {"99", "files/01"}} {
		if r := m.press(value, "file", "number", bad[0], "entry", bad[1]); r.status != http.StatusNotFound {
			t.Errorf("%q: status %d", bad, r.status)
		}
	}
	next := sessionIn(t, m.press(value, "show"))
	m.signedOut(m.press(value, "file", "number", number, "entry", "files/01"), "0123")
	m.press(next, "close")
	m.signedOut(m.press(next, "file", "number", number, "entry", "files/01"), "0123")
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{
		"carta.pdf": "carta.pdf", "": "archivo", "...": "archivo", ".bashrc": "bashrc", "-rf": "rf", "a b.txt": "a_b.txt",
		`C:\x\"y".doc`: "C__x__y_.doc", strings.Repeat("a", 100) + ".jpeg": strings.Repeat("a", 55) + ".jpeg", "ñandú": "and_",
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q is saved as %q, want %q", in, got, want)
		}
	}
}

func TestCutText(t *testing.T) {
	for _, tt := range []struct {
		text string
		room int
		want string
	}{{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"ñandú", 2, "ñ"}, {"ñandú", 1, ""}, {"<<<", 9, "<<"}, {"", 0, ""}, {"a", 0, ""}} {
		got, cut := cutText(tt.text, tt.room)
		if got != tt.want || cut != (got != tt.text) {
			t.Errorf("%q in %d: %q, %v", tt.text, tt.room, got, cut)
		}
	}
}
