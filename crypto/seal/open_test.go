package seal

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"
)

// doctored builds the plaintext of a report with archive/zip alone, so that it
// can be built wrongly. The zero value, with files, builds what Writer writes.
type doctored struct {
	files    []zipEntry          // message, answers, files
	manifest func(*Manifest)     // changes the manifest
	text     func([]byte) []byte // changes its text
	change   func([]zipEntry) []zipEntry
	offset   int64               // the zip claims to begin here
	comment  string              // of the zip
	raw      func([]byte) []byte // changes the finished plaintext
}

type zipEntry struct {
	name   string
	body   []byte
	header func(*zip.FileHeader)
}

func (d doctored) build(t testing.TB) []byte {
	t.Helper()
	m := manifest(t)
	m.Format = Format
	m.Recipients, m.Stanzas = []string{sha256Hex(nil)}, []string{stanzaHybrid}
	entries := d.files
	if entries == nil {
		entries = []zipEntry{{name: "message.txt", body: []byte("texto")}, {name: "files/01", body: bytes.Repeat([]byte("foto"), 1000)}}
	}
	for _, e := range entries {
		m.Files = append(m.Files, File{Entry: e.name, Size: int64(len(e.body)), SHA256: sha256Hex(e.body)})
	}
	if d.manifest != nil {
		d.manifest(&m)
	}
	text := encodeAnyway(t, m)
	if d.text != nil {
		text = d.text(text)
	}
	entries = append(bytesClone(entries), zipEntry{name: "manifest.json", body: text}, zipEntry{name: "padding"})
	if d.change != nil {
		entries = d.change(entries)
	}
	// The length of the padding by trial: archive/zip alone knows the rest.
	size := int64(len(d.zip(t, entries)))
	for i := range entries {
		if entries[i].name == "padding" && entries[i].body == nil {
			entries[i].body = make([]byte, PaddedSize(size)-size)
			break
		}
	}
	b := d.zip(t, entries)
	if d.raw != nil {
		b = d.raw(b)
	}
	return b
}

