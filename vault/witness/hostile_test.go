package witness_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"resguardo/vault/witness"
)

// What a witness may send is bounded, and only its own cosignature of this very
// checkpoint is kept.
func TestHostileAnswers(t *testing.T) {
	h := newHistory(t, 30, 30, "")
	fork := newHistory(t, 20, 30, "fork")
	text, now := h.text(t, 30), time.Now()
	good := cosignAt("a", text, now)
	broken := good[:20] + swap(good[20:21]) + good[21:]
	longer := text + "an extension line\n"
	reply := func(status int, format, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", format)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	ok := func(body string) http.HandlerFunc { return reply(200, "text/plain", body) }
	size := func(body string) http.HandlerFunc { return reply(409, "text/x.tlog.size", body) }
	for name, c := range map[string]struct {
		witness http.HandlerFunc
		want    error // nil = the cosignature is taken
	}{
		"good":                           {ok(good), nil},
		"good, and foreign lines":        {ok(cosignAt("b", text, now) + good + cosignAt("c", text, now)), nil},
		"good, twice":                    {ok(good + good), nil},
		"good, with a post-quantum line": {ok("— a " + strings.Repeat("QUJD", 1100) + "\n" + good), nil},
		"good, a little ahead":           {ok(cosignAt("a", text, now.Add(4*time.Minute))), nil},
		"empty":                          {ok(""), witness.ErrAnswer},
		"no line end":                    {ok(strings.TrimSuffix(good, "\n")), witness.ErrAnswer},
		"text before":                    {ok("hello\n" + good), witness.ErrAnswer},
		"text after":                     {ok(good + "hello\n"), witness.ErrAnswer},
		"blank line after":               {ok(good + "\n"), witness.ErrAnswer},
		"the text moved by a blank line": {ok(good + "\n" + good), witness.ErrAnswer},
		"a line of another text":         {ok("x\n\n" + cosignAt("a", text+"\nx\n", now)), witness.ErrAnswer},
		"an added extension line":        {ok("an extension line\n\n" + cosignAt("a", longer, now)), witness.ErrAnswer},
		"two spaces":                     {ok(strings.Replace(good, "a ", "a  ", 1)), witness.ErrAnswer},
		"a carriage return":              {ok(strings.Replace(good, "\n", "\r\n", 1)), witness.ErrAnswer},
		"101 lines":                      {ok(strings.Repeat("— x QUJDREVG\n", 101) + good), witness.ErrAnswer},
		"another's key":                  {ok(cosignAt("b", text, now)), witness.ErrAnswer},
		"our name, another's key":        {ok(strings.Replace(cosignAt("b", text, now), "— b ", "— a ", 1)), witness.ErrAnswer},
		"another name":                   {ok(strings.Replace(good, "— a ", "— b ", 1)), witness.ErrAnswer},
		"broken signature":               {ok(broken), witness.ErrAnswer},
		"broken, then good":              {ok(broken + good), witness.ErrAnswer},
		"another checkpoint":             {ok(cosignAt("a", fork.text(t, 30), now)), witness.ErrAnswer},
		"an earlier checkpoint":          {ok(cosignAt("a", h.text(t, 29), now)), witness.ErrAnswer},
		"from the future":                {ok(cosignAt("a", text, now.Add(6*time.Minute))), witness.ErrAnswer},
		"from beyond time":               {ok(cosignAt("a", text, time.Unix(-1, 0))), witness.ErrAnswer},
		"no cosignature but a signature": {ok(strings.TrimPrefix(string(h.signed(t, 30)), text+"\n")), witness.ErrAnswer},
		"a whole note":                   {ok(text + "\n" + good), witness.ErrAnswer},
		"created":                        {reply(201, "", good), witness.ErrAnswer},
		"accepted":                       {reply(202, "", good), witness.ErrAnswer},
		"conflict, no type":              {reply(409, "text/plain", "30\n"), witness.ErrAnswer},
		"conflict, no size":              {size(""), witness.ErrAnswer},
		"conflict, no line end":          {size("31"), witness.ErrAnswer},
		"conflict, two lines":            {size("31\n31\n"), witness.ErrAnswer},
		"conflict, leading zero":         {size("031\n"), witness.ErrAnswer},
		"conflict, signed":               {size("+31\n"), witness.ErrAnswer},
		"conflict, negative":             {size("-1\n"), witness.ErrAnswer},
		"conflict, beyond 63 bits":       {size("9223372036854775808\n"), witness.ErrAnswer},
		"conflict, always 5":             {size("5\n"), witness.ErrAnswer},
		"conflict, always 0":             {size("0\n"), witness.ErrAnswer},
		"bad request":                    {reply(400, "", "\x1b[2J"), witness.ErrAnswer},
		"teapot":                         {reply(418, "", ""), witness.ErrAnswer},
		"busy":                           {reply(429, "", ""), witness.ErrUnreachable},
		"failed":                         {reply(500, "", good), witness.ErrUnreachable},
		"gateway":                        {reply(502, "", ""), witness.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			checkHostile(t, h, c.witness, c.want)
		})
	}
}

