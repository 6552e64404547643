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
	auditor, dismissed := newMember(t, card.Auditor), newMember(t, card.Auditor)
	h.add(norte, "norte")
	h.add(sur, "sur")
	h.add(revoked, "norte")
	h.add(auditor, "norte") // a desk makes no reviewer of an auditor
	h.add(dismissed)
	id, _ := h.report("hola", norte, "norte")
	inCase := h.list(h.session(norte))[0].Case
	roles := []string{"nobody", "norte", "sur", "auditor", "revoked", "dismissed"}
	sessions := map[string]string{"norte": h.session(norte), "sur": h.session(sur), "auditor": h.session(auditor),
		"revoked": h.session(revoked), "dismissed": h.session(dismissed)}
	h.revoke(revoked)
	h.revoke(dismissed)
	logtest.Begin(t, h.vault).Publish(t)

	table := map[string][]int{ // answers in the order of roles
		"POST /v1/challenge":           {200, 200, 200, 200, 200, 200},
		"POST /v1/login":               {400, 400, 400, 400, 400, 400}, // its body decides: TestLoginRefuses
		"GET /v1/items":                {401, 200, 200, 200, 401, 401},
		"GET /v1/items/:id":            {401, 200, 404, 200, 401, 401},
		"GET /v1/desks":                {401, 200, 200, 403, 401, 401},
		"POST /v1/desks/:desk/reading": {401, 400, 404, 403, 401, 401},
		"GET /v1/cases":                {401, 200, 200, 403, 401, 401},
		"POST /v1/cases/:case/reply":   {401, 400, 404, 403, 401, 401}, // 400: there is no statement
		"POST /v1/cases/:case/ack":     {401, 400, 404, 403, 401, 401},
		"POST /v1/cases/:case/note":    {401, 400, 404, 403, 401, 401},
		"POST /v1/cases/:case/close":   {401, 400, 404, 403, 401, 401},
		"POST /v1/cases/:case/rewrap":  {401, 400, 404, 403, 401, 401},
		"POST /v1/cases/:case/recuse":  {401, 400, 404, 403, 401, 401},
		"POST /v1/cases/:case/delete":  {401, 400, 404, 403, 401, 401},
		"POST /v1/cases/:case/hold":    {401, 400, 404, 403, 401, 401},
		"GET /v1/epochs":               {401, 403, 403, 200, 401, 401},
		"GET /v1/epochs/:epoch":        {401, 403, 403, 404, 401, 401}, // 404: none has ended
		"GET /log/*path":               {200, 200, 200, 200, 200, 200}, // the log is public
		"HEAD /log/*path":              {200, 200, 200, 200, 200, 200},
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
		path = strings.NewReplacer(":id", id, ":case", inCase, ":desk", "norte", ":epoch", "83115", "*path", "checkpoint").Replace(path)
		for i, role := range roles {
			r := request{method: method, path: path, session: sessions[role]}
			if path == card.ChallengePath {
				r.body = "{}"
			}
			if w := h.do(r); w.Code != want[i] {
				t.Errorf("%s as %s: %d, want %d", route, role, w.Code, want[i])
			}
		}
	}
	if len(routes) != len(table) {
		t.Errorf("routes %v differ from the table", routes)
	}
	if got := h.list(sessions["sur"]); len(got) != 0 {
		t.Errorf("sur sees %v", got)
	}
	if got := h.caseList(sessions["sur"]); len(got) != 0 {
		t.Errorf("sur sees %v", got)
	}
}

// whole is all of an answer that a client sees.
func (h *house) whole(r request) string {
	w := h.do(r)
	var header []string
	for name, values := range w.Header() {
		header = append(header, fmt.Sprintf("%s: %q", name, values))
	}
	slices.Sort(header)
	return fmt.Sprint(w.Code, header, w.Body)
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
		return h.whole(r)
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

// The same holds for cases, in every request that names one, with or without a
// statement that would be accepted from their own reviewers.
func TestForeignAndUnknownCasesAreOne(t *testing.T) {
	h := newHouse(t)
	norte, sur := newReviewer(t), newReviewer(t)
	h.add(norte, "norte")
	h.add(sur, "sur")
	h.report("hola", norte, "norte")
	foreign := h.caseList(h.session(norte))[0].Case
	session := h.session(sur)
	for _, kind := range []string{"reply", "ack", "note", "close", "rewrap", "recuse", "delete", "hold"} {
		s := h.next(norte, foreign, kind)
		shown := func(id string, r request) string {
			r.method, r.session, r.path = "POST", session, card.CasesPath+"/"+id+"/"+kind
			return h.whole(r)
		}
		want := shown(foreign, request{})
		if !strings.HasPrefix(want, "404 ") {
			t.Fatal(want)
		}
		for _, id := range []string{foreign, "aaaaaaaaaaaaaaaa", strings.ToUpper(foreign), foreign[:15], foreign + "a", "x", "..%2f" + foreign, strings.Repeat("a", 2000)} {
			for _, r := range []request{{}, {body: "{}"}, {statement: "x"}, {statement: h.header(norte, s), body: string(s.file)}, {statement: h.header(sur, s), body: string(s.file)}} {
				if got := shown(id, r); got != want {
					t.Errorf("%s %s:\n got %s\nwant %s", kind, id, got, want)
				}
			}
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
		"revoked":   (*house).revoke,
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
