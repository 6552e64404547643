package main

// spanishOfLanguages is the part of spanish about languages that a vault adds.
func spanishOfLanguages() map[string]string {
	return map[string]string{
		"there is no file for the language %s":                                       "no hay archivo para el idioma %s",
		"write it (see docs/operator.md, Languages), or take the language out of %s": "escríbelo (mira docs/operator.md, Languages), o quita el idioma de %s",
		"es, es-usted, en": "es, es-usted, en",
		"es, es-usted, en, or the code of a file in %s":                          "es, es-usted, en, o el código de un archivo en %s",
		"this is not the code of a language to add":                              "esto no es el código de un idioma que se pueda agregar",
		"name the file after its code of two or three letters, such as nah.toml": "nombra el archivo con su código de dos o tres letras, como nah.toml",
		"%s is missing, or not as it must be":                                    "falta %s, o no es como debe ser",
		"no text has the key %s":                                                 "ningún texto tiene la clave %s",
		"%s is neither a text nor a table of the forms one and other":            "%s no es un texto ni una tabla de las formas one y other",
		"write one text in quotes, or both forms":                                "escribe un texto entre comillas, o las dos formas",
		"%s has no text": "%s no tiene texto",
		"write the text, or remove the line: then the page shows the text of the base":                   "escribe el texto, o quita la línea: entonces la página muestra el texto del idioma base",
		"%s does not have the places for values that its text has in the base":                           "%s no tiene los lugares para valores que tiene su texto en el idioma base",
		"keep these, each where it belongs: %s":                                                          "conserva estos, cada uno en su lugar: %s",
		"write the text without {{ and }}":                                                               "escribe el texto sin {{ ni }}",
		"%s has a < or a >":                                                                              "%s tiene un < o un >",
		"write plain text: pages take no markup from a language":                                         "escribe texto simple: las páginas no toman marcas de un idioma",
		"%s has more than %s characters":                                                                 "%s tiene más de %s caracteres",
		"write what its speakers call the language, in at most 40 characters: name = \"Maayat'aan\"":     "escribe cómo llaman al idioma sus hablantes, en 40 caracteres como máximo: name = \"Maayat'aan\"",
		"write base = \"es\" or base = \"en\": what the file leaves out is shown in that language":       "escribe base = \"es\" o base = \"en\": lo que falte en el archivo se muestra en ese idioma",
		"write reviewed = false, or who read every text and when: reviewed = \"Nicté, 3 December 2026\"": "escribe reviewed = false, o quién leyó todos los textos y cuándo: reviewed = \"Nicté, 3 de diciembre de 2026\"",
	}
}
