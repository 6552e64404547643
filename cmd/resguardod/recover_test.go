package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"resguardo/vault"
)

// TestMirrorIsAWebHost: what log export wrote, any web host can serve.
func TestMirrorIsAWebHost(t *testing.T) {
	mirror := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		time.Sleep(20 * testEpoch)
		synctest.Wait()
		own, err := s.dir.LogVerifier(s.vault.Genesis().Origin)
		s.check(err)
		n, err := export(t.Context(), mirror, own, fromVault(s.vault))
		s.check(err)
		if n < 256 {
			t.Errorf("only %d leaves: no tile is full", n)
		}
		s.check(stop())
	})
	server := httptest.NewServer(http.FileServer(http.Dir(mirror)))
	defer server.Close()
	tiles, err := openMirror(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	local, err := openMirror("file://"+mirror, "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := local.ReadEndpoint(t.Context(), checkpointFile)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tiles.ReadEndpoint(t.Context(), checkpointFile)
	if err != nil || string(got) != string(want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, path := range []string{"tile/entries/000", "tile/0/000", "tile/1/000.p/1"} {
		if _, err := tiles.ReadEndpoint(t.Context(), path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestHostileMirror: an answer without end, one that leads elsewhere, a path that
// leads out of the folder.
func TestHostileMirror(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/checkpoint", http.StatusFound)
			return
		}
		io.Copy(w, zeros{})
	}))
	defer server.Close()
	tiles, err := openMirror(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := tiles.ReadEndpoint(t.Context(), checkpointFile); len(b) > maxMirrorFile {
		t.Errorf("read %d bytes, %v", len(b), err)
	}
	if _, err := tiles.ReadEndpoint(t.Context(), "moved"); err == nil {
		t.Error("followed a redirect")
	}
	local, err := openMirror(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.ReadEndpoint(t.Context(), "../../etc/passwd"); err == nil {
		t.Error("left the folder")
	}
	for _, address := range []string{"http://mirror.example/", "https://10.0.0.1/", "http://x.onion/log/"} {
		if _, err := openMirror(address, ""); err == nil {
			t.Errorf("%s without tor", address)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestOldMirrorDoesNotHelp: a mirror that is older than what was signed here.
func TestOldMirrorDoesNotHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mirror := t.TempDir()
		s := newStation(t, nil)
		stop := s.serve()
		own, err := s.dir.LogVerifier(s.vault.Genesis().Origin)
		s.check(err)
		_, err = export(t.Context(), mirror, own, fromVault(s.vault))
		s.check(err)
		time.Sleep(testEpoch)
		s.check(stop())
		s.check(s.open())
		tiles, err := openMirror(mirror, "")
		s.check(err)
		text, err := tiles.ReadEndpoint(t.Context(), checkpointFile)
		s.check(err)
		if _, _, err := s.vault.Recover(t.Context(), text, tiles, own); err == nil {
			t.Error("went back to an old mirror")
		}
		if err := s.vault.OldCopy(); err != nil && !errors.Is(err, vault.ErrOldCopy) {
			t.Error(err)
		}
		s.check(s.vault.Close())
	})
}