// checkHostile asks witness a, and witness b, which is honest and must not suffer.
func checkHostile(t *testing.T, h *history, a http.Handler, want error) {
	t.Helper()
	c := newClient(t, policyOf(t, 1, "a", "b"), network{"a": a, "b": newStrict(t, "b")})
	got := collect(t, c, h, 30)
	names := origin + " b"
	if want == nil {
		names = origin + " a b"
	}
	if !errors.Is(got.Results[0].Err, want) || signers(got.Checkpoint) != names || !got.Satisfied {
		t.Errorf("%v; %v\n%s", got.Results[0].Err, got.Satisfied, got.Checkpoint)
	}
	if got.Seen() != nil {
		t.Errorf("taken for someone who has seen more: %v", got.Seen())
	}
}

func swap(s string) string {
	if s == "A" {
		return "B"
	}
	return "A"
}

func TestEndlessAnswers(t *testing.T) {
	h := newHistory(t, 30, 30, "")
	for name, c := range map[string]struct {
		witness http.HandlerFunc
		want    error
	}{
		"body": {func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := fmt.Fprint(w, cosignAt("a", h.text(t, 30), time.Now())); err != nil {
					return
				}
			}
		}, witness.ErrAnswer},
		"announced": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000000000")
			for {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, witness.ErrAnswer},
		"header": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}, witness.ErrUnreachable},
		"cut short": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, cosignAt("a", h.text(t, 30), time.Now()))
		}, witness.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) { checkHostile(t, h, c.witness, c.want) })
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	h := newHistory(t, 30, 30, "")
	for _, status := range []int{301, 302, 303, 307, 308} {
		n := network{
			"a": http.RedirectHandler("http://elsewhere/", status),
			"elsewhere": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				t.Errorf("status %d was followed", status)
			}),
		}
		got := collect(t, newClient(t, policyOf(t, 1, "a"), n), h, 30)
		if !errors.Is(got.Results[0].Err, witness.ErrAnswer) {
			t.Errorf("status %d: %v", status, got.Results[0].Err)
		}
	}
}

// A witness that takes for ever costs a minute, once, and nobody else's cosignature.
func TestSlowWitnessCostsAMinute(t *testing.T) {
	wait := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, slow := range map[string]http.HandlerFunc{
		"never answers": wait,
		"one byte a second": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, "x")
				http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Second):
				}
			}
		},
		"conflicts slowly": func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(50 * time.Second):
			}
			w.Header().Set("Content-Type", "text/x.tlog.size")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintln(w, 7)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHistory(t, 30, 30, "")
				start := time.Now()
				checkHostile(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body) // only then the server notices that we hang up
					slow(w, r)
				}), witness.ErrUnreachable)
				if took := time.Since(start); took != time.Minute {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestCallerBoundsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t, 30, 30, "")
		n := network{"b": newStrict(t, "b")}
		p := policyOf(t, 1, "a", "b")
		c := witness.New(p, func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "a:") {
				<-ctx.Done() // a circuit that is never built
				return nil, ctx.Err()
			}
			return n.dial(ctx, network, address)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		got, err := c.Collect(ctx, h.signed(t, 30), h)
		c.Close()
		if err != nil || !got.Satisfied || time.Since(start) != 10*time.Second || !errors.Is(got.Results[0].Err, context.DeadlineExceeded) {
			t.Errorf("%v after %v: %+v", err, time.Since(start), got.Results)
		}
	})
}

// Neither a circuit that is never built nor an answer that never comes outlives a minute.
func TestCosignWaitsAMinute(t *testing.T) {
	stuck := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	silent := network{"a": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})}
	for name, dial := range map[string]witness.Dial{"stuck": stuck, "silent": silent.dial} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHistory(t, 3, 3, "")
				c := witness.New(policyOf(t, 1, "a"), dial)
				start := time.Now()
				_, err := c.Cosign(t.Context(), witness.Witness{Key: vkeyOf(t, "a"), URL: "http://a/"}, 0, nil, h.signed(t, 3))
				if !errors.Is(err, witness.ErrUnreachable) || time.Since(start) != time.Minute {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}
