package seal

import (
	"errors"
	"fmt"
	"slices"

	"resguardo/crypto/card"
)

// Kinds of items with rules of their own. [card.DeskKind] knows those of a desk.
const (
	kindReport   = "report"
	kindFollowup = "followup"
	kindReply    = "reply"
	kindNote     = "note"
	kindRewrap   = "rewrap"
)

// checkKind checks what depends on the kind of the item.
func (m *Manifest) checkKind() error {
	if m.Kind != kindReport && m.Kind != kindFollowup && !card.DeskKind(m.Kind) {
		return errors.New("unknown kind")
	}
	// Only the first item of the source says whom to answer and under which keys:
	// an item that anybody could seal later must not change it.
	if m.Kind == kindReport {
		if m.ReplyTo == "" || len(m.ThreadKey) == 0 || len(m.DeskLogKey) == 0 {
			return errors.New("a report needs reply_to, thread_key and desk_log_key")
		}
	} else if m.ReplyTo != "" || len(m.ThreadKey) > 0 || len(m.DeskLogKey) > 0 {
		return errors.New("only a report has reply_to, thread_key and desk_log_key")
	}
	if m.Kind == kindReport && m.Sequence != 0 || m.Kind == kindFollowup && m.Sequence == 0 {
		return errors.New("a report is the first item of its source, and no other is")
	}
	return m.checkKindsEntries()
}

// checkKindsEntries checks which entries an item of this kind has. Their order
// is checked elsewhere.
func (m *Manifest) checkKindsEntries() error {
	has := func(entry string) bool {
		return slices.ContainsFunc(m.Files, func(f File) bool { return f.Entry == entry })
	}
	switch original := has(entryOriginal); {
	case original != (m.Kind == kindRewrap):
		return fmt.Errorf("%s belongs into a rewrap and nowhere else", entryOriginal)
	case original, m.Kind == kindReport, m.Kind == kindFollowup:
		return nil
	case !has(entryMessage) || has(entryAnswers):
		return fmt.Errorf("a desk's item has %s and no %s", entryMessage, entryAnswers)
	case len(m.Files) > 1 && m.Kind != kindReply && m.Kind != kindNote:
		return errors.New("only a reply or a note has files")
	}
	return nil
}
