package review

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// epochs lists the files with the openings of each epoch, oldest first. An epoch
// that ended without an auditor in force has none; which auditors a file is
// sealed to, the file does not tell.
func (r *Review) epochs(c *gin.Context, _ Member) {
	list := []card.Epoch{}
	first, last := r.ended()
	for epoch := first; epoch <= last; epoch++ {
		b, err := r.vault.Records(epoch)
		switch {
		case errors.Is(err, vault.ErrNotFound):
			continue
		case err != nil:
			fail(c, internal)
			return
		}
		sum := sha256.Sum256(b)
		list = append(list, card.Epoch{Epoch: epoch, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])})
	}
	answer(c, card.Epochs{Epochs: list})
}

// ended are the first and the last epoch in the log; none before it begins.
func (r *Review) ended() (first, last int64) {
	first, last = 0, -1
	r.vault.ReadLog(func(m *translog.Monitor) {
		if m != nil && len(m.Notes()) > 0 {
			first, last = m.Notes()[0].Place, m.LastEpoch()
		}
	})
	return first, last
}

// epoch sends the openings of one epoch, sealed to the auditors that were in
// force at its end.
func (r *Review) epoch(c *gin.Context, m Member) {
	n, err := strconv.ParseInt(c.Param("epoch"), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != c.Param("epoch") || n < 0 {
		fail(c, notFound)
		return
	}
	b, err := r.vault.Records(n)
	if err = storage(err); err != nil {
		refuse(c, err)
		return
	}
	r.send(c, bytes.NewReader(b), int64(len(b)), func() bool {
		_, ok := r.now(m)
		return ok
	})
}
