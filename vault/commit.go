package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// Submission is what Commit needs to make the first item of a new case.
type Submission struct {
	Mailbox    [32]byte // SHA-256 of the mailbox token
	Case       CaseID
	Thread     [16]byte
	Event      translog.Event // E of report 0
	Expire     translog.Event // E of expire 0
	Tombstones [2][32]byte    // tags of source-delete 0 and desk-delete 0, which delete the whole thread
	Recipient  string         // the source's age recipient
	Desks      []string
	Excludes   bool   // the source excluded somebody; whom, stands in the report alone
	Day        string // 2006-01-02, UTC
	Recipients int    // number of age stanzas
	Governance uint64
}

// Addition is what Append needs to add an item to a case.
type Addition struct {
	Case       CaseID
	Number     int // that the item must get, counting all items ever; -1 = the next one, whichever it is
	Kind       translog.Kind
	Event      translog.Event
	Ref        [32]byte // tag of the event that this one is about; zeros = none
	Day        string   // 2006-01-02, UTC
	Desks      []string // that may read it
	Joins      string   // a desk that the case is handed to as well; may be empty
	Leaves     string   // a desk that gives the case up; may be empty
	Recipients int      // number of age stanzas
	Governance uint64
}

func (s Submission) validate() error {
	if !s.Case.valid() {
		return errors.New("case id is not one of NewCaseID")
	}
	if s.Recipient == "" {
		return errors.New("submission without a recipient")
	}
	return validItem(s.Day, s.Desks, s.Recipients)
}

func (a Addition) validate() error {
	if !a.Kind.Known() || a.Kind == translog.Report || a.Kind == translog.Filler {
		return errors.New("no kind of an item that is added")
	}
	return validItem(a.Day, a.Desks, a.Recipients)
}

func validItem(day string, desks []string, recipients int) error {
	if t, err := time.Parse(time.DateOnly, day); err != nil || t.Format(time.DateOnly) != day {
		return errors.New("day is not of the form 2006-01-02")
	}
	if len(desks) == 0 || recipients < 1 {
		return errors.New("item without a desk or a recipient")
	}
	return nil
}

// Commit stores the draft as the first item of a new case and queues its event, in one transaction.
//
// After a nil error the item survives power loss. ErrFull, ErrExists (mailbox,
// case or event are there already), ErrClosed and errors about the draft or the
// submission itself are definite: nothing was stored, and the draft is discarded.
// ErrUnknown must not be acknowledged. Once the writing has begun, ctx does not
// end it: its outcome would be unknown.
func (d *Draft) Commit(ctx context.Context, s Submission) error {
	return d.finish(ctx, s.validate(), func(e *entering) {
		ref := d.v.reserveSlot()
		d.caseSlot = &ref.number
		e.mailbox, e.caseRef = s.Mailbox, ref
		e.kase = &caseRecord{
			Case:       s.Case,
			Thread:     s.Thread[:],
			Recipient:  s.Recipient,
			Expire:     s.Expire[:],
			Tombstones: [][]byte{s.Tombstones[0][:], s.Tombstones[1][:]},
			Desks:      slices.Clone(s.Desks),
			Excludes:   s.Excludes,
		}
		e.event = s.Event
		e.opening.Kind, e.opening.Recipients, e.opening.Governance = translog.Report, uint64(s.Recipients), s.Governance
		e.item.Case, e.item.Day, e.item.Desks = s.Case, s.Day, slices.Clone(s.Desks)
	})
}

// Append stores the draft as one more item of a case and queues its event, in one
// transaction. What Commit promises holds here too; besides, ErrNotFound: there is
// no such case, or not any more; ErrStale: it has another number of items by now;
// ErrExists: the event is known. It returns the number of the item.
func (d *Draft) Append(ctx context.Context, a Addition) (number int, err error) {
	var e *entering
	err = d.finish(ctx, a.validate(), func(made *entering) {
		e = made
		e.add = &a
		e.event = a.Event
		e.opening.Kind, e.opening.Ref, e.opening.Recipients, e.opening.Governance = a.Kind, a.Ref, uint64(a.Recipients), a.Governance
		e.item.Case, e.item.Day, e.item.Desks = a.Case, a.Day, slices.Clone(a.Desks)
	})
	if err != nil {
		return 0, err
	}
	return e.item.Number, nil
}

// finish ends the draft as an item that describe completes.
func (d *Draft) finish(ctx context.Context, invalid error, describe func(*entering)) error {
	if d.err == nil {
		d.err = d.enter(ctx, invalid, describe)
	}
	err := d.err
	if err == nil {
		d.err = errFinished
		d.v.forget(d.ID())
		d.fill, d.spare, d.header = nil, nil, nil
	}
	d.Discard()
	return err
}

func (d *Draft) enter(ctx context.Context, invalid error, describe func(*entering)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.v.usable(); err != nil {
		return err
	}
	if !d.whole {
		return errHeader
	}
	size, ok := translog.PlaintextSize(d.payload)
	if !ok {
		return errPayload
	}
	if invalid != nil {
		return invalid
	}
	if d.fill.size > smallTail {
		if err := d.send(); err != nil {
			return err
		}
	}
	if err := d.settle(); err != nil {
		return err
	}
	e := &entering{id: d.id, ref: d.ref, header: d.header}
	e.opening.Ciphertext, e.opening.SizeClass = [32]byte(d.sum.Sum(nil)), size
	e.item.Size, e.item.Header, e.item.Blob = int64(len(d.header))+d.payload, len(d.header), d.file.number
	describe(e)
	j := d.job(small)
	if e.kase != nil {
		j.slots = append(j.slots, slotWrite{number: e.caseRef.number, slot: slot{class: caseSlot, owner: e.mailbox, key: e.caseRef.key}})
	}
	j.entering = e
	return <-d.v.jobs.submit(j)
}

