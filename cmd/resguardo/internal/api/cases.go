package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// Cases returns the list of the card's cases. Every case has passed its Check,
// and none is there twice.
func (c *Client) Cases(ctx context.Context) ([]card.Case, error) {
	b, err := c.call(ctx, http.MethodGet, card.CasesPath, nil, maxList)
	if err != nil {
		return nil, err
	}
	cases, what := parseCases(b)
	if !what.IsZero() {
		return nil, c.hostile(what)
	}
	return cases, nil
}

// parseCases returns the cases of a list, or what is wrong with it.
func parseCases(b []byte) ([]card.Case, say.Text) {
	var list card.Cases
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, say.T("a list that is not the JSON of a list")
	}
	if len(list.Cases) > card.MaxCases {
		return nil, say.T("a list of more than %s cases", card.MaxCases)
	}
	seen := map[string]bool{}
	for n, one := range list.Cases {
		if err := one.Check(); err != nil {
			return nil, say.T("case %s of the list: %s", n+1, err)
		}
		if seen[one.Case] {
			return nil, say.T("case %s of the list: stands there twice", n+1)
		}
		seen[one.Case] = true
	}
	return list.Cases, say.Text{}
}

// Reviewer is a card and the file it was read from.
type Reviewer struct {
	card.Card
	File []byte
}

// Desks returns the cards of every desk of the vault, each verified, by desk, and
// what card.Desk says about Reading. That a card belongs to the desk is the vault's
// claim.
func (c *Client) Desks(ctx context.Context) (desks map[string][]Reviewer, reading map[string]string, err error) {
	b, err := c.call(ctx, http.MethodGet, card.DesksPath, nil, maxList)
	if err != nil {
		return nil, nil, err
	}
	var list card.Desks
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, nil, c.hostile(say.T("a list that is not the JSON of a list"))
	}
	cards, err := list.Check()
	if err != nil {
		return nil, nil, c.hostile(say.T("the list of desks: %s", err))
	}
	desks, reading = make(map[string][]Reviewer, len(cards)), make(map[string]string, len(cards))
	for _, d := range list.Desks {
		reading[d.ID] = d.Reading
		for n, file := range d.Cards {
			desks[d.ID] = append(desks[d.ID], Reviewer{cards[d.ID][n], []byte(file)})
		}
	}
	return desks, reading, nil
}

// Reading sends a signed Reading of a desk, and returns what card.Desk says about
// Reading then. Its error may be ErrNotFound.
func (c *Client) Reading(ctx context.Context, desk string, statement []byte) (day string, err error) {
	b, err := c.call(ctx, http.MethodPost, card.DesksPath+"/"+desk+"/reading", card.SignedRequest{Statement: string(statement)}, maxAnswer)
	if err != nil {
		return "", err
	}
	var noted card.Noted
	if json.Unmarshal(b, &noted) != nil || noted.Reading != "" && !card.ValidDay(noted.Reading) {
		return "", c.hostile(say.T("a malformed answer to a note"))
	}
	return noted.Reading, nil
}

