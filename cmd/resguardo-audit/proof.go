package main

import (
	"errors"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/cmd/internal/say"
)

// writeProof writes a proof (c2sp.org/tlog-proof) that a leaf is in the log, with
// the leaf as its extra data. It is made of what was downloaded anyway.
func (p *program) writeProof(path string, a *audit, at placed) error {
	c, leaf := a.checkpoint, at.leaf.Marshal()
	record, err := tlog.ProveRecord(c.N, at.index, a.reader.hashes(c.Tree))
	if err != nil {
		return err
	}
	proof := torchwood.FormatProofWithExtraData(at.index, leaf, record, c.signed)
	if err := torchwood.VerifyProof(a.policy.logOnly(), tlog.RecordHash(leaf), proof); err != nil {
		return fmt.Errorf("proof that does not verify: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(proof)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return &say.Error{Path: path, What: say.T("cannot be written: %s", say.Bare(err)), Err: err}
	}
	p.Warn(say.T("%s shows that leaf %s is a report, and whoever finds it here knows who sent it", path, at.index),
		say.T("give it away or delete it; the eight words make it again at any time"))
	return nil
}
