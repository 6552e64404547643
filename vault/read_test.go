package vault_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"resguardo/vault"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// stored commits a text and opens it again.
func stored(t testing.TB, v *vault.Vault, text []byte) vault.Ciphertext {
	t.Helper()
	d, err := v.Create(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(context.Background(), submission("north")); err != nil {
		t.Fatal(err)
	}
	c, err := v.OpenItem(d.ID())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCiphertextIsAReader runs the standard library's test of readers, seekers and readers at an offset.
func TestCiphertextIsAReader(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	for _, n := range []int{1, 64 << 10, 300 << 10} {
		text := append([]byte(header), payload(n)...)
		if err := iotest.TestReader(stored(t, v, text), text); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestReadsAtOnce(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	text := append([]byte(header), payload(9<<20)...)
	c := stored(t, v, text)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				from := rand.IntN(len(text))
				got := make([]byte, rand.IntN(600<<10))
				n, err := c.ReadAt(got, int64(from))
				want := text[from:min(from+len(got), len(text))]
				if !bytes.Equal(got[:n], want) || (err == io.EOF) != (n < len(got)) {
					t.Errorf("%d bytes at %d: %d, %v", len(got), from, n, err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if _, err := send(v, 64<<10, submission("north")); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for _, off := range []int64{-1, -1 << 40} {
		if _, err := c.ReadAt(make([]byte, 1), off); err == nil || err == io.EOF {
			t.Errorf("read at %d: %v", off, err)
		}
		if _, err := c.Seek(off, io.SeekStart); err == nil {
			t.Errorf("seek to %d", off)
		}
	}
	if n, err := c.ReadAt(make([]byte, 1), 1<<40); n != 0 || err != io.EOF {
		t.Errorf("read far beyond the end: %d, %v", n, err)
	}
	if _, err := c.Seek(0, 9); err == nil {
		t.Error("seek from nowhere")
	}
}

// TestManyAtOnce commits from many goroutines, long drafts among texts.
func TestManyAtOnce(t *testing.T) {
	v := open(t, newDir(t), vault.Options{BlobSize: 8 << 20})
	var mu sync.Mutex
	var all []made
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for range 4 {
				n := 64 << 10
				if i%8 == 0 {
					n = 5 << 20
				}
				m, err := send(v, n, submission("north"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, m)
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for range 3 {
			clean(t, v)
		}
	})
	wg.Wait()
	if len(v.Items("north")) != len(all) || len(all) != 128 {
		t.Errorf("%d items listed, %d stored", len(v.Items("north")), len(all))
	}
	for _, m := range all {
		if sum, err := hash(v, m.id); err != nil || sum != m.sum {
			t.Errorf("item %s: %v", m.id, err)
		}
	}
	clean(t, v)
}
