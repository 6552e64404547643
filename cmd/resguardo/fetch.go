package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"os"
	"slices"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/publiclog"
	"resguardo/crypto/card"
)

// attempts is how often fetch tries again without having got a single byte.
const attempts = 5

// fetcher brings what a folder does not hold.
type fetcher struct {
	*link
	json  bool
	ahead map[string]chan early // of the pass, by item
}

// fetchFlags is the command line of fetch.
type fetchFlags struct {
	*linkFlags
	every  time.Duration
	asJSON bool
}

func parseFetch(args []string) (*fetchFlags, error) {
	f := &fetchFlags{linkFlags: newLinkFlags("fetch")}
	f.DurationVar(&f.every, "every", 0, "")
	f.BoolVar(&f.asJSON, "json", false, "")
	if err := f.parse(args, 0); err != nil {
		return nil, err
	}
	if f.given("every") && f.every < time.Minute {
		return nil, misuse(say.T("-every %s is less than a minute", f.every), say.T("-every 1h fetches every hour"))
	}
	return f, nil
}

// fetch brings every item of the card's desks that the folder does not hold, and
// compares each with the public log.
func (p *program) fetch(ctx context.Context, args []string) error {
	f, err := parseFetch(args)
	if err != nil {
		return err
	}
	dir, err := folder.OpenLocked(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	l, err := p.newLink(dir, f.linkFlags, p.passphrase(f.passphraseFile))
	if err != nil {
		return err
	}
	defer l.close()
	r := &fetcher{link: l, json: f.asJSON}
	if f.every == 0 {
		return r.once(ctx)
	}
	return r.repeat(ctx, f.every)
}

// repeat fetches until ctx ends. A failed pass is told and does not end it.
func (r *fetcher) repeat(ctx context.Context, every time.Duration) error {
	var failed error
	for {
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			if failed != errInconsistent {
				failed = errAlarmed
			}
			switch {
			case errors.Is(err, errInconsistent):
				failed = err
			case !errors.Is(err, errAlarmed):
				r.Fail(err)
			}
		}
		select {
		case <-ctx.Done():
			return failed
		case <-time.After(every):
		}
	}
}

// once does one pass. Between passes no connection is held to the vault.
func (r *fetcher) once(ctx context.Context) error {
	defer r.client.Close()
	err := r.pass(ctx)
	r.way.again(err)
	return err
}

// pass reads what there is, downloads what is missing, and compares every item
// with the log.
func (r *fetcher) pass(ctx context.Context) error {
	if err := r.look(ctx); err != nil {
		return err
	}
	missing, err := r.compare()
	if err != nil {
		return err
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	r.ahead = map[string]chan early{}
	for n, record := range missing {
		r.ask(asking, missing[n:min(n+aheadItems, len(missing))])
		if err := r.bring(ctx, record, say.T("%s of %s", n+1, len(missing))); err != nil {
			return err
		}
	}
	if err := r.bringEpochs(ctx); err != nil {
		return err
	}
	if err := r.proveAll(); err != nil {
		return err
	}
	if len(missing) == 0 && r.alarms == 0 {
		r.Hint(say.T("nothing new; items listed: %s", len(r.items)))
	}
	if err := r.remindReading(r.folder); err != nil {
		return err
	}
	return r.outcome()
}

// bringEpochs brings what the folder lacks of the openings that auditors get.
func (r *fetcher) bringEpochs(ctx context.Context) error {
	if r.card.Role != card.Auditor {
		return nil
	}
	epochs, err := r.client.Epochs(ctx)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		if r.folder.HasEpoch(e.Epoch) {
			continue
		}
		sealed, err := r.client.Epoch(ctx, e)
		if err != nil {
			return err
		}
		if err := r.folder.PutEpoch(e.Epoch, sealed); err != nil {
			return err
		}
		if !r.json {
			r.Say(say.T("%s", r.folder.Path(folder.EpochFile(e.Epoch))))
		}
	}
	return nil
}

// proveAll compares every item that is here with the log.
func (r *link) proveAll() error {
	records, err := r.records(r.folder)
	if err != nil {
		return err
	}
	waiting, verified := 0, 0
	for _, k := range records {
		if k.Gone || !r.folder.Here(k) {
			continue
		}
		if k, err = r.prove(k); err != nil {
			return err
		}
		switch publiclog.State(k.Log) {
		case publiclog.Waiting:
			waiting++
		case publiclog.Verified:
			verified++
		}
	}
	if r.log != nil {
		r.Hint(say.T("compared with the public log; items that are there, unchanged: %s", verified))
	}
	if waiting > 0 {
		r.Hint(say.T("items that wait for the log: %s; a later fetch finds them there", waiting))
	}
	return nil
}

