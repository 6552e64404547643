package review_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"resguardo/crypto/card"
	"resguardo/onion/logtiles/logtest"
	"resguardo/onion/review"
	"resguardo/vault/translog"
)

// nothingAdded checks that every case has its report and nothing else, and that
// nothing of a refused upload is left in the vault.
func (h *house) nothingAdded(what string) {
	h.t.Helper()
	for _, id := range h.vault.Cases("") {
		if c, err := h.vault.Case(id); err != nil || len(c.Items) != 1 || c.Next != 1 {
			h.t.Errorf("%s: case %+v, %v", what, c, err)
		}
	}
	report, err := h.vault.Check(context.Background())
	if err != nil || len(report) != 0 {
		h.t.Errorf("%s: check: %v, %v", what, report, err)
	}
}

// TestStatementMustFit: the server stores only what a member's own card has
// signed for this vault, this case, this kind and this number.
func TestStatementMustFit(t *testing.T) {
	h := newHouse(t)
	ana, beto, auditor := newReviewer(t), newReviewer(t), newMember(t, card.Auditor)
	h.add(ana, "norte")
	h.add(beto, "norte")
	h.add(auditor)
	inCase, other := h.begin(ana, "norte"), h.begin(ana, "norte")
	good := h.next(ana, inCase, "reply")
	session := h.session(ana)
	post := func(statement string) *httptest.ResponseRecorder {
		return h.do(request{method: "POST", path: card.CasesPath + "/" + inCase + "/reply", session: session, statement: statement, body: string(good.file)})
	}
	with := func(change func(*sending)) string {
		s := good
		change(&s)
		return h.header(ana, s)
	}
	header := h.header(ana, good)
	for name, test := range map[string]struct {
		header string
		code   int
		text   string
	}{
		"none":              {"", 400, "malformed request"},
		"not base64":        {header + "=", 400, "malformed request"},
		"in two lines":      {header[:8] + " " + header[8:], 400, "malformed request"},
		"no note":           {card.EncodeHeader([]byte("hola")), 403, "statement refused"},
		"huge":              {card.EncodeHeader(bytes.Repeat([]byte("x"), 100<<10)), 403, "statement refused"},
		"of another kind":   {with(func(s *sending) { s.Kind = "note" }), 403, "statement refused"},
		"of another vault":  {with(func(s *sending) { s.Origin = "other-0a1b2c3d" }), 403, "statement refused"},
		"of another case":   {with(func(s *sending) { s.Case = other }), 403, "statement refused"},
		"of a colleague":    {h.header(beto, good), 403, "statement refused"},
		"by another's key":  {h.header(reviewer{ana.card, beto.signer, ana.age}, good), 403, "statement refused"},
		"of an auditor":     {h.header(auditor, good), 403, "statement refused"},
		"of a later number": {with(func(s *sending) { s.Number = 2 }), 409, "fetch first"},
		"of another file":   {with(func(s *sending) { s.Ciphertext[0]++ }), 400, "not the age file of the statement"},
	} {
		refusedAs(t, name, post(test.header), test.code, test.text)
	}
	req := httptest.NewRequest("POST", "http://"+host+card.CasesPath+"/"+inCase+"/reply", bytes.NewReader(good.file))
	req.Header = http.Header{"Authorization": {"Bearer " + session}, card.StatementHeader: {header, header}}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	refusedAs(t, "two headers", w, 400, "malformed request")
	h.nothingAdded("refused statements")

	// What was accepted once is not accepted again, nor is its event.
	log := logtest.Begin(t, h.vault)
	h.added(post(header))
	refusedAs(t, "replayed", post(header), 409, "fetch first")
	again := with(func(s *sending) { s.Number = 2 })
	refusedAs(t, "event that waits for the log", post(again), 409, "tag used")
	log.Close(t)
	refusedAs(t, "event in the log", post(again), 409, "tag used")
	h.added(post(with(func(s *sending) {
		s.Number, s.Event = 2, translog.NewEvent(h.deskLog[inCase], translog.Reply, 1)
	})))
}

