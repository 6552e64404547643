package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/onion/review"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// house is the vault of a story with the reviewers' API in front of it.
type house struct {
	dir     string
	origin  string
	vault   *vault.Vault
	ledger  *ledger
	server  *httptest.Server // on loopback
	door    *door            // on Tor; nil unless published
	sources []*source        // of the reports, in order

	mu      sync.Mutex
	spoil   string // what the server does to requests that change a case
	hold    *hold  // holds one of them; nil if none
	members map[string]review.Member
	silent  map[string]int // days since the last sign of a desk; -1 = not known
}

// source is who sent a report.
type source struct {
	identity *age.HybridIdentity
	report   seal.Manifest
	key      [32]byte // K
	sent     int
	last     [32]byte // SHA-256 of the newest age file
}

func (h *house) close() {
	if h.door != nil {
		h.door.close()
		h.door = nil
	}
	if h.server != nil {
		h.server.Close()
		h.vault.Close()
	}
}

// open is "vault ORIGIN": it starts a vault on loopback and sets $SERVER.
func (h *house) open(ts *testscript.TestScript, args []string) error {
	h.close()
	if err := os.RemoveAll(h.dir); err != nil {
		return err
	}
	if err := h.start(args[0]); err != nil {
		return err
	}
	ts.Setenv("SERVER", h.server.URL)
	return nil
}

// start makes a vault with a log and serves it on loopback.
func (h *house) start(origin string) error {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	h.origin, h.sources = origin, nil
	h.members, h.silent = map[string]review.Member{}, map[string]int{}
	err := vault.Init(h.dir, vault.Genesis{Origin: h.origin, Epoch: testLength, Slots: 16, Time: 1, Memory: 8, Threads: 1})
	if err != nil {
		return err
	}
	if h.vault, err = vault.Open(h.dir, vault.Options{}); err != nil {
		return err
	}
	h.ledger = newLedger(origin)
	if err := h.ledger.begin(h.vault); err != nil {
		return err
	}
	return h.serve()
}

// move is "move": the same vault gets another address.
func (h *house) move(ts *testscript.TestScript, _ []string) error {
	h.server.Close()
	err := h.serve()
	ts.Setenv("SERVER", h.server.URL)
	return err
}

func (h *house) serve() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	api := review.New(review.Config{Origin: h.origin, Hosts: []string{l.Addr().String()}, Reading: h.lastSign, Keep: h.keep}, h.vault, h.inForce)
	h.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		spoil := spoils[h.spoil]
		if h.hold != nil {
			spoil = h.hold.serve
		}
		h.mu.Unlock()
		if spoil != nil && r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, card.CasesPath+"/") {
			spoil(api, w, r)
			return
		}
		api.ServeHTTP(w, r)
	})}}
	h.server.Start()
	return nil
}

func (h *house) inForce() map[string]review.Member {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]review.Member{}
	for fingerprint, m := range h.members {
		all[fingerprint] = m
	}
	return all
}

// quiet is "quiet DESK DAYS": how long ago the desk gave its last sign; -1 = not known.
func (h *house) quiet(_ *testscript.TestScript, args []string) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent[args[0]], err = strconv.Atoi(args[1])
	return err
}

func (h *house) lastSign(desk string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent[desk] < 0 {
		return time.Time{}
	}
	return time.Now().AddDate(0, 0, -h.silent[desk])
}

func (h *house) keep(r card.Reading, _ card.Card, _ []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent[r.Desk] = int(time.Since(r.Time()) / (24 * time.Hour))
	return nil
}

func cardOf(dir string) (card.Card, []byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, "card.txt"))
	if err != nil {
		return card.Card{}, nil, err
	}
	c, err := card.Parse(text)
	return c, text, err
}

// desk is "desk ID ORGANISATION|- yes|no": who runs a desk.
func (h *house) desk(_ *testscript.TestScript, args []string) error {
	h.ledger.desks[args[0]] = translog.Desk{ID: args[0], Organisation: strings.TrimPrefix(args[1], "-"), Government: args[2] == "yes"}
	return nil
}

