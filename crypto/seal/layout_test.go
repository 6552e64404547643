package seal

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"math"
	"slices"
	"testing"
)

// sparse is a large file of which only what is not zero is kept.
type sparse struct {
	pieces []piece
	size   int64
}

type piece struct {
	off int64
	b   []byte
}

// Write appends p. Writes of 64 KiB are the zeros of writeZip.
func (s *sparse) Write(p []byte) (int, error) {
	if len(p) < 64<<10 {
		s.pieces = append(s.pieces, piece{s.size, bytes.Clone(p)})
	}
	s.size += int64(len(p))
	return len(p), nil
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.size-off))
	clear(p[:n])
	for _, q := range s.pieces {
		if from := q.off - off; from < int64(n) && from+int64(len(q.b)) > 0 {
			copy(p[max(from, 0):n], q.b[max(-from, 0):])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// writeZip puts the zip of l into s with the calls that Writer makes, not those
// of replay, and sets the CRC-32s of l. Contents that are not given are zeros.
func (s *sparse) writeZip(t *testing.T, l layout, contents map[string][]byte) {
	t.Helper()
	z := zip.NewWriter(s)
	zero := make([]byte, 64<<10)
	var headers []*zip.FileHeader
	for _, e := range l {
		h := newHeader(e.name)
		headers = append(headers, h)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if c := contents[e.name]; c != nil {
			if _, err := w.Write(c); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for n := e.size; n > 0; n -= int64(len(zero)) {
			if _, err := w.Write(zero[:min(n, int64(len(zero)))]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for i, h := range headers {
		l[i].crc = h.CRC32
	}
}

// TestReplayIsTheWritersZip: where a size or an offset needs zip64 records,
// replay writes the same bytes as the calls that Writer makes.
func TestReplayIsTheWritersZip(t *testing.T) {
	const limit = math.MaxUint32 // from here on sizes and offsets are in zip64 records
	for name, l := range map[string]layout{
		"small":               {{name: "message.txt", size: 5}, {name: "files/01", size: 100_000}, {name: "manifest.json", size: 900}},
		"empty entries":       {{name: "message.txt"}, {name: "files/01"}, {name: "manifest.json"}},
		"file below limit":    {{name: "files/01", size: limit - 1}, {name: "files/02", size: 3}, {name: "manifest.json", size: 9}},
		"file at limit":       {{name: "files/01", size: limit}, {name: "manifest.json", size: 9}},
		"file beyond limit":   {{name: "message.txt", size: 4}, {name: "files/01", size: limit + 5}, {name: "files/02", size: 1}, {name: "manifest.json", size: 9}},
		"directory at limit":  {{name: "files/01", size: limit - 30 - 8 - 16}},
		"directory before it": {{name: "files/01", size: limit - 30 - 8 - 16 - 1}},
		"offset at limit":     {{name: "files/01", size: limit - 30 - 8 - 16}, {name: "files/02", size: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want sparse
			want.writeZip(t, l, nil)
			got := &frame{want: &want}
			if err := l.replay(got); err != nil {
				t.Fatal(err)
			}
			if got.off != want.size || l.size() != want.size {
				t.Errorf("replay has %d bytes, size says %d, Writer %d", got.off, l.size(), want.size)
			}
		})
	}
}

// TestPaddingHitsTheSizeExactly, whatever zip64 records the padding itself and
// the entries before it make necessary.
func TestPaddingHitsTheSizeExactly(t *testing.T) {
	sizes := []int64{0, 1, 65000, 65115, 65116, 65117, 65118, 1 << 20, 1<<32 - 1<<20, 1 << 40}
	// Around every place where a record appears, and around 4 GiB, a padded size.
	for _, around := range []int64{math.MaxUint32, 1<<32 - 30 - 8 - 16, 1<<32 - 500} {
		for d := int64(-200); d <= 200; d += 29 {
			sizes = append(sizes, around+d)
		}
	}
	slices.Sort(sizes)
	last := int64(0)
	for _, size := range sizes {
		l := layout{{name: "message.txt", size: 10}, {name: "files/01", size: size}, {name: "manifest.json", size: 1000}}
		n, total := l.padding()
		l = append(l, entry{name: "padding", size: n})
		if got := l.size(); n < 0 || got != total || PaddedSize(got) != got {
			t.Errorf("file of %d bytes: padding of %d makes %d, want %d", size, n, got, total)
		}
		if total < last || float64(n) > float64(size)/32+66000 {
			t.Errorf("file of %d bytes: padding of %d", size, n)
		}
		last = total
	}
}

// TestPaddingBeyondFourGigabytes: padding of 2^32-1 bytes and more has a data
// descriptor that is 8 bytes longer. Where no length fits, the next size is taken.
func TestPaddingBeyondFourGigabytes(t *testing.T) {
	const total = 1<<39 + 1<<33
	overhead := (layout{{name: "files/01", size: 1 << 39}, {name: "padding"}}).size() - 1<<39
	for _, tt := range []struct{ padding, wantTotal int64 }{
		{math.MaxUint32 + 7, total + 1<<33},
		{math.MaxUint32 + 8, total},
	} {
		l := layout{{name: "files/01", size: total - overhead - tt.padding}}
		n, got := l.padding()
		if got != tt.wantTotal {
			t.Errorf("room for %d: total %d, want %d", tt.padding, got, tt.wantTotal)
		}
		if size := append(l, entry{name: "padding", size: n}).size(); size != got {
			t.Errorf("room for %d: padding of %d makes %d, want %d", tt.padding, n, size, got)
		}
	}
}

// TestOpenBeyondFourGigabytes opens the zip of a report with a file of 5 GiB,
// without writing 5 GiB.
func TestOpenBeyondFourGigabytes(t *testing.T) {
	contents := map[string][]byte{"message.txt": []byte("texto"), "files/02": []byte("nota final")}
	m := manifest(t)
	m.Format = Format
	m.Recipients, m.Stanzas = []string{sha256Hex(nil)}, []string{stanzaHybrid}
	m.Files = []File{
		{Entry: "message.txt", Size: 5, SHA256: sha256Hex(contents["message.txt"])},
		{Entry: "files/01", Size: 5 << 30, SHA256: sha256Hex(nil)},
		{Entry: "files/02", Size: 10, SHA256: sha256Hex(contents["files/02"])},
	}
	var err error
	if contents["manifest.json"], err = m.encode(); err != nil {
		t.Fatal(err)
	}
	var l layout
	for _, f := range m.Files {
		l = append(l, entry{name: f.Entry, size: f.Size})
	}
	l = append(l, entry{name: "manifest.json", size: int64(len(contents["manifest.json"]))})
	n, total := l.padding()
	var plain sparse
	plain.writeZip(t, append(l, entry{name: "padding", size: n}), contents)
	if plain.size != total {
		t.Fatalf("zip has %d bytes, want %d", plain.size, total)
	}
	report, err := openPlain(&plain, plain.size)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"message.txt", "files/02"} {
		if b, err := fs.ReadFile(report, f); err != nil || !bytes.Equal(b, contents[f]) {
			t.Errorf("%s: %q, %v", f, b, err)
		}
	}
	if info, err := fs.Stat(report, "files/01"); err != nil || info.Size() != 5<<30 {
		t.Errorf("files/01: %v, %v", info, err)
	}
}