// TestBodyMustFit: what is not the age file that the statement names leaves nothing.
func TestBodyMustFit(t *testing.T) {
	h := newHouseWith(t, review.Config{MaxItem: 6 << 20})
	ana := newReviewer(t)
	h.add(ana, "norte")
	inCase := h.begin(ana, "norte")
	long := sealed(t, 5<<20, ana)
	crowd := make([]reviewer, 101)
	for i := range crowd {
		crowd[i] = ana
	}
	const other = "not the age file of the statement"
	for name, test := range map[string]struct {
		body []byte
		code int
		text string
	}{
		"empty":               {nil, 400, other},
		"no age file":         {bytes.Repeat([]byte("hola\n"), 1<<20), 400, other},
		"a header only":       {long[:bytes.Index(long, []byte("\n--- "))+49], 400, other},
		"a header for ever":   {[]byte("age-encryption.org/v1\n" + strings.Repeat("-> x\n\n", 1<<19)), 400, other},
		"a line for ever":     {[]byte("age-encryption.org/v1\n-> x" + strings.Repeat("x", 1<<20)), 400, other},
		"cut in a chunk":      {long[:len(long)-64<<10], 400, other},
		"101 recipients":      {sealed(t, 10, crowd...), 400, other},
		"longer than allowed": {sealed(t, 6<<20, ana), 413, "too long"},
	} {
		for _, chunked := range []bool{false, true} {
			s := h.next(ana, inCase, "note")
			s.file, s.Ciphertext = test.body, sha256.Sum256(test.body)
			if name == "cut in a chunk" {
				s.Ciphertext = sha256.Sum256(long)
			}
			req := httptest.NewRequest("POST", "http://"+host+card.CasesPath+"/"+inCase+"/note", io.MultiReader(bytes.NewReader(s.file)))
			if req.ContentLength = -1; !chunked {
				req.ContentLength = int64(len(s.file))
			}
			req.Header = http.Header{"Authorization": {"Bearer " + h.session(ana)}, card.StatementHeader: {h.header(ana, s)}}
			w := httptest.NewRecorder()
			h.handler.ServeHTTP(w, req)
			refusedAs(t, fmt.Sprint(name, " ", chunked), w, test.code, test.text)
		}
	}
	h.nothingAdded("refused bodies")
}

// Over a connection: a body that ends early, and one that goes on after its end.
func TestLengthMustBeTrue(t *testing.T) {
	h := newHouse(t)
	ana := newReviewer(t)
	h.add(ana, "norte")
	inCase := h.begin(ana, "norte")
	srv := httptest.NewServer(h.handler)
	defer srv.Close()
	s := h.next(ana, inCase, "note")
	talk := func(length int, body []byte) string {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s/%s/note HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s: %s\r\nContent-Length: %d\r\n\r\n",
			card.CasesPath, inCase, host, h.session(ana), card.StatementHeader, h.header(ana, s), length)
		conn.Write(body)
		if length > len(body) {
			conn.(*net.TCPConn).CloseWrite()
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return strings.TrimSpace(line)
	}
	if got := talk(len(s.file)+1, s.file); got != "HTTP/1.1 400 Bad Request" {
		t.Errorf("shorter than it says: %q", got)
	}
	if got := talk(len(s.file)-1, s.file); got != "HTTP/1.1 400 Bad Request" {
		t.Errorf("longer than it says: %q", got)
	}
	h.nothingAdded("wrong lengths")
	if got := talk(len(s.file), s.file); got != "HTTP/1.1 200 OK" {
		t.Errorf("as it says: %q", got)
	}
}

// pieces is a body that runs what stands between its pieces.
type pieces []any

