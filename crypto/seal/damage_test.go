package seal

import (
	"bytes"
	"fmt"
	"testing"
)

// Sizes of an age payload, in bytes.
const (
	nonceSize = 16
	chunkSize = 64<<10 + 16
)

// headerSize is the length of the age header of sealed.
func headerSize(t testing.TB, sealed []byte) int {
	t.Helper()
	i := bytes.Index(sealed, []byte("\n--- "))
	if i < 0 {
		t.Fatal("no header")
	}
	return i + 1 + bytes.IndexByte(sealed[i+1:], '\n') + 1
}

// edges are the offsets in sealed where something begins.
func edges(t testing.TB, sealed []byte) []int {
	t.Helper()
	header := headerSize(t, sealed)
	list := []int{0, header, header + nonceSize}
	for at := header + nonceSize; at < len(sealed); at += chunkSize {
		list = append(list, at, min(at+chunkSize, len(sealed))-16)
	}
	return append(list, len(sealed))
}

// TestTruncationIsNoticed at every edge and one byte beside it.
func TestTruncationIsNoticed(t *testing.T) {
	id, r := identity(t, 1)
	_, other := identity(t, 2)
	sealed := someParts.seal(t, r, other)
	for _, edge := range edges(t, sealed) {
		for _, n := range []int{edge - 1, edge, edge + 1} {
			if n < 0 || n >= len(sealed) {
				continue
			}
			if _, err := open(sealed[:n], id); err == nil {
				t.Errorf("cut to %d of %d bytes it opens", n, len(sealed))
			}
		}
	}
}

func TestAppendedBytesAreNoticed(t *testing.T) {
	id, r := identity(t, 1)
	sealed := someParts.seal(t, r)
	for name, more := range map[string][]byte{
		"a zero":         {0},
		"a newline":      {'\n'},
		"a tag":          make([]byte, 16),
		"a chunk":        make([]byte, chunkSize),
		"the last chunk": sealed[len(sealed)-(len(sealed)-headerSize(t, sealed)-nonceSize)%chunkSize:],
		"itself":         sealed,
	} {
		if _, err := open(append(bytes.Clone(sealed), more...), id); err == nil {
			t.Errorf("with %s behind it opens", name)
		}
		if _, err := open(append(bytes.Clone(more), sealed...), id); err == nil {
			t.Errorf("with %s before it opens", name)
		}
	}
}

// TestBitFlipsAreNoticed in every byte of the header and around every edge.
func TestBitFlipsAreNoticed(t *testing.T) {
	id, r := identity(t, 1)
	sealed := someParts.seal(t, r)
	flip := func(i int, bit byte) {
		sealed[i] ^= bit
		if _, err := open(sealed, id); err == nil {
			t.Errorf("with bit %#x of byte %d flipped it opens", bit, i)
		}
		sealed[i] ^= bit
	}
	for i := range headerSize(t, sealed) + nonceSize {
		flip(i, 1<<(i%8))
	}
	for _, edge := range edges(t, sealed) {
		for _, i := range []int{edge - 1, edge, edge + 1, edge + 7} {
			if i >= 0 && i < len(sealed) {
				flip(i, 0x80)
			}
		}
	}
	if _, err := open(sealed, id); err != nil {
		t.Errorf("unharmed: %v", err)
	}
}

// TestSwapsAreNoticed: header of one report, payload of another; chunks in
// another order, left out, or from another report.
func TestSwapsAreNoticed(t *testing.T) {
	id, r := identity(t, 1)
	a, b := someParts.seal(t, r), someParts.seal(t, r)
	if len(a) != len(b) || bytes.Equal(a, b) {
		t.Fatal("two reports should differ in their randomness only")
	}
	header := headerSize(t, a)
	payload := header + nonceSize
	chunk := func(s []byte, n int) []byte { return s[payload+n*chunkSize : min(payload+(n+1)*chunkSize, len(s))] }
	chunks := (len(a) - payload + chunkSize - 1) / chunkSize
	join := bytes.Join
	for name, doctored := range map[string][]byte{
		"header of the other":           join([][]byte{b[:header], a[header:]}, nil),
		"header and nonce of the other": join([][]byte{b[:payload], a[payload:]}, nil),
		"nonce of the other":            join([][]byte{a[:header], b[header:payload], a[payload:]}, nil),
		"two chunks exchanged":          join([][]byte{a[:payload], chunk(a, 1), chunk(a, 0), a[payload+2*chunkSize:]}, nil),
		"a chunk twice":                 join([][]byte{a[:payload], chunk(a, 0), chunk(a, 0), a[payload+2*chunkSize:]}, nil),
		"a chunk left out":              join([][]byte{a[:payload], a[payload+chunkSize:]}, nil),
		"first chunk of the other":      join([][]byte{a[:payload], chunk(b, 0), a[payload+chunkSize:]}, nil),
		"last chunk of the other":       join([][]byte{a[:len(a)-len(chunk(a, chunks-1))], chunk(b, chunks-1)}, nil),
		"a chunk as the last":           a[:payload+2*chunkSize],
	} {
		if _, err := open(doctored, id); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}

// TestSwappedStanzaLocksOut: who writes another stanza over one recipient's
// breaks the header's MAC for all; Stanzas alone cannot tell.
func TestSwappedStanzaLocksOut(t *testing.T) {
	id, r := identity(t, 1)
	_, other := identity(t, 2)
	a, b := someParts.seal(t, r, other), someParts.seal(t, r, other)
	second := func(s []byte) int { return bytes.LastIndex(s[:headerSize(t, s)], []byte("-> ")) }
	doctored := fmt.Append(nil, string(a[:second(a)]), string(b[second(b):headerSize(t, b)]), string(a[headerSize(t, a):]))
	before, err := Stanzas(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	after, err := Stanzas(bytes.NewReader(doctored))
	if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("stanzas %q, then %q, %v", before, after, err)
	}
	if _, err := open(doctored, id); err == nil {
		t.Error("it opens")
	}
}

func TestStanzasRefusesOtherFiles(t *testing.T) {
	_, r := identity(t, 1)
	sealed := someParts.seal(t, r)
	for name, b := range map[string][]byte{
		"empty":      nil,
		"text":       []byte("hola\n"),
		"cut header": sealed[:headerSize(t, sealed)-1],
	} {
		if types, err := Stanzas(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: %q", name, types)
		}
	}
}
