package translog

import "iter"

// Expected is an event that a codename may have in the log.
type Expected struct {
	Kind    Kind
	Counter uint64
	Event   Event    // secret
	Tag     [32]byte // by which its leaf is found
}

// Events are all events that one codename may have in the log: of each kind those
// with a counter below n, in order, kind by kind. k is the source's key K, desk the
// desk log key.
func Events(k, desk [32]byte, n uint64) iter.Seq[Expected] {
	return func(yield func(Expected) bool) {
		for _, by := range []struct {
			key   [32]byte
			kinds []Kind
		}{
			{k, []Kind{Report, Followup, SourceDelete, Expire}},
			{desk, []Kind{Ack, Reply, Note, Rewrap, Recuse, Close, DeskDelete}},
		} {
			for _, kind := range by.kinds {
				for counter := range n {
					e := NewEvent(by.key, kind, counter)
					if !yield(Expected{kind, counter, e, e.Tag(kind)}) {
						return
					}
				}
			}
		}
	}
}
