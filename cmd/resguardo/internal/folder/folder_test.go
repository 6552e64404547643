package folder

import (
	"crypto/ecdh"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"resguardo/crypto/card"
)

func noPassphrase() (string, error) { panic("asked for a passphrase") }

func create(t testing.TB) (*Folder, card.Card) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ana")
	c, err := Create(dir, New{Name: "ana", Role: card.Reviewer})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, c
}

func item(inCase string, number int) card.Item {
	return card.Item{
		ID: strings.Repeat("0", 31) + string(rune('0'+number)), Case: inCase, Kind: "report", Number: number,
		Day: "2026-11-21", Desks: []string{"norte"}, Size: 5, SHA256: strings.Repeat("0", 64),
		Tag: strings.Repeat("0", 64), Event: card.EncodeEvent([32]byte{}), Opening: "resguardo/opening/v1\n",
	}
}

func TestKeysComeBack(t *testing.T) {
	f, c := create(t)
	keys, err := f.Keys(noPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Card(keys)
	if err != nil || got != c {
		t.Errorf("card %+v, %v", got, err)
	}
	id, err := f.Identity(noPassphrase)
	if err != nil || id.Recipient().String() != c.Recipient {
		t.Errorf("identity of another recipient, %v", err)
	}
}

// What is wrong with a key file is named with its line, and never quoted: the
// line may be the secret.
func TestDamagedKeys(t *testing.T) {
	f, _ := create(t)
	other, _ := create(t)
	for _, test := range []struct {
		file   string
		change func(string) string
		want   string
	}{
		{"keys.txt", func(s string) string { return strings.Replace(s, "signing ", "singing ", 1) }, "keys.txt, line 4: not the key"},
		{"keys.txt", func(s string) string { return strings.Replace(s, "PRIVATE+KEY", "PRIVATE+KEX", 1) }, "keys.txt, line 4: "},
		{"keys.txt", func(s string) string { return strings.Replace(s, "client ", "client A", 1) }, "keys.txt, line 5: "},
		{"keys.txt", func(s string) string { return s + "more\n" }, "keys.txt, line 6: "},
		{"keys.txt", func(s string) string { return "" }, "keys.txt, line 1: "},
		{"identity.txt", func(s string) string { return strings.Replace(s, "KEY-PQ-1", "KEY-PQ-1Q", 1) }, "identity.txt is not one age identity"},
		{"identity.txt", func(s string) string { return s + s }, "identity.txt is not one age identity"},
		{"identity.txt", func(s string) string { return "" }, "identity.txt is not one age identity"},
		{"card.txt", func(s string) string { return strings.Replace(s, "role reviewer", "role auditor", 1) }, "card.txt: line 7: the signature does not match"},
		{"card.txt", func(string) string { return readAll(t, other, "card.txt") }, "card.txt belongs to other keys"},
	} {
		good := readAll(t, f, test.file)
		if err := os.WriteFile(f.Path(test.file), []byte(test.change(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := f.Identity(noPassphrase)
		if test.file != "identity.txt" {
			var k Keys
			if k, err = f.Keys(noPassphrase); err == nil {
				_, err = f.Card(k)
			}
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
		for _, line := range strings.Split(good, "\n") {
			if len(line) > 20 && strings.Contains(err.Error(), line) {
				t.Errorf("the error quotes the file: %v", err)
			}
		}
		if err := os.WriteFile(f.Path(test.file), []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(t *testing.T, f *Folder, name string) string {
	t.Helper()
	b, err := os.ReadFile(f.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestKeysMustBePrivate(t *testing.T) {
	f, _ := create(t)
	for _, name := range []string{"identity.txt", "keys.txt"} {
		if err := os.Chmod(f.Path(name), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Identity(noPassphrase); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Errorf("identity: %v", err)
	}
	if _, err := f.Keys(noPassphrase); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Errorf("keys: %v", err)
	}
}

func TestServer(t *testing.T) {
	f, _ := create(t)
	if s, err := f.Server(); s != (Server{}) || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
	want := Server{URL: "http://127.0.0.1:1", Origin: "norte-0a1b2c3d"}
	if err := f.SetServer(want); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Server(); s != want || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
	for _, damaged := range []string{"", "{}", `{"url":"x","origin":"a b"}`, `{"url":"x","origin":"y","more":1}`, `{"url":"x","origin":"y"}{}`, `{"url":"x","origin":"y","log":"z"}`} {
		if err := os.WriteFile(f.Path(serverFile), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		// An origin that was pinned must not be forgotten in silence.
		if s, err := f.Server(); err == nil {
			t.Errorf("%q gives %+v", damaged, s)
		}
	}
}

func TestRecords(t *testing.T) {
	f, _ := create(t)
	const first, second = "zzzzzzzzzzzzzzzz", "aaaaaaaaaaaaaaaa"
	for _, r := range []Record{
		{Item: item(second, 0), Place: 2},
		{Item: item(first, 1), Place: 1},
		{Item: item(first, 0), Place: 1},
	} {
		if err := f.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	records, _, err := f.Records()
	if err != nil || len(records) != 3 || records[0].Case != first || records[1].Number != 1 || records[2].Case != second {
		t.Fatalf("%+v, %v", records, err)
	}
	for arg, want := range map[string]int{"1": 2, "2": 1, first: 2, second: 1} {
		if got, err := Find(records, arg); len(got) != want || err != nil {
			t.Errorf("case %s: %d items, %v", arg, len(got), err)
		}
	}
	for _, arg := range []string{"0", "3", "", "-1", "../cases", "zzzz"} {
		if got, err := Find(records, arg); err == nil {
			t.Errorf("case %q: %+v", arg, got)
		}
	}
	file := f.Path("cases/" + first + "/000-report.json")
	good := readAll(t, f, "cases/"+first+"/000-report.json")
	for _, damaged := range []string{
		"", "{", good + good,
		strings.Replace(good, first, second, 1),
		strings.Replace(good, `"place": 1`, `"place": 0`, 1),
		strings.Replace(good, `"report"`, `"../report"`, 1),
		strings.Replace(good, `"gone"`, `"going"`, 1),
	} {
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		// One record that is damaged is named; the others can be read.
		rest, bad, err := f.Records()
		if err != nil || len(rest) != 2 || len(bad) != 1 || !strings.Contains(bad[0].Error(), "000-report.json is damaged") {
			t.Errorf("%q: %d records, %v, %v", damaged, len(rest), bad, err)
		}
	}
}

// A link that leads out of the folder is not followed.
func TestLinksLeadNowhere(t *testing.T) {
	f, _ := create(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, f.Path("cases")); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(Record{Item: item("aaaaaaaaaaaaaaaa", 0), Place: 1}); err == nil {
		t.Error("wrote through a link")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside lies %v, %v", entries, err)
	}
}

func TestOpenLocked(t *testing.T) {
	f, _ := create(t)
	first, err := OpenLocked(f.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLocked(f.path); err == nil {
		t.Error("locked twice")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenLocked(f.path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func FuzzKeys(f *testing.F) {
	folder, _ := create(f)
	good, err := os.ReadFile(folder.Path("keys.txt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add("# x\nsigning y\nclient z\n")
	f.Fuzz(func(t *testing.T, text string) {
		k, line := parseKeys(text)
		if line > 0 {
			if k != (Keys{}) || line > strings.Count(text, "\n")+3 {
				t.Errorf("line %d, %+v", line, k)
			}
			return
		}
		var secret string
		for l := range strings.SplitSeq(text, "\n") {
			if s, ok := strings.CutPrefix(l, "signing "); ok {
				secret = s
			}
		}
		_, body, _ := strings.Cut("\n"+text, "\nsigning ")
		if again := encodeKeys(secret, k.Client); again != strings.TrimSuffix("signing "+body, "\n")+"\n" {
			t.Errorf("%q becomes %q", text, again)
		}
		if _, err := ecdh.X25519().NewPrivateKey(k.Client.Bytes()); err != nil {
			t.Error(err)
		}
	})
}

// TestTwoCasesOfOneNumber: files of another folder were copied into this one, or a
// record is wrong. A number never means two cases; their ids and other cases work.
func TestTwoCasesOfOneNumber(t *testing.T) {
	f, _ := create(t)
	const one, other, third = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"
	for _, r := range []Record{
		{Item: item(one, 0), Place: 1},
		{Item: item(one, 1), Place: 4}, // of the same case
		{Item: item(other, 0), Place: 1},
		{Item: item(third, 0), Place: 2},
	} {
		if err := f.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	records, bad, err := f.Records()
	if err != nil || len(bad) > 0 || len(records) != 4 {
		t.Fatalf("%+v, %v, %v", records, bad, err)
	}
	if got, err := Find(records, "1"); err == nil || !strings.Contains(err.Error(), "the number 1 stands for two cases here: "+one+" and "+other) {
		t.Errorf("case 1: %+v, %v", got, err)
	}
	for arg, want := range map[string]int{one: 2, other: 1, third: 1, "2": 1} {
		if got, err := Find(records, arg); len(got) != want || err != nil {
			t.Errorf("case %s: %d items, %v", arg, len(got), err)
		}
	}
	if got, err := Find(records, "4"); err == nil {
		t.Errorf("a part of a case: %+v", got)
	}
}
