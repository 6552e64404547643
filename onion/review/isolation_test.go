package review_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"resguardo/crypto/card"
	"resguardo/onion/logtiles/logtest"
	"resguardo/onion/review"
)

// TestIsolation calls every route in every role. A new route fails here until
// its line stands in the table.
func TestIsolation(t *testing.T) {
	h := newHouse(t)
	norte, sur, revoked := newReviewer(t), newReviewer(t), newReviewer(t)
	h.add(norte, "norte")
	h.add(sur, "sur")
	h.add(revoked, "norte")
	id, _ := h.report("hola", norte, "norte")
	sessions := map[string]string{"nobody": "", "norte": h.session(norte), "sur": h.session(sur), "revoked": h.session(revoked)}
	delete(h.members, revoked.card.Fingerprint())
	logtest.Begin(t, h.vault).Publish(t)

	type answers map[string]int // by role
	table := map[string]answers{
		"POST /v1/challenge": {"nobody": 200, "norte": 200, "sur": 200, "revoked": 200},
		"POST /v1/login":     {"nobody": 400, "norte": 400, "sur": 400, "revoked": 400}, // its body decides: TestLoginRefuses
		"GET /v1/items":      {"nobody": 401, "norte": 200, "sur": 200, "revoked": 401},
		"GET /v1/items/:id":  {"nobody": 401, "norte": 200, "sur": 404, "revoked": 401},
		"GET /log/*path":     {"nobody": 200, "norte": 200, "sur": 200, "revoked": 200}, // the log is public
		"HEAD /log/*path":    {"nobody": 200, "norte": 200, "sur": 200, "revoked": 200},
	}
	var routes []string
	for _, r := range review.Routes(h.handler) {
		routes = append(routes, r.Method+" "+r.Path)
	}
	for _, route := range routes {
		want, ok := table[route]
		if !ok {
			t.Errorf("%s stands in no line of this table", route)
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		for role, code := range want {
			w := h.do(request{method: method, path: strings.NewReplacer(":id", id, "*path", "checkpoint").Replace(path), session: sessions[role], body: "{}"})
			if path == card.LoginPath {
				w = h.do(request{method: method, path: path, session: sessions[role]})
			}
			if w.Code != code {
				t.Errorf("%s as %s: %d, want %d", route, role, w.Code, code)
			}
		}
	}
	if len(routes) != len(table) {
		t.Errorf("routes %v differ from the table", routes)
	}
	if got := h.list(sessions["sur"]); len(got) != 0 {
		t.Errorf("sur sees %v", got)
	}
}

// A reviewer must not learn whether an id that is not its own exists: every
// such answer is the same, byte for byte, whatever the request says.
func TestForeignAndUnknownItemsAreOne(t *testing.T) {
	h := newHouse(t)
	norte, sur := newReviewer(t), newReviewer(t)
	h.add(norte, "norte")
	h.add(sur, "sur")
	foreign, _ := h.report("hola", norte, "norte")
	session := h.session(sur)
	shown := func(r request) string {
		r.method, r.session = "GET", session
		w := h.do(r)
		var header []string
		for name, values := range w.Header() {
			header = append(header, fmt.Sprintf("%s: %q", name, values))
		}
		slices.Sort(header)
		return fmt.Sprint(w.Code, header, w.Body)
	}
	want := shown(request{path: card.ItemsPath + "/" + foreign})
	if !strings.HasPrefix(want, "404 ") {
		t.Fatal(want)
	}
	for _, r := range []request{
		{path: card.ItemsPath + "/" + strings.Repeat("0", 32)},
		{path: card.ItemsPath + "/" + strings.ToUpper(foreign)},
		{path: card.ItemsPath + "/" + foreign[:31]},
		{path: card.ItemsPath + "/" + foreign + "0"},
		{path: card.ItemsPath + "/x"},
		{path: card.ItemsPath + "/" + foreign, rang: "bytes=0-"},
		{path: card.ItemsPath + "/" + foreign, rang: "bytes=99999999-"},
		{path: card.ItemsPath + "/" + strings.Repeat("0", 32), rang: "bytes=99999999-"},
		{path: card.ItemsPath + "/..%2f" + foreign},
		{path: card.ItemsPath + "/" + strings.Repeat("0", 2000)},
		{path: "/v1/nowhere"},
	} {
		if got := shown(r); got != want {
			t.Errorf("%s %s:\n got %s\nwant %s", r.path, r.rang, got, want)
		}
	}
}

// Desks that a member does not belong to are not named to it.
func TestDesksOfOthersStayHidden(t *testing.T) {
	h := newHouse(t)
	norte := newReviewer(t)
	h.add(norte, "norte")
	h.report("hola", norte, "norte", "sur")
	items := h.list(h.session(norte))
	if len(items) != 1 || !slices.Equal(items[0].Desks, []string{"norte"}) {
		t.Errorf("items %+v", items)
	}
}

// A download ends when its card is revoked, and when the member leaves the desk.
func TestRevocationEndsDownload(t *testing.T) {
	for name, change := range map[string]func(*house, reviewer){
		"revoked":   func(h *house, r reviewer) { delete(h.members, r.card.Fingerprint()) },
		"left desk": func(h *house, r reviewer) { h.add(r, "sur") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ana := newReviewer(t)
			h.add(ana, "norte")
			id, sealed := h.report(strings.Repeat("x", 60<<10), ana, "norte")
			session := h.session(ana)
			w := &interrupted{header: http.Header{}, then: func() { change(h, ana) }}
			req, err := http.NewRequest("GET", "http://"+host+card.ItemsPath+"/"+id, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+session)
			h.handler.ServeHTTP(w, req)
			if w.n == 0 || w.n >= len(sealed) {
				t.Errorf("%d of %d bytes came", w.n, len(sealed))
			}
		})
	}
}

// interrupted is a response writer that calls then after the first piece.
type interrupted struct {
	header http.Header
	n      int
	then   func()
}

func (w *interrupted) Header() http.Header { return w.header }
func (w *interrupted) WriteHeader(int)     {}
func (w *interrupted) Write(p []byte) (int, error) {
	w.n += len(p)
	w.then()
	return len(p), nil
}
