package cmd_test

// What the people of the story of a case do with their programs.

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
	"resguardo/onion/tornet/source"
)

// folder is the folder of a member, or a file in it.
func (s *caseStory) folder(member string, name ...string) string {
	return filepath.Join(append([]string{s.people, member}, name...)...)
}

func (s *caseStory) read(path string) []byte {
	s.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// try runs resguardo for a member: ana through a tor that runs, the others through
// one that the program starts.
func (s *caseStory) try(member, command string, args ...string) (stdout, stderr string, err error) {
	s.Helper()
	all := []string{command, "-dir", s.folder(member)}
	switch command {
	case "list", "open", "export": // talk to nobody
	default:
		all = append(all, "-server", s.review)
		if s.ana != nil && member == "ana" {
			all = append(all, "-socks", s.ana.Addr())
		} else if member != "ana" {
			all = append(all, "-tor-include", network.Network(s.T).Include())
		}
	}
	return s.exec("resguardo", nil, append(all, args...)...)
}

// exec runs a program. The error is an *exec.ExitError if it fails.
func (s *caseStory) exec(program string, stdin io.Reader, args ...string) (stdout, stderr string, err error) {
	s.Helper()
	var out, errs bytes.Buffer
	c := exec.CommandContext(s.Context(), filepath.Join(programs, program), args...)
	c.Env = append(os.Environ(), "LANG=C", "LC_ALL=")
	c.Stdin, c.Stdout, c.Stderr = stdin, &out, &errs
	err = c.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		s.Fatal(err)
	}
	return out.String(), errs.String(), err
}

// as is try that must succeed.
func (s *caseStory) as(member, command string, args ...string) string {
	s.Helper()
	out, errs, err := s.try(member, command, args...)
	if err != nil {
		s.Fatalf("%s %s %q: %v\n%s%s", member, command, args, err, out, errs)
	}
	return out
}

// refused is try that must fail with a sentence.
func (s *caseStory) refused(sentence, member, command string, args ...string) {
	s.Helper()
	out, errs, err := s.try(member, command, args...)
	if err == nil || !strings.Contains(errs, sentence) {
		s.Fatalf("%s %s %q: %v, want %q\n%s%s", member, command, args, err, sentence, out, errs)
	}
}

