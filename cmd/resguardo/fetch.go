package main

import (
	"cmp"
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
	"resguardo/crypto/card"
)

// attempts is how often fetch tries again without having got a single byte.
const attempts = 5

// fetcher is one vault, one folder and the keys between them.
type fetcher struct {
	*program
	folder *folder.Folder
	way    *way
	client *api.Client
	keys   folder.Keys
	card   card.Card
	json   bool
	alarms int // failures that were printed
}

// fetchFlags is the command line of fetch.
type fetchFlags struct {
	*flags
	server, socks, include, passphraseFile string

	every  time.Duration
	asJSON bool
}

func parseFetch(args []string) (*fetchFlags, error) {
	f := &fetchFlags{flags: newFlags("fetch")}
	f.StringVar(&f.server, "server", "", "")
	f.StringVar(&f.socks, "socks", "", "")
	f.StringVar(&f.include, "tor-include", "", "")
	f.StringVar(&f.passphraseFile, "passphrase-file", "", "")
	f.DurationVar(&f.every, "every", 0, "")
	f.BoolVar(&f.asJSON, "json", false, "")
	if err := f.parse(args, 0); err != nil {
		return nil, err
	}
	if f.given("every") && f.every < time.Minute {
		return nil, misuse(say.T("-every %s is less than a minute", f.every), say.T("-every 1h fetches every hour"))
	}
	if f.socks != "" && f.include != "" {
		return nil, misuse(say.T("-socks and -tor-include exclude each other"),
			say.T("-tor-include is for the tor that resguardo starts, -socks is for one that runs already"))
	}
	return f, nil
}

// fetch brings every item of the card's desks that the folder does not hold.
func (p *program) fetch(ctx context.Context, args []string) error {
	f, err := parseFetch(args)
	if err != nil {
		return err
	}
	dir, err := folder.Open(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	unlock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	r, err := p.newFetcher(dir, f)
	if err != nil {
		return err
	}
	defer r.close()
	if f.every == 0 {
		return r.once(ctx)
	}
	return r.repeat(ctx, f.every)
}

// newFetcher reads the keys and chooses the way to the vault. The caller must
// close the fetcher.
func (p *program) newFetcher(dir *folder.Folder, f *fetchFlags) (*fetcher, error) {
	r := &fetcher{program: p, folder: dir, json: f.asJSON}
	var err error
	if r.keys, err = dir.Keys(p.passphrase(f.passphraseFile)); err != nil {
		return nil, err
	}
	if r.card, err = dir.Card(r.keys); err != nil {
		return nil, err
	}
	known, err := dir.Server()
	if err != nil {
		return nil, err
	}
	url := cmp.Or(f.server, known.URL)
	if url == "" {
		return nil, misuse(say.T("which vault?"), say.T("give -server URL once; fetch remembers it"))
	}
	server, err := api.ParseServer(url)
	if err != nil {
		return nil, err
	}
	if r.way, err = p.newWay(server, dir, r.keys, f.socks, f.include); err != nil {
		return nil, err
	}
	r.client = api.New(server, r.way.DialContext)
	return r, nil
}

func (r *fetcher) close() {
	r.client.Close()
	r.way.close()
}

// repeat fetches until ctx ends. A failed pass is told and does not end it.
func (r *fetcher) repeat(ctx context.Context, every time.Duration) error {
	var failed error
	for {
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			failed = errAlarmed
			if !errors.Is(err, errAlarmed) {
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

// pass makes sure of the way, then does login, list and downloads.
func (r *fetcher) pass(ctx context.Context) error {
	r.alarms = 0
	if err := r.way.open(ctx); err != nil {
		return err
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	items, err := r.client.Items(ctx)
	if err != nil {
		return err
	}
	missing, err := r.compare(items)
	if err != nil {
		return err
	}
	for n, record := range missing {
		if err := r.bring(ctx, record, say.T("%s of %s", n+1, len(missing))); err != nil {
			return err
		}
	}
	if len(missing) == 0 && r.alarms == 0 {
		r.Hint(say.T("nothing new; items listed: %s", len(items)))
	}
	r.Warn(say.T("log not checked: this version does not compare the items with the public log"), say.Text{})
	if r.alarms > 0 {
		return errAlarmed
	}
	return nil
}

// login opens a session and remembers the vault: its origin the first time, its
// address whenever it is another.
func (r *fetcher) login(ctx context.Context) error {
	known, err := r.folder.Server()
	if err != nil {
		return err
	}
	origin, err := r.client.Login(ctx, known.Origin, r.card, r.keys.Signer)
	if err != nil {
		return err
	}
	if now := (folder.Server{URL: r.client.URL(), Origin: origin}); now != known {
		if err := r.folder.SetServer(now); err != nil {
			return err
		}
	}
	if known.Origin == "" {
		r.Hint(say.T("this folder now belongs to the vault %s; compare this name with what the operator told you", origin))
	}
	return nil
}

func (r *fetcher) alarm(what, hint say.Text) {
	r.alarms++
	r.Fail(say.Fail(what, hint))
}

// compare holds the list against what the folder knows and returns the records
// of the items to bring. It names what changed and what is gone, and changes
// neither.
func (r *fetcher) compare(items []card.Item) (missing []folder.Record, err error) {
	records, err := r.folder.Records()
	if err != nil {
		return nil, err
	}
	known := map[string]folder.Record{}
	places := newPlaces(records)
	for _, k := range records {
		known[k.ID] = k
	}
	listed := map[string]bool{}
	for _, i := range items {
		k, ok := known[i.ID]
		if !ok {
			if other, taken := places.holder(i); taken {
				r.alarm(say.T("the vault lists another item in the place of %s", r.folder.Path(other.File())),
					say.T("your copy was not touched; ask the operator and the other reviewers why"))
				listed[other.ID] = true
				continue
			}
			k = folder.Record{Item: i, Place: places.of(i.Case)}
			if err := r.folder.Put(k); err != nil {
				return nil, err
			}
		}
		listed[i.ID] = true
		if changed(k.Item, i) {
			r.alarm(say.T("the vault now describes %s otherwise than before (hash, size, day or place)", r.folder.Path(k.File())),
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
		a.Day != b.Day || a.Size != b.Size || a.SHA256 != b.SHA256
}

// nameGone tells once of every item that is not listed any more.
func (r *fetcher) nameGone(records []folder.Record, listed map[string]bool) error {
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
	body, start, err := d.client.Download(ctx, d.record.Item, d.have)
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
