"""`server.py DIRECTORY SLOT LISTENER`: execute one command after the other for a slot's clients.

LISTENER is the number of the open socket on which clients already wait.
"""

import gc
import os
import resource
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # started as a file, in the environment of the commands
    sys.path[0] = str(Path(__file__).parents[2])

from hed import modules, variables
from hed.warm import client

# Commands in the directory `scripts` beside the Snakefile.
COMMANDS = ("partition.py", "train.py", "score.py")
# Commands that start no library that depends on the environment.
LIGHT = ("partition.py",)
# What libraries read once, when they start: a command that needs another value runs cold.
READ_ONCE = (
    *("TF_", "ITEX_", "XLA_", "MKL_", "DNNL_", "ONEDNN_", "OMP_", "KMP_", "GOMP_"),
    *("ZE_", "SYCL_", "ONEAPI_", "CUDA_", variables.DEVICES, "PYTHON", "LD_"),
)
# The exit status of Python after a traceback.
CRASHED = b"1"
# A server ends after a crash, after this many commands, or once it has grown by this many bytes
# since its first ten.
MOST_COMMANDS = 3000
MOST_GROWTH = 2 * 2**30
SETTLED = 10
OWNER_SECONDS = 0.2


@dataclass(frozen=True)
class Request:
    """A client's command: its words, directory, environment, and output."""

    directory: str
    command: list[str]
    environment: dict[str, str]
    output: list[int]

    def read_once(self) -> dict[str, str]:
        """Return the part of the environment that libraries read when they start."""
        return {n: value for n, value in self.environment.items() if n.startswith(READ_ONCE)}


def main() -> None:
    """Serve until the owner ends, a client dies during its command, or the server is used up."""
    directory, slot, number = sys.argv[1:]
    listener = socket.socket(fileno=int(number))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    watch = Watch(int(directory.rpartition("-")[2]), Path(directory), slot)
    threading.Thread(target=watch.run, daemon=True).start()
    try:
        serve(listener, watch, added_by_launcher(Path(directory), slot))
    finally:
        watch.clear_up()


def serve(listener: socket.socket, watch: "Watch", added: dict[str, str]) -> None:
    """Execute commands until one crashes or the server is used up.

    Args:
        added: what this process's launcher has added to the environment.
    """
    modules.SERVED.set(True)
    needed: dict[str, str] | None = None
    settled = 0
    for number in range(1, MOST_COMMANDS + 1):
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(client.READY)
                request = receive(connection)
            except OSError:  # the client has died meanwhile
                continue
            script = script_of(request.command)
            if script is not None and Path(request.command[script]).name not in LIGHT:
                needed = needed if needed is not None else request.read_once()
                script = script if request.read_once() == needed else None
            watch.client = connection
            answer = answer_of(script, request, added)
            watch.client = None
            with suppress(OSError):
                connection.sendall(answer or CRASHED)
            if not answer:
                return
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        settled = size if number <= SETTLED else settled
        if size - settled > MOST_GROWTH:
            return


def added_by_launcher(directory: Path, slot: str) -> dict[str, str]:
    """Return what a launcher, such as a script that loads modules, has added to the environment."""
    text = (directory / f"{slot}.environment").read_bytes()
    before = mapping(decoded(text))
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


def decoded(text: bytes) -> list[str]:
    """Return words that were each sent with a terminating zero byte."""
    return [os.fsdecode(word) for word in text.split(b"\0")[:-1]]


def mapping(words: list[str]) -> dict[str, str]:
    """Return an environment that was sent as words."""
    return dict(word.split("=", 1) for word in words)


def receive(connection: socket.socket) -> Request:
    """Return the request of a client."""
    length, output, _, _ = socket.recv_fds(connection, 8, 2)
    with connection.makefile("rb") as stream:
        text = stream.read(int.from_bytes(length, "big"))
    if not text:
        raise ConnectionResetError
    directory, count, *rest = decoded(text)
    command, environment = rest[: int(count)], mapping(rest[int(count) :])
    return Request(directory, command, environment, list(output))


def script_of(command: list[str]) -> int | None:
    """Return the position of the script in the words of a command, None if it is not ours."""
    for place, word in enumerate(command):
        path = Path(word)
        if path.suffix == ".py":
            ours = path.name in COMMANDS and path.parent.name == "scripts"
            return place if ours else None
    return None


def answer_of(script: int | None, request: Request, added: dict[str, str]) -> bytes:
    """Execute a command, if it is one to run here; return its exit status, empty if it crashed.

    It has crashed, too, if its client's disk took less than it printed, for the rest is kept here.
    """
    try:
        with printing_to(request.output):
            return client.COLD if script is None else execute(script, request, added)
    except OSError:
        return b""


def execute(script: int, request: Request, added: dict[str, str]) -> bytes:
    """Execute a command in this process; return its exit status, empty if it crashed.

    After that, this process may be out of memory, or may have lost its device.
    """
    os.environ.clear()
    os.environ.update({**request.environment, **added})
    sys.argv = request.command[script:]
    try:
        os.chdir(request.directory)
        runpy.run_path(sys.argv[0], run_name="__main__")
    except modules.ColdError:
        return client.COLD
    except SystemExit as end:
        return str(exit_status(end)).encode()
    except BaseException:
        traceback.print_exc()
        return b""
    finally:
        os.chdir("/")
        gc.collect()
    return b"0"


def exit_status(end: SystemExit) -> int:
    """Return the status with which Python would exit, after printing what it would print."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


@contextmanager
def printing_to(output: list[int]) -> Iterator[None]:
    """Redirect all output of this process to a client's stdout and stderr."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream, target in zip((1, 2), output, strict=True):
        os.dup2(target, stream)
        os.close(target)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)


class Watch:
    """Ends this process when its owner ends, or a client in the middle of its command."""

    def __init__(self, owner: int, directory: Path, slot: str) -> None:
        """Take the owner's process id, and the directory of the owner's servers."""
        self.client: socket.socket | None = None
        self._owner = os.pidfd_open(owner)
        self._directory, self._socket = directory, directory / f"{slot}.socket"

    def run(self) -> None:
        """Watch both until one has ended."""
        while not self._has_ended():
            pass
        self.clear_up()
        os._exit(1)

    def _has_ended(self) -> bool:
        """Wait a moment; return whether the owner or a client has ended."""
        poll, connection = select.poll(), self.client
        poll.register(self._owner, select.POLLIN)
        if connection is not None:
            with suppress(ValueError):  # its command has just ended
                poll.register(connection, select.POLLRDHUP)
        ended = [number for number, _ in poll.poll(100)]
        # A number may by now be that of the next client, which has not ended.
        return self._owner in ended or (bool(ended) and self.client is connection)

    def clear_up(self) -> None:
        """Remove the socket, and all files of the owner's servers if the owner ends, too."""
        self._socket.unlink(missing_ok=True)
        # Whatever killed a client may be killing its owner.
        if select.select([self._owner], [], [], OWNER_SECONDS)[0]:
            shutil.rmtree(self._directory, ignore_errors=True)


if __name__ == "__main__":
    main()
