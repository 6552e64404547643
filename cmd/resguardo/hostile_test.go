package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// enemy is a server that speaks the API as far as its fields say, and worse. It
// stands in for a vault that someone took over.
type enemy struct {
	challenge, login, list, item http.HandlerFunc
	cases, desks                 http.HandlerFunc
	log                          http.Handler
}

const enemyOrigin = "norte-0a1b2c3d"

// polite is an enemy that behaves, with one item of these bytes.
func polite(items []card.Item, content []byte) *enemy {
	return &enemy{
		log:       politeLog(items...),
		cases:     answer(card.Cases{Cases: casesOf(items)}),
		desks:     answer(card.Desks{Desks: []card.Desk{}}),
		challenge: answer(card.Challenge{Origin: enemyOrigin, Nonce: card.NewNonce()}),
		login:     answer(card.Session{Session: strings.Repeat("A", 43), Role: card.Reviewer}),
		list:      answer(card.Items{Items: items}),
		item: func(w http.ResponseWriter, r *http.Request) {
			from := 0
			if s := r.Header.Get("Range"); s != "" {
				from, _ = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(s, "bytes="), "-"))
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
				w.WriteHeader(http.StatusPartialContent)
			}
			w.Write(content[from:])
		},
	}
}

// politeLog has the items that politeItem made.
func politeLog(items ...card.Item) *paper {
	log := newPaper(enemyOrigin)
	var leaves []translog.Leaf
	for n := range items {
		i := items[n]
		leaves = append(leaves, evidence(&i, politeKey, uint64(i.Number)))
	}
	return log.add(log.fillers(leaves...)...)
}

var politeKey = [32]byte{1}

func casesOf(items []card.Item) []card.Case {
	next := map[string]int{}
	for _, i := range items {
		next[i.Case] = max(next[i.Case], i.Number+1)
	}
	var cases []card.Case
	for _, id := range slices.Sorted(maps.Keys(next)) {
		cases = append(cases, card.Case{Case: id, Desks: []string{"norte"}, Next: next[id], LastDay: today(), EndsDay: "2099-01-01", Gone: []card.Gone{}})
	}
	return cases
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func answer(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(v) }
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
}

func (e *enemy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == card.ChallengePath:
		e.challenge(w, r)
	case r.URL.Path == card.LoginPath:
		e.login(w, r)
	case r.URL.Path == card.ItemsPath:
		e.list(w, r)
	case r.URL.Path == card.CasesPath:
		e.cases(w, r)
	case r.URL.Path == card.DesksPath:
		e.desks(w, r)
	case strings.HasPrefix(r.URL.Path, "/log/"):
		e.log.ServeHTTP(w, r)
	default:
		e.item(w, r)
	}
}

var content = bytes.Repeat([]byte("age ciphertext, or so it says\n"), 5000)

func goodItem() card.Item {
	sum := sha256.Sum256(content)
	i := card.Item{
		ID: strings.Repeat("1", 32), Case: "aaaaaaaaaaaaaaaa", Kind: "report", Day: "2026-11-21",
		Desks: []string{"norte"}, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
	}
	evidence(&i, politeKey, 0)
	return i
}

// victim is a reviewer's folder, alone in its parent.
func victim(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ana")
	if code, _, errs := call(nil, "keygen", "-dir", dir, "-name", "ana", "-no-passphrase"); code != 0 {
		t.Fatal(errs)
	}
	return dir
}

// files lists everything under dir but the keys, by slash path.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if err == nil && !d.IsDir() {
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

const (
	keysOnly = "ana/card.txt ana/identity.txt ana/keys.txt ana/lock"
	loggedIn = keysOnly + " ana/server.json"
	caseFile = "ana/cases/aaaaaaaaaaaaaaaa/case.json"
	kept     = " ana/desks.json ana/identity.txt ana/keys.txt ana/lock ana/log/checkpoint ana/server.json"
	looked   = "ana/card.txt " + caseFile + kept
	stored   = "ana/card.txt ana/cases/aaaaaaaaaaaaaaaa/000-report.age ana/cases/aaaaaaaaaaaaaaaa/000-report.json " + caseFile + kept
	recorded = "ana/card.txt ana/cases/aaaaaaaaaaaaaaaa/000-report.json " + caseFile + kept
)

func redirect(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
}

