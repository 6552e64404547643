package translog

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// parseBody reads what follows the head of a note.
func parseBody(kind GovernanceKind, p *fields) Body {
	switch kind {
	case GenesisNote:
		return parseGenesis(p)
	case DeskNote:
		return Desk{ID: p.value("id"), Organisation: p.optional("organisation"),
			Government: p.yesNo("government"), Reviewers: p.list("reviewer")}
	case CardNote:
		return Card{Fingerprint: p.value("fingerprint"), Role: p.value("role"),
			Digest: p.sha256("sha256"), Revoked: p.yesNo("revoked")}
	case PolicyNote:
		return Policy{Text: parsePolicyText(p)}
	case RetentionNote:
		return parseRetention(p)
	case AssetsNote:
		return parseAssets(p)
	case GapNote:
		return Gap{From: p.count("from"), To: p.count("to")}
	case RestoreNote:
		return Restore{From: p.count("from"), To: p.count("to")}
	case IncidentNote:
		return Incident{What: p.value("what"), Fingerprint: p.optional("fingerprint"),
			Desk: p.optional("desk"), Epoch: p.count("since")}
	}
	p.err = errors.New("note of an unknown kind")
	return nil
}

func parseGenesis(p *fields) *Genesis {
	g := &Genesis{
		Origin:     p.value("origin"),
		Log:        p.value("log"),
		Operations: p.value("operations"),
		Governance: p.list("governance"),
		Threshold:  int(p.count("threshold")),
		Epoch:      seconds(p.count("epoch-seconds")),
		Slots:      int(p.count("slots")),
	}
	p.bytes("salt", g.Salt[:])
	g.Time = uint32(p.count("argon2-time"))
	g.Memory = uint32(p.count("argon2-memory"))
	g.Threads = uint8(p.count("argon2-threads"))
	g.Policy = parsePolicyText(p)
	g.Retention = parseRetention(p)
	return g
}

// seconds is the duration, or an impossible one when there is none that long.
func seconds(n int64) time.Duration {
	if n > int64(maxEpochLength/time.Second) {
		return -1
	}
	return time.Duration(n) * time.Second
}

// parsePolicyText puts the lines of a policy together again; "-" is an empty one.
func parsePolicyText(p *fields) string {
	var b strings.Builder
	for _, line := range p.list("policy") {
		if line != none {
			b.WriteString(line)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func parseRetention(p *fields) Retention {
	return Retention{Days: int(p.count("retention-days")), DeleteSignatures: int(p.count("delete-signatures"))}
}

func parseAssets(p *fields) Assets {
	a := Assets{Build: p.value("build")}
	for _, line := range p.list("file") {
		digits, path, _ := strings.Cut(line, " ")
		a.Files = append(a.Files, Asset{Path: path, Digest: p.hash("file", digits)})
	}
	return a
}

func (g *Genesis) lines() []string {
	lines := []string{"origin " + g.Origin, "log " + g.Log, "operations " + g.Operations}
	for _, key := range g.Governance {
		lines = append(lines, "governance "+key)
	}
	lines = append(lines,
		numberLine("threshold", int64(g.Threshold)),
		numberLine("epoch-seconds", int64(g.Epoch/time.Second)),
		numberLine("slots", int64(g.Slots)),
		"salt "+base64.StdEncoding.EncodeToString(g.Salt[:]),
		numberLine("argon2-time", int64(g.Time)),
		numberLine("argon2-memory", int64(g.Memory)),
		numberLine("argon2-threads", int64(g.Threads)))
	lines = append(lines, Policy{g.Policy}.lines()...)
	return append(lines, g.Retention.lines()...)
}

func (d Desk) lines() []string {
	lines := []string{"id " + d.ID, "organisation " + orNone(d.Organisation), "government " + yesNo(d.Government)}
	for _, fingerprint := range d.Reviewers {
		lines = append(lines, "reviewer "+fingerprint)
	}
	return lines
}

func (c Card) lines() []string {
	return []string{"fingerprint " + c.Fingerprint, "role " + c.Role,
		"sha256 " + hex.EncodeToString(c.Digest[:]), "revoked " + yesNo(c.Revoked)}
}

func (p Policy) lines() []string {
	var lines []string
	for line := range strings.Lines(p.Text) {
		lines = append(lines, "policy "+orNone(strings.TrimSuffix(line, "\n")))
	}
	return lines
}

func (r Retention) lines() []string {
	return []string{numberLine("retention-days", int64(r.Days)), numberLine("delete-signatures", int64(r.DeleteSignatures))}
}

func (a Assets) lines() []string {
	lines := []string{"build " + a.Build}
	for _, f := range a.Files {
		lines = append(lines, "file "+hex.EncodeToString(f.Digest[:])+" "+f.Path)
	}
	return lines
}

func (g Gap) lines() []string {
	return []string{numberLine("from", g.From), numberLine("to", g.To)}
}

func (r Restore) lines() []string {
	return []string{numberLine("from", r.From), numberLine("to", r.To)}
}

func (i Incident) lines() []string {
	return []string{"what " + i.What, "fingerprint " + orNone(i.Fingerprint),
		"desk " + orNone(i.Desk), numberLine("since", i.Epoch)}
}

func numberLine(name string, n int64) string { return name + " " + strconv.FormatInt(n, 10) }
