package main

import (
	"crypto/sha256"
	"io"
	"os"

	"resguardo/cmd/resguardo/internal/folder"
)

// records returns the folder's records, and names those that are damaged.
func (p *program) records(dir *folder.Folder) ([]folder.Record, error) {
	records, damaged, err := dir.Records()
	for _, d := range damaged {
		p.Warn(d.What, d.Hint)
	}
	return records, err
}

// caseRecords returns the records of one case, by number.
func (p *program) caseRecords(dir *folder.Folder, arg string) ([]folder.Record, error) {
	all, err := p.records(dir)
	if err != nil {
		return nil, err
	}
	return folder.Find(all, arg)
}

// sum is the SHA-256 of a whole file.
func sum(f *os.File) (h [32]byte, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return h, err
	}
	s := sha256.New()
	if _, err := io.Copy(s, f); err != nil {
		return h, err
	}
	return [32]byte(s.Sum(nil)), nil
}
