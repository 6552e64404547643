package review

import (
	"encoding/hex"
	"errors"
	"slices"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// cases lists the cases of the member's desks.
func (r *Review) cases(c *gin.Context, m Member) {
	list := []card.Case{}
	for _, kase := range r.ownCases(m) {
		list = append(list, r.describeCase(kase, m))
	}
	answer(c, card.Cases{Cases: list})
}

// ownCases are the cases that m's desks have now, by id. One that does not open
// is left out.
func (r *Review) ownCases(m Member) []vault.Case {
	var ids []vault.CaseID
	for _, desk := range m.Desks {
		ids = append(ids, r.vault.Cases(desk)...)
	}
	slices.Sort(ids)
	var cases []vault.Case
	for _, id := range slices.Compact(ids) {
		// The desks may have changed since the list was made.
		if kase, err := r.vault.Case(id); err == nil && len(shared(kase.Desks, m.Desks)) > 0 {
			cases = append(cases, kase)
		}
	}
	return cases
}

// ownCase finds the case that the path names, if one of m's desks has it. Its
// error is a failure.
func (r *Review) ownCase(c *gin.Context, m Member) (kase vault.Case, desks []string, err error) {
	kase, err = r.vault.Case(vault.CaseID(c.Param("case")))
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return kase, nil, internal
	}
	if desks = shared(kase.Desks, m.Desks); err != nil || len(desks) == 0 {
		return kase, nil, notFound
	}
	return kase, desks, nil
}

func (r *Review) describeCase(kase vault.Case, m Member) card.Case {
	return card.Case{
		Case:          string(kase.ID),
		Desks:         shared(kase.Desks, m.Desks),
		Next:          kase.Next,
		Closed:        slices.ContainsFunc(kase.Items, func(i vault.Item) bool { return i.Kind == translog.Close }),
		Hold:          kase.Hold,
		Holds:         kase.Holds,
		LastDay:       kase.Day,
		EndsDay:       kase.Ends(r.config.Retention),
		PendingDelete: string(r.pending(kase)),
		Gone:          gone(kase),
	}
}

// gone lists the items that were deleted alone, by number.
func gone(kase vault.Case) []card.Gone {
	list := []card.Gone{} // [], not null
	for _, g := range kase.Gone {
		list = append(list, card.Gone{Number: g.Number, Kind: string(g.Kind), SHA256: hex.EncodeToString(g.SHA256[:])})
	}
	slices.SortFunc(list, func(a, b card.Gone) int { return a.Number - b.Number })
	return list
}

// pending is the deletion of the case that waits for another signature; nil if
// there is none, or not any more: the case has other items by now, or the card
// that signed it has left.
func (r *Review) pending(kase vault.Case) []byte {
	d, by, err := card.ParseDelete(kase.Pending)
	if err != nil || len(by) != 1 || r.vault.Covers(r.agreement(d)) != nil {
		return nil
	}
	if m := r.members()[by[0]]; m.Card.Role != card.Reviewer || len(shared(kase.Desks, m.Desks)) == 0 {
		return nil
	}
	return kase.Pending
}

// hold stops the retention of a case, or lets it run again.
func (r *Review) hold(c *gin.Context, m Member) {
	kase, _, err := r.ownCase(c, m)
	if err != nil {
		refuse(c, err)
		return
	}
	var request card.SignedRequest
	if err := r.decode(c, &request, bodySize); err != nil {
		refuse(c, err)
		return
	}
	h, err := card.OpenHold([]byte(request.Statement), m.Card)
	switch {
	case err != nil || h.Origin != r.config.Origin || h.Case != string(kase.ID):
		fail(c, badStatement)
		return
	case h.Counter != kase.Holds:
		fail(c, fetchFirst)
		return
	}
	if err := storage(r.vault.SetHold(c.Request.Context(), kase.ID, h.Hold)); err != nil {
		refuse(c, err)
		return
	}
	if kase, _, err = r.ownCase(c, m); err != nil {
		refuse(c, err)
		return
	}
	answer(c, r.describeCase(kase, m))
}
