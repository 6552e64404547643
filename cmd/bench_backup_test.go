package cmd_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"resguardo/onion/tornet/source"
)

// backups measures a backup of a vault with 1 GiB of reports, and what age and tar do
// with the same bytes.
func backups(t testing.TB, doc io.Writer) {
	base, err := os.MkdirTemp("", "b") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	h := newHouse(t, filepath.Join(base, "v"))
	h.start()
	in := filepath.Join(base, "in")
	writeRandom(t, in, gib/4)
	for range 4 {
		f, err := os.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		h.mustSend(source.Report{Message: "video", Files: []source.File{{Name: "video.mp4", Body: f}}})
		f.Close()
	}
	keys, resguardod, age := h.recipientFile(), filepath.Join(programs, "resguardod"), filepath.Join(programs, "age")
	folder, restored := filepath.Join(base, "backups"), filepath.Join(base, "restored")
	identity := filepath.Join(h.reviewer, "identity.txt")
	backup := []string{"backup", "-dir", h.dir, "-to", folder, "-recipients", keys}
	afresh := func() cost {
		os.RemoveAll(folder)
		return command(t, folder, resguardod, backup...)
	}
	served := func() cost {
		h.start()
		before := h.cpuTime()
		c := afresh()
		c.cpu += h.cpuTime() - before
		h.kill()
		return c
	}
	sides := []struct {
		name  string
		run   func() cost
		costs []cost
	}{
		{"`resguardod backup`, first, while the server runs (CPU of both, peak of the command)", served, nil},
		{"`resguardod backup`, first, no server", afresh, nil},
		{"`resguardod backup`, nothing new", func() cost { return command(t, folder, resguardod, backup...) }, nil},
		{"`resguardod restore`, everything hashed and checked", func() cost {
			defer os.RemoveAll(restored)
			return command(t, restored, resguardod, "restore", "-dir", restored, "-from", folder, "-identity", identity)
		}, nil},
		{"`age -R KEYS -o out blobs/00000001.db && sync out`", func() cost {
			return command(t, another(base), age, "-R", keys, "-o", "OUT", filepath.Join(h.dir, "blobs", "00000001.db"))
		}, nil},
		{"`tar -cS DIR \\| age -R KEYS -o out && sync out`", func() cost {
			return command(t, another(base), "/bin/sh", "-c", "tar -cS -C "+h.dir+" . | "+age+" -R "+keys+" -o OUT")
		}, nil},
	}
	h.kill()
	for range turns {
		for i := range sides {
			sides[i].costs = append(sides[i].costs, sides[i].run())
		}
	}
	fmt.Fprintf(doc, "\n## A backup of 1 GiB of reports\n\nFour reports of 256 MiB, one recipient. Medians of %d, in turns; each first backup goes into an empty folder and is synced. Peak is resident memory, the mapped vault included.\n\n", turns)
	fmt.Fprintf(doc, "| | wall s | CPU s | peak MiB | wall, ratio to age |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range sides {
		fmt.Fprintf(doc, "| %s | %.2f | %.2f | %d | %.2f |\n", s.name, column(s.costs, wall).Seconds(), column(s.costs, cpu).Seconds(), column(s.costs, peak)>>20, ratio(s.costs, sides[4].costs, wall))
	}
	fmt.Fprintf(doc, "\nTar gives no consistent copy of a vault that serves, and puts the keys into the same file as what they must not outlive.\n")
}