func (p *pieces) Read(b []byte) (int, error) {
	for len(*p) > 0 {
		switch v := (*p)[0].(type) {
		case func():
			v()
		case error:
			return 0, v
		case []byte:
			n := copy(b, v)
			if (*p)[0] = v[n:]; n == len(v) {
				*p = (*p)[1:]
			}
			return n, nil
		}
		*p = (*p)[1:]
	}
	return 0, io.EOF
}

func (h *house) sendBody(session, header string, s sending, body io.Reader) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", "http://"+host+card.CasesPath+"/"+s.Case+"/"+s.Kind, body)
	req.Header = http.Header{"Authorization": {"Bearer " + session}, card.StatementHeader: {header}}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	return w
}

// An upload ends when its card is revoked, and when the member leaves the desk:
// at the latest when all of it has come.
func TestRevocationEndsUpload(t *testing.T) {
	for name, change := range map[string]func(*house, reviewer){
		"revoked":       (*house).revoke,
		"left desk":     func(h *house, r reviewer) { h.add(r, "sur") },
		"another card":  func(h *house, r reviewer) { h.swap(r, newReviewer(h.t)) },
		"now no member": func(h *house, r reviewer) { h.add(r) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ana := newReviewer(t)
			h.add(ana, "norte")
			inCase := h.begin(ana, "norte")
			s := h.next(ana, inCase, "note")
			s.file = sealed(t, 5<<20, ana)
			s.Ciphertext = sha256.Sum256(s.file)
			session, header := h.session(ana), h.header(ana, s)
			for _, at := range []int{0, 100, 4 << 20, len(s.file)} {
				h.add(ana, "norte")
				left := &pieces{s.file[:at], func() { change(h, ana) }, s.file[at:]}
				refusedAs(t, fmt.Sprint(at), h.sendBody(session, header, s, left), 401, "not signed in")
				if rest := len(s.file) - at; rest > 0 && rest-len((*left)[0].([]byte)) > 64<<10 {
					t.Errorf("%d: read on for %d bytes", at, rest-len((*left)[0].([]byte)))
				}
			}
			h.nothingAdded("revoked")
		})
	}
}

// swap puts another card in the place of r's.
func (h *house) swap(r, other reviewer) {
	h.change(func(m map[string]review.Member) {
		m[r.card.Fingerprint()] = review.Member{Card: other.card, Desks: []string{"norte"}}
	})
}

