package torture_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"resguardo/onion/tornet/source"
)

// clients are sources and readers of the log, and all that they were promised in one
// life of a vault.
type clients struct {
	mu        sync.Mutex
	sent      map[string]bool   // messages that somebody tried to send
	messages  []string          // whose codename page a source has got as a whole
	codenames map[string]string // by message
	gone      map[string]bool   // messages whose mailbox was deleted, and that was said
	seen      map[int64]string  // root by size, of every checkpoint that a reader has got
	refused   int               // answers that say "could not store, send again", or that there is no room
	wrong     []string          // answers that no client must get
}

func newClients() *clients {
	return &clients{sent: make(map[string]bool), codenames: make(map[string]string), gone: make(map[string]bool), seen: make(map[int64]string)}
}

func (c *clients) clone() *clients {
	return &clients{sent: maps.Clone(c.sent), messages: slices.Clone(c.messages), codenames: maps.Clone(c.codenames),
		gone: maps.Clone(c.gone), seen: maps.Clone(c.seen)}
}

// client has connections of its own.
func client() (c *http.Client, done func()) {
	c = &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	return c, c.CloseIdleConnections
}

// send sends some reports, fewer if ctx ends. Every other one has a file.
func (c *clients) send(ctx context.Context, url, name string, large bool) {
	web, done := client()
	defer done()
	s := source.Source{Client: web, URL: url, Desk: "norte"}
	for i := 0; i < 25 && ctx.Err() == nil; i++ {
		r := source.Report{Message: fmt.Sprintf("%s, number %d", name, i)}
		if i%2 == 1 {
			size := 20 << 10
			if large {
				size = 6 << 20
			}
			r.Files = []source.File{{Name: "a.bin", Body: bytes.NewReader(make([]byte, size))}}
		}
		if !c.sendOne(ctx, s, r) {
			time.Sleep(5 * time.Millisecond) // nobody listens any more
		}
	}
}

// What the page says when nothing was stored, or nobody knows; and when the disk is full.
const (
	couldNotStore = "No pudimos guardar tu reporte"
	noRoom        = "El servidor no tiene espacio"
)

// sendOne sends a report and notes what was answered.
func (c *clients) sendOne(ctx context.Context, s source.Source, r source.Report) bool {
	c.mu.Lock()
	c.sent[r.Message] = true
	c.mu.Unlock()
	a, err := s.Send(ctx, r)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	whole := strings.Contains(a.Page, "</html>")
	switch {
	case a.Status == http.StatusOK && len(strings.Fields(a.Codename)) == 8 && whole:
		c.messages = append(c.messages, r.Message)
		c.codenames[r.Message] = a.Codename
		return true
	case a.Codename != "" && whole:
		c.wrong = append(c.wrong, fmt.Sprintf("a codename with status %d", a.Status))
	case a.Status >= 500 && (strings.Contains(a.Page, couldNotStore) || strings.Contains(a.Page, noRoom)):
		c.refused++
	case whole:
		c.wrong = append(c.wrong, fmt.Sprintf("status %d for a good report: %.300s", a.Status, a.Page))
	}
	return false
}

// watch reads checkpoints until ctx ends. The log must never get shorter.
func (c *clients) watch(ctx context.Context, url string) {
	web, done := client()
	defer done()
	var last int64
	for ctx.Err() == nil {
		if text, err := getWith(ctx, web, url+"/log/checkpoint"); err == nil {
			c.see(text, &last)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *clients) see(text []byte, last *int64) {
	tree, err := checkpoint(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	root := tree.Hash.String()
	switch old := c.seen[tree.N]; {
	case err != nil:
		c.wrong = append(c.wrong, fmt.Sprintf("no checkpoint: %q", text))
	case tree.N < *last:
		c.wrong = append(c.wrong, fmt.Sprintf("the log had %d leaves, then %d", *last, tree.N))
	case old != "" && old != root:
		c.wrong = append(c.wrong, fmt.Sprintf("two histories of %d leaves", tree.N))
	default:
		c.seen[tree.N], *last = root, tree.N
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	web, done := client()
	defer done()
	return getWith(ctx, web, url)
}

// getWith returns the whole body of an answer 200.
func getWith(ctx context.Context, web *http.Client, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := web.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return body, err
}

// erase deletes the mailbox of a message as its source does.
func (c *clients) erase(url, message string) error {
	web, done := client()
	defer done()
	m, err := source.Source{Client: web, URL: url, Desk: "norte"}.SignIn(context.Background(), c.codenames[message])
	if err == nil {
		err = m.Erase(context.Background())
	}
	if err == nil {
		c.gone[message] = true
		c.messages = slices.DeleteFunc(c.messages, func(other string) bool { return other == message })
	}
	return err
}

// visit lets clients work on a server until the power goes off, it ends, or a while
// is over.
func (h *house) visit(s *running, c *clients, r *rand.Rand, name string, limit time.Duration) {
	h.t.Helper()
	stop := h.come(s, c, r, name)
	select {
	case <-h.disk.Dark():
	case <-s.ended:
	case <-time.After(limit):
	}
	stop()
}

// come lets clients work until stop is called, which kills the server if the power is off.
func (h *house) come(s *running, c *clients, r *rand.Rand, name string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for n := range 1 + r.IntN(3) {
		all.Go(func() { c.send(ctx, s.Preview, fmt.Sprintf("%s, source %d", name, n), n == 2) })
	}
	all.Go(func() { c.watch(ctx, s.Preview) })
	return func() {
		select {
		case <-h.disk.Dark():
			s.kill()
		default:
		}
		cancel()
		all.Wait()
		for _, w := range c.wrong {
			h.t.Error(w)
		}
		c.wrong = nil
	}
}
