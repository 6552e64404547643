package backup

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzManifest(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	m := Manifest{head: head{Format: Format, Number: 7, Owner: OwnerOf([]byte("key"), []string{"age1x"})}}
	for _, e := range []Entry{
		{Name: metaName, File: "000007/vault.db.age", Size: 1, SHA256: sum},
		{Name: "blobs/00000001.db", Version: sum, File: "blobs/00000001-0123456789abcdef.age", Size: 1 << 40, SHA256: sum},
		{Name: slotsName, File: "keys/000007.age", SHA256: sum},
		{Name: stateName, File: "000007/state.age", SHA256: sum},
	} {
		m.add(e)
	}
	text := m.Marshal()
	if _, err := ParseManifest(text); err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(m.inner().Marshal())
	f.Add(bytes.Replace(text, []byte("blobs/00000001-"), []byte("../blobs/x-"), 1))
	f.Add(append(text, text...))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Marshal(), text) {
			t.Errorf("%q was read as %+v", text, m)
		}
		for _, e := range m.Entries {
			if !filepath.IsLocal(e.File) || !filepath.IsLocal(e.Name) {
				t.Errorf("%+v leads out of the folder", e)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	state := map[string][]byte{"resguardo.toml": []byte("x"), "cards/" + strings.Repeat("0", 64) + ".card": nil, "onion/source/hs_ed25519_secret_key": {1, 2}}
	packed, err := packState(state, []byte("manifest\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(bytes.Replace(packed, []byte("state/resguardo.toml"), []byte("state/../vault.db\x00\x00\x00"), 1))
	f.Fuzz(func(t *testing.T, packed []byte) {
		state, manifest, err := unpackState(packed)
		if err != nil {
			return
		}
		again, err := packState(state, manifest)
		if err != nil {
			t.Fatal(err)
		}
		for name := range state {
			if !filepath.IsLocal(name) || !keeps(name) {
				t.Errorf("%q was taken", name)
			}
		}
		if twice, m, err := unpackState(again); err != nil || len(twice) != len(state) || !bytes.Equal(m, manifest) {
			t.Errorf("not the same again: %v", err)
		}
	})
}
