package main

import (
	"slices"
	"time"

	"resguardo/vault/translog"
)

// ackDays is how long an acknowledgement may take.
const ackDays = 7

// thread is what is known of one report and all that belongs to it.
type thread struct {
	report *opened // nil: not known
	acked  int64   // epoch of the first acknowledgement; 0 = none is known
	end    *opened // deletion of the whole thread; nil = none is known
}

// account is the openings and the items of a log, held against each other.
type account struct {
	*ledger
	items    []*item
	length   time.Duration // of an epoch
	now      time.Time
	restores []translog.Restore

	findings []*finding
	blind    []int64 // epochs in which something can have happened unseen
	threads  map[[16]byte]*thread
	deleted  map[[32]byte]*opened // deletions of single items, by the tag of the item
	byTag    map[[32]byte]*item
	figures  figures
}

// figures are what an account counts. They say nothing of what a report says.
type figures struct {
	Compared int `json:"items_compared"`
	Waiting  int `json:"items_waiting"` // for the log
	Removed  int `json:"items_removed"` // by the auditor, with forget
	Kept     int `json:"items_kept"`    // deleted, but still in the auditor's folder
	Lost     int `json:"items_lost"`    // a note of the operator says so
	Late     int `json:"acknowledged_late"`
	Never    int `json:"never_acknowledged"`
}

func (a *account) add(f *finding) {
	if f != nil {
		a.findings = append(a.findings, f)
	}
}

// judge compares everything with everything.
func (a *account) judge() {
	unopened, blind := a.unopened()
	a.findings, a.blind = append(a.findings, unopened...), blind
	a.byTag = make(map[[32]byte]*item)
	for _, i := range a.items {
		a.claim(i)
	}
	slices.SortStableFunc(a.order, func(x, y *opened) int { return int(x.leaf - y.leaf) })
	a.thread()
	for _, e := range a.order {
		a.judgeEvent(e)
	}
	a.judgeAcks()
}

// claim holds what the vault said about an item against the log, and learns
// from it what a leaf is whose record is not here.
func (a *account) claim(i *item) {
	if err := i.claim(); err != nil {
		a.add(found(itemClaim, i.name+": "+err.Error()))
	}
	if a.byTag[i.opening.Tag] != nil {
		a.add(found(itemRepeated, i.name))
		return
	}
	a.byTag[i.opening.Tag] = i
	n, ok := a.at[i.opening.Tag]
	switch {
	case !ok && a.overdue(i):
		a.add(found(itemUnlogged, i.name))
	case !ok:
		a.figures.Waiting++
		if i.here {
			a.add(i.compare(i.opening, -1, 0))
		}
	case i.event.Tag(i.opening.Kind) == i.opening.Tag && i.event.Commit(i.opening.Marshal()) == a.leaves[n].leaf.Commitment:
		a.learn(n, i.opening)
	default:
		a.add(&finding{fault: itemClaim, leaf: a.leaves[n].index, epoch: a.leaves[n].leaf.Epoch, more: i.name})
	}
}

// overdue tells whether an item must have its leaf by now: it has, at the latest,
// in the second epoch that ends after its day.
func (a *account) overdue(i *item) bool {
	day, err := time.Parse(time.DateOnly, i.fields.Day)
	if err != nil || day.After(a.now.Add(clockSkew)) {
		return true
	}
	last := translog.EpochAt(day.AddDate(0, 0, 1).Add(-time.Second), a.length)
	return a.from(last) >= 2
}

// thread gathers what belongs together.
func (a *account) thread() {
	a.threads, a.deleted = make(map[[16]byte]*thread), make(map[[32]byte]*opened)
	for _, e := range a.order {
		t := a.threads[e.Thread]
		if t == nil {
			t = new(thread)
			a.threads[e.Thread] = t
		}
		switch {
		case e.Kind == translog.Report && t.report == nil:
			t.report = e
		case e.Kind == translog.Ack && t.acked == 0:
			t.acked = e.epoch
		case deletes(e.Kind) && e.Ref != [32]byte{}:
			a.deleted[e.Ref] = e
		case deletes(e.Kind) && t.end == nil:
			t.end = e
		}
	}
}

// judgeEvent finds what is wrong with one event.
func (a *account) judgeEvent(e *opened) {
	t := a.threads[e.Thread]
	wrong := func(f translog.Fault) { a.add(&finding{fault: f, leaf: e.leaf, epoch: e.epoch}) }
	switch {
	case t.end != nil && !a.follows(e.epoch, t.end.epoch):
		wrong(afterDeletion)
	case !a.belongs(e, t):
		wrong(threadUnknown)
	}
	if !deletes(e.Kind) {
		a.judgeItem(e)
	}
}

