package seal

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestStockToolsOpenReports: a reviewer without our program opens a report with
// age and unzip.
func TestStockToolsOpenReports(t *testing.T) {
	unzip, err := exec.LookPath("unzip")
	if err != nil {
		t.Fatal("unzip is not installed: make deps says how")
	}
	dir := t.TempDir()
	age := filepath.Join(dir, "age")
	run(t, ".", "go", "build", "-o", age, "filippo.io/age/cmd/age")
	id, r := identity(t, 1)
	_, other := identity(t, 2)
	_, hard := hardware(t)
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := someParts
	p.files = append(p.files, attachment{"grande.bin", "", string(noise(2, 5<<20))})
	sealed := write("report.age", p.seal(t, other, hard, r))
	identity := write("identity.txt", []byte(id.String()+"\n"))
	zip := filepath.Join(dir, "report.zip")
	run(t, dir, age, "-d", "-i", identity, "-o", zip, sealed)
	run(t, dir, unzip, "-t", zip)
	run(t, dir, unzip, "-q", zip, "-d", "out")

	want := map[string]string{"message.txt": p.message, "answers.json": p.answers}
	for i, name := range []string{"files/01", "files/02", "files/03", "files/04"} {
		want[name] = p.files[i].body
	}
	for name, body := range want {
		b, err := os.ReadFile(filepath.Join(dir, "out", name))
		if err != nil || string(b) != body {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(b), err, len(body))
		}
	}
	info, err := os.Stat(zip)
	if err != nil || PaddedSize(info.Size()) != info.Size() {
		t.Errorf("the zip has %d bytes, %v", info.Size(), err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseManifest(text); err != nil {
		t.Error(err)
	}
}

// TestNestedAgeFileOpens: what a source encrypted first is an entry like others.
func TestNestedAgeFileOpens(t *testing.T) {
	id, r := identity(t, 1)
	inner := parts{message: "cifrado antes"}.seal(t, r)
	report, err := open(parts{message: "m", files: []attachment{{"x.age", "", string(inner)}}}.seal(t, r), id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := report.Open("files/01")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		t.Fatal(err)
	}
	if nested, err := open(b.Bytes(), id); err != nil || nested.Manifest.Files[0].Size != 13 {
		t.Errorf("nested: %v", err)
	}
}

// run runs a command that must succeed.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
}
