package vault

import (
	"fmt"
	"sync"

	"go.etcd.io/bbolt"
)

// job is one thing for the writer to do. Its outcome comes through done, once.
type job struct {
	priority priority
	draft    *Draft
	slots    []slotWrite
	segment  *segment  // payload to store, or nil
	entering *entering // what a commit makes of the draft, or nil
	discard  bool      // remove the draft's payload and slots
	run      func()    // run alone, with nothing being written
	done     chan error
}

// priority: small jobs go before bulk ones, but after each round of small jobs
// one round of bulk has its turn.
type priority int

const (
	small priority = iota
	bulk
)

type slotWrite struct {
	number uint64
	slot
}

// removeStep is how many segments (of 4 MiB) one transaction deletes.
const removeStep = 64

// jobs is the writer's queue. Bulk jobs are taken in order of arrival; as a draft
// has at most one there, uploads take turns.
type jobs struct {
	mu    sync.Mutex
	some  *sync.Cond // something waits, or ended
	queue [2][]*job
	ended bool
}

func newJobs() *jobs {
	q := new(jobs)
	q.some = sync.NewCond(&q.mu)
	return q
}

// submit queues a job. The channel gives its outcome; ErrClosed after close.
func (q *jobs) submit(j *job) chan error {
	j.done = make(chan error, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		j.done <- ErrClosed
		return j.done
	}
	q.queue[j.priority] = append(q.queue[j.priority], j)
	q.some.Signal()
	return j.done
}

// take waits for jobs and returns those of the next round, of each priority at
// most 4 MiB of payload. It returns false when nothing waits and the queue is closed.
func (q *jobs) take() (smalls, bulks []*job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue[small])+len(q.queue[bulk]) == 0 && !q.ended {
		q.some.Wait()
	}
	smalls, bulks = q.cut(small), q.cut(bulk)
	return smalls, bulks, len(smalls)+len(bulks) > 0
}

func (q *jobs) cut(p priority) []*job {
	size, n := 0, 0
	for _, j := range q.queue[p] {
		size += j.size()
		if n > 0 && size > segmentSize {
			break
		}
		n++
	}
	cut := q.queue[p][:n:n]
	if q.queue[p] = q.queue[p][n:]; len(q.queue[p]) == 0 {
		q.queue[p] = nil
	}
	return cut
}

// size is how much of a round a job takes up, in bytes.
func (j *job) size() int {
	if j.segment != nil {
		return j.segment.size
	}
	if j.discard || j.run != nil {
		return segmentSize
	}
	return 0
}

// close ends the queue. Jobs that wait are still done.
func (q *jobs) close() {
	q.mu.Lock()
	q.ended = true
	q.some.Broadcast()
	q.mu.Unlock()
}

// write is the writer: the only goroutine that changes the files.
func (v *Vault) write() {
	defer close(v.stopped)
	for {
		smalls, bulks, ok := v.jobs.take()
		if !ok {
			return
		}
		v.store(smalls)
		v.store(bulks)
	}
}

// answer gives every job the same outcome.
func answer(jobs []*job, err error) {
	for _, j := range jobs {
		j.done <- err
	}
}

// store does the jobs of one round together: slots, then payloads, then rows,
// then the answers. After a failure of the vault every answer is ErrUnknown.
func (v *Vault) store(round []*job) {
	round = v.storeOthers(round)
	if len(round) == 0 {
		return
	}
	if err := v.Err(); err != nil {
		answer(round, err)
		return
	}
	round = v.refuseKnown(round)
	round, err := v.storeSlots(round)
	if err == nil {
		round, err = v.storePayloads(round)
	}
	if err == nil {
		round, err = v.storeRows(round)
	}
	if err != nil {
		err = v.fail(err)
	}
	answer(round, err)
}

// storeOthers does what is no part of a report and returns the rest.
func (v *Vault) storeOthers(round []*job) (rest []*job) {
	for _, j := range round {
		switch err := v.Err(); {
		case !j.discard && j.run == nil:
			rest = append(rest, j)
		case err != nil:
			j.done <- err
		case j.run != nil:
			j.run()
			j.done <- nil
		default:
			v.discard(j)
		}
	}
	return rest
}

// refuseKnown answers ErrExists to commits of a mailbox, case or event that is
// there already, and returns the others.
func (v *Vault) refuseKnown(round []*job) (rest []*job) {
	seen := make(map[any]bool)
	err := v.view(func(tx *bbolt.Tx) error {
		cases, queue := tx.Bucket([]byte(casesBucket)), tx.Bucket([]byte(queueBucket))
		for _, j := range round {
			if e := j.entering; e != nil {
				tag := e.tag()
				known := seen[translogTag(tag)] || queue.Get(tag[:]) != nil || v.Logged(tag)
				seen[translogTag(tag)] = true
				if e.kase != nil {
					id := e.kase.Case
					known = known || seen[id] || seen[e.mailbox] || cases.Get(e.mailbox[:]) != nil || v.index.hasCase(id)
					seen[id], seen[e.mailbox] = true, true
				}
				if known {
					j.done <- ErrExists
					continue
				}
			}
			rest = append(rest, j)
		}
		return nil
	})
	if err != nil {
		panic("vault: " + err.Error()) // only of a closed database
	}
	return rest
}

