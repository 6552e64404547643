package statedir

import (
	"errors"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
	"resguardo/vault/witness"
)

// policy is the C2SP tlog-policy of a log without witnesses.
func policy(logVerifier string) string { return "log " + logVerifier + "quorum none\n" }

// Policy is the file policy: who must cosign the public log. It is the only
// place in which witnesses are configured.
type Policy struct {
	Text string
	*witness.Policy
}

// Policy reads and checks the policy. It has exactly one log line, with the key
// in log.vkey, and a URL for every witness.
func (d Dir) Policy() (Policy, error) {
	path := d.Path(PolicyFile)
	text, err := ReadFile(path, MaxFile)
	if err != nil {
		return Policy{}, err
	}
	vkey, err := d.keyLine(LogVerifier)
	if err != nil {
		return Policy{}, err
	}
	p, err := witness.Parse(text)
	if wrong := (*witness.PolicyError)(nil); errors.As(err, &wrong) {
		return Policy{}, &say.Error{Path: path, Line: wrong.Line, What: say.T("not a policy: %s", wrong.Err),
			Hint: say.T("the file has one log line, a line witness NAME KEY URL for each witness, and a quorum line; the log line is: log %s", vkey)}
	}
	if err != nil {
		return Policy{}, err
	}
	if p.LogKey != vkey {
		return Policy{}, &say.Error{Path: path, Line: logLine(text),
			What: say.T("the policy names another log key than %s", LogVerifier), Hint: say.T("put both files back from one backup")}
	}
	for _, w := range p.Witnesses {
		if w.URL == "" {
			return Policy{}, &say.Error{Path: path, What: say.T("the witness %s has no address", quote(w.Name)),
				Hint: say.T("write it behind the key: witness NAME KEY URL")}
		}
	}
	if _, err := translog.PolicyLog(string(text)); err != nil {
		return Policy{}, &say.Error{Path: path, What: say.T("the policy cannot stand in the public log: %s", err),
			Hint: say.T("no tabs, no spaces at the ends of lines, a line break at the end of the file, at most 16 KiB")}
	}
	return Policy{string(text), p}, nil
}

// logLine is the line on which a policy names its log.
func logLine(policy []byte) int {
	for i, l := range strings.Split(string(policy), "\n") {
		if fields := strings.Fields(l); len(fields) > 0 && fields[0] == "log" {
			return i + 1
		}
	}
	return 0
}
