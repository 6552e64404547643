// Package seal makes and opens the sealed report: everything a source sends,
// as a zip of stored entries inside one age file to post-quantum recipients.
//
//	age file (filippo.io/age, age1pq1… and age1tagpq1… recipients only)
//	└─ zip, method store, data descriptors, no times, no extra fields
//	   ├─ message.txt     what happened
//	   ├─ answers.json    answers to the form's questions
//	   ├─ files/01 …      attachments; their declared names are in the manifest only
//	   ├─ original.json   in a rewrap: the manifest that the entries above had
//	   ├─ original.note   in a rewrap: the letter that it had
//	   ├─ manifest.json   origin, case, keys to answer with, SHA-256 of every entry
//	   ├─ signature.note  in what a desk writes: a letter, signed, about the manifest
//	   └─ padding         zeros, so that the zip has a [PaddedSize]
//
// Every item of a case is such a report: what the source sends later, what a desk
// answers or notes, and a report sealed again for other readers ([Writer.Rewrap]).
//
// A [Writer] streams: it holds no file in memory and writes nothing but
// ciphertext, to the writer it was given. [Open] reads a text out of a report
// without decrypting the video beside it. It accepts exactly the zips that a
// Writer makes: the bytes between the contents are compared with those that a
// Writer would have written, so that every other zip program sees in a report
// what Open sees.
//
// Sealed reports also open with stock age (1.3 or later) and unzip:
//
//	age -d -i identity.age report.age > report.zip && unzip report.zip
//
// The format is specified in docs/formats.md.
package seal

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"resguardo/crypto/card"
)

// Limits of one report.
const (
	MaxRecipients = 100     // recipients
	MaxEntries    = 1000    // message, answers and files together
	MaxManifest   = 1 << 20 // bytes of manifest.json
	MaxName       = 1024    // bytes of a declared name or type
)

// Names of the entries that are not files.
const (
	entryMessage        = "message.txt"
	entryAnswers        = "answers.json"
	entryOriginal       = "original.json"
	entryOriginalLetter = "original.note"
	entryManifest       = "manifest.json"
	entryLetter         = "signature.note"
	entryPadding        = "padding"
)

// A Writer seals one report. Entries go in the order message, answers, files;
// each but the last kind at most once, at least one in all. Or they all come from
// Rewrap.
//
// A Writer fails closed: after any error, or a panic out of a body, every later
// call returns an error, and what was written to dst is not and never becomes a
// valid age file. It is not safe for concurrent use. It needs about 200 KiB.
type Writer struct {
	age        io.WriteCloser
	plain      *counter
	zip        *zip.Writer
	layout     layout // finished entries
	files      []File
	recipients []string // fingerprints
	stanzas    []string // types
	original   *Report  // set by Rewrap
	buf        []byte
	err        error
}

var (
	errClosed      = errors.New("report is already closed")
	errInterrupted = errors.New("an earlier write did not finish")
)

// NewWriter begins a report to recipients: 1 to [MaxRecipients], no duplicates.
// It writes the age header, about 1.7 KB a recipient, to dst.
func NewWriter(dst io.Writer, recipients ...Recipient) (*Writer, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no recipients")
	}
	if len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("%d recipients are more than %d", len(recipients), MaxRecipients)
	}
	var fingerprints, stanzas []string
	seen := make(map[string]bool)
	keys := make([]age.Recipient, 0, len(recipients))
	for i, r := range recipients {
		if r.text == "" {
			return nil, fmt.Errorf("recipient %d is empty", i+1)
		}
		if seen[r.text] {
			return nil, fmt.Errorf("recipient %s is listed twice", r.Fingerprint())
		}
		seen[r.text] = true
		keys = append(keys, r)
		fingerprints = append(fingerprints, r.Fingerprint())
		stanzas = append(stanzas, r.stanza())
	}
	sealed, err := age.Encrypt(dst, keys...)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return newWriter(sealed, fingerprints, stanzas), nil
}

func newWriter(sealed io.WriteCloser, fingerprints, stanzas []string) *Writer {
	plain := &counter{w: sealed}
	return &Writer{age: sealed, plain: plain, zip: zip.NewWriter(plain), recipients: fingerprints, stanzas: stanzas, buf: make([]byte, 64<<10)}
}

