package governance

import "resguardo/vault/translog"

// Since tells from which epoch a desk has keys without a break: the earliest one from
// which one of its reviewers in force is in it. A desk without any is not in the map.
func (l Log) Since(f Force) map[string]int64 {
	joined := map[string]map[string]int64{} // epochs, by desk and fingerprint
	for _, n := range l.Notes {
		d, ok := n.Body.(translog.Desk)
		if !ok {
			continue
		}
		now := map[string]int64{}
		for _, fingerprint := range d.Reviewers {
			from, was := joined[d.ID][fingerprint]
			if !was {
				from = n.From
			}
			now[fingerprint] = from
		}
		joined[d.ID] = now
	}
	since := map[string]int64{}
	for desk, reviewers := range f.Desks {
		for _, fingerprint := range reviewers {
			from := joined[desk][fingerprint]
			if first, ok := since[desk]; !ok || from < first {
				since[desk] = from
			}
		}
	}
	return since
}
