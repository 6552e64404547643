package review

import (
	"slices"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// maxDeletion is the most bytes of a request to delete: JSON takes one byte more
// for every line of the statement, which have 70 and more.
const maxDeletion = card.MaxDelete + card.MaxDelete/32

// deleteCase destroys a case once enough reviewers have signed for exactly the
// items that it has now. Until then the statement is kept, and shown in the list,
// so that another reviewer can add a signature.
func (r *Review) deleteCase(c *gin.Context, m Member) {
	deleted, err := r.agreed(c, m)
	if err != nil {
		refuse(c, err)
		return
	}
	answer(c, card.Deletion{Deleted: deleted})
}

// agreed does what deleteCase promises. Its error is a failure.
func (r *Review) agreed(c *gin.Context, m Member) (deleted bool, err error) {
	kase, desks, err := r.ownCase(c, m)
	if err != nil {
		return false, err
	}
	if !r.uploads.begin(m.Card.Fingerprint()) { // a statement may have some MiB
		return false, tooMany
	}
	defer r.uploads.end(m.Card.Fingerprint())
	var request card.SignedRequest
	if err := r.decode(c, &request, maxDeletion); err != nil {
		return false, err
	}
	statement := []byte(request.Statement)
	d, by, err := r.signedBy(statement, kase)
	if err != nil || !slices.Contains(by, m.Card.Fingerprint()) {
		return false, badStatement
	}
	if now, ok := r.now(m); !ok || !slices.Equal(shared(kase.Desks, now.Desks), desks) {
		return false, notSignedIn
	}
	a := r.agreement(d)
	if err := r.vault.Covers(a); err != nil {
		return false, storage(err)
	}
	if len(by) < r.config.DeleteSignatures() {
		return false, storage(r.vault.SetPending(c.Request.Context(), kase.ID, statement))
	}
	return true, storage(r.vault.DeleteAgreed(c.Request.Context(), a))
}

// signedBy verifies a deletion of the case. Each of its signatures must be of a
// reviewer in force of a desk that has the case.
func (r *Review) signedBy(statement []byte, kase vault.Case) (card.Delete, []string, error) {
	d, by, err := card.ParseDelete(statement)
	if err != nil || d.Origin != r.config.Origin || d.Case != string(kase.ID) {
		return d, nil, badStatement
	}
	members := r.members()
	var cards []card.Card
	for _, fingerprint := range by {
		m, ok := members[fingerprint]
		if !ok || len(shared(kase.Desks, m.Desks)) == 0 {
			return d, nil, badStatement
		}
		cards = append(cards, m.Card)
	}
	return card.OpenDelete(statement, cards...)
}

// agreement is a deletion as the vault knows it.
func (r *Review) agreement(d card.Delete) vault.Agreement {
	return vault.Agreement{Case: vault.CaseID(d.Case), Items: d.Items, Event: translog.Event(d.Event), Governance: r.config.Governance()}
}
