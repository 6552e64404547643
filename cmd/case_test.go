package cmd_test

// The whole life of a case over Tor: a source, two desks that have it one after
// the other, a desk that must not, and an auditor who counts every step.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"resguardo/onion/tornet"
	"resguardo/onion/tornet/source"
	"resguardo/vault/translog"
)

// patience is how long the story waits for what must happen soon: the end of an
// epoch or two, of epochLength each.
const (
	patience    = 5 * time.Minute
	epochLength = "5s"
)

// caseStory is what the steps hand on to each other.
type caseStory struct {
	*testing.T // of the step that runs now
	*house
	visitor *tornet.Client
	ana     *tornet.Client // tor of the reviewer ana, with the key to the reviewers' door
	people  string         // folder of the folders of all members

	codename, other string // of the case, and of another one that nobody touches
	id, mailbox     string // of the case, and the key of its row in vault.db
	photo, extra    []byte // what the source attaches
	events          map[translog.Kind]int
	traces          traces
}

// TestCaseStory is: report, acknowledge, reply, follow-up, reply, rewrap, close,
// delete. After each part the auditor's account agrees, and after the last one the
// disk holds nothing of it.
func TestCaseStory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the private Tor network")
	}
	t.Parallel() // it mostly waits
	s := &caseStory{T: t, people: t.TempDir(), events: map[translog.Kind]int{}}
	s.open(network.Network(t))
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"log at the beginning", s.audit},
		{"report", s.report},
		{"fetch", s.fetchReport},
		{"acknowledge", s.acknowledge},
		{"reply", s.reply},
		{"account of the first half", s.account},
		{"follow-up", s.followUp},
		{"second reply", s.replyAgain},
		{"rewrap", s.rewrap},
		{"close", s.close},
		{"account", s.account},
		{"delete", s.delete},
		{"gone", s.gone},
		{"account of the deletion", s.account},
		{"excluded desk", s.excluded},
		{"log", s.audit},
		{"disk", s.disk},
	} {
		if !t.Run(step.name, func(t *testing.T) { s.T, s.t = t, t; step.do() }) {
			t.FailNow() // the next steps build on it
		}
	}
}

// open makes a vault with three desks and an auditor, and puts it on the network.
func (s *caseStory) open(n *tornet.Network) {
	dir, err := os.MkdirTemp("", "vault") // t.TempDir is too long for a unix socket's path
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	s.house = &house{t: s.T, dir: filepath.Join(dir, "v"), tmp: s.TempDir(), log: &safeBuffer{}}
	run(s.T, "resguardod", "init", "-dir", s.dir, "-origin", "case.example", "-demo", "-epoch", epochLength)
	for _, m := range []struct{ name, desk, government string }{{"ana", "norte", "no"}, {"beto", "sur", "no"}, {"xul", "gobierno", "yes"}} {
		run(s.T, "resguardo", "keygen", "-dir", s.folder(m.name), "-name", m.name, "-no-passphrase")
		run(s.T, "resguardod", "desk", "add", "-dir", s.dir, "-id", m.desk, "-name-es", "Equipo "+m.desk, "-name-en", "Team "+m.desk, "-region", "N", "-government", m.government)
		run(s.T, "resguardod", "reviewer", "add", "-dir", s.dir, "-desk", m.desk, s.folder(m.name, "card.txt"))
	}
	run(s.T, "resguardo", "keygen", "-dir", s.folder("auditor"), "-name", "aura", "-role", "auditor", "-no-passphrase")
	run(s.T, "resguardod", "auditor", "add", "-dir", s.dir, s.folder("auditor", "card.txt"))
	s.startOnion(n)
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Minute)
	defer cancel()
	if s.visitor, err = n.Client(ctx); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { s.visitor.Close() })
	// Without her key the door is shut; fetch writes the key down for that tor.
	if _, errs, err := s.try("ana", "fetch", "-server", s.review, "-socks", s.visitor.Addr()); err == nil {
		s.Fatalf("the reviewers' door opens without a key:\n%s", errs)
	}
	keys, err := filepath.Glob(s.folder("ana", "onion-auth", "*.auth_private"))
	if err != nil || len(keys) != 1 {
		s.Fatalf("keys for that tor: %q, %v", keys, err)
	}
	if s.ana, err = n.Client(ctx, strings.TrimSpace(string(s.read(keys[0])))); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { s.ana.Close() })
}

