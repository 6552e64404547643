package review_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"testing"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// openLog begins the vault's log and returns the function that closes the next
// epoch, its records sealed to the auditors given.
func (h *house) openLog(first int64) func(to ...reviewer) {
	h.t.Helper()
	g := h.vault.Genesis()
	body := &translog.Genesis{
		Origin: g.Origin, Threshold: 1, Epoch: g.Epoch, Slots: g.Slots,
		Salt: g.Salt, Time: g.Time, Memory: g.Memory, Threads: g.Threads,
		Governance: make([]string, 1), Retention: translog.Retention{Days: 180, DeleteSignatures: 2},
	}
	key := func(name string, verifier *string) note.Signer {
		secret, v, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			h.t.Fatal(err)
		}
		signer, err := note.NewSigner(secret)
		if err != nil {
			h.t.Fatal(err)
		}
		*verifier = v
		return signer
	}
	log := key(g.Origin, &body.Log)
	key(g.Origin+"/operations", &body.Operations)
	governance := key(g.Origin+"/governance", &body.Governance[0])
	body.Policy = "log " + body.Log + "\nquorum none\n"
	leaf, err := translog.Governance{Epoch: first, Kind: translog.GenesisNote, Body: body}.Sign(governance)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.vault.BeginLog(h.t.Context(), [][]byte{leaf}, log); err != nil {
		h.t.Fatal(err)
	}
	next := first
	return func(to ...reviewer) {
		h.t.Helper()
		closing := vault.Closing{Epoch: next, Signer: log}
		if len(to) > 0 {
			closing.Seal = func(records []byte) ([]byte, error) {
				var recipients []age.Recipient
				for _, r := range to {
					recipients = append(recipients, r.age)
				}
				var b bytes.Buffer
				w, err := age.Encrypt(&b, recipients...)
				if err != nil {
					return nil, err
				}
				if _, err := w.Write(records); err != nil {
					return nil, err
				}
				if err := w.Close(); err != nil {
					return nil, err
				}
				return b.Bytes(), nil
			}
		}
		if err := h.vault.CloseEpoch(h.t.Context(), closing); err != nil {
			h.t.Fatal(err)
		}
		next++
	}
}

// newAuditor is an auditor's card with the identity that opens its epoch files.
func newAuditor(t *testing.T) (reviewer, age.Identity) {
	t.Helper()
	a := newMember(t, card.Auditor)
	var seed [32]byte
	rand.Read(seed[:])
	id, err := seal.IdentityFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	if a.age, err = seal.ParseRecipient(id.Recipient().String()); err != nil {
		t.Fatal(err)
	}
	return a, id
}

// TestAuditorReadsEpochs: the openings of every epoch that had an auditor, and
// nothing of one that had not.
func TestAuditorReadsEpochs(t *testing.T) {
	h := newHouse(t)
	ana := newReviewer(t)
	auditor, identity := newAuditor(t)
	h.add(ana, "norte")
	h.add(auditor)
	list := func() (e card.Epochs) {
		w := h.do(request{method: "GET", path: card.EpochsPath, session: h.session(auditor)})
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != 200 || e.Epochs == nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return e
	}
	if got := list(); len(got.Epochs) != 0 {
		t.Errorf("before the log: %v", got)
	}
	end := h.openLog(83115)
	if got := list(); len(got.Epochs) != 0 {
		t.Errorf("before the first epoch: %v", got)
	}
	id, _ := h.report("hola", ana, "norte")
	end(auditor)
	end()
	end(auditor)
	got := list()
	if len(got.Epochs) != 2 || got.Epochs[0].Epoch != 83115 || got.Epochs[1].Epoch != 83117 {
		t.Fatalf("epochs %+v", got)
	}
	path := card.EpochsPath + "/83115"
	w := h.do(request{method: "GET", path: path, session: h.session(auditor)})
	sum := sha256.Sum256(w.Body.Bytes())
	if e := got.Epochs[0]; e.Check() != nil || w.Code != 200 || e.Size != int64(w.Body.Len()) || e.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v, %d, %d bytes", e, w.Code, w.Body.Len())
	}
	opened, err := age.Decrypt(bytes.NewReader(w.Body.Bytes()), identity)
	if err != nil {
		t.Fatal(err)
	}
	records, err := io.ReadAll(opened)
	if err != nil {
		t.Fatal(err)
	}
	event, opening, err := h.vault.Evidence(vault.ItemID(id))
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 16*translog.RecordSize || !bytes.Contains(records, []byte(card.EncodeEvent(event))) && !bytes.Contains(records, event[:]) ||
		!bytes.Contains(records, opening.Marshal()) {
		t.Errorf("%d bytes of records without the report's", len(records))
	}
	part := h.do(request{method: "GET", path: path, session: h.session(auditor), rang: "bytes=10-19"})
	if part.Code != 206 || !bytes.Equal(part.Body.Bytes(), w.Body.Bytes()[10:20]) {
		t.Errorf("range: %d", part.Code)
	}
	for _, n := range []string{"83116", "83118", "0", "-1", "083115", "+83115", "x", "99999999999999999999"} {
		refusedAs(t, n, h.do(request{method: "GET", path: card.EpochsPath + "/" + n, session: h.session(auditor)}), 404, "not found")
	}
	refusedAs(t, "a reviewer", h.do(request{method: "GET", path: path, session: h.session(ana)}), 403, "not for this role")
}

// TestAuditorSeesEveryItem: all ciphertext, no desks.
func TestAuditorSeesEveryItem(t *testing.T) {
	h := newHouse(t)
	ana, beto, auditor := newReviewer(t), newReviewer(t), newMember(t, card.Auditor)
	h.add(ana, "norte")
	h.add(beto, "sur")
	h.add(auditor)
	first, sealed := h.report("hola", ana, "norte")
	second, _ := h.report("hola", beto, "sur")
	session := h.session(auditor)
	var ids []string
	for _, i := range h.list(session) {
		if err := i.Check(); err != nil || i.Desks == nil || len(i.Desks) != 0 {
			t.Errorf("%+v: %v", i, err)
		}
		ids = append(ids, i.ID)
	}
	if want := []string{first, second}; len(ids) != 2 || !slices.Contains(ids, first) || !slices.Contains(ids, second) {
		t.Errorf("items %v, want %v", ids, want)
	}
	path := card.ItemsPath + "/" + first
	if w := h.do(request{method: "GET", path: path, session: session}); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), sealed) {
		t.Errorf("%d", w.Code)
	}
	h.revoke(auditor)
	refusedAs(t, "revoked", h.do(request{method: "GET", path: path, session: session}), 401, "not signed in")
}
