package disk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
)

func chance(seed uint64) Chance { return rand.New(rand.NewPCG(seed, 0)) }

// file makes a file in the root directory.
func file(t *testing.T, d *Disk, name string) *inode {
	t.Helper()
	n, errno := d.create(d.inodes[rootID], name, syscall.S_IFREG|0o600, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return n
}

func must(t *testing.T, errno syscall.Errno) {
	t.Helper()
	if errno != 0 {
		t.Fatal(errno)
	}
}

func write(t *testing.T, d *Disk, n *inode, off int64, text string) {
	t.Helper()
	if _, errno := d.write(n, []byte(text), off); errno != 0 {
		t.Fatal(errno)
	}
}

func text(c *content) string {
	b := make([]byte, c.size)
	c.readAt(b, 0)
	return string(b)
}

// at is the content of a file in the root directory, or "-".
func at(d *Disk, name string) string {
	n := d.inodes[d.inodes[rootID].names[name]]
	if n == nil {
		return "-"
	}
	return text(&n.now)
}

// TestSyncedSurvives: what was synced is there after every cut, and with LoseAll nothing else.
func TestSyncedSurvives(t *testing.T) {
	for loss := range losses {
		for seed := range uint64(50) {
			d := New(chance(seed))
			n := file(t, d, "a")
			write(t, d, n, 0, "one")
			must(t, d.sync(n))
			must(t, d.sync(d.inodes[rootID]))
			write(t, d, n, 3, ", two")
			file(t, d, "b")
			after, _ := d.CutWith(loss)
			got := at(after, "a")
			if len(got) < 3 || got[:3] != "one" {
				t.Fatalf("%v, seed %d: %q", loss, seed, got)
			}
			if loss == LoseAll && (got != "one" || at(after, "b") != "-") || loss == KeepAll && (got != "one, two" || at(after, "b") != "") {
				t.Fatalf("%v: %q, %q", loss, got, at(after, "b"))
			}
		}
	}
}

// TestFileSyncKeepsNoName: a file that was synced is gone without a sync of its directory.
func TestFileSyncKeepsNoName(t *testing.T) {
	d := New(chance(1))
	n := file(t, d, "a")
	write(t, d, n, 0, "one")
	must(t, d.sync(n))
	if after, _ := d.CutWith(LoseAll); at(after, "a") != "-" {
		t.Error("the name is there")
	}
}

// TestRenameIsAtomic: after a cut the new name has the old file or the new one,
// and each of the three outcomes happens.
func TestRenameIsAtomic(t *testing.T) {
	met := make(map[string]bool)
	for seed := range uint64(200) {
		d := New(chance(seed))
		root := d.inodes[rootID]
		for _, name := range []string{"old", "new"} {
			n := file(t, d, name)
			write(t, d, n, 0, name)
			must(t, d.sync(n))
		}
		must(t, d.sync(root))
		must(t, d.move(root, "new", root, "old", false))
		after, _ := d.Cut()
		met[at(after, "old")+" "+at(after, "new")] = true
	}
	if len(met) != 3 || !met["old new"] || !met["new -"] || !met["new new"] {
		t.Errorf("found %v", met)
	}
}

// TestTornSectors: each sector holds one of its versions, and none is out of reach.
func TestTornSectors(t *testing.T) {
	const sectors = 8
	met := make(map[string]bool)
	for seed := range uint64(300) {
		d := New(chance(seed))
		n := file(t, d, "a")
		for version := range 3 {
			write(t, d, n, 0, string(bytes.Repeat([]byte{byte('0' + version)}, sectors*sectorSize)))
			if version == 0 {
				must(t, d.sync(n))
				must(t, d.sync(d.inodes[rootID]))
			}
		}
		after, _ := d.CutWith(Torn)
		got := at(after, "a")
		for s := range sectors {
			sector := got[s*sectorSize : (s+1)*sectorSize]
			if string(bytes.Repeat([]byte{sector[0]}, sectorSize)) != sector {
				t.Fatal("a sector is torn")
			}
			met[fmt.Sprint(s, sector[:1])] = true
		}
	}
	if len(met) != 3*sectors {
		t.Errorf("found %v", met)
	}
}

// TestFailedSyncForgets: what a failed sync dropped, no later one writes.
func TestFailedSyncForgets(t *testing.T) {
	lost := 0
	for seed := range uint64(50) {
		d := New(chance(seed))
		n := file(t, d, "a")
		must(t, d.sync(d.inodes[rootID]))
		d.Inject(Fault{Op: Sync, Name: "a", Nth: 1, Errno: syscall.EIO})
		write(t, d, n, 0, "one")
		if errno := d.sync(n); errno != syscall.EIO {
			t.Fatal(errno)
		}
		must(t, d.sync(n))
		if after, _ := d.CutWith(LoseAll); at(after, "a") != "one" {
			lost++
		}
	}
	if lost == 0 || lost == 50 {
		t.Errorf("lost in %d of 50", lost)
	}
}

// TestDarkDisk: from the cut on nothing happens any more.
func TestDarkDisk(t *testing.T) {
	d := New(chance(1))
	n := file(t, d, "a")
	d.CutAt(2)
	write(t, d, n, 0, "one")
	if _, errno := d.write(n, []byte("two"), 0); errno != syscall.EIO {
		t.Error(errno)
	}
	if errno := d.sync(n); errno != syscall.EIO {
		t.Error(errno)
	}
	select {
	case <-d.Dark():
	default:
		t.Error("not dark")
	}
	if after, _ := d.CutWith(KeepAll); at(after, "a") != "one" {
		t.Errorf("found %q", at(after, "a"))
	}
}

// TestContent compares sparse content with a plain slice.
func TestContent(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		var c content
		var plain []byte
		grow := func(n int64) { plain = append(plain, make([]byte, max(0, n-int64(len(plain))))...) }
		for range 30 {
			off, n := r.Int64N(20000), r.Int64N(9000)+1
			switch r.IntN(3) {
			case 0:
				b := bytes.Repeat([]byte{byte(r.IntN(255) + 1)}, int(n))
				c.apply(change{off: off, end: off + n, data: b, size: max(c.size, off+n)})
				grow(off + n)
				copy(plain[off:], b)
			case 1:
				c.apply(change{off: off, end: max(off, c.size), size: off})
				grow(off)
				plain = plain[:off:off]
			case 2:
				c.apply(change{off: off, end: off + n, size: c.size})
				clear(plain[min(off, int64(len(plain))):min(off+n, int64(len(plain)))])
			}
			if text(&c) != string(plain) {
				t.Fatalf("seed %d: content differs", seed)
			}
		}
	}
}
