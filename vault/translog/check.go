package translog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// What a note may say at most. The bounds of the key derivation keep a foreign log
// from costing whoever looks up a codename more than seconds and a gibibyte.
const (
	MaxDesks     = 127 // that have reviewers, at one time
	MaxReviewers = 100 // of a desk: a report has at most 100 recipients
	MaxSlots     = 4096

	minEpochLength    = time.Second
	maxEpochLength    = 7 * 24 * time.Hour
	maxOrigin         = 80
	maxID             = 32
	maxGovernanceKeys = 16
	maxArgon2Time     = 16
	minArgon2Memory   = 8       // KiB
	maxArgon2Memory   = 1 << 20 // KiB
	maxArgon2Threads  = 16
	maxPolicy         = 16 << 10
	minRetention      = 7    // days
	maxRetention      = 3650 // days
	maxPath           = 200
	maxBuild          = 128
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

// isOf tells whether s has 1 to limit characters, all of them from letters.
func isOf(s, letters string, limit int) bool {
	return s != "" && len(s) <= limit && strings.Trim(s, letters) == ""
}

// isID tells whether s names a desk or an organisation. "-" alone stands for none.
func isID(s string) bool { return s != none && isOf(s, lower+digits+"-", maxID) }

func isFingerprint(s string) bool { return len(s) == 64 && isOf(s, digits+"abcdef", 64) }

// inRange is nil when low <= n <= high.
func inRange(name string, n, low, high int64) error {
	if n < low || n > high {
		return fmt.Errorf("%s is %d: at least %d, at most %d", name, n, low, high)
	}
	return nil
}

func (g *Genesis) check() error {
	if !isOf(g.Origin, lower+digits+".-", maxOrigin) {
		return errors.New("origin is not 1 to 80 of a-z, 0-9, dot and hyphen")
	}
	if err := g.checkKeys(); err != nil {
		return err
	}
	if g.Epoch%time.Second != 0 {
		return errors.New("an epoch is not whole seconds")
	}
	log, err := PolicyLog(g.Policy)
	if err != nil {
		return err
	}
	if log != g.Log {
		return errors.New("policy of another log key")
	}
	return errors.Join(
		inRange("epoch-seconds", int64(g.Epoch/time.Second), int64(minEpochLength/time.Second), int64(maxEpochLength/time.Second)),
		inRange("slots", int64(g.Slots), 1, MaxSlots),
		inRange("argon2-time", int64(g.Time), 1, maxArgon2Time),
		inRange("argon2-memory", int64(g.Memory), minArgon2Memory, maxArgon2Memory),
		inRange("argon2-threads", int64(g.Threads), 1, maxArgon2Threads),
		g.Retention.check())
}

// checkKeys checks that every key has the name of its office, and that no two
// offices share a key.
func (g *Genesis) checkKeys() error {
	if n := int64(len(g.Governance)); n == 0 || n > maxGovernanceKeys {
		return fmt.Errorf("%d governance keys: at least 1, at most %d", n, maxGovernanceKeys)
	}
	if err := inRange("threshold", int64(g.Threshold), 1, int64(len(g.Governance))); err != nil {
		return err
	}
	if !ascending(g.Governance) {
		return errors.New("governance keys are not sorted, or repeated")
	}
	seen := make(map[string]bool)
	for i, vkey := range append([]string{g.Log, g.Operations}, g.Governance...) {
		name, key, err := splitVerifier(vkey)
		if err != nil {
			return err
		}
		role, ok := strings.CutPrefix(name, g.Origin)
		switch i {
		case 0:
			ok = ok && role == ""
		case 1:
			ok = ok && role == "/operations"
		default:
			suffix, found := strings.CutPrefix(role, "/governance")
			ok = ok && found && (suffix == "" || isOf(suffix, lower+digits+"-", maxID))
		}
		if !ok {
			return fmt.Errorf("key %.100q has a wrong name", name)
		}
		if seen[key] {
			return errors.New("one key has two offices")
		}
		seen[key] = true
	}
	return nil
}

// splitVerifier takes apart a verifier key (C2SP signed-note) of an Ed25519 key. It
// accepts the one encoding that note.NewEd25519VerifierKey makes.
func splitVerifier(vkey string) (name, key string, err error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, key64, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(key64)
	if err != nil || len(raw) != 33 || raw[0] != 1 {
		return "", "", errors.New("a verifier key is not an Ed25519 key")
	}
	again, err := note.NewEd25519VerifierKey(name, raw[1:])
	if err != nil || again != vkey {
		return "", "", errors.New("a verifier key does not match its own check sum")
	}
	if _, err := note.NewVerifier(vkey); err != nil {
		return "", "", errors.New("a verifier key has an impossible name")
	}
	return name, string(raw[1:]), nil
}

// ascending tells whether a list is strictly sorted.
func ascending(list []string) bool {
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			return false
		}
	}
	return true
}