// WriteMessage adds message.txt.
func (w *Writer) WriteMessage(text []byte) error {
	return w.writeFile(File{Entry: entryMessage}, bytes.NewReader(text))
}

// WriteAnswers adds answers.json.
func (w *Writer) WriteAnswers(json []byte) error {
	return w.writeFile(File{Entry: entryAnswers}, bytes.NewReader(json))
}

// WriteFile streams body into the next files/NN. The declared name and type go
// into the manifest only, as valid UTF-8, cut to [MaxName] bytes. An error of
// body or of dst is wrapped; the report must then be given up.
func (w *Writer) WriteFile(name, typ string, body io.Reader) error {
	return w.writeFile(File{Entry: nextFile(w.files), Name: declared(name), Type: declared(typ)}, body)
}

func (w *Writer) writeFile(f File, body io.Reader) error {
	if w.err == nil {
		w.err = checkEntries(append(w.files, f))
	}
	var err error
	if f.Size, f.SHA256, err = w.writeEntry(f.Entry, body); err != nil {
		return err
	}
	w.files = append(w.files, f)
	return nil
}

// Close writes manifest.json and the padding and ends the age file. It fills in
// Format, Recipients, Stanzas and Files of m, and refuses a manifest that [Open] would
// refuse. It does not close dst.
//
// Close is for what a source sends; what a desk writes needs CloseSigned.
func (w *Writer) Close(m Manifest) error { return w.close(m, nil) }

// CloseSigned is Close for what a desk writes. Behind manifest.json it writes the
// letter (signature.note) that sign makes for the SHA-256 of manifest.json. sign is
// called at most once, after every content has been written; CloseSigned refuses
// a letter that is about another item than m describes.
func (w *Writer) CloseSigned(m Manifest, sign func(manifestSHA256 [32]byte) ([]byte, error)) error {
	return w.close(m, sign)
}

func (w *Writer) close(m Manifest, sign func([32]byte) ([]byte, error)) error {
	m.Format = Format
	m.Recipients, m.Stanzas = w.recipients, w.stanzas
	m.Files = w.files
	text, err := m.encode()
	if err == nil && card.DeskKind(m.Kind) != (sign != nil) {
		err = errors.New("a desk's items are signed, and no others")
	}
	if err == nil && w.original != nil {
		err = m.checkOriginal(&w.original.Manifest, w.original.letter != nil)
	}
	if w.err == nil {
		w.err = err
	}
	if _, _, err := w.writeEntry(entryManifest, bytes.NewReader(text)); err != nil {
		return err
	}
	if sign != nil {
		if err := w.writeLetter(&m, sha256.Sum256(text), sign); err != nil {
			return err
		}
	}
	padding, total := w.layout.padding()
	if _, _, err := w.writeEntry(entryPadding, io.LimitReader(zeros{}, padding)); err != nil {
		return err
	}
	w.err = w.finish(total)
	if w.err == nil {
		w.err = errClosed
		return nil
	}
	return w.err
}

func (w *Writer) finish(total int64) error {
	if err := w.zip.Close(); err != nil {
		return fmt.Errorf("end zip: %w", err)
	}
	if w.plain.n != total {
		return fmt.Errorf("zip has %d bytes, not %d", w.plain.n, total)
	}
	if err := w.age.Close(); err != nil {
		return fmt.Errorf("end age file: %w", err)
	}
	return nil
}

// writeEntry streams one entry and returns its size and SHA-256. Whatever
// happens to it, w.err is nil afterwards only if the entry is complete.
func (w *Writer) writeEntry(name string, body io.Reader) (int64, string, error) {
	if w.err != nil {
		return 0, "", w.err
	}
	w.err = errInterrupted // what remains if body panics
	e, err := w.zip.CreateHeader(newHeader(name))
	if err != nil {
		w.err = fmt.Errorf("begin %s: %w", name, err)
		return 0, "", w.err
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(e, sum), body, w.buf)
	if err != nil {
		w.err = fmt.Errorf("write %s: %w", name, err)
		return 0, "", w.err
	}
	w.layout = append(w.layout, entry{name: name, size: n})
	w.err = nil
	return n, hex.EncodeToString(sum.Sum(nil)), nil
}

// counter counts the bytes that pass to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// zeros is an endless reader of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
