package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// Disks lose bits without a word. So serve reads all ciphertext again, a shard at a
// time: the 256 of them are spread over a month. rehash makes it do that now.
const (
	rehashMonth = 30 * 24 * time.Hour
	shardEvery  = rehashMonth / vault.Shards
	shardRate   = 4 << 20 // bytes a second, within a shard
	askedRate   = 8 << 20 // likewise, when a person asks and names no other
	minRate     = 64 << 10
	rehashNag   = 60 // days after which check warns
	firstShard  = 10 * time.Minute
	saveEvery   = time.Second
)

// rehasher reads all ciphertext again. What it has done is in a file of the
// directory, so that it goes on after a start.
type rehasher struct {
	vault *vault.Vault
	dir   statedir.Dir
	log   *slog.Logger // of new damage; nil = nobody asks
	now   func() time.Time
	asked chan struct{} // somebody has

	mu    sync.Mutex
	state statedir.Rehash
	saved time.Time
}

func newRehasher(d statedir.Dir, v *vault.Vault, log *slog.Logger) (*rehasher, error) {
	state, err := d.Rehash()
	return &rehasher{vault: v, dir: d, log: log, now: time.Now, asked: make(chan struct{}, 1), state: state}, err
}

// run works until ctx ends. First it reads what was damaged, which the vault refuses then.
func (r *rehasher) run(ctx context.Context) {
	for _, p := range r.damaged() {
		if id, ok := damagedItem(p); ok {
			_ = r.vault.Whole(ctx, id) // the vault remembers
		}
	}
	for pause := firstShard; ; pause = shardEvery {
		if r.hurry() {
			pause = 0
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-r.asked:
		case <-t.C:
		}
		t.Stop()
		if err := r.step(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("ciphertext is not read again", "reason", err)
			r.calm()
		}
	}
}

// ask begins a round at this rate, or gives this rate to one that was asked for.
func (r *rehasher) ask(rate int64) statedir.Rehash {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Round == nil || r.state.Round.Rate == 0 {
		r.state.Round = r.newRound()
	}
	r.state.Round.Rate = rate
	select {
	case r.asked <- struct{}{}:
	default:
	}
	return r.copy()
}

func (r *rehasher) newRound() *statedir.RehashRound {
	return &statedir.RehashRound{Begun: r.now().UTC().Format(time.DateOnly)}
}

// status is what is known.
func (r *rehasher) status() statedir.Rehash {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.copy()
}

func (r *rehasher) copy() statedir.Rehash {
	s := r.state
	if s.Round != nil {
		round := *s.Round
		round.Damaged = slices.Clone(round.Damaged)
		s.Round = &round
	}
	return s
}

// hurry tells whether somebody waits.
func (r *rehasher) hurry() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Round != nil && r.state.Round.Rate > 0
}

// calm lets a round that fails go on in its own time.
func (r *rehasher) calm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Round != nil {
		r.state.Round.Rate = 0
	}
}

// damaged lists what is known to be.
func (r *rehasher) damaged() (all []vault.Problem) {
	s := r.status()
	for _, round := range []*statedir.RehashRound{s.Last, s.Round} {
		if round != nil {
			all = append(all, round.Damaged...)
		}
	}
	return all
}

// step reads the next shard, and with the first one all rows.
func (r *rehasher) step(ctx context.Context) error {
	r.mu.Lock()
	if r.state.Round == nil {
		r.state.Round = r.newRound()
	}
	shard, rate := r.state.Round.Next, cmp.Or(r.state.Round.Rate, shardRate)
	r.mu.Unlock()
	var read vault.Reread
	var rows []vault.Problem
	var err error
	if shard == 0 {
		if rows, err = r.vault.CheckRows(ctx); err != nil {
			return err
		}
	}
	if shard < vault.Shards {
		if read, err = r.vault.Rehash(ctx, shard, paced(ctx, rate)); err != nil {
			return err
		}
	}
	return r.note(read, append(rows, read.Damaged...))
}

// note takes up what a step has found.
func (r *rehasher) note(read vault.Reread, damaged []vault.Problem) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	round := r.state.Round
	round.Items += read.Items
	round.Bytes += read.Bytes
	for _, p := range damaged {
		if !slices.Contains(round.Damaged, p) {
			round.Damaged = append(round.Damaged, p)
			if r.log != nil {
				r.log.Error("damaged", "where", p.Where, "what", p.What)
			}
		}
	}
	round.Next++
	ended := round.Next >= vault.Shards
	if ended {
		round.Ended, round.Rate = r.now().UTC().Format(time.DateOnly), 0
		r.state.Last, r.state.Round = round, nil
	}
	for _, known := range []*statedir.RehashRound{r.state.Last, r.state.Round} {
		if known != nil {
			known.Damaged = slices.DeleteFunc(known.Damaged, r.gone)
		}
	}
	if !ended && round.Rate > 0 && len(damaged) == 0 && time.Since(r.saved) < saveEvery {
		return nil
	}
	r.saved = time.Now()
	return r.dir.SetRehash(r.state)
}

