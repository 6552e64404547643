package site

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// answerTime is how long the network may take to accept an answer.
const answerTime = 5 * time.Minute

// loadTemplates parses templates/: base.html, parts.html and one file a page.
func loadTemplates() (map[string]*template.Template, error) {
	base := template.New("")
	for _, name := range [...]string{"base", "parts"} {
		if err := parseTemplate(base, name); err != nil {
			return nil, err
		}
	}
	files, err := assets.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), path.Ext(f.Name()))
		if name == "base" || name == "parts" {
			continue
		}
		t, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if err := parseTemplate(t, name); err != nil {
			return nil, err
		}
		pages[name] = t
	}
	return pages, nil
}

// sentence is {{.T "id"}} in a template, which stands for {{template "said" (.T "id")}}.
var sentence = regexp.MustCompile(`\{\{(-?) *(\$?\.(?:T|Sign) [^{}]*?) *(-?)\}\}`)

func parseTemplate(t *template.Template, name string) error {
	text, err := assets.ReadFile("templates/" + name + ".html")
	if err != nil {
		return err
	}
	_, err = t.Parse(sentence.ReplaceAllString(string(text), `{{$1 template "said" ($2) $3}}`))
	return err
}

// view is what a template gets.
type view struct {
	site  *Site
	Lang  string
	Path  string // of this page within a language; empty where language links would lose something
	Step  int    // 1 to 4, or 0
	Bare  bool   // no links away from the page
	Alone bool   // not even "leave now" and the footer
	Error *errorView
	Page  any // the page's own data

	Session string // value of the open mailbox, or empty
}

// errorView is the summary at the top of a refused form.
type errorView struct {
	Key   string
	Field string // id of the field, or empty
}

// Ways reports whether the summary names other ways to report: where trying again
// does not help at once.
func (e errorView) Ways() bool {
	return slices.Contains([]string{"no_desk", "desk_keys", "none_outside", "none_fits", "encrypt", "store", "full", "no_team"}, e.Key)
}

// T is the sentence id of the catalogue, between tags. If the language has no such
// text of its own, it is marked as one in the language's base.
func (v view) T(id string, args ...any) (said, error) {
	text, err := v.Text(id, args...)
	if t := v.Tongue(); !t.owns(id) {
		return said{text, t.Base}, err
	}
	return said{Text: text}, err
}

// said is a sentence for the template of that name.
type said struct {
	Text string
	Base string // language, if it is not the page's
}

// Text is T without a mark: within another sentence, and where no tag can stand.
func (v view) Text(id string, args ...any) (string, error) {
	return v.site.locales.text(v.Lang, id, args...)
}

// Tongue is the language of the page.
func (v view) Tongue() *tongue { return v.site.locales.byCode[v.Lang] }

// InBase is the sentence id in the base of the page's language.
func (v view) InBase(id string) (string, error) {
	return v.site.locales.text(v.Tongue().Base, id)
}

// Local is a text from the operator's files.
func (v view) Local(text map[string]string) string { return v.site.locales.local(text, v.Lang) }

// Sign is the sentence about the last sign of a desk: known for the day of one,
// silent for one that is too old, and none for one that is not known.
func (v view) Sign(d deskView, known, silent, none string) (said, error) {
	if d.LastSign.IsZero() {
		return v.T(none)
	}
	if d.Silent {
		known = silent
	}
	month, err := v.Text(monthText(d.LastSign.Month()))
	if err != nil {
		return said{}, err
	}
	return v.T(known, "month", month, "year", d.LastSign.Year())
}

func monthText(m time.Month) string { return "month." + strconv.Itoa(int(m)) }

// Desk is the data of the template that describes a desk.
func (v view) Desk(d deskView) any {
	return struct {
		view
		deskView
		Desk deskView
	}{v, d, d}
}

// Config is the operator's part.
func (v view) Config() Config { return v.site.config }

// CSS is the address of the stylesheet.
func (v view) CSS() string { return v.site.cssPath }

// Others are the other languages of the site.
func (v view) Others() (others []*tongue) {
	for _, code := range v.site.config.Languages {
		if code != v.Lang {
			others = append(others, v.site.locales.byCode[code])
		}
	}
	return others
}

