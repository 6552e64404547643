package translog

import (
	"bytes"
	"errors"
)

// RecordSize is the size of a Record in bytes.
const RecordSize = 512

// Record is E and the opening, padded with zeros to RecordSize: what auditors get per leaf.
func Record(e Event, o Opening) []byte {
	text := o.Marshal()
	if len(e)+len(text) > RecordSize {
		panic("translog: opening of an impossible kind")
	}
	b := make([]byte, RecordSize)
	copy(b, e[:])
	copy(b[len(e):], text)
	return b
}

// ParseRecord accepts exactly what Record writes. It does not compare the tag in
// the opening with the one that E makes: an auditor wants to name that case.
func ParseRecord(record []byte) (Event, Opening, error) {
	if len(record) != RecordSize {
		return Event{}, Opening{}, errors.New("record of a wrong size")
	}
	e := Event(record[:32])
	o, err := ParseOpening(bytes.TrimRight(record[32:], "\x00"))
	if err != nil {
		return Event{}, Opening{}, err
	}
	return e, o, nil
}

// Queued is an event that waits for its leaf.
type Queued struct {
	Tag        [32]byte
	Commitment [32]byte
	Record     []byte // RecordSize bytes; secret
}

// Queue fills in the tag of the opening and makes what waits for the leaf.
func Queue(e Event, o Opening) Queued {
	o.Tag = e.Tag(o.Kind)
	return Queued{Tag: o.Tag, Commitment: e.Commit(o.Marshal()), Record: Record(e, o)}
}