// gone tells whether a finding is about an item that was deleted: its id goes from the disk too.
func (r *rehasher) gone(p vault.Problem) bool {
	id, ok := damagedItem(p)
	if !ok {
		return false
	}
	_, err := r.vault.Item(id)
	return errors.Is(err, vault.ErrNotFound) && !strings.Contains(p.What, "row")
}

func damagedItem(p vault.Problem) (vault.ItemID, bool) {
	id, ok := strings.CutPrefix(p.Where, "item ")
	return vault.ItemID(id), ok && len(id) == 32
}

// paced waits after every part that was read.
func paced(ctx context.Context, rate int64) func(n int) error {
	return func(n int) error {
		t := time.NewTimer(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return nil
		}
	}
}

// rehashRequest asks the running server for a round.
type rehashRequest struct {
	Rate int64 `json:"rate"` // bytes a second
}

// serveRehash begins a round, or tells how far it is.
func (r *rehasher) serveRehash(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		reply(w, http.StatusOK, r.status())
		return
	}
	var asked rehashRequest
	if decode(w, req, maxRequest, &asked) {
		reply(w, http.StatusOK, r.ask(max(asked.Rate, minRate)))
	}
}

// cmdRehash reads all ciphertext again and tells what is damaged.
func cmdRehash(p *say.Printer, args []string) error {
	rate := statedir.Bytes(askedRate)
	c := newCommand("rehash")
	c.TextVar(&rate, "rate", rate, "")
	if err := c.read(args); err != nil {
		return err
	}
	if rate < minRate {
		return misuse(say.T("%s is not a value for -%s", int64(rate), "rate"), say.T("at least 64 KiB a second, such as -rate 8MiB"))
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	var last *statedir.RehashRound
	err = throughServer(d,
		func() (err error) { last, err = askRehash(p, d, int64(rate)); return err },
		func() error {
			return withVault(p, d, func(_ *statedir.State, v *vault.Vault) (err error) {
				last, err = rehashAlone(d, v, int64(rate))
				return err
			})
		})
	if err != nil {
		return err
	}
	p.Say(say.T("all ciphertext was read again: %s items, %s bytes, damaged: %s", last.Items, last.Bytes, len(last.Damaged)))
	for _, found := range last.Damaged {
		p.Line("error", say.Line{What: say.Escape(found.Where + ": " + found.What), Hint: say.Escape(found.Hint)})
	}
	if len(last.Damaged) > 0 {
		return errTold
	}
	return nil
}

// askRehash lets the running server read, and waits for the end. The server goes on
// when this command is ended.
func askRehash(p *say.Printer, d statedir.Dir, rate int64) (*statedir.RehashRound, error) {
	ctx := context.Background()
	var s statedir.Rehash
	if err := ask(ctx, p, d, http.MethodPost, "/v1/rehash", rehashRequest{rate}, &s); err != nil {
		return nil, err
	}
	p.Hint(say.T("the server reads; it goes on when this command is ended"))
	for s.Round != nil && s.Round.Rate > 0 {
		time.Sleep(time.Second)
		s = statedir.Rehash{}
		if err := ask(ctx, p, d, http.MethodGet, "/v1/rehash", nil, &s); err != nil {
			return nil, err
		}
	}
	if s.Round != nil || s.Last == nil {
		return nil, say.Fail(say.T("not all ciphertext could be read"), say.T("look at the server's own messages, then repeat the command: it can be repeated safely"))
	}
	return s.Last, nil
}

// rehashAlone reads while no server runs. When it is ended, the next one goes on.
func rehashAlone(d statedir.Dir, v *vault.Vault, rate int64) (*statedir.RehashRound, error) {
	r, err := newRehasher(d, v, nil)
	if err != nil {
		return nil, err
	}
	for r.ask(rate); r.hurry(); {
		if err := r.step(context.Background()); err != nil {
			return nil, err
		}
	}
	return r.status().Last, nil
}

// rehash tells when everything was read from the disk last.
func (c *checker) rehash() {
	s, err := c.dir.Rehash()
	c.fail(err)
	if s.Last == nil {
		return
	}
	day, err := time.Parse(time.DateOnly, s.Last.Ended)
	if err == nil && time.Since(day) > rehashNag*24*time.Hour {
		c.print.Warn(say.T("all ciphertext was last read again on %s", s.Last.Ended), say.T("serve does it once a month; or run: resguardod rehash -dir %s", c.dir.Path()))
	}
	c.print.Say(say.T("all ciphertext was last read again on %s: %s items, damaged: %s", s.Last.Ended, s.Last.Items, len(s.Last.Damaged)))
}
