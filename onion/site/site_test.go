package site

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
	"resguardo/vault"
)

const testOrigin = "prueba-0123abcd"

// world is a site on a real TCP listener, over a real vault, with desks whose
// identities the test has:
//
//	norte   region N, keys a and b
//	sur     region S, keys c and b: b is in both
//	estado  region C, key d, linked to government, organisation gob
//	vacio   region B, no keys
//	otro    region B, key e, organisation gob
type world struct {
	t     *testing.T
	site  *Site
	vault *vault.Vault
	dir   string
	url   string
	desks []Desk
	keys  map[string]*age.HybridIdentity
}

// newWorld makes a world. change may alter the configuration before the site is made.
func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), keys: map[string]*age.HybridIdentity{}}
	p := codename.Params{Time: 1, Memory: 64, Threads: 1}
	w.init(w.dir, p)
	var err error
	if w.vault, err = vault.Open(w.dir, vault.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.vault.Close() })
	w.desks = []Desk{
		{ID: "norte", Regions: []Region{"N"}, Languages: []string{"es", "en"}, Recipients: w.recipients("a", "b")},
		{ID: "sur", Regions: []Region{"S"}, Recipients: w.recipients("c", "b")},
		{ID: "estado", Regions: []Region{"C"}, Government: true, Organisation: "gob", Recipients: w.recipients("d")},
		{ID: "vacio", Regions: []Region{"B"}},
		{ID: "otro", Regions: []Region{"B"}, Organisation: "gob", Recipients: w.recipients("e")},
	}
	for i := range w.desks {
		w.desks[i].LastSign = time.Now()
		w.desks[i].Name = map[string]string{"es": "Equipo " + w.desks[i].ID, "en": "Team " + w.desks[i].ID}
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Origin: testOrigin, Languages: builtIn[:], Hosts: []string{l.Addr().String()}, Params: p, ConfirmDays: 7, AnswerDays: 90}
	for _, f := range change {
		f(&c)
	}
	if w.site, err = New(c, w.vault, func() []Desk { return w.desks }); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(w.site)
	server.Listener.Close()
	server.Listener = l
	server.Config.ReadHeaderTimeout = 10 * time.Second
	server.Config.MaxHeaderBytes = 16 << 10
	server.Config.IdleTimeout = 2 * time.Minute
	server.Start()
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) init(dir string, p codename.Params) {
	w.t.Helper()
	g := vault.Genesis{Origin: testOrigin, Epoch: 6 * time.Hour, Slots: 16, Time: p.Time, Memory: p.Memory, Threads: p.Threads}
	if err := vault.Init(dir, g); err != nil {
		w.t.Fatal(err)
	}
}

// secondVault makes another vault with the same parameters.
func (w *world) secondVault(o vault.Options) *vault.Vault {
	w.t.Helper()
	dir := w.t.TempDir()
	w.init(dir, w.site.config.Params)
	v, err := vault.Open(dir, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { v.Close() })
	return v
}

