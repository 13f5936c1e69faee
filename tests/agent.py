"""The first process of a stand-in node: agent.py DIR NODE.

It listens at DIR/NODE.sock, as a node's ssh daemon would at its port, and runs what on_node.py
asks for. Only the standard library is used, so that it starts quickly.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from typing import Any


def serve(directory: str, node: str) -> None:
    """Run what clients ask for until standard input closes: the maker of the node is gone."""
    # The kernel then reaps orphans, which are this process's, since it is the first of the node.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.chdir(directory)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{node}.sock")
        listener.listen(64)
        os.chdir("/")
        os.write(1, b"ready\n")
        while listener.fileno() in select.select([0, listener.fileno()], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                answer(connection)
                os._exit(0)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Do what one client asks for and send it the exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # What ends a command spares its messenger.
    request, files = receive(connection)
    if "signal" in request:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, request["signal"])  # Spares the caller and the first process.
        status = 0
    else:
        status = execute(request, files)
    connection.sendall(str(status).encode())


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return a client's request, a line of JSON, and its three open files."""
    text, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while text and not text.endswith(b"\n"):
        text += connection.recv(1 << 16)
    return json.loads(text), files


def execute(request: dict[str, Any], files: list[int]) -> int:
    """Run a command with the client's open files as its own and return its exit status."""
    try:
        status = subprocess.call(
            request["argv"],
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            cwd=request["cwd"] if os.path.isdir(request["cwd"]) else "/",
            env=request["env"],
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        )
    except OSError as error:
        os.write(files[2], f"{request['argv'][0]}: {error.strerror}\n".encode())
        return 127
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    serve(*sys.argv[1:])