func (d Desk) check() error {
	if !isID(d.ID) || d.Organisation != "" && !isID(d.Organisation) {
		return errors.New("the id of a desk or an organisation is not 1 to 32 of a-z, 0-9 and hyphen")
	}
	if len(d.Reviewers) > MaxReviewers {
		return fmt.Errorf("a desk of %d reviewers", len(d.Reviewers))
	}
	for _, fingerprint := range d.Reviewers {
		if !isFingerprint(fingerprint) {
			return errNoFingerprint
		}
	}
	if !ascending(d.Reviewers) {
		return errors.New("reviewers of a desk are not sorted, or repeated")
	}
	return nil
}

var errNoFingerprint = errors.New("a fingerprint is not 64 digits of lower-case hexadecimal")

// Roles of a card.
const (
	reviewerRole = "reviewer"
	auditorRole  = "auditor"
)

func (c Card) check() error {
	switch {
	case !isFingerprint(c.Fingerprint):
		return errNoFingerprint
	case c.Role != reviewerRole && c.Role != auditorRole:
		return errors.New("a card's role is neither reviewer nor auditor")
	case c.Revoked && c.Role != auditorRole:
		return errors.New("a reviewer's card is revoked: reviewers leave their desks")
	}
	return nil
}

func (p Policy) check() error {
	_, err := PolicyLog(p.Text)
	return err
}

// unseen reports control characters and every space but the usual one:
// torchwood.ParsePolicy v0.9.0 panics on a line of them alone.
func unseen(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' }

// PolicyLog is the verifier key of the log that a C2SP tlog-policy is about. The
// policy has exactly one log line, at most 16 KiB, and a line feed at its end; no
// line is a hyphen alone, or has a space at its end, a control character or a space
// that is not U+0020.
func PolicyLog(text string) (vkey string, err error) {
	if len(text) > maxPolicy || !strings.HasSuffix(text, "\n") || !utf8.ValidString(text) {
		return "", errors.New("a policy is at most 16 KiB of UTF-8 and ends in a line feed")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == none || strings.HasSuffix(line, " ") || strings.ContainsFunc(line, unseen) {
			return "", errors.New("a line of the policy has a character that it must not have")
		}
		line, _, _ = strings.Cut(line, "#")
		switch words := strings.Fields(line); {
		case len(words) == 0 || words[0] != "log":
		case len(words) < 2 || vkey != "":
			return "", errors.New("a policy has exactly one log line")
		default:
			vkey = words[1]
		}
	}
	if vkey == "" {
		return "", errors.New("a policy has exactly one log line")
	}
	if _, err := torchwood.ParsePolicy([]byte(text)); err != nil {
		return "", fmt.Errorf("policy: %w", err)
	}
	return vkey, nil
}

func (r Retention) check() error {
	return errors.Join(
		inRange("retention-days", int64(r.Days), minRetention, maxRetention),
		inRange("delete-signatures", int64(r.DeleteSignatures), 1, MaxReviewers))
}

func (a Assets) check() error {
	if !isPrintable(a.Build, maxBuild) {
		return errors.New("build is not 1 to 128 printable ASCII characters without spaces")
	}
	for i, f := range a.Files {
		if !isPrintable(f.Path, maxPath) || !fs.ValidPath(f.Path) || f.Path == "." {
			return errors.New("a path is not relative, in its shortest form, of 1 to 200 printable ASCII characters without spaces")
		}
		if i > 0 && a.Files[i-1].Path >= f.Path {
			return errors.New("files are not sorted by path, or repeated")
		}
	}
	return nil
}

func isPrintable(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (g Gap) check() error {
	if g.From < 1 || g.To < g.From || g.To > MaxEpoch {
		return fmt.Errorf("gap from epoch %d to %d", g.From, g.To)
	}
	return nil
}

func (r Restore) check() error {
	if r.From < 0 || r.To <= r.From || r.To > MaxLeaves {
		return fmt.Errorf("restore of leaves %d to %d", r.From, r.To)
	}
	return nil
}

// What an Incident says.
const (
	Revoked     = "revoked"     // a card was taken out
	Unwitnessed = "unwitnessed" // a checkpoint was published without a quorum
)

func (i Incident) check() error {
	switch i.What {
	case Revoked:
		if !isFingerprint(i.Fingerprint) || i.Desk != "" && !isID(i.Desk) || i.Epoch != 0 {
			return errors.New("an incident of a revoked card has a fingerprint, may have a desk, and no epoch")
		}
	case Unwitnessed:
		if i.Fingerprint != "" || i.Desk != "" || i.Epoch < 1 || i.Epoch > MaxEpoch {
			return errors.New("an unwitnessed incident has only an epoch")
		}
	default:
		return errors.New("an incident is neither revoked nor unwitnessed")
	}
	return nil
}
