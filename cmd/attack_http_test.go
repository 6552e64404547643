package cmd_test

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"resguardo/onion/tornet/source"
)

// Attacks on the running server and on the reviewer's program, by their ids in
// docs/attacks.md. The server is the real one, spoken to byte by byte.

// speak sends bytes to the pages, or to the reviewers' API, and returns all that is
// answered until the server closes the connection, or says nothing more for two seconds.
func speak(t *testing.T, base, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A server may close before it has read all: then the write fails.
	go io.WriteString(conn, strings.ReplaceAll(request, "{host}", strings.TrimPrefix(base, "http://")))
	var answer strings.Builder
	for b := make([]byte, 64<<10); ; {
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, err := conn.Read(b)
		answer.Write(b[:n])
		if err != nil || strings.HasSuffix(answer.String(), "</html>\n") {
			return answer.String()
		}
	}
}

// telling is what no answer may say of the machine.
var telling = regexp.MustCompile(`(?i)go1\.|golang|\bgin\b|net/http|goroutine|panic|/root|/home|/tmp|\.go:\d|x-powered|\bserver:`)

// serverLines are the lines of the log but those that the server writes by itself.
func (h *house) serverLines() (n int) {
	for line := range strings.Lines(h.log.String()) {
		if !strings.Contains(line, "epoch closed") {
			n++
		}
	}
	return n
}

