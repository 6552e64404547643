package vault

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestSlotVector is the example of docs/formats.md.
func TestSlotVector(t *testing.T) {
	s := slot{class: itemSlot}
	for i := range 32 {
		s.key[i] = byte(i)
	}
	for i := range 16 {
		s.owner[i] = 0xa0 + byte(i)
	}
	const want = "72657367756172646f2f736c6f742f3149000000000000000000000000000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00000000000000000000000000000000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f828bcb8866d3549f1a00042a7a9e9f4766daba07cfaa52cb43ea3a69b4ebb5e8"
	b := s.encode(7)
	if len(b) != slotSize || hex.EncodeToString(b[:128]) != want || !isZero(b[128:]) {
		t.Errorf("slot 7 is %x", b)
	}
}

func FuzzSlot(f *testing.F) {
	f.Add(slot{class: caseSlot, key: [32]byte{1}}.encode(0), uint64(0))
	f.Add(make([]byte, slotSize), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, number uint64) {
		b = append(b, make([]byte, slotSize)...)[:slotSize]
		if s, err := decodeSlot(b, number); err == nil && !bytes.Equal(s.encode(number), b) {
			t.Errorf("%x is not what encode writes", b)
		}
	})
}

// TestRowVector is the example of docs/formats.md: a header row, opened.
func TestRowVector(t *testing.T) {
	id, _ := hex.DecodeString("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
	row, _ := hex.DecodeString("0000000000000007404142434445464748494a4b4c4d4e4f5051525354555657b55e605db58e1a64f684f3d7c0f24bfde0dd82b22253b19758eef6ef443ccb95421c4fe22b7d")
	var key [32]byte
	for i := range key {
		key[i] = byte(i)
	}
	text, err := openRow(headersBucket, id, row, headerClear, key)
	if err != nil || string(text) != "age-encryption.org/v1\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestRowOpensOnlyInItsPlace changes everything that the associated data binds.
func TestRowOpensOnlyInItsPlace(t *testing.T) {
	key, id := [32]byte{1}, []byte("0123456789abcdef")
	row := sealRow(itemsBucket, id, clearState(5), []byte("record"), key)
	open := func(bucket string, id, row []byte, key [32]byte) error {
		_, err := openRow(bucket, id, row, stateClear, key)
		return err
	}
	if err := open(itemsBucket, id, row, key); err != nil {
		t.Fatal(err)
	}
	if open(casesBucket, id, row, key) == nil || open(itemsBucket, id[:15], row, key) == nil || open(itemsBucket, id, row, [32]byte{2}) == nil {
		t.Error("a row opens in another place")
	}
	for i := range row {
		changed := bytes.Clone(row)
		changed[i] ^= 1
		if open(itemsBucket, id, changed, key) == nil {
			t.Errorf("a row opens with byte %d changed", i)
		}
	}
	for n := range row {
		if open(itemsBucket, id, row[:n], key) == nil {
			t.Errorf("a row opens without its last %d bytes", len(row)-n)
		}
	}
}

func FuzzDecodeItem(f *testing.F) {
	f.Add([]byte(`{"case":"aaaaaaaaaaaaaaaa","number":0,"event":"AAAA","opening":"AAAA"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, o, err := decodeItem(b); err == nil {
			again, o2, err := decodeItem(encodeRecord(r, itemPad))
			if err != nil || o2 != o || again.Size != r.Size || again.Header != r.Header {
				t.Errorf("%q does not survive: %v", b, err)
			}
		}
	})
}

func FuzzDecodeCase(f *testing.F) {
	f.Add([]byte(`{"case":"aaaaaaaaaaaaaaaa","thread":"AAAAAAAAAAAAAAAAAAAAAA==","expire":"AAAA","items":["00"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeCase(b); err == nil {
			if again, err := decodeCase(encodeRecord(r, casePad)); err != nil || again.Case != r.Case || len(again.Items) != len(r.Items) {
				t.Errorf("%q does not survive: %v", b, err)
			}
		}
	})
}

// TestHeaderSplit gives a header in pieces of every size.
func TestHeaderSplit(t *testing.T) {
	const head = "age-encryption.org/v1\n-> X25519 abc\n---x\n -- \n--- mac\n"
	const body = "--- not a header any more\nbinary"
	for size := 1; size <= len(head)+len(body); size++ {
		d := new(Draft)
		text := []byte(head + body)
		var rest []byte
		for len(text) > 0 {
			piece := text[:min(size, len(text))]
			text = text[len(piece):]
			if !d.whole {
				piece = d.takeHeader(piece)
			}
			rest = append(rest, piece...)
		}
		if string(d.header) != head || string(rest) != body || d.err != nil {
			t.Fatalf("pieces of %d: header %q, payload %q, %v", size, d.header, rest, d.err)
		}
	}
	for _, c := range []struct {
		length int
		ok     bool
	}{{maxHeader, true}, {maxHeader + 1, false}} {
		d := new(Draft)
		d.takeHeader(append(bytes.Repeat([]byte{'x'}, c.length-len("\n--- m\n")), "\n--- m\n"...))
		if d.whole != c.ok || (d.err == nil) != c.ok {
			t.Errorf("header of %d bytes: %v", c.length, d.err)
		}
	}
}

// TestSlotNumbersAreDrawn: they tell neither the order of arrival nor which two belong together.
func TestSlotNumbersAreDrawn(t *testing.T) {
	f := &slotFile{next: 1}
	seen := make(map[uint64]bool)
	neighbours := 0
	last := uint64(0)
	for range 2 * slotStep {
		n := f.reserve()
		if seen[n] || n == 0 {
			t.Fatalf("number %d a second time", n)
		}
		seen[n] = true
		if n == last+1 || n == last-1 {
			neighbours++
		}
		last = n
	}
	if neighbours > slotStep/8 {
		t.Errorf("%d of %d numbers stand beside the one before", neighbours, 2*slotStep)
	}
}

// TestJobsSmallBeforeBulk: a round takes at most 4 MiB of each priority, in order.
func TestJobsSmallBeforeBulk(t *testing.T) {
	q := newJobs()
	add := func(p priority, size int) *job {
		j := &job{priority: p, segment: &segment{size: size}}
		q.submit(j)
		return j
	}
	b1, b2 := add(bulk, segmentSize), add(bulk, 1<<20)
	b3, b4 := add(bulk, 2<<20), add(bulk, 2<<20)
	s1, s2 := add(small, 100), add(small, 200)
	for _, want := range [][]*job{{s1, s2, b1}, {b2, b3}, {b4}} {
		smalls, bulks, ok := q.take()
		got := append(smalls, bulks...)
		if !ok || len(got) != len(want) {
			t.Fatalf("round of %d jobs, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("job %d of the round is another", i)
			}
		}
	}
	late := add(bulk, 1)
	q.close()
	if _, bulks, ok := q.take(); !ok || bulks[0] != late {
		t.Error("a job that waited at close is not done")
	}
	if _, _, ok := q.take(); ok {
		t.Error("a closed queue goes on")
	}
	if err := <-q.submit(new(job)); err != ErrClosed {
		t.Errorf("submit after close: %v", err)
	}
}

// TestDraftMemory: a text report takes little, a long one two segments.
func TestDraftMemory(t *testing.T) {
	var s segment
	memory := func() (n int) {
		for _, v := range s.values[:cap(s.values)] {
			n += cap(v)
		}
		return n
	}
	if n := s.append(make([]byte, 64<<10+32)); n != 64<<10+32 || memory() > 80<<10 {
		t.Errorf("a text report takes %d bytes", memory())
	}
	for i := range 3 {
		rest := segmentSize - s.size
		if n := s.append(make([]byte, segmentSize+1)); n != rest || s.size != segmentSize || len(s.values) != segmentChunks || memory() > segmentSize+valueSize/8 {
			t.Errorf("round %d: %d bytes taken, %d values, %d bytes of memory", i, n, len(s.values), memory())
		}
		s.reset()
	}
}
