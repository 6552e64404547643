package main

// spanishOfReading is the part of spanish about desks that are silent.
func spanishOfReading() map[string]string {
	return map[string]string{
		"READING":       "LEE",
		"set the clock": "pon el reloj en hora",
		"a reviewer of the desk who reads it sends a sign of life with: resguardo reading":                "una persona revisora del equipo que sí lee da señal con: resguardo reading",
		"desk %s counts as silent, so it is not proposed to sources: its last sign is of %s, after today": "el equipo %s cuenta como callado y no se propone a quien reporta: su última señal es del %s, después de hoy",
		"desk %s is silent since %s, so it is not proposed to sources":                                    "el equipo %s está callado desde el %s y no se propone a quien reporta",
		"remove it; a reviewer of the desk sends a new one with: resguardo reading":                       "quítalo; una persona revisora del equipo manda una nota nueva con: resguardo reading",
		"this is not a note that desk %s is read":                                                         "esto no es una nota de que alguien lee en el equipo %s",
	}
}