// recipients makes the named keys, each once.
func (w *world) recipients(names ...string) []seal.Recipient {
	w.t.Helper()
	var rs []seal.Recipient
	for _, n := range names {
		if w.keys[n] == nil {
			id, err := age.GenerateHybridIdentity()
			if err != nil {
				w.t.Fatal(err)
			}
			w.keys[n] = id
		}
		r, err := seal.ParseRecipient(w.keys[n].Recipient().String())
		if err != nil {
			w.t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

// response is an answer read to its end.
type response struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(r *http.Request) response {
	w.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r) // no redirects are followed
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response{res.StatusCode, res.Header, string(body)}
}

func (w *world) request(method, path string, body io.Reader) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) get(path string) response {
	w.t.Helper()
	return w.do(w.request("GET", path, nil))
}

func (w *world) postForm(path string, values url.Values) response {
	w.t.Helper()
	r := w.request("POST", path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(r)
}

// part is one field, or a file if name is "file".
type part struct {
	name, value    string
	filename, kind string
}

func field(name, value string) part { return part{name: name, value: value} }

func file(filename, content string) part {
	return part{name: "file", value: content, filename: filename, kind: "application/octet-stream"}
}

// multipartOf encodes parts as browsers do.
func multipartOf(parts ...part) (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name="%s"`, p.name)
		if p.name == "file" {
			disposition += fmt.Sprintf(`; filename="%s"`, strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(p.filename))
			h.Set("Content-Type", p.kind)
		}
		h.Set("Content-Disposition", disposition)
		pw, _ := w.CreatePart(h)
		io.WriteString(pw, p.value)
	}
	w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// send posts a report form as it is.
func (w *world) send(lang string, parts ...part) response {
	w.t.Helper()
	body, typ := multipartOf(parts...)
	r := w.request("POST", "/"+lang+"/report", bytes.NewReader(body))
	r.Header.Set("Content-Type", typ)
	r.Header.Set("Origin", w.url)
	return w.do(r)
}

var (
	tokenLine    = regexp.MustCompile(`<input type="hidden" name="token" value="([A-Za-z0-9_-]+)">`)
	codenameLine = regexp.MustCompile(`<output id="codename">([^<]*)</output>`)
)

// token asks for a form and returns its token.
func (w *world) token(lang string) string {
	w.t.Helper()
	return tokenIn(w.t, w.get("/"+lang+"/report?desk=norte"))
}

func tokenIn(t *testing.T, r response) string {
	t.Helper()
	m := tokenLine.FindStringSubmatch(r.body)
	if m == nil {
		t.Fatalf("status %d, no token in:\n%s", r.status, r.body)
	}
	return m[1]
}

// codenameIn returns the codename of a page. It must stand there exactly once.
func codenameIn(t *testing.T, r response) string {
	t.Helper()
	m := codenameLine.FindAllStringSubmatch(r.body, -1)
	if len(m) != 1 || r.status != http.StatusOK {
		t.Fatalf("status %d, %d codenames in:\n%s", r.status, len(m), r.body)
	}
	words := m[0][1]
	if len(strings.Fields(words)) != 8 || strings.Join(strings.Fields(words), " ") != words {
		t.Fatalf("codename %q is not eight words", words)
	}
	if strings.Count(r.body, words) != 1 {
		t.Fatal("the codename stands on the page more than once")
	}
	return words
}

// refused checks that an answer is the form again, with the sentence of error.KEY
// and the text, and that the vault holds no report.
func (w *world) refused(r response, status int, key, text string) {
	w.t.Helper()
	sentence := w.sentence("es", "error."+key)
	if r.status != status || !strings.Contains(r.body, sentence) {
		w.t.Fatalf("status %d, want %d with %q in:\n%s", r.status, status, sentence, r.body)
	}
	if text != "" && !strings.Contains(r.body, "\n"+text+"</textarea>") {
		w.t.Errorf("the text is not shown again")
	}
	tokenIn(w.t, r)
	w.stored(0)
}

// sentence is a text of the catalogues, as it stands in HTML.
func (w *world) sentence(lang, id string) string {
	w.t.Helper()
	text, err := w.site.locales.text(lang, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.NewReplacer("'", "&#39;").Replace(text)
}

// stored checks how many reports the vault holds.
func (w *world) stored(want int) {
	w.t.Helper()
	seen := map[vault.ItemID]bool{}
	for _, d := range w.desks {
		for _, item := range w.vault.Items(d.ID) {
			seen[item.ID] = true
		}
	}
	if len(seen) != want {
		w.t.Fatalf("vault holds %d reports, want %d", len(seen), want)
	}
}

// open opens a stored item with one of the keys.
func (w *world) open(item vault.Item, key string) (*seal.Report, error) {
	w.t.Helper()
	c, err := w.vault.OpenItem(item.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return seal.Open(c, item.Size, seal.Expect{Origin: testOrigin, Case: string(item.Case)}, w.keys[key])
}

// only returns the one item of a desk, opened with key.
func (w *world) only(desk, key string) *seal.Report {
	w.t.Helper()
	items := w.vault.Items(desk)
	if len(items) != 1 {
		w.t.Fatalf("desk %s has %d items, want 1", desk, len(items))
	}
	r, err := w.open(items[0], key)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func entry(t *testing.T, r *seal.Report, name string) string {
	t.Helper()
	b, err := fs.ReadFile(r, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
