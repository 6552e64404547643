package main

const usage = `Resguardo-audit checks the public log of a vault, and the vault against it.

Usage:
    resguardo-audit verify  -url URL -policy FILE [-socks IP:PORT] [-state DIR] [-max-leaves N] [-json]
    resguardo-audit follow  -url URL -policy FILE -state DIR [-socks IP:PORT] [-max-leaves N] [-json]
    resguardo-audit receipt -url URL -policy FILE [-socks IP:PORT] [-state DIR] [-max-leaves N]
                            [-proof FILE] [-json]
    resguardo-audit account -url URL -policy FILE -openings FILE|- -items DIR [-socks IP:PORT]
                            [-state DIR] [-max-leaves N] [-json]
    resguardo-audit -version

URL is the folder that holds the file checkpoint: http://….onion/log/ or
file:///mirror/. An onion address needs -socks; without it the connection is direct.
FILE is the policy: it names the log's key, the witnesses, and how many of them must
have signed. It must come from somebody you trust, not from the log.

verify downloads the whole log and checks everything that can be checked without a
secret. follow does the same and prints one line: run it from cron. With -state the
program remembers the last checkpoint that was right, so that a log which is later cut
or rewritten is found out.
receipt checks the log, then asks for the eight words of a codename (on the terminal,
or one line on standard input) and says which of its events are in the log. The words
never leave this machine, and nothing is asked of the server after they are typed.
-proof writes a proof that the report is in the log: it shows that this leaf is a report.
account is for auditors whose card the vault knows. It checks the log and holds it
against the openings (the epoch files, decrypted with age: -openings names one file
that holds them one after the other, or - is standard input) and against the ciphertexts
that resguardo fetch has stored in DIR. It reads no report, and needs no key.

Flags come before arguments. Data goes to standard output, everything else to standard
error. Messages are in Spanish or English, by LANG.
Exit status: 0 all is well, 1 the log is late, not witnessed, or could not be read, or
the report is not in it, or the account is not complete, 2 not a valid command line,
3 the log is wrong, or log, openings and ciphertexts do not fit together.

Example:
    resguardo-audit verify -url http://….onion/log/ -socks 127.0.0.1:9050 -policy policy
    resguardo-audit follow -url file:///mnt/mirror/ -policy policy -state ~/audit
    age -d -i identity.txt epoch-83115.age |
        resguardo-audit account -url file:///mnt/mirror/ -policy policy -openings - -items .`

const usageES = `Resguardo-audit revisa el registro público de una bóveda, y la bóveda contra él.

Uso:
    resguardo-audit verify  -url URL -policy ARCHIVO [-socks IP:PUERTO] [-state DIR] [-max-leaves N] [-json]
    resguardo-audit follow  -url URL -policy ARCHIVO -state DIR [-socks IP:PUERTO] [-max-leaves N] [-json]
    resguardo-audit receipt -url URL -policy ARCHIVO [-socks IP:PUERTO] [-state DIR] [-max-leaves N]
                            [-proof ARCHIVO] [-json]
    resguardo-audit account -url URL -policy ARCHIVO -openings ARCHIVO|- -items DIR [-socks IP:PUERTO]
                            [-state DIR] [-max-leaves N] [-json]
    resguardo-audit -version

URL es la carpeta que contiene el archivo checkpoint: http://….onion/log/ o
file:///copia/. Una dirección onion necesita -socks; sin él la conexión es directa.
-policy es la política: dice cuál es la llave del registro, quiénes son los testigos y
cuántos deben haber firmado. Debe venir de alguien de confianza, no del registro.

verify descarga el registro completo y revisa todo lo que se puede revisar sin ningún
secreto. follow hace lo mismo y escribe una línea: córrelo desde cron. Con -state el
programa recuerda el último punto de control correcto; así se descubre un registro que
después se corta o se reescribe.
receipt revisa el registro, luego pide las ocho palabras de una clave (en la terminal, o
una línea por la entrada estándar) y dice cuáles de sus eventos están en el registro. Las
palabras nunca salen de esta máquina, y después de escribirlas no se le pide nada al
servidor. -proof escribe una prueba de que el reporte está en el registro: muestra que esa
hoja es un reporte.
account es para las personas auditoras cuya tarjeta conoce la bóveda. Revisa el registro y
lo compara con las aperturas (los archivos de las épocas, descifrados con age: -openings es
un archivo que los contiene uno tras otro, o - es la entrada estándar) y con los archivos
cifrados que resguardo fetch guardó en DIR. No lee ningún reporte ni necesita ninguna llave.

Las opciones van antes de los argumentos. Los datos van a la salida estándar y todo lo
demás a la salida de errores. Los mensajes salen en español o inglés, según LANG.
Códigos de salida: 0 todo bien; 1 el registro está atrasado, sin testigos o no se pudo
leer, o el reporte no está en él, o la revisión no está completa; 2 no es una línea de
comandos válida; 3 el registro está mal, o registro, aperturas y archivos no coinciden.

Ejemplo:
    resguardo-audit verify -url http://….onion/log/ -socks 127.0.0.1:9050 -policy politica
    resguardo-audit follow -url file:///mnt/copia/ -policy politica -state ~/auditoria
    age -d -i identity.txt epoch-83115.age |
        resguardo-audit account -url file:///mnt/copia/ -policy politica -openings - -items .`
