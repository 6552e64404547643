package main

import "resguardo/cmd/internal/say"

func catalogue() say.Catalogue { return say.Catalogue{Texts: spanish(), Errors: spanishErrors()} }

// spanish maps every text of the program to Spanish. A test compares it with
// the texts that the code uses.
func spanish() map[string]string {
	return map[string]string{
		usage: usageES,

		// The command line.
		"%s":                          "%s",
		"%s: %s":                      "%s: %s",
		"%s, line %s: %s":             "%s, línea %s: %s",
		"run resguardo -help":         "escribe: resguardo -help",
		"there is no command %s":      "no hay ningún comando %s",
		"%s stands after an argument": "%s está después de un argumento",
		"write flags before arguments: resguardo %s %s …":      "escribe las opciones antes de los argumentos: resguardo %s %s …",
		"%s is one argument too many":                          "sobra el argumento %s",
		"-dir is missing":                                      "falta -dir",
		"-dir DIR names your folder, the one that keygen made": "-dir DIR dice cuál es tu carpeta, la que hizo keygen",
		"which case?": "¿qué caso?",
		"resguardo %s … CASE, where CASE is a number in resguardo list or a case id": "resguardo %s … CASO, donde CASO es un número de resguardo list o la clave de un caso",

		// The folder.
		"there is no folder %s":                                  "no existe la carpeta %s",
		"make one with: resguardo keygen -dir %s -name NICKNAME": "hazla con: resguardo keygen -dir %s -name APODO",
		"%s holds no keys":                                       "en %s no hay llaves",
		"put identity.* and keys.* back from your copy: new keys open no old reports; for a new folder: resguardo keygen -dir %s -name NICKNAME": "devuelve identity.* y keys.* desde tu copia: llaves nuevas no abren reportes viejos; para una carpeta nueva: resguardo keygen -dir %s -name APODO",
		"another resguardo fetch works in %s": "otro resguardo fetch está trabajando en %s",
		"wait until it ends, or end it":       "espera a que termine, o termínalo",
		"%s has more than %s bytes":           "%s tiene más de %s bytes",
		"%s is damaged":                       "%s está dañado",
		"%s is damaged: %s":                   "%s está dañado: %s",
		"delete it and give -server URL again; compare the origin with what the operator told you": "bórralo y vuelve a dar -server URL; compara el nombre de la bóveda con el que te dijo quien la opera",
		"delete it; the next fetch asks the vault again":                                           "bórralo; el próximo fetch vuelve a preguntar a la bóveda",
		"others can read %s":       "otras personas pueden leer %s",
		"run: chmod 600 %s":        "escribe: chmod 600 %s",
		"there is no case %s here": "aquí no hay ningún caso %s",
		"resguardo list shows the cases; resguardo fetch brings new ones": "resguardo list muestra los casos; resguardo fetch trae los nuevos",

		// Keys.
		"%s exists already; nothing was written":                 "%s ya existe; no se escribió nada",
		"choose another folder with -dir":                        "elige otra carpeta con -dir",
		"-name needs a nickname of 1 to 40 letters":              "-name necesita un apodo de 1 a 40 letras",
		"-name NICKNAME; never your real name":                   "-name APODO; nunca tu nombre verdadero",
		"-role %s is neither reviewer nor auditor":               "-role %s no es ni reviewer ni auditor",
		"leave -role out to be a reviewer":                       "sin -role eres persona revisora",
		"-passphrase-file and -no-passphrase exclude each other": "-passphrase-file y -no-passphrase no van juntos",
		"choose one": "elige uno",
		"the keys are not encrypted: whoever copies this folder can read every report sealed to you": "las llaves no están cifradas: quien copie esta carpeta puede leer todos los reportes cerrados para ti",
		"keep the folder on an encrypted disk only":                                                  "guarda la carpeta solo en un disco cifrado",
		"the passphrase is short":                   "la frase de contraseña es corta",
		"six words drawn at random are long enough": "seis palabras sacadas al azar bastan",
		"card %s":        "tarjeta %s",
		"fingerprint %s": "huella %s",
		"give the card to the operator, and nothing else from this folder; it holds no secret and no name": "entrega la tarjeta a quien opera la bóveda, y nada más de esta carpeta; no lleva ni secretos ni nombres",
		"read the fingerprint to the operator in person or by telephone: both must see the same":           "lee la huella a quien opera la bóveda, en persona o por teléfono: las dos personas deben ver la misma",
		"make a copy of the folder now: without identity.* nobody can open reports sealed to you":          "haz ahora una copia de la carpeta: sin identity.* nadie puede abrir los reportes cerrados para ti",
		"Passphrase: ": "Frase de contraseña: ",
		"Choose a passphrase, for example six words drawn at random: ": "Elige una frase de contraseña, por ejemplo seis palabras sacadas al azar: ",
		"The passphrase again: ":                                         "Otra vez la frase: ",
		"the two were empty or not equal; once more":                     "estaban vacías o no eran iguales; otra vez",
		"a passphrase is needed, and there is no terminal to ask for it": "hace falta la frase de contraseña, y no hay una terminal donde pedirla",
		"give -passphrase-file FILE":                                     "usa -passphrase-file ARCHIVO",
		"not one line with a passphrase":                                 "no es una sola línea con una frase de contraseña",
		"the file holds the passphrase and nothing else":                 "el archivo lleva la frase de contraseña y nada más",
		"the passphrase does not open %s":                                "la frase de contraseña no abre %s",
		"try again; nobody can recover it":                               "inténtalo otra vez; nadie puede recuperarla",
		"take it from your backup":                                       "tómalo de tu respaldo",
		"take the file from your backup":                                 "toma el archivo de tu respaldo",
		"take both from the same backup":                                 "toma los dos del mismo respaldo",
		"%s is not one age identity AGE-SECRET-KEY-PQ-…":                 "%s no es una identidad de age AGE-SECRET-KEY-PQ-…",
		"not the key that belongs here":                                  "no es la llave que va aquí",
		"%s belongs to other keys than the key file beside it":           "%s es de otras llaves que las que están a su lado",

		// The vault and the way to it.
		"which vault?": "¿qué bóveda?",
		"give -server URL once; fetch remembers it":                                                   "da -server URL una vez; fetch la recuerda",
		"-every %s is less than a minute":                                                             "-every %s es menos de un minuto",
		"-every 1h fetches every hour":                                                                "-every 1h trae lo nuevo cada hora",
		"-socks and -tor-include exclude each other":                                                  "-socks y -tor-include no van juntos",
		"-tor-include is for the tor that resguardo starts, -socks is for one that runs already":      "-tor-include es para el tor que inicia resguardo, -socks es para uno que ya está abierto",
		"-socks %s is neither IP:PORT nor auto":                                                       "-socks %s no es IP:PUERTO ni auto",
		"Tor Browser listens at 127.0.0.1:9150, the tor service at 127.0.0.1:9050; auto tries both":   "el Navegador Tor escucha en 127.0.0.1:9150, el servicio tor en 127.0.0.1:9050; auto prueba los dos",
		"%s is no onion address: a character is wrong or missing":                                     "%s no es una dirección onion: falta una letra o hay una equivocada",
		"copy the whole address that the operator gave you: 56 letters and digits, then .onion":       "copia completa la dirección que te dio quien opera la bóveda: 56 letras y números, y luego .onion",
		"%s is on the open network, where resguardo never goes":                                       "%s está en la red abierta, y resguardo nunca sale ahí",
		"a vault for reviewers is an onion service: ask the operator for its address, http://….onion": "para las personas revisoras la bóveda es un servicio onion: pide su dirección, http://….onion, a quien la opera",
		"check that the address is right; the next fetch goes on where this one stopped":              "revisa que la dirección sea correcta; el próximo fetch sigue donde este se quedó",
		"interrupted":                               "interrumpido",
		"%s is not the address of a vault":          "%s no es la dirección de una bóveda",
		"it looks like http://….onion":              "se ve así: http://….onion",
		"no answer from %s: %s":                     "no hay respuesta de %s: %s",
		"the vault at %s does not let this card in": "la bóveda en %s no deja entrar a esta tarjeta",
		"ask the operator whether the card is added, or was revoked, and whether the address is right": "pregunta a quien opera la bóveda si la tarjeta está dada de alta o fue revocada, y si la dirección es correcta",
		"the vault says that %s is not its address":                                                    "la bóveda dice que %s no es su dirección",
		"ask the operator for the reviewers' address":                                                  "pide a quien opera la bóveda la dirección para personas revisoras",
		"the vault at %s answers with status %s":                                                       "la bóveda en %s responde con el código %s",
		"try again later; if it stays, tell the operator":                                              "inténtalo más tarde; si sigue igual, avisa a quien opera la bóveda",
		"the vault at %s calls itself %s, but yours is %s":                                             "la bóveda en %s dice llamarse %s, pero la tuya es %s",
		"nothing was signed; ask the operator by another way before you go on":                         "no se firmó nada; pregunta por otro medio a quien opera la bóveda antes de seguir",
		"this folder now belongs to the vault %s; compare this name with what the operator told you":   "desde ahora esta carpeta es de la bóveda %s; compara este nombre con el que te dijo quien la opera",

		// Tor.
		"there is no tor program on this computer":                                            "en esta computadora no hay ningún programa tor",
		"install tor (on Debian: apt install tor), or start Tor Browser and give -socks auto": "instala tor (en Debian: apt install tor), o abre el Navegador Tor y usa -socks auto",
		"this computer's tor is older than 0.4.9.11; its defences may not hold":               "el tor de esta computadora es anterior a 0.4.9.11; quizá sus defensas no basten",
		"install a newer one":                                          "instala uno más nuevo",
		"tor refuses its configuration: %s":                            "tor rechaza su configuración: %s",
		"correct the file that -tor-include names":                     "corrige el archivo que indica -tor-include",
		"tor does not start: %s":                                       "tor no inicia: %s",
		"the Tor network was not reached; tor came to %s and says: %s": "no se llegó a la red Tor; tor avanzó hasta %s y dice: %s",
		"the Tor network was not reached; tor came to %s":              "no se llegó a la red Tor; tor avanzó hasta %s",
		"check the connection and the clock of this computer; where Tor is blocked, put the lines of a bridge into a file and give -tor-include FILE": "revisa la conexión y el reloj de esta computadora; donde Tor esté bloqueado, escribe las líneas de un puente en un archivo y usa -tor-include ARCHIVO",
		"no tor found at %s": "no hay ningún tor en %s",
		"no tor found, neither at 127.0.0.1:9050 nor at 127.0.0.1:9150":                                                    "no hay ningún tor, ni en 127.0.0.1:9050 ni en 127.0.0.1:9150",
		"start Tor Browser and leave it open, or start the tor service; without -socks, resguardo starts a tor of its own": "abre el Navegador Tor y déjalo abierto, o inicia el servicio tor; sin -socks, resguardo inicia su propio tor",
		"going through the tor at %s":    "se usa el tor en %s",
		"no onion service answers at %s": "ningún servicio onion responde en %s",
		"the vault is down, or the address is wrong; try again later, and if it stays, ask the operator": "la bóveda está apagada o la dirección está mal; inténtalo más tarde y, si sigue igual, pregunta a quien la opera",
		"your card is not, or no longer, added at the vault %s":                                          "tu tarjeta no está, o ya no está, dada de alta en la bóveda %s",
		"the tor at %s lacks your key to %s, or your card is not, or no longer, added there":             "el tor en %s no tiene tu llave para %s, o tu tarjeta no está, o ya no está, dada de alta ahí",
		"the tor at %s does not reach %s: %s":                                                            "el tor en %s no llega a %s: %s",
		"tor does not reach %s: %s":                                                                      "tor no llega a %s: %s",
		"the next fetch goes on where this one stopped":                                                  "el próximo fetch sigue donde este se quedó",
		"give that tor your key: copy %s into the folder that ClientOnionAuthDir names in its torrc and reload it; or open %s in Tor Browser and, when it asks for the key, paste what stands after x25519: in that file": "dale tu llave a ese tor: copia %s a la carpeta que ClientOnionAuthDir indica en su torrc y recárgalo; o abre %s en el Navegador Tor y, cuando pida la llave, pega lo que está después de x25519: en ese archivo",

		// What no honest vault sends.
		"the server at %s sends what no vault sends: %s":                                    "el servidor en %s envía lo que ninguna bóveda envía: %s",
		"nothing of it was used; ask the operator and the other reviewers before you go on": "no se usó nada de eso; pregunta a quien opera la bóveda y a las demás personas revisoras antes de seguir",
		"a redirect":                                  "un desvío a otra dirección",
		"an answer of more than %s bytes":             "una respuesta de más de %s bytes",
		"a malformed challenge":                       "un reto mal formado",
		"a malformed session":                         "una sesión mal formada",
		"a list that is not the JSON of a list":       "una lista que no es el JSON de una lista",
		"a list of more than %s items":                "una lista de más de %s elementos",
		"item %s of the list: %s":                     "elemento %s de la lista: %s",
		"item %s of the list: stands there twice":     "elemento %s de la lista: está dos veces",
		"%s bytes instead of %s":                      "%s bytes en lugar de %s",
		"another part of the item than was asked for": "otra parte del elemento que la pedida",
		"more bytes than its list says":               "más bytes de los que dice su lista",

		// Fetching.
		"%s of %s":                      "%s de %s",
		"%s: %s %s":                     "%s: %s %s",
		"nothing new; items listed: %s": "nada nuevo; elementos en la lista: %s",
		"log not checked: this version does not compare the items with the public log":                       "registro no revisado: esta versión no compara los elementos con el registro público",
		"the vault lists another item in the place of %s":                                                    "la bóveda pone otro elemento en el lugar de %s",
		"the vault now describes %s otherwise than before (hash, size, day or place)":                        "la bóveda ahora describe %s de otro modo que antes (hash, tamaño, día o lugar)",
		"your copy was not touched; ask the operator and the other reviewers why":                            "tu copia no se tocó; pregunta por qué a quien opera la bóveda y a las demás personas revisoras",
		"the vault does not list %s any more":                                                                "la bóveda ya no tiene en su lista %s",
		"your copy stays; items go when they are deleted, when their time is over, or when you leave a desk": "tu copia se queda; un elemento desaparece cuando se borra, cuando se acaba su plazo o cuando dejas un equipo",
		"what the vault sent for %s is not what its list says (hash)":                                        "lo que la bóveda envió para %s no es lo que dice su lista (hash)",
		"nothing was kept; the next fetch tries again; if it stays, tell the operator":                       "no se guardó nada; el próximo fetch lo intenta otra vez; si sigue igual, avisa a quien opera la bóveda",

		// list.
		"no cases here; resguardo fetch brings new ones": "aquí no hay casos; resguardo fetch trae los nuevos",
		"new":                       "nuevo",
		"opened":                    "abierto",
		"not complete, fetch again": "incompleto, usa fetch otra vez",
		"no longer in the vault":    "ya no está en la bóveda",

		// open.
		"this folder knows no vault, so nothing shows whether the report belongs to the right one": "esta carpeta no conoce ninguna bóveda: nada muestra si el reporte es de la correcta",
		"resguardo fetch remembers the vault":                                                      "resguardo fetch recuerda la bóveda",
		"no item of case %s is here":                                                               "aquí no hay ningún elemento del caso %s",
		"resguardo fetch brings it; after resguardo forget, run resguardo forget -undo first":      "resguardo fetch lo trae; después de resguardo forget, usa primero resguardo forget -undo",
		"items of this case that are not here: %s":                                                 "elementos de este caso que faltan aquí: %s",
		"resguardo fetch brings the rest":                                                          "resguardo fetch trae lo que falta",
		"q: leave   space: next page   b: page before   j, k: lines":                               "q: salir   espacio: página siguiente   b: página anterior   j, k: líneas",
		"%s cannot be marked as opened":                                                            "no se pudo marcar %s como abierto",
		"%s is not sealed to your key":                                                             "%s no está cerrado para tu llave",
		"if your card was in force on its day, the file is damaged or another key was put in the place of yours: ask the other reviewers whether they can open it, and tell them": "si tu tarjeta valía ese día, el archivo está dañado o alguien puso otra llave en lugar de la tuya: pregunta a las demás personas revisoras si lo pueden abrir, y avísales",
		"%s does not open: %s": "%s no se abre: %s",
		"it is not what your vault sealed, or it is damaged; fetch it again: resguardo forget, then forget -undo, then fetch": "no es lo que tu bóveda cerró, o está dañado; tráelo otra vez: resguardo forget, luego forget -undo, luego fetch",
		"do not act on this report before you have asked the operator and the other reviewers":                                "no actúes con este reporte antes de preguntar a quien opera la bóveda y a las demás personas revisoras",
		"%s: the vault lists kind and day as %s %s, inside stands %s %s":                                                      "%s: la bóveda dice que su tipo y día son %s %s, adentro dice %s %s",
		"%s: its header cannot be read: %s":                                                                                   "%s: no se puede leer su encabezado: %s",
		"%s is sealed to %s keys, but names %s readers: someone who is not named may read it":                                 "%s está cerrado para %s llaves, pero nombra a %s personas lectoras: alguien que no está nombrado quizá lo pueda leer",
		"%s is sealed to keys of the types %s, but names the types %s: a key was put in the place of another":                 "%s está cerrado para llaves de los tipos %s, pero nombra los tipos %s: pusieron una llave en lugar de otra",
		"%s does not name your key among its readers, but your key opens it":                                                  "%s no nombra tu llave entre las que lo leen, pero tu llave lo abre",

		// What open shows.
		"Case %s (%s in list), item %s: %s": "Caso %s (%s en list), elemento %s: %s",
		"ALARM: %s":                         "ALARMA: %s",
		"Share: %s":                         "Compartir: %s",
		"with other organisations, not with authorities": "con otras organizaciones, no con autoridades",
		"also with authorities":                          "también con autoridades",
		"with NOBODY":                                    "con NADIE",
		"ask the source first":                           "pregunta primero a quien lo envió",
		"Day: %s":                                        "Día: %s",
		"Desks: %s":                                      "Equipos: %s",
		"Must not read it: %s":                           "No deben leerlo: %s",
		"desk %s":                                        "equipo %s",
		"organisation %s":                                "organización %s",
		"every desk with ties to government":             "todo equipo con relación con el gobierno",
		"Keys that open it: %s":                          "Llaves que lo abren: %s",
		"Message:":                                       "Mensaje:",
		"Answers:":                                       "Respuestas:",
		"Answers (form in language %s):":                 "Respuestas (formulario en el idioma %s):",
		"%s cannot be read: %s":                          "no se puede leer %s: %s",
		"Files (resguardo export writes them; open them only where malware does no harm):": "Archivos (resguardo export los escribe; ábrelos solo donde un virus no haga daño):",
		"%s: %s, declared name %s, declared type %s":                                       "%s: %s, nombre declarado %s, tipo declarado %s",
		"    an age file that your key does not open":                                      "    un archivo de age que tu llave no abre",
		"    an age file that is damaged: %s":                                              "    un archivo de age que está dañado: %s",
		"    an age file; your key opens it; the text inside:":                             "    un archivo de age; tu llave lo abre; el texto que lleva:",
		"    an age file; your key opens it; inside, by its first bytes: %s, %s":           "    un archivo de age; tu llave lo abre; adentro, según sus primeros bytes: %s, %s",

		// export and forget.
		"-to is missing": "falta -to",
		"-to DIR names a new folder for the clear text":                                                       "-to DIR dice en qué carpeta nueva queda el texto sin cifrar",
		"%s is not empty; nothing was written":                                                                "%s no está vacía; no se escribió nada",
		"choose a new folder with -to":                                                                        "elige una carpeta nueva con -to",
		"these files are not encrypted, and a stranger made them":                                             "estos archivos no están cifrados, y los hizo una persona desconocida",
		"open them only in Tails, Dangerzone or on a computer without network; delete them when you are done": "ábrelos solo en Tails, con Dangerzone o en una computadora sin red; bórralos cuando termines",
		"nothing of this item was kept; fetch it again: resguardo forget, then forget -undo, then fetch":      "no se guardó nada de este elemento; tráelo otra vez: resguardo forget, luego forget -undo, luego fetch",
		"Remove case %s from this folder? Write yes: ":                                                        "¿Quitar el caso %s de esta carpeta? Escribe sí: ",
		"nothing was removed": "no se quitó nada",
		"nothing was removed: there is no terminal to ask whether you are sure": "no se quitó nada: no hay una terminal donde preguntarte si es seguro",
		"give -yes":                           "usa -yes",
		"case %s is removed from this folder": "el caso %s ya no está en esta carpeta",
		"the vault, the other reviewers, exports and backups still have their copies":                        "la bóveda, las demás personas revisoras, lo exportado y los respaldos siguen teniendo sus copias",
		"parts of the removed file may stay on this disk; they are encrypted, but your key still opens them": "en este disco pueden quedar partes del archivo; están cifradas, pero tu llave todavía las abre",
		"fetch will not bring the case back; resguardo forget -undo lets it":                                 "fetch ya no traerá el caso; resguardo forget -undo se lo permite",
		"the next fetch brings the case back, if the vault still has it":                                     "el próximo fetch trae el caso otra vez, si la bóveda todavía lo tiene",
	}
}

