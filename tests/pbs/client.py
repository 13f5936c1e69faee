"""The commands qsub, qstat, qselect and qdel: client.py SOCKET COMMAND [WORD...].

Only what starts quickly is imported, and the server does the rest: it gets the words, and for
qsub the script's name and text.
"""

import getopt
import json
import os
import pwd
import socket
import sys

OPTIONS = "A:N:S:Ve:j:k:l:m:M:o:q:r:v:W:"
# As OpenPBS 23.06: the last byte of PBSE_SYSTEM (15010), but for qstat.
NO_SERVER, NO_SERVER_QSTAT = 162, 255


def main(place: str, command: str, *words: str) -> int:
    """Send a command to the server, print its answer and return its exit status."""
    message: dict[str, object] = {"command": command, "words": words, "directory": os.getcwd()}
    message |= {"user": pwd.getpwuid(os.geteuid()).pw_name, "host": socket.gethostname()}
    try:
        if command == "qsub":
            message["name"], message["script"] = read(list(words))
    except (getopt.GetoptError, OSError) as error:
        print(f"qsub: {error}", file=sys.stderr)
        return 2
    status, output, errors = ask(place, message) or unreachable(command)
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return status


def read(words: list[str]) -> tuple[str, str]:
    """Return the name and the text of qsub's script, which may come from standard input."""
    _, rest = getopt.getopt(words, OPTIONS)
    if not rest:
        return "STDIN", sys.stdin.read()
    with open(rest[0]) as stream:
        return os.path.basename(rest[0]), stream.read()


def ask(place: str, message: dict[str, object]) -> tuple[int, str, str] | None:
    """Return the server's answer, or None if there is no server."""
    os.chdir(os.path.dirname(place))  # The path of a socket may have no more than 107 characters.
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(os.path.basename(place))
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile() as stream:
                text = stream.read()
        except OSError:
            return None
    return tuple(json.loads(text)) if text else None


def unreachable(command: str) -> tuple[int, str, str]:
    """Return what a command says when no server answers."""
    text = f"Connection refused\n{command}: cannot connect to server stand-in (errno=15010)\n"
    return NO_SERVER_QSTAT if command == "qstat" else NO_SERVER, "", text


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
