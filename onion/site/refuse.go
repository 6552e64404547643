package site

import (
	"errors"
	"net/http"

	"resguardo/vault"
)

// refusal is a reason to store nothing. The source reads the sentence of the
// catalogues under "error." + key, with the text of the form below it.
type refusal struct {
	key    string
	status int
	field  string // id of the field that it is about; empty for the whole form
	choose bool   // show the desks again, to choose others
}

func (r *refusal) Error() string { return r.key }

var (
	errEmpty       = &refusal{key: "empty", status: http.StatusUnprocessableEntity, field: "message"}
	errTextLong    = &refusal{key: "text_long", status: http.StatusRequestEntityTooLarge, field: "message"}
	errTextCut     = &refusal{key: "text_cut", status: http.StatusRequestEntityTooLarge, field: "message"}
	errFileLarge   = &refusal{key: "file_large", status: http.StatusRequestEntityTooLarge, field: "file"}
	errFilesMany   = &refusal{key: "files_many", status: http.StatusRequestEntityTooLarge, field: "file"}
	errMalformed   = &refusal{key: "malformed", status: http.StatusBadRequest}
	errSlow        = &refusal{key: "slow", status: http.StatusRequestTimeout}
	errExpired     = &refusal{key: "expired", status: http.StatusBadRequest}
	errNoneChosen  = &refusal{key: "none_chosen", status: http.StatusUnprocessableEntity, field: "desks", choose: true}
	errUnknownDesk = &refusal{key: "unknown_desk", status: http.StatusUnprocessableEntity, field: "desks", choose: true}
	errDeskKeys    = &refusal{key: "desk_keys", status: http.StatusUnprocessableEntity, field: "desks", choose: true}
	errDesksMany   = &refusal{key: "desks_many", status: http.StatusUnprocessableEntity, field: "desks", choose: true}
	errNoDesk      = &refusal{key: "no_desk", status: http.StatusUnprocessableEntity, field: "desks", choose: true}
	errBusy        = &refusal{key: "busy", status: http.StatusServiceUnavailable}
	errOften       = &refusal{key: "often", status: http.StatusTooManyRequests} // one circuit has too much under way
	errFull        = &refusal{key: "full", status: http.StatusServiceUnavailable}
	errStore       = &refusal{key: "store", status: http.StatusInternalServerError}
	errEncrypt     = &refusal{key: "encrypt", status: http.StatusInternalServerError}
	errNothing     = &refusal{key: "nothing", status: http.StatusUnprocessableEntity, field: "message"}
	errDelete      = &refusal{key: "delete", status: http.StatusInternalServerError}
	errNoTeam      = &refusal{key: "no_team", status: http.StatusUnprocessableEntity}

	// The session of a follow-up is not good any more: what was typed is not shown
	// again to whoever sent it.
	errSignedOut = &refusal{key: "again", status: http.StatusForbidden}

	// These two are not shown in the form: an earlier send with the same token
	// was stored. The answer is the codename again, or "already received".
	errStoredBefore = &refusal{key: "received", status: http.StatusOK}
	errReceivedOnce = &refusal{key: "received", status: http.StatusOK}
)

// asRefusal is what the source is told about err. Whatever is not foreseen counts
// as a failure to store: nothing is ever acknowledged by mistake.
func asRefusal(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	return errStore
}

// storageRefusal is what the source is told about an error of the vault.
func storageRefusal(err error) *refusal {
	if errors.Is(err, vault.ErrFull) {
		return errFull
	}
	return errStore
}
