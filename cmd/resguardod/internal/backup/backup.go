// Package backup keeps encrypted copies of a vault and of the operator's files in a
// folder, and puts one back.
//
// # The folder
//
//	000007/manifest      what belongs to backup 7, one JSON object a line; see Manifest
//	000007/state.age     tar: the operator's files, onion keys included, and "manifest":
//	                     the manifest less its own line
//	000007/vault.db.age  the rows
//	blobs/00000001-0123456789abcdef.age   payloads; several backups can name one file
//	keys/000007.age      keys.slots: without it nothing in backup 7 can be read
//	index                which files in blobs were read when, with which hash
//	.new, blobs/.new, keys/.new           what is being made
//
// All but the manifests is encrypted with age to the operators' recipients. A
// manifest shows sizes and hashes of encrypted files, and which blob files did not
// change. A backup is whole when its folder has its number: that name comes last.
//
// The folder keys has a retention of its own. What the vault deletes becomes
// unreadable in the backups when the last keys/NNNNNN.age from before the deletion
// is gone, wherever there are copies. So never copy keys to a medium from which it
// cannot be deleted.
//
// # What it does not prove
//
// The hashes find damage, files that were cut short and files of different backups.
// They do not tell who made a backup: whoever knows the recipients can make one.
// The public log does, when the vault that was put back takes it from a mirror.
//
// # How the copy comes here
//
// Stream writes it as a tar, in the process that has the vault open; a running
// server may write nowhere else. Folder.Store reads that, encrypts and keeps it.
package backup

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"resguardo/vault"
)

// Format is the first thing in a manifest.
const Format = "resguardo/backup/v1"

// Names of the parts that are not of the vault.
const (
	stateName    = "state"
	manifestName = "manifest"
	slotsName    = "keys.slots"
	metaName     = "vault.db"
)

// MaxNumber is the greatest number of a backup.
const MaxNumber = 999999

// Owner tells backups of one vault to the same recipients from others, without
// telling anybody who has not its log key which vault or whose keys those are.
type Owner struct {
	Vault      string `json:"vault"`      // 32 hex digits
	Recipients string `json:"recipients"` // likewise
}

// OwnerOf makes it from the content of log.key and the text of every recipient.
func OwnerOf(logKey []byte, recipients []string) Owner {
	mac := func(text string) string {
		h := hmac.New(sha256.New, logKey)
		h.Write([]byte(text))
		return hex.EncodeToString(h.Sum(nil)[:16])
	}
	sorted := slices.Sorted(slices.Values(recipients))
	return Owner{mac(Format + " vault"), mac(Format + " recipients\n" + strings.Join(sorted, "\n"))}
}

// Manifest lists the files of one backup. Its text is canonical: one JSON object for
// the head and one for each entry, in this order of fields, each line ending in LF.
type Manifest struct {
	head
	Entries []Entry // by name
}

type head struct {
	Format string `json:"format"`
	Number int    `json:"number"`
	Owner
}

// Entry is one encrypted file.
type Entry struct {
	Name    string `json:"name"`              // keys.slots, vault.db, blobs/00000001.db, or state
	Version string `json:"version,omitempty"` // of a blob file; see vault.Part
	File    string `json:"file"`              // in the folder
	Size    int64  `json:"size"`              // bytes
	SHA256  string `json:"sha256"`            // lower-case hex
}

var (
	errManifest = errors.New("not a manifest of a backup")
	hexForm     = regexp.MustCompile(`^[0-9a-f]+$`)
	blobForm    = regexp.MustCompile(`^blobs/([0-9]{8})\.db$`)
	blobFile    = regexp.MustCompile(`^blobs/([0-9]{8})-[0-9a-f]{16}\.age$`)
)

// Marshal returns the text.
func (m Manifest) Marshal() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	check := func(err error) {
		if err != nil {
			panic("backup: manifest does not encode: " + err.Error())
		}
	}
	check(e.Encode(m.head))
	for _, entry := range m.Entries {
		check(e.Encode(entry))
	}
	return b.Bytes()
}

// ParseManifest reads exactly what Marshal writes of a manifest whose names are
// ours and stay in the folder.
func ParseManifest(text []byte) (Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&m.head); err != nil || m.Format != Format || m.Number < 1 || m.Number > MaxNumber || !isHex(m.Vault, 32) || !isHex(m.Recipients, 32) {
		return Manifest{}, errManifest
	}
	for d.More() {
		var e Entry
		if err := d.Decode(&e); err != nil || !m.fits(e) {
			return Manifest{}, errManifest
		}
		m.Entries = append(m.Entries, e)
	}
	if !bytes.Equal(m.Marshal(), text) {
		return Manifest{}, errManifest
	}
	return m, nil
}

// fits tells whether e may be the next entry.
func (m Manifest) fits(e Entry) bool {
	if n := len(m.Entries); n > 0 && m.Entries[n-1].Name >= e.Name || e.Size < 0 || !isHex(e.SHA256, 64) {
		return false
	}
	if name := blobForm.FindStringSubmatch(e.Name); name != nil {
		file := blobFile.FindStringSubmatch(e.File)
		return file != nil && file[1] == name[1] && isHex(e.Version, 64)
	}
	return e.Version == "" && e.File != "" && e.File == fileOf(e.Name, m.Number)
}

// fileOf is where a part that belongs to one backup lies; empty for any other.
func fileOf(name string, number int) string {
	switch name {
	case slotsName:
		return fmt.Sprintf("keys/%06d.age", number)
	case metaName, stateName:
		return fmt.Sprintf("%06d/%s.age", number, name)
	}
	return ""
}

// add puts an entry in its place.
func (m *Manifest) add(e Entry) {
	i, _ := slices.BinarySearchFunc(m.Entries, e.Name, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
	m.Entries = slices.Insert(m.Entries, i, e)
}

// entry returns the entry of a part.
func (m Manifest) entry(name string) (Entry, bool) {
	i := slices.IndexFunc(m.Entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return m.Entries[i], true
}

// inner is the manifest that lies in state.age.
func (m Manifest) inner() Manifest {
	m.Entries = slices.DeleteFunc(slices.Clone(m.Entries), func(e Entry) bool { return e.Name == stateName })
	return m
}

func isHex(s string, n int) bool { return len(s) == n && hexForm.MatchString(s) }

// Made is what Folder.Store has done.
type Made struct {
	Number  int
	Copied  int             // blob files that were new or had changed
	Kept    int             // blob files that lay in the folder already
	Bytes   int64           // written
	Missing []vault.Problem // blob files that are damaged in the vault, and not in the backup
}
