package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// Login opens a session for the card. pinned is the origin of the vault, empty
// when it was never met before; Login returns the origin that the session is
// with, and the desks that the vault says the card is of. The program signs its own text only: the pinned origin, the address that
// it dialled, and a nonce from each side.
func (c *Client) Login(ctx context.Context, pinned string, me card.Card, signer note.Signer) (origin string, desks []string, err error) {
	c.session.Store(nil)
	b, err := c.call(ctx, http.MethodPost, card.ChallengePath, struct{}{}, maxAnswer)
	if err != nil {
		return "", nil, err
	}
	challenge, ok := parseChallenge(b)
	if !ok {
		return "", nil, c.hostile(say.T("a malformed challenge"))
	}
	if pinned != "" && challenge.Origin != pinned {
		return "", nil, say.Fail(say.T("the vault at %s calls itself %s, but yours is %s", c.url, challenge.Origin, pinned),
			say.T("nothing was signed; ask the operator by another way before you go on"))
	}
	statement, err := card.Login{
		Origin:      challenge.Origin,
		Address:     c.address,
		ClientNonce: card.NewNonce(),
		ServerNonce: challenge.Nonce,
	}.Sign(signer)
	if err != nil {
		return "", nil, err
	}
	b, err = c.call(ctx, http.MethodPost, card.LoginPath,
		card.LoginRequest{Fingerprint: me.Fingerprint(), Statement: string(statement)}, maxAnswer)
	if err != nil {
		return "", nil, err
	}
	session, ok := parseSession(b)
	if !ok {
		return "", nil, c.hostile(say.T("a malformed session"))
	}
	c.session.Store(&session.Session)
	return challenge.Origin, session.Desks, nil
}

// Items returns the list of the card's items. Every item has passed its Check,
// and no two have the same id or the same place.
func (c *Client) Items(ctx context.Context) ([]card.Item, error) {
	b, err := c.call(ctx, http.MethodGet, card.ItemsPath, nil, maxList)
	if err != nil {
		return nil, err
	}
	items, what := parseItems(b)
	if !what.IsZero() {
		return nil, c.hostile(what)
	}
	return items, nil
}

func parseChallenge(b []byte) (card.Challenge, bool) {
	var v card.Challenge
	if err := json.Unmarshal(b, &v); err != nil || !card.ValidOrigin(v.Origin) || !card.ValidNonce(v.Nonce) {
		return card.Challenge{}, false
	}
	return v, true
}

// parseSession checks that the token is safe in a header, and the desks anywhere.
func parseSession(b []byte) (card.Session, bool) {
	var v card.Session
	if err := json.Unmarshal(b, &v); err != nil {
		return card.Session{}, false
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(v.Session)
	if err != nil || base64.RawURLEncoding.EncodeToString(token) != v.Session || len(token) != 32 {
		return card.Session{}, false
	}
	return v, !slices.ContainsFunc(v.Desks, func(desk string) bool { return !card.ValidDesk(desk) })
}

// parseItems returns the items of a list, or what is wrong with it.
func parseItems(b []byte) ([]card.Item, say.Text) {
	var list card.Items
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, say.T("a list that is not the JSON of a list")
	}
	if len(list.Items) > card.MaxItems {
		return nil, say.T("a list of more than %s items", card.MaxItems)
	}
	type place struct {
		inCase string
		number int
	}
	ids, places := map[string]bool{}, map[place]bool{}
	for n, i := range list.Items {
		if err := i.Check(); err != nil {
			return nil, say.T("item %s of the list: %s", n+1, err)
		}
		at := place{i.Case, i.Number}
		if ids[i.ID] || places[at] {
			return nil, say.T("item %s of the list: stands there twice", n+1)
		}
		ids[i.ID], places[at] = true, true
	}
	return list.Items, say.Text{}
}
