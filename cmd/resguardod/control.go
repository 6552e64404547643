package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/governance"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion"
	"resguardo/onion/logtiles"
	"resguardo/vault"
)

// The running server answers commands on control.sock, HTTP over a unix socket
// of mode 0600:
//
//	GET  /v1/status                     -> status
//	POST /v1/change  statedir.Change    -> answer with Outcome, Requests, From
//	POST /v1/sign    signing            -> answer with Requests that still wait
//	POST /v1/check                      -> answer with Problems
//	POST /v1/rehash  rehashRequest      -> statedir.Rehash; GET tells how far it is
//	POST /v1/backup  backupRequest      -> tar, see internal/backup
//	GET  /v1/log                        -> logState
//	GET  /log/…                         -> a file of the published log (C2SP tlog-tiles)
//
// Accept-Language says in which language errors come back.

// status is what the running server says about itself.
type status struct {
	Version       string `json:"version"`
	PID           int    `json:"pid"`
	Preview       string `json:"preview,omitempty"`
	PreviewReview string `json:"preview_review,omitempty"`
	Full          bool   `json:"full"`    // no room for more reports
	Dropped       int64  `json:"dropped"` // lines of http.Server's log that were counted and dropped

	Tor   string        `json:"tor"`             // managed, system or off
	Onion *onion.Health `json:"onion,omitempty"` // of a managed tor
}

// answer is the body of every other answer. Errors, if any, are all there is.
type answer struct {
	Errors   []say.Line       `json:"errors,omitempty"`
	Outcome  statedir.Outcome `json:"outcome"`
	Todo     []string         `json:"todo,omitempty"` // what is left to the operator
	Problems []vault.Problem  `json:"problems,omitempty"`
	Requests []string         `json:"requests,omitempty"` // texts of notes that wait for a signature
	From     epochTime        `json:"from,omitzero"`      // from when an addition works that is signed at once
}

// signing brings notes that somebody has signed.
type signing struct {
	Notes []string `json:"notes"`
}

// Bytes of a request: of any, and of one that brings notes (a vault may have
// hundreds, of some hundred bytes up to 64 KiB each).
const (
	maxRequest = 64 << 10
	maxSigning = 16 << 20
)

// changeLimit is how long a change may take with a tor that is slow.
const changeLimit = time.Minute

// controlHandler answers commands while the server runs.
func controlHandler(l *live, v *vault.Vault, again *rehasher, now func() status) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, now())
	})
	mux.HandleFunc("POST /v1/change", l.serveChange)
	mux.HandleFunc("POST /v1/sign", l.serveSign)
	mux.HandleFunc("POST /v1/check", func(w http.ResponseWriter, r *http.Request) {
		problems, err := v.Check(r.Context())
		if err != nil {
			refuse(w, r, vaultError(err))
			return
		}
		reply(w, http.StatusOK, answer{Problems: problems})
	})
	mux.HandleFunc("GET /v1/log", func(w http.ResponseWriter, r *http.Request) {
		state, err := l.logState()
		if err != nil {
			refuse(w, r, err)
			return
		}
		reply(w, http.StatusOK, state)
	})
	mux.HandleFunc("GET /v1/rehash", again.serveRehash)
	mux.HandleFunc("POST /v1/rehash", again.serveRehash)
	mux.HandleFunc("POST /v1/backup", func(w http.ResponseWriter, r *http.Request) { serveBackup(w, r, l.dir, v) })
	mux.HandleFunc("GET "+logtiles.Prefix, func(w http.ResponseWriter, r *http.Request) {
		file, err := logtiles.Read(v, r.URL)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Write(file.Body)
	})
	return mux
}

// serveChange changes desks or cards.
func (l *live) serveChange(w http.ResponseWriter, r *http.Request) {
	var c statedir.Change
	if !decode(w, r, maxRequest, &c) {
		return
	}
	// A command that goes away must not leave tor half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), changeLimit)
	defer cancel()
	done, err := l.apply(ctx, c)
	if err != nil {
		refuse(w, r, err)
		return
	}
	a := answer{Outcome: done.Outcome, Requests: texts(done.requests), From: l.at(done.from)}
	for _, text := range done.todo {
		a.Todo = append(a.Todo, words(r).Text(text))
	}
	reply(w, http.StatusOK, a)
}

