package main

import (
	"maps"

	"resguardo/cmd/internal/say"
)

func catalogue() say.Catalogue { return say.Catalogue{Texts: spanish(), Errors: spanishErrors()} }

// spanish maps every text of the program to Spanish. A test compares it with
// the texts that the code uses.
func spanish() map[string]string {
	all := spanishLog()
	maps.Copy(all, spanishAccount())
	return all
}

// spanishLog maps the texts about the log alone.
func spanishLog() map[string]string {
	return map[string]string{
		usage: usageES,

		// The command line.
		"%s":                                    "%s",
		"%s: %s":                                "%s: %s",
		"%s (%s)":                               "%s (%s)",
		"%s, line %s: %s":                       "%s, línea %s: %s",
		"resguardo-audit %s (%s)":               "resguardo-audit %s (%s)",
		"resguardo-audit -h shows the commands": "resguardo-audit -h muestra los comandos",
		"resguardo-audit -h shows the flags":    "resguardo-audit -h muestra las opciones",
		"no command given":                      "falta el comando",
		"unknown command %s":                    "comando desconocido: %s",
		"unknown flag %s":                       "opción desconocida: %s",
		"the flag %s needs a value":             "la opción %s necesita un valor",
		"%s is not a value for -%s":             "%s no es un valor para -%s",
		"one argument too many: %s":             "sobra un argumento: %s",
		"write: %s":                             "escribe: %s",
		"interrupted":                           "interrumpido",
		"-url is missing":                       "falta -url",
		"name the folder that holds the file checkpoint: -url http://….onion/log/": "di en qué carpeta está el archivo checkpoint: -url http://….onion/log/",
		"-policy is missing": "falta -policy",
		"ask the operator, and somebody else, for the policy file: it names the log's key; the log's own word is worth nothing": "pide el archivo de la política a quien opera la bóveda y a alguien más: dice cuál es la llave del registro; lo que el registro diga de sí mismo no vale",
		"-state is missing": "falta -state",
		"name the folder in which follow remembers the log: -state DIR":                                        "di en qué carpeta recuerda follow el registro: -state DIR",
		"-url %s is not the address of a folder":                                                               "-url %s no es la dirección de una carpeta",
		"write http://….onion/log/ or file:///folder/, the folder that holds the file checkpoint":              "escribe http://….onion/log/ o file:///carpeta/, la carpeta que contiene el archivo checkpoint",
		"-socks is for addresses that begin with http":                                                         "-socks es para direcciones que empiezan con http",
		"leave -socks out: %s is on this machine":                                                              "quita -socks: %s está en esta máquina",
		"an onion address is reached through Tor only":                                                         "a una dirección onion solo se llega por Tor",
		"add -socks 127.0.0.1:9050 (the tor service) or -socks 127.0.0.1:9150 (Tor Browser, while it is open)": "agrega -socks 127.0.0.1:9050 (el servicio tor) o -socks 127.0.0.1:9150 (el Navegador Tor, mientras está abierto)",
		"-socks %s is not IP:PORT":                                                                             "-socks %s no es IP:PUERTO",
		"the tor service listens at 127.0.0.1:9050, Tor Browser at 127.0.0.1:9150":                             "el servicio tor escucha en 127.0.0.1:9050, el Navegador Tor en 127.0.0.1:9150",

		// Files and the way to the log.
		"cannot be read: %s":                      "no se puede leer: %s",
		"cannot be used: %s":                      "no se puede usar: %s",
		"cannot be written: %s":                   "no se puede escribir: %s",
		"%s exists already":                       "%s ya existe",
		"name a new file: nothing is overwritten": "da el nombre de un archivo nuevo: nada se sobrescribe",
		"-policy names the file with the log's key and its witnesses":                                                            "-policy es el archivo con la llave del registro y sus testigos",
		"this is no policy that can be used: %s":                                                                                 "esto no es una política que se pueda usar: %s",
		"a policy has exactly one line log KEY, a line witness NAME KEY for each witness, and a line quorum; get the file again": "una política tiene exactamente una línea log LLAVE, una línea witness NOMBRE LLAVE por cada testigo y una línea quorum; consigue otra vez el archivo",
		"give -state another folder":                                                                                             "dale otra carpeta a -state",
		"another resguardo-audit works in %s":                                                                                    "otro resguardo-audit está trabajando en %s",
		"wait until it ends, or end it":                                                                                          "espera a que termine, o termínalo",
		"this is no checkpoint of the policy's log: %s":                                                                          "esto no es un punto de control del registro de la política: %s",
		"each log needs its own -state folder; if the file is damaged, take it from a backup":                                    "cada registro necesita su propia carpeta -state; si el archivo está dañado, tómalo de un respaldo",
		"%s cannot be read: %s":                                                                                                  "no se puede leer %s: %s",
		"the server, the mirror or Tor may be down: try again later; if it stays so, ask the operator and read a mirror":         "quizá no funcionan el servidor, la copia o Tor: inténtalo más tarde; si sigue así, pregunta a quien opera la bóveda y lee una copia",
		"the answer has status %s instead of 200":                                                                                "la respuesta tiene el estado %s en lugar de 200",
		"no whole answer within %s":                                                                                              "no llegó una respuesta completa en %s",
		"the whole log did not arrive within %s":                                                                                 "el registro completo no llegó en %s",
		"nothing listens at %s":                                                                                                  "nada escucha en %s",
		"start the tor service (127.0.0.1:9050) or Tor Browser (127.0.0.1:9150)":                                                 "arranca el servicio tor (127.0.0.1:9050) o el Navegador Tor (127.0.0.1:9150)",
		"%s is missing, although the checkpoint covers it":                                                                       "falta %s, aunque el punto de control lo incluye",
		"a mirror may be in the middle of a change: try again in some minutes; if it stays so, somebody withholds a part of the log: tell the others": "quizá la copia está a medio cambiar: inténtalo en unos minutos; si sigue así, alguien retiene una parte del registro: avisa a las demás personas auditoras",
		"there is no file checkpoint in that folder":                                                  "en esa carpeta no hay ningún archivo checkpoint",
		"-url is the folder that holds it, often …/log/; if it was there yesterday, ask the operator": "-url es la carpeta que lo contiene, casi siempre …/log/; si ayer estaba, pregunta a quien opera la bóveda",

		// What to do.
		"keep a copy of what you downloaded, do not trust this log, and tell the other auditors and the NGOs that use it; do not ask the operator alone":                           "guarda una copia de lo que descargaste, no confíes en este registro y avisa a las demás personas auditoras y a las organizaciones que lo usan; no le preguntes solo a quien opera la bóveda",
		"run it again, and against a mirror: if only one place is wrong, that place changes the log; if it stays so everywhere, do not trust this log and tell the other auditors": "córrelo otra vez, y también contra una copia: si solo un lugar está mal, ese lugar cambia el registro; si está mal en todas partes, no confíes en este registro y avisa a las demás personas auditoras",

		// The checkpoint.
		"what stands there as checkpoint is not one": "lo que hay ahí como punto de control no lo es",
		"look at it in a browser: is the address right, is it the folder of the log? If it is, tell the operator and the other auditors":                "míralo en un navegador: ¿la dirección es correcta, es la carpeta del registro? Si lo es, avisa a quien opera la bóveda y a las demás personas auditoras",
		"the checkpoint was changed after it was signed: the log key's signature does not fit it":                                                       "el punto de control se cambió después de firmarlo: la firma del registro no corresponde",
		"the checkpoint is not signed by the log key that the policy names":                                                                             "el punto de control no está firmado con la llave de registro que dice la política",
		"compare your policy file with somebody who got it elsewhere; if the policy is right, this is not the log: do not trust it and tell the others": "compara tu archivo de política con alguien que lo consiguió por otro lado; si la política es correcta, este no es el registro: no confíes en él y avisa a las demás personas auditoras",
		"this is the log of another vault than the policy is for":                                                                                       "este es el registro de otra bóveda, no la de la política",
		"check -url and -policy; each vault has its own policy file":                                                                                    "revisa -url y -policy; cada bóveda tiene su propio archivo de política",
		"the signature of a witness does not fit the checkpoint":                                                                                        "la firma de un testigo no corresponde al punto de control",
		"a witness signed in the future":                                                                                                                "un testigo firmó en el futuro",
		"is the clock of this machine right? If it is, ask that witness; meanwhile its signature is worth nothing":                                      "¿está bien el reloj de esta máquina? Si lo está, pregunta a ese testigo; mientras tanto su firma no vale",
		"a witness signed before the last epoch was over, when this checkpoint could not exist":                                                         "un testigo firmó antes de que terminara la última época, cuando este punto de control no podía existir",
		"ask that witness whether its clock was wrong; if not, the log was made in advance: tell the other auditors":                                    "pregunta a ese testigo si su reloj estaba mal; si no, el registro se hizo por adelantado: avisa a las demás personas auditoras",
		"the log already holds an epoch that is not over":                                                                                               "el registro ya tiene una época que todavía no termina",
		"is the clock of this machine right? If it is, the log is made in advance: do not trust it and tell the other auditors":                         "¿está bien el reloj de esta máquina? Si lo está, el registro se hace por adelantado: no confíes en él y avisa a las demás personas auditoras",

		// One look at the log.
		"the log is empty: there is nothing to check":                                                                        "el registro está vacío: no hay nada que revisar",
		"the vault has not begun its log; ask the operator":                                                                  "la bóveda no ha empezado su registro; pregunta a quien la opera",
		"the log is late: it stopped growing when its last epoch ended":                                                      "el registro está atrasado: dejó de crecer cuando terminó su última época",
		"a vault that is off makes no epochs: ask the operator; if somebody else sees a newer log, yours is being held back": "una bóveda apagada no hace épocas: pregunta a quien la opera; si alguien más ve un registro más nuevo, el tuyo lo están reteniendo",
		"not witnessed since epoch %s: %s":                                                                                   "sin testigos desde la época %s: %s",
		"too few of the policy's witnesses have signed the newest checkpoint":                                                "el punto de control más nuevo lo firmaron muy pocos testigos de la política",
		"until they do, the operator could show you another log than the others: compare sizes and roots with another auditor; if it lasts longer than a day, ask the operator and the witnesses": "mientras no firmen, quien opera la bóveda podría mostrarte otro registro que a las demás personas: compara tamaño y raíz con otra persona auditora; si dura más de un día, pregunta a quien opera la bóveda y a los testigos",
		"the log says that it has more leaves than this program reads":                                            "el registro dice tener más hojas de las que lee este programa",
		"is that possible? If it is, give a larger number with -max-leaves":                                       "¿es posible? Si lo es, da un número mayor con -max-leaves",
		"the log is much larger than so many leaves need; reading was ended":                                      "el registro es mucho más grande de lo que necesitan tantas hojas; se dejó de leer",
		"an honest log is not like this; if you must read it, give a larger number with -max-leaves":              "un registro honesto no es así; si tienes que leerlo, da un número mayor con -max-leaves",
		"a file is longer than it may be; reading was ended":                                                      "un archivo es más largo de lo que puede ser; se dejó de leer",
		"the policy asks for no witnesses: only your own memory (-state) shows if the log is rewritten":           "la política no pide testigos: solo tu propia memoria (-state) muestra si el registro se reescribe",
		"run follow from cron, and compare the root with other auditors":                                          "corre follow desde cron y compara la raíz con otras personas auditoras",
		"the log names another policy than your file; your file decided":                                          "el registro nombra otra política que tu archivo; decidió tu archivo",
		"ask the operator for the reason and the new file, and compare it with another auditor before you use it": "pide a quien opera la bóveda la razón y el archivo nuevo, y compáralo con otra persona auditora antes de usarlo",

		// One leaf.
		"the log breaks a rule":                                 "el registro rompe una regla",
		"a leaf is of a format that this version does not know": "una hoja tiene un formato que esta versión no conoce",
		"is there a newer resguardo-audit? If not, do not trust this log and tell the other auditors": "¿hay un resguardo-audit más nuevo? Si no, no confíes en este registro y avisa a las demás personas auditoras",
		"a leaf is not written in the one way that is allowed, so it could hide something":            "una hoja no está escrita de la única manera permitida, así que podría esconder algo",
		"a leaf is longer than a leaf can be":                                                         "una hoja es más larga de lo que puede ser una hoja",
		"a note of the operator cannot be read, or says something impossible":                         "una nota de quien opera la bóveda no se puede leer o dice algo imposible",

		// Epochs.
		"a leaf stands for an epoch in which it cannot have been made":                                   "una hoja dice ser de una época en la que no pudo hacerse",
		"something was added to an epoch that was over":                                                  "se agregó algo a una época que ya había terminado",
		"epochs are missing, and no note of the operator says why":                                       "faltan épocas, y ninguna nota de quien opera la bóveda dice por qué",
		"the note about missing epochs does not fit the epochs that are missing":                         "la nota sobre las épocas que faltan no coincide con las que faltan",
		"an epoch has too many or too few leaves: its number of leaves would show how many reports came": "una época tiene hojas de más o de menos: el número de hojas mostraría cuántos reportes llegaron",
		"the leaves of an epoch are not in order: their order would show which came first":               "las hojas de una época no están en orden: su orden mostraría cuál llegó primero",
		"the same leaf stands in the log twice":                                                          "la misma hoja está dos veces en el registro",
		"a note stands in the middle of an epoch":                                                        "hay una nota en medio de una época",
		"the log ends in the middle of an epoch":                                                         "el registro termina en medio de una época",

		// Notes.
		"a note says that it was written after the epoch it stands in":                     "una nota dice que se escribió después de la época en la que está",
		"a change works before others could see it: readers could be added without notice": "un cambio funciona antes de que otras personas pudieran verlo: así se podrían agregar lectores sin aviso",
		"a desk has a reader whose card the log does not know":                             "un equipo tiene a alguien que lee y cuya tarjeta el registro no conoce",
		"a card was replaced by another one with the same fingerprint":                     "una tarjeta se cambió por otra con la misma huella",
		"an auditor's card is a reader of a desk":                                          "la tarjeta de una persona auditora lee en un equipo",
		"there are more desks than there may be":                                           "hay más equipos de los que puede haber",
		"a note about lost reports names leaves that did not exist then":                   "una nota sobre reportes perdidos nombra hojas que entonces no existían",
		"the log does not begin with its genesis, the note that fixes its rules":           "el registro no empieza con su génesis, la nota que fija sus reglas",
		"the log has a second genesis: somebody tries to change its rules":                 "el registro tiene un segundo génesis: alguien intenta cambiar sus reglas",
		"the genesis of this log is of another vault than the policy is for":               "el génesis de este registro es de otra bóveda, no la de la política",
		"the log names another log key for itself than your policy does":                   "el registro dice tener otra llave que la de tu política",
		"a note is not signed": "una nota no está firmada",
		"the signature of a note is wrong: the note was changed, or it is a forgery":       "la firma de una nota está mal: la nota se cambió o es falsa",
		"a note is signed by a key that may not sign it":                                   "una nota está firmada con una llave que no puede firmarla",
		"too few people signed a note":                                                     "muy pocas personas firmaron una nota",
		"a note is missing, repeated or out of order":                                      "una nota falta, se repite o está fuera de orden",
		"a note follows another note than the one before it: one was changed or taken out": "una nota sigue a otra que no es la anterior: alguna se cambió o se quitó",

		// The tree.
		"the log has more leaves than a log may have":                                                                                                 "el registro tiene más hojas de las que puede tener",
		"the log is smaller than it was: its end was cut off, or this is an old copy":                                                                 "el registro es más chico que antes: le cortaron el final, o es una copia vieja",
		"a mirror can be behind: ask the vault itself. If that is smaller too, keep your -state folder, which proves it, and tell the other auditors": "una copia puede estar atrasada: pregunta a la bóveda misma. Si también es más chico, guarda tu carpeta -state, que lo prueba, y avisa a las demás personas auditoras",
		"this log is another one than before: its past was rewritten":                                                                                 "este registro ya no es el de antes: reescribieron su pasado",
		"keep your -state folder: its two signed checkpoints prove it. Do not trust this log, and tell the other auditors and the NGOs that use it":   "guarda tu carpeta -state: sus dos puntos de control firmados lo prueban. No confíes en este registro, y avisa a las demás personas auditoras y a las organizaciones que lo usan",
		"leaves that are served are not the ones that were signed":                                                                                    "las hojas que entrega no son las que se firmaron",
		"a part of the tree that is served is not the one that was signed":                                                                            "una parte del árbol que entrega no es la que se firmó",
		"the leaves and the signed checkpoint do not fit together: a leaf was changed, taken out or put in":                                           "las hojas no corresponden al punto de control firmado: una hoja se cambió, se quitó o se metió",

		// Where.
		"leaf %s, epoch %s: %s": "hoja %s, época %s: %s",
		"leaf %s: %s":           "hoja %s: %s",
		"epoch %s: %s":          "época %s: %s",

		// The summary.
		"log: %s": "registro: %s",
		"size: %s leaves, %s of them events or fillers":                              "tamaño: %s hojas, de ellas %s eventos o rellenos",
		"epochs: none has ended yet; the first is %s, of %s, %s leaves or more each": "épocas: todavía no termina ninguna; la primera es la %s, de %s, con %s hojas o más cada una",
		"epochs: %s to %s, of %s, %s leaves or more each":                            "épocas: de %s a %s, de %s, con %s hojas o más cada una",
		"last epoch ended: %s":                             "la última época terminó: %s",
		"signed by: the log's key and %s":                  "firmado por: la llave del registro y %s",
		"newest witness signature: %s (%s)":                "firma de testigo más nueva: %s (%s)",
		"desk: %s, reviewers: %s":                          "equipo: %s, personas revisoras: %s",
		"auditors: %s":                                     "personas auditoras: %s",
		"kept for: %s days; %s signatures delete a report": "se guarda: %s días; firmas para borrar un reporte: %s",
		"program: build %s, files: %s":                     "programa: versión %s, archivos: %s",
		"epoch %s: %s (from epoch %s)":                     "época %s: %s (desde la época %s)",
		"result: every check passed":                       "resultado: todo lo revisado está bien",
		"result: the log is whole, but see above":          "resultado: el registro está completo, pero mira lo de arriba",
		"no witness is asked for":                          "no se pide ningún testigo",
		"%s of %s witnesses":                               "%s de %s testigos",
		"%s of %s witnesses, none is asked for":            "%s de %s testigos, no se pide ninguno",
		"the log did not grow in epochs %s to %s":          "el registro no creció de la época %s a la %s",
		"an old copy of the vault was put back: what leaves %s to %s stand for is lost": "se puso una copia vieja de la bóveda: se perdió lo que representan las hojas %s a %s",
		"desk %s, reviewers: %s":                                          "equipo %s, personas revisoras: %s",
		"the card of an auditor enters: %s":                               "entra la tarjeta de una persona auditora: %s",
		"the card of a reviewer enters: %s":                               "entra la tarjeta de una persona revisora: %s",
		"root: %s":                                                        "raíz: %s",
		"the card of an auditor leaves: %s":                               "sale la tarjeta de una persona auditora: %s",
		"the log names another policy":                                    "el registro nombra otra política",
		"reports are kept for %s days; %s signatures delete one":          "los reportes se guardan %s días; firmas para borrar uno: %s",
		"the program or what the pages load changed: build %s, files: %s": "cambió el programa o lo que cargan las páginas: versión %s, archivos: %s",
		"published without witnesses from epoch %s on":                    "publicado sin testigos desde la época %s",
		"the operator alone took a card out of desk %s: %s":               "quien opera la bóveda sacó por su cuenta una tarjeta del equipo %s: %s",
		"the operator alone took out a card: %s":                          "quien opera la bóveda sacó por su cuenta una tarjeta: %s",

		// follow.
		"%s, %s leaves to epoch %s, %s": "%s, %s hojas hasta la época %s, %s",
		"ok: %s":                        "bien: %s",
		"ok: %s; warning: %s":           "bien: %s; aviso: %s",
		"attention: %s: %s":             "atención: %s: %s",
		"WRONG: %s: %s":                 "MAL: %s: %s",
		"not checked: %s: %s":           "no se revisó: %s: %s",

		// The receipt.
		"The eight words (they are not shown): ":                                                                       "Las ocho palabras (no se muestran): ",
		"a codename has eight words; these were %s":                                                                    "una clave tiene ocho palabras; escribiste %s",
		"this word is not in the list: %s":                                                                             "esta palabra no está en la lista: %s",
		"standard input holds no codename: words: %s, of them unknown: %s":                                             "la entrada estándar no trae una clave: palabras: %s, desconocidas: %s",
		"a codename is eight words of one list, in one line; without a pipe the program asks for them on the terminal": "una clave son ocho palabras de una misma lista, en una línea; sin tubería, el programa las pide en la terminal",
		"report: not in the log (yet); the log ends with epoch %s (%s)":                                                "reporte: (todavía) no está en el registro; el registro termina con la época %s (%s)",
		"check the words; a report is in the log one epoch after it was sent, at most two: if yours is older than that, somebody keeps it out of the log: tell an auditor, if that is safe for you": "revisa las palabras; un reporte está en el registro una época después de enviarlo, dos a lo más: si el tuyo es más viejo, alguien lo deja fuera del registro: avisa a una persona auditora, si es seguro para ti",
		"%s: in the log at epoch %s (%s to %s)": "%s: en el registro, época %s (de %s a %s)",
		"acknowledged: not yet":                 "leído: todavía no",
		"deleted: no":                           "borrado: no",
		"report":                                "reporte",
		"follow-up %s":                          "información agregada %s",
		"acknowledged (%s)":                     "leído (%s)",
		"reply %s":                              "respuesta %s",
		"note among reviewers %s":               "nota entre personas revisoras %s",
		"passed to other readers %s":            "pasado a otras personas %s",
		"a reviewer stepped back %s":            "una persona revisora se excusó %s",
		"closed (%s)":                           "cerrado (%s)",
		"deleted: its time was over":            "borrado: se acabó su plazo",
		"the source":                            "quien reportó",
		"the reviewers":                         "las personas revisoras",
		"deleted by %s: everything":             "borrado por %s: todo",
		"deleted by %s: one message (%s)":       "borrado por %s: un mensaje (%s)",
		"%s shows that leaf %s is a report, and whoever finds it here knows who sent it": "%s muestra que la hoja %s es un reporte; quien lo encuentre aquí sabe quién lo envió",
		"give it away or delete it; the eight words make it again at any time":           "entrégalo o bórralo; con las ocho palabras se hace otra vez en cualquier momento",
	}
}

// spanishErrors maps errors of the system and of other packages to Spanish.
func spanishErrors() map[string]string {
	return map[string]string{
		"no such file or directory":   "no existe",
		"there is no such file":       "no existe el archivo",
		"permission denied":           "no hay permiso",
		"not a directory":             "no es una carpeta",
		"is a directory":              "es una carpeta",
		"not a regular file":          "no es un archivo normal",
		"file exists":                 "ya existe",
		"connection refused":          "conexión rechazada",
		"no space left on device":     "no queda espacio en el disco",
		"EOF":                         "la respuesta se cortó",
		"unexpected EOF":              "la respuesta se cortó",
		"no log line":                 "falta la línea log",
		"more than one log line":      "hay más de una línea log",
		"no quorum defined in policy": "falta la línea quorum",
	}
}