// TestAttackHTTP: requests that no browser sends. Each gets one constant answer, or none;
// none is written down.
func TestAttackHTTP(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	h.mustSend(source.Report{Message: "antes"})
	lines := h.serverLines()
	const get = "GET /es/ HTTP/1.1\r\nHost: {host}\r\n"
	const post = "POST /es/codename HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	status := func(answer string) string {
		line, _, _ := strings.Cut(answer, "\r\n")
		_, line, _ = strings.Cut(line, " ")
		return line
	}
	// refused: one answer of 4xx or 501, or a closed connection; the request behind it is not read.
	refused := func(t *testing.T, name, request string) {
		t.Helper()
		answer := speak(t, h.source, request)
		if answer != "" && !strings.HasPrefix(status(answer), "4") && !strings.HasPrefix(status(answer), "501") || strings.Count(answer, "HTTP/1.1 ") > 1 {
			t.Errorf("%s: answered\n%.1000s", name, answer)
		}
		if m := telling.FindString(answer); m != "" {
			t.Errorf("%s: the answer tells %q", name, m)
		}
	}

	t.Run("W2", func(t *testing.T) {
		for _, origin := range []string{"null", "http://example.org", "http://{host}.example.org", "https://{host}"} {
			answer := speak(t, h.source, post+"Origin: "+origin+"\r\nContent-Length: 13\r\n\r\naction=finish")
			if !strings.HasPrefix(status(answer), "403 ") {
				t.Errorf("%s: %s", origin, status(answer))
			}
		}
	})

	t.Run("W3", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(h.dir, "control.sock"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("control.sock: %v, %v", info, err)
		}
		for _, base := range []string{h.source, h.review} { // what commands ask on that socket
			for _, path := range []string{"/v1/status", "/v1/change", "/v1/sign", "/v1/check", "/v1/backup", "/v1/rehash"} {
				for _, method := range []string{"GET", "POST"} {
					answer := speak(t, base, method+" "+path+" HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
					if !strings.HasPrefix(status(answer), "404 ") {
						t.Errorf("%s %s%s: %s", method, base, path, status(answer))
					}
				}
			}
		}
	})

	t.Run("W4", func(t *testing.T) {
		bodies := map[string][]string{
			"":                                  {"", "x", "\x00\xff"},
			"text/plain":                        {"x"},
			"application/json":                  {`{"a":`, "[[[["},
			"application/x-www-form-urlencoded": {"%", "%zz=1", "a;b", "session=%00&action=show", "session=x&action=erase", "codename=%ff%fe", "token=" + strings.Repeat("A", 70_000)},
			"multipart/form-data":               {"x"},
			"multipart/form-data; boundary=B":   {"--B", "--B--", "--B\r\n\r\n", "--B\r\nContent-Disposition: form-data; name=\"session\"\r\n\r\nx\r\n--B--\r\n"},
			"multipart/form-data; boundary=\"":  {"x"},
			"multipart/mixed; boundary=B":       {"--B--"},
		}
		pages := map[string]map[string]bool{}
		n := 0
		for _, path := range []string{"/", "/es", "/es/", "/es/safety", "/es/keys", "/es/keys/norte.txt", "/es/report", "/es/codename", "/es/mailbox", "/es/exit", "/es/nada", "/log/checkpoint", "/log/tile/0/x"} {
			for typ, all := range bodies {
				for _, body := range all {
					answer := speak(t, h.source, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, typ, len(body), body))
					n++
					if m := telling.FindString(answer); m != "" || strings.HasPrefix(status(answer), "5") || answer == "" {
						t.Errorf("POST %s (%s) %.20q: tells %q: %s", path, typ, body, m, status(answer))
					}
					_, page, _ := strings.Cut(answer, "\r\n\r\n")
					if code := status(answer); !strings.Contains(page, "<form") {
						if pages[code] == nil {
							pages[code] = map[string]bool{}
						}
						pages[code][page] = true
					}
				}
			}
		}
		for code, all := range pages {
			// Error pages are constant: one for each status and language.
			if strings.HasPrefix(code, "4") && len(all) > 2 {
				t.Errorf("%s has %d pages", code, len(all))
			}
		}
		if n < 150 {
			t.Errorf("only %d requests", n)
		}
	})

	t.Run("W14", func(t *testing.T) {
		for name, request := range map[string]string{
			"line ends in the path":    "GET /es/%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"NUL in the path":          "GET /es/%00 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"direction in the path":    "GET /es/%e2%80%ae HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"terminal in the path":     "GET /es/%1b]0;x%07 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"bytes above ASCII":        "GET /es/\xff\xfe HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"empty form":               "POST /es/report HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			"a path of 1 MiB":          "GET /es/" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"path upwards":             "GET /es/../../etc/passwd HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"path upwards, encoded":    "GET /es/keys/..%2f..%2fvault.db HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"path upwards in the log":  "GET /log/..%2f..%2fvault.db HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
			"path upwards in the log ": "GET /log/tile/../../vault.db HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
		} {
			answer := speak(t, h.source, request)
			if !strings.HasPrefix(answer, "HTTP/1.1 4") || strings.Contains(strings.ToLower(answer), "set-cookie") || strings.ContainsAny(answer, "\x00\x1b\a\u202e") {
				t.Errorf("%s: %.600s", name, answer)
			}
		}
	})

	t.Run("G2", func(t *testing.T) {
		chunk := "1;" + strings.Repeat("x", 4<<10) + "\r\na\r\n"
		refused(t, "chunk extensions", post+"Transfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 300)+"0\r\n\r\n"+get+"\r\n")
		refused(t, "bare LF", post+"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"+get+"\r\n")
		refused(t, "length and chunks", post+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n"+get+"\r\n")
		refused(t, "unknown coding", post+"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"+get+"\r\n")
		refused(t, "huge chunk", post+"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n"+get+"\r\n")
		refused(t, "negative length", post+"Content-Length: -1\r\n\r\n"+get+"\r\n")
	})

	t.Run("G4", func(t *testing.T) {
		refused(t, "terminal in a name", get+"X-\x1b[31m: y\r\n\r\n"+get+"\r\n")
		refused(t, "NUL in a value", get+"X-A: a\x00b\r\n\r\n"+get+"\r\n")
		refused(t, "space before the colon", get+"X-A : y\r\n\r\n"+get+"\r\n")
		refused(t, "no method", "\x1b]0;x\a / HTTP/1.1\r\nHost: {host}\r\n\r\n"+get+"\r\n")
		refused(t, "folded line of 1 MiB", get+"X: a\r\n"+strings.Repeat(" b\r\n", 1<<18)+"\r\n")
	})

	t.Run("G7", func(t *testing.T) {
		refused(t, "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		answer := speak(t, h.source, get+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || strings.Contains(answer, "Upgrade") {
			t.Errorf("an upgrade is answered\n%.600s", answer)
		}
	})

	t.Run("G8", func(t *testing.T) {
		plain := speak(t, h.source, get+"Connection: close\r\n\r\n")
		if !strings.HasPrefix(plain, "HTTP/1.1 200 ") {
			t.Fatalf("%.600s", plain)
		}
		for _, header := range []string{"X-Forwarded-For: 203.0.113.7", "X-Real-Ip: 203.0.113.7", "Forwarded: for=203.0.113.7;host=example.org", "X-Forwarded-Host: example.org",
			"X-Forwarded-Prefix: //example.org", "X-Forwarded-Proto: https", "X-Original-Url: /v1/items", "X-Rewrite-Url: /v1/items", "X-Http-Method-Override: DELETE", "Cookie: session=x", "Range: bytes=0-0", "If-None-Match: *"} {
			if got := speak(t, h.source, get+header+"\r\nConnection: close\r\n\r\n"); got != plain {
				t.Errorf("%s changes the answer:\n%.600s", header, got)
			}
		}
		slash := speak(t, h.source, "GET /es/report/ HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Prefix: //evil.example\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(slash, "HTTP/1.1 404 ") || strings.Contains(slash, "evil") {
			t.Errorf("slash redirect: %.600s", slash)
		}
		for name, request := range map[string]string{
			"foreign":          "GET /es/ HTTP/1.1\r\nHost: example.org\r\n",
			"empty":            "GET /es/ HTTP/1.1\r\nHost:\r\n",
			"none":             "GET /es/ HTTP/1.1\r\n",
			"none, HTTP/1.0":   "GET /es/ HTTP/1.0\r\n",
			"two":              "GET /es/ HTTP/1.1\r\nHost: {host}\r\nHost: example.org\r\n",
			"with a path":      "GET /es/ HTTP/1.1\r\nHost: {host}/x\r\n",
			"with a space":     "GET /es/ HTTP/1.1\r\nHost: {host} example.org\r\n",
			"somebody at":      "GET /es/ HTTP/1.1\r\nHost: a@{host}\r\n",
			"absolute address": "GET http://example.org/es/ HTTP/1.1\r\nHost: {host}\r\n",
			"tunnel":           "CONNECT example.org:443 HTTP/1.1\r\nHost: {host}\r\n",
		} {
			answer := speak(t, h.source, request+"Connection: close\r\n\r\n")
			if !strings.HasPrefix(status(answer), "421 ") && !strings.HasPrefix(status(answer), "400 ") || strings.Contains(answer, "example.org") {
				t.Errorf("%s: %.600s", name, answer)
			}
		}
	})

	t.Run("G9", func(t *testing.T) {
		refused(t, "unknown Expect", post+"Expect: 200-ok\r\nContent-Length: 13\r\n\r\naction=finish"+get+"\r\n")
		refused(t, "long Expect", post+"Expect: "+strings.Repeat("x,", 1000)+"\r\nContent-Length: 13\r\n\r\naction=finish"+get+"\r\n")
		answer := speak(t, h.source, post+"Expect: 100-continue\r\nContent-Length: 100000\r\nOrigin: null\r\nConnection: close\r\n\r\n")
		if strings.Contains(answer, " 200 ") {
			t.Errorf("Expect without a body: %.600s", answer)
		}
	})

	if n := h.serverLines(); n != lines {
		t.Errorf("these requests left %d lines in the log:\n%s", n-lines, h.log)
	}
	h.mustSend(source.Report{Message: "después"})
}

// wellKnown are the paths that scanners ask for.
var wellKnown = strings.Fields(`.env .git/HEAD .git/config .svn/entries .hg/store .DS_Store .htaccess .htpasswd .well-known/security.txt .well-known/onion-location
	admin admin/ administrator login logout signup wp-admin/ wp-login.php wp-json/ xmlrpc.php phpmyadmin/ phpinfo.php index.php index.html index.htm
	server-status server-info nginx_status status health healthz livez readyz metrics stats debug debug/ debug/pprof debug/pprof/ debug/pprof/heap debug/pprof/profile
	debug/pprof/goroutine?debug=2 debug/vars debug/requests trace actuator actuator/env actuator/heapdump console shell cgi-bin/ cgi-bin/test.cgi
	api api/ api/v1 v1 v1/items v1/challenge v1/status graphql swagger swagger.json openapi.json robots.txt sitemap.xml favicon.ico crossdomain.xml
	backup backup.zip backup.tar.gz db.sqlite vault.db blobs/00000001.db keys.slots log.key operations.key resguardo.toml high-water onion/source/hs_ed25519_secret_key
	config config.json config.php web.config package.json go.mod Makefile .ci/run core id_rsa etc/passwd proc/self/environ static static/ static/site.css locales/es.toml templates/base.html`)

// TestAttackPaths: every well-known path gets the constant page for what is not there.
func TestAttackPaths(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	answer := func(base, method, path string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequest(method, base+"/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(b)
	}
	for name, base := range map[string]string{"pages": h.source, "reviewers": h.review} {
		_, header, constant := answer(base, "GET", "no-such-page")
		ours := map[string]string{"pages": "Esta página no existe.", "reviewers": `{"error":`}
		if !strings.Contains(constant, ours[name]) || telling.MatchString(constant) {
			t.Errorf("%s: %q", name, constant)
		}
		for _, path := range wellKnown {
			if name == "reviewers" && strings.HasPrefix(path, "v1/") {
				continue // its own paths
			}
			for _, variant := range []string{path, "." + path, path + "~", strings.ToUpper(path), "%2e%2e/" + path} {
				status, got, body := answer(base, "GET", variant)
				if status != http.StatusNotFound || body != constant || len(got) != len(header) {
					t.Errorf("%s: /%s: %d %v\n%.300s", name, variant, status, got, body)
				}
			}
		}
	}
}

// hostile are texts that do something to a terminal, or look like something else.
var hostile = []string{
	"\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x1b]52;c;Y3VybCBldmls\x07", "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "\x1bP$q\"p\x1b\\", "\x1b[6n", "\x1b[?1049h",
	"\u009b2J", "\u009d0;title\u009c", "\x9b31m", "a\rb", "a\bb", "\x7f", "\x00", "\u202egpj.exe", "\u2066a\u2069", "\u200b", "\ufeff", "\u2028", "\u115f", "\U000e0041", "resguardo: error: x",
}

// TestAttackW17: what a source writes reaches no terminal but as text, whichever command
// of the reviewer's program shows it.
func TestAttackW17(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	all := strings.Join(hostile, "\n")
	r := source.Report{Message: all, Answers: map[string]string{"a-where": all, "a-who": all}}
	for _, name := range hostile {
		if !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) { // such a name is refused
			r.Files = append(r.Files, source.File{Name: name + ".pdf", Body: strings.NewReader(name)})
		}
	}
	h.mustSend(r)
	h.fetch()
	to := filepath.Join(t.TempDir(), "out")
	var shown strings.Builder
	for _, args := range [][]string{
		{"fetch", "-dir", h.reviewer, "-server", h.review, "-json"}, {"list", "-dir", h.reviewer}, {"list", "-dir", h.reviewer, "-json"},
		{"open", "-dir", h.reviewer, "1"}, {"export", "-dir", h.reviewer, "-to", to, "1"},
	} {
		c := exec.Command(filepath.Join(programs, "resguardo"), args...)
		c.Env = append(os.Environ(), "LANG=C", "LC_ALL=")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%q", args[0], err, out)
		}
		plain(t, strings.Join(args[:1], " "), string(out))
		if args[0] == "open" {
			shown.Write(out)
		}
	}
	for _, code := range []string{`\x1b[2J`, `\x1b]52;c;`, `\u009b2J`, `\u202egpj.exe`, "| resguardo: error: x"} {
		if !strings.Contains(shown.String(), code) {
			t.Errorf("open does not show %s", code)
		}
	}
	// Names of ours alone, and no cell that a spreadsheet would run: no table is written at all.
	names := 0
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "out" {
			return err
		}
		if !regexp.MustCompile(`^(SHA256SUMS|[a-z]+\.(txt|json)|files|[0-9]+|000-report)$`).MatchString(d.Name()) {
			t.Errorf("exported %q", d.Name())
		}
		if d.Name() == "names.txt" {
			names++
			b, err := os.ReadFile(path)
			plain(t, "names.txt", string(b))
			return err
		}
		return nil
	})
	if err != nil || names != 1 {
		t.Errorf("%d lists of names, %v", names, err)
	}
}

