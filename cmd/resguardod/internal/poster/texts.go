package poster

// texts are the sentences of the page by language.
var texts = map[string]map[string]string{
	"es": {
		"heading": "Cuenta lo que sabes. No pedimos tu nombre.",
		"install": "Instala Tor Browser (de The Tor Project). iPhone: Onion Browser.",
		"open":    "Abre esa app.",
		"type":    "Escribe ahí esta dirección, sin espacios:",
		"never":   "No la abras en otro navegador ni la busques en Google.",
		"photo":   "No le tomes foto si alguien revisa tu teléfono.",
		"words":   "Palabras de control. Compáralas con las de la página. Si son otras, no escribas ahí:",
		"limit":   "Ningún sistema es 100 % seguro. No es para emergencias: podemos tardar días.",
		"qr":      "La misma dirección, para copiarla en Tor Browser. La cámara la abre en otro navegador: no la abras así.",
		"alt":     "La dirección como código QR",
		"run":     "Esta página es de",
	},
	"en": {
		"heading": "Tell us what you know. We do not ask your name.",
		"install": "Install Tor Browser (by The Tor Project). iPhone: Onion Browser.",
		"open":    "Open that app.",
		"type":    "Type this address there, without spaces:",
		"never":   "Do not open it in another browser or search for it on Google.",
		"photo":   "No photo if someone checks your phone.",
		"words":   "Control words. Compare them with those on the page. If they differ, do not write there:",
		"limit":   "No system is 100% safe. Not for emergencies: we may take days.",
		"qr":      "The same address, to copy into Tor Browser. A camera opens it in another browser: do not open it that way.",
		"alt":     "The address as a QR code",
		"run":     "This page is run by",
	},
}