// Date is a day (2006-01-02), as people read it.
func (v view) Date(day string) (string, error) {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return "", err
	}
	month, err := v.Text(monthText(t.Month()))
	if err != nil {
		return "", err
	}
	return v.Text("mailbox.date", "day", t.Day(), "month", month, "year", t.Year())
}

// MaxReport is the limit of one report, as people read it.
func (v view) MaxReport() string { return v.site.locales.size(v.site.config.MaxReport, v.Lang) }

// page answers with a page. The whole page is made first, so that its length is
// known and a fault in a template shows nothing of it.
func (s *Site) page(c *gin.Context, status int, name string, v view) {
	s.answer(c, status, htmlType, s.render(name, v))
}

const htmlType = "text/html; charset=utf-8"

func (s *Site) render(name string, v view) []byte {
	v.site = s
	var b bytes.Buffer
	if err := s.templates[name].ExecuteTemplate(&b, "base", v); err != nil {
		panic("site: template " + name)
	}
	return b.Bytes()
}

func (s *Site) answer(c *gin.Context, status int, typ string, text []byte) {
	h := c.Writer.Header()
	h.Set("Content-Type", typ)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	// Best effort: without it a source that never reads keeps a connection.
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(answerTime))
	c.Writer.WriteHeader(status)
	c.Writer.Write(text)
}

// languageOf is the language of an address, or the first one.
func (s *Site) languageOf(c *gin.Context) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(c.Request.URL.Path, "/"), "/")
	if slices.Contains(s.config.Languages, first) {
		return first
	}
	return s.config.Languages[0]
}

// fail answers with the constant page of an error status.
func (s *Site) fail(c *gin.Context, status int) {
	s.page(c, status, "error", view{Lang: s.languageOf(c), Page: fmt.Sprintf("http.%d", status)})
}

// notice answers with a page of one sentence, and the other ways to report.
func (s *Site) notice(c *gin.Context, status int, lang, id string) {
	s.page(c, status, "notice", view{Lang: lang, Page: id})
}

func (s *Site) warnGateway(c *gin.Context) {
	s.page(c, http.StatusForbidden, "gateway", view{Lang: s.languageOf(c), Alone: true})
}

func (s *Site) style(c *gin.Context) {
	s.answer(c, http.StatusOK, "text/css; charset=utf-8", s.css)
}

func (s *Site) landing(c *gin.Context, lang string) {
	s.page(c, http.StatusOK, "landing", view{Lang: lang, Path: "/"})
}

func (s *Site) safety(c *gin.Context, lang string) {
	s.page(c, http.StatusOK, "safety", view{Lang: lang, Path: "/safety", Step: 1})
}

// help tells where else a source can turn.
func (s *Site) help(c *gin.Context, lang string) {
	s.page(c, http.StatusOK, "help", view{Lang: lang, Path: "/help"})
}

// privacy tells what is kept of a source, for how long, and who can read it.
func (s *Site) privacy(c *gin.Context, lang string) {
	s.page(c, http.StatusOK, "privacy", view{Lang: lang, Path: "/privacy", Page: privacyPage{
		Days: s.config.RetentionDays, Total: s.config.RetentionDays + extraDays, Backups: s.config.BackupDays,
	}})
}

// privacyPage is the data of the privacy notice, in days.
type privacyPage struct {
	Days, Total int // that a mailbox lasts, and that it lasts if something was never seen
	Backups     int // after which no backup copy can be read any more
}

// exit answers the button "leave now": a small page that says nothing, and goes
// on outward by itself. A redirect would be stopped by form-action. An open
// mailbox is closed.
func (s *Site) exit(c *gin.Context, lang string) {
	b := s.newBody(c)
	b.limit = maxURLEncoded
	// Whatever came, the page must go.
	text, _ := io.ReadAll(b)
	if values, err := url.ParseQuery(string(text)); err == nil {
		s.sessions.leave(values.Get("session"))
	}
	c.Writer.Header().Set("Refresh", "0; url="+s.config.LeaveTo)
	s.page(c, http.StatusOK, "exit", view{Lang: lang, Alone: true})
}

