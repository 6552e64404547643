package site

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// mail is a world with one report to norte, whose codename is known, and with
// reviewers who hold the keys a (norte) and d (estado) and whose cards are in force.
type mail struct {
	*world
	words     string
	keys      codename.Keys
	recipient string // of the source
	reviewers map[string]reviewer
	cards     []card.Card
}

type reviewer struct {
	card   card.Card
	signer note.Signer
}

func newMail(t *testing.T, change ...func(*Config)) *mail {
	t.Helper()
	return newMailOf(t, nil, change...)
}

// newMailOf is newMail for a report with more fields before its message.
func newMailOf(t *testing.T, more []part, change ...func(*Config)) *mail {
	t.Helper()
	m := &mail{reviewers: map[string]reviewer{}}
	m.world = newWorld(t, append([]func(*Config){func(c *Config) { c.Cards = func() []card.Card { return m.cards } }}, change...)...)
	for _, key := range []string{"a", "d"} {
		r := m.reviewer(key, card.Reviewer)
		m.reviewers[key], m.cards = r, append(m.cards, r.card)
	}
	fields := append([]part{field("token", m.token("es")), field("desk", "norte")}, more...)
	m.words = codenameIn(t, m.send("es", append(fields, field("message", "hola"))...))
	m.keys = m.derive(m.words)
	identity, err := seal.IdentityFromSeed(m.keys.Age)
	if err != nil {
		t.Fatal(err)
	}
	m.recipient = identity.Recipient().String()
	return m
}

// reviewer makes a card for a key of the world.
func (w *world) reviewer(key string, role card.Role) reviewer {
	w.t.Helper()
	recipient := w.recipients(key)[0].String()
	secret, verifier, err := note.GenerateKey(rand.Reader, card.KeyName(recipient))
	if err != nil {
		w.t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		w.t.Fatal(err)
	}
	return reviewer{card.Card{Role: role, Recipient: recipient, Verifier: verifier}, signer}
}

func (w *world) derive(words string) codename.Keys {
	w.t.Helper()
	c, err := codename.Parse(words, "es")
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Derive(w.site.config.Params)
}