// soon calls ready until it is true.
func (s *caseStory) soon(what string, ready func() bool) {
	s.Helper()
	end := time.After(patience)
	for !ready() {
		select {
		case <-end:
			s.Fatalf("not within %s: %s", patience, what)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// text writes what a reviewer says into a file.
func (s *caseStory) text(text string) (path string) {
	s.Helper()
	path = filepath.Join(s.TempDir(), "text")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// listedCase is what the story needs of a line of list -json.
type listedCase struct {
	Case, Log, Pending   string
	Kinds                []string
	Here, Closed, Opened bool
}

// listed is the case in a member's list.
func (s *caseStory) listed(member string) (found listedCase) {
	s.Helper()
	for d := json.NewDecoder(strings.NewReader(s.as(member, "list", "-json"))); ; {
		var l listedCase
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			s.Fatal(err)
		}
		if l.Case == s.id || s.id == "" {
			found = l
		}
	}
}

// fetchVerified fetches until all of the case is there and the log proves it.
// Before that, each item waits for the log or is in it.
func (s *caseStory) fetchVerified(member string, kinds ...string) {
	s.Helper()
	s.soon(member+" has the case, verified", func() bool {
		s.as(member, "fetch")
		l := s.listed(member)
		if !slices.Equal(l.Kinds, kinds) || !l.Here || l.Log != "waiting" && l.Log != "verified" {
			s.Fatalf("%s has %+v, want %q", member, l, kinds)
		}
		return l.Log == "verified"
	})
}

// shows checks that open shows all sentences, and nothing that is not verified.
func (s *caseStory) shows(member string, sentences ...string) {
	s.Helper()
	out := s.as(member, "open", s.id)
	for _, sentence := range sentences {
		if !strings.Contains(out, sentence) {
			s.Errorf("%s does not see %q:\n%s", member, sentence, out)
		}
	}
	if strings.Contains(out, "NOT verified") || strings.Contains(out, "ALARM") {
		s.Errorf("%s sees:\n%s", member, out)
	}
}

func (s *caseStory) pages(circuit, desk string) source.Source {
	return source.Source{Client: s.visitor.HTTP(circuit), URL: s.house.source, Desk: desk}
}

// back signs in with the codename, on a circuit of its own.
func (s *caseStory) back() *source.Mailbox {
	s.Helper()
	m, err := s.pages("back "+s.Name(), "").SignIn(s.Context(), s.codename)
	if err != nil {
		s.Fatal(err)
	}
	return m
}

func (s *caseStory) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// exported is an entry of an item that a member exports.
func (s *caseStory) exported(member, item, entry string) []byte {
	s.Helper()
	to := filepath.Join(s.TempDir(), "export")
	s.as(member, "export", "-to", to, s.id)
	return s.read(filepath.Join(to, item, entry))
}

// nothingFor: a fetch of this member brings nothing.
func (s *caseStory) nothingFor(member string) {
	s.Helper()
	out, errs, err := s.try(member, "fetch")
	if err != nil || out != "" || !strings.Contains(errs, "items listed: 0") {
		s.Errorf("%s fetches: %v\n%s%s", member, err, out, errs)
	}
	if files, err := filepath.Glob(s.folder(member, "cases", "*")); err != nil || len(files) > 0 {
		s.Errorf("%s has %q, %v", member, files, err)
	}
}

// item asks the vault for the report as ana's program does, and returns the status.
func (s *caseStory) item() int {
	s.Helper()
	var c card.Challenge
	s.call("POST", card.ChallengePath, struct{}{}, "", &c)
	me, err := card.Parse(s.read(s.folder("ana", "card.txt")))
	s.must(err)
	statement, err := card.Login{Origin: c.Origin, Address: strings.TrimPrefix(s.review, "http://"), ClientNonce: card.NewNonce(), ServerNonce: c.Nonce}.Sign(s.signer("ana"))
	s.must(err)
	var session card.Session
	s.call("POST", card.LoginPath, card.LoginRequest{Fingerprint: me.Fingerprint(), Statement: string(statement)}, "", &session)
	return s.call("GET", card.ItemsPath+"/"+s.traces.items[0], nil, session.Session, nil)
}

// signer is the signing key of a member.
func (s *caseStory) signer(member string) note.Signer {
	s.Helper()
	for line := range strings.Lines(string(s.read(s.folder(member, "keys.txt")))) {
		if i := strings.Index(line, "PRIVATE+KEY+"); i >= 0 {
			signer, err := note.NewSigner(strings.TrimSpace(line[i:]))
			s.must(err)
			return signer
		}
	}
	s.Fatalf("%s has no signing key", member)
	return nil
}

// call asks the reviewers' API through ana's tor. With an answer to fill in, it must succeed.
func (s *caseStory) call(method, path string, ask any, session string, answer any) int {
	s.Helper()
	body, err := json.Marshal(ask)
	s.must(err)
	req, err := http.NewRequestWithContext(s.Context(), method, s.review+path, bytes.NewReader(body))
	s.must(err)
	if ask == nil {
		req.Body, req.ContentLength = nil, 0
	}
	req.Header.Set("Content-Type", "application/json")
	if session != "" {
		req.Header.Set("Authorization", "Bearer "+session)
	}
	resp, err := s.ana.HTTP("api").Do(req)
	s.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	s.must(err)
	if answer != nil {
		if err := json.Unmarshal(b, answer); err != nil || resp.StatusCode != http.StatusOK {
			s.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, b)
		}
	}
	return resp.StatusCode
}
