package vault

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"resguardo/vault/translog"
)

// Buckets of vault.db. A sealed row is
//
//	clear part ‖ nonce (24 bytes) ‖ XChaCha20-Poly1305(key of the slot, record)
//
// and every clear part begins with the number of the slot (8 bytes, big-endian).
// The associated data is the bucket's name, a zero byte, the row's key and the
// clear part: no row can stand in for another.
const (
	casesBucket   = "cases"   // SHA-256(mailbox token) -> slot ‖ state ‖ sealed caseRecord
	itemsBucket   = "items"   // item id -> slot ‖ state ‖ sealed itemRecord
	headersBucket = "headers" // item id -> slot ‖ sealed age header
	queueBucket   = "queue"   // tag -> slot ‖ commitment ‖ sealed translog.Record
	tilesBucket   = "tiles"   // level, index -> tile of the public log, in clear
	recordsBucket = "records" // epoch -> age file with the records of its leaves
	vaultBucket   = "vault"   // format, genesis, queue; checkpoints
)

// Bytes in the clear part of a row.
const (
	stateClear  = 9  // slot, state
	headerClear = 8  // slot
	queueClear  = 40 // slot, commitment
)

// States of a case or item. A row that is being deleted is its clear part alone.
const (
	stateLive     = 'L'
	stateDeleting = 'D'
)

// caseRecord is one codename's thread, as sealed JSON.
type caseRecord struct {
	Case      CaseID   `json:"case"`
	Thread    []byte   `json:"thread"`    // 16 bytes
	Recipient string   `json:"recipient"` // of the source
	Expire    []byte   `json:"expire"`    // E of expire 0, 32 bytes
	Desks     []string `json:"desks"`
	Excludes  bool     `json:"excludes,omitempty"` // the source excluded somebody
	Day       string   `json:"day"`                // of the newest item
	Next      int      `json:"next"`               // number of the next item
	Items     []ItemID `json:"items"`              // in order of their numbers
	Gone      []gone   `json:"gone,omitempty"`
	Hold      bool     `json:"hold,omitempty"`    // not to be deleted by retention
	Holds     uint64   `json:"holds,omitempty"`   // times that Hold was set or lifted
	Pending   []byte   `json:"pending,omitempty"` // a deletion that waits for a second signature

	// Tags that delete the thread, of source-delete 0 and desk-delete 0: an old
	// copy must find in a newer log that the case was deleted.
	Tombstones [][]byte `json:"tombstones"`
}

// gone is an item that was deleted alone.
type gone struct {
	Number int           `json:"number"`
	Kind   translog.Kind `json:"kind"`
	Day    string        `json:"day"`
	Sum    []byte        `json:"sum"` // SHA-256 of the age file
}

// itemRecord is one item, as sealed JSON. Kind, tag, hash, padded size and
// recipients are in the opening.
type itemRecord struct {
	Case    CaseID   `json:"case"`
	Number  int      `json:"number"` // in its case, from 0
	Day     string   `json:"day"`
	Desks   []string `json:"desks"`
	Size    int64    `json:"size"`   // bytes of the age file
	Header  int      `json:"header"` // bytes of its header
	Blob    uint32   `json:"blob"`   // number of the blob file
	Event   []byte   `json:"event"`  // E, 32 bytes
	Opening []byte   `json:"opening"`
	Seen    bool     `json:"seen,omitempty"` // fetched by a reviewer, or shown to the source
}

// Records are padded with spaces, so that their length tells little of the
// number of desks and items.
const (
	casePad = 1024
	itemPad = 1024
)

func encodeRecord(record any, pad int) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic("vault: record does not encode: " + err.Error())
	}
	return append(b, bytes.Repeat([]byte{' '}, -len(b)&(pad-1))...)
}

func decodeCase(b []byte) (r caseRecord, err error) {
	if err := json.Unmarshal(b, &r); err != nil {
		return r, err
	}
	if !r.Case.valid() || len(r.Thread) != 16 || len(r.Expire) != 32 || len(r.Tombstones) != 2 ||
		len(r.Tombstones[0]) != 32 || len(r.Tombstones[1]) != 32 {
		return r, errors.New("case record lacks fields")
	}
	return r, nil
}

func decodeItem(b []byte) (r itemRecord, o translog.Opening, err error) {
	if err := json.Unmarshal(b, &r); err != nil {
		return r, o, err
	}
	if o, err = translog.ParseOpening(r.Opening); err != nil {
		return r, o, err
	}
	if len(r.Event) != 32 || r.Header < 0 || r.Size < int64(r.Header) {
		return r, o, errors.New("item record lacks fields")
	}
	return r, o, nil
}

// sealRow returns clear ‖ nonce ‖ sealed plaintext.
func sealRow(bucket string, rowKey, clear, plaintext []byte, key [32]byte) []byte {
	aead := newAEAD(key)
	value := make([]byte, len(clear)+chacha20poly1305.NonceSizeX, len(clear)+chacha20poly1305.NonceSizeX+len(plaintext)+aead.Overhead())
	nonce := value[copy(value, clear):]
	rand.Read(nonce)
	return aead.Seal(value, nonce, plaintext, associated(bucket, rowKey, clear))
}

