package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/publiclog"
	"resguardo/crypto/card"
)

// link is one vault, one folder and the keys between them.
type link struct {
	*program
	folder *folder.Folder
	way    *way
	client *api.Client
	keys   folder.Keys
	card   card.Card
	policy []byte // whose signatures the log needs; nil: the log's key is enough

	desks  []string // of the card, as the vault says
	items  []card.Item
	cases  map[string]card.Case
	log    *publiclog.Log // nil if it was not proven in this pass
	read   time.Time      // when the log was asked for: nothing newer can be in it
	served map[string][]api.Reviewer

	alarms int  // failures that were printed
	broken bool // the log is not what it was, or breaks its rules
}

// linkFlags is the command line of everything that talks to a vault.
type linkFlags struct {
	*flags
	server, socks, include, policy string
}

func newLinkFlags(name string) *linkFlags {
	f := &linkFlags{flags: newFlags(name)}
	f.StringVar(&f.server, "server", "", "")
	f.StringVar(&f.socks, "socks", "", "")
	f.StringVar(&f.include, "tor-include", "", "")
	f.StringVar(&f.policy, "policy", "", "")
	f.passphraseFlag()
	return f
}

func (f *linkFlags) parse(args []string, n int) error {
	if err := f.flags.parse(args, n); err != nil {
		return err
	}
	if f.socks != "" && f.include != "" {
		return misuse(say.T("-socks and -tor-include exclude each other"),
			say.T("-tor-include is for the tor that resguardo starts, -socks is for one that runs already"))
	}
	return nil
}

// newLink reads the keys and chooses the way to the vault. The caller must close
// the link.
func (p *program) newLink(dir *folder.Folder, f *linkFlags, ask folder.Passphrase) (*link, error) {
	r := &link{program: p, folder: dir}
	var err error
	if r.keys, err = dir.Keys(ask); err != nil {
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
	if err := r.readPolicy(f.policy, known.Log); err != nil {
		return nil, err
	}
	if r.way, err = p.newWay(server, dir, r.keys, f.socks, f.include); err != nil {
		return nil, err
	}
	r.client = api.New(server, r.way.DialContext)
	return r, nil
}

// readPolicy takes the policy of a file, and remembers it, or the one that is
// remembered. The key of the log must be the one that is known.
func (r *link) readPolicy(file, known string) (err error) {
	if file == "" {
		r.policy, err = r.folder.Policy()
	} else {
		r.policy, err = readSmall(file, publiclog.MaxPolicy)
	}
	if err != nil || r.policy == nil {
		return err
	}
	key, err := publiclog.PolicyKey(r.policy)
	if err != nil {
		return say.Fail(say.T("%s is no policy that can be used: %s", cmp.Or(file, r.folder.Path("policy")), err),
			say.T("a policy has exactly one line log KEY, a line witness NAME KEY for each witness, and a line quorum; get the file again"))
	}
	if known != "" && key != known {
		return say.Fail(say.T("the policy is of another log than the one this folder knows"),
			say.T("one of the two is wrong: ask the operator by another way, and the other reviewers, before you go on"))
	}
	if file == "" {
		return nil
	}
	return r.folder.SetPolicy(r.policy)
}

// readSmall reads a file of at most max bytes.
func readSmall(file string, max int) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err == nil && len(b) > max {
		err = say.Fail(say.T("%s has more than %s bytes", file, max), say.Text{})
	}
	return b, err
}

func (r *link) close() {
	r.client.Close()
	r.way.close()
}

// login opens a session, and remembers the vault the first time.
func (r *link) login(ctx context.Context) error {
	known, err := r.folder.Server()
	if err != nil {
		return err
	}
	origin, desks, err := r.client.Login(ctx, known.Origin, r.card, r.keys.Signer)
	if err != nil {
		return err
	}
	r.desks = desks
	if known.Origin == "" {
		if err := r.folder.SetServer(folder.Server{URL: r.client.URL(), Origin: origin}); err != nil {
			return err
		}
		r.Hint(say.T("this folder now belongs to the vault %s; compare this name with what the operator told you", origin))
	}
	return nil
}

// look makes sure of the way, signs in and reads what the vault and its log say.
func (r *link) look(ctx context.Context) error {
	r.alarms, r.broken = 0, false
	if err := r.way.open(ctx); err != nil {
		return err
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	var err error
	if r.items, err = r.client.Items(ctx); err != nil {
		return err
	}
	if r.card.Role == card.Auditor { // auditors see neither cases nor desks
		return r.readLog(ctx)
	}
	cases, err := r.client.Cases(ctx)
	if err != nil {
		return err
	}
	r.cases = make(map[string]card.Case, len(cases))
	for _, c := range cases {
		r.cases[c.Case] = c
		if err := r.folder.PutCase(c); err != nil {
			return err
		}
	}
	if err := r.readLog(ctx); err != nil {
		return err
	}
	return r.readDesks(ctx)
}

func (r *link) alarm(what, hint say.Text) {
	r.alarms++
	r.Fail(say.Fail(what, hint))
}

// outcome is how a pass ends in which alarms were printed.
func (r *link) outcome() error {
	switch {
	case r.broken:
		return errInconsistent
	case r.alarms > 0:
		return errAlarmed
	}
	return nil
}

// errInconsistent ends a command whose failures have been printed already, one of
// them about the log.
var errInconsistent = errors.New("log inconsistent")