// translogTag keeps a tag apart from a mailbox of the same bytes.
type translogTag [32]byte

// storeSlots makes the slots of all jobs durable. It answers and leaves out the
// jobs for which keys.slots cannot grow.
func (v *Vault) storeSlots(round []*job) (rest []*job, err error) {
	written := false
	for i, j := range round {
		if err := v.growSlots(j); isFull(err) {
			j.done <- ErrFull
			continue
		} else if err != nil {
			return append(rest, round[i:]...), err
		}
		rest = append(rest, j)
		for _, s := range j.slots {
			if err := v.slots.put(s.number, s.slot); err != nil {
				return append(rest, round[i+1:]...), err
			}
			written = true
		}
	}
	if !written {
		return rest, nil
	}
	return rest, v.slots.sync()
}

func (v *Vault) growSlots(j *job) error {
	for _, s := range j.slots {
		if err := v.slots.grow(s.number); err != nil {
			return err
		}
	}
	return nil
}

// storePayloads makes the segments durable, those of one blob file in one
// transaction. When the disk is full it tries each alone, answers ErrFull to
// those that do not fit, and leaves them out.
func (v *Vault) storePayloads(round []*job) (rest []*job, err error) {
	byFile := make(map[*blobFile][]*job)
	for _, j := range round {
		if j.segment != nil {
			byFile[j.draft.file] = append(byFile[j.draft.file], j)
		}
	}
	refused := make(map[*job]bool)
	for f, jobs := range byFile {
		if err := f.putEach(jobs, refused); err != nil {
			return remaining(round, refused), err
		}
	}
	return remaining(round, refused), nil
}

// putEach stores jobs together or, when the disk is full for that, one by one.
// It answers ErrFull to those that do not fit and adds them to refused.
func (f *blobFile) putEach(jobs []*job, refused map[*job]bool) error {
	err := f.put(jobs)
	if !isFull(err) {
		return err
	}
	if len(jobs) == 1 {
		refused[jobs[0]] = true
		jobs[0].done <- ErrFull
		return nil
	}
	for _, j := range jobs {
		if err := f.putEach([]*job{j}, refused); err != nil {
			return err
		}
	}
	return nil
}

func remaining(round []*job, refused map[*job]bool) []*job {
	var rest []*job
	for _, j := range round {
		if !refused[j] {
			rest = append(rest, j)
		}
	}
	return rest
}

// storeRows makes all commits durable in one transaction of vault.db. It answers
// those whose case does not take them, and leaves them out.
func (v *Vault) storeRows(round []*job) (rest []*job, err error) {
	rest, cases, err := v.openCases(round)
	if err != nil {
		return rest, err
	}
	var commits []*entering
	for _, j := range rest {
		if j.entering != nil {
			commits = append(commits, j.entering)
		}
	}
	if len(commits) == 0 {
		return rest, nil
	}
	v.ease()
	err = v.meta.Update(func(tx *bbolt.Tx) error {
		for _, e := range commits {
			if err := e.put(tx, v.queue); err != nil {
				return err
			}
		}
		for _, c := range cases {
			if err := c.put(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return rest, fmt.Errorf("%s: %w", metaName, err)
	}
	for _, c := range cases {
		v.index.addCase(c.mailbox, c.record)
	}
	for _, e := range commits {
		v.index.add(newEntry(itemID(e.id[:]), e.item, e.opening))
	}
	return rest, nil
}

// discard removes a draft, some segments at a time, and frees its slots. When
// the disk is too full even for that, the next start does it.
func (v *Vault) discard(j *job) {
	d := j.draft
	if d.sent > 0 && d.file.exists() {
		gone, err := d.file.remove(d.id[:], removeStep)
		switch {
		case isFull(err):
			j.done <- nil
			return
		case err != nil:
			j.done <- v.fail(err)
			return
		case !gone:
			v.jobs.again(j)
			return
		}
	}
	if err := v.freeSlots(d.slotNumbers()); err != nil {
		j.done <- v.fail(err)
		return
	}
	v.forget(d.ID())
	j.done <- nil
}

// again puts a job that is not done at the end of the queue, also after close.
func (q *jobs) again(j *job) {
	q.mu.Lock()
	q.queue[j.priority] = append(q.queue[j.priority], j)
	q.mu.Unlock()
}

// freeSlots overwrites slots and gives their numbers back.
func (v *Vault) freeSlots(numbers []uint64) error {
	for _, n := range numbers {
		if n < v.slots.size { // else keys.slots never grew that far
			if err := v.slots.wipe(n); err != nil {
				return err
			}
		}
	}
	if err := v.slots.sync(); err != nil {
		return err
	}
	for _, n := range numbers {
		v.slots.release(n)
	}
	return nil
}