// spanishErrors maps errors of the system and of the list's items.
func spanishErrors() map[string]string {
	return map[string]string{
		"permission denied":                          "permiso denegado",
		"no such file or directory":                  "no existe el archivo o la carpeta",
		"not a directory":                            "no es una carpeta",
		"is a directory":                             "es una carpeta",
		"file exists":                                "ya existe",
		"no space left on device":                    "no queda espacio en el disco",
		"disk quota exceeded":                        "se acabó la cuota de disco",
		"read-only file system":                      "el sistema de archivos es de solo lectura",
		"input/output error":                         "error del disco",
		"connection refused":                         "nada escucha ahí",
		"connection reset by peer":                   "se cortó la conexión",
		"unexpected EOF":                             "se cortó la conexión",
		"EOF":                                        "se cortó la conexión",
		"unknown error general SOCKS server failure": "no llegó, y no dice por qué",
		"unknown error host unreachable":             "no hay camino",
		"unknown error connection refused":           "nada escucha ahí",
		"malformed id":                               "clave mal formada",
		"malformed case":                             "caso mal formado",
		"unknown kind":                               "tipo desconocido",
		"number out of range":                        "número fuera de lugar",
		"size out of range":                          "tamaño imposible",
		"malformed hash":                             "hash mal formado",
		"malformed day":                              "día mal formado",
		"malformed desk":                             "equipo mal formado",
	}
}

