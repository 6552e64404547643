package cmd_test

// A source's whole way in a stock Firefox without JavaScript, over Tor.

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"resguardo/crypto/seal"
	"resguardo/onion/tornet"
)

// Selectors of the pages.
const (
	forward = "main .buttons > *"         // the way on
	send    = "main form[enctype] button" // of a report or of more information
	reason  = "#reason"                   // why it was refused
)

// visit is a source's way, and what its steps hand on to each other.
type visit struct {
	*testing.T // of the step that runs now
	*house
	all     *testing.T // of all steps
	f       *firefox
	line    *line // between Firefox and the SOCKS port
	tor     *tornet.Client
	outside *outside
	files   string // folder

	codename    string
	photo, more []byte // what the source attaches
}

// TestFirefox is: choose, refusals, a restart, a report with a file, its codename,
// sign in, an answer, more information, foreign forms, leave, delete, and a file that
// is too large. Every page that came by a form is asked for again.
func TestFirefox(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the private Tor network")
	}
	t.Parallel() // it mostly waits
	v := &visit{T: t, all: t}
	v.begin(network.Network(t))
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"choose", v.choose},
		{"refusals", v.refusals},
		{"restart", v.restart},
		{"send", v.send},
		{"codename", v.codenamePage},
		{"one report", v.oneReport},
		{"empty mailbox", v.emptyMailbox},
		{"answer", v.answer},
		{"add", v.add},
		{"honest origin", v.honestOrigin},
		{"foreign origin", v.foreignOrigin},
		{"leave", v.leave},
		{"delete", v.deletion},
		{"large file", v.largeFile},
	} {
		began := time.Now()
		if !t.Run(step.name, func(t *testing.T) { v.T, v.t, v.f.t = t, t, t; step.do() }) {
			t.FailNow() // the next steps build on it
		}
		t.Logf("%s: %.1f s", step.name, time.Since(began).Seconds())
	}
}

// begin makes a vault with four desks, puts it on the network, and starts a Firefox
// that comes through Tor.
func (v *visit) begin(n *tornet.Network) {
	dir, err := os.MkdirTemp("", "vault") // t.TempDir is too long for a unix socket's path
	v.must(err)
	v.Cleanup(func() { os.RemoveAll(dir) })
	v.house = newHouse(v.T, filepath.Join(dir, "v"))
	for _, d := range []struct{ desk, region, government string }{{"sur", "S", "no"}, {"centro", "C", "no"}, {"gobierno", "B", "yes"}} {
		member := v.TempDir() + "/" + d.desk
		run(v.T, "resguardo", "keygen", "-dir", member, "-name", d.desk, "-no-passphrase")
		run(v.T, "resguardod", "desk", "add", "-dir", v.dir, "-id", d.desk, "-name-es", "Equipo "+d.desk, "-name-en", "Team "+d.desk, "-region", d.region, "-government", d.government)
		run(v.T, "resguardod", "reviewer", "add", "-dir", v.dir, "-desk", d.desk, filepath.Join(member, "card.txt"))
	}
	v.Cleanup(func() {
		if v.all.Failed() {
			v.all.Logf("the server said:\n%s", v.log)
		}
	})
	v.outside, v.files = newOutside(v.T), v.TempDir()
	v.configure(`report = "4 GiB"`, `report = "150 MiB"`)
	v.configure(`files = 20`, `files = 2`)
	v.configure(`leave_to = "https://www.wikipedia.org/"`, `leave_to = "`+v.outside.URL+`"`)
	v.review = fmt.Sprintf("http://127.0.0.1:%d", freePort(v.T))
	v.up()
	ctx, cancel := context.WithTimeout(v.Context(), 5*time.Minute)
	defer cancel()
	v.tor, err = n.Client(ctx)
	v.must(err)
	v.Cleanup(func() { v.tor.Close() })
	v.line = newLine(v.T, v.tor.Addr())
	v.f = newFirefox(v.T, v.line.Addr())
}