func endless(w http.ResponseWriter, _ *http.Request) {
	piece := bytes.Repeat([]byte(" "), 64<<10)
	for {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func listOf(change func(*card.Item)) func(*enemy) {
	return func(e *enemy) {
		i := goodItem()
		change(&i)
		e.list = answer(card.Items{Items: []card.Item{i}})
	}
}

// Whatever the server does, fetch says so, exits 1 and leaves only these files.
func TestHostileServer(t *testing.T) {
	for _, test := range []struct {
		name   string
		enemy  func(*enemy)
		says   string
		leaves string
	}{
		{"redirect at the challenge", func(e *enemy) { e.challenge = redirect }, "sends what no vault sends: a redirect", keysOnly},
		{"redirect at the login", func(e *enemy) { e.login = redirect }, "a redirect", keysOnly},
		{"redirect at the list", func(e *enemy) { e.list = redirect }, "a redirect", loggedIn},
		{"redirect at an item", func(e *enemy) { e.item = redirect }, "a redirect", recorded},
		{"endless challenge", func(e *enemy) { e.challenge = endless }, "an answer of more than 65536 bytes", keysOnly},
		{"endless session", func(e *enemy) { e.login = endless }, "an answer of more than 65536 bytes", keysOnly},
		{"endless list", func(e *enemy) { e.list = endless }, "an answer of more than 33554432 bytes", loggedIn},
		{"huge header", func(e *enemy) {
			e.challenge = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }
		}, "no answer from", keysOnly},
		{"challenge is no JSON", func(e *enemy) { e.challenge = text("<html>") }, "a malformed challenge", keysOnly},
		{"origin for the terminal", func(e *enemy) {
			e.challenge = answer(card.Challenge{Origin: "\x1b]0;x\a", Nonce: card.NewNonce()})
		}, "a malformed challenge", keysOnly},
		{"nonce with another line", func(e *enemy) {
			e.challenge = answer(card.Challenge{Origin: enemyOrigin, Nonce: "A\nrole auditor"})
		}, "a malformed challenge", keysOnly},
		{"session with a header", func(e *enemy) { e.login = answer(card.Session{Session: "A\r\nX: y"}) }, "a malformed session", keysOnly},
		{"login refused", func(e *enemy) { e.login = status(403) }, "does not let this card in", keysOnly},
		{"wrong address", func(e *enemy) { e.challenge = status(421) }, "is not its address", keysOnly},
		{"error", func(e *enemy) { e.list = status(500) }, "answers with status 500", loggedIn},
		{"signed out for ever", func(e *enemy) { e.list = status(401) }, "not signed in", loggedIn},
		{"list is no JSON", func(e *enemy) { e.list = text("[") }, "not the JSON of a list", loggedIn},
		{"too many items", func(e *enemy) { e.list = text(`{"items":[` + strings.Repeat("{},", 50_000) + `{}]}`) }, "more than 50000 items", loggedIn},
		{"id as a path", listOf(func(i *card.Item) { i.ID = "../../../../etc/passwd" }), "item 1 of the list: malformed id", loggedIn},
		{"case as a path", listOf(func(i *card.Item) { i.Case = "../../../../x" }), "item 1 of the list: malformed case", loggedIn},
		{"absolute case", listOf(func(i *card.Item) { i.Case = "/tmp/aaaaaaaaaaa" }), "malformed case", loggedIn},
		{"kind as a path", listOf(func(i *card.Item) { i.Kind = "report/../../../x" }), "unknown kind", loggedIn},
		{"kind for the terminal", listOf(func(i *card.Item) { i.Kind = "\x1b[2J" }), "unknown kind", loggedIn},
		{"negative number", listOf(func(i *card.Item) { i.Number = -1 }), "number out of range", loggedIn},
		{"negative size", listOf(func(i *card.Item) { i.Size = -1 }), "size out of range", loggedIn},
		{"no size", listOf(func(i *card.Item) { i.Size = 0 }), "size out of range", loggedIn},
		{"huge size", listOf(func(i *card.Item) { i.Size = 1 << 50 }), "size out of range", loggedIn},
		{"hash", listOf(func(i *card.Item) { i.SHA256 = "x" }), "malformed hash", loggedIn},
		{"day", listOf(func(i *card.Item) { i.Day = "2026-02-30" }), "malformed day", loggedIn},
		{"desk for the terminal", listOf(func(i *card.Item) { i.Desks = []string{"\u202e"} }), "malformed desk", loggedIn},
		{"same item twice", func(e *enemy) { e.list = answer(card.Items{Items: []card.Item{goodItem(), goodItem()}}) }, "item 2 of the list: stands there twice", loggedIn},
		{"two items in one place", func(e *enemy) {
			other := goodItem()
			other.ID = strings.Repeat("2", 32)
			e.list = answer(card.Items{Items: []card.Item{goodItem(), other}})
		}, "item 2 of the list: stands there twice", loggedIn},
		{"other bytes", func(e *enemy) {
			e.item = func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.ToUpper(content)) }
		}, "is not what its list says (hash)", recorded},
		{"longer than listed", func(e *enemy) {
			e.item = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(len(content)+1))
				w.Write(append(bytes.Clone(content), 'x'))
			}
		}, "150001 bytes instead of 150000", recorded},
		{"endless item", func(e *enemy) { e.item = endless }, "more bytes than its list says", recorded},
		{"shorter than listed", func(e *enemy) {
			e.item = func(w http.ResponseWriter, _ *http.Request) { w.Write(content[:1000]) }
		}, "1000 bytes instead of 150000", recorded},
		{"tag", listOf(func(i *card.Item) { i.Tag = "../" + i.Tag[3:] }), "malformed tag", loggedIn},
		{"event", listOf(func(i *card.Item) { i.Event += "\n" }), "malformed event", loggedIn},
		{"opening for the terminal", listOf(func(i *card.Item) { i.Opening = "\x1b[2J" }), "malformed opening", loggedIn},
		{"cases are no JSON", func(e *enemy) { e.cases = text("[") }, "not the JSON of a list", loggedIn},
		{"endless cases", func(e *enemy) { e.cases = endless }, "an answer of more than 33554432 bytes", loggedIn},
		{"redirect at the cases", func(e *enemy) { e.cases = redirect }, "a redirect", loggedIn},
		{"too many cases", func(e *enemy) { e.cases = text(`{"cases":[` + strings.Repeat("{},", 50_000) + `{}]}`) }, "more than 50000 cases", loggedIn},
		{"case of the cases as a path", caseOf(func(c *card.Case) { c.Case = "../../../../x" }), "case 1 of the list: malformed case", loggedIn},
		{"day for the terminal", caseOf(func(c *card.Case) { c.EndsDay = "\x1b[2J" }), "case 1 of the list: ", loggedIn},
		{"deletion that nobody signed", caseOf(func(c *card.Case) { c.PendingDelete = "\x1b[2J" }), "malformed pending deletion", loggedIn},
		{"gone items out of order", caseOf(func(c *card.Case) { c.Next, c.Gone = 9, []card.Gone{gone(3), gone(2)} }), "out of order", loggedIn},
		{"gone item as a path", caseOf(func(c *card.Case) { c.Next, c.Gone = 9, []card.Gone{{Number: 3, Kind: "../x", SHA256: gone(3).SHA256}} }), "unknown kind", loggedIn},
		{"same case twice", func(e *enemy) {
			twice := append(casesOf([]card.Item{goodItem()}), casesOf([]card.Item{goodItem()})...)
			e.cases = answer(card.Cases{Cases: twice})
		}, "case 2 of the list: stands there twice", loggedIn},
		{"desks are no JSON", func(e *enemy) { e.desks = text("[") }, "not the JSON of a list", politeOnly},
		{"endless desks", func(e *enemy) { e.desks = endless }, "an answer of more than 33554432 bytes", politeOnly},
		{"desk as a path", func(e *enemy) {
			e.desks = answer(card.Desks{Desks: []card.Desk{{ID: "../x", Cards: []string{""}}}})
		}, "the list of desks: malformed desk", politeOnly},
		{"card for the terminal", func(e *enemy) {
			e.desks = answer(card.Desks{Desks: []card.Desk{{ID: "norte", Cards: []string{"\x1b[2J"}}}})
		}, "the list of desks: malformed card 1", politeOnly},
		{"session with a desk for the terminal", func(e *enemy) {
			e.login = answer(card.Session{Session: strings.Repeat("A", 43), Desks: []string{"\x1b[2J"}})
		}, "a malformed session", keysOnly},
		{"item is missing", func(e *enemy) { e.item = status(404) }, "answers with status 404", recorded},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := polite([]card.Item{goodItem()}, content)
			test.enemy(e)
			srv := httptest.NewServer(e)
			defer srv.Close()
			dir := victim(t)
			code, out, errs := call(nil, "fetch", "-dir", dir, "-server", srv.URL)
			if code != 1 || out != "" || !strings.Contains(errs, test.says) {
				t.Errorf("exit %d, printed %q and %q, want %q", code, out, errs, test.says)
			}
			if strings.ContainsAny(errs, "\x1b\u202e\a") {
				t.Errorf("the terminal gets %q", errs)
			}
			if got := files(t, filepath.Dir(dir)); got != test.leaves {
				t.Errorf("files %s\nwant  %s", got, test.leaves)
			}
		})
	}
}

