package review

import (
	"maps"
	"slices"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
)

// desks lists every desk that can be sealed to, with its cards. The log says
// whether the list is true. A member learns of its own desks how long they have been
// silent.
func (r *Review) desks(c *gin.Context, m Member) {
	members := r.members()
	staffed := r.staffed()
	list := []card.Desk{}
	for _, id := range slices.Sorted(maps.Keys(staffed)) {
		desk := card.Desk{ID: id}
		if slices.Contains(m.Desks, id) {
			desk.Reading = r.readingDay(id)
		}
		for _, fingerprint := range staffed[id] {
			if file := members[fingerprint].File; file != "" {
				desk.Cards = append(desk.Cards, file)
			}
		}
		if len(desk.Cards) > 0 {
			list = append(list, desk)
		}
	}
	answer(c, card.Desks{Desks: list})
}

// staffed are the desks that have a reviewer in force, with the fingerprints of
// these, sorted.
func (r *Review) staffed() map[string][]string {
	members := r.members()
	desks := map[string][]string{}
	for _, fingerprint := range slices.Sorted(maps.Keys(members)) {
		if m := members[fingerprint]; m.Card.Role == card.Reviewer {
			for _, desk := range m.Desks {
				desks[desk] = append(desks[desk], fingerprint)
			}
		}
	}
	return desks
}