func (d doctored) zip(t testing.TB, entries []zipEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.SetOffset(d.offset)
	if err := z.SetComment(d.comment); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name}
		if e.header != nil {
			e.header(h)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil && len(e.body) > 0 {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func bytesClone(e []zipEntry) []zipEntry { return append([]zipEntry(nil), e...) }

func openBytes(b []byte) (*Report, error) { return openPlain(bytes.NewReader(b), int64(len(b))) }

// index returns where the nth (from 0) record with the signature begins.
func index(t testing.TB, b []byte, signature string, n int) int {
	t.Helper()
	at := 0
	for ; n >= 0; n-- {
		i := bytes.Index(b[at:], []byte(signature))
		if i < 0 {
			t.Fatalf("no record %q", signature)
		}
		at += i + 1
	}
	return at - 1
}

// Signatures of zip records.
const (
	local      = "PK\x03\x04"
	descriptor = "PK\x07\x08"
	central    = "PK\x01\x02"
	end        = "PK\x05\x06"
)

// flip changes the byte off bytes into the nth record with the signature.
func flip(t *testing.T, signature string, n, off int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[index(t, b, signature, n)+off] ^= 1
		return b
	}
}

// TestOpenRefusesDoctoredZips: every one of these is a zip, or nearly one, that
// some program somewhere would open.
func TestOpenRefusesDoctoredZips(t *testing.T) {
	if r, err := openBytes(doctored{}.build(t)); err != nil {
		t.Fatalf("the plain report: %v", err)
	} else if err := r.Verify(); err != nil {
		t.Fatalf("the plain report: %v", err)
	}
	message := zipEntry{name: "message.txt", body: []byte("texto")}
	on := func(i int, f func(*zipEntry)) func([]zipEntry) []zipEntry {
		return func(e []zipEntry) []zipEntry {
			f(&e[i])
			return e
		}
	}
	header := func(i int, f func(*zip.FileHeader)) doctored {
		return doctored{change: on(i, func(e *zipEntry) { e.header = f })}
	}
	insert := func(i int, n zipEntry) doctored {
		return doctored{change: func(e []zipEntry) []zipEntry {
			return append(e[:i:i], append([]zipEntry{n}, e[i:]...)...)
		}}
	}
	for name, d := range map[string]doctored{
		"compressed":                 header(0, func(h *zip.FileHeader) { h.Method = zip.Deflate }),
		"a time":                     header(0, func(h *zip.FileHeader) { h.Modified = time.Unix(1e9, 0) }),
		"a date in the directory":    {raw: flip(t, central, 0, 14)},
		"an extra field":             header(0, func(h *zip.FileHeader) { h.Extra = []byte{1, 2, 0, 0} }),
		"a comment on an entry":      header(0, func(h *zip.FileHeader) { h.Comment = "x" }),
		"file permissions":           header(0, func(h *zip.FileHeader) { h.SetMode(0o755) }),
		"a symbolic link":            header(1, func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }),
		"another name":               header(0, func(h *zip.FileHeader) { h.Name = "message.exe" }),
		"a path upwards":             header(1, func(h *zip.FileHeader) { h.Name = "files/../../01" }),
		"an absolute path":           header(1, func(h *zip.FileHeader) { h.Name = "/files/01" }),
		"a backslash":                header(1, func(h *zip.FileHeader) { h.Name = `files\01` }),
		"a number with three digits": header(1, func(h *zip.FileHeader) { h.Name = "files/001" }),
		"a second file first":        header(1, func(h *zip.FileHeader) { h.Name = "files/02" }),
		"UTF-8 flag":                 header(0, func(h *zip.FileHeader) { h.Flags |= 0x800 }),
		"an unlisted file":           insert(2, zipEntry{name: "files/02", body: []byte("x")}),
		"a directory":                insert(1, zipEntry{name: "files/"}),
		"a second message":           insert(1, message),
		"a second manifest":          insert(2, zipEntry{name: "manifest.json", body: []byte("{}")}),
		"an entry behind padding":    insert(4, zipEntry{name: "files/02", body: []byte("x")}),
		"a second padding":           insert(3, zipEntry{name: "padding", body: []byte{}}),
		"no padding":                 {change: func(e []zipEntry) []zipEntry { return e[:3] }},
		"no manifest":                {change: func(e []zipEntry) []zipEntry { return append(e[:2:2], e[3]) }},
		"no entries":                 {change: func([]zipEntry) []zipEntry { return nil }},
		"message missing":            {change: func(e []zipEntry) []zipEntry { return e[1:] }},
		"wrong order":                {change: func(e []zipEntry) []zipEntry { e[0], e[1] = e[1], e[0]; return e }},
		"manifest before files":      {change: func(e []zipEntry) []zipEntry { e[1], e[2] = e[2], e[1]; return e }},
		"size differs":               {change: on(0, func(e *zipEntry) { e.body = []byte("textos") })},
		"manifest over 1 MiB":        {text: func(b []byte) []byte { return append(b, make([]byte, MaxManifest)...) }},
		"size not padded":            {change: on(3, func(e *zipEntry) { e.body = make([]byte, 70001) })},
		"padded size too small":      {change: on(3, func(e *zipEntry) { e.body = []byte{} })},
		"too many entries":           {files: slicesOf(t, MaxEntries+1)},
		"a comment on the zip":       {comment: "x"},
		"offsets from elsewhere":     {offset: 10},

		"bytes before":         {raw: func(b []byte) []byte { return append(make([]byte, PaddedSize(int64(len(b)+1))-int64(len(b))), b...) }},
		"bytes behind":         {raw: func(b []byte) []byte { return append(b, make([]byte, PaddedSize(int64(len(b)+1))-int64(len(b)))...) }},
		"cut":                  {raw: func(b []byte) []byte { return b[:len(b)-1] }},
		"cut to a padded size": {raw: func(b []byte) []byte { return append(b, b[:2048]...)[2048:] }},
		"empty":                {raw: func([]byte) []byte { return nil }},
		"zeros":                {raw: func([]byte) []byte { return make([]byte, 65536) }},

		"local name differs":        {raw: flip(t, local, 0, 30)},
		"local size given":          {raw: flip(t, local, 0, 18)},
		"local method differs":      {raw: flip(t, local, 0, 8)},
		"descriptor CRC differs":    {raw: flip(t, descriptor, 0, 4)},
		"descriptor size differs":   {raw: flip(t, descriptor, 1, 8)},
		"directory CRC differs":     {raw: flip(t, central, 0, 16)},
		"directory size differs":    {raw: flip(t, central, 1, 20)},
		"directory offset differs":  {raw: flip(t, central, 1, 42)},
		"directory version differs": {raw: flip(t, central, 0, 4)},
		"internal attributes":       {raw: flip(t, central, 0, 36)},
		"count on this disk":        {raw: flip(t, end, 0, 8)},
		"disk number":               {raw: flip(t, end, 0, 4)},
		"huge size":                 {raw: hugeSize(t, math.MaxUint32-1)},
		"zip64 size":                {raw: hugeSize(t, math.MaxUint32)},

		"manifest is no JSON":     {text: func([]byte) []byte { return []byte("hola\n") }},
		"manifest with a CR":      {text: func(b []byte) []byte { return bytes.Replace(b, []byte("\n"), []byte("\r\n"), 1) }},
		"manifest lists less":     {manifest: func(m *Manifest) { m.Files = m.Files[:1] }},
		"manifest lists more":     {manifest: func(m *Manifest) { m.Files = append(m.Files, File{Entry: "files/02", SHA256: sha256Hex(nil)}) }},
		"manifest lists other":    {manifest: func(m *Manifest) { m.Files[0].Entry = "answers.json" }},
		"manifest's size differs": {manifest: func(m *Manifest) { m.Files[1].Size++ }},
		"another format":          {manifest: func(m *Manifest) { m.Format = "resguardo/report/v2" }},
	} {
		if r, err := openBytes(d.build(t)); err == nil {
			t.Errorf("%s: opened: %+v", name, r.Manifest.Files)
		} else if testing.Verbose() {
			t.Logf("%s: %v", name, err)
		}
	}
}