// report sends the report, which a desk and all of government must not read, and
// one to another desk, which is there to stay.
func (s *caseStory) report() {
	s.photo, s.extra = make([]byte, 1<<20), make([]byte, 200<<10)
	rand.Read(s.photo)
	rand.Read(s.extra)
	a, err := s.pages("source", "norte").Send(s.Context(), source.Report{
		Message: "Vi a tres personas encerradas.",
		Exclude: []string{"government", "desk:gobierno"},
		Files:   []source.File{{Name: "foto.jpg", Body: bytes.NewReader(s.photo)}},
	})
	if err != nil || a.Codename == "" {
		s.Fatalf("send: %d, %v\n%s", a.Status, err, a.Page)
	}
	s.mailbox = s.onlyCase()
	b, err := s.pages("another", "sur").Send(s.Context(), source.Report{Message: "Otra cosa."})
	if err != nil || b.Codename == "" {
		s.Fatalf("send: %d, %v\n%s", b.Status, err, b.Page)
	}
	s.codename, s.other = a.Codename, b.Codename
	s.events[translog.Report] = 2
}

// fetchReport: ana has the report, byte for byte; the desk that must not has nothing.
func (s *caseStory) fetchReport() {
	s.as("ana", "fetch")
	s.id = s.listed("ana").Case
	s.fetchVerified("ana", "report")
	s.shows("ana", "Vi a tres personas encerradas.", "desk gobierno", "every desk with ties to government", "ask the source first")
	if got := s.exported("ana", "000-report", "files/01"); !bytes.Equal(got, s.photo) {
		s.Error("the photo is not what was sent")
	}
	s.nothingFor("xul")
	s.as("beto", "fetch")
	if l := s.listed("beto"); l.Case != "" {
		s.Errorf("beto has %+v", l)
	}
}

// acknowledge: the source sees that the report was read, and in time that it is in the log.
func (s *caseStory) acknowledge() {
	m := s.back()
	if len(m.Sent) != 1 || !strings.HasPrefix(m.Sent[0], "Reporte, ") || strings.Contains(m.Sent[0], "Leído") || len(m.Replies) != 0 {
		s.Errorf("before: %+v", m)
	}
	s.as("ana", "ack", "-accept-keys", s.id)
	s.events[translog.Ack]++
	s.must(m.Show(s.Context()))
	if len(m.Sent) != 1 || !strings.Contains(m.Sent[0], "Leído el ") {
		s.Errorf("after: %q", m.Sent)
	}
	s.soon("the mailbox says that the report is in the log", func() bool {
		s.must(m.Show(s.Context()))
		return strings.HasSuffix(m.Sent[0], "Ya está en el registro público.")
	})
	s.must(m.Close(s.Context()))
}

// reply: the source reads it, checked, and saves its file.
func (s *caseStory) reply() {
	file := filepath.Join(s.TempDir(), "guia.txt")
	s.must(os.WriteFile(file, []byte("No regreses ahí."), 0o600))
	s.as("ana", "reply", "-message", s.text("Lo leímos. ¿En qué ciudad?"), "-file", file, s.id)
	s.events[translog.Reply]++
	m := s.back()
	if len(m.Replies) != 1 {
		s.Fatalf("replies %+v\n%s", m.Replies, m.Page)
	}
	r := m.Replies[0]
	if r.State != "comprobada" || r.Head != "Respuesta del equipo Equipo norte" || r.Text != "Lo leímos. ¿En qué ciudad?" ||
		len(strings.Split(r.Words, " · ")) != 6 || len(r.Files) != 1 {
		s.Fatalf("reply %+v", r)
	}
	if b, err := m.Save(s.Context(), r.Number, r.Files[0]); err != nil || string(b) != "No regreses ahí." {
		s.Errorf("file of the reply: %q, %v", b, err)
	}
	s.must(m.Close(s.Context()))
}

