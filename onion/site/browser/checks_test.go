package browser

import (
	"os"
	"path/filepath"
	"testing"
)

// unfold opens every details element: what is folded away is checked too.
const unfold = `for (const d of document.querySelectorAll("details")) d.open = true;`

// describe is a JavaScript function that names an element in a message.
const describe = `const describe = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") +
	(e.className ? "." + e.className : "") + (e.name ? "[" + e.name + "=" + e.value.slice(0, 12) + "]" : "") +
	" “" + (e.innerText || "").replaceAll("\n", " ").slice(0, 40) + "”";`

// faults runs the body of a function that pushes messages to out.
func faults(t *testing.T, b *tab, p kept, what, body string) {
	t.Helper()
	var out []string
	b.evaluate("(() => { const out = [];"+describe+body+"; return out })()", &out)
	for i, fault := range out {
		if i == 5 {
			t.Errorf("%s %s, %s: and %d more", p.lang, p.name, what, len(out)-i)
			return
		}
		t.Errorf("%s %s, %s: %s", p.lang, p.name, what, fault)
	}
}

// testAxe: axe-core finds no violation of WCAG 2.2 A and AA, in light, dark and
// forced colours.
func (s *shelf) testAxe(t *testing.T, b *tab, p kept) {
	source, err := os.ReadFile(filepath.Join(fetched(t), "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	b.call("Page.setBypassCSP", map[string]any{"enabled": true}, nil)
	b.open(s.URL + "/" + p.lang + "/" + p.name)
	b.evaluate(unfold, nil)
	b.evaluate(string(source)+"; 0", nil)
	defer b.media()
	for _, scheme := range [][]string{{"prefers-color-scheme", "light"}, {"prefers-color-scheme", "dark"}, {"forced-colors", "active"}} {
		if p.lang != languages[0] && scheme[1] != "light" {
			break // colours do not depend on the language
		}
		b.media(scheme...)
		var found struct {
			Passes     int
			Violations []string
		}
		only := `["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]`
		if scheme[1] != "light" {
			only = `{type: "rule", values: ["color-contrast"]}` // the rest does not depend on colours
		}
		b.evaluate(`axe.run(document, {resultTypes: ["violations"], runOnly: `+only+`}).then(r => ({passes: r.passes.length,
			violations: r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary))}))`, &found)
		if found.Passes == 0 {
			t.Fatalf("%s %s: axe checked nothing", p.lang, p.name)
		}
		for _, v := range found.Violations {
			t.Errorf("%s %s, %s: %s", p.lang, p.name, scheme[1], v)
		}
	}
}

// testReflow: at 320 CSS pixels, which is 1280 at 400 %, and with the text
// spacing of WCAG 1.4.12, nothing is cut off and nothing scrolls sideways.
func testReflow(t *testing.T, b *tab, p kept) {
	const body = `
		const W = document.documentElement.clientWidth;
		if (document.scrollingElement.scrollWidth > W) out.push("the page is " + document.scrollingElement.scrollWidth + " pixels wide");
		for (const e of document.querySelectorAll("body *")) {
			const r = e.getBoundingClientRect(), s = getComputedStyle(e);
			if (!r.width || !r.height) continue;
			if (r.right > W + .5 || r.left < -.5) out.push(describe(e) + " reaches from " + r.left + " to " + r.right);
			if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth && s.display != "inline" && s.overflowX != "auto" || s.overflowY == "hidden" && e.scrollHeight > e.clientHeight + 1)
				out.push(describe(e) + " cuts off its text");
			if (e.tagName == "SELECT") { // as wide as its longest choice, or is that cut off?
				const before = e.style.cssText; e.style.cssText = "width: auto; max-width: none";
				if (e.offsetWidth > r.width + 1) out.push(describe(e) + " has a choice of " + e.offsetWidth + " pixels in " + r.width);
				e.style.cssText = before;
			}
		}`
	b.evaluate(unfold, nil)
	faults(t, b, p, "320 pixels", body)
	b.resize(320, 256, 4)
	faults(t, b, p, "400 %", body+`
		const bar = document.querySelector(".leave"); // stays in view, and must leave room for the page
		if (bar && bar.offsetHeight > innerHeight / 3) out.push("the bar on top takes " + bar.offsetHeight + " of " + innerHeight + " pixels");`)
	b.resize(320, 640, 1)
	b.evaluate(`(() => { const s = new CSSStyleSheet();
		s.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }");
		document.adoptedStyleSheets = [s] })()`, nil)
	faults(t, b, p, "text spacing", body)
}

// testTargets: everything that can be touched is at least 44 pixels high and wide.
// A link within a sentence is as high as its line (WCAG 2.5.8).
func testTargets(t *testing.T, b *tab, p kept) {
	b.evaluate(unfold, nil)
	faults(t, b, p, "targets", `
		for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
			const target = ["checkbox", "radio"].includes(e.type) ? e.closest("label") : e;
			if (!target) { out.push(describe(e) + " has no label round it"); continue }
			const r = target.getBoundingClientRect();
			const inText = e.tagName == "A" && e.parentElement.innerText.trim() != e.innerText.trim() && getComputedStyle(e).display == "inline";
			if (r.width && !inText && (r.height < 43.5 || r.width < 43.5)) out.push(describe(e) + " is " + r.width + " × " + r.height);
		}`)
}

// testColours: the edges of fields and buttons stand out (WCAG 1.4.11, 3:1) in
// light and dark; axe checks the text. In forced colours they still have edges.
func testColours(t *testing.T, b *tab, p kept) {
	const body = `
		const light = c => { const [r, g, b] = c.match(/[\d.]+/g).map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
			return .2126 * r + .7152 * g + .0722 * b };
		const ratio = (a, b) => { const x = light(a), y = light(b); return (Math.max(x, y) + .05) / (Math.min(x, y) + .05) };
		const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.startsWith("rgba(0, 0, 0, 0")) return c } return "rgb(255, 255, 255)" };
		for (const e of document.querySelectorAll("button, .button, textarea, select, input[type=text]")) {
			const s = getComputedStyle(e), r = ratio(s.borderTopColor, ground(e.parentElement));
			if (s.borderTopStyle == "none" || parseFloat(s.borderTopWidth) < 1) out.push(describe(e) + " has no edge");
			else if (r < 3) out.push(describe(e) + " has an edge of " + r.toFixed(2) + ":1");
		}`
	b.evaluate(unfold, nil)
	defer b.media()
	for _, scheme := range [][]string{{"prefers-color-scheme", "light"}, {"prefers-color-scheme", "dark"}, {"forced-colors", "active"}} {
		b.media(scheme...)
		faults(t, b, p, scheme[1], body)
	}
}

// controls is a JavaScript array of everything that Tab reaches, in the order of the page.
const controls = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
	.filter(e => e.checkVisibility() && (e.type != "radio" || e.checked))`

// focusFault is a JavaScript function: what is wrong with how the focus is seen at
// an element, or "".
const focusFault = describe + `const focusFault = e => {
	const s = getComputedStyle(e), r = e.getBoundingClientRect(), bar = document.querySelector(".leave");
	if (s.outlineStyle == "none" || parseFloat(s.outlineWidth) < 2 || s.outlineColor == getComputedStyle(document.body).backgroundColor) return describe(e) + ": its focus is not seen";
	if (bar && !bar.contains(e) && r.top < bar.getBoundingClientRect().bottom - 1 && r.height < innerHeight / 2) return describe(e) + ": lies under the bar on top";
	if (r.bottom < 0 || r.top > innerHeight) return describe(e) + ": is out of view";
	return "" };`

// testKeyboard: Tab reaches everything that can be used, in the order of the page;
// each time the focus is seen, and nothing lies over it.
func testKeyboard(t *testing.T, b *tab, p kept) {
	var want int
	b.evaluate("(() => {"+focusFault+`
		const start = document.createElement("i"); // some pages put the focus lower down
		start.tabIndex = -1; document.body.prepend(start); start.focus();
		globalThis.order = []; globalThis.unseen = [];
		const all = `+controls+`;
		document.addEventListener("focusin", e => {
			start.remove();
			order.push(all.indexOf(e.target));
			const fault = focusFault(e.target); if (fault) unseen.push(fault) });
		return all.length })()`, &want)
	for range want {
		b.press(tabKey)
	}
	var order []int
	b.evaluate("order", &order)
	faults(t, b, p, "focus", "out.push(...unseen)")
	for i := range want {
		if i >= len(order) || order[i] != i {
			t.Errorf("%s %s: of %d controls, Tab reaches %v", p.lang, p.name, want, order)
			return
		}
	}
}