// TestRefusedUnread: what can be refused without the body is refused without it,
// so that a program that waits for "100 Continue" does not send gigabytes in vain.
func TestRefusedUnread(t *testing.T) {
	h := newHouseWith(t, review.Config{MaxItem: 1 << 20})
	ana := newReviewer(t)
	h.add(ana, "norte")
	s := h.next(ana, h.begin(ana, "norte"), "note")
	stale, foreign, last := s, s, s
	stale.Number, foreign.Case = 2, "aaaaaaaaaaaaaaaa"
	last.Kind, last.Desk = "recuse", "norte"
	for name, test := range map[string]struct {
		s       sending
		session string
		length  int64
		code    int
	}{
		"stale":         {stale, h.session(ana), 1000, 409},
		"foreign":       {foreign, h.session(ana), 1000, 404},
		"the last desk": {last, h.session(ana), 1000, 409},
		"no session":    {s, "", 1000, 401},
		"too long":      {s, h.session(ana), 1<<20 + 1, 413},
	} {
		req := httptest.NewRequest("POST", "http://"+host+card.CasesPath+"/"+test.s.Case+"/"+test.s.Kind, &pieces{func() { t.Error(name, "was read") }})
		req.ContentLength = test.length
		req.Header = http.Header{"Authorization": {"Bearer " + test.session}, card.StatementHeader: {h.header(ana, test.s)}}
		w := httptest.NewRecorder()
		if h.handler.ServeHTTP(w, req); w.Code != test.code {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestBrokenBody: what the connection says about a body, the answer says.
func TestBrokenBody(t *testing.T) {
	h := newHouse(t)
	ana := newReviewer(t)
	h.add(ana, "norte")
	s := h.next(ana, h.begin(ana, "norte"), "note")
	for _, at := range []int{0, 100, len(s.file)} {
		refusedAs(t, "slow", h.sendBody(h.session(ana), h.header(ana, s), s, &pieces{s.file[:at], os.ErrDeadlineExceeded}), 408, "too slow")
		refusedAs(t, "broken", h.sendBody(h.session(ana), h.header(ana, s), s, &pieces{s.file[:at], errors.New("broken")}), 400, "malformed request")
	}
	h.nothingAdded("broken bodies")
}

// TestRaceHasOneWinner: of two reviewers with the same number one wins, and the
// other is told to fetch first; both had begun to send.
func TestRaceHasOneWinner(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	h.add(beto, "norte")
	inCase := h.begin(ana, "norte")
	for round := range uint64(5) {
		var begun, done sync.WaitGroup
		begun.Add(2)
		answers := make([]*httptest.ResponseRecorder, 2)
		for i, r := range []reviewer{ana, beto} {
			s := h.next(r, inCase, "note")
			s.Event = translog.NewEvent(h.deskLog[inCase], translog.Note, 2*round+uint64(i))
			session, header := h.session(r), h.header(r, s)
			done.Go(func() {
				answers[i] = h.sendBody(session, header, s, &pieces{s.file[:10], func() { begun.Done(); begun.Wait() }, s.file[10:]})
			})
		}
		done.Wait()
		if answers[0].Code != 200 {
			answers[0], answers[1] = answers[1], answers[0]
		}
		h.added(answers[0])
		refusedAs(t, "the other", answers[1], 409, "fetch first")
	}
	if n := len(h.list(h.session(ana))); n != 6 {
		t.Errorf("%d items", n)
	}
}

// TestUploadsAreBounded: one card sends two things at a time, whatever it sends.
func TestUploadsAreBounded(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	h.add(beto, "norte")
	inCase := h.begin(ana, "norte")
	s := h.next(ana, inCase, "note")
	s.file = sealed(t, 100, ana)
	s.Ciphertext = sha256.Sum256(s.file)
	session, header := h.session(ana), h.header(ana, s)
	var begun, done sync.WaitGroup
	begun.Add(2)
	release := make(chan struct{})
	for range 2 {
		done.Go(func() {
			h.sendBody(session, header, s, &pieces{s.file[:10], func() { begun.Done(); <-release }, errors.New("gone")})
		})
	}
	begun.Wait()
	refusedAs(t, "the third", h.send(ana, s), 429, "too many uploads")
	deletion := h.do(request{method: "POST", path: card.CasesPath + "/" + inCase + "/delete", session: session, body: "{}"})
	refusedAs(t, "a deletion besides", deletion, 429, "too many uploads")
	b := h.next(beto, inCase, "ack")
	h.added(h.send(beto, b))
	close(release)
	done.Wait()
	s.Number = 2
	h.added(h.send(ana, s))
}

// TestHugeHeaders: the server that resguardod runs refuses them before us; ours
// has no smaller room of its own to break.
func TestHugeHeaders(t *testing.T) {
	h := newHouse(t)
	ana := newReviewer(t)
	h.add(ana, "norte")
	inCase := h.begin(ana, "norte")
	s := h.next(ana, inCase, "note")
	for name, header := range map[string]string{"statement": h.header(ana, s) + strings.Repeat("A", 900<<10), "session": ""} {
		session := h.session(ana)
		if name == "session" {
			session += strings.Repeat("A", 900<<10)
		}
		w := h.do(request{method: "POST", path: card.CasesPath + "/" + inCase + "/note", session: session, statement: header, body: string(s.file)})
		if w.Code < 400 || w.Code >= 500 || w.Body.Len() > 100 {
			t.Errorf("%s: %d, %d bytes", name, w.Code, w.Body.Len())
		}
	}
	h.nothingAdded("huge headers")
}
