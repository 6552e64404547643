package torture_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// keeper is a client that looks after cases of its own: it makes them, adds items,
// marks them seen, and deletes items and cases.
type keeper struct {
	*writer
	dir   string
	r     *mrand.Rand
	cases map[vault.CaseID]secrets
}

// secrets are what the vault does not tell about a case.
type secrets struct{ mailbox, expire [32]byte }

func (s secrets) String() string { return fmt.Sprintf("%x%x", s.mailbox, s.expire) }

func parseSecrets(text string) (s secrets, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) != 64 {
		err = errors.New("a case has 64 bytes of secrets")
	}
	if err == nil {
		s.mailbox, s.expire = [32]byte(b[:32]), [32]byte(b[32:])
	}
	return s, err
}

// live is write with all that happens to a case. Standard input has the cases of
// before with their secrets. args: clients, things to do, blob size, seed.
func live(dir string, args []int64) int {
	known, err := readSecrets()
	if err != nil {
		complain(err)
		return exitWrong
	}
	v, err := vault.Open(dir, vault.Options{BlobSize: args[2]})
	if err != nil {
		complain(err)
		return exitRefused
	}
	w := &writer{v: v, seed: uint64(args[3]), next: make(chan struct{}, args[1])}
	w.left.Store(args[1])
	if err := w.begin(); err != nil {
		return w.end(err)
	}
	ids := v.Cases("")
	w.with(args[0], func(n int64, r *mrand.Rand) {
		k := keeper{writer: w, dir: dir, r: r, cases: make(map[vault.CaseID]secrets)}
		for i := int(n); i < len(ids); i += int(args[0]) {
			k.cases[ids[i]] = known[ids[i]]
		}
		for w.left.Add(-1) >= 0 && w.ok(k.act()) {
		}
	})
	return w.end(nil)
}

func readSecrets() (map[vault.CaseID]secrets, error) {
	known := make(map[vault.CaseID]secrets)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		id, text, _ := strings.Cut(lines.Text(), " ")
		s, err := parseSecrets(text)
		if err != nil {
			return nil, err
		}
		known[vault.CaseID(id)] = s
	}
	return known, lines.Err()
}

// act does one thing.
func (k *keeper) act() error {
	ids := slices.Sorted(maps.Keys(k.cases))
	if len(ids) == 0 || k.r.IntN(5) < 2 {
		return k.begin()
	}
	c, err := k.v.Case(ids[k.r.IntN(len(ids))])
	if err != nil {
		return err
	}
	switch n := k.r.IntN(10); {
	case n < 3 || len(c.Items) == 0:
		return k.add(c)
	case n < 5:
		return k.see(c)
	case n < 7:
		return k.deleteItem(c)
	}
	return k.deleteCase(c)
}

func (k *keeper) begin() error {
	s := submission()
	own := secrets{s.Mailbox, s.Expire}
	err := k.store(report(k.r, false), func(d *vault.Draft) error {
		fmt.Printf("case %s %s\nin %s %s\n", s.Case, own, d.ID(), s.Case)
		return d.Commit(context.Background(), s)
	})
	if err == nil {
		k.cases[s.Case] = own
	}
	return err
}

func (k *keeper) add(c vault.Case) error {
	kinds := []translog.Kind{translog.Followup, translog.Reply, translog.Note}
	a := vault.Addition{Case: c.ID, Number: c.Next, Kind: kinds[k.r.IntN(len(kinds))], Day: c.Day, Desks: c.Desks, Recipients: 1}
	rand.Read(a.Event[:])
	return k.store(report(k.r, false), func(d *vault.Draft) error {
		fmt.Printf("in %s %s\n", d.ID(), c.ID)
		_, err := d.Append(context.Background(), a)
		return err
	})
}

func (k *keeper) see(c vault.Case) error {
	id := c.Items[k.r.IntN(len(c.Items))].ID
	err := k.v.See(context.Background(), id)
	if err == nil {
		fmt.Printf("shown %s yes\n", id)
	}
	return err
}

func (k *keeper) deleteItem(c vault.Case) error {
	id := c.Items[k.r.IntN(len(c.Items))].ID
	t := vault.Tombstone{Kind: []translog.Kind{translog.SourceDelete, translog.DeskDelete}[k.r.IntN(2)]}
	rand.Read(t.Event[:])
	return k.delete(string(id), t, [][32]byte{owner(id)}, func() error { return k.v.DeleteItem(context.Background(), id, t) })
}

func (k *keeper) deleteCase(c vault.Case) error {
	own := k.cases[c.ID]
	owners := [][32]byte{own.mailbox}
	for _, i := range c.Items {
		owners = append(owners, owner(i.ID))
	}
	t := vault.Tombstone{Kind: []translog.Kind{translog.SourceDelete, translog.DeskDelete, translog.Expire}[k.r.IntN(3)]}
	rand.Read(t.Event[:])
	destroy := func() error { return k.v.DeleteCase(context.Background(), c.ID, t) }
	if t.Kind == translog.Expire {
		t.Event = own.expire
		destroy = func() error { return k.v.Expire(context.Background(), c.ID, 0) }
	}
	delete(k.cases, c.ID)
	return k.delete(string(c.ID), t, owners, destroy)
}

