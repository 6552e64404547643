package site

import (
	"context"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/codename"
	"resguardo/vault"
	"resguardo/vault/translog"
)

const (
	openReplies   = 10       // opened for one page, the newest ones
	shownReplies  = 12 << 10 // bytes of HTML of all texts on the mailbox page
	shownReply    = 28 << 10 // bytes of HTML of a text on its own page
	noticeDays    = 14       // during which a mailbox says that it ends soon
	maxFileButton = 40       // files of a reply that have a button
)

// visit is one request of somebody who is signed in.
type visit struct {
	site    *Site
	c       *gin.Context
	lang    string
	session *session // taken; nil in the answer to a codename
	keys    codename.Keys
	kase    vault.Case
	given   bool // the session is given back
	changed bool // something was stored or deleted
}

// mailboxView is what a request adds to the mailbox page.
type mailboxView struct {
	Notice  string // sentence: what was just done
	Message string // of a refused follow-up
	Again   bool   // files must be chosen again
	Only    int    // number of the one reply to show; 0 = all: no reply is the first item of a case
}

// mailboxPage is the data of the mailbox.
type mailboxPage struct {
	mailboxView
	Sent    []sentView
	Replies []replyView
	Answers int    // replies that are there, or were
	Closed  string // day on which the team closed the case
	Late    string // deadline that was missed: read or answer; empty for none
	Teams   []string
	Joined  []string // teams that got the case later
	Left    []string // teams that gave it up
	Ends    string   // day; empty while the case is held
	Days    int      // that a mailbox lasts
	Total   int      // that it lasts if something was never seen
	Soon    int      // days left, if they are few; else 0
	NoFiles bool
}

// sentView is a report or a follow-up.
type sentView struct {
	Kind   string // report or followup
	Day    string
	Gone   bool
	Logged bool
	Read   string // day on which a team said that it has read it
}

// replyView is a reply as the page shows it.
type replyView struct {
	Number int
	Day    string
	Gone   bool
	Waits  bool // not opened on this page
	State  replyState
	Team   string
	Words  string // of the writer's key
	Text   string
	Cut    bool // Text is not all of it
	Long   bool // too long to be shown at all
	Files  []fileView
	More   bool // files without a button
}

// fileView is a file of a checked reply, or its whole text.
type fileView struct {
	Number      int // of the reply
	Entry, Text string
}

// buttonView is a button of an open mailbox.
type buttonView struct {
	Action, Class, Entry string
	Text                 said
	Number               int
}

// Button is the data of the template of a button with the sentence id.
func (v view) Button(action, id, class string) (view, error) {
	return v.ReplyButton(action, 0, id, class)
}

// ReplyButton is Button about the reply with a number.
func (v view) ReplyButton(action string, number int, id, class string) (view, error) {
	text, err := v.T(id)
	return v.With(buttonView{Action: action, Text: text, Class: class, Number: number}), err
}

// FileButton is Button for a file.
func (v view) FileButton(f fileView) view {
	return v.With(buttonView{Action: "file", Text: said{Text: f.Text}, Class: "second", Entry: f.Entry, Number: f.Number})
}

// With is what a template within a page gets: the view, with a page of its own.
func (v view) With(page any) view {
	v.Page = page
	return v
}

// today is the present day, UTC.
func (s *Site) today() string { return s.now().UTC().Format(time.DateOnly) }

// mailboxPage makes the data of the mailbox, and notes which replies it shows.
func (v *visit) mailboxPage(add mailboxView) mailboxPage {
	s, kase := v.site, v.kase
	p := mailboxPage{
		mailboxView: add,
		Days:        s.config.RetentionDays,
		Total:       s.config.RetentionDays + extraDays,
		NoFiles:     s.uploads.full(),
	}
	v.showSent(&p)
	seen := v.showReplies(&p)
	v.showTeams(&p)
	v.showState(&p)
	if len(seen) > 0 && s.vault.See(context.WithoutCancel(v.c.Request.Context()), seen...) == nil {
		kase.Items = slices.Clone(kase.Items)
		for i := range kase.Items {
			kase.Items[i].Seen = kase.Items[i].Seen || slices.Contains(seen, kase.Items[i].ID)
		}
	}
	p.Ends = kase.Ends(s.retention())
	if n := daysBetween(s.today(), p.Ends); p.Ends != "" && n <= noticeDays {
		p.Soon = max(1, n)
	}
	return p
}

