package browser

import (
	"fmt"
	"strings"

	"resguardo/onion/logtiles/logtest"
	"resguardo/vault/translog"
)

// mailboxes walks to what a desk, or time, makes of a mailbox.
func (w *walker) mailboxes() {
	log := logtest.Begin(w.t, w.vault)
	see := func(name string, h *thread) {
		w.t.Helper()
		w.signIn(h.words)
		w.keep("mailbox-"+name, 200)
	}
	reply := item{kind: translog.Reply, text: "Gracias por escribir. Lo que cuentas es importante y te creemos.\n\n" +
		"¿La persona puede salir sola? Contesta solo si es seguro para ti.", files: map[string]string{"guia.pdf": "%PDF"}}

	h := w.report(2)
	h.add(item{kind: translog.Ack, ago: 1})
	log.Close(w.t)
	log.Publish(w.t)
	see("read-and-logged", h)
	h.add(reply)
	see("reply-checked", h)
	w.touch("details > summary")
	w.click("button[value=delete]")
	w.keep("mailbox-reply-deleted", 200)

	for _, bad := range []struct {
		name  string
		spoil func(*item)
	}{
		{"reply-not-checked", func(i *item) { i.stranger, i.text = true, "Mañana a las 8 te espero en la terminal." }},
		{"reply-astray", func(i *item) { i.astray = true }},
		{"reply-shut", func(i *item) { i.shut = true }},
	} {
		h, spoiled := w.report(0), reply
		bad.spoil(&spoiled)
		h.add(spoiled)
		see(bad.name, h)
	}

	h = w.report(20)
	for i := range 12 {
		h.add(item{kind: translog.Reply, ago: 12 - i, text: fmt.Sprintf("Respuesta %d. Seguimos aquí.", i+1)})
	}
	h.add(item{kind: translog.Reply, text: strings.Repeat("Esto es lo que puedes hacer en cada caso. ", 900)})
	see("replies-many", h)
	w.click("button[value=read]")
	w.keep("mailbox-reply-alone", 200)

	h = w.report(30)
	h.add(item{kind: translog.Close, ago: 3})
	see("case-closed", h)
	see("late-to-read", w.report(10))
	h = w.report(100)
	h.add(item{kind: translog.Ack, ago: 98})
	see("late-to-answer", h)
	see("ends-soon", w.report(261))
	h = w.report(1)
	if err := w.vault.SetHold(w.t.Context(), h.id, true); err != nil {
		w.t.Fatal(err)
	}
	see("held", h)
	h = w.report(5)
	h.add(item{kind: translog.Note, joins: "sur"})
	h.add(item{kind: translog.Recuse, leaves: "norte"})
	see("passed-on", h)
	h = w.report(5)
	h.add(item{kind: translog.Recuse, leaves: "norte"})
	see("nobody-has-it", h)
	w.fill("#message", "Siguen ahí.")
	w.click(sendMore)
	w.keep("mailbox-nobody-to-send-to", 422)
}

// addMore walks to refused additions.
func (w *walker) addMore() {
	h := w.report(0)
	w.signIn(h.words)
	w.fill("#message", "Siguen ahí.")
	w.attach("#file", w.file("video.mp4", 9<<20))
	w.click(sendMore)
	w.keep("mailbox-file-large", 413)
	w.vault.Close()
	w.click("button[value=show], button[value=ask]")
	w.keep("mailbox-server-fails", 500)
}
