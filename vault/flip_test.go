package vault_test

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"resguardo/vault"
)

// TestFlippedBitsAnywhere flips a random bit in a used page, again and again.
// Either Probe refuses the vault (or crashes, in its child process), or Open and Check
// run to the end and every item that does not read as it was is named.
func TestFlippedBitsAnywhere(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{BlobSize: 4 << 20})
	items := make(map[vault.ItemID][32]byte)
	for _, n := range []int{64 << 10, 5 << 20, 64 << 10, 64 << 10, 300 << 10} {
		m := mustSend(t, v, n, submission("north"))
		items[m.id] = m.sum
	}
	v.Close()
	const rounds = 60
	outcomes := make(map[string]int)
	for range rounds {
		dir := copyDir(t, dir)
		name := []string{"vault.db", "blobs/00000001.db", "blobs/00000002.db"}[rand.IntN(3)]
		path := filepath.Join(dir, name)
		offset := usedByte(t, path)
		flip(t, path, offset)
		outcome := flipped(t, dir, items)
		if t.Failed() {
			t.Fatalf("byte %d of %s", offset, name)
		}
		outcomes[outcome]++
	}
	t.Log(outcomes)
}

// usedByte draws an offset in what is written of a file: in the header of a page
// as often as anywhere.
func usedByte(t *testing.T, path string) int64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ranges := dataRanges(f)
	r := ranges[rand.IntN(len(ranges))]
	offset := r[0] + rand.Int64N(r[1]-r[0])
	if rand.IntN(2) == 0 {
		offset = offset&^(4<<10-1) + rand.Int64N(64)
	}
	return offset
}

func flipped(t *testing.T, dir string, items map[vault.ItemID][32]byte) string {
	t.Helper()
	switch code, _, stderr := exitCode(t, childCommand(t, nil, "probe", dir)); code {
	case 0:
	case exitRefused:
		return "refused"
	case 2:
		return "crashed in the child"
	case -1:
		return "in circles in the child"
	default:
		t.Fatalf("probe: exit code %d: %s", code, stderr)
	}
	code, out, stderr := exitCode(t, childCommand(t, nil, "check", dir))
	if code == exitRefused && strings.Contains(stderr, vault.ErrDamaged.Error()) {
		return "refused by Open"
	}
	if code == -1 {
		return "check in circles"
	}
	if code != 0 && code != exitFound {
		t.Errorf("after a good probe: exit code %d: %s", code, stderr)
		return ""
	}
	for id, sum := range items {
		if acks(t, out)[id] != sum && !strings.Contains(out, string(id)+":") && !strings.Contains(out, "missing or unreadable") && !strings.Contains(out, "the last transaction may be lost") {
			t.Errorf("item %s does not read as it was, and check does not say so: %s", id, out)
		}
	}
	return map[int]string{0: "nothing to see", exitFound: "found"}[code]
}

// copyDir copies a vault; its files stay sparse.
func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		target := to + strings.TrimPrefix(path, dir)
		if err != nil || e.IsDir() {
			return errors.Join(err, os.Mkdir(target, 0o700))
		}
		return copyFile(path, target)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	g, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer g.Close()
	for _, r := range dataRanges(f) {
		if _, err := io.Copy(io.NewOffsetWriter(g, r[0]), io.NewSectionReader(f, r[0], r[1]-r[0])); err != nil {
			return err
		}
	}
	return g.Truncate(info.Size())
}

// dataRanges are the parts of a sparse file that are no holes: begin, end.
func dataRanges(f *os.File) (ranges [][2]int64) {
	for end := int64(0); ; {
		begin, err := unix.Seek(int(f.Fd()), end, unix.SEEK_DATA)
		if err != nil {
			return ranges
		}
		if end, err = unix.Seek(int(f.Fd()), begin, unix.SEEK_HOLE); err != nil {
			return ranges
		}
		ranges = append(ranges, [2]int64{begin, end})
	}
}