// up starts the server. The reviewer comes by the port on this machine; TestCaseStory
// has reviewers that come over Tor.
func (v *visit) up() {
	v.Helper()
	v.source = v.serve("onion", "-tor-include", network.Network(v.T).Include(), "-preview-review", strings.TrimPrefix(v.review, "http://")).Source
}

func (v *visit) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

// shows checks that an element has the text.
func (v *visit) shows(selector, text string) {
	v.Helper()
	if got := v.f.text(selector); !strings.Contains(got, text) {
		v.Errorf("%s is %q, want %q in it", selector, got, text)
	}
}

// holds checks that a field holds exactly the text.
func (v *visit) holds(selector, text string) {
	v.Helper()
	if got := v.f.property(selector, "value"); got != text {
		v.Errorf("%s holds %d characters, %.60q; want %d, %.60q", selector, len(got), got, len(text), text)
	}
}

// unfold opens the details that hold an element.
func (v *visit) unfold(selector string) {
	v.Helper()
	if details := "details:has(" + selector + ")"; v.f.property(details, "open") == "false" {
		v.f.click(details + " > summary")
	}
}

// file writes a file, which stays: Firefox reads it again when it sends a form again.
func (v *visit) file(name string, content []byte) (path string) {
	v.Helper()
	path = filepath.Join(v.files, name)
	v.must(os.WriteFile(path, content, 0o600))
	return path
}

// choose walks from the first page to the form. The desk that is proposed is outside
// the state named, not the one ruled out, and not the government's.
func (v *visit) choose() {
	f := v.f
	f.open(v.source + "/es/")
	f.follow(forward)
	v.shows("h1", "Cómo cuidarte")
	f.follow(forward)
	v.shows("h1", "¿Quién leerá tu reporte?")
	f.click("input[value=CHIS]")
	f.click("input[value=government]")
	v.unfold("[name=team-centro]")
	f.click("[name=team-centro] option[value=no]")
	f.follow(forward)
	v.shows("#desks", "Equipo norte")
	v.shows("#desks", "Equipo centro")
	f.refresh() // sends the choice again
	v.shows("h1", "Tu reporte")
}

const (
	story = "Vi a tres personas encerradas. ¿Qué hago? <b>«ñandú»</b>\n\nSegunda línea."
	where = "En la central, detrás del mercado."
)

// typed types a report with answers.
func (v *visit) typed() {
	v.Helper()
	v.f.fill("#message", story)
	v.unfold("[name=a-where]")
	v.f.fill("[name=a-where]", where)
	v.unfold("[name=a-kind][value=farm]")
	v.f.click("[name=a-kind][value=farm]")
}

// kept checks that all of it is there, and who must not read it.
func (v *visit) kept(message string) {
	v.Helper()
	v.holds("#message", message)
	v.holds("[name=a-where]", where)
	if !script[bool](v.f, `return document.querySelector("[name=a-kind][value=farm]").checked`) {
		v.Error("the ticked answer is gone")
	}
	if got := script[[]string](v.f, `return [...document.querySelectorAll("[name=desk], [name=exclude]")].map(e => e.value)`); !slices.Equal(got, []string{"norte", "desk:centro", "government"}) {
		v.Errorf("the choice is %q", got)
	}
}

// refusals: after each one the form holds what was typed.
func (v *visit) refusals() {
	f := v.f
	v.typed()
	put := func(text string) { script[any](f, `document.querySelector("#message").value = arguments[0]`, text) }
	long := strings.Repeat("Nadie hace nada. ", 4_000)
	photos := []string{v.file("1.jpg", []byte("1")), v.file("2.jpg", []byte("2")), v.file("3.jpg", []byte("3"))}
	for _, test := range []struct {
		reason  string
		message string
		files   []string
	}{
		{"Cuéntanos qué pasó.", " ", nil},
		{"El texto es muy largo", long, nil},
		{"Son demasiados archivos.", story, photos},
	} {
		put(test.message)
		if test.files != nil {
			f.fill("#file", strings.Join(test.files, "\n"))
		}
		f.follow(send)
		v.shows(reason, test.reason)
		v.kept(test.message)
	}
	f.refresh() // sends the last one again
	v.shows(reason, "Son demasiados archivos.")
	v.kept(story)
}

