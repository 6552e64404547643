package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/onion/review"
	"resguardo/onion/tornet"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// TestMain builds stock age and lets the stories run this test binary as
// resguardo.
func TestMain(m *testing.M) { testscript.Main(withAge{m}, map[string]func(){"resguardo": main}) }

type withAge struct{ *testing.M }

func (m withAge) Run() int {
	dir, err := os.MkdirTemp("", "resguardo-age-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "age"), "filippo.io/age/cmd/age")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build age:", err)
		return 1
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	defer shared.Close()
	return m.M.Run()
}

// shared is the private Tor network of this test run.
var shared tornet.Shared

// TestStories tells what reviewers do, against the real vault and API.
func TestStories(t *testing.T) { testscript.Run(t, stories("testdata")) }

// TestTorStories tells it over a private Tor network.
func TestTorStories(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Tor network")
	}
	network := shared.Network(t)
	p := stories("testdata/tor")
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("TORNET", network.Include())
		return setup(e)
	}
	for name, c := range torCommands(network) {
		p.Cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(c(houseOf(ts), ts, args)) }
	}
	testscript.Run(t, p)
}

// storyCommand is something that others than the reviewer do in a story.
type storyCommand func(h *house, ts *testscript.TestScript, args []string) error

func stories(dir string) testscript.Params {
	p := testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			h := &house{dir: filepath.Join(e.WorkDir, ".vault"), members: map[string]review.Member{}}
			e.Values["house"] = h
			e.Defer(h.close)
			e.Setenv("LANG", "C")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mode": mode},
	}
	for name, c := range map[string]storyCommand{
		"vault": (*house).open, "member": (*house).member, "revoke": (*house).revoke, "report": (*house).report,
	} {
		p.Cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(c(houseOf(ts), ts, args)) }
	}
	return p
}

func houseOf(ts *testscript.TestScript) *house { return ts.Value("house").(*house) }

// house is the vault of a story with the reviewers' API in front of it.
type house struct {
	dir    string
	origin string
	vault  *vault.Vault
	server *httptest.Server // on loopback
	door   *door            // on Tor; nil unless published

	mu      sync.Mutex
	members map[string]review.Member
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

// start makes a vault and serves it on loopback.
func (h *house) start(origin string) error {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	h.origin = origin
	err := vault.Init(h.dir, vault.Genesis{Origin: h.origin, Epoch: 6 * time.Hour, Slots: 16, Time: 1, Memory: 8, Threads: 1})
	if err != nil {
		return err
	}
	if h.vault, err = vault.Open(h.dir, vault.Options{}); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	api := review.New(review.Config{Origin: h.origin, Hosts: []string{l.Addr().String()}}, h.vault, h.inForce)
	h.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: api}}
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

func cardOf(dir string) (card.Card, error) {
	text, err := os.ReadFile(filepath.Join(dir, "card.txt"))
	if err != nil {
		return card.Card{}, err
	}
	return card.Parse(text)
}

// member is "member DIR DESK…": the operator adds the card of DIR.
func (h *house) member(ts *testscript.TestScript, args []string) error {
	c, err := cardOf(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	return h.change(func() { h.members[c.Fingerprint()] = review.Member{Card: c, Desks: args[1:]} })
}

// revoke is "revoke DIR".
func (h *house) revoke(ts *testscript.TestScript, args []string) error {
	c, err := cardOf(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	return h.change(func() { delete(h.members, c.Fingerprint()) })
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

// report is "report DIR,DIR… DESK MESSAGE [NAME=FILE…]": a source sends a report
// to the desk, and these are its readers. The files MESSAGE and answers.json
// (if there is one) and each FILE are its parts; NAME goes through Go's
// unquoting.
func (h *house) report(ts *testscript.TestScript, args []string) error {
	var to []seal.Recipient
	for dir := range strings.SplitSeq(args[0], ",") {
		c, err := cardOf(ts.MkAbs(dir))
		if err != nil {
			return err
		}
		r, err := seal.ParseRecipient(c.Recipient)
		if err != nil {
			return err
		}
		to = append(to, r)
	}
	draft, err := h.vault.Create(context.Background())
	if err != nil {
		return err
	}
	defer draft.Discard()
	m := manifest(h.origin, args[1], to[0].String())
	w, err := seal.NewWriter(draft, to...)
	if err != nil {
		return err
	}
	if err := writeParts(ts, w, args[2], args[3:]); err != nil {
		return err
	}
	if err := w.Close(m); err != nil {
		return err
	}
	s := vault.Submission{Case: vault.CaseID(m.Case), Recipient: m.ReplyTo, Desks: m.Desks, Day: m.Day, Recipients: len(to)}
	var k [32]byte
	rand.Read(k[:])
	rand.Read(s.Mailbox[:])
	s.Event, s.Expire = translog.NewEvent(k, translog.Report, 0), translog.NewEvent(k, translog.Expire, 0)
	return draft.Commit(context.Background(), s)
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

// mode is "mode PERM FILE…".
func mode(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%o", info.Mode().Perm()); (got == args[0]) == neg {
			ts.Fatalf("%s has mode %s", name, got)
		}
	}
}

// call runs the program in this process.
func call(in io.Reader, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, in, &o, &e)
	return code, o.String(), e.String()
}

// unquote reads the escapes of a Go string, so that a story can name files as an
// attacker does.
func unquote(s string) (string, error) { return strconv.Unquote(`"` + s + `"`) }
