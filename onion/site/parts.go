package site

import (
	"bytes"
	"io"
	"mime/multipart"
	"strings"
)

// Limits of one multipart body, beside Config's.
const (
	maxMessage = 64 << 10  // bytes of the message
	maxText    = 128 << 10 // bytes of message and answers together
	maxField   = 128       // bytes of any other field
	maxHeader  = 16 << 10  // bytes of the header of one part
	maxParts   = 1000      // 127 desks ticked and excluded, every answer, every file
)

// form is what a source sent, but for the files. It lives for one request.
type form struct {
	token   string
	session string // of a follow-up
	desks   []string
	exclude []string
	share   string
	message string
	answers map[string][]string // by question id
}

// taker is given each file that was chosen, while it arrives.
type taker func(name, typ string, body *fileBody) error

// parts takes a multipart body apart as it arrives: the fields into form, each
// file to take. After the first refusal it goes on, so that the text can be
// shown again, and drops the files.
type parts struct {
	site    *Site
	body    *body
	gate    *gate
	reader  *multipart.Reader
	form    form
	take    taker
	order   func(name string) int // rankOf, or another form's
	refused *refusal              // the first one
	rank    int                   // of the last field
	seen    int                   // parts
	files   int
	kept    int // bytes of message and answers
}

func (s *Site) newParts(b *body, boundary string, take taker) *parts {
	g := newGate(b)
	return &parts{
		site: s, body: b, gate: g, take: take, order: rankOf,
		reader: multipart.NewReader(g, boundary),
		form:   form{answers: map[string][]string{}},
	}
}

// rankOf is a field's place in the form, or -1 for a name that no form has. The
// order matters: recipients must be known when the first file arrives.
func rankOf(name string) int {
	switch {
	case name == "token":
		return 0
	case name == "desk":
		return 1
	case name == "exclude":
		return 2
	case name == "share":
		return 3
	case name == "message", strings.HasPrefix(name, "a-"):
		return 4
	case name == "file":
		return 5
	}
	return -1
}

// followupRank is rankOf for the form of a mailbox.
func followupRank(name string) int {
	switch name {
	case "session":
		return 0
	case "message":
		return 1
	case "file":
		return 2
	}
	return -1
}

// read reads the body to its end. It returns what was first wrong with it, or
// the first refusal of take, or nil.
func (p *parts) read() *refusal {
	for {
		part, err := p.next()
		if err == io.EOF { // exactly: NextRawPart wraps the io.EOF of a body that was cut
			p.checkSize()
			return p.refused
		}
		if err == nil && p.seen <= maxParts {
			p.part(part)
			continue
		}
		switch {
		case p.body.slow():
			p.refuse(errSlow)
		case p.body.err == errOverLimit:
			p.refuse(errFileLarge)
		default:
			p.refuse(errMalformed)
		}
		p.body.drain()
		return p.refused
	}
}

// next returns the next part. The one before it has been read to its end, so
// what the parser takes from the gate is header.
func (p *parts) next() (*multipart.Part, error) {
	p.seen++
	p.gate.header, p.gate.left = true, maxHeader
	defer func() { p.gate.header = false }()
	return p.reader.NextRawPart() // NextPart would decode quoted-printable
}

func (p *parts) refuse(r *refusal) {
	if p.refused == nil {
		p.refused = r
		p.body.refuse()
	}
}

func (p *parts) checkSize() {
	if p.body.n > p.site.config.MaxReport {
		p.refuse(errFileLarge)
	}
}

// part reads one part to its end.
func (p *parts) part(part *multipart.Part) {
	// Errors of this copy come back from the next call of NextRawPart.
	defer io.Copy(io.Discard, part)

	name := part.FormName()
	rank := p.order(name)
	if rank < p.rank || p.form.repeats(name) {
		p.refuse(errMalformed) // an unknown name too
	}
	p.rank = max(p.rank, rank)
	p.checkSize()
	switch f := &p.form; {
	case rank < 0:
	case name == "token":
		f.token = p.field(part)
	case name == "session":
		f.session = p.field(part)
	case name == "desk":
		f.desks = append(f.desks, p.field(part))
	case name == "exclude":
		f.exclude = append(f.exclude, p.field(part))
	case name == "share":
		f.share = p.field(part)
	case name == "message":
		f.message = p.text(part)
		if len(f.message) > maxMessage {
			p.refuse(errTextLong)
		}
	case name == "file":
		p.file(part)
	default:
		p.answer(strings.TrimPrefix(name, "a-"), p.text(part))
	}
}

// repeats reports whether a field that may stand once stands again.
func (f *form) repeats(name string) bool {
	return name == "token" && f.token != "" || name == "session" && f.session != "" || name == "share" && f.share != "" || name == "message" && f.message != ""
}

// field reads a short field. Ours are never longer than maxField.
func (p *parts) field(part io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(part, maxField+1))
	if len(b) > maxField {
		p.refuse(errMalformed)
		b = nil
	}
	return string(b)
}

// text reads the message or an answer, as far as maxText has room for it.
func (p *parts) text(part io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(part, int64(maxText-p.kept)))
	p.kept += len(b)
	if n, _ := io.Copy(io.Discard, part); n > 0 {
		p.refuse(errTextCut)
	}
	return plainText(b)
}

// lineEnds undoes what browsers do to line ends.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// plainText is UTF-8 with plain line ends.
func plainText(b []byte) string {
	return lineEnds.Replace(strings.ToValidUTF8(string(b), "\uFFFD"))
}

func (p *parts) answer(id, value string) {
	if strings.TrimSpace(value) == "" {
		return
	}
	if !p.site.questions.accepts(id, value) {
		p.refuse(errMalformed)
		return
	}
	p.form.answers[id] = append(p.form.answers[id], value)
}

// file hands a file to take. A part without a name and without bytes is the
// file field of a form in which none was chosen.
func (p *parts) file(part *multipart.Part) {
	var first [1]byte
	n, _ := io.ReadFull(part, first[:])
	name := part.FileName()
	if n == 0 && name == "" {
		return
	}
	if p.files++; p.files > p.site.config.MaxFiles {
		p.refuse(errFilesMany)
	}
	if p.refused != nil {
		return
	}
	body := &fileBody{r: io.MultiReader(bytes.NewReader(first[:n]), part), parts: p}
	err := p.take(strings.ToValidUTF8(name, "\uFFFD"), part.Header.Get("Content-Type"), body)
	switch {
	case body.tooLarge:
		p.refuse(errFileLarge)
	case body.err != nil:
		// The connection's error comes back from NextRawPart; read names it.
	case err != nil:
		p.refuse(asRefusal(err))
	}
}

// fileBody is the content of one file. It ends with an error when the request
// grows over MaxReport, so that the sealing stops while the body can still be
// read on.
type fileBody struct {
	r        io.Reader
	parts    *parts
	tooLarge bool
	err      error
}

func (f *fileBody) Read(b []byte) (int, error) {
	if f.parts.body.n > f.parts.site.config.MaxReport {
		f.tooLarge = true
		return 0, errOverLimit
	}
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}