const usageES = `Uso:
  resguardo keygen -dir DIR -name APODO [-role auditor] [-passphrase-file ARCHIVO | -no-passphrase]
  resguardo fetch  -dir DIR [-server URL] [-socks IP:PUERTO|auto | -tor-include ARCHIVO] [-passphrase-file ARCHIVO] [-every 1h] [-json]
  resguardo list   -dir DIR [-json]
  resguardo open   -dir DIR [-passphrase-file ARCHIVO] CASO
  resguardo export -dir DIR [-passphrase-file ARCHIVO] -to DIR CASO
  resguardo forget -dir DIR [-yes] [-undo] CASO
  resguardo -version

keygen hace tus llaves en DIR; entrega DIR/card.txt a quien opera la bóveda.
fetch trae a DIR los reportes cerrados nuevos, por Tor: inicia su propio tor, con
las líneas de torrc de -tor-include, o va por el que escucha en -socks (auto: el
puerto 9050, luego el 9150). Solo una IP de esta misma máquina se marca
directamente. list numera los casos; CASO es uno de esos números o la clave del
caso. open muestra un caso. export escribe su texto sin cifrar y sus archivos en
una carpeta nueva. forget quita la copia de DIR.

Nunca se ejecuta ni se desempaca nada de lo que lleva un reporte. Quien abre un
archivo exportado en una computadora común la puede infectar: lee la guía.

Código de salida: 0 bien, 1 falla o alarma, 2 uso incorrecto.

Ejemplo:
  resguardo keygen -dir ~/revisora -name ana
  resguardo fetch -dir ~/revisora -server http://….onion
  resguardo list -dir ~/revisora
  resguardo open -dir ~/revisora 1
`