// plain checks that a text does nothing to a terminal.
func plain(t *testing.T, what, text string) {
	t.Helper()
	for at, r := range text {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) {
			t.Errorf("%s shows %U in %q", what, r, text[max(0, at-20):min(len(text), at+20)])
		}
	}
	if !utf8.ValidString(text) {
		t.Errorf("%s shows bytes that are no text: %q", what, text)
	}
}

// TestAttackW15: no name of a desk, an origin or a person that looks like another's.
func TestAttackW15(t *testing.T) {
	dir := t.TempDir()
	vault := filepath.Join(dir, "vault")
	refused := func(program string, args ...string) {
		t.Helper()
		c := exec.Command(filepath.Join(programs, program), args...)
		c.Env = append(os.Environ(), "LANG=C", "LC_ALL=")
		out, err := c.CombinedOutput()
		if err == nil {
			t.Errorf("%s %q is accepted", program, args)
		}
		plain(t, "the refusal", string(out))
	}
	for _, mark := range []string{"\u200b", "\u202e", "\u2066", "\x1b[2J", "\u00ad", "\ufe0f", "\u034f", "\ufeff", "\n"} {
		refused("resguardod", "init", "-dir", filepath.Join(dir, "bad"), "-origin", "vault"+mark+".example")
		refused("resguardo", "keygen", "-dir", filepath.Join(dir, "ana"), "-no-passphrase", "-name", "an\u202e"+mark+"a")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	run(t, "resguardod", "init", "-dir", vault, "-origin", "vault.example")
	for _, mark := range []string{"\u200b", "\u202e", "\u2066", "\x1b[2J", "\u00ad", "\ufe0f", "\u115f", "\u3164", "\uffa0", "\u034f", "\ufeff", "\n"} {
		refused("resguardod", "desk", "add", "-dir", vault, "-id", "norte", "-name-es", "Equipo"+mark+" norte", "-name-en", "North team", "-region", "N")
		refused("resguardod", "desk", "add", "-dir", vault, "-id", "norte"+mark, "-name-es", "Equipo norte", "-name-en", "North team", "-region", "N")
	}
	if out := run(t, "resguardod", "desk", "list", "-dir", vault); slices.Contains(strings.Fields(out), "norte") {
		t.Errorf("a desk was added: %s", out)
	}
}
