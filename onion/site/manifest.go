package site

import (
	"encoding/hex"

	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
)

// reportManifest is what the readers of a report learn beside its content. The
// codename is not in it: it holds a recipient to answer to, and the keys that an
// answer needs.
func reportManifest(origin, caseID string, thread [16]byte, a accepted, keys codename.Keys) (seal.Manifest, error) {
	identity, err := seal.IdentityFromSeed(keys.Age)
	if err != nil {
		return seal.Manifest{}, err
	}
	deskLog := keys.DeskLog()
	return seal.Manifest{
		Origin:     origin,
		Case:       caseID,
		Thread:     hex.EncodeToString(thread[:]),
		Kind:       string(translog.Report),
		Day:        a.day,
		Desks:      a.readers.ids(),
		Excluded:   a.readers.excluded,
		Governance: a.governance,
		Share:      a.share,
		ReplyTo:    identity.Recipient().String(),
		ThreadKey:  keys.Thread[:],
		DeskLogKey: deskLog[:],
	}, nil
}

// followupManifest is what the readers of a follow-up learn beside its content:
// that it continues the report. Whom the source excluded stands in the report
// alone, which this server cannot open; so does with whom it may be shared.
func followupManifest(origin, caseID string, thread [16]byte, a accepted, sequence uint64, previous [32]byte) seal.Manifest {
	return seal.Manifest{
		Origin:     origin,
		Case:       caseID,
		Thread:     hex.EncodeToString(thread[:]),
		Kind:       string(translog.Followup),
		Sequence:   sequence,
		Previous:   hex.EncodeToString(previous[:]),
		Day:        a.day,
		Desks:      a.readers.ids(),
		Governance: a.governance,
		Share:      shares[0],
	}
}