// Add sends an age file of size bytes with its signed statement, and returns the
// item that the vault made of it, which is checked for its form only. Its errors
// may be ErrFetchFirst, ErrTagUsed or ErrNotFound. After ErrUnreachable nobody
// knows whether the vault has the item.
func (c *Client) Add(ctx context.Context, inCase, kind string, statement []byte, body io.Reader, size int64) (card.Item, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, http.MethodPost, card.CasesPath+"/"+inCase+"/"+kind, newWatched(body, cancel))
	if err != nil {
		return card.Item{}, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set(card.StatementHeader, card.EncodeHeader(statement))
	req.Header.Set("Expect", "100-continue") // what is refused is refused before the body
	resp, err := c.http.Do(req)
	if err != nil {
		return card.Item{}, c.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusConflict {
		return card.Item{}, c.conflict(resp, cancel)
	}
	if err := c.status(resp, http.StatusOK); err != nil {
		return card.Item{}, err
	}
	b, err := c.body(resp, cancel, maxAnswer)
	if err != nil {
		return card.Item{}, err
	}
	var i card.Item
	if json.Unmarshal(b, &i) != nil || i.Check() != nil {
		return card.Item{}, c.hostile(say.T("a malformed item"))
	}
	return i, nil
}

// conflict reads the answer 409.
func (c *Client) conflict(resp *http.Response, cancel context.CancelFunc) error {
	b, err := c.body(resp, cancel, maxAnswer)
	if err != nil {
		return err
	}
	var e card.Error
	switch json.Unmarshal(b, &e); e.Error {
	case card.FetchFirst:
		return ErrFetchFirst
	case card.TagUsed:
		return ErrTagUsed
	case card.WrongDay:
		return say.Fail(say.T("the vault says that the day of the note is still to come"),
			say.T("set the clock of this computer; if it is right, tell the operator that the vault's is wrong"))
	case "no such desk":
		return say.Fail(say.T("the vault says that the desk has no reviewer in force"), say.T("nothing was sent; ask the operator"))
	case "hand it over first":
		return say.Fail(say.T("the vault says that no other desk would have the case"), say.T("give it to another desk first: resguardo rewrap"))
	}
	return c.hostile(say.T("a malformed refusal"))
}

// Delete sends a signed Delete, and reports whether the case is deleted now; if
// not, it waits for another signature. Its error may be ErrFetchFirst.
func (c *Client) Delete(ctx context.Context, inCase string, statement []byte) (deleted bool, err error) {
	b, err := c.ask(ctx, inCase, "delete", statement)
	if err != nil {
		return false, err
	}
	var d card.Deletion
	if err := json.Unmarshal(b, &d); err != nil {
		return false, c.hostile(say.T("a malformed answer to a deletion"))
	}
	return d.Deleted, nil
}

// Hold sends a signed Hold and returns the case as it is now.
func (c *Client) Hold(ctx context.Context, inCase string, statement []byte) (card.Case, error) {
	b, err := c.ask(ctx, inCase, "hold", statement)
	if err != nil {
		return card.Case{}, err
	}
	var now card.Case
	if json.Unmarshal(b, &now) != nil || now.Check() != nil || now.Case != inCase {
		return card.Case{}, c.hostile(say.T("a malformed case"))
	}
	return now, nil
}

// ask sends a signed request about a case.
func (c *Client) ask(ctx context.Context, inCase, what string, statement []byte) ([]byte, error) {
	return c.call(ctx, http.MethodPost, card.CasesPath+"/"+inCase+"/"+what, card.SignedRequest{Statement: string(statement)}, maxCase)
}

// LogFile reads a file of the public log, of at most max bytes. Its error may be
// ErrNotFound. Several goroutines may call it.
func (c *Client) LogFile(ctx context.Context, path string, max int64) ([]byte, error) {
	return c.call(ctx, http.MethodGet, "/log/"+path, nil, max)
}

// Epochs returns the list of the epoch files that are sealed to auditors. Every
// epoch has passed its Check, and they rise.
func (c *Client) Epochs(ctx context.Context) ([]card.Epoch, error) {
	b, err := c.call(ctx, http.MethodGet, card.EpochsPath, nil, maxList)
	if err != nil {
		return nil, err
	}
	var list card.Epochs
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, c.hostile(say.T("a list that is not the JSON of a list"))
	}
	if len(list.Epochs) > card.MaxEpochs {
		return nil, c.hostile(say.T("a list of more than %s epochs", card.MaxEpochs))
	}
	last := int64(-1)
	for n, e := range list.Epochs {
		if err := e.Check(); err != nil {
			return nil, c.hostile(say.T("epoch %s of the list: %s", n+1, err))
		}
		if e.Epoch <= last {
			return nil, c.hostile(say.T("epoch %s of the list: stands there twice, or out of order", n+1))
		}
		last = e.Epoch
	}
	return list.Epochs, nil
}

// Epoch reads the age file of an epoch, and compares it with what the list says.
func (c *Client) Epoch(ctx context.Context, e card.Epoch) ([]byte, error) {
	b, err := c.call(ctx, http.MethodGet, card.EpochsPath+"/"+strconv.FormatInt(e.Epoch, 10), nil, e.Size)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, c.hostile(say.T("an epoch file that is not what its list says (hash)"))
	}
	return b, nil
}
