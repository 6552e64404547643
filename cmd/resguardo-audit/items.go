package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// maxFields is the most bytes of a NNN-KIND.json.
const maxFields = 64 << 10

// item is one item of the folder that resguardo fetch keeps for an auditor's card
// (docs/formats.md). What stands in fields was the vault's claim.
type item struct {
	name   string // cases/CASE/NNN-KIND
	fields fields
	noted  time.Time // when fields was last written, by the auditor's own clock

	here    bool // the age file is there, and what follows is about it
	fetched time.Time
	bytes   int64
	sum     [32]byte
	head    header // zeros: it is no age file

	event   translog.Event
	opening translog.Opening // claimed
}

// fields is what fetch writes beside an item; what this program does not need is left out.
type fields struct {
	card.Item
	Forgotten bool `json:"forgotten"` // the auditor removed the file
	Gone      bool `json:"gone"`      // the vault does not list it any more
}

// caseFolder reads the items.
type caseFolder struct {
	root     *os.Root
	path     string
	items    []*item
	findings []*finding
}

// openFolder opens what resguardo fetch has stored.
func openFolder(dir string) (*caseFolder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, noFolder(dir, err)
	}
	f := &caseFolder{root: root, path: dir}
	if _, err := root.Lstat("server.json"); err == nil {
		return f, nil
	}
	if _, err := root.Lstat("cases"); err != nil { // of a vault without items there is only server.json
		root.Close()
		return nil, noFolder(dir, err)
	}
	return f, nil
}

func noFolder(dir string, err error) error {
	return &say.Error{Path: dir, What: say.T("cannot be read: %s", say.Bare(err)),
		Hint: say.T("-items is the folder in which resguardo fetch keeps what an auditor's card may have; it holds cases"), Err: err}
}

// read reads every item. A file that fetch does not make, or that is no plain
// file, becomes a finding; a failing disk is an error.
func (f *caseFolder) read(ctx context.Context) error {
	cases, err := f.list("cases")
	if err != nil {
		return err
	}
	for _, c := range cases {
		dir := path.Join("cases", c.Name())
		if !c.IsDir() || !caseName.MatchString(c.Name()) {
			f.refuse(dir)
			continue
		}
		files, err := f.list(dir)
		if err != nil {
			return err
		}
		have := make(map[string]bool)
		for _, file := range files {
			name := path.Join(dir, file.Name())
			if m := itemName.FindStringSubmatch(file.Name()); m == nil || !file.Type().IsRegular() {
				f.refuse(name)
			} else {
				have[name] = true
			}
		}
		if err := f.readCase(ctx, dir, files, have); err != nil {
			return err
		}
	}
	return nil
}

var (
	caseName = regexp.MustCompile(`^[a-z2-7]{16}$`)
	itemName = regexp.MustCompile(`^[0-9]{3,5}-[a-z]{1,16}\.(age|json|part|json\.new)$`)
)

func (f *caseFolder) refuse(name string) {
	f.findings = append(f.findings, found(itemUnreadable, name))
}

func (f *caseFolder) list(dir string) ([]fs.DirEntry, error) {
	info, err := f.root.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	var all []fs.DirEntry
	if err == nil {
		all, err = fs.ReadDir(f.root.FS(), dir)
	}
	if err != nil {
		return nil, f.broken(dir, err)
	}
	return all, nil
}

func (f *caseFolder) broken(name string, err error) error {
	return &say.Error{Path: path.Join(f.path, name), What: say.T("cannot be read: %s", say.Bare(err)), Err: err}
}