// restart: the server is killed while the form is open. What was typed is refused
// as expired, stands there, and is good.
func (v *visit) restart() {
	v.kill()
	v.t = v.all // the server outlives this step
	v.up()
	v.f.follow(send)
	v.shows(reason, "La página tardó o se reinició.")
	v.kept(story)
}

// send sends the report with a photo, by a double click.
func (v *visit) send() {
	f := v.f
	v.photo = make([]byte, 1<<20)
	rand.Read(v.photo)
	f.fill("#file", v.file("foto \"1\" <i>.jpg", v.photo))
	before := v.line.countPosts("/es/report")
	f.over(send)
	f.press(2)
	f.await("h1", "Recibimos tu reporte")
	v.Logf("the double click sent %d requests", v.line.countPosts("/es/report")-before)
	v.codename = f.text("#codename")
	if len(strings.Fields(v.codename)) != 8 {
		v.Fatalf("codename %q", v.codename)
	}
}

func (v *visit) codenamePage() {
	f := v.f
	same := func() {
		v.Helper()
		if got := f.text("#codename"); got != v.codename {
			v.Errorf("codename %q, before %q", got, v.codename)
		}
	}
	f.refresh()
	same()
	v.shows("main", "Este reporte ya estaba.")
	f.fill("#words", "no es esta")
	f.follow("button[value=check]")
	v.shows("#result", "No coincide.")
	same()
	f.fill("#words", strings.ToUpper(v.codename))
	f.follow("button[value=check]")
	v.shows("#result", "Coincide.")
	f.refresh()
	v.shows("#result", "Coincide.")
	same()
	f.follow("button[value=finish]")
	v.shows("h1", "Listo")
	f.refresh()
	v.shows("h1", "Listo")
	for f.back(); !strings.HasSuffix(f.url(), "/report"); f.back() {
		v.shows("h1", "Listo")
	}
	v.shows("h1", "Ya recibimos este reporte")
}

// oneReport: the reviewer has one report, whole.
func (v *visit) oneReport() {
	files := v.fetch()
	if len(files) != 1 {
		v.Fatalf("fetched %q, want one report", files)
	}
	shown := run(v.T, "resguardo", "open", "-dir", v.reviewer, "1")
	for _, want := range []string{"Vi a tres personas encerradas.", where, "desk centro", "every desk with ties to government"} {
		if !strings.Contains(shown, want) {
			v.Errorf("open does not show %q:\n%s", want, shown)
		}
	}
	plain := filepath.Join(v.TempDir(), "report.zip")
	run(v.T, "age", "-d", "-i", filepath.Join(v.reviewer, "identity.txt"), "-o", plain, files[0])
	if out, err := exec.Command("unzip", "-t", plain).CombinedOutput(); err != nil {
		v.Errorf("unzip -t: %v\n%s", err, out)
	}
	got := v.unseal(files[0])
	answers, err := seal.ParseAnswers([]byte(got["answers.json"]))
	if want := (seal.Answers{Format: seal.AnswersFormat, Language: "es", Answers: []seal.Answer{
		{ID: "states", Question: seal.Label{ES: "¿En qué estados pasó?", EN: "In which states did it happen?"},
			Choices: []seal.Chosen{{ID: "CHIS", Label: seal.Label{ES: "Chiapas", EN: "Chiapas"}}}},
		{ID: "kind", Question: seal.Label{ES: "¿Qué tipo de situación es?", EN: "What kind of situation is it?"},
			Choices: []seal.Chosen{{ID: "farm", Label: seal.Label{ES: "campo o cosecha", EN: "farm work"}}}},
		{ID: "where", Question: seal.Label{ES: "¿Dónde?", EN: "Where?"}, Texts: []string{where}},
	}}); err != nil || !reflect.DeepEqual(answers, want) {
		v.Errorf("answers %s, %v, want %+v", got["answers.json"], err, want)
	}
	if got["message.txt"] != story || got["files/01"] != string(v.photo) {
		v.Errorf("the report is not what was sent: %q, and a file of %d bytes", got["message.txt"], len(got["files/01"]))
	}
}

