"""`client.py COMMAND...`: have a warm server execute a command, or execute it here.

Started for each job, so it imports only what loads in milliseconds, and nothing of this package.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from itertools import count

TYPE_CHECKING = False  # typing takes as long to import as everything else
if TYPE_CHECKING:
    from collections.abc import Mapping

# Directory of an owner's servers, private to the owner, whose name ends with its process id. Set by
# the owner; if unset, everything runs cold.
VARIABLE = "HED_WARM"
SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.py")
LONGEST = 107  # bytes of an address
INTERRUPTED = 130  # as in a shell
# A server's first message, and its answer if it will not execute the command.
READY, COLD = b"+", b"cold"


def main() -> None:
    """Execute the command in this process's arguments, warm if possible."""
    command = sys.argv[1:]
    directory = os.environ.get(VARIABLE)
    try:
        status = ask(directory, command) if directory else None
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    if status is None:
        os.execvp(command[0], command)
    sys.exit(status)


def ask(directory: str, command: list[str]) -> int | None:
    """Return the exit status of a command that a server has executed; None if none would."""
    if not any(word.endswith(".py") for word in command):
        return None
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        require_own(directory)
        slot, held = take_slot(directory)
        connection = connect(directory, slot)
        if connection is None:
            start(directory, slot, command)
            connection = connect(directory, slot)
        answer = exchange(connection, command)
    except OSError as error:
        print(f"warm server: {error}: the command is started without it", file=sys.stderr)
        return None
    if answer == COLD:
        return None
    if not answer:
        print(f"error: the warm server died in {' '.join(command)}", file=sys.stderr)
        return 1
    os.close(held)
    return int(answer)


def require_own(directory: str) -> None:
    """Refuse a directory in which another user may have put a socket.

    Raises:
        PermissionError: if others than this user may write to it.
    """
    found = os.stat(directory)
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory} is not this user's alone")


def path(directory: str, name: str) -> str:
    """Return the path of a file of a directory, short enough for the address of a Unix socket."""
    full = os.path.join(directory, name)
    if len(os.fsencode(full)) <= LONGEST:
        return full
    # It stays open until this process ends.
    return f"/proc/self/fd/{os.open(directory, os.O_PATH | os.O_DIRECTORY)}/{name}"


def take_slot(directory: str) -> tuple[str, int]:
    """Return the first slot that no other client holds, and the lock on it."""
    for number in count():
        held = os.open(os.path.join(directory, f"{number}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
        else:
            return str(number), held
    raise AssertionError("numbers do not end")


def connect(directory: str, slot: str) -> socket.socket | None:
    """Return a connection to the server of a slot, None if none listens."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path(directory, f"{slot}.socket"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def listen(directory: str, slot: str, environment: Mapping[str, str]) -> socket.socket:
    """Return the socket on which the server of a slot will listen; clients that connect wait.

    Args:
        environment: that the server is started in, before a launcher adds to it.
    """
    with open(os.path.join(directory, f"{slot}.environment"), "wb") as stream:
        stream.write(encoded(described(environment)))
    address = path(directory, f"{slot}.socket")
    if os.path.lexists(address):
        os.unlink(address)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    listener.set_inheritable(True)
    return listener


def described(environment: Mapping[str, str]) -> list[str]:
    """Return an environment as a list of words."""
    return [f"{name}={value}" for name, value in environment.items()]


def encoded(words: list[str]) -> bytes:
    """Return words, each terminated by a zero byte, which no word contains."""
    return b"".join(os.fsencode(word) + b"\0" for word in words)


def start(directory: str, slot: str, command: list[str]) -> None:
    """Start the server of a slot like a command: with the same launcher and Python."""
    script = next(place for place, word in enumerate(command) if word.endswith(".py"))
    listener = listen(directory, slot, os.environ)
    if not os.fork():
        become([*command[:script], SERVER, directory, slot, str(listener.fileno())])
    listener.close()


def become(command: list[str]) -> None:
    """Become another command, in a session of its own and without input and output."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):
            os.dup2(null, stream)
        os.execvp(command[0], command)
    finally:
        os._exit(127)


def exchange(connection: socket.socket | None, command: list[str]) -> bytes:
    """Send directory, command, environment and output; return the answer.

    Empty if the server dies during the command.

    Raises:
        OSError: if there is no server.
    """
    message = encoded([os.getcwd(), str(len(command)), *command, *described(os.environ)])
    if connection is None or received(connection, 1) != READY:
        raise OSError("it does not start")
    socket.send_fds(connection, [len(message).to_bytes(8, "big")], [1, 2])
    connection.sendall(message)
    return received(connection, 16)


def received(connection: socket.socket, size: int) -> bytes:
    """Return what a server sends, empty if it dies."""
    try:
        return connection.recv(size)
    except ConnectionError:
        return b""


if __name__ == "__main__":
    main()
