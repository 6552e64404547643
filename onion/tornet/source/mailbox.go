package source

import (
	"context"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Mailbox is the mailbox of one codename, as its page shows it. Each method but
// Save sends a form of the page and takes the page that answers; the page before
// is dead then. A Mailbox serves one goroutine.
type Mailbox struct {
	Sent    []string // a line for each report and follow-up: its kind, its day, its state
	Teams   []string // who has the case, and who got it or gave it up since
	Replies []Reply  // that this page opened, newest first
	Page    string   // at most 1 MiB

	source  Source
	session string // what the next form needs; empty when the mailbox is closed
}

// Reply is a reply as a page shows it. The texts are in Spanish.
type Reply struct {
	Number int      // in its case
	Head   string   // who wrote it
	State  string   // whether that was checked
	Words  string   // control words of the writer's key; empty if it was not checked
	Text   string   // may be cut
	Files  []string // entries that can be saved
}

// Refused is a page that answers with another status than 200.
type Refused struct {
	Status int
	Reason string // the sentence that says why; may be empty
}

func (r *Refused) Error() string { return fmt.Sprintf("status %d: %s", r.Status, r.Reason) }

var (
	sessionLine = regexp.MustCompile(`<input type="hidden" name="session" value="([^"]+)">`)
	reasonLine  = regexp.MustCompile(`(?s)<p id="reason">(.*?)</p>`)
	listLine    = regexp.MustCompile(`(?s)<li>(.*?)</li>`)
	textLine    = regexp.MustCompile(`(?s)<p>(.*?)</p>`)
	replyLine   = regexp.MustCompile(`(?s)^([^<]*?)(?: · ([^<]*))?</h3>`)
	codeLine    = regexp.MustCompile(`<code>([^<]*)</code>`)
	wordsLine   = regexp.MustCompile(`(?s)<p class="words">(.*?)</p>`)
	numberLine  = regexp.MustCompile(`<input type="hidden" name="number" value="([0-9]+)">`)
	entryLine   = regexp.MustCompile(`<input type="hidden" name="entry" value="([^"]+)">`)
	tag         = regexp.MustCompile(`<[^>]*>`)
)

// SignIn opens the mailbox of a codename, as typed. The error is a *Refused if the
// page says no.
func (s Source) SignIn(ctx context.Context, codename string) (*Mailbox, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/es/mailbox", nil)
	if err != nil {
		return nil, err
	}
	a, err := s.do(req)
	if err != nil {
		return nil, err
	}
	token := tokenLine.FindStringSubmatch(a.Page)
	if token == nil {
		return nil, fmt.Errorf("status %d: the page has no token:\n%s", a.Status, a.Page)
	}
	m := &Mailbox{source: s}
	return m, m.post(ctx, url.Values{"token": {token[1]}, "codename": {codename}})
}

// Show shows the mailbox as it is now.
func (m *Mailbox) Show(ctx context.Context) error { return m.press(ctx, "show") }

// Read shows one reply alone, with room for a longer text.
func (m *Mailbox) Read(ctx context.Context, reply int) error {
	return m.press(ctx, "read", "number", strconv.Itoa(reply))
}

// Delete deletes a reply.
func (m *Mailbox) Delete(ctx context.Context, reply int) error {
	return m.press(ctx, "delete", "number", strconv.Itoa(reply))
}

// Erase deletes the mailbox with all that is in it, and says yes when asked.
func (m *Mailbox) Erase(ctx context.Context) error {
	if err := m.press(ctx, "ask"); err != nil {
		return err
	}
	return m.press(ctx, "erase")
}

// Close ends the session.
func (m *Mailbox) Close(ctx context.Context) error { return m.press(ctx, "close") }

// Add sends the message and the files of r, and its header; a follow-up has no answers.
func (m *Mailbox) Add(ctx context.Context, r Report) error {
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	fields := [][2]string{{"session", m.session}, {"message", r.Message}}
	go func() { w.CloseWithError(write(form, fields, r.Files)) }()
	return m.send(ctx, body, form.FormDataContentType(), r.Header)
}

// Save returns a file of a reply that was checked. The page stays good.
func (m *Mailbox) Save(ctx context.Context, reply int, entry string) ([]byte, error) {
	v := url.Values{"session": {m.session}, "action": {"file"}, "number": {strconv.Itoa(reply)}, "entry": {entry}}
	req, err := m.request(ctx, strings.NewReader(v.Encode()), formType)
	if err != nil {
		return nil, err
	}
	resp, err := m.source.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Disposition") == "" {
		return nil, &Refused{Status: resp.StatusCode}
	}
	return io.ReadAll(resp.Body)
}

const formType = "application/x-www-form-urlencoded"

// press sends a button with more fields, as pairs of name and value.
func (m *Mailbox) press(ctx context.Context, action string, more ...string) error {
	v := url.Values{"session": {m.session}, "action": {action}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return m.post(ctx, v)
}

func (m *Mailbox) post(ctx context.Context, v url.Values) error {
	return m.send(ctx, strings.NewReader(v.Encode()), formType, nil)
}

func (m *Mailbox) request(ctx context.Context, body io.Reader, typ string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", m.source.URL+"/es/mailbox", body)
	if err == nil {
		req.Header.Set("Content-Type", typ)
	}
	return req, err
}

func (m *Mailbox) send(ctx context.Context, body io.Reader, typ string, header http.Header) error {
	req, err := m.request(ctx, body, typ)
	if err != nil {
		return err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	a, err := m.source.do(req)
	if err != nil {
		return err
	}
	m.take(a.Page)
	if a.Status == http.StatusOK {
		return nil
	}
	refused := &Refused{Status: a.Status}
	if r := reasonLine.FindStringSubmatch(a.Page); r != nil {
		refused.Reason = shown(r[1])
	}
	return refused
}

// take reads a page.
func (m *Mailbox) take(page string) {
	*m = Mailbox{source: m.source, Page: page}
	if s := sessionLine.FindStringSubmatch(page); s != nil {
		m.session = s[1]
	}
	sections := strings.Split(page, "<section>")
	if len(sections) > 2 { // replies, what was sent, the form, how long it lasts
		for _, l := range listLine.FindAllStringSubmatch(sections[2], -1) {
			m.Sent = append(m.Sent, shown(l[1]))
		}
		for _, l := range textLine.FindAllStringSubmatch(sections[2], -1) {
			m.Teams = append(m.Teams, shown(l[1]))
		}
	}
	for _, part := range strings.Split(page, "<h3>")[1:] {
		if h := replyLine.FindStringSubmatch(part); h != nil && h[2] != "" {
			m.Replies = append(m.Replies, reply(part, h[1], h[2]))
		}
	}
}

// reply reads what stands between one heading of a reply and the next.
func reply(part, head, state string) Reply {
	r := Reply{Head: shown(head), State: shown(state)}
	if l := codeLine.FindStringSubmatch(part); l != nil {
		r.Words = shown(l[1])
	}
	if l := wordsLine.FindStringSubmatch(part); l != nil {
		r.Text = html.UnescapeString(l[1])
	}
	if l := numberLine.FindStringSubmatch(part); l != nil {
		r.Number, _ = strconv.Atoi(l[1])
	}
	for _, l := range entryLine.FindAllStringSubmatch(part, -1) {
		r.Files = append(r.Files, html.UnescapeString(l[1]))
	}
	return r
}

// shown is what a reader sees of a piece of a page, on one line.
func shown(piece string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(piece, ""))), " ")
}
