package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"resguardo/cmd/internal/say"
)

// Small files that remember something from one epoch to the next.
const (
	acceptGapFile = "accept-gap"
	restoreFile   = "restore"
	seenFile      = "seen"
)

// AcceptGap notes that a person has accepted that the log did not grow since the
// end of epoch last, or that the clock is what it is. It holds for the next epoch
// that is closed, and for no other: last is then another one.
func (d Dir) AcceptGap(last int64) error {
	return write(d.Path(acceptGapFile), fmt.Appendf(nil, "resguardo/accept-gap/v1\nlast %d\n", last))
}

// GapAccepted tells whether AcceptGap was called for the same epoch.
func (d Dir) GapAccepted(last int64) (bool, error) {
	var accepted int64
	found, err := d.readMark(acceptGapFile, "resguardo/accept-gap/v1\nlast %d\n", &accepted)
	return found && accepted == last, err
}

// Restoring notes that recover is about to append leaves from to to-1.
func (d Dir) Restoring(from, to int64) error {
	return write(d.Path(restoreFile), fmt.Appendf(nil, "resguardo/restore/v1\nfrom %d\nto %d\n", from, to))
}

// Restored is what Restoring noted last.
func (d Dir) Restored() (from, to int64, found bool, err error) {
	found, err = d.readMark(restoreFile, "resguardo/restore/v1\nfrom %d\nto %d\n", &from, &to)
	return from, to, found, err
}

// ForgetMarks removes what AcceptGap and Restoring have noted.
func (d Dir) ForgetMarks() error {
	for _, name := range []string{acceptGapFile, restoreFile} {
		if err := os.Remove(d.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unreadable(d.Path(name), err)
		}
	}
	return syncDir(d.path)
}

// SetSeen notes that at the beginning of an epoch everybody could have seen the log
// up to the end of epoch seen.
func (d Dir) SetSeen(epoch, seen int64) error {
	return write(d.Path(seenFile), fmt.Appendf(nil, "resguardo/seen/v1\nepoch %d\nseen %d\n", epoch, seen))
}

// Seen is what SetSeen noted last.
func (d Dir) Seen() (epoch, seen int64, found bool, err error) {
	found, err = d.readMark(seenFile, "resguardo/seen/v1\nepoch %d\nseen %d\n", &epoch, &seen)
	return epoch, seen, found, err
}

// RaiseHighWater takes a checkpoint that our own key has signed, and that the log
// does not lead to, for the newest one: no later start signs anything then, until
// recover has caught up with it.
func (d Dir) RaiseHighWater(checkpoint []byte) error { return write(d.Path(HighWaterFile), checkpoint) }

// LogBegun tells whether a checkpoint was ever signed here, without opening the vault.
func (d Dir) LogBegun() bool {
	info, err := os.Stat(d.Path(HighWaterFile))
	return err == nil && info.Size() > 0
}

// readMark reads numbers from a file that must be exactly of the given form.
func (d Dir) readMark(name, form string, numbers ...*int64) (bool, error) {
	text, err := ReadFile(d.Path(name), 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var into, values []any
	for _, n := range numbers {
		into = append(into, n)
	}
	_, err = fmt.Sscanf(string(text), form, into...)
	for _, n := range numbers {
		values = append(values, *n)
	}
	if err != nil || fmt.Sprintf(form, values...) != string(text) {
		return false, &say.Error{Path: d.Path(name), What: say.T("the file is damaged"), Hint: say.T("remove it, and repeat the command that made it")}
	}
	return true, nil
}
