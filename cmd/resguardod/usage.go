package main

const usage = `Resguardod keeps a vault of sealed reports and serves its pages.

Usage:
    resguardod init      -dir DIR -origin NAME [-epoch 6h] [-lang es,en] [-demo]
                         [-governance-passphrase-file FILE]
    resguardod desk      add -dir DIR -id ID -name-es NAME -name-en NAME -region N,B,C,S
                         [-org ID] [-government yes|no] [-languages es,nah] [-conflict STATES]
                         [-runs-es TEXT] [-runs-en TEXT]
    resguardod desk      list -dir DIR [-json]
    resguardod reviewer  add -dir DIR -desk ID CARD-FILE
    resguardod reviewer  list -dir DIR [-desk ID] [-json]
    resguardod reviewer  revoke -dir DIR [-desk ID] FINGERPRINT
    resguardod serve     -dir DIR [-tor managed] [-tor-include FILE] [-allow-old-tor]
                         [-preview ADDR] [-preview-review ADDR] [-json]
    resguardod serve     -dir DIR -tor system [-sockets DIR] [-preview ADDR] …
    resguardod serve     -dir DIR -tor off -preview ADDR …
    resguardod check     -dir DIR
    resguardod -version

init makes a vault in DIR and, in DIR.keys, the key that must leave this machine.
desk and reviewer work while serve runs, and serve takes the change up at once.
serve starts a tor of its own and keeps its two onion services alive; their keys are
in DIR/onion: back them up. -tor-include adds lines to its torrc (bridges). With
-tor system it prints the lines for a tor that somebody else runs. -preview shows the
pages on loopback, -preview-review the reviewers' door; else no TCP port is open.
check proves the directory. Run it every day.

Flags come before arguments. Data goes to standard output, everything else to
standard error. Messages are in Spanish or English, as LANG says.
Exit codes: 0 done, 1 failed or damaged, 2 not a command line of ours.

Example:
    resguardod init -dir vault -origin reportes.example.org
    resguardod desk add -dir vault -id norte -name-es "Equipo Norte" -name-en "Team North" -region N
    resguardod reviewer add -dir vault -desk norte card.txt
    resguardod serve -dir vault`

const usageES = `Resguardod guarda una bóveda de reportes sellados y sirve sus páginas.

Uso:
    resguardod init      -dir DIR -origin NOMBRE [-epoch 6h] [-lang es,en] [-demo]
                         [-governance-passphrase-file ARCHIVO]
    resguardod desk      add -dir DIR -id ID -name-es NOMBRE -name-en NOMBRE -region N,B,C,S
                         [-org ID] [-government yes|no] [-languages es,nah] [-conflict ESTADOS]
                         [-runs-es TEXTO] [-runs-en TEXTO]
    resguardod desk      list -dir DIR [-json]
    resguardod reviewer  add -dir DIR -desk ID TARJETA
    resguardod reviewer  list -dir DIR [-desk ID] [-json]
    resguardod reviewer  revoke -dir DIR [-desk ID] HUELLA
    resguardod serve     -dir DIR [-tor managed] [-tor-include ARCHIVO] [-allow-old-tor]
                         [-preview DIRECCIÓN] [-preview-review DIRECCIÓN] [-json]
    resguardod serve     -dir DIR -tor system [-sockets DIR] [-preview DIRECCIÓN] …
    resguardod serve     -dir DIR -tor off -preview DIRECCIÓN …
    resguardod check     -dir DIR
    resguardod -version

init crea una bóveda en DIR y, en DIR.keys, la llave que debe salir de esta máquina.
desk y reviewer funcionan mientras corre serve, que toma el cambio de inmediato.
serve arranca un tor propio y mantiene vivos sus dos servicios onion; sus llaves están
en DIR/onion: respáldalas. -tor-include agrega líneas a su torrc (puentes). Con
-tor system imprime las líneas para un tor que corre otra cuenta. -preview muestra las
páginas en esta máquina y -preview-review la puerta de las personas revisoras; sin
ellas no se abre ningún puerto TCP.
check comprueba el directorio. Córrelo todos los días.

Las opciones van antes de los argumentos. Los datos van a la salida estándar y todo lo
demás a la salida de errores. Los mensajes salen en español o inglés, según LANG.
Códigos de salida: 0 hecho, 1 falló o hay daños, 2 no es una línea de comandos válida.

Ejemplo:
    resguardod init -dir boveda -origin reportes.example.org
    resguardod desk add -dir boveda -id norte -name-es "Equipo Norte" -name-en "Team North" -region N
    resguardod reviewer add -dir boveda -desk norte card.txt
    resguardod serve -dir boveda`
