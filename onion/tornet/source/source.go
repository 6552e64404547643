// Package source sends reports, and comes back for the replies, as a source's
// browser does, without JavaScript: it asks for the form, reads the token out of
// it, and posts multipart parts in the form's order. Tests, the demo and the
// benchmarks use it; it shares no code with the pages that it talks to.
package source

import (
	"context"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
)

// Source is one visitor.
type Source struct {
	Client *http.Client // through Tor, or direct for a preview; nil = http.DefaultClient
	URL    string       // of the vault, as http://HOST without a slash at the end
	Desk   string       // id of the desk that reports go to
}

// File is one attachment.
type File struct {
	Name string
	Body io.Reader
}

// Report is what a source types and attaches.
type Report struct {
	Message string
	Exclude []string          // who must not read it, as the form says it: government, desk:ID, org:ID
	Answers map[string]string // field name (a-ID) to text
	Files   []File
	Header  http.Header // sent with the report, beside what it needs
}

// Answer is the page that answers a report.
type Answer struct {
	Status   int
	Codename string // eight words, or "" if the report was not taken
	Page     string // at most 1 MiB
}

var (
	tokenLine    = regexp.MustCompile(`<input type="hidden" name="token" value="([^"]+)">`)
	codenameLine = regexp.MustCompile(`<output id="codename">([^<]+)</output>`)
)

// Token asks for the form and returns its token.
func (s Source) Token(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/es/report?desk="+s.Desk, nil)
	if err != nil {
		return "", err
	}
	a, err := s.do(req)
	if err != nil {
		return "", err
	}
	m := tokenLine.FindStringSubmatch(a.Page)
	if m == nil {
		return "", fmt.Errorf("status %d: the form has no token:\n%s", a.Status, a.Page)
	}
	return m[1], nil
}

// Send asks for a form and sends r.
func (s Source) Send(ctx context.Context, r Report) (Answer, error) {
	token, err := s.Token(ctx)
	if err != nil {
		return Answer{}, err
	}
	return s.SendWith(ctx, token, r)
}

// SendWith sends r with the token of a form that was fetched before. Files
// stream; what Body gives is not held in memory.
func (s Source) SendWith(ctx context.Context, token string, r Report) (Answer, error) {
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() { w.CloseWithError(write(form, s.fields(token, r), r.Files)) }()
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/es/report", body)
	if err != nil {
		return Answer{}, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	return s.do(req)
}

// fields are the fields of the form of a report, in its order.
func (s Source) fields(token string, r Report) [][2]string {
	fields := [][2]string{{"token", token}, {"desk", s.Desk}}
	for _, who := range r.Exclude {
		fields = append(fields, [2]string{"exclude", who})
	}
	fields = append(fields, [2]string{"share", "ask"}, [2]string{"message", r.Message})
	answers := len(fields)
	for name, text := range r.Answers {
		fields = append(fields, [2]string{name, text})
	}
	slices.SortFunc(fields[answers:], func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return fields
}

// write writes fields and then files.
func write(form *multipart.Writer, fields [][2]string, files []File) error {
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return err
		}
	}
	for _, f := range files {
		part, err := form.CreateFormFile("file", f.Name)
		if err != nil {
			return err
		}
		if _, err := io.CopyBuffer(part, f.Body, make([]byte, 256<<10)); err != nil {
			return err
		}
	}
	return form.Close()
}

func (s Source) client() *http.Client {
	if s.Client == nil {
		return http.DefaultClient
	}
	return s.Client
}

func (s Source) do(req *http.Request) (Answer, error) {
	resp, err := s.client().Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	a := Answer{Status: resp.StatusCode, Page: string(page)}
	if m := codenameLine.FindStringSubmatch(a.Page); m != nil {
		a.Codename = html.UnescapeString(m[1])
	}
	return a, err
}
