package main

// spanishReading are the texts about the note that a desk reads what it gets.
func spanishReading() map[string]string {
	return map[string]string{
		"a malformed answer to a note": "una respuesta mal formada a una nota",
		"desk %s has not said for %s days that it reads: it is not proposed to sources": "el equipo %s lleva %s días sin decir que lee: no se propone a quien reporta",
		"desk %s reads: noted, %s": "el equipo %s lee: anotado, %s",
		"desk %s said %s days ago that it reads: after %s days it is not proposed to sources any more": "el equipo %s dijo hace %s días que lee: después de %s días ya no se propone a quien reporta",
		"if your desk reads what it gets, say so: resguardo reading -dir %s":                           "si tu equipo lee lo que recibe, dilo: resguardo reading -dir %s",
		"set the clock of this computer; if it is right, tell the operator that the vault's is wrong":  "pon en hora el reloj de esta computadora; si está bien, avisa a quien opera que el de la bóveda está mal",
		"tell the operator: the vault's clock may be wrong":                                            "avisa a quien opera: puede que el reloj de la bóveda esté mal",
		"the vault has taken the note of desk %s and does not count it":                                "la bóveda recibió la nota del equipo %s y no la cuenta",
		"the vault knows no day on which desk %s said that it reads: it is not proposed to sources":    "la bóveda no sabe de ningún día en que el equipo %s dijera que lee: no se propone a quien reporta",
		"the vault says that the day of the note is still to come":                                     "la bóveda dice que el día de la nota todavía no llega",
		"this is an auditor's card: only reviewers say that they are reading":                          "esta tarjeta es de auditoría: solo las personas revisoras dicen que leen",
		"Share: not known, for the report does not open here: pass it on to nobody":                    "Compartir: no se sabe, porque el reporte no abre aquí: no lo pases a nadie",
		"your card is in no desk": "tu tarjeta no está en ningún equipo",
	}
}
