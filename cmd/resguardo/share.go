package main

import (
	"slices"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
)

// forbidden says why the source's choices forbid to give a report to a desk; a
// zero text means that they do not. asked tells whether the source was asked and
// agreed. What the source ruled out, nobody can allow.
func forbidden(m *seal.Manifest, d translog.Desk, asked bool) say.Text {
	switch x := m.Excluded; {
	case slices.Contains(x.Desks, d.ID):
		return say.T("the source ruled out desk %s", d.ID)
	case d.Organisation != "" && slices.Contains(x.Organisations, d.Organisation):
		return say.T("the source ruled out the organisation %s, which runs desk %s", d.Organisation, d.ID)
	case x.Government && d.Government:
		return say.T("the source ruled out every desk with ties to government, and %s has them", d.ID)
	case slices.Contains(m.Desks, d.ID):
		return say.Text{} // chosen by the source
	}
	switch {
	case m.Share == "nobody":
		return say.T("the source shares the report with nobody but the desks it chose")
	case m.Share == "ngos" && d.Government:
		return say.T("the source shares the report with other organisations, not with authorities, and desk %s has ties to government", d.ID)
	case m.Share == "ask" && !asked:
		return say.T("the source wants to be asked before the report goes to another desk")
	}
	return say.Text{}
}