// serveSign takes up signed notes.
func (l *live) serveSign(w http.ResponseWriter, r *http.Request) {
	var s signing
	if !decode(w, r, maxSigning, &s) {
		return
	}
	var notes [][]byte
	for _, text := range s.Notes {
		notes = append(notes, []byte(text))
	}
	waiting, err := l.signed(notes)
	if err != nil {
		refuse(w, r, err)
		return
	}
	reply(w, http.StatusOK, answer{Requests: texts(waiting)})
}

func texts(requests []governance.Request) (all []string) {
	for _, r := range requests {
		all = append(all, string(r.Note))
	}
	return all
}

// decode reads the body of a command's request, or refuses it.
func decode(w http.ResponseWriter, r *http.Request, limit int64, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, r, say.Fail(say.T("the running server does not understand this command: %s", err), say.T("use the same version of resguardod for both")))
		return false
	}
	return true
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body) // the command is gone if this fails
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	reply(w, http.StatusConflict, answer{Errors: words(r).Lines(err)})
}

// words puts texts into the language of who asked.
func words(r *http.Request) *say.Printer {
	return say.New("resguardod", r.Header.Get("Accept-Language"), catalogue(), io.Discard, io.Discard)
}

// listenControl makes control.sock. The caller holds the lock of the directory,
// so a socket that is there was left by a server that was killed.
func listenControl(d statedir.Dir) (net.Listener, error) {
	path := d.Path(statedir.SocketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, say.Fail(say.T("cannot replace %s: %s", path, say.Bare(err)), say.T("remove it by hand"))
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, say.Fail(say.T("cannot make %s: %s", path, say.Bare(err)), say.Text{})
	}
	// The directory has mode 0700 and the umask is 0077: there is no moment at
	// which somebody else can connect.
	return l, os.Chmod(path, 0o600)
}

// errNotRunning: nothing answers on the control socket.
var errNotRunning = errors.New("no server is running")

// ask sends a command to the running server.
func ask(ctx context.Context, p *say.Printer, d statedir.Dir, method, path string, body, out any) error {
	resp, err := send(ctx, p, d, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decodeAnswer(resp, out)
}

// send is ask for an answer of any kind.
func send(ctx context.Context, p *say.Printer, d statedir.Dir, method, path string, body any) (*http.Response, error) {
	conn, err := net.DialTimeout("unix", d.Path(statedir.SocketFile), 2*time.Second)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, say.Fail(say.T("no permission to talk to the running server"), say.T("run the command as the owner of the directory"))
	case err != nil:
		return nil, say.Fail(say.T("cannot talk to the running server: %s", say.Bare(err)), say.Text{})
	}
	content, err := json.Marshal(body)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://control"+path, bytes.NewReader(content))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	r.Header.Set("Accept-Language", p.Language)
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, say.Fail(say.T("the running server did not answer: %s", say.Bare(err)), say.T("look at the server's own messages, then repeat the command: it can be repeated safely"))
	}
	return resp, nil
}

func decodeAnswer(resp *http.Response, out any) error {
	mixed := say.T("the running server gave an answer that this version does not understand")
	hint := say.T("use the same version of resguardod for both")
	if resp.StatusCode == http.StatusConflict {
		var a answer
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || len(a.Errors) == 0 {
			return say.Fail(mixed, hint)
		}
		return say.Told(a.Errors)
	}
	if resp.StatusCode != http.StatusOK {
		return say.Fail(mixed, hint)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return say.Fail(mixed, hint)
	}
	return nil
}

// throughServer calls running if a server answers, else alone under the lock of
// the directory. A server that is just starting holds the lock before it
// answers, so a busy directory is asked once more.
func throughServer(d statedir.Dir, running, alone func() error) error {
	for range 2 {
		if err := running(); !errors.Is(err, errNotRunning) {
			return err
		}
		unlock, err := d.Lock(lockWait)
		if errors.Is(err, statedir.ErrBusy) {
			continue
		}
		if err != nil {
			return err
		}
		defer unlock()
		return alone()
	}
	return busy(d)
}

// lockWait is how long a command waits for another one.
const lockWait = 5 * time.Second

func busy(d statedir.Dir) error {
	return &say.Error{Path: d.Path(), What: say.T("another resguardod is at work here"), Err: statedir.ErrBusy,
		Hint: say.T("wait until it has finished, then repeat the command")}
}