// compare holds the list against what the folder knows and returns the records
// of the items to bring. It names what changed and what is gone, and changes
// neither.
func (r *link) compare() (missing []folder.Record, err error) {
	records, err := r.records(r.folder)
	if err != nil {
		return nil, err
	}
	known := map[string]folder.Record{}
	places := newPlaces(records)
	for _, k := range records {
		known[k.ID] = k
	}
	listed := map[string]bool{}
	for _, i := range r.items {
		k, ok := known[i.ID]
		if !ok {
			if other, taken := places.holder(i); taken {
				r.alarm(say.T("the vault lists another item in the place of %s", r.folder.Path(other.File())),
					say.T("your copy was not touched; ask the operator and the other reviewers why"))
				listed[other.ID] = true
				continue
			}
			k = folder.Record{Item: i, Place: places.of(i.Case), Since: r.since(i)}
			if err := r.folder.Put(k); err != nil {
				return nil, err
			}
		}
		listed[i.ID] = true
		if changed(k.Item, i) {
			r.alarm(say.T("the vault now describes %s otherwise than before (hash, size, day, place or event)", r.folder.Path(k.File())),
				say.T("your copy was not touched; ask the operator and the other reviewers why"))
			continue
		}
		if k.Gone {
			k.Gone = false
			if err := r.folder.Put(k); err != nil {
				return nil, err
			}
		}
		if !k.Forgotten && !r.folder.Here(k) {
			missing = append(missing, k)
		}
	}
	slices.SortFunc(missing, folder.Compare)
	return missing, r.nameGone(records, listed)
}

// changed reports whether the list says anything else about an item. Desks may
// change.
func changed(a, b card.Item) bool {
	a.Desks, b.Desks = nil, nil
	return a.ID != b.ID || a.Case != b.Case || a.Kind != b.Kind || a.Number != b.Number ||
		a.Day != b.Day || a.Size != b.Size || a.SHA256 != b.SHA256 ||
		a.Tag != b.Tag || a.Event != b.Event || a.Opening != b.Opening
}

// nameGone tells once of every item that is not listed any more.
func (r *link) nameGone(records []folder.Record, listed map[string]bool) error {
	for _, k := range records {
		if listed[k.ID] || k.Gone {
			continue
		}
		r.Warn(say.T("the vault does not list %s any more", r.folder.Path(k.File())),
			say.T("your copy stays; items go when they are deleted, when their time is over, or when you leave a desk"))
		k.Gone = true
		if err := r.folder.Put(k); err != nil {
			return err
		}
	}
	return nil
}

// bring downloads one item, going on after cuts.
func (r *fetcher) bring(ctx context.Context, k folder.Record, count say.Text) error {
	part, err := r.folder.Part(k)
	if err != nil {
		return err
	}
	defer part.Close()
	sum := sha256.New()
	have, err := io.Copy(sum, part)
	if err != nil {
		return err
	}
	d := &download{fetcher: r, record: k, part: part, sum: sum, have: have}
	d.bar = newBar(r.Err, k.Size, r.Text(say.T("%s: %s %s", count, k.Kind, k.Case)))
	defer d.bar.Close()
	if err := d.complete(ctx); err != nil {
		if errors.Is(err, api.ErrCannot) { // the others can still be fetched
			r.alarm(say.T("the vault cannot give %s: it is damaged there", r.folder.Path(k.File())),
				say.T("nothing was kept; the next fetch tries again; if it stays, tell the operator"))
			return r.folder.DropPart(k)
		}
		if !errors.Is(err, api.ErrUnreachable) && ctx.Err() == nil {
			err = errors.Join(err, r.folder.DropPart(k))
		}
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != k.SHA256 {
		r.alarm(say.T("what the vault sent for %s is not what its list says (hash)", r.folder.Path(k.File())),
			say.T("nothing was kept; the next fetch tries again; if it stays, tell the operator"))
		return r.folder.DropPart(k)
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := r.folder.Finish(k); err != nil {
		return err
	}
	return r.tellStored(k)
}

func (r *fetcher) tellStored(k folder.Record) error {
	if r.json {
		k.Event, k.Opening = "", "" // secrets of the case
		return json.NewEncoder(r.Out).Encode(struct {
			Event string `json:"event"`
			File  string `json:"file"`
			folder.Record
		}{"stored", k.File(), k})
	}
	r.Say(say.T("%s", r.folder.Path(k.File())))
	return nil
}

// download is one item on its way.
type download struct {
	*fetcher
	record folder.Record
	part   *os.File
	sum    hash.Hash
	have   int64 // bytes in part and sum
	bar    *bar
}

// complete reads until part has the item's size. After a cut it goes on at once
// when bytes had come, and waits 1, 2, 4 … seconds when none had.
func (d *download) complete(ctx context.Context) error {
	for idle := 0; d.have != d.record.Size; {
		before := d.have
		err := d.way.open(ctx)
		if err == nil {
			err = d.read(ctx)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, api.ErrSignedOut): // the session was over
			if err = d.login(ctx); err == nil {
				err = api.ErrSignedOut
			}
		}
		if !errors.Is(err, api.ErrUnreachable) && !errors.Is(err, api.ErrSignedOut) {
			return err
		}
		if d.have > before {
			idle = 0
			continue
		}
		if idle++; idle == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second << (idle - 1)):
		}
	}
	return nil
}

// read asks for what is missing and takes what comes.
func (d *download) read(ctx context.Context) error {
	if d.have > d.record.Size {
		d.have = 0 // not a beginning of this item
	}
	body, start, err := d.body(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	if start == 0 {
		if err := d.part.Truncate(0); err != nil {
			return err
		}
		d.sum.Reset()
		d.have = 0
	}
	d.bar.Set(d.have)
	n, err := io.Copy(io.MultiWriter(d.part, d.sum, d.bar), body)
	d.have += n
	return err
}
