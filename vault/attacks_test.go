package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// Attacks on the store, by their ids in docs/attacks.md.

// TestAttackW12: what is refused leaves no item, no slot in use and no draft.
func TestAttackW12(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	keys := newLogKeys(t)
	keys.begin(t, v)
	kept := mustSend(t, v, 100, submission("north"))
	sub := submission("north")
	for name, change := range map[string]func(*vault.Submission){
		"no desk":          func(s *vault.Submission) { s.Desks = nil },
		"no recipient":     func(s *vault.Submission) { s.Recipients = 0 },
		"day with an hour": func(s *vault.Submission) { s.Day = "2026-11-21T21:03" },
		"known mailbox":    func(s *vault.Submission) { s.Mailbox = kept.sub.Mailbox },
		"known event":      func(s *vault.Submission) { s.Event = kept.sub.Event },
	} {
		bad := sub
		change(&bad)
		if _, err := send(v, 9<<20, bad); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	d, err := v.Create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d.Write(append([]byte(header), payload(5<<20)...))
	cancel()
	if err := d.Commit(ctx, sub); !errors.Is(err, context.Canceled) {
		t.Errorf("commit of a send that was given up: %v", err)
	}
	if items := v.AllItems(); len(items) != 1 {
		t.Errorf("%d items", len(items))
	}
	keys.mustClose(t, v, firstEpoch)
	if n := len(v.Cases("")); n != 1 {
		t.Errorf("%d cases", n)
	}
	clean(t, v)
}

// TestAttackW19: of a thousand ids of items and cases none is like another, none
// tells when it was drawn, and every place takes every value.
func TestAttackW19(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	const n = 1000
	var items, cases []string
	for range n {
		d, err := v.Create(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, string(d.ID()))
		d.Discard()
		cases = append(cases, string(vault.NewCaseID()))
	}
	for name, ids := range map[string][]string{"items": items, "cases": cases} {
		rises, values := 0, map[int]map[byte]bool{}
		for i, id := range ids {
			if len(id) != len(ids[0]) {
				t.Fatalf("%s: %q and %q", name, ids[0], id)
			}
			if i > 0 && id > ids[i-1] {
				rises++
			}
			for at := range len(id) {
				if values[at] == nil {
					values[at] = map[byte]bool{}
				}
				values[at][id[at]] = true
			}
		}
		// Of independent draws half rise: 999/2 with a deviation of 9.
		if rises < 400 || rises > 600 {
			t.Errorf("%s: %d of %d ids are above the one before", name, rises, n-1)
		}
		for at, seen := range values {
			if len(seen) < 16 {
				t.Errorf("%s: place %d takes only %d values", name, at, len(seen))
			}
		}
		if slices.Sort(ids); len(slices.Compact(ids)) != n {
			t.Errorf("%s: an id came twice", name)
		}
	}
}

// TestAttackW21: once its epoch has ended, no time on the disk is that of a report. The file
// system keeps when each file was last written.
func TestAttackW21(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{BlobSize: 1 << 20})
	keys := newLogKeys(t)
	keys.begin(t, v)
	for range 3 { // more than one blob file
		mustSend(t, v, 2<<20, submission("north"))
	}
	if blobs, _ := filepath.Glob(filepath.Join(dir, "blobs", "*.db")); len(blobs) < 2 {
		t.Fatalf("blob files %v", blobs)
	}
	marker := filepath.Join(t.TempDir(), "marker")
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ended, err := os.Stat(marker)
	if err != nil {
		t.Fatal(err)
	}
	reported := ended.ModTime().Add(-time.Hour) // the reports came an hour ago
	each := func(f func(path string, info fs.FileInfo)) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				info, err := e.Info()
				if err != nil {
					return err
				}
				f(path, info)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	each(func(path string, _ fs.FileInfo) {
		if err := os.Chtimes(path, reported, reported); err != nil {
			t.Fatal(err)
		}
	})
	keys.mustClose(t, v, firstEpoch)
	each(func(path string, info fs.FileInfo) {
		change := info.Sys().(*syscall.Stat_t).Ctim
		if info.ModTime().Before(ended.ModTime()) || time.Unix(change.Unix()).Before(ended.ModTime()) {
			t.Errorf("%s still shows when the last report came", path)
		}
	})
	if v.Close() != nil {
		t.Error("not closed")
	}
	raw := readAll(t, dir)
	if bytes.Contains(raw, []byte("2026-11-21")) {
		t.Error("the disk shows a day")
	}
}

// TestAttackClockBack: reports that come while the clock is a year behind are not
// over once it is right again. The log does not go back, so its day counts.
func TestAttackClockBack(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	keys := newLogKeys(t)
	keys.begin(t, v)
	keys.mustClose(t, v, firstEpoch)
	day := translog.EpochStart(firstEpoch+1, genesis.Epoch).Format(time.DateOnly)
	behind := translog.EpochStart(firstEpoch+1, genesis.Epoch).AddDate(-1, 0, 0).Format(time.DateOnly)

	old := submission("north")
	old.Day = behind
	report := mustSend(t, v, 100, old)
	good := submission("north")
	good.Day = day
	mustSend(t, v, 100, good)
	late := addition(good.Case, translog.Reply, "north")
	late.Day = behind
	mustAdd(t, v, 100, late)
	r := vault.Retention{Days: 180, Extra: 90}
	for _, id := range []vault.CaseID{old.Case, good.Case} {
		if c, err := v.Case(id); err != nil || c.Day != day {
			t.Errorf("day of the newest item is %s, %v; want %s", c.Day, err, day)
		}
	}
	if due := v.Due(day, r); len(due) != 0 {
		t.Errorf("due on the day that they came: %v", due)
	}
	// The item keeps the day that is sealed in its report.
	if i, err := v.Item(report.id); err != nil || i.Day != behind {
		t.Errorf("item of %s, %v", i.Day, err)
	}
	// A leap day, and the end of a year, end a case as other days do.
	for from, to := range map[string]string{"2027-09-02": "2028-02-29", "2028-02-29": "2028-08-27", "2026-07-04": "2026-12-31", "2026-12-31": "2027-06-29"} {
		c := vault.Case{Day: from}
		if got := c.Ends(r); got != to {
			t.Errorf("a case of %s ends on %s, want %s", from, got, to)
		}
	}
	if ends := (vault.Case{Day: strings.Repeat("9", 10)}).Ends(r); ends != "" {
		t.Errorf("a day that is none ends on %s", ends)
	}
	clean(t, v)
}
