package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// host is what the tests build: the platform that they run on.
var host = platforms[slices.IndexFunc(platforms, func(p platform) bool { return p.String() == "linux-amd64" })]

var day = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// TestArchiveIsReproducible builds a platform from the tree and from a copy of
// it in another folder.
func TestArchiveIsReproducible(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "copy")
	copyTree(t, "../..", copied)
	var made [][]byte
	for _, root := range []string{"../..", copied} {
		to := t.TempDir()
		r := release{root, "1.2.3", to, day}
		if err := r.archive(host); err != nil {
			t.Fatal(err)
		}
		if err := r.sums(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(to, "resguardo-1.2.3-linux-amd64.tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, data)
		sum := fmt.Sprintf("%x  resguardo-1.2.3-linux-amd64.tar.gz\n", sha256.Sum256(data))
		if got, err := os.ReadFile(filepath.Join(to, "SHA256SUMS")); err != nil || string(got) != sum {
			t.Errorf("SHA256SUMS is %q (%v), not %q", got, err, sum)
		}
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Errorf("two folders make different archives: %x %x", sha256.Sum256(made[0]), sha256.Sum256(made[1]))
	}
	checkArchive(t, made[0])
}

// TestReleaseIsReproducible makes everything that make release publishes, from the tree
// and from a copy of it in another folder, and compares SHA256SUMS.
func TestReleaseIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for every platform, twice")
	}
	copied := filepath.Join(t.TempDir(), "copy")
	copyTree(t, "../..", copied)
	var sums []string
	for _, root := range []string{"../..", copied} {
		to := t.TempDir()
		var said bytes.Buffer
		if err := (release{root, "1.2.3", to, day}).publish("all", &said); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(to, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(b))
		if want := "minisign -S -m " + filepath.Join(to, "SHA256SUMS"); !strings.Contains(said.String(), want) {
			t.Errorf("it says %q, not %q", said.String(), want)
		}
		made, err := os.ReadDir(to)
		if err != nil || len(made) != strings.Count(string(b), "\n")+1 {
			t.Errorf("%d files, and SHA256SUMS is\n%s", len(made), b)
		}
		if out, err := exec.Command("sh", "-c", "cd "+to+" && sha256sum -c --quiet SHA256SUMS").CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}
	if n := strings.Count(sums[0], "\n"); n != len(platforms)+2*len(debians) {
		t.Errorf("%d files:\n%s", n, sums[0])
	}
	if sums[0] != sums[1] {
		t.Errorf("two folders make different files:\n%s\n%s", sums[0], sums[1])
	}
}

// checkArchive looks for what each role needs, runs a program, and compares the
// bill of materials in the archive with the program beside it.
func checkArchive(t *testing.T, archive []byte) {
	t.Helper()
	files := untar(t, archive)
	for _, name := range strings.Fields(`LICENSE LICENSES-THIRD-PARTY.txt README.md SECURITY.md bin/resguardo bin/resguardo-audit bin/resguardod
		docs/operator.md docs/raid.es.md docs/man/resguardod.1 docs/man/resguardo.es.1 packaging/resguardod.service packaging/sysusers.d/resguardo.conf
		onion/site/questions.toml onion/site/locales/es.toml`) {
		if _, ok := files[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	program := filepath.Join(t.TempDir(), "resguardo-audit")
	if err := os.WriteFile(program, files["bin/resguardo-audit"], 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "resguardo-audit 1.2.3 ") {
		t.Errorf("-version says %q, %v", out, err)
	}
	var b bom
	if err := json.Unmarshal(files["sbom/resguardo-audit.cdx.json"], &b); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(files["bin/resguardo-audit"])
	if got := b.Metadata.Component.Hashes; len(got) != 1 || got[0] != (hash{"SHA-256", hex.EncodeToString(sum[:])}) {
		t.Errorf("the bill of materials is of another program: %v", got)
	}
}

// untar returns the files of an archive without their top folder, and checks
// what all of them share.
func untar(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files, last := map[string][]byte{}, ""
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name <= last || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(day) {
			t.Errorf("%s after %s, of %d:%d %q:%q, %v", h.Name, last, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime)
		}
		top, name, _ := strings.Cut(h.Name, "/")
		want := int64(0o644)
		if strings.HasPrefix(name, "bin/") {
			want = 0o755
		}
		if top != "resguardo-1.2.3-linux-amd64" || h.Mode != want {
			t.Errorf("%s has mode %o, not %o", h.Name, h.Mode, want)
		}
		last, files[name] = h.Name, data
	}
}

// TestArchivesAreSorted packs the same files in two orders.
func TestArchivesAreSorted(t *testing.T) {
	entries := []entry{{"b", 0o644, []byte("two")}, {"a", 0o755, []byte("one")}}
	backwards := []entry{entries[1], entries[0]}
	for name, write := range map[string]func(io.Writer, string, []entry, time.Time) error{"tar": writeTar, "zip": writeZip} {
		var first, second bytes.Buffer
		if err := errors.Join(write(&first, "top", entries, day), write(&second, "top", backwards, day)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%s depends on the order of the files", name)
		}
		if err := write(io.Discard, "top", append(backwards, entries[0]), day); err == nil {
			t.Errorf("%s takes two files of one name", name)
		}
		if name == "zip" {
			checkZip(t, first.Bytes())
		}
	}
}

func checkZip(t *testing.T, archive []byte) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.File {
		names = append(names, fmt.Sprintf("%s %v %v", f.Name, f.Mode(), f.Modified.Equal(day)))
	}
	if want := []string{"top/a -rwxr-xr-x true", "top/b -rw-r--r-- true"}; !slices.Equal(names, want) {
		t.Errorf("%q, not %q", names, want)
	}
}