// followUp: what is added comes to ana, verified.
func (s *caseStory) followUp() {
	m := s.back()
	s.must(m.Add(s.Context(), source.Report{Message: "En Tijuana. Sí, que lo lea el otro equipo.",
		Files: []source.File{{Name: "voz.ogg", Body: bytes.NewReader(s.extra)}}}))
	s.events[translog.Followup]++
	if len(m.Sent) != 2 || !strings.HasPrefix(m.Sent[1], "Más información, ") || !strings.Contains(m.Page, "Recibimos lo que agregaste.") {
		s.Errorf("after: %q", m.Sent)
	}
	s.must(m.Close(s.Context()))
	s.refused("has moved on, or is not complete here", "ana", "reply", "-message", s.text("Tarde."), s.id)
	s.fetchVerified("ana", "report", "ack", "reply", "followup")
	s.shows("ana", "| En Tijuana.", "Written by: you (verified)")
	if got := s.exported("ana", "003-followup", "files/01"); !bytes.Equal(got, s.extra) {
		s.Error("the recording is not what was sent")
	}
}

func (s *caseStory) replyAgain() {
	s.as("ana", "reply", "-message", s.text("Gracias."), s.id)
	s.events[translog.Reply]++
	m := s.back()
	if r := m.Replies; len(r) != 2 || r[0].Text != "Gracias." || r[0].State != "comprobada" || r[1].State != "comprobada" {
		s.Errorf("replies %+v", r)
	}
	s.must(m.Close(s.Context()))
}

// rewrap: the desk that the source excluded does not get the case, the other one
// does once the source has agreed.
func (s *caseStory) rewrap() {
	s.refused("the source ruled out desk gobierno", "ana", "rewrap", "-accept-keys", "-source-agrees", "-desk", "gobierno", s.id)
	s.refused("the source wants to be asked", "ana", "rewrap", "-accept-keys", "-desk", "sur", s.id)
	s.as("ana", "rewrap", "-accept-keys", "-source-agrees", "-desk", "sur", s.id)
	s.events[translog.Rewrap] += 4
	kinds := []string{"report", "ack", "reply", "followup", "reply", "rewrap", "rewrap", "rewrap", "rewrap"}
	s.fetchVerified("beto", kinds...)
	s.shows("beto", "from before you had the case", "Sealed again: item of kind report", "| Vi a tres personas encerradas.", "| En Tijuana.", "| Gracias.")
	s.reviewer = s.folder("beto")
	if got := s.unseal(s.folder("beto", "cases", s.id, "005-rewrap.age")); got["files/01"] != string(s.photo) {
		s.Error("the photo that was sealed again is not what was sent")
	}
	m := s.back()
	if !slices.Contains(m.Teams, "Tu reporte pasó al equipo Equipo sur.") || !slices.Contains(m.Teams, "Lo tiene ahora: Equipo norte, Equipo sur.") {
		s.Errorf("teams %q", m.Teams)
	}
	s.must(m.Close(s.Context()))
	s.nothingFor("xul")
}

func (s *caseStory) close() {
	s.as("ana", "close", "-accept-keys", s.id)
	s.events[translog.Close]++
	m := s.back()
	if !strings.Contains(m.Page, "El equipo cerró este reporte el ") {
		s.Errorf("page:\n%s", m.Page)
	}
	s.must(m.Close(s.Context()))
	if l := s.listed("ana"); !l.Closed {
		s.Errorf("ana's list: %+v", l)
	}
}

// accounted is the last line of account -json.
type accounted struct {
	Event    string
	Events   map[translog.Kind]int
	Findings map[translog.Fault]int
	Compared int `json:"items_compared"`
	Waiting  int `json:"items_waiting"`
}

