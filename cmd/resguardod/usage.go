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
    resguardod auditor   add -dir DIR CARD-FILE
    resguardod auditor   list -dir DIR [-json]
    resguardod auditor   revoke -dir DIR FINGERPRINT
    resguardod sign      -key FILE [-passphrase-file FILE] REQUEST…
    resguardod serve     -dir DIR [-tor managed] [-tor-include FILE] [-allow-old-tor]
                         [-preview ADDR] [-preview-review ADDR] [-json]
    resguardod serve     -dir DIR -tor system [-sockets DIR] [-preview ADDR] …
    resguardod serve     -dir DIR -tor off -preview ADDR …
    resguardod check     -dir DIR [-accept-gap] [-accept-copy]
    resguardod rehash    -dir DIR [-rate 8MiB]
    resguardod log       export -dir DIR -to DIR
    resguardod recover   -dir DIR -mirror DIR|URL [-socks HOST:PORT]
    resguardod backup    -dir DIR -to DIR -recipients FILE [-keep N] [-keep-keys N]
    resguardod restore   -dir DIR -from DIR -identity FILE [-number N] [-passphrase-file FILE]
    resguardod poster    -dir DIR [-lang es|en] [-desk ID]
    resguardod -version

init makes a vault in DIR and, in DIR.keys, the key that must leave this machine.
desk, reviewer and auditor work while serve runs. Who is revoked is out at once; who is
added waits until the public log says so, which needs the governance key: while it lies
in DIR.keys it is used, else sign it elsewhere: copy the files of DIR/requests there,
sign them with sign, and copy them back.
serve starts a tor of its own and keeps its two onion services alive; their keys are
in DIR/onion: back them up. -tor-include adds lines to its torrc (bridges). With
-tor system it prints the lines for a tor that somebody else runs. -preview shows the
pages on loopback, -preview-review the reviewers' door; else no TCP port is open.
check proves the directory. Run it every day. -accept-gap lets the public log go on
after more than 30 days, -accept-copy when nobody can say whether this copy is the newest.
rehash reads all ciphertext again from the disk, at most -rate bytes a second, and names
what is damaged; a running server does it, and goes on when the command is ended. serve
does it by itself, once a month.
log export writes the public log as files for any web host; run it every day, because
recover takes from there what an old copy of the vault lacks of the log.
backup adds a copy, encrypted with age to the recipients in FILE, also while serve runs.
It keeps 30 backups and the keys of the newest 7: what the vault deletes is unreadable in
the backups once the keys from before are gone, so never copy the folder keys to where it
cannot be deleted. restore makes DIR from the newest one; then run recover.
poster prints a page with the address and control words, as HTML for a browser to print.

Flags come before arguments. Data goes to standard output, everything else to
standard error. Messages are in Spanish or English, as LANG says.
Exit codes: 0 done, 1 failed or damaged, 2 not a command line of ours, 3 the public log
is inconsistent.

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
    resguardod auditor   add -dir DIR TARJETA
    resguardod auditor   list -dir DIR [-json]
    resguardod auditor   revoke -dir DIR HUELLA
    resguardod sign      -key ARCHIVO [-passphrase-file ARCHIVO] SOLICITUD…
    resguardod serve     -dir DIR [-tor managed] [-tor-include ARCHIVO] [-allow-old-tor]
                         [-preview DIRECCIÓN] [-preview-review DIRECCIÓN] [-json]
    resguardod serve     -dir DIR -tor system [-sockets DIR] [-preview DIRECCIÓN] …
    resguardod serve     -dir DIR -tor off -preview DIRECCIÓN …
    resguardod check     -dir DIR [-accept-gap] [-accept-copy]
    resguardod rehash    -dir DIR [-rate 8MiB]
    resguardod log       export -dir DIR -to DIR
    resguardod recover   -dir DIR -mirror DIR|URL [-socks HOST:PUERTO]
    resguardod backup    -dir DIR -to DIR -recipients ARCHIVO [-keep N] [-keep-keys N]
    resguardod restore   -dir DIR -from DIR -identity ARCHIVO [-number N] [-passphrase-file ARCHIVO]
    resguardod poster    -dir DIR [-lang es|en] [-desk ID]
    resguardod -version

init crea una bóveda en DIR y, en DIR.keys, la llave que debe salir de esta máquina.
desk, reviewer y auditor funcionan mientras corre serve. Quien se revoca queda fuera de
inmediato; quien entra espera hasta que lo diga el registro público, y eso necesita la
llave de gobierno: mientras esté en DIR.keys se usa; si no, firma en otra máquina: copia
allá los archivos de DIR/requests, fírmalos con sign y cópialos de regreso.
serve arranca un tor propio y mantiene vivos sus dos servicios onion; sus llaves están
en DIR/onion: respáldalas. -tor-include agrega líneas a su torrc (puentes). Con
-tor system imprime las líneas para un tor que corre otra cuenta. -preview muestra las
páginas en esta máquina y -preview-review la puerta de las personas revisoras; sin
ellas no se abre ningún puerto TCP.
check comprueba el directorio. Córrelo todos los días. -accept-gap deja seguir al registro
público después de más de 30 días, y -accept-copy cuando nadie puede decir si esta copia
es la más nueva.
rehash vuelve a leer del disco todo el texto cifrado, a -rate bytes por segundo como
máximo, y dice qué está dañado; si hay un servidor corriendo lo hace él, y sigue aunque
termine el comando. serve lo hace por su cuenta, una vez al mes.
log export escribe el registro público en archivos para cualquier servidor web; córrelo
todos los días: de ahí toma recover lo que le falta del registro a una copia vieja.
backup agrega una copia, cifrada con age para los destinatarios de ARCHIVO, también
mientras corre serve. Guarda 30 respaldos y las llaves de los 7 más nuevos: lo que la
bóveda borra queda ilegible en los respaldos cuando ya no están las llaves de antes, así
que nunca copies la carpeta keys a donde no se pueda borrar. restore hace DIR con el más
nuevo; después corre recover.
poster imprime una página con la dirección y palabras de control, en HTML para imprimir
desde un navegador.

Las opciones van antes de los argumentos. Los datos van a la salida estándar y todo lo
demás a la salida de errores. Los mensajes salen en español o inglés, según LANG.
Códigos de salida: 0 hecho, 1 falló o hay daños, 2 no es una línea de comandos válida,
3 el registro público es inconsistente.

Ejemplo:
    resguardod init -dir boveda -origin reportes.example.org
    resguardod desk add -dir boveda -id norte -name-es "Equipo Norte" -name-en "Team North" -region N
    resguardod reviewer add -dir boveda -desk norte card.txt
    resguardod serve -dir boveda`