const politeOnly = "ana/card.txt " + caseFile + " ana/identity.txt ana/keys.txt ana/lock ana/log/checkpoint ana/server.json"

func gone(n int) card.Gone {
	return card.Gone{Number: n, Kind: "reply", SHA256: strings.Repeat("0", 64)}
}

func caseOf(change func(*card.Case)) func(*enemy) {
	return func(e *enemy) {
		cases := casesOf([]card.Item{goodItem()})
		change(&cases[0])
		e.cases = answer(card.Cases{Cases: cases})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, "\x1b[2Jgotcha")
	}
}

// cutter sends an item in pieces and cuts the connection after each.
func cutter(pieces int, ranges *[]string) func(*enemy) {
	return func(e *enemy) {
		whole := e.item
		e.item = func(w http.ResponseWriter, r *http.Request) {
			*ranges = append(*ranges, r.Header.Get("Range"))
			if len(*ranges) == pieces {
				whole(w, r)
				return
			}
			from := 1000 * (len(*ranges) - 1)
			w.Header().Set("Content-Length", strconv.Itoa(len(content)-from))
			if from > 0 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
				w.WriteHeader(http.StatusPartialContent)
			}
			w.Write(content[from : from+1000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

func TestFetchGoesOnAfterCuts(t *testing.T) {
	var ranges []string
	e := polite([]card.Item{goodItem()}, content)
	cutter(4, &ranges)(e)
	srv := httptest.NewServer(e)
	defer srv.Close()
	dir := victim(t)
	code, _, errs := call(nil, "fetch", "-dir", dir, "-server", srv.URL)
	if code != 0 {
		t.Fatal(errs)
	}
	if got := strings.Join(ranges, " "); got != " bytes=1000- bytes=2000- bytes=3000-" {
		t.Errorf("asked for %q", got)
	}
	b, err := os.ReadFile(filepath.Join(dir, "cases", goodItem().Case, "000-report.age"))
	if err != nil || !bytes.Equal(b, content) {
		t.Errorf("other bytes (%v)", err)
	}
	if got := files(t, filepath.Dir(dir)); got != stored {
		t.Errorf("files %s", got)
	}
}

// fetchedBy is a new folder after its first fetch from e.
func (e *enemy) fetchedBy(t *testing.T) (code int, dir, errs string) {
	t.Helper()
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	dir = victim(t)
	code, _, errs = call(nil, "fetch", "-dir", dir, "-server", srv.URL)
	return code, dir, errs
}

// fetched is a folder that holds goodItem, and its enemy.
func fetched(t *testing.T) (dir string, e *enemy) {
	t.Helper()
	dir, e, _ = fetchedWith(t, politeLog(goodItem()), goodItem())
	return dir, e
}

func fetchedWith(t *testing.T, log *paper, items ...card.Item) (dir string, e *enemy, errs string) {
	t.Helper()
	e = polite(items, content)
	e.log = log
	code, dir, errs := e.fetchedBy(t)
	if code != 0 {
		t.Fatal(errs)
	}
	return dir, e, errs
}

// What a server says the second time must agree with the first.
func TestServerThatChanges(t *testing.T) {
	for _, test := range []struct {
		name  string
		enemy func(*enemy)
		code  int
		says  string
	}{
		{"nothing", func(*enemy) {}, 0, "nothing new; items listed: 1"},
		{"origin", func(e *enemy) {
			e.challenge = answer(card.Challenge{Origin: "sur-0a1b2c3d", Nonce: card.NewNonce()})
			e.login = status(500) // must not be reached
		}, 1, "calls itself sur-0a1b2c3d, but yours is norte-0a1b2c3d"},
		{"hash", listOf(func(i *card.Item) { i.SHA256 = strings.Repeat("0", 64) }), 1, "now describes"},
		{"size", listOf(func(i *card.Item) { i.Size++ }), 1, "now describes"},
		{"day", listOf(func(i *card.Item) { i.Day = "2026-11-22" }), 1, "now describes"},
		{"case", listOf(func(i *card.Item) { i.Case = "bbbbbbbbbbbbbbbb" }), 1, "now describes"},
		{"desks", listOf(func(i *card.Item) { i.Desks = []string{"sur"} }), 0, "nothing new"},
		{"another item in its place", listOf(func(i *card.Item) { i.ID = strings.Repeat("2", 32) }), 1, "lists another item in the place of"},
		{"gone", func(e *enemy) { e.list = answer(card.Items{}) }, 0, "warning: the vault does not list"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, e := fetched(t)
			test.enemy(e)
			code, _, errs := call(nil, "fetch", "-dir", dir)
			if code != test.code || !strings.Contains(errs, test.says) {
				t.Errorf("exit %d, %q", code, errs)
			}
			b, err := os.ReadFile(filepath.Join(dir, "cases", goodItem().Case, "000-report.age"))
			if err != nil || !bytes.Equal(b, content) {
				t.Errorf("the copy was touched (%v)", err)
			}
			if got := files(t, filepath.Dir(dir)); got != stored {
				t.Errorf("files %s", got)
			}
		})
	}
}

// An item that is gone is named once, and no more when it is back.
func TestGoneIsNamedOnce(t *testing.T) {
	dir, e := fetched(t)
	list := e.list
	for n, test := range []struct {
		list  http.HandlerFunc
		named bool
		table string
	}{
		{answer(card.Items{}), true, "new, no longer in the vault"},
		{answer(card.Items{}), false, "new, no longer in the vault"},
		{list, false, "new"},
		{answer(card.Items{}), true, "new, no longer in the vault"},
	} {
		e.list = test.list
		_, _, errs := call(nil, "fetch", "-dir", dir)
		if strings.Contains(errs, "does not list") != test.named {
			t.Errorf("pass %d: %s", n, errs)
		}
		if _, out, _ := call(nil, "list", "-dir", dir); !strings.HasSuffix(out, "  "+test.table+"\n") {
			t.Errorf("pass %d: %s", n, out)
		}
	}
}

// A session that ends in the middle is opened again.
func TestSessionIsRenewed(t *testing.T) {
	e := polite([]card.Item{goodItem()}, content)
	whole, asked := e.item, 0
	e.item = func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		whole(w, r)
	}
	srv := httptest.NewServer(e)
	defer srv.Close()
	dir := victim(t)
	if code, _, errs := call(nil, "fetch", "-dir", dir, "-server", srv.URL); code != 0 || asked != 2 {
		t.Errorf("exit %d, %d requests: %s", code, asked, errs)
	}
}

// The program signs what it wrote itself: the address it dialled, not what the
// server would like.
func TestStatementIsOurs(t *testing.T) {
	dir := victim(t)
	b, err := os.ReadFile(filepath.Join(dir, "card.txt"))
	if err != nil {
		t.Fatal(err)
	}
	me, err := card.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	e := polite(nil, nil)
	var got card.Login
	login := e.login
	e.login = func(w http.ResponseWriter, r *http.Request) {
		var request card.LoginRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil || request.Fingerprint != me.Fingerprint() {
			t.Errorf("request %+v, %v", request, err)
		}
		if got, err = card.OpenLogin([]byte(request.Statement), me); err != nil {
			t.Error(err)
		}
		login(w, r)
	}
	srv := httptest.NewServer(e)
	defer srv.Close()
	if code, _, errs := call(nil, "fetch", "-dir", dir, "-server", srv.URL); code != 0 {
		t.Fatal(errs)
	}
	if got.Address != strings.TrimPrefix(srv.URL, "http://") || got.Origin != enemyOrigin || got.ClientNonce == got.ServerNonce {
		t.Errorf("signed %+v", got)
	}
}

// whenWritten calls then when something is written.
type whenWritten struct{ then func() }

func (w whenWritten) Write(p []byte) (int, error) {
	w.then()
	return len(p), nil
}

// fetch -every goes on until it is told to end, which is no failure; but an
// alarm on the way is one.
func TestEveryGoesOnUntilTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		enemy func(*enemy)
		fails bool
	}{
		"good":  {func(*enemy) {}, false},
		"alarm": {func(e *enemy) { e.item = status(404) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := polite([]card.Item{goodItem()}, content)
			test.enemy(e)
			srv := httptest.NewServer(e)
			defer srv.Close()
			ctx, end := context.WithCancel(t.Context())
			var errs bytes.Buffer
			told := io.MultiWriter(&errs, whenWritten{func() {
				if strings.Contains(errs.String(), "compared with the public log") || strings.Contains(errs.String(), "error: ") {
					end()
				}
			}})
			p := &program{say.New("resguardo", "en", catalogue(), io.Discard, told), nil, time.Now}
			err := p.fetch(ctx, []string{"-dir", victim(t), "-server", srv.URL, "-every", "1h"})
			if (err != nil) != test.fails {
				t.Errorf("%v: %s", err, errs.String())
			}
		})
	}
}