// delete destroys an item or a case. Lines "key" with what must vanish and "del"
// stand before the attempt, "gone" follows when it is acknowledged.
func (k *keeper) delete(what string, t vault.Tombstone, owners [][32]byte, destroy func() error) error {
	if err := k.printKeys(owners); err != nil {
		return err
	}
	fmt.Printf("del %s %s:%x\n", what, t.Kind, t.Event)
	if err := destroy(); err != nil {
		return err
	}
	fmt.Printf("gone %s %s:%x\n", what, t.Kind, t.Event)
	k.next <- struct{}{}
	return nil
}

// owner is whose slot an item's is.
func owner(id vault.ItemID) (b [32]byte) {
	hex.Decode(b[:], []byte(id))
	return b
}

// printKeys reads the slots of these owners from the file.
func (k *keeper) printKeys(owners [][32]byte) error {
	slots, err := os.ReadFile(filepath.Join(k.dir, "keys.slots"))
	if err != nil {
		return err
	}
	for _, o := range owners {
		i := bytes.Index(slots, o[:])
		if i < 0 || i%512 != 32 {
			return fmt.Errorf("no slot of %x", o)
		}
		fmt.Printf("key %x %x\n", o, slots[i+32:i+64])
	}
	return nil
}

// printCases tells what is left of items deleted alone, and what was shown.
func printCases(v *vault.Vault) {
	for _, id := range v.Cases("") {
		c, err := v.Case(id)
		if err != nil {
			fmt.Printf("wrong: case %s: %v\n", id, err)
		}
		for _, g := range c.Gone {
			fmt.Printf("left %x %s\n", g.SHA256, id)
		}
		for _, i := range c.Items {
			if i.Seen {
				fmt.Printf("shown %s yes\n", i.ID)
			}
		}
	}
}

// answer answers one question about the vault:
//
//	seen SIZE ROOT       is that one of this tree? Silence is a yes.
//	mailbox HASH         "mailbox HASH CASE", or - for none
//	tombstone KIND:EVENT "known KIND:EVENT" if it is queued or logged
//	dead ID              is that item or case gone? Silence is a yes.
func answer(v *vault.Vault, f []string) {
	switch f[0] {
	case "seen":
		compare(v, f[1], f[2])
	case "mailbox":
		hash, err := hex.DecodeString(f[1])
		if err != nil || len(hash) != 32 {
			fmt.Printf("wrong: no mailbox: %s\n", f[1])
			return
		}
		c, err := v.Mailbox([32]byte(hash))
		if errors.Is(err, vault.ErrNotFound) {
			c.ID, err = "-", nil
		}
		if err != nil {
			fmt.Printf("wrong: mailbox %s: %v\n", f[1], err)
		}
		fmt.Printf("mailbox %s %s\n", f[1], c.ID)
	case "tombstone":
		t, err := parseTombstone(f[1])
		if err == nil { // deleting nothing changes nothing, but known tombstones are refused first
			err = v.DeleteItem(context.Background(), "none", t)
		}
		if errors.Is(err, vault.ErrExists) {
			fmt.Printf("known %s yes\n", f[1])
		} else if !errors.Is(err, vault.ErrNotFound) {
			fmt.Printf("wrong: tombstone %s: %v\n", f[1], err)
		}
	case "dead":
		_, noItem := v.OpenItem(vault.ItemID(f[1]))
		_, noCase := v.Case(vault.CaseID(f[1]))
		if !errors.Is(noItem, vault.ErrNotFound) || !errors.Is(noCase, vault.ErrNotFound) {
			fmt.Printf("wrong: %s was deleted and is there: %v, %v\n", f[1], noItem, noCase)
		}
	}
}

func parseTombstone(text string) (t vault.Tombstone, err error) {
	kind, event, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(event)
	if err != nil || len(b) != 32 {
		return t, errors.Join(err, fmt.Errorf("no tombstone: %q", text))
	}
	return vault.Tombstone{Kind: translog.Kind(kind), Event: translog.Event(b)}, nil
}

// drain closes epochs until nothing waits, and proves that then every item and
// every tombstone on standard input is in the log: once, as the vault's monitor
// refuses a tag that is there already.
func drain(dir string) int {
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		complain(err)
		return exitRefused
	}
	w := &writer{v: v}
	signer, _ := key(origin)
	for range 3 { // the second one takes all that the first one left, the third one stands for the rest of time
		if err := w.closeEpoch(signer); err != nil {
			return w.end(err)
		}
	}
	for _, i := range v.AllItems() {
		if !v.Logged(i.Tag) {
			complain(fmt.Errorf("the event of item %s is not in the log", i.ID))
			w.wrong.Store(true)
		}
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if t, err := parseTombstone(lines.Text()); err != nil || !v.Logged(t.Event.Tag(t.Kind)) {
			complain(fmt.Errorf("the tombstone %s is not in the log: %v", lines.Text(), err))
			w.wrong.Store(true)
		}
	}
	return w.end(nil)
}