// kase is the case of the report.
func (m *mail) kase() vault.Case {
	m.t.Helper()
	all := m.vault.Cases("")
	if len(all) == 0 {
		m.t.Fatal("no case")
	}
	c, err := m.vault.Case(all[0])
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// written is an item that a reviewer's program makes, before it is changed by a test.
type written struct {
	kind     string
	text     string
	files    map[string]string
	manifest seal.Manifest
	letter   card.Letter
	by       reviewer
	thread   []byte
	to       []seal.Recipient
	desks    []string
	ref      [32]byte
	joins    string
	leaves   string
}

// write adds an item to the case as a reviewer of norte, after change.
func (m *mail) write(kind, text string, change ...func(*written)) vault.Item {
	m.t.Helper()
	c := m.kase()
	chain := direction(c, true)
	x := &written{
		kind: kind, text: text, by: m.reviewers["a"], desks: []string{"norte"},
		manifest: seal.Manifest{
			Origin: testOrigin, Case: string(c.ID), Thread: hex.EncodeToString(c.Thread[:]), Kind: kind,
			Sequence: uint64(len(chain)), Day: time.Now().UTC().Format(time.DateOnly), Desks: []string{"norte"}, Share: "ask",
		},
		letter: card.Letter{Recipient: card.Fingerprint(m.recipient)},
		to:     m.world.recipients("a"),
	}
	if len(chain) > 0 {
		x.letter.Previous = chain[len(chain)-1].sum
	}
	if kind == "reply" {
		to, err := seal.ParseRecipient(m.recipient)
		if err != nil {
			m.t.Fatal(err)
		}
		x.to, x.thread = append(x.to, to), m.keys.Thread[:]
	}
	for _, f := range change {
		f(x)
	}
	return m.append(c, x, x.seal(m.t))
}

func (x *written) seal(t *testing.T) []byte {
	t.Helper()
	x.letter.Origin, x.letter.Case, x.letter.Kind, x.letter.Sequence = x.manifest.Origin, x.manifest.Case, x.manifest.Kind, x.manifest.Sequence
	if x.manifest.Sequence > 0 {
		x.manifest.Previous = hex.EncodeToString(x.letter.Previous[:])
	}
	var b bytes.Buffer
	w, err := seal.NewWriter(&b, x.to...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMessage([]byte(x.text)); err != nil {
		t.Fatal(err)
	}
	for name, content := range x.files {
		if err := w.WriteFile(name, "application/pdf", strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	err = w.CloseSigned(x.manifest, func(sum [32]byte) ([]byte, error) {
		x.letter.Manifest = sum
		return x.letter.Sign(x.by.signer, x.thread)
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// append stores the age file as the next item of the case.
func (m *mail) append(c vault.Case, x *written, sealed []byte) vault.Item {
	m.t.Helper()
	d, err := m.vault.Create(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer d.Discard()
	if _, err := d.Write(sealed); err != nil {
		m.t.Fatal(err)
	}
	var event translog.Event
	rand.Read(event[:])
	number, err := d.Append(m.t.Context(), vault.Addition{
		Case: c.ID, Number: c.Next, Kind: translog.Kind(x.kind), Event: event, Ref: x.ref, Day: x.manifest.Day,
		Desks: x.desks, Joins: x.joins, Leaves: x.leaves, Recipients: len(x.to),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, i := range m.kase().Items {
		if i.Number == number {
			return i
		}
	}
	m.t.Fatal("the item is not there")
	return vault.Item{}
}

// signIn asks for the form and sends a codename.
func (w *world) signIn(lang, words string) response {
	w.t.Helper()
	return w.postForm("/"+lang+"/mailbox", url.Values{"token": {tokenIn(w.t, w.get("/"+lang+"/mailbox"))}, "codename": {words}})
}

var sessionField = regexp.MustCompile(`<input type="hidden" name="session" value="([A-Za-z0-9_-]{22})">`)

// sessionIn is the session value of a page of the mailbox. All its forms have the same.
func sessionIn(t *testing.T, r response) string {
	t.Helper()
	all := sessionField.FindAllStringSubmatch(r.body, -1)
	if len(all) == 0 || r.status != http.StatusOK && r.status < 400 {
		t.Fatalf("status %d, no session in:\n%s", r.status, r.body)
	}
	for _, m := range all {
		if m[1] != all[0][1] {
			t.Fatal("two session values on one page")
		}
	}
	return all[0][1]
}

// press sends a button of the mailbox.
func (w *world) press(session, action string, more ...string) response {
	w.t.Helper()
	v := url.Values{"session": {session}, "action": {action}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return w.postForm("/es/mailbox", v)
}

// add sends a follow-up.
func (w *world) add(parts ...part) response {
	w.t.Helper()
	body, typ := multipartOf(parts...)
	r := w.request("POST", "/es/mailbox", bytes.NewReader(body))
	r.Header.Set("Content-Type", typ)
	return w.do(r)
}

// has checks that a page shows the sentences of the catalogue.
func (w *world) has(r response, status int, ids ...string) {
	w.t.Helper()
	if r.status != status {
		w.t.Errorf("status %d, want %d", r.status, status)
	}
	for _, id := range ids {
		if !strings.Contains(r.body, w.sentence("es", id)) {
			w.t.Errorf("no %q (%s) in:\n%s", w.sentence("es", id), id, r.body)
		}
	}
}

// signedOut checks that a page is the friendly "sign in again", and tells nothing.
func (w *world) signedOut(r response, secrets ...string) {
	w.t.Helper()
	w.has(r, http.StatusForbidden, "signin.again", "signin.label")
	if sessionField.MatchString(r.body) {
		w.t.Error("a session on the page that asks for the codename")
	}
	for _, s := range secrets {
		if strings.Contains(r.body, s) {
			w.t.Errorf("%q is on the page", s)
		}
	}
}
