package review_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/onion/review"
	"resguardo/vault"
	"resguardo/vault/translog"
)

const (
	origin = "test-0a1b2c3d"
	host   = "127.0.0.1:8081"
	day    = "2026-11-21"
)

// reviewer is a card with its secret.
type reviewer struct {
	card   card.Card
	signer note.Signer
	age    seal.Recipient
}

func newReviewer(t *testing.T) reviewer { return newMember(t, card.Reviewer) }

func newMember(t *testing.T, role card.Role) reviewer {
	t.Helper()
	var seed, client [32]byte
	rand.Read(seed[:])
	rand.Read(client[:])
	id, err := seal.IdentityFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	text := id.Recipient().String()
	recipient, err := seal.ParseRecipient(text)
	if err != nil {
		t.Fatal(err)
	}
	secret, verifier, err := note.GenerateKey(rand.Reader, card.KeyName(text))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	c := card.Card{Role: role, Recipient: text, Verifier: verifier, Client: card.EncodeClient(client[:])}
	return reviewer{c, signer, recipient}
}

// house is a vault with the API in front of it.
type house struct {
	t       *testing.T
	vault   *vault.Vault
	mu      sync.Mutex
	members map[string]review.Member // never changed: there is a new map for every change
	handler http.Handler
	deskLog map[string][32]byte // desk log keys, by case
}

func newHouse(t *testing.T) *house { return newHouseWith(t, review.Config{}) }

func newHouseWith(t *testing.T, c review.Config) *house {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	g := vault.Genesis{Origin: origin, Epoch: 6 * time.Hour, Slots: 16, Time: 1, Memory: 8, Threads: 1}
	if err := vault.Init(dir, g); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, vault: v, members: map[string]review.Member{}, deskLog: map[string][32]byte{}}
	c.Origin, c.Hosts = origin, []string{host, "localhost:8081"}
	h.handler = review.New(c, v, func() map[string]review.Member {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.members
	})
	return h
}

func (h *house) add(r reviewer, desks ...string) {
	h.t.Helper()
	file, err := card.Sign(r.card, r.signer)
	if err != nil {
		h.t.Fatal(err)
	}
	h.change(func(m map[string]review.Member) {
		m[r.card.Fingerprint()] = review.Member{Card: r.card, File: string(file), Desks: desks}
	})
}

func (h *house) revoke(r reviewer) {
	h.change(func(m map[string]review.Member) { delete(m, r.card.Fingerprint()) })
}

func (h *house) change(how func(map[string]review.Member)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members = maps.Clone(h.members)
	how(h.members)
}

