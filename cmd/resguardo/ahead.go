package main

import (
	"bytes"
	"context"
	"io"

	"resguardo/cmd/resguardo/internal/folder"
)

const (
	aheadItems = 4       // on their way at once, on the connections of one client
	aheadSize  = 1 << 20 // bytes of an item that is asked for before its turn
)

// early is an answer that was asked for before its turn: the bytes that came, and
// what ended them.
type early struct {
	bytes []byte
	err   error // nil at the item's end
}

// ask begins to download the small ones of the items: over Tor the way there and
// back takes longer than their bytes do. Who needs one takes it from ahead, as if
// it had been asked for then. All ends with ctx.
func (r *fetcher) ask(ctx context.Context, next []folder.Record) {
	for _, k := range next {
		if r.ahead[k.ID] != nil || k.Size > aheadSize {
			continue
		}
		answer := make(chan early, 1)
		r.ahead[k.ID] = answer
		go func() {
			body, _, err := r.client.Download(ctx, k.Item, 0)
			if err != nil {
				answer <- early{err: err}
				return
			}
			defer body.Close()
			b, err := io.ReadAll(body)
			answer <- early{b, err}
		}()
	}
}

// body asks for the item's bytes from have on, or takes the answer that was asked
// for ahead. start is where it begins.
func (d *download) body(ctx context.Context) (body io.ReadCloser, start int64, err error) {
	answer := d.ahead[d.record.ID]
	if answer == nil {
		return d.client.Download(ctx, d.record.Item, d.have)
	}
	delete(d.ahead, d.record.ID)
	a := <-answer
	if a.bytes == nil && a.err != nil {
		return nil, 0, a.err
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(a.bytes), failing{a.err})), 0, nil
}

// failing is a reader that has nothing but its error, or io.EOF.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