// entering is an item on its way into the tables. What depends on its case is
// completed by the writer.
type entering struct {
	id      [16]byte
	ref     slotRef
	header  []byte
	item    itemRecord
	opening translog.Opening
	event   translog.Event

	mailbox [32]byte    // row key of the case
	kase    *caseRecord // of a new case
	caseRef slotRef     // of a new case
	add     *Addition   // to a case that is there
}

func (e *entering) tag() [32]byte { return e.event.Tag(e.opening.Kind) }

// openedCase is a case row that the writer changes.
type openedCase struct {
	mailbox [32]byte
	ref     slotRef
	record  caseRecord
}

// openCases opens the case of every item of a round, gives each item its number
// and place, and answers those that cannot have one. It returns the others with the
// cases as they will be.
func (v *Vault) openCases(round []*job) (rest []*job, cases map[CaseID]*openedCase, err error) {
	cases = make(map[CaseID]*openedCase)
	err = v.view(func(tx *bbolt.Tx) error {
		for _, j := range round {
			e := j.entering
			if e == nil {
				rest = append(rest, j)
				continue
			}
			c, err := v.caseOf(tx, e, cases)
			if err == nil {
				err = c.take(e, v.logDay())
			}
			if err != nil {
				j.done <- err
				continue
			}
			cases[c.record.Case] = c
			rest = append(rest, j)
		}
		return nil
	})
	return rest, cases, err
}

func (v *Vault) caseOf(tx *bbolt.Tx, e *entering, cases map[CaseID]*openedCase) (*openedCase, error) {
	if e.kase != nil {
		return &openedCase{mailbox: e.mailbox, ref: e.caseRef, record: *e.kase}, nil
	}
	if c := cases[e.add.Case]; c != nil {
		return c, nil
	}
	return v.openCaseRow(tx, e.add.Case)
}

// openCaseRow opens the row of a case for a change. It returns ErrNotFound or an error that wraps ErrDamaged.
func (v *Vault) openCaseRow(tx *bbolt.Tx, id CaseID) (*openedCase, error) {
	mailbox, ok := v.index.caseKey(id)
	if !ok {
		return nil, ErrNotFound
	}
	row := tx.Bucket([]byte(casesBucket)).Get(mailbox[:])
	record, err := v.slots.openCase(mailbox[:], row)
	if err != nil {
		return nil, err
	}
	n, _ := rowSlot(row)
	key, err := v.slots.key(n, caseSlot, mailbox[:])
	if err != nil {
		return nil, err
	}
	return &openedCase{mailbox: mailbox, ref: slotRef{number: n, key: key, used: true}, record: record}, nil
}

// logDay is the day (2006-01-02, UTC) on which the newest epoch of the log ended, empty
// before the log begins: a clock that shows an earlier day is wrong.
func (v *Vault) logDay() string {
	m := v.log.monitor
	if m == nil {
		return ""
	}
	return translog.EpochStart(m.LastEpoch()+1, v.genesis.Epoch).Format(time.DateOnly)
}

// take gives an item its number, and the case the item. today is the log's: by a clock
// that went back, retention would destroy the case once the clock is right again.
func (c *openedCase) take(e *entering, today string) error {
	r := &c.record
	if a := e.add; a != nil {
		if a.Number >= 0 && a.Number != r.Next {
			return ErrStale
		}
		if a.Joins != "" && !slices.Contains(r.Desks, a.Joins) {
			r.Desks = append(slices.Clone(r.Desks), a.Joins)
		}
		r.Desks = slices.DeleteFunc(slices.Clone(r.Desks), func(d string) bool { return d == a.Leaves })
	}
	e.mailbox = c.mailbox
	e.item.Number = r.Next
	e.opening.Thread = [16]byte(r.Thread)
	e.opening.Tag = e.tag()
	e.item.Event, e.item.Opening = e.event[:], e.opening.Marshal()
	r.Next++
	r.Items = append(slices.Clone(r.Items), itemID(e.id[:]))
	r.Day = max(r.Day, e.item.Day, today)
	return nil
}

func (c *openedCase) put(tx *bbolt.Tx) error {
	row := sealRow(casesBucket, c.mailbox[:], clearState(c.ref.number), encodeRecord(c.record, casePad), c.ref.key)
	return tx.Bucket([]byte(casesBucket)).Put(c.mailbox[:], row)
}

func (e *entering) put(tx *bbolt.Tx, queue slotRef) error {
	q := translog.Queue(e.event, e.opening)
	return errors.Join(
		tx.Bucket([]byte(itemsBucket)).Put(e.id[:], sealRow(itemsBucket, e.id[:], clearState(e.ref.number), encodeRecord(e.item, itemPad), e.ref.key)),
		tx.Bucket([]byte(headersBucket)).Put(e.id[:], sealRow(headersBucket, e.id[:], clearHeader(e.ref.number), e.header, e.ref.key)),
		tx.Bucket([]byte(queueBucket)).Put(q.Tag[:], sealQueued(q, queue)))
}