// account: the auditor fetches and accounts until every event is counted. No look
// may find anything that is wrong.
func (s *caseStory) account() {
	s.soon(fmt.Sprintf("the account counts %v", s.events), func() bool {
		s.as("auditor", "fetch")
		out, errs, err := s.exec("resguardo-audit", s.openings(), append([]string{"account", "-openings", "-", "-items", s.folder("auditor"), "-json"}, s.auditFlags()...)...)
		var last accounted
		for line := range strings.Lines(out) {
			s.must(json.Unmarshal([]byte(line), &last))
		}
		exit, _ := errors.AsType[*exec.ExitError](err)
		switch {
		case exit != nil && exit.ExitCode() == 1 && last.Findings["openings-missing"] > 0:
			return false // the log has grown by more than two epochs since the fetch
		case exit != nil || last.Event != "account":
			s.Fatalf("account: %v\n%s%s", err, out, errs)
		}
		return maps.Equal(last.Events, s.events) && last.Waiting == 0
	})
}

// openings is what stock age makes of every epoch file of the auditor, in order.
func (s *caseStory) openings() io.Reader {
	s.Helper()
	files, err := filepath.Glob(s.folder("auditor", "epochs", "*.age"))
	s.must(err)
	var all bytes.Buffer
	for _, f := range files {
		out, errs, err := s.exec("age", nil, "-d", "-i", s.folder("auditor", "identity.txt"), f)
		if err != nil || len(out)%translog.RecordSize != 0 {
			s.Fatalf("age -d %s: %d bytes, %v\n%s", f, len(out), err, errs)
		}
		all.WriteString(out)
	}
	return &all
}

func (s *caseStory) auditFlags() []string {
	return []string{"-url", s.house.source + "/log/", "-socks", s.visitor.Addr(), "-policy", filepath.Join(s.dir, "policy")}
}

// delete needs two reviewers of different desks that have the case.
func (s *caseStory) delete() {
	s.remember()
	s.fetchVerified("ana", s.listed("ana").Kinds...)
	if out := s.as("ana", "delete", "-yes", s.id); !strings.Contains(out, "your signature is there") || strings.Count(out, "to delete: item ") != 10 {
		s.Errorf("ana's signature:\n%s", out)
	}
	s.must(s.back().Close(s.Context())) // one signature deletes nothing
	s.as("beto", "fetch")
	if l := s.listed("beto"); l.Pending == "" {
		s.Errorf("beto's list: %+v", l)
	}
	s.remember()
	if code := s.item(); code != http.StatusOK {
		s.Errorf("the item before: %d", code)
	}
	if out := s.as("beto", "delete", "-yes", s.id); !strings.Contains(out, "is deleted from the vault") {
		s.Errorf("beto's signature:\n%s", out)
	}
	s.events[translog.DeskDelete]++
}

// gone: nobody gets anything of the case any more; the other case is whole.
func (s *caseStory) gone() {
	_, err := s.pages("gone", "").SignIn(s.Context(), s.codename)
	if refused, ok := errors.AsType[*source.Refused](err); !ok || refused.Status != http.StatusUnprocessableEntity ||
		!strings.HasPrefix(refused.Reason, "No hay un buzón con esas palabras.") {
		s.Errorf("the mailbox: %v", err)
	}
	if code := s.item(); code != http.StatusNotFound {
		s.Errorf("the item: %d, want 404", code)
	}
	s.refused("the vault does not list case "+s.id+" any more", "ana", "ack", s.id)
	m, err := s.pages("other", "").SignIn(s.Context(), s.other)
	s.must(err)
	if len(m.Sent) != 1 {
		s.Errorf("the other case: %q", m.Sent)
	}
	s.must(m.Close(s.Context()))
}

func (s *caseStory) excluded() {
	s.nothingFor("xul")
	if out := s.as("xul", "list", "-json"); out != "" {
		s.Errorf("xul's list:\n%s", out)
	}
}

// audit: who needs no secret finds nothing wrong either. follow holds the log
// against what it was when the story began.
func (s *caseStory) audit() {
	run(s.T, "resguardo-audit", append([]string{"verify"}, s.auditFlags()...)...)
	run(s.T, "resguardo-audit", append([]string{"follow", "-state", s.folder("follow")}, s.auditFlags()...)...)
}