// TestBillOfMaterials holds each program's bill against the golden list of its
// modules, and each sum against go.sum.
func TestBillOfMaterials(t *testing.T) {
	dir := t.TempDir()
	if err := (release{root: "../..", version: "1.2.3"}).build(host, dir); err != nil {
		t.Fatal(err)
	}
	gosum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range host.programs {
		golden, err := os.ReadFile("../../cmd/testdata/" + program + ".modules")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run([]string{"-version", "1.2.3", "sbom", filepath.Join(dir, program)}, &out); err != nil {
			t.Fatal(err)
		}
		var b bom
		if err := json.Unmarshal(out.Bytes(), &b); err != nil {
			t.Fatal(err)
		}
		checkBill(t, program, b, string(golden), string(gosum))
		checkVersion(t, filepath.Join(dir, program), b)
	}
}

func checkBill(t *testing.T, program string, b bom, golden, gosum string) {
	t.Helper()
	if b.Format != "CycloneDX" || b.Spec != "1.5" || b.Metadata.Component.Name != program || b.Metadata.Component.Version != "1.2.3" {
		t.Errorf("%s: %+v", program, b.Metadata)
	}
	if len(b.Dependencies) != 1 || len(b.Dependencies[0].DependsOn) != len(b.Components) {
		t.Errorf("%s depends on %v", program, b.Dependencies)
	}
	var modules strings.Builder
	for _, c := range b.Components[1:] {
		fmt.Fprintf(&modules, "%s %s\n", c.Name, c.Version)
		if c.URL != "pkg:golang/"+c.Name+"@"+c.Version {
			t.Errorf("%s: %s has the address %s", program, c.Name, c.URL)
		}
		if len(c.Properties) != 1 || !strings.Contains(gosum, c.Name+" "+c.Version+" "+c.Properties[0].Value+"\n") {
			t.Errorf("%s: go.sum does not know %s %s %v", program, c.Name, c.Version, c.Properties)
		}
	}
	if modules.String() != golden {
		t.Errorf("%s: the bill lists\n%sand the golden list\n%s", program, modules.String(), golden)
	}
}

func checkVersion(t *testing.T, program string, b bom) {
	t.Helper()
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if std := b.Components[0]; std.Name != "std" || "go"+std.Version != info.GoVersion {
		t.Errorf("%s was built by %s, the bill says %s %s", program, info.GoVersion, std.Name, std.Version)
	}
}

// TestReplacementIsBilled: what was linked counts, not what was asked for.
func TestReplacementIsBilled(t *testing.T) {
	asked := &debug.Module{Path: "a.example/m", Version: "v1.0.0", Sum: "h1:a", Replace: &debug.Module{Path: "b.example/m", Version: "v2.0.0", Sum: "h1:b"}}
	if c := moduleOf(asked); c.Name != "b.example/m" || c.Version != "v2.0.0" || c.Properties[0].Value != "h1:b" {
		t.Errorf("billed as %+v", c)
	}
}

// TestNoBill: only a Go program has a bill of materials.
func TestNoBill(t *testing.T) {
	for _, name := range []string{"no such program", "release_test.go"} {
		if err := run([]string{"sbom", name}, io.Discard); err == nil {
			t.Errorf("%s has a bill of materials", name)
		}
	}
}

// TestRefusals: nothing is mixed with an older release.
func TestRefusals(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "old.tar.gz"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-to", full, "archives"}, io.Discard); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a full folder: %v", err)
	}
	for _, args := range [][]string{nil, {"archives"}, {"-to", full}, {"-to", full, "all", "more"}, {"sbom"}, {"-no"}} {
		if err := run(args, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run([]string{"sbom", "x"}, io.Discard); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("a time that is none: %v", err)
	}
}

// copyTree copies what a build reads: no history, nothing that was made.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, name)
		if d.IsDir() && slices.Contains([]string{".git", "bin", "var"}, rel) {
			return fs.SkipDir
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