// readCase reads the items of one case. An age file without its fields cannot be
// told from what somebody else put there.
func (f *caseFolder) readCase(ctx context.Context, dir string, files []fs.DirEntry, have map[string]bool) error {
	for _, file := range files {
		full := path.Join(dir, file.Name())
		if name, ok := strings.CutSuffix(full, ".age"); ok && have[full] && !have[name+".json"] {
			f.refuse(full)
		}
		name, ok := strings.CutSuffix(full, ".json")
		if !ok || !have[full] {
			continue
		}
		i := &item{name: name, here: have[name+".age"]}
		if err := f.readFields(i); err != nil {
			f.refuse(full)
			continue
		}
		if i.here {
			if err := f.hash(ctx, i); err != nil {
				return err
			}
		}
		f.items = append(f.items, i)
	}
	return nil
}

// readFields reads and checks the fields of an item. They must be those of its name.
func (f *caseFolder) readFields(i *item) error {
	file, err := f.root.Open(i.name + ".json")
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	i.noted = info.ModTime()
	b, err := io.ReadAll(io.LimitReader(file, maxFields+1))
	if err != nil || len(b) > maxFields {
		return errors.Join(err, errors.New("too long"))
	}
	if err := json.Unmarshal(b, &i.fields); err != nil {
		return err
	}
	if err := i.fields.Check(); err != nil {
		return err
	}
	if path.Join("cases", i.fields.Case, fmt.Sprintf("%03d-%s", i.fields.Number, i.fields.Kind)) != i.name {
		return errors.New("fields of another item")
	}
	i.event, _ = card.DecodeEvent(i.fields.Event)
	i.opening, err = translog.ParseOpening([]byte(i.fields.Opening))
	return err
}

// hash reads the age file of an item. What is no age file has a zero header.
func (f *caseFolder) hash(ctx context.Context, i *item) error {
	file, err := f.root.Open(i.name + ".age")
	if err != nil {
		return f.broken(i.name+".age", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return f.broken(i.name+".age", err)
	}
	i.fetched = info.ModTime()
	sum := sha256.New()
	count := &counter{ctx: ctx, r: io.TeeReader(io.LimitReader(file, card.MaxItem+1), sum)}
	r := bufio.NewReaderSize(count, 64<<10)
	i.head, _ = readHeader(r)
	if _, err := io.Copy(io.Discard, r); err != nil {
		return f.broken(i.name+".age", err)
	}
	i.bytes, i.sum = count.n, [32]byte(sum.Sum(nil))
	return nil
}

// counter counts what is read, until ctx ends.
type counter struct {
	ctx context.Context
	r   io.Reader
	n   int64
}

func (c *counter) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// claim checks that what the vault said about an item fits together.
func (i *item) claim() error {
	tag := i.event.Tag(i.opening.Kind)
	switch {
	case string(i.opening.Kind) != i.fields.Kind:
		return errors.New("the opening is of another kind")
	case i.opening.Tag != tag || hex.EncodeToString(tag[:]) != i.fields.Tag:
		return errors.New("the tag is another one")
	case hex.EncodeToString(i.opening.Ciphertext[:]) != i.fields.SHA256:
		return errors.New("the hash is another one")
	}
	return nil
}

// compare finds what in the age file of an item differs from its opening.
func (i *item) compare(o translog.Opening, leaf, epoch int64) *finding {
	differs := func(fault translog.Fault, more string) *finding {
		return &finding{fault: fault, leaf: leaf, epoch: epoch, more: i.name + more}
	}
	size, ok := translog.PlaintextSize(i.bytes - i.head.size)
	switch {
	case string(o.Kind) != i.fields.Kind:
		return differs(itemKind, ": "+string(o.Kind))
	case i.sum != o.Ciphertext:
		return differs(itemSwapped, "")
	case i.head.stanzas == 0 || !ok:
		return differs(itemNotAge, "")
	case size != o.SizeClass:
		return differs(itemSize, fmt.Sprintf(": %d, %d", size, o.SizeClass))
	case i.head.stanzas != o.Recipients:
		return differs(itemRecipients, fmt.Sprintf(": %d, %d", i.head.stanzas, o.Recipients))
	case i.bytes != i.fields.Size:
		return differs(itemClaim, "")
	}
	return nil
}
