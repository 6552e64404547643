package main

// spanishOfQuestions is the part of spanish about a vault's own questions.
func spanishOfQuestions() map[string]string {
	return map[string]string{
		"there is no [[group]], or one without a [[group.question]]":                                       "no hay ningún [[group]], o hay uno sin [[group.question]]",
		"write one, or remove the file: then the pages ask the questions of the program":                   "escribe uno, o quita el archivo: entonces las páginas hacen las preguntas del programa",
		"the id \"%s\" is not possible":                                                                    "el id \"%s\" no es posible",
		"an id is 1 to 32 of a-z, 0-9 and -, and neither states nor roles, and does not begin with group-": "un id son de 1 a 32 de a-z, 0-9 y -, no es states ni roles, y no empieza con group-",
		"the id %s stands there twice":                                                                     "el id %s está dos veces",
		"give one of the two another id; an id never changes its meaning":                                  "dale otro id a uno de los dos; un id nunca cambia de significado",
		"the type of question %s is not text, one or many":                                                 "el tipo de la pregunta %s no es text, one ni many",
		"text = own words; one, many = of the choices":                                                     "text = con sus palabras; one, many = de las opciones",
		"the choices of question %s do not fit its type":                                                   "las opciones de la pregunta %s no van con su tipo",
		"questions of the type one or many have choices, others have none":                                 "las preguntas de tipo one o many tienen opciones, las demás no",
		"there are more than %s choices in all":                                                            "hay más de %s opciones en total",
		"take some out: the form must stay short":                                                          "quita algunas: el formulario debe ser corto",
		"every text stands there in es and en":                                                             "cada texto va en es y en",
	}
}