// report seals and stores a report and returns its id and bytes.
func (h *house) report(text string, to reviewer, desks ...string) (id string, sealed []byte) {
	h.t.Helper()
	var b bytes.Buffer
	w, err := seal.NewWriter(&b, to.age)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := w.WriteMessage([]byte(text)); err != nil {
		h.t.Fatal(err)
	}
	inCase := vault.NewCaseID()
	if err := w.Close(seal.Manifest{
		Origin: origin, Case: string(inCase), Thread: strings.Repeat("0", 32), Kind: "report", Day: day,
		Desks: desks, Share: "ask", ReplyTo: to.age.String(), ThreadKey: make([]byte, 32), DeskLogKey: make([]byte, 32),
	}); err != nil {
		h.t.Fatal(err)
	}
	d, err := h.vault.Create(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := d.Write(b.Bytes()); err != nil {
		h.t.Fatal(err)
	}
	s := vault.Submission{Case: inCase, Recipient: to.age.String(), Desks: desks, Day: day, Recipients: 1}
	var k [32]byte
	rand.Read(k[:])
	rand.Read(s.Mailbox[:])
	s.Event, s.Expire = translog.NewEvent(k, translog.Report, 0), translog.NewEvent(k, translog.Expire, 0)
	var deskLog [32]byte
	rand.Read(deskLog[:])
	h.deskLog[string(inCase)] = deskLog
	s.Tombstones = [2][32]byte{
		translog.NewEvent(k, translog.SourceDelete, 0).Tag(translog.SourceDelete),
		translog.NewEvent(deskLog, translog.DeskDelete, 0).Tag(translog.DeskDelete),
	}
	if err := d.Commit(h.t.Context(), s); err != nil {
		h.t.Fatal(err)
	}
	for _, i := range h.vault.Items(desks[0]) {
		if i.Case == inCase {
			return string(i.ID), b.Bytes()
		}
	}
	h.t.Fatal("the stored item is not listed")
	return "", nil
}

// request is one call of the API.
type request struct {
	method, path, host string
	session, rang      string
	statement          string
	body               string
}

func (h *house) do(r request) *httptest.ResponseRecorder {
	req := httptest.NewRequest(r.method, "http://"+host+r.path, strings.NewReader(r.body))
	if r.host != "" {
		req.Host = r.host
	}
	if r.session != "" {
		req.Header.Set("Authorization", "Bearer "+r.session)
	}
	if r.rang != "" {
		req.Header.Set("Range", r.rang)
	}
	if r.statement != "" {
		req.Header.Set(card.StatementHeader, r.statement)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	return w
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (h *house) nonce() string {
	h.t.Helper()
	w := h.do(request{method: "POST", path: card.ChallengePath, body: "{}"})
	var c card.Challenge
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != 200 || c.Origin != origin || !card.ValidNonce(c.Nonce) {
		h.t.Fatalf("challenge: %d %s", w.Code, w.Body)
	}
	return c.Nonce
}

// statement is what an honest program signs.
func (h *house) statement() card.Login {
	return card.Login{Origin: origin, Address: host, ClientNonce: card.NewNonce(), ServerNonce: h.nonce()}
}

func (h *house) login(as reviewer, by note.Signer, l card.Login) *httptest.ResponseRecorder {
	h.t.Helper()
	msg, err := l.Sign(by)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.do(request{method: "POST", path: card.LoginPath,
		body: encode(h.t, card.LoginRequest{Fingerprint: as.card.Fingerprint(), Statement: string(msg)})})
}

// session logs r in honestly.
func (h *house) session(r reviewer) string {
	h.t.Helper()
	w := h.login(r, r.signer, h.statement())
	var s card.Session
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		h.t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	return s.Session
}

func (h *house) list(session string) []card.Item {
	h.t.Helper()
	w := h.do(request{method: "GET", path: card.ItemsPath, session: session})
	var l card.Items
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || w.Code != 200 {
		h.t.Fatalf("list: %d %s", w.Code, w.Body)
	}
	return l.Items
}

func TestReviewerFetchesOwnDesksItems(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte", "centro")
	h.add(beto, "sur")
	id, sealed := h.report("hola", ana, "norte", "centro", "sur")
	h.report("otro", beto, "sur")

	w := h.login(ana, ana.signer, h.statement())
	var s card.Session
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if s.Role != card.Reviewer || !slices.Equal(s.Desks, []string{"centro", "norte"}) {
		t.Errorf("session %+v", s)
	}
	items := h.list(s.Session)
	if len(items) != 1 {
		t.Fatalf("%d items, want 1", len(items))
	}
	sum := sha256.Sum256(sealed)
	i := items[0]
	if i.Check() != nil || i.ID != id || i.Kind != "report" || i.Number != 0 || i.Day != day || i.Size != int64(len(sealed)) ||
		i.SHA256 != hex.EncodeToString(sum[:]) || !slices.Equal(i.Desks, []string{"centro", "norte"}) {
		t.Errorf("item %+v", i)
	}
	got := h.do(request{method: "GET", path: card.ItemsPath + "/" + id, session: s.Session})
	if got.Code != 200 || !bytes.Equal(got.Body.Bytes(), sealed) {
		t.Errorf("status %d, %d bytes", got.Code, got.Body.Len())
	}
}

func TestRange(t *testing.T) {
	h := newHouse(t)
	ana := newReviewer(t)
	h.add(ana, "norte")
	id, sealed := h.report("hola", ana, "norte")
	session := h.session(ana)
	n := len(sealed)
	for _, test := range []struct {
		rang       string
		code       int
		from, to   int // bytes of the answer
		rangeField string
	}{
		{"", 200, 0, n, ""},
		{"bytes=0-", 206, 0, n, fmt.Sprintf("bytes 0-%d/%d", n-1, n)},
		{"bytes=1000-", 206, 1000, n, fmt.Sprintf("bytes 1000-%d/%d", n-1, n)},
		{"bytes=10-19", 206, 10, 20, fmt.Sprintf("bytes 10-19/%d", n)},
		{fmt.Sprintf("bytes=%d-", n-1), 206, n - 1, n, fmt.Sprintf("bytes %d-%d/%d", n-1, n-1, n)},
		{fmt.Sprintf("bytes=%d-", n), 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{fmt.Sprintf("bytes=0-%d", n), 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"bytes=5-4", 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"bytes=-5", 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"bytes=0-1,3-4", 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"bytes=99999999999999999999-", 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"lines=0-1", 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
		{"bytes=+1-", 416, 0, 0, fmt.Sprintf("bytes */%d", n)},
	} {
		w := h.do(request{method: "GET", path: card.ItemsPath + "/" + id, session: session, rang: test.rang})
		if w.Code != test.code || w.Header().Get("Content-Range") != test.rangeField {
			t.Errorf("%q: %d, Content-Range %q", test.rang, w.Code, w.Header().Get("Content-Range"))
		}
		if test.code != 416 && !bytes.Equal(w.Body.Bytes(), sealed[test.from:test.to]) {
			t.Errorf("%q: other bytes", test.rang)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Last-Modified")+w.Header().Get("Etag") != "" {
			t.Errorf("%q: headers %v", test.rang, w.Header())
		}
	}
}

// Over a real connection net/http adds nothing that tells time or software.
func TestOverConnection(t *testing.T) {
	h := newHouse(t)
	srv := httptest.NewServer(h.handler)
	defer srv.Close()
	req, err := http.NewRequest("GET", srv.URL+card.ItemsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 401 || string(b) != `{"error":"not signed in"}` {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
	for _, name := range []string{"Date", "Server", "Etag", "Last-Modified", "Set-Cookie"} {
		if v, ok := resp.Header[name]; ok {
			t.Errorf("%s: %s", name, v)
		}
	}
}

func TestLoginRefuses(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	used := h.statement()
	if w := h.login(ana, ana.signer, used); w.Code != 200 {
		t.Fatalf("honest login: %d", w.Code)
	}
	with := func(change func(*card.Login)) card.Login {
		l := h.statement()
		change(&l)
		return l
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"nonce used before":     h.login(ana, ana.signer, used),
		"nonce never given":     h.login(ana, ana.signer, with(func(l *card.Login) { l.ServerNonce = card.NewNonce() })),
		"another vault":         h.login(ana, ana.signer, with(func(l *card.Login) { l.Origin = "other-0a1b2c3d" })),
		"another address":       h.login(ana, ana.signer, with(func(l *card.Login) { l.Address = "evil.onion" })),
		"another of our hosts":  h.login(ana, ana.signer, with(func(l *card.Login) { l.Address = "localhost:8081" })),
		"another one's key":     h.login(ana, beto.signer, h.statement()),
		"a card we do not know": h.login(beto, beto.signer, h.statement()),
	} {
		if w.Code != 403 || w.Body.String() != `{"error":"login refused"}` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := h.do(request{method: "POST", path: card.LoginPath, body: `{"fingerprint":"` + strings.Repeat("a", 9000) + `"}`}); w.Code != 413 {
		t.Errorf("too long: %d", w.Code)
	}
	for name, body := range map[string]string{
		"empty":         "",
		"not JSON":      "{",
		"two values":    `{"fingerprint":"a","statement":"b"}{}`,
		"unknown field": `{"fingerprint":"a","statement":"b","role":"auditor"}`,
		"wrong type":    `{"fingerprint":1}`,
	} {
		if w := h.do(request{method: "POST", path: card.LoginPath, body: body}); w.Code != 400 || w.Body.String() != `{"error":"malformed request"}` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	h := newHouse(t)
	ana := newReviewer(t)
	h.add(ana, "norte")
	signedIn := func(session string) bool {
		return h.do(request{method: "GET", path: card.ItemsPath, session: session}).Code == 200
	}
	synctest.Test(t, func(t *testing.T) {
		idle := h.session(ana)
		time.Sleep(15*time.Minute - 1)
		if !signedIn(idle) {
			t.Error("ended before 15 minutes without use")
		}
		time.Sleep(15 * time.Minute)
		if signedIn(idle) {
			t.Error("alive after 15 minutes without use")
		}
		busy := h.session(ana)
		for range 12 {
			if !signedIn(busy) {
				t.Error("ended while in use")
			}
			time.Sleep(10 * time.Minute)
		}
		if signedIn(busy) {
			t.Error("alive after two hours")
		}
		late := h.statement()
		time.Sleep(2 * time.Minute)
		if w := h.login(ana, ana.signer, late); w.Code != 403 {
			t.Errorf("nonce of two minutes ago: %d", w.Code)
		}
		revoked := h.session(ana)
		h.revoke(ana)
		if signedIn(revoked) {
			t.Error("alive after the card was revoked")
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	h.add(beto, "sur")
	other := h.session(beto)
	first := h.statement()
	for range 4096 {
		h.nonce()
	}
	if w := h.login(ana, ana.signer, first); w.Code != 403 {
		t.Errorf("the oldest of 4,097 nonces: %d", w.Code)
	}
	var sessions []string
	for range 5 {
		sessions = append(sessions, h.session(ana))
	}
	for i, s := range append(sessions, other) {
		want := 200
		if i == 0 {
			want = 401 // four sessions of one card; the oldest gave way
		}
		if w := h.do(request{method: "GET", path: card.ItemsPath, session: s}); w.Code != want {
			t.Errorf("session %d: %d, want %d", i, w.Code, want)
		}
	}
}

func TestAnswersAreConstant(t *testing.T) {
	h := newHouse(t)
	for _, test := range []struct {
		r    request
		code int
		body string
	}{
		{request{method: "GET", path: "/"}, 404, "not found"},
		{request{method: "GET", path: "/v1/items/"}, 404, "not found"},
		{request{method: "GET", path: "/v1/challenge"}, 405, "wrong method"},
		{request{method: "POST", path: "/v1/challenge/", body: "{}"}, 404, "not found"},
		{request{method: "POST", path: "//v1/challenge", body: "{}"}, 404, "not found"},
		{request{method: "POST", path: "/V1/challenge", body: "{}"}, 404, "not found"},
		{request{method: "POST", path: "/v1/challenge", body: "{}", host: "evil.example"}, 421, "wrong address"},
		{request{method: "POST", path: "/v1/challenge", body: "{}", host: "127.0.0.1"}, 421, "wrong address"},
		{request{method: "POST", path: "/nowhere", host: "evil.example"}, 421, "wrong address"},
		{request{method: "POST", path: "/v1/challenge", body: "[]"}, 400, "malformed request"},
	} {
		w := h.do(test.r)
		if want := `{"error":"` + test.body + `"}`; w.Code != test.code || w.Body.String() != want {
			t.Errorf("%s %s: %d %s, want %d %s", test.r.method, test.r.path, w.Code, w.Body, test.code, want)
		}
		if w.Header().Get("Location") != "" {
			t.Errorf("%s %s: redirect", test.r.method, test.r.path)
		}
	}
}