// signIn opens the mailbox.
func (v *visit) signIn() {
	v.Helper()
	v.f.open(v.source + "/es/mailbox")
	v.f.fill("#codename", v.codename)
	v.f.follow(forward)
}

// again asks for the page again, which closes the mailbox.
func (v *visit) again() {
	v.Helper()
	v.f.refresh()
	v.shows("main", "Por seguridad cerramos tu buzón.")
	v.holds("#codename", "")
}

func (v *visit) emptyMailbox() {
	f := v.f
	f.open(v.source + "/es/mailbox")
	f.fill("#codename", "qqqq zzzz")
	f.follow(forward)
	v.shows(reason, "qqqq")
	v.holds("#codename", "qqqq zzzz")
	v.signIn()
	v.shows("main", "Aún no hay respuesta.")
	v.again()
	v.signIn()
	f.follow("button[value=close]")
	v.shows("h1", "Listo")
	f.back()
	v.shows("main", "Por seguridad cerramos tu buzón.")
}

// as runs a command of the reviewer.
func (v *visit) as(command string, args ...string) {
	v.Helper()
	cases, err := filepath.Glob(filepath.Join(v.reviewer, "cases", "*"))
	if err != nil || len(cases) != 1 {
		v.Fatalf("cases %q, %v", cases, err)
	}
	run(v.T, "resguardo", slices.Concat([]string{command, "-dir", v.reviewer, "-server", v.review}, args, []string{filepath.Base(cases[0])})...)
}

// answer: the reviewer acknowledges and replies; the source sees who wrote it, and
// saves the file.
func (v *visit) answer() {
	v.as("ack", "-accept-keys")
	v.as("reply", "-message", v.file("text", []byte("Lo leímos. ¿En qué ciudad?")), "-file", v.file("guia.txt", []byte("No regreses ahí.")))
	f := v.f
	f.open(v.source + "/es/keys")
	words := script[string](f, `return [...document.querySelectorAll("section")].find(s => s.innerText.includes("Equipo norte")).querySelector("p code").innerText`)
	v.signIn()
	v.shows("main", "Leído el ")
	v.shows("h3", "Equipo norte · comprobada")
	v.shows(".note .words", "Lo leímos. ¿En qué ciudad?")
	if got := f.text(".note code"); got != words || len(strings.Split(words, " · ")) != 6 {
		v.Errorf("control words %q, on the page of keys %q", got, words)
	}
	f.over("button[value=file]")
	f.press(1)
	f.soon("the file is saved", func() bool {
		b, err := os.ReadFile(filepath.Join(f.downloads, "guia.txt"))
		return err == nil && string(b) == "No regreses ahí."
	})
}

// add: more information with a recording goes to the reviewer once.
func (v *visit) add() {
	f := v.f
	v.more = make([]byte, 200<<10)
	rand.Read(v.more)
	f.fill("#message", "En Tijuana.")
	f.fill("#file", v.file("nota de voz.ogg", v.more))
	f.follow(send)
	v.shows("main", "Recibimos lo que agregaste.")
	v.again()
	files := v.fetch()
	if len(files) != 4 {
		v.Fatalf("fetched %q, want report, acknowledgement, reply and follow-up", files)
	}
	if got := v.unseal(files[3]); got["message.txt"] != "En Tijuana." || got["files/01"] != string(v.more) {
		v.Errorf("the follow-up is not what was sent: %q, and a file of %d bytes", got["message.txt"], len(got["files/01"]))
	}
}

// deletion: one reply, then everything.
func (v *visit) deletion() {
	f := v.f
	v.signIn()
	v.unfold("button[value=delete]")
	f.follow("button[value=delete]")
	v.shows("main", "Borramos la respuesta.")
	v.shows("main", ": borrada.")
	v.again()
	v.signIn()
	f.follow("button[value=ask]")
	f.follow("button[value=show]")
	v.shows("h1", "Tu buzón")
	f.follow("button[value=ask]")
	f.follow("button[value=erase]")
	v.shows("h1", "Listo")
	v.again()
	v.signIn()
	v.shows(reason, "No hay un buzón con esas palabras.")
}