// member is "member DIR DESK…": the operator adds the card of DIR, and the log
// says so two epochs later.
func (h *house) member(ts *testscript.TestScript, args []string) error {
	c, text, err := cardOf(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	if err := h.noted(h.ledger.member(c, text, args[1:]...)); err != nil {
		return err
	}
	return h.change(func() { h.members[c.Fingerprint()] = review.Member{Card: c, File: string(text), Desks: args[1:]} })
}

// noted puts notes into the log and waits until they work.
func (h *house) noted(notes [][]byte) error {
	for range 3 {
		if err := h.ledger.close(h.vault, notes...); err != nil {
			return err
		}
		notes = nil
	}
	return nil
}

// rogue is "rogue DIR DESK": the server lists a card that the log does not name.
func (h *house) rogue(ts *testscript.TestScript, args []string) error {
	c, text, err := cardOf(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	return h.change(func() { h.members[c.Fingerprint()] = review.Member{Card: c, File: string(text), Desks: args[1:]} })
}

// revoke is "revoke DIR".
func (h *house) revoke(ts *testscript.TestScript, args []string) error {
	c, text, err := cardOf(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	if err := h.noted(h.ledger.member(c, text)); err != nil {
		return err
	}
	return h.change(func() { delete(h.members, c.Fingerprint()) })
}

// enemy is "enemy WHAT": what the server does from now on to requests that change a
// case; "enemy nothing" makes it honest again.
func (h *house) enemy(_ *testscript.TestScript, args []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spoil = args[0]
	return nil
}

// spoils are answers to a request that changes a case that no honest server gives.
var spoils = map[string]func(api http.Handler, w http.ResponseWriter, r *http.Request){
	"redirect": func(_ http.Handler, w http.ResponseWriter, r *http.Request) { redirect(w, r) },
	"huge":     func(_ http.Handler, w http.ResponseWriter, r *http.Request) { endless(w, r) },
	"no-json":  func(_ http.Handler, w http.ResponseWriter, r *http.Request) { text("\x1b[2J")(w, r) },
	"refuse": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"error":"\u001b[2J"}`)
	},
	"fetch-first": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"error":"fetch first"}`)
	},
	"used": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"error":"tag used"}`)
	},
	"other-item": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(goodItem())
	},
	"path": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		i := goodItem()
		i.Case = "../../../../../x"
		json.NewEncoder(w).Encode(i)
	},
	"cut": func(api http.Handler, w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	},
}

// change changes the members, and the door with them.
func (h *house) change(members func()) error {
	h.mu.Lock()
	members()
	h.mu.Unlock()
	if h.door == nil {
		return nil
	}
	return h.door.admit(h.inForce())
}

// epoch is "epoch": what waits comes into the log.
func (h *house) epoch(*testscript.TestScript, []string) error { return h.ledger.close(h.vault) }

func recipientsOf(ts *testscript.TestScript, dirs string) (to []seal.Recipient, err error) {
	for dir := range strings.SplitSeq(dirs, ",") {
		c, _, err := cardOf(ts.MkAbs(dir))
		if err != nil {
			return nil, err
		}
		r, err := seal.ParseRecipient(c.Recipient)
		if err != nil {
			return nil, err
		}
		to = append(to, r)
	}
	return to, nil
}

// report is "report DIR,DIR… DESK,DESK…[/SHARE] MESSAGE [NAME=FILE…]": a source
// sends a report to the desks, and these are its readers. The files MESSAGE and
// answers.json (if there is one) and each FILE are its parts; NAME goes through
// Go's unquoting.
func (h *house) report(ts *testscript.TestScript, args []string) error {
	to, err := recipientsOf(ts, args[0])
	if err != nil {
		return err
	}
	s := &source{}
	if s.identity, err = age.GenerateHybridIdentity(); err != nil {
		return err
	}
	rand.Read(s.key[:])
	desks, share, _ := strings.Cut(args[1], "/")
	s.report = manifest(h.origin, desks, s.identity.Recipient().String())
	s.report.Day = today()
	s.report.Desks = strings.Split(desks, ",")
	s.report.Share = cmp.Or(share, s.report.Share)
	sub := vault.Submission{Case: vault.CaseID(s.report.Case), Recipient: s.report.ReplyTo, Desks: s.report.Desks, Day: s.report.Day, Recipients: len(to)}
	rand.Read(sub.Mailbox[:])
	sub.Event, sub.Expire = translog.NewEvent(s.key, translog.Report, 0), translog.NewEvent(s.key, translog.Expire, 0)
	desk := [32]byte(s.report.DeskLogKey)
	sub.Tombstones = [2][32]byte{
		translog.NewEvent(s.key, translog.SourceDelete, 0).Tag(translog.SourceDelete),
		translog.NewEvent(desk, translog.DeskDelete, 0).Tag(translog.DeskDelete),
	}
	h.sources = append(h.sources, s)
	return h.store(ts, s, s.report, to, args[2], args[3:], func(d *vault.Draft) error { return d.Commit(context.Background(), sub) })
}

// followup is "followup N DIR,DIR… MESSAGE": the source of the Nth report sends
// more.
func (h *house) followup(ts *testscript.TestScript, args []string) error {
	s, err := h.source(args[0])
	if err != nil {
		return err
	}
	to, err := recipientsOf(ts, args[1])
	if err != nil {
		return err
	}
	m := s.report
	m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = "followup", "", nil, nil
	m.Share, m.Excluded = "ask", seal.Excluded{} // the server cannot know what the report says
	m.Sequence, m.Previous = uint64(s.sent), hex.EncodeToString(s.last[:])
	a := vault.Addition{Case: vault.CaseID(m.Case), Number: -1, Kind: translog.Followup, Desks: m.Desks, Day: today(), Recipients: len(to),
		Event: translog.NewEvent(s.key, translog.Followup, uint64(s.sent-1))}
	return h.store(ts, s, m, to, args[2], nil, func(d *vault.Draft) error {
		_, err := d.Append(context.Background(), a)
		return err
	})
}

func (h *house) source(n string) (*source, error) {
	var i int
	if _, err := fmt.Sscan(n, &i); err != nil || i < 1 || i > len(h.sources) {
		return nil, fmt.Errorf("no source %s", n)
	}
	return h.sources[i-1], nil
}

// store seals an item of a source and stores it.
func (h *house) store(ts *testscript.TestScript, s *source, m seal.Manifest, to []seal.Recipient, message string, files []string, commit func(*vault.Draft) error) error {
	draft, err := h.vault.Create(context.Background())
	if err != nil {
		return err
	}
	defer draft.Discard()
	var sealed bytes.Buffer
	w, err := seal.NewWriter(io.MultiWriter(draft, &sealed), to...)
	if err != nil {
		return err
	}
	if err := writeParts(ts, w, message, files); err != nil {
		return err
	}
	if err := w.Close(m); err != nil {
		return err
	}
	s.last = sha(sealed.Bytes())
	s.sent++
	return commit(draft)
}

// mailbox is "mailbox N": it prints what the source of the Nth report finds, with
// who wrote it: the first 8 characters of a fingerprint, or NOT verified.
func (h *house) mailbox(ts *testscript.TestScript, args []string) error {
	s, err := h.source(args[0])
	if err != nil {
		return err
	}
	c, err := h.vault.Case(vault.CaseID(s.report.Case))
	if errors.Is(err, vault.ErrNotFound) {
		fmt.Fprintln(ts.Stdout(), "nothing")
		return nil
	}
	if err != nil {
		return err
	}
	for _, i := range c.Items {
		line, err := h.shown(s, i)
		if err != nil {
			return err
		}
		fmt.Fprintln(ts.Stdout(), line)
	}
	return nil
}

func (h *house) shown(s *source, i vault.Item) (string, error) {
	if i.Kind != translog.Reply {
		return string(i.Kind), nil
	}
	f, err := h.vault.OpenItem(i.ID)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r, err := seal.Open(f, i.Size, seal.Expect{Origin: h.origin, Case: s.report.Case}, s.identity)
	if err != nil {
		return "", err
	}
	b, err := readFrom(r, "message.txt")
	if err != nil {
		return "", err
	}
	by := "NOT verified"
	if _, fingerprint, err := card.ParseLetter(r.Letter()); err == nil {
		_, err := r.VerifyLetter(h.inForce()[fingerprint].Card, card.Fingerprint(s.report.ReplyTo), s.report.ThreadKey)
		if err == nil {
			by = fmt.Sprintf("verified, sequence %d", r.Manifest.Sequence)
		}
	}
	return fmt.Sprintf("reply: %s (%s, %d files)", strings.TrimSpace(string(b)), by, len(r.Manifest.Files)-1), nil
}

func readFrom(r *seal.Report, entry string) ([]byte, error) {
	f, err := r.Open(entry)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// drop is "drop N KIND": the source of the Nth report deletes its first item of
// that kind alone.
func (h *house) drop(_ *testscript.TestScript, args []string) error {
	s, err := h.source(args[0])
	if err != nil {
		return err
	}
	c, err := h.vault.Case(vault.CaseID(s.report.Case))
	if err != nil {
		return err
	}
	n := slices.IndexFunc(c.Items, func(i vault.Item) bool { return string(i.Kind) == args[1] })
	return h.vault.DeleteItem(context.Background(), c.Items[n].ID, vault.Tombstone{Kind: translog.SourceDelete,
		Event: translog.NewEvent(s.key, translog.SourceDelete, 1)})
}

func writeParts(ts *testscript.TestScript, w *seal.Writer, message string, files []string) error {
	if err := w.WriteMessage([]byte(ts.ReadFile(message))); err != nil {
		return err
	}
	if answers, err := os.ReadFile(ts.MkAbs("answers.json")); err == nil {
		if err := w.WriteAnswers(answers); err != nil {
			return err
		}
	}
	for _, arg := range files {
		name, file, ok := strings.Cut(arg, "=")
		if !ok {
			return errors.New("want NAME=FILE")
		}
		name, err := unquote(name)
		if err != nil {
			return err
		}
		if err := w.WriteFile(name, "application/pdf", strings.NewReader(ts.ReadFile(file))); err != nil {
			return err
		}
	}
	return nil
}

// manifest is what the server writes about a first report to one desk.
func manifest(origin, desk, replyTo string) seal.Manifest {
	return seal.Manifest{
		Origin: origin, Case: string(vault.NewCaseID()), Thread: strings.Repeat("0", 32), Kind: "report",
		Day: "2026-11-21", Desks: []string{desk}, Excluded: seal.Excluded{Desks: []string{"sur"}, Organisations: []string{"dif"}},
		Share: "ngos", ReplyTo: replyTo, ThreadKey: bytes.Repeat([]byte{7}, 32), DeskLogKey: bytes.Repeat([]byte{9}, 32),
	}
}
