package seal

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"resguardo/crypto/card"
)

// Expect is what the opener knows about a report from elsewhere. Empty fields
// are not checked.
type Expect struct {
	Origin string
	Case   string
}

// Report is an opened report. As an [io/fs.FS] it holds the entries but padding.
// The last read of a file compares the content with the manifest: it returns an
// error, not the bytes and not io.EOF, if they differ. A Report is safe for
// concurrent use if the ciphertext is.
type Report struct {
	Manifest       Manifest
	ManifestSHA256 [32]byte // of the text of manifest.json

	// Original is, in a rewrap, the item that was sealed again: the same contents
	// under the manifest and the letter that they had. Else it is nil.
	Original *Report

	letter  []byte
	plain   io.ReaderAt
	entries layout // those of the manifest, then manifest.json, signature.note if there is a letter, padding
}

// Open decrypts the age file of size bytes and checks its structure:
// the zip must be exactly one that a [Writer] makes, the manifest canonical, its
// list equal to the entries, and the origin and case those of want.
// Contents are decrypted and hashed when they are read ([Report.Verify] reads all).
// Open holds no content but manifests and letters in memory, and writes nothing.
// It does not verify a letter: [Report.VerifyLetter] does.
//
// If no identity matches, the error is an [*age.NoIdentityMatchError].
func Open(ciphertext io.ReaderAt, size int64, want Expect, identities ...age.Identity) (*Report, error) {
	plain, n, err := decrypt(ciphertext, size, identities...)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	r, err := openPlain(plain, n)
	if err != nil {
		return nil, err
	}
	if want.Origin != "" && r.Manifest.Origin != want.Origin {
		return nil, fmt.Errorf("report belongs to origin %s, not %s", r.Manifest.Origin, want.Origin)
	}
	if want.Case != "" && r.Manifest.Case != want.Case {
		return nil, fmt.Errorf("report belongs to case %s, not %s", r.Manifest.Case, want.Case)
	}
	return r, nil
}

// decrypt is the only way by which Open reaches the plaintext.
func decrypt(ciphertext io.ReaderAt, size int64, identities ...age.Identity) (io.ReaderAt, int64, error) {
	return age.DecryptReaderAt(ciphertext, size, identities...)
}

// openPlain opens the zip of size bytes.
func openPlain(plain io.ReaderAt, size int64) (*Report, error) {
	if size < minPadded || size > 1<<62 || PaddedSize(size) != size {
		return nil, fmt.Errorf("%d bytes are not a padded size", size)
	}
	r := &Report{plain: plain}
	var err error
	if r.entries, err = readLayout(plain, size); err != nil {
		return nil, err
	}
	last := len(r.entries) - 1 // padding
	at := last - 1             // manifest.json
	if last >= 1 && r.entries[at].name == entryLetter {
		at--
	}
	if at < 1 || r.entries[at].name != entryManifest || r.entries[last].name != entryPadding {
		return nil, errors.New("manifest or padding is missing")
	}
	if err := r.readManifest(r.entries[at], ""); err != nil {
		return nil, err
	}
	if len(r.Manifest.Files) != at {
		return nil, fmt.Errorf("manifest lists %d entries, zip has %d", len(r.Manifest.Files), at)
	}
	for i, f := range r.Manifest.Files {
		if e := r.entries[i]; e.name != f.Entry || e.size != f.Size {
			return nil, fmt.Errorf("entry %d differs from the manifest", i+1)
		}
	}
	if card.DeskKind(r.Manifest.Kind) != (last > at+1) {
		return nil, errors.New("letter is missing, or one too many")
	}
	if last > at+1 {
		if err := r.readLetter(r.entries[at+1], ""); err != nil {
			return nil, err
		}
	}
	if r.Manifest.Kind == kindRewrap {
		if r.Original, err = r.openOriginal(); err != nil {
			return nil, fmt.Errorf("original: %w", err)
		}
	}
	return r, nil
}

// readManifest reads the manifest in e, which has this SHA-256 if one is given.
func (r *Report) readManifest(e entry, want string) error {
	if e.size > MaxManifest {
		return fmt.Errorf("manifest has more than %d bytes", MaxManifest)
	}
	text, err := io.ReadAll(r.content(e, want))
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	r.ManifestSHA256 = sha256.Sum256(text)
	r.Manifest, err = parseManifest(text)
	return err
}

// readLayout reads the directory of the zip of size bytes and checks that all
// bytes but the contents are those that the directory makes necessary: no
// compression, no times, no comments, nothing before, between or behind.
func readLayout(plain io.ReaderAt, size int64) (layout, error) {
	z, err := zip.NewReader(tail{plain, size - maxDirectory}, size)
	if err != nil {
		return nil, fmt.Errorf("%w (%v)", errFrame, err)
	}
	var l layout
	var sum uint64
	for _, f := range z.File {
		// Bounds what replay does.
		if sum += min(f.UncompressedSize64, 1<<62); sum > uint64(size) {
			return nil, errFrame
		}
		l = append(l, entry{name: f.Name, size: int64(f.UncompressedSize64), crc: f.CRC32})
	}
	f := &frame{want: plain}
	if err := l.replay(f); err != nil {
		return nil, err
	}
	if f.off != size {
		return nil, errFrame
	}
	return l, nil
}

// maxDirectory bounds the bytes of a zip's directory: MaxEntries+5 records of
// 46 bytes, a name of at most 14 and a zip64 field of 28, and 98 bytes of ends.
const maxDirectory = 128 << 10

// tail reads from r at offset from and later only. archive/zip gets no more, so
// that a directory made to be huge is an error and not a use of memory.
type tail struct {
	r    io.ReaderAt
	from int64
}

func (t tail) ReadAt(p []byte, off int64) (int, error) {
	if off < t.from {
		return 0, errors.New("directory is too large")
	}
	return t.r.ReadAt(p, off)
}

// Verify reads every entry to its end and reports the first that differs from
// the manifest. It also checks that the padding is zeros.
func (r *Report) Verify() error {
	for _, f := range r.Manifest.Files {
		file, err := r.Open(f.Entry)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, file); err != nil {
			return err
		}
	}
	return r.verifyPadding()
}

func (r *Report) verifyPadding() error {
	padding := r.content(r.entries[len(r.entries)-1], "")
	buf := make([]byte, 64<<10)
	zero := make([]byte, len(buf))
	for {
		n, err := padding.Read(buf)
		if !bytes.Equal(buf[:n], zero[:n]) {
			return errors.New("padding is not zero")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read padding: %w", err)
		}
	}
}

// Stanzas returns the types of the recipient stanzas of an age file, in order.
// It reads the header only, and needs no identity. A swapped recipient of the
// same type does not show.
func Stanzas(ciphertext io.Reader) ([]string, error) {
	header, err := age.ExtractHeader(ciphertext)
	if err != nil {
		return nil, err
	}
	// age gives the stanzas to an identity and no other way out of its package.
	var types stanzaTypes
	_, err = age.DecryptHeader(header, &types)
	if err != nil && types == nil {
		return nil, err
	}
	return types, nil
}

// stanzaTypes is an identity that never matches and notes what it is shown.
type stanzaTypes []string

func (t *stanzaTypes) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	*t = []string{}
	for _, s := range stanzas {
		*t = append(*t, s.Type)
	}
	return nil, age.ErrIncorrectIdentity
}
