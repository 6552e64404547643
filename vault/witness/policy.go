package witness

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// Limits of a policy. The specification asks for at least 32 witnesses; a note may
// carry at most 100 signatures.
const (
	maxPolicy    = 16 << 10 // bytes; it is a line of genesis too
	maxWitnesses = 64
)

// None is the Quorum of a policy that needs no cosignature.
const None = "none"

// Policy is a C2SP tlog-policy with exactly one log.
type Policy struct {
	Origin    string           // of the log; it is the name in LogKey
	LogKey    string           // vkey
	Witnesses []Witness        // in the order of the text
	Quorum    string           // name of a witness or a group, or None
	Rule      torchwood.Policy // what torchwood.VerifyCheckpoint enforces
}

// PolicyError tells what is wrong with the text of a policy. Err is one of a fixed
// set of sentences without values, so that a caller can translate it.
type PolicyError struct {
	Line int // from 1; 0 = the whole text
	Err  error
}

// Error tells the line and what is wrong with it.
func (e *PolicyError) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

// Unwrap returns Err.
func (e *PolicyError) Unwrap() error { return e.Err }

var (
	errLong       = errors.New("the policy is longer than 16 KiB")
	errBytes      = errors.New("only printable UTF-8 text and tabs may stand here (save the file with Unix line ends)")
	errSpace      = errors.New("words are separated by ordinary spaces or tabs only")
	errComment    = errors.New("a comment stands on a line of its own, which begins with #")
	errKeyword    = errors.New("a line begins with log, witness, group or quorum")
	errLogLine    = errors.New("a log is written: log KEY [URL]")
	errLogs       = errors.New("a second log: this policy is for one log")
	errLogKey     = errors.New("the log's key is not an Ed25519 verifier key of a signed note")
	errNoLog      = errors.New("the log line is missing")
	errWitness    = errors.New("a witness is written: witness NAME KEY [URL]")
	errWitnessKey = errors.New("the witness's key is not an Ed25519 cosignature verifier key")
	errSameKey    = errors.New("another line has this key already")
	errURL        = errors.New("the witness's address is not http://… or https://… without user, query or fragment")
	errMany       = errors.New("more than 64 witnesses")
	errGroup      = errors.New("a group is written: group NAME all|any|NUMBER MEMBER…")
	errThreshold  = errors.New("the group's number is not between 1 and the number of its members")
	errName       = errors.New("this name is taken, or is the word none")
	errMember     = errors.New("the group names somebody whom no line above defines")
	errTwice      = errors.New("the group names somebody who is in a group already")
	errQuorum     = errors.New("the quorum is written: quorum NAME, with a witness or group defined above, or none")
	errQuorums    = errors.New("a second quorum line")
	errNoQuorum   = errors.New("the quorum line is missing (quorum none asks for no witness)")
)

// Parse reads the text of a policy (C2SP tlog-policy, "Policy file syntax and
// structure"). An error is a *PolicyError.
//
// It is stricter than torchwood.ParsePolicy where that one reads a text in another
// way than the specification, or takes a policy that can never be satisfied:
// exactly one log, no key twice, no member twice, comments on lines of their own.
func Parse(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, &PolicyError{Err: errLong}
	}
	p := parser{names: make(map[string]bool), keys: make(map[string]bool), grouped: make(map[string]bool)}
	for i, line := range strings.Split(string(text), "\n") {
		if err := p.line(line); err != nil {
			return nil, &PolicyError{Line: i + 1, Err: err}
		}
	}
	if p.LogKey == "" {
		return nil, &PolicyError{Err: errNoLog}
	}
	if p.Quorum == "" {
		return nil, &PolicyError{Err: errNoQuorum}
	}
	var err error
	if p.Rule, err = torchwood.ParsePolicy(text); err != nil {
		return nil, &PolicyError{Err: err}
	}
	return &p.Policy, nil
}

type parser struct {
	Policy
	names   map[string]bool // of witnesses and groups
	keys    map[string]bool // raw public keys, and names with key ids
	grouped map[string]bool // members of some group
}

func (p *parser) line(line string) error {
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if !utf8.ValidString(line) || strings.ContainsFunc(line, control) {
		return errBytes
	}
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return nil
	}
	// torchwood takes every white space of Unicode for a separator, and # for the
	// start of a comment anywhere; the specification does neither.
	if !slices.Equal(words, strings.Fields(line)) {
		return errSpace
	}
	if strings.Contains(line, "#") {
		return errComment
	}
	switch words[0] {
	case "log":
		return p.log(words[1:])
	case "witness":
		return p.witness(words[1:])
	case "group":
		return p.group(words[1:])
	case "quorum":
		return p.quorum(words[1:])
	}
	return errKeyword
}

func (p *parser) log(words []string) error {
	if len(words) < 1 || len(words) > 2 {
		return errLogLine
	}
	if p.LogKey != "" {
		return errLogs
	}
	v, err := note.NewVerifier(words[0])
	if err != nil {
		return errLogKey
	}
	p.Origin, p.LogKey = v.Name(), words[0]
	return p.key(v, words[0])
}

func (p *parser) witness(words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return errWitness
	}
	w := Witness{Name: words[0], Key: words[1]}
	v, err := torchwood.NewCosignatureVerifier(w.Key)
	if err != nil {
		return errWitnessKey
	}
	if len(words) == 3 {
		w.URL = words[2]
		if _, err := w.endpoint(); err != nil {
			return errURL
		}
	}
	if err := p.key(v, w.Key); err != nil {
		return err
	}
	if len(p.Witnesses) == maxWitnesses {
		return errMany
	}
	p.Witnesses = append(p.Witnesses, w)
	return p.name(w.Name)
}

// key refuses a public key that another line has, under whatever name ("Public key
// representation"), and a key id that verifiers could not tell from another.
func (p *parser) key(v note.Verifier, vkey string) error {
	raw, err := base64.StdEncoding.DecodeString(vkey[len(v.Name()+"+01234567+"):])
	if err != nil || len(raw) < 2 {
		panic("witness: a verifier was made of a malformed key")
	}
	for _, key := range []string{string(raw[1:]), fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash())} {
		if p.keys[key] {
			return errSameKey
		}
		p.keys[key] = true
	}
	return nil
}

func (p *parser) name(name string) error {
	if name == None || p.names[name] {
		return errName
	}
	p.names[name] = true
	return nil
}

func (p *parser) group(words []string) error {
	if len(words) < 3 {
		return errGroup
	}
	name, threshold, members := words[0], words[1], words[2:]
	if threshold != "all" && threshold != "any" {
		n, err := strconv.Atoi(threshold)
		if err != nil || strconv.Itoa(n) != threshold || n < 1 || n > len(members) {
			return errThreshold
		}
	}
	for _, m := range members {
		if !p.names[m] {
			return errMember
		}
		if p.grouped[m] {
			return errTwice
		}
		p.grouped[m] = true
	}
	return p.name(name)
}

func (p *parser) quorum(words []string) error {
	if p.Quorum != "" {
		return errQuorums
	}
	if len(words) != 1 || words[0] != None && !p.names[words[0]] {
		return errQuorum
	}
	p.Quorum = words[0]
	return nil
}

// endpoint is where checkpoints are sent (C2SP tlog-witness, "add-checkpoint").
func (w Witness) endpoint() (string, error) {
	u, err := url.Parse(w.URL)
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errURL
	}
	return u.JoinPath("add-checkpoint").String(), nil
}
