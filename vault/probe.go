package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Probe opens the databases as Open does, but for reading only. bbolt panics on
// some damage, also in its own goroutines, so run it in a child process before Open: a
// child that crashes is damage too.
//
// It checks all of vault.db with bbolt's own check, and walks the pages of the
// newest blob file, the one that Open opens for writing (up to about 2 GiB; a
// page header for each 4 MiB, so seconds at most). Damage there, and in older
// blob files, is no error, since Open lives with it. Nil means that Open will
// not crash. Probe returns ErrLocked while another process has the vault open.
func Probe(dir string) error {
	if err := readAnew(dir); err != nil {
		return err
	}
	if err := probeMeta(filepath.Join(dir, metaName)); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(dir, blobsName))
	if err != nil {
		return err
	}
	var newest uint32
	for _, e := range entries {
		if n, ok := blobNumber(e.Name()); ok {
			newest = max(newest, n)
		}
	}
	if newest == 0 {
		return nil
	}
	return probeBlob(filepath.Join(dir, blobsName, blobName(newest)))
}

func probeMeta(path string) error {
	db, err := openBolt(path, readOnly(metaOptions()))
	if err != nil {
		return err
	}
	defer db.Close()
	return guard(metaName, func() error {
		if _, err := readVault(db); err != nil {
			return err
		}
		if err := db.View(walkMeta); err != nil {
			return err
		}
		if found := checkPages(db); len(found) > 0 {
			return fmt.Errorf("%s: %w: %s", metaName, ErrDamaged, found[0])
		}
		return nil
	})
}

// probeBlob opens a file as openWrite would.
func probeBlob(path string) error {
	db, err := openBolt(path, readOnly(blobOptions()))
	if errors.Is(err, ErrDamaged) {
		return nil
	}
	if err != nil {
		return err
	}
	damage := db.View(func(tx *bbolt.Tx) error { return walk(tx, nil) })
	if err := db.Close(); err != nil || damage != nil {
		return err
	}
	o := readOnly(blobOptions())
	o.PreLoadFreelist = true
	if db, err = openBolt(path, o); err != nil {
		return err
	}
	return db.Close()
}

// checkPages runs bbolt's check and returns what it says. Nothing may write meanwhile.
func checkPages(db *bbolt.DB) (found []string) {
	err := db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			found = append(found, err.Error())
		}
		return nil
	})
	if err != nil {
		found = append(found, err.Error())
	}
	return found
}