func slicesOf(t *testing.T, n int) (e []zipEntry) {
	t.Helper()
	for i := range n {
		e = append(e, zipEntry{name: fmt.Sprintf("files/%02d", i+1), body: []byte("x")})
	}
	return e
}

// TestOpenReadsNoHugeDirectory: a directory larger than any of ours is not read.
func TestOpenReadsNoHugeDirectory(t *testing.T) {
	d := doctored{change: func(e []zipEntry) []zipEntry {
		for i := range e {
			e[i].header = func(h *zip.FileHeader) { h.Comment = strings.Repeat("x", 60_000) }
		}
		return e
	}}
	if _, err := openBytes(d.build(t)); err == nil || !strings.Contains(err.Error(), "directory is too large") {
		t.Errorf("error %v", err)
	}
}

// TestOpenRefusesClaimedExabytes: without a bound on the sizes that a directory
// claims, comparing the frame would take years.
func TestOpenRefusesClaimedExabytes(t *testing.T) {
	build := func(padding int) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		if _, err := z.CreateRaw(&zip.FileHeader{
			Name: "message.txt", Flags: 0x8, CreatorVersion: 20, ReaderVersion: 20, CompressedSize64: 1 << 60, UncompressedSize64: 1 << 60,
		}); err != nil {
			t.Fatal(err)
		}
		w, err := z.CreateHeader(newHeader("padding"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, padding)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	b := build(minPadded - len(build(0)))
	if len(b) != minPadded {
		t.Fatalf("built %d bytes", len(b))
	}
	if _, err := openBytes(b); !errors.Is(err, errFrame) {
		t.Errorf("error %v", err)
	}
}

func TestOpenReadsNoHugeManifest(t *testing.T) {
	d := doctored{text: func(b []byte) []byte { return append(b, make([]byte, MaxManifest)...) }}
	if _, err := openBytes(d.build(t)); err == nil || !strings.Contains(err.Error(), "manifest has more than") {
		t.Errorf("error %v", err)
	}
}

// hugeSize makes the directory claim a size that would keep replay busy.
func hugeSize(t *testing.T, size uint32) func([]byte) []byte {
	return func(b []byte) []byte {
		at := index(t, b, central, 1)
		binary.LittleEndian.PutUint32(b[at+20:], size)
		binary.LittleEndian.PutUint32(b[at+24:], size)
		return b
	}
}

// TestReadRefusesWrongContent: an error instead of the last bytes and of io.EOF,
// for a caller that reads to the end and for one that reads what Size says.
func TestReadRefusesWrongContent(t *testing.T) {
	body := bytes.Repeat([]byte("foto"), 1000)
	for name, d := range map[string]doctored{
		"SHA-256 differs": {manifest: func(m *Manifest) { m.Files[1].SHA256 = sha256Hex([]byte("other")) }},
		"content differs": {raw: func(b []byte) []byte {
			b[bytes.Index(b, body)] ^= 1
			return b
		}},
		"CRC-32 differs": {raw: func(b []byte) []byte {
			crc := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
			return bytes.ReplaceAll(b, crc, []byte("abcd"))
		}},
		"an empty file with a digest": {
			files:    []zipEntry{{name: "message.txt", body: []byte("texto")}, {name: "files/01"}},
			manifest: func(m *Manifest) { m.Files[1].SHA256 = sha256Hex([]byte("x")) },
		},
	} {
		r, err := openBytes(d.build(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := r.Verify(); !errors.Is(err, errContent) {
			t.Errorf("%s: Verify: %v", name, err)
		}
		if b, err := fs.ReadFile(r, "message.txt"); err != nil || string(b) != "texto" {
			t.Errorf("%s: the message beside it: %q, %v", name, b, err)
		}
		if _, err := fs.ReadFile(r, "files/01"); !errors.Is(err, errContent) {
			t.Errorf("%s: ReadFile: %v", name, err)
		}
		f, err := r.Open("files/01")
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, r.Manifest.Files[1].Size)
		if _, err := io.ReadFull(f, buf); len(buf) > 0 && !errors.Is(err, errContent) {
			t.Errorf("%s: ReadFull of its size: %v", name, err)
		}
		if n, err := f.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errContent) {
			t.Errorf("%s: a later Read: %d, %v", name, n, err)
		}
	}
}

func TestVerifyRefusesPaddingThatIsNotZero(t *testing.T) {
	d := doctored{change: func(e []zipEntry) []zipEntry {
		// With a right CRC-32, so that only the zeros count.
		e[3].body = make([]byte, 65536-len(doctored{}.zip(t, e)))
		e[3].body[len(e[3].body)-1] = 1
		return e
	}}
	r, err := openBytes(d.build(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err == nil || !strings.Contains(err.Error(), "padding") {
		t.Errorf("Verify: %v", err)
	}
}

func TestReportOpenRefusesNames(t *testing.T) {
	r, err := openBytes(doctored{}.build(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"padding":           fs.ErrNotExist,
		"files/02":          fs.ErrNotExist,
		"answers.json":      fs.ErrNotExist,
		"files/01/x":        fs.ErrNotExist,
		"":                  fs.ErrInvalid,
		"/message.txt":      fs.ErrInvalid,
		"../message.txt":    fs.ErrInvalid,
		"files/../files/01": fs.ErrInvalid,
	} {
		if _, err := r.Open(name); !errors.Is(err, want) {
			t.Errorf("Open(%q): %v, want %v", name, err, want)
		}
	}
	f, err := r.Open("message.txt")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}
