package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
)

const (
	maxHeader = 256 << 10 // bytes of an age header
	// smallTail: a last segment up to this size travels with the commit, a longer
	// one before it, with the other long ones.
	smallTail = valueSize
)

var (
	errHeader   = fmt.Errorf("no age header of at most %d bytes", maxHeader)
	errPayload  = errors.New("payload is not that of an age file")
	errFinished = errors.New("draft is finished")
)

// Draft receives the ciphertext of one item. It is an io.Writer; Write blocks
// while 8 MiB wait for the disk. A Draft is for one goroutine, and must end in
// Commit or Discard.
type Draft struct {
	v    *Vault
	id   [16]byte
	ref  slotRef
	file *blobFile

	share int64 // of the floor that must stay free; see Vault.room

	sum     hash.Hash // of header and payload
	header  []byte
	payload int64 // bytes, after the header
	whole   bool  // the header is complete

	fill, spare *segment
	sent        uint32     // segments given to the writer
	pending     chan error // outcome of the segment that the writer has, or nil
	slotSent    bool       // the writer was given the item's slot
	caseSlot    *uint64    // the slot of a new case, once reserved
	err         error      // why nothing more is taken
}

// Create begins an item. It returns ErrFull when there is no room.
func (v *Vault) Create(ctx context.Context) (*Draft, error) { return v.create(ctx, 1) }

// CreateReply is Create for what reviewers add to a case. It goes on when reports are
// refused already, until a quarter of the floor is left.
func (v *Vault) CreateReply(ctx context.Context) (*Draft, error) { return v.create(ctx, replyShare) }

func (v *Vault) create(ctx context.Context, share int64) (*Draft, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := v.room(share); err != nil {
		return nil, err
	}
	d := &Draft{
		v:     v,
		share: share,
		ref:   v.reserveSlot(),
		file:  v.blobs.current(),
		sum:   sha256.New(),
		fill:  new(segment),
		spare: new(segment),
	}
	rand.Read(d.id[:])
	v.draftMu.Lock()
	v.drafts[d.ID()] = true
	v.draftMu.Unlock()
	return d, nil
}

// ID is the id that the item will have.
func (d *Draft) ID() ItemID { return itemID(d.id[:]) }

// Write takes age ciphertext. After an error, ErrFull for one, the draft can
// only be discarded.
func (d *Draft) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.err = d.v.usable(); d.err != nil {
		return 0, d.err
	}
	d.sum.Write(p)
	rest := p
	if !d.whole {
		rest = d.takeHeader(rest)
	}
	for len(rest) > 0 && d.err == nil {
		n := d.fill.append(rest)
		d.payload += int64(n)
		rest = rest[n:]
		if d.fill.size == segmentSize {
			d.err = d.send()
		}
	}
	return len(p) - len(rest), d.err
}

// takeHeader moves bytes to the header, up to the end of the first line that
// begins with "--- ", and returns the rest.
func (d *Draft) takeHeader(p []byte) []byte {
	for len(p) > 0 && !d.whole && d.err == nil {
		n := bytes.IndexByte(p, '\n') + 1
		ends := n > 0
		if !ends {
			n = len(p)
		}
		if len(d.header)+n > maxHeader {
			d.err = errHeader
			return p
		}
		d.header = append(d.header, p[:n]...)
		p = p[n:]
		if ends {
			line := d.header[bytes.LastIndexByte(d.header[:len(d.header)-1], '\n')+1:]
			d.whole = bytes.HasPrefix(line, []byte("--- "))
		}
	}
	return p
}

// send gives the filled segment to the writer, once it has stored the one before.
func (d *Draft) send() error {
	if err := d.settle(); err != nil {
		return err
	}
	if err := d.v.room(d.share); err != nil {
		return err
	}
	d.pending = d.v.jobs.submit(d.job(bulk))
	d.fill, d.spare = d.spare, d.fill
	d.fill.reset()
	return nil
}

// job is the next one of this draft: the segment in fill, with the slot the first time.
func (d *Draft) job(p priority) *job {
	j := &job{draft: d, priority: p}
	if d.fill.size > 0 {
		j.segment = d.fill
		j.segment.number = d.sent
		d.sent++
	}
	if !d.slotSent {
		d.slotSent = true
		j.slots = []slotWrite{{number: d.ref.number, slot: slot{class: itemSlot, owner: padOwner(d.id[:]), key: d.ref.key}}}
	}
	return j
}

// settle waits for the segment that the writer has.
func (d *Draft) settle() error {
	if d.pending == nil {
		return nil
	}
	err := <-d.pending
	d.pending = nil
	return err
}

// Discard drops the draft. It is safe after Commit, where it does nothing.
func (d *Draft) Discard() {
	if errors.Is(d.err, errFinished) {
		return
	}
	d.settle()
	d.err = errFinished
	if d.slotSent {
		<-d.v.jobs.submit(&job{draft: d, priority: bulk, discard: true})
	} else {
		d.v.slots.release(d.ref.number)
		d.v.forget(d.ID())
	}
	d.fill, d.spare, d.header = nil, nil, nil
}

// slotNumbers are the slots that the writer was given, or may have been.
func (d *Draft) slotNumbers() []uint64 {
	if d.caseSlot == nil {
		return []uint64{d.ref.number}
	}
	return []uint64{d.ref.number, *d.caseSlot}
}

// forget takes a draft off the list that Check compares with.
func (v *Vault) forget(id ItemID) {
	v.draftMu.Lock()
	delete(v.drafts, id)
	v.draftMu.Unlock()
}
