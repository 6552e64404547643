package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// maxPolicy is the most bytes of a policy file. A log pins its policy in a leaf,
// which cannot be longer.
const maxPolicy = 65535

// policy is what the auditor trusts (c2sp.org/tlog-policy): one log key, the
// witnesses, and how many of them must have signed.
type policy struct {
	torchwood.Policy
	log       note.Verifier
	vkey      string // verifier key of log
	witnesses []witness
	quorum    bool // false: "quorum none"
	text      string
}

// witness is one that the policy names, whether or not the quorum needs it.
type witness struct {
	name string // in the policy
	note.Verifier
}

// parsePolicy reads a policy. What it means is decided by torchwood; we read the
// lines again for the parts that torchwood does not show. Torchwood demands a
// signature of every log that is listed, so exactly one is allowed.
func parsePolicy(text []byte) (*policy, error) {
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("longer than %d bytes", maxPolicy)
	}
	p := &policy{text: strings.ReplaceAll(string(text), "\r\n", "\n")}
	lines := policyLines(p.text)
	for i, fields := range lines {
		if len(fields) == 0 { // torchwood v0.9.0 panics there
			return nil, fmt.Errorf("line %d of those that say something has a space that cannot be seen", i+1)
		}
	}
	var err error
	if p.Policy, err = torchwood.ParsePolicy([]byte(p.text)); err != nil {
		return nil, err
	}
	for _, fields := range lines {
		switch fields[0] {
		case "log":
			if p.log != nil {
				return nil, errors.New("more than one log line")
			}
			p.vkey = fields[1]
			if p.log, err = note.NewVerifier(p.vkey); err != nil {
				return nil, err
			}
		case "witness":
			v, err := torchwood.NewCosignatureVerifier(fields[2])
			if err != nil {
				return nil, err
			}
			if p.witnessOf(v.Name(), v.KeyHash()) != nil {
				return nil, fmt.Errorf("the key of witness %s stands there twice", fields[1])
			}
			p.witnesses = append(p.witnesses, witness{fields[1], v})
		case "quorum":
			p.quorum = fields[1] != "none"
		}
	}
	if p.log == nil {
		return nil, errors.New("no log line")
	}
	return p, nil
}

// policyLines are the lines of a policy without comments, each cut into its
// words, as torchwood.ParsePolicy cuts them. A line of rare spaces has no words.
func policyLines(text string) [][]string {
	var lines [][]string
	for line := range strings.SplitSeq(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if strings.Trim(line, " \t") == "" {
			continue
		}
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

// witnessOf returns the witness with this key, or nil.
func (p *policy) witnessOf(name string, hash uint32) *witness {
	for i, w := range p.witnesses {
		if w.Name() == name && w.KeyHash() == hash {
			return &p.witnesses[i]
		}
	}
	return nil
}

// logOnly is the policy without its witnesses: the log's key and origin.
func (p *policy) logOnly() torchwood.Policy {
	return torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(p.log.Name()), torchwood.SingleVerifierPolicy(p.log))
}

// samePolicy tells whether two policies ask for the same: comments, spaces and
// the addresses of witnesses do not count, the order of lines does.
func samePolicy(a, b string) bool {
	plain := func(text string) [][]string {
		lines := policyLines(text)
		for i, fields := range lines {
			if len(fields) > 3 && fields[0] == "witness" {
				lines[i] = fields[:3]
			}
		}
		return lines
	}
	return slices.EqualFunc(plain(a), plain(b), slices.Equal[[]string])
}
