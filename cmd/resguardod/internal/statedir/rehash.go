package statedir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"resguardo/cmd/internal/say"
	"resguardo/vault"
)

// RehashFile holds a Rehash. It is no part of a backup: it is about this disk.
const RehashFile = "rehash"

const rehashFormat = "resguardo/rehash/v1"

// maxRehash is the most bytes of it: some 10,000 damaged items.
const maxRehash = 4 << 20

// Rehash is how far all ciphertext was read again, and what the last whole round has found.
type Rehash struct {
	Format string       `json:"format"`
	Round  *RehashRound `json:"round,omitempty"` // that has not ended
	Last   *RehashRound `json:"last,omitempty"`  // that has
}

// RehashRound is one reading of everything.
type RehashRound struct {
	Begun   string          `json:"begun"`           // day, UTC
	Ended   string          `json:"ended,omitempty"` // likewise
	Rate    int64           `json:"rate,omitempty"`  // bytes a second that a person has asked for; 0 = spread over a month
	Next    int             `json:"next"`            // shard; no id of an item, because items are deleted
	Items   int             `json:"items"`
	Bytes   int64           `json:"bytes"`
	Damaged []vault.Problem `json:"damaged,omitempty"`
}

// Rehash reads the file; without one, nothing was read yet.
func (d Dir) Rehash() (Rehash, error) {
	empty := Rehash{Format: rehashFormat}
	text, err := ReadFile(d.Path(RehashFile), maxRehash)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	var r Rehash
	j := json.NewDecoder(bytes.NewReader(text))
	j.DisallowUnknownFields()
	if err := j.Decode(&r); err != nil || r.Format != rehashFormat || r.Round != nil && (r.Round.Next < 0 || r.Round.Next > vault.Shards || r.Round.Rate < 0) {
		return empty, &say.Error{Path: d.Path(RehashFile), What: say.T("the file is damaged"), Hint: say.T("remove it, and repeat the command that made it")}
	}
	return r, nil
}

// SetRehash writes the file.
func (d Dir) SetRehash(r Rehash) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return write(d.Path(RehashFile), append(text, '\n'))
}

// MarshalText is the inverse of UnmarshalText, in bytes, for a flag.
func (b Bytes) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d B", int64(b)), nil }
