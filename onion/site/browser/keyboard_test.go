package browser

import (
	"strings"
	"testing"
)

// TestKeyboardJourney walks from the start to a sent report, and checks the
// codename, with Tab, the space bar, Enter and letters alone; at 400 % zoom of a
// window of 1280 × 1024, without JavaScript, cookies, images and web fonts. At most
// four pages lead to a sent report, each of two requests, and none sets a cookie.
func TestKeyboardJourney(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"es", "en"} {
		t.Run(lang, func(t *testing.T) {
			s := newStage(t, lang)
			k := &keyboard{walker: &walker{tab: newChromium(t).newTab(), stage: s, t: t}}
			k.resize(320, 256, 4)
			k.open(k.at("/"))
			k.came()
			k.follow("main .buttons a")
			k.follow("main .buttons a")
			k.goTo("input[value=SON]")
			k.tab.press(spaceKey)
			k.follow("main .buttons button")
			k.goTo("#message")
			k.paste("Lo vi en la garita.")
			pages := k.pages
			k.follow("main .buttons button")
			t.Logf("%s: %d pages to a sent report, %d presses of Tab", lang, pages, k.tabs)
			if pages > 4 {
				t.Errorf("%d pages to a sent report, at most 4", pages)
			}
			var words string
			k.evaluate(`document.querySelector("#codename").innerText`, &words)
			if n := len(strings.Fields(words)); n != 8 {
				t.Fatalf("a codename of %d words", n)
			}
			k.goTo("#words")
			k.paste(words)
			k.follow("button[value=check]")
			var right bool
			k.evaluate(`document.activeElement.matches(".right")`, &right)
			if !right {
				t.Error("the codename is not right, or the focus is not where the page says so")
			}
			k.follow("button[value=finish]")
			if all := s.vault.AllItems(); len(all) != 1 {
				t.Errorf("%d reports are stored", len(all))
			}
		})
	}
}

// keyboard is a visitor without a mouse.
type keyboard struct {
	*walker
	pages int
	tabs  int
}

// came counts a page, and checks what it took.
func (k *keyboard) came() {
	k.t.Helper()
	k.pages++
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.page.status != 200 || len(k.requests) != 2 || !strings.HasPrefix(k.requests[1], "GET /static/") {
		k.t.Errorf("page %d: status %d, requests %q", k.pages, k.page.status, k.requests)
	}
	if k.page.header["Set-Cookie"] != nil {
		k.t.Errorf("page %d sets a cookie", k.pages)
	}
}

// goTo presses Tab until an element has the focus. On the way, the focus is seen
// each time.
func (k *keyboard) goTo(selector string) {
	k.t.Helper()
	for range 80 {
		k.tab.press(tabKey)
		k.tabs++
		var at struct {
			Fault string
			There bool
		}
		k.evaluate("(() => {"+focusFault+`const e = document.activeElement;
			return {fault: e == document.body ? "" : focusFault(e), there: e.matches(`+quote(selector)+`)} })()`, &at)
		if at.Fault != "" {
			k.t.Errorf("page %d: %s", k.pages, at.Fault)
		}
		if at.There {
			return
		}
	}
	k.t.Fatalf("page %d: Tab does not reach %s", k.pages, selector)
}

// follow goes to a link or a button and presses Enter.
func (k *keyboard) follow(selector string) {
	k.t.Helper()
	k.goTo(selector)
	k.forget()
	k.tab.press(enterKey)
	k.shown()
	k.came()
}
