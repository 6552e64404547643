package onion

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cretz/bine/control"

	"resguardo/onion/tor"
)

func TestTorAcceptsSystemLines(t *testing.T) {
	prog := look(t)
	dir := t.TempDir()
	a, b := newKey(t, "a"), newKey(t, "b")
	c := Config{
		Dir:             filepath.Join(dir, "with a space"),
		SourceSocket:    filepath.Join(dir, "s"),
		ReviewersSocket: filepath.Join(dir, "r"),
		Clients:         []Client{a.Client, b.Client},
		SocksSocket:     filepath.Join(dir, "socks"),
	}
	text, err := Torrc(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := prog.Configure(t.Context(), dir, text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	for _, want := range []string{
		"HiddenServicePort 80 unix:\"" + c.SourceSocket + "\"\n",
		"SocksPort unix:\"" + c.SocksSocket + "\" WorldWritable\n",
		"HiddenServiceExportCircuitID haproxy\n",
		"HiddenServicePoWDefensesEnabled 1\n",
		"#   descriptor:x25519:" + a.Key + "\n",
		"authorized_clients/b.auth",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if _, reviewers, _ := strings.Cut(text, "reviewers\"\n"); strings.Contains(reviewers, "haproxy") {
		t.Errorf("the reviewers' service names circuits:\n%s", reviewers)
	}
	c.Clients = nil
	if text, err := Torrc(c); !errors.Is(err, ErrNoClients) || text != "" {
		t.Errorf("without clients: %q, %v; want ErrNoClients", text, err)
	}
}

func look(t *testing.T) tor.Program {
	t.Helper()
	prog, err := tor.Look(t.Context(), "")
	if errors.Is(err, tor.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

func TestBadConfigIsRefused(t *testing.T) {
	good, other := newKey(t, "a").Client, newKey(t, "b").Client
	socket := filepath.Join(t.TempDir(), "s")
	for name, c := range map[string]Config{
		"no folder":           {SourceSocket: socket},
		"no socket":           {Dir: "onion"},
		"not ASCII":           {Dir: "/srv/ñ", SourceSocket: socket},
		"quote":               {Dir: `/srv/"`, SourceSocket: socket},
		"line break":          {Dir: "/srv/a\nb", SourceSocket: socket},
		"long control socket": {Dir: "/srv/" + strings.Repeat("a", 100), SourceSocket: socket},
		"long client socket":  {Dir: "/srv/a", SourceSocket: socket, SocksSocket: "/srv/" + strings.Repeat("a", 103)},
		"long socket":         {Dir: "/srv/a", SourceSocket: "/srv/" + strings.Repeat("a", 103)},
		"pattern to include":  {Dir: "/srv/a", SourceSocket: socket, Include: "/etc/*"},
		"clients, no socket":  {Dir: "/srv/a", SourceSocket: socket, Clients: []Client{good}},
		"bad client":          {Dir: "/srv/a", SourceSocket: socket, ReviewersSocket: socket, Clients: []Client{{"a", "x"}}},
		"client twice":        {Dir: "/srv/a", SourceSocket: socket, ReviewersSocket: socket, Clients: []Client{good, other, good}},
		"shared key":          {Dir: "/srv/a", SourceSocket: socket, ReviewersSocket: socket, Clients: []Client{good, {"b", good.Key}}},
	} {
		err := c.check()
		if err == nil {
			_, err = c.managed(c.ReviewersSocket != "")
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBadClientIsRefused(t *testing.T) {
	key := newKey(t, "a").Key
	for name, c := range map[string]Client{
		"no name":       {"", key},
		"path":          {"../a", key},
		"upper case":    {"A", key},
		"long name":     {strings.Repeat("a", 65), key},
		"no key":        {"a", ""},
		"short key":     {"a", key[1:]},
		"lower case":    {"a", strings.ToLower(key)},
		"line break":    {"a", key[:50] + "\n" + key[50:]},
		"padded":        {"a", key + "===="},
		"stray bits":    {"a", key[:51] + "B"},
		"low order":     {"a", strings.Repeat("A", 52)},
		"low order one": {"a", "AE" + strings.Repeat("A", 50)},
	} {
		if err := c.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (Client{strings.Repeat("a", 64), key}).check(); err != nil {
		t.Error(err)
	}
}

// TestClientFilesAreExact: tor lets in whoever has a file, so a file that is
// nobody's must go.
func TestClientFilesAreExact(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "reviewers")
	a, b := newKey(t, "a").Client, newKey(t, "b").Client
	if err := writeClients(dir, []Client{a}); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(dir, clientsDir, "stray.auth")
	if err := os.WriteFile(stray, []byte(a.line()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeClients(dir, []Client{b}); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(dir, clientsDir))
	if err != nil || len(files) != 1 || files[0].Name() != "b.auth" {
		t.Errorf("files %v, %v; want only b.auth", files, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, clientsDir, "b.auth"))
	if err != nil || string(got) != "descriptor:x25519:"+b.Key+"\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, d := range []string{dir, filepath.Join(dir, clientsDir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info.Mode(), err)
		}
	}
}

func TestBackoffDoublesToAMinute(t *testing.T) {
	var b backoff
	var got []time.Duration
	for range 9 {
		got = append(got, b.next())
	}
	const s = time.Second
	want := []time.Duration{s / 2, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
}

// TestHealthFollowsTor gives an Onion tor's own words, those that this machine
// cannot make it say included.
func TestHealthFollowsTor(t *testing.T) {
	var log strings.Builder
	o := newOnion(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	o.health.Source.Address, o.health.Reviewers.Address = "s.onion", "r.onion"
	r := &run{reloaded: make(chan struct{}, 1)}
	for _, e := range []struct {
		code control.EventCode
		text string
	}{
		{control.EventCodeStatusClient, `NOTICE BOOTSTRAP PROGRESS=45 TAG=requesting_descriptors SUMMARY="Asking for relay descriptors"`},
		{control.EventCodeStatusGeneral, `WARN CLOCK_SKEW SKEW=-3600 MIN_SKEW=-3600 SOURCE=DIRSERV:127.0.0.1:9030`},
		{control.EventCodeHSDesc, `UPLOAD r UNKNOWN $AAAA HSDIR_INDEX=00`},
		{control.EventCodeHSDesc, `UPLOADED s UNKNOWN $AAAA`},
		{control.EventCodeHSDesc, `UPLOADED other UNKNOWN $AAAA`},
		{control.EventCodeStatusClient, `NOTICE BOOTSTRAP PROGRESS=40 TAG=late SUMMARY=""`},
		{control.EventCodeStatusClient, `NOTICE BOOTSTRAP PROGRESS=nonsense TAG=x SUMMARY=""`},
	} {
		o.event(r, control.ParseEvent(e.code, e.text, nil))
	}
	o.line(tor.ParseLine("Nov 21 23:10:42.000 [warn] Problem bootstrapping. Stuck at 45%."))
	o.line(tor.ParseLine("Nov 21 23:10:42.000 [notice] Heartbeat: 3 INTRODUCE2 cells"))
	want := Health{
		Bootstrap: 45, Phase: "requesting_descriptors", Skew: -time.Hour,
		Source: Service{"s.onion", true}, Reviewers: Service{"r.onion", false},
		Warning: "Problem bootstrapping. Stuck at 45%.",
	}
	if got := o.Health(); got != want {
		t.Errorf("%+v; want %+v", got, want)
	}
	select {
	case <-o.Ready():
		t.Error("ready before the reviewers' service is published")
	default:
	}
	o.event(r, control.ParseEvent(control.EventCodeHSDesc, `UPLOADED r UNKNOWN $AAAA`, nil))
	<-o.Ready()
	// After that, nothing that a visitor can cause may reach the log.
	before := log.String()
	o.line(tor.ParseLine("Nov 21 23:10:42.000 [warn] Possible replay detected!"))
	if log.String() != before {
		t.Errorf("logged: %s", log.String()[len(before):])
	}
	if strings.Contains(before, "Heartbeat") || strings.Contains(before, ".onion") {
		t.Errorf("logged: %s", before)
	}
	b, err := json.Marshal(o.Health())
	var back Health
	if err != nil || json.Unmarshal(b, &back) != nil || back != o.Health() {
		t.Errorf("%s, %v", b, err)
	}
}