// showSent fills in what the source sent: kinds, days and states, no contents.
func (v *visit) showSent(p *mailboxPage) {
	acks := v.acks()
	for _, i := range v.kase.Items {
		if i.Kind != translog.Report && i.Kind != translog.Followup {
			continue
		}
		sent := sentView{Kind: string(i.Kind), Day: i.Day, Logged: v.site.vault.Published() != nil && v.site.vault.Logged(i.Tag)}
		for _, a := range acks {
			if sent.Read == "" && (a.ref == i.Tag || a.ref == [32]byte{} && a.number > i.Number) {
				sent.Read = a.day
			}
		}
		p.Sent = append(p.Sent, sent)
	}
	for _, g := range v.kase.Gone {
		if g.Kind == translog.Report || g.Kind == translog.Followup {
			p.Sent = append(p.Sent, sentView{Kind: string(g.Kind), Day: g.Day, Gone: true})
		}
	}
	slices.SortStableFunc(p.Sent, func(a, b sentView) int { return strings.Compare(a.Day, b.Day) })
}

// ack is a desk's word that it has read an item, or all before it (ref of zeros).
type ack struct {
	number int
	day    string
	ref    [32]byte
}

func (v *visit) acks() []ack {
	var acks []ack
	for _, i := range v.kase.Items {
		if i.Kind != translog.Ack {
			continue
		}
		if _, o, err := v.site.vault.Evidence(i.ID); err == nil {
			acks = append(acks, ack{i.Number, i.Day, o.Ref})
		}
	}
	return acks
}

// showReplies opens the newest replies, or the one asked for, and returns the
// items whose text is on the page.
func (v *visit) showReplies(p *mailboxPage) (seen []vault.ItemID) {
	room, opened := shownReplies, 0
	if p.Only > 0 {
		room = shownReply
	}
	if p.Message != "" {
		room = 0 // the page must bring back what was typed
	}
	opener, err := v.opener()
	for _, i := range slices.Backward(v.kase.Items) {
		if i.Kind != translog.Reply {
			continue
		}
		p.Answers++
		if p.Only > 0 && i.Number != p.Only {
			continue
		}
		r := replyView{Number: i.Number, Day: i.Day, Waits: true}
		if err == nil && opened < openReplies && room > 0 {
			opened++
			r = v.showReply(v.read(opener, i), i, room)
			if room -= htmlSize(r.Text); r.State == replyChecked || r.State == replyUnchecked {
				seen = append(seen, i.ID)
			}
		}
		p.Replies = append(p.Replies, r)
	}
	for _, g := range v.kase.Gone {
		if g.Kind != translog.Reply {
			continue
		}
		if p.Answers++; p.Only == 0 {
			p.Replies = append(p.Replies, replyView{Number: g.Number, Day: g.Day, Gone: true})
		}
	}
	slices.SortStableFunc(p.Replies, func(a, b replyView) int { return b.Number - a.Number })
	return seen
}

// showReply is a reply for a page with room for so many bytes of text. On the
// mailbox page, a text that does not fit waits for its own page.
func (v *visit) showReply(r reply, i vault.Item, room int) replyView {
	w := replyView{
		Number: i.Number, Day: i.Day, State: r.state, Team: r.team, Long: r.long,
		Words: v.site.keyWords(v.lang, r.writer),
	}
	w.Text, w.Cut = cutText(r.text, room)
	if w.Cut && room <= shownReplies {
		return replyView{Number: i.Number, Day: i.Day, Waits: true}
	}
	if (w.Cut || w.Long) && r.state == replyChecked {
		w.Files = append(w.Files, fileView{i.Number, "message.txt", v.site.locales.must(v.lang, "mailbox.save_text")})
	}
	for _, f := range r.files[:min(len(r.files), maxFileButton)] {
		text := v.site.locales.must(v.lang, "mailbox.save", "name", fileName(f.Name), "size", v.site.locales.size(f.Size, v.lang))
		w.Files = append(w.Files, fileView{i.Number, f.Entry, text})
	}
	w.More = len(r.files) > maxFileButton
	return w
}

// opener opens replies with the keys of this session.
func (v *visit) opener() (*replyOpener, error) {
	return newReplyOpener(v.site.config.Origin, string(v.kase.ID), v.keys, v.site.config.Cards())
}

// read opens a reply of the case.
func (v *visit) read(o *replyOpener, i vault.Item) reply {
	c, err := v.site.vault.OpenItem(i.ID)
	if err != nil {
		return reply{state: replyShut}
	}
	return o.read(v.place(i, c))
}