// openRow returns the plaintext of a row with n clear bytes, or an error that wraps ErrDamaged.
func openRow(bucket string, rowKey, value []byte, n int, key [32]byte) ([]byte, error) {
	if len(value) < n+chacha20poly1305.NonceSizeX {
		return nil, errRowShort
	}
	nonce, sealed := value[n:n+chacha20poly1305.NonceSizeX], value[n+chacha20poly1305.NonceSizeX:]
	plaintext, err := newAEAD(key).Open(nil, nonce, sealed, associated(bucket, rowKey, value[:n]))
	if err != nil {
		return nil, fmt.Errorf("%w: it does not open under its key", ErrDamaged)
	}
	return plaintext, nil
}

var errRowShort = fmt.Errorf("%w: it is too short", ErrDamaged)

func newAEAD(key [32]byte) cipher.AEAD {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("vault: " + err.Error())
	}
	return aead
}

func associated(bucket string, rowKey, clear []byte) []byte {
	b := make([]byte, 0, len(bucket)+1+len(rowKey)+len(clear))
	b = append(append(b, bucket...), 0)
	return append(append(b, rowKey...), clear...)
}

func clearState(slot uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, slot), stateLive)
}

func clearDeleting(slot uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, slot), stateDeleting)
}

// isDeleting tells whether a row of a case or an item is being deleted.
func isDeleting(row []byte) bool { return len(row) == stateClear && row[stateClear-1] == stateDeleting }

func clearHeader(slot uint64) []byte { return binary.BigEndian.AppendUint64(nil, slot) }

func clearQueue(slot uint64, commitment [32]byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, slot), commitment[:]...)
}

// sealQueued makes a queue row under the queue's key.
func sealQueued(q translog.Queued, queue slotRef) []byte {
	return sealRow(queueBucket, q.Tag[:], clearQueue(queue.number, q.Commitment), q.Record, queue.key)
}

// rowSlot returns the slot number at the start of a row, or false when the row is too short to have one.
func rowSlot(value []byte) (uint64, bool) {
	if len(value) < 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(value), true
}

// openState opens a row that shows slot and state.
func (f *slotFile) openState(bucket string, class slotClass, rowKey, value []byte) ([]byte, error) {
	n, ok := rowSlot(value)
	if !ok || len(value) < stateClear {
		return nil, errRowShort
	}
	if value[8] != stateLive {
		return nil, fmt.Errorf("%w: its state is unknown", ErrDamaged)
	}
	key, err := f.key(n, class, rowKey)
	if err != nil {
		return nil, err
	}
	return openRow(bucket, rowKey, value, stateClear, key)
}

func (f *slotFile) openCase(rowKey, value []byte) (caseRecord, error) {
	b, err := f.openState(casesBucket, caseSlot, rowKey, value)
	if err != nil {
		return caseRecord{}, err
	}
	r, err := decodeCase(b)
	if err != nil {
		return caseRecord{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return r, nil
}

func (f *slotFile) openItem(rowKey, value []byte) (itemRecord, translog.Opening, error) {
	b, err := f.openState(itemsBucket, itemSlot, rowKey, value)
	if err != nil {
		return itemRecord{}, translog.Opening{}, err
	}
	r, o, err := decodeItem(b)
	if err != nil {
		return itemRecord{}, translog.Opening{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return r, o, nil
}

func (f *slotFile) openHeader(rowKey, value []byte) ([]byte, error) {
	n, ok := rowSlot(value)
	if !ok {
		return nil, errRowShort
	}
	key, err := f.key(n, itemSlot, rowKey)
	if err != nil {
		return nil, err
	}
	return openRow(headersBucket, rowKey, value, headerClear, key)
}

// openQueued opens a queue row and proves that tag and commitment are those of its record.
func (f *slotFile) openQueued(tag, value []byte) (translog.Event, translog.Opening, error) {
	fail := func(err error) (translog.Event, translog.Opening, error) {
		return translog.Event{}, translog.Opening{}, err
	}
	n, ok := rowSlot(value)
	if !ok || len(value) < queueClear {
		return fail(errRowShort)
	}
	key, err := f.key(n, queueSlot, nil)
	if err != nil {
		return fail(err)
	}
	record, err := openRow(queueBucket, tag, value, queueClear, key)
	if err != nil {
		return fail(err)
	}
	e, o, err := translog.ParseRecord(record)
	if err != nil {
		return fail(fmt.Errorf("%w: %v", ErrDamaged, err))
	}
	q := translog.Queue(e, o)
	if !bytes.Equal(q.Tag[:], tag) || q.Tag != o.Tag || !bytes.Equal(q.Commitment[:], value[8:queueClear]) {
		return fail(fmt.Errorf("%w: tag or commitment is not that of its record", ErrDamaged))
	}
	return e, o, nil
}

// eventTag is the tag that the item's event must have in the log.
func eventTag(r itemRecord, o translog.Opening) [32]byte {
	return translog.Event(r.Event).Tag(o.Kind)
}
