package main

// spanishOfBackup is the part of spanish about backup and restore.
func spanishOfBackup() map[string]string {
	return map[string]string{
		// Reading everything again.
		"all ciphertext was read again: %s items, %s bytes, damaged: %s":  "se volvió a leer todo el texto cifrado: %s elementos, %s bytes, dañados: %s",
		"all ciphertext was last read again on %s":                        "todo el texto cifrado se volvió a leer por última vez el %s",
		"all ciphertext was last read again on %s: %s items, damaged: %s": "todo el texto cifrado se volvió a leer por última vez el %s: %s elementos, dañados: %s",
		"serve does it once a month; or run: resguardod rehash -dir %s":   "serve lo hace una vez al mes; o corre: resguardod rehash -dir %s",
		"at least 64 KiB a second, such as -rate 8MiB":                    "al menos 64 KiB por segundo, por ejemplo -rate 8MiB",
		"the server reads; it goes on when this command is ended":         "lee el servidor; sigue aunque termine este comando",
		"not all ciphertext could be read":                                "no se pudo leer todo el texto cifrado",

		// The command line.
		"backup needs -to and -recipients": "backup necesita -to y -recipients",
		"name the folder of the backups, and the file with the age recipients who may open them": "di cuál es la carpeta de los respaldos y el archivo con los destinatarios de age que pueden abrirlos",
		"-keep and -keep-keys must be at least 1, and -keep-keys at most -keep":                  "-keep y -keep-keys deben ser al menos 1, y -keep-keys no mayor que -keep",
		"the usual numbers are %s and %s":                                                        "los números usuales son %s y %s",
		"the folder of the backups lies in the vault's directory":                                "la carpeta de los respaldos está dentro del directorio de la bóveda",
		"choose one on another disk":                                                             "elige una en otro disco",
		"restore needs -from and -identity":                                                      "restore necesita -from e -identity",
		"name the folder of the backups, and the age identity that opens them":                   "di cuál es la carpeta de los respaldos y la identidad de age que los abre",

		// Recipients and identities.
		"not a file of age recipients: %s":                                              "no es un archivo de destinatarios de age: %s",
		"one recipient a line, all age1… or all age1pq1…, as age-keygen -y prints them": "un destinatario por línea, todos age1… o todos age1pq1…, como los escribe age-keygen -y",
		"not a file of age identities: %s":                                              "no es un archivo de identidades de age: %s",
		"give the file that age-keygen made":                                            "da el archivo que hizo age-keygen",
		"the identity does not open it: the backup was encrypted to others":             "la identidad no lo abre: el respaldo se cifró para otras",
		"give the identity of one of the recipients that backup was called with":        "da la identidad de uno de los destinatarios con que se llamó a backup",

		// Making one.
		"%s is damaged or missing: the backups that hold it are not whole":               "%s está dañado o falta: los respaldos que lo tienen no están completos",
		"what the vault still has is copied again; keep another copy of the folder":      "lo que la bóveda todavía tiene se copia otra vez; guarda otra copia de la carpeta",
		"made backup %s in %s (bytes written: %s; blob files copied: %s, unchanged: %s)": "respaldo %s hecho en %s (bytes escritos: %s; archivos de datos copiados: %s, sin cambios: %s)",
		"%s is damaged in the vault, and not in this backup: %s":                         "%s está dañado en la bóveda y no está en este respaldo: %s",
		"an older backup may have it; keep that one, and see: resguardod check":          "un respaldo anterior puede tenerlo; guarda ese, y mira: resguardod check",
		"the public log has not begun: there is nothing to back up":                      "el registro público no ha empezado: no hay nada que respaldar",
		"another backup of this vault is being made":                                     "ya se está haciendo otro respaldo de esta bóveda",
		"another backup or restore is at work here":                                      "otro respaldo o restauración está trabajando aquí",
		"the copy of the vault broke off: %s":                                            "la copia de la bóveda se interrumpió: %s",
		"no backup was made; look at the server's own messages, then repeat the command": "no se hizo ningún respaldo; mira los mensajes del servidor y repite el comando",
		"nothing that was there is lost; the command can be repeated":                    "nada de lo que había se perdió; se puede repetir el comando",
		"there are no more numbers for backups":                                          "ya no hay números para respaldos",
		"the operator's files are larger than %s bytes together":                         "los archivos de la operación miden juntos más de %s bytes",
		"take out what does not belong there":                                            "saca lo que no debe estar ahí",

		// The folder.
		"the folder holds something else than backups: %s":                               "la carpeta tiene otra cosa que respaldos: %s",
		"the folder holds backups of another vault":                                      "la carpeta tiene respaldos de otra bóveda",
		"choose a folder of its own for each vault":                                      "elige una carpeta propia para cada bóveda",
		"name the folder that backup -to made":                                           "di cuál es la carpeta que hizo backup -to",
		"the file is damaged, was cut short, or is of another backup":                    "el archivo está dañado, incompleto o es de otro respaldo",
		"copy the folder again from where it is whole, or use another backup: -number N": "copia otra vez la carpeta desde donde está completa, o usa otro respaldo: -number N",
		"there is no backup here":                                                        "aquí no hay ningún respaldo",
		"there is no backup %s here":                                                     "aquí no hay ningún respaldo %s",
		"the newest is %s":                                                               "el más nuevo es %s",
		"the keys of backup %s are gone: nothing in it can be read":                      "las llaves del respaldo %s ya no están: no se puede leer nada de él",
		"use a newer backup, or put the file back if you have it":                        "usa un respaldo más nuevo, o pon el archivo en su lugar si lo tienes",

		// Putting one back.
		"choose a new directory; restore never overwrites anything": "elige un directorio nuevo; restore nunca sobrescribe nada",
		"a restore that was cut short has left this":                "esto lo dejó una restauración interrumpida",
		"if no other restore is running, remove it: rm -r %s":       "si no corre otra restauración, quítalo: rm -r %s",
		"restored backup %s to %s":                                  "respaldo %s restaurado en %s",
		"take what the public log has said since from a mirror: resguardod recover -dir %s -mirror DIR|URL; only if you are certain that nothing came after this backup: resguardod check -dir %s -accept-copy": "toma de un espejo lo que el registro público dijo desde entonces: resguardod recover -dir %s -mirror DIR|URL; solo si tienes la certeza de que nada vino después de este respaldo: resguardod check -dir %s -accept-copy",
		"never start the old machine again: two vaults that sign one log are seen as a forgery":                                                                                                                 "no vuelvas a arrancar la máquina vieja: dos bóvedas que firman un mismo registro se ven como una falsificación",
	}
}