// place is where the case has a reply.
func (v *visit) place(i vault.Item, ciphertext io.ReaderAt) replyPlace {
	p := replyPlace{ciphertext: ciphertext, size: i.Size, writers: map[string]string{}}
	chain := direction(v.kase, true)
	at := slices.IndexFunc(chain, func(l link) bool { return l.number == i.Number })
	p.sequence = uint64(at)
	if at > 0 {
		p.previous = chain[at-1].sum
	}
	for _, d := range v.site.desks() {
		if !slices.Contains(i.Desks, d.ID) {
			continue
		}
		for _, r := range d.Recipients {
			p.writers[r.Fingerprint()] = v.site.locales.local(d.Name, v.lang)
		}
	}
	return p
}

// showTeams fills in who has the case now, and what changed since it was sent.
func (v *visit) showTeams(p *mailboxPage) {
	first := v.kase.Desks
	if len(v.kase.Items) > 0 && v.kase.Items[0].Number == 0 {
		first = v.kase.Items[0].Desks
	}
	for _, id := range v.kase.Desks {
		p.Teams = append(p.Teams, v.team(id))
		if !slices.Contains(first, id) {
			p.Joined = append(p.Joined, v.team(id))
		}
	}
	for _, id := range first {
		if !slices.Contains(v.kase.Desks, id) {
			p.Left = append(p.Left, v.team(id))
		}
	}
}

// team is the name of a desk, or its id when it is not there any more.
func (v *visit) team(id string) string {
	for _, d := range v.site.desks() {
		if d.ID == id {
			return v.site.locales.local(d.Name, v.lang)
		}
	}
	return id
}

// showState fills in whether the case is closed, or late.
func (v *visit) showState(p *mailboxPage) {
	asked := 0
	for _, l := range direction(v.kase, false) {
		asked = l.number
	}
	acked := p.Answers > 0
	for _, l := range direction(v.kase, true) {
		acked = acked || l.kind == translog.Ack
		if l.kind == translog.Close && l.number > asked {
			p.Closed = l.day
		}
	}
	sent := direction(v.kase, false)
	if len(sent) == 0 || p.Closed != "" || p.Answers > 0 {
		return
	}
	promised := func(limit, days int) bool { return limit > 0 && days > limit }
	switch days := daysBetween(sent[0].day, v.site.today()); {
	case promised(v.site.config.AnswerDays, days):
		p.Late = "answer"
	case promised(v.site.config.ConfirmDays, days) && !acked:
		p.Late = "read"
	}
}

// daysBetween counts the days from one day to another.
func daysBetween(from, to string) int {
	a, err := time.Parse(time.DateOnly, from)
	if err != nil {
		return 0
	}
	b, err := time.Parse(time.DateOnly, to)
	if err != nil {
		return 0
	}
	return int(b.Sub(a) / (24 * time.Hour))
}

// htmlSize is how long a text is on a page.
func htmlSize(text string) int { return len(template.HTMLEscapeString(text)) }

// cutText cuts a text to what takes room bytes on a page.
func cutText(text string, room int) (string, bool) {
	if htmlSize(text) <= room {
		return text, false
	}
	n := 0
	for i, r := range text {
		if n += htmlSize(string(r)); n > room {
			return text[:i], true
		}
	}
	return text, false
}

// fileName makes of a declared name one that a file can be saved under: letters
// and digits of ASCII, dots, hyphens and underscores, at most 60.
func fileName(declared string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'):
			return r
		}
		return '_'
	}, declared)
	if i := strings.LastIndexByte(clean, '.'); i > 0 && len(clean)-i <= 8 && len(clean) > 60 {
		clean = clean[:60-(len(clean)-i)] + clean[i:] // the end says what it is
	}
	clean = strings.TrimLeft(clean[:min(len(clean), 60)], ".-_")
	if clean == "" {
		return "archivo"
	}
	return clean
}

// show answers with the mailbox.
func (v *visit) show(add mailboxView) {
	v.answer(http.StatusOK, "mailbox", view{Lang: v.lang, Bare: true, Page: v.mailboxPage(add)})
}

// showRefused answers with the mailbox, and why something was not done.
func (v *visit) showRefused(ref *refusal, add mailboxView) {
	v.answer(ref.status, "mailbox", view{
		Lang: v.lang, Bare: true, Page: v.mailboxPage(add), Error: &errorView{ref.key, ref.field},
	})
}
