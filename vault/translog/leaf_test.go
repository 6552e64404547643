package translog_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"resguardo/vault/translog"
)

func workedLeaf() translog.Leaf {
	e, o := worked()
	return translog.Leaf{Epoch: firstEpoch, Tag: o.Tag, Commitment: e.Commit(o.Marshal())}
}

func TestLeafRoundTrip(t *testing.T) {
	for _, epoch := range []int64{1, 9, 10, firstEpoch, translog.MaxEpoch} {
		l := workedLeaf()
		l.Epoch = epoch
		got, err := translog.ParseLeaf(l.Marshal())
		if err != nil || got != l {
			t.Errorf("%+v, %v, want %+v", got, err, l)
		}
	}
	if n := len(workedLeaf().Marshal()); n != 121 {
		t.Errorf("%d bytes", n)
	}
}

func TestParseLeafRejects(t *testing.T) {
	good := string(workedLeaf().Marshal())
	replace := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("no %q in the example", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	for name, text := range map[string]string{
		"nothing":              "",
		"another version":      replace("/v1", "/v2"),
		"no last line feed":    strings.TrimSuffix(good, "\n"),
		"a line too many":      good + "\n",
		"carriage returns":     strings.ReplaceAll(good, "\n", "\r\n"),
		"leading zero":         replace("epoch 8", "epoch 08"),
		"epoch 0":              replace("83115", "0"),
		"no epoch":             replace("83115", ""),
		"a sign":               replace("83115", "+83115"),
		"too late an epoch":    replace("83115", "1099511627777"),
		"too large a number":   replace("83115", "18446744073709634731"),
		"stray bits in base64": replace("mqo=\n", "mqp=\n"),
		"no padding":           replace("mqo=\n", "mqoA\n"),
		"line feed in base64":  replace("CF9f", "CF\nf"),
		"url alphabet":         replace("A+Ym", "A-Ym"),
		"upper-case epoch":     replace("epoch", "Epoch"),
	} {
		if _, err := translog.ParseLeaf([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseLeafAllocatesNothing(t *testing.T) {
	text := workedLeaf().Marshal()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := translog.ParseLeaf(text); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseLeaf(f *testing.F) {
	f.Add(workedLeaf().Marshal())
	f.Add([]byte("resguardo/event/v1\nepoch 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if l, err := translog.ParseLeaf(text); err == nil && !bytes.Equal(l.Marshal(), text) {
			t.Errorf("%q is not what Marshal writes", text)
		}
	})
}

func TestEpochs(t *testing.T) {
	for _, c := range []struct {
		t      time.Time
		length time.Duration
		want   int64
	}{
		{time.Unix(0, 0), time.Hour, 0},
		{time.Unix(3599, 999_999_999), time.Hour, 0},
		{time.Unix(3600, 0), time.Hour, 1},
		{time.Unix(-1, 0), time.Hour, -1},
		{time.Unix(-3600, 0), time.Hour, -1},
		{time.Unix(-3601, 0), time.Hour, -2},
		{time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), 6 * time.Hour, 83116},
		{time.Unix(12345, 0), time.Second, 12345},
	} {
		got := translog.EpochAt(c.t, c.length)
		if got != c.want {
			t.Errorf("%v in epochs of %v: %d, want %d", c.t, c.length, got, c.want)
		}
		start, end := translog.EpochStart(got, c.length), translog.EpochStart(got+1, c.length)
		if c.t.Before(start) || !c.t.Before(end) || end.Sub(start) != c.length || start.Location() != time.UTC {
			t.Errorf("%v: epoch %d from %v to %v", c.t, got, start, end)
		}
	}
}

func TestEpochLeaves(t *testing.T) {
	for _, c := range []struct{ slots, late, want int }{
		{16, 0, 16}, {16, 16, 16}, {16, 17, 32}, {16, 32, 32}, {16, 33, 64}, {1, 0, 1}, {1, 3, 4}, {5, 11, 20}, {4096, 4097, 8192},
	} {
		if got := translog.EpochLeaves(c.slots, c.late); got != c.want {
			t.Errorf("%d slots, %d late: %d, want %d", c.slots, c.late, got, c.want)
		}
	}
}

// TestEventsAreThoseOfTheCodename: every tag is the one that NewEvent makes, of
// the right key, and none comes twice.
func TestEventsAreThoseOfTheCodename(t *testing.T) {
	k, desk := [32]byte{1}, [32]byte{2}
	keys := map[translog.Kind][32]byte{
		translog.Report: k, translog.Followup: k, translog.SourceDelete: k, translog.Expire: k,
		translog.Ack: desk, translog.Reply: desk, translog.Note: desk, translog.Rewrap: desk,
		translog.Recuse: desk, translog.Close: desk, translog.DeskDelete: desk,
	}
	seen := make(map[[32]byte]bool)
	counters := make(map[translog.Kind]uint64)
	for e := range translog.Events(k, desk, 256) {
		if want := translog.NewEvent(keys[e.Kind], e.Kind, e.Counter); e.Event != want || e.Tag != want.Tag(e.Kind) || seen[e.Tag] {
			t.Errorf("%s %d", e.Kind, e.Counter)
		}
		if e.Counter != counters[e.Kind] {
			t.Errorf("%s %d after %d", e.Kind, e.Counter, counters[e.Kind])
		}
		counters[e.Kind]++
		seen[e.Tag] = true
	}
	if len(seen) != 11*256 {
		t.Errorf("%d events", len(seen))
	}
	for range translog.Events(k, desk, math.MaxUint64) {
		break
	}
}