// deskView is a desk as a page shows it.
type deskView struct {
	ID         string
	Name       string
	Runs       string // empty: kept private
	Regions    []Region
	Languages  string
	Government bool
	Receives   bool
	LastSign   time.Time // when its reviewers last said that they are reading, UTC; zero = not known
	Silent     bool      // too long ago
	Brief      bool      // only what a source must know
	Words      []string  // of its keys
	Chosen     bool
	Excluded   bool
	Keys       []keyView // on the keys page only
}

type keyView struct{ Recipient, Fingerprint, Words string }

// keyWords are the control words of a key. Sources compare them with what a team
// gave them by another way; in the mailbox they tell who wrote a reply.
func (s *Site) keyWords(lang, fingerprint string) string {
	sum, err := hex.DecodeString(fingerprint)
	if err != nil || len(sum) != 32 {
		return ""
	}
	return s.words[lang].Control([32]byte(sum))
}

func (s *Site) showDesk(d Desk, lang string) deskView {
	languages := slices.Clone(d.Languages)
	for i, code := range languages {
		if text, err := s.locales.text(lang, "language."+code); err == nil {
			languages[i] = text
		}
	}
	return deskView{
		ID: d.ID, Name: s.locales.local(d.Name, lang), Runs: s.locales.local(d.Runs, lang),
		Regions: d.Regions, Languages: strings.Join(languages, ", "),
		Government: d.Government, Receives: len(d.Recipients) > 0,
		LastSign: d.LastSign.UTC(), Silent: d.silent(s.now()),
	}
}

// Up to so many desks a page tells all that is known about each.
const (
	describeReaders = 10 // of the readers of a report
	describeDesks   = 60 // of the list to choose from, where everything is less
)

// showReaders shows the desks that will read a report.
func (s *Site) showReaders(r readers, lang string) (views []deskView) {
	for _, d := range r.desks {
		v := s.showDesk(d, lang)
		if v.Brief = len(r.desks) > describeReaders; !v.Brief {
			for _, key := range d.Recipients {
				v.Words = append(v.Words, s.keyWords(lang, key.Fingerprint()))
			}
		}
		views = append(views, v)
	}
	return views
}

// The keys page shows up to maxInline recipients in full, about 2 KB each, up to
// maxFingerprints fingerprints, and the words of up to maxWords. Each desk's file
// has all keys and fingerprints.
const (
	maxInline       = 10
	maxFingerprints = 60
	maxWords        = 130
)

// keysPage is the data of the keys page.
type keysPage struct {
	Desks        []deskView
	Inline       bool // the recipients are shown
	Fingerprints bool // their fingerprints are shown
	Words        bool // the words of their fingerprints are shown
}

// keys shows the desks' recipients.
func (s *Site) keys(c *gin.Context, lang string) {
	var p keysPage
	n := 0
	for _, d := range s.desks() {
		v := s.showDesk(d, lang)
		for _, r := range d.Recipients {
			v.Keys = append(v.Keys, keyView{r.String(), r.Fingerprint(), s.keyWords(lang, r.Fingerprint())})
			n++
		}
		p.Desks = append(p.Desks, v)
	}
	p.Inline, p.Fingerprints, p.Words = n <= maxInline, n <= maxFingerprints, n <= maxWords
	s.page(c, http.StatusOK, "keys", view{Lang: lang, Path: "/keys", Page: p})
}

// keysFile gives the recipients of one desk, named DESK.txt, as a file for age -R.
// It is saved under one name for every desk: a folder of downloads tells no desk.
func (s *Site) keysFile(c *gin.Context) {
	id, ok := strings.CutSuffix(c.Param("file"), ".txt")
	all := s.desks()
	i := slices.IndexFunc(all, func(d Desk) bool { return d.ID == id })
	if !ok || i < 0 || len(all[i].Recipients) == 0 {
		s.fail(c, http.StatusNotFound)
		return
	}
	c.Writer.Header().Set("Content-Disposition", `attachment; filename="recipients.txt"`)
	s.answer(c, http.StatusOK, "text/plain; charset=utf-8", recipientsFile(all[i]))
}

// recipientsFile is a desk's recipients as age -R reads them: one a line, each
// after its fingerprint as a comment.
func recipientsFile(d Desk) []byte {
	var b bytes.Buffer
	for _, r := range d.Recipients {
		fmt.Fprintf(&b, "# SHA-256 %s\n%s\n", r.Fingerprint(), r)
	}
	return b.Bytes()
}
