package main

const usageES = `Uso:
  resguardo keygen -dir DIR -name APODO [-role auditor] [-passphrase-file ARCHIVO | -no-passphrase] [-json]
  resguardo fetch  -dir DIR [BÓVEDA] [-every 1h] [-json]
  resguardo list   -dir DIR [-passphrase-file ARCHIVO] [-json]
  resguardo open   -dir DIR [-passphrase-file ARCHIVO] CASO
  resguardo export -dir DIR [-passphrase-file ARCHIVO] -to DIR CASO
  resguardo forget -dir DIR [-yes] [-undo] CASO
  resguardo ack    -dir DIR [BÓVEDA] [-accept-keys] CASO
  resguardo reply  -dir DIR [BÓVEDA] [-accept-keys] [-message ARCHIVO|-] [-file ARCHIVO]... CASO
  resguardo note   -dir DIR [BÓVEDA] [-accept-keys] [-message ARCHIVO|-] [-file ARCHIVO]... CASO
  resguardo status -dir DIR [BÓVEDA] [-accept-keys] CASO PALABRA
  resguardo assign -dir DIR [BÓVEDA] [-accept-keys] CASO APODO
  resguardo hold   -dir DIR [BÓVEDA] [-accept-keys] [-lift] CASO
  resguardo close  -dir DIR [BÓVEDA] [-accept-keys] CASO
  resguardo rewrap -dir DIR [BÓVEDA] [-accept-keys] [-source-agrees] -desk CLAVE CASO
  resguardo recuse -dir DIR [BÓVEDA] [-accept-keys] [-desk CLAVE] [-yes] CASO
  resguardo delete -dir DIR [BÓVEDA] [-yes] CASO
  resguardo reading -dir DIR [BÓVEDA]
  resguardo -version
BÓVEDA: [-server URL] [-socks IP:PUERTO|auto | -tor-include ARCHIVO] [-policy ARCHIVO] [-passphrase-file ARCHIVO]

keygen hace tus llaves en DIR; entrega DIR/card.txt a quien opera la bóveda.
fetch trae lo nuevo a DIR, por Tor, y lo compara con el registro público: inicia su
propio tor, con las líneas de torrc de -tor-include, o va por el que escucha en
-socks (auto: el puerto 9050, luego el 9150). Solo una IP de esta misma máquina se
marca directamente. -policy dice qué testigos deben haber firmado el registro; fetch
la recuerda. list numera los casos; CASO es uno de esos números o la clave del caso.
open muestra un caso. export escribe su texto sin cifrar y sus archivos en una
carpeta nueva. forget quita la copia de DIR.

ack avisa a quien envió el reporte que alguien lo lee, reply le contesta; sin
-message se abre tu editor. note, status y assign son solo para tu equipo. hold
impide que la bóveda borre el caso cuando se acaba su plazo; -lift lo permite. close
dice que el equipo hizo lo que pudo. rewrap vuelve a cerrar el caso para otro equipo,
o para una persona nueva del tuyo; recuse saca a tu equipo. delete necesita las firmas
de dos personas revisoras. Todos piden traer antes todo con fetch. Nada se cierra para
una llave que no hayas aceptado: compara las huellas y luego usa -accept-keys.
reading dice que tu equipo lee lo que recibe. Mándalo cada mes: un equipo que no lo ha
dicho en 35 días no se propone a quien reporta.

Nunca se ejecuta ni se desempaca nada de lo que lleva un reporte. Quien abre un
archivo exportado en una computadora común la puede infectar: lee la guía.

Código de salida: 0 bien, 1 falla o alarma, 2 uso incorrecto, 3 el registro público está mal.

Ejemplo:
  resguardo keygen -dir ~/revisora -name ana
  resguardo fetch -dir ~/revisora -server http://….onion
  resguardo open -dir ~/revisora 1
  resguardo ack -dir ~/revisora 1
`
