package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// Download asks for the bytes of i from offset from on. The body that it returns
// ends with io.EOF after exactly the bytes that are missing; a body that ends
// early or goes on longer is an error. start is where the body begins: from, or
// 0 if the server sends the whole item again.
func (c *Client) Download(ctx context.Context, i card.Item, from int64) (body io.ReadCloser, start int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := c.request(ctx, http.MethodGet, card.ItemsPath+"/"+i.ID, nil)
	if err != nil {
		cancel()
		return nil, 0, err
	}
	want := http.StatusOK
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		want = http.StatusPartialContent
	}
	resp, err := c.http.Do(req)
	if err != nil {
		cancel()
		return nil, 0, c.unreachable(err)
	}
	if from > 0 && resp.StatusCode == http.StatusOK {
		from, want = 0, http.StatusOK
	}
	if err := c.checkDownload(resp, i, from, want); err != nil {
		resp.Body.Close()
		cancel()
		return nil, 0, err
	}
	return &item{client: c, body: resp.Body, watched: newWatched(resp.Body, cancel), cancel: cancel, left: i.Size - from}, from, nil
}

func (c *Client) checkDownload(resp *http.Response, i card.Item, from int64, want int) error {
	if err := c.status(resp, want); err != nil {
		return err
	}
	if got := resp.ContentLength; got >= 0 && got != i.Size-from {
		return c.hostile(say.T("%s bytes instead of %s", got, i.Size-from))
	}
	if want == http.StatusPartialContent &&
		resp.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, i.Size-1, i.Size) {
		return c.hostile(say.T("another part of the item than was asked for"))
	}
	return nil
}

// item is the body of a download.
type item struct {
	client  *Client
	body    io.Closer
	watched io.Reader
	cancel  context.CancelFunc
	left    int64
}

func (d *item) Read(p []byte) (int, error) {
	if d.left == 0 {
		var one [1]byte
		n, err := d.watched.Read(one[:])
		if n > 0 {
			return 0, d.client.hostile(say.T("more bytes than its list says"))
		}
		if err == nil {
			return 0, nil
		}
		return 0, io.EOF // everything has come; how the connection ends does not matter
	}
	if int64(len(p)) > d.left {
		p = p[:d.left]
	}
	n, err := d.watched.Read(p)
	d.left -= int64(n)
	switch {
	case err == nil, d.left == 0:
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, d.client.unreachable(err)
}

func (d *item) Close() error {
	d.cancel()
	return d.body.Close()
}

// errStalled says that the server stopped sending.
var errStalled = errors.New("the server stopped sending")

// watched ends a body that brings nothing for stallWait.
type watched struct {
	r       io.Reader
	timer   *time.Timer
	stalled atomic.Bool
}

func newWatched(r io.Reader, cancel context.CancelFunc) *watched {
	w := &watched{r: r}
	w.timer = time.AfterFunc(stallWait, func() {
		w.stalled.Store(true)
		cancel()
	})
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil {
		w.timer.Stop()
	} else {
		w.timer.Reset(stallWait)
	}
	if w.stalled.Load() {
		err = errStalled
	}
	return n, err
}
