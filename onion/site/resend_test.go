package site

import (
	"net/url"
	"strings"
	"testing"
)

// TestBrokenResend: a browser that sends a form again, of which a file is gone by
// now, sends a broken body. If the first send was stored, the answer says so.
func TestBrokenResend(t *testing.T) {
	field := func(name, value string) string {
		return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
	fields := field("desk", "norte") + field("message", "sigue aquí")
	for name, rest := range map[string]string{
		"token alone":       "",
		"fields alone":      fields,
		"half a file":       fields + file + "abc",
		"no end":            fields + file + "abc\r\n",
		"unknown field":     field("x", "y") + "--B--\r\n",
		"without a message": field("desk", "norte") + "--B--\r\n",
		"no desk":           field("message", "x") + "--B--\r\n",
		"message too long":  field("desk", "norte") + field("message", strings.Repeat("x", maxMessage+1)) + "--B--\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.token("es")
			send := func(rest string) string {
				body := field("token", token) + rest
				answer, _ := w.raw(w.head(len(body)), strings.NewReader(body), false)
				return answer
			}
			if answer := send(rest); codenameLine.MatchString(answer) || !strings.Contains(answer, w.sentence("es", "error.heading")) {
				t.Fatalf("nothing was stored before:\n%s", answer)
			}
			w.stored(0)
			words := codenameLine.FindString(send(fields + file + "abc\r\n--B--\r\n"))
			if words == "" {
				t.Fatal("the form does not work any more")
			}
			if answer := send(rest); !strings.HasPrefix(answer, "HTTP/1.1 200 ") || codenameLine.FindString(answer) != words {
				t.Errorf("after it was stored:\n%s", answer)
			}
			w.postForm("/es/codename", url.Values{"token": {token}, "action": {"finish"}})
			if answer := send(rest); !strings.HasPrefix(answer, "HTTP/1.1 200 ") || !strings.Contains(answer, w.sentence("es", "received.heading")) || codenameLine.MatchString(answer) {
				t.Errorf("after it was finished:\n%s", answer)
			}
			w.stored(1)
		})
	}
}

// TestBrokenResendSaysLittle: without a token nobody can tell what an earlier send
// came to, so the page speaks of this one.
func TestBrokenResendSaysLittle(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"", "--B", "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc"} {
		answer, _ := w.raw(w.head(len(body)), strings.NewReader(body), false)
		if !strings.Contains(answer, "Este envío no se guardó") || strings.Contains(answer, "No se guardó nada") {
			t.Errorf("%q:\n%s", body, answer)
		}
	}
}
