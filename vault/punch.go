package vault

import (
	"os"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// punch gives the free pages of a database back to the file system, which then
// reads zeros there. No transaction may be open.
//
// Both of bbolt's meta pages must point to trees that use none of these pages, or
// a damaged newer one would lead back into holes. So only pages are punched that
// were free after each of three commits.
func punch(db *bbolt.DB, pageSize int64) error {
	free, err := freePages(db)
	if err != nil {
		return err
	}
	for range 2 {
		if err := db.Update(func(*bbolt.Tx) error { return nil }); err != nil {
			return err
		}
		now, err := freePages(db)
		if err != nil {
			return err
		}
		for id := range free {
			if !now[id] {
				delete(free, id)
			}
		}
	}
	return punchPages(db.Path(), pageSize, free)
}

// freePages lists the pages that the newest tree does not use. It passes over the
// pages that hold the rest of a long value: to look at them would read the whole file.
func freePages(db *bbolt.DB) (map[int]bool, error) {
	free := make(map[int]bool)
	err := db.View(func(tx *bbolt.Tx) error {
		for id := 0; ; id++ {
			page, err := tx.Page(id)
			if err != nil || page == nil {
				return err
			}
			if page.Type == "free" {
				free[id] = true
			} else {
				id += page.OverflowCount
			}
		}
	})
	return free, err
}

func punchPages(path string, pageSize int64, free map[int]bool) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for first := range free {
		if free[first-1] {
			continue
		}
		n := 1
		for free[first+n] {
			n++
		}
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(first)*pageSize, int64(n)*pageSize)
		if err == unix.EOPNOTSUPP { // this file system has no holes
			for i := range int64(n) {
				if _, err := f.WriteAt(make([]byte, pageSize), (int64(first)+i)*pageSize); err != nil {
					return err
				}
			}
		} else if err != nil {
			return err
		}
	}
	return unix.Fdatasync(int(f.Fd()))
}

// punch gives the file's free pages back.
func (f *blobFile) punch() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.db == nil || !f.writable {
		return nil
	}
	return punch(f.db, blobPage)
}