// belongs tells whether the report that an event is about is known, and the item
// that a deletion names. An epoch without openings may hold them.
func (a *account) belongs(e *opened, t *thread) bool {
	if t.report == nil {
		return a.hidden(e.epoch)
	}
	if !deletes(e.Kind) || e.Ref == [32]byte{} {
		return a.follows(t.report.epoch, e.epoch)
	}
	of := a.events[e.Ref]
	if of == nil {
		return a.hidden(e.epoch)
	}
	return of.Thread == e.Thread && !deletes(of.Kind) && a.follows(of.epoch, e.epoch)
}

// hidden tells whether something that happened up to epoch may be unknown, because
// an epoch that may hold it lacks openings.
func (a *account) hidden(epoch int64) bool {
	return slices.ContainsFunc(a.epochs, func(e accounted) bool { return e.records < e.leaves && a.follows(e.epoch, epoch) })
}

// judgeItem compares the item that an event stands for.
func (a *account) judgeItem(e *opened) {
	i := a.byTag[e.Tag]
	end := a.threads[e.Thread].end
	if end == nil {
		end = a.deleted[e.Tag]
	}
	about := func(f translog.Fault, more string) {
		a.add(&finding{fault: f, leaf: e.leaf, epoch: e.epoch, more: more})
	}
	if i == nil {
		a.judgeAbsent(e, end)
		return
	}
	if i.here {
		a.figures.Compared++
		a.add(i.compare(e.Opening, e.leaf, e.epoch))
	}
	switch {
	case end != nil && !i.fields.Gone:
		about(itemDeleted, i.name)
	case end != nil && i.here:
		a.figures.Kept++
	case end != nil:
	case i.fields.Gone && a.settled(a.lastSeen(i, e), translog.EpochAt(i.noted, a.length)):
		if a.lost(e) {
			a.figures.Lost++
		} else {
			about(itemMissing, i.name)
		}
	case i.fields.Gone:
		about(itemUnsettled, i.name)
	case i.fields.Forgotten:
		a.figures.Removed++
	case !i.here:
		about(itemIncomplete, i.name)
	}
}

// judgeAbsent judges an event whose item was never here. It may have been deleted
// before it could be fetched; then the deletion is in the log soon.
func (a *account) judgeAbsent(e, end *opened) {
	switch {
	case end != nil:
	case a.lost(e):
		a.figures.Lost++
	case a.settled(e.epoch, e.epoch+1):
		a.add(&finding{fault: itemMissing, leaf: e.leaf, epoch: e.epoch})
	default:
		a.add(&finding{fault: itemUnsettled, leaf: e.leaf, epoch: e.epoch})
	}
}

// lastSeen is the epoch in which an item was surely there: when the auditor
// fetched it, else that of its leaf.
func (a *account) lastSeen(i *item, e *opened) int64 {
	if !i.here {
		return e.epoch
	}
	return max(e.epoch, translog.EpochAt(i.fetched, a.length))
}

// settled tells whether a deletion that happened in the epochs from to to must be
// known by now: its leaf stands in the epoch of the deletion, or had to wait for
// the next.
func (a *account) settled(from, to int64) bool {
	seen := !slices.ContainsFunc(a.blind, func(epoch int64) bool { return epoch >= from })
	return seen && a.accountedFrom(to) >= 2
}

// lost tells whether a note of the operator says that the item was lost when an
// old copy of the vault was put back.
func (a *account) lost(e *opened) bool {
	return slices.ContainsFunc(a.restores, func(r translog.Restore) bool { return r.From <= e.leaf && e.leaf < r.To })
}

// judgeAcks names the epochs of reports that were acknowledged late, or never. A
// report that its source deleted in time asks for no acknowledgement.
func (a *account) judgeAcks() {
	limit := int64((ackDays*24*time.Hour + a.length - 1) / a.length)
	last := int64(0)
	for _, e := range a.epochs {
		if e.records > 0 {
			last = e.epoch
		}
	}
	for _, e := range a.order {
		t := a.threads[e.Thread]
		if t.report != e {
			continue
		}
		due, end := e.epoch+limit, t.end
		seen := due
		if end != nil {
			seen = min(due, end.epoch)
		}
		switch {
		case t.acked != 0 && t.acked <= due:
		case a.unseen(e.epoch, seen):
		case t.acked != 0:
			a.figures.Late++
			a.add(&finding{fault: ackLate, leaf: -1, epoch: e.epoch, more: decimal(t.acked)})
		case end != nil && end.epoch <= due && end.Kind == translog.SourceDelete:
		case end != nil || last > due:
			a.figures.Never++
			a.add(&finding{fault: ackNever, leaf: -1, epoch: e.epoch})
		}
	}
}

// unseen tells whether an epoch of that range that is in the log lacks records.
func (a *account) unseen(from, to int64) bool {
	for _, e := range a.epochs {
		if e.epoch >= from && e.epoch <= to && e.records < e.leaves {
			return true
		}
	}
	return false
}
