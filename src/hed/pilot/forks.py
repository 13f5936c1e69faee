"""What a keeper and its workers do with the fork server of their node: start it, and order runs.

A connection to its socket is a run: the server says that it is ready, the worker sends an order as
a line of JSON, and the answer is the exit status of the run's guard.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hed.warm import client

SERVER = "hed.pilot.forkserver"
READY = "ready\n"
# The exit status of a guard that nobody knows any more.
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Order:
    """A run to start.

    Attributes:
        arguments: of its guard: spool, job, attempt and script.
        environment: of its tile.
        cores: on which it may run.
    """

    arguments: list[str]
    environment: dict[str, str]
    cores: list[int]


def attend(address: str, order: Order) -> int | None:
    """Have a run started on this node; return the exit status of its guard.

    None if there is no fork server, and nothing was started.

    Args:
        address: of the server's socket.
        order: the run.
    """
    with socket.socket(socket.AF_UNIX) as worker:
        try:
            worker.connect(address)
            stream = worker.makefile("rw")
            if stream.readline() != READY:
                return None
        except OSError:
            return None
        try:
            print(encoded(order), file=stream, flush=True)
            # If it is empty, the steward is gone, the guard, and a Snakemake that was forked.
            return int(stream.readline() or KILLED)
        except OSError:
            return KILLED


def encoded(order: Order) -> str:
    """Return an order as it is sent, in one line."""
    return json.dumps(asdict(order))


class Server:
    """The fork server of a node, started by its keeper."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        """Start it; it is ready once it has imported all.

        Args:
            directory: for its socket, closed to others.
            environ: its environment.

        Raises:
            PermissionError: if others may write to the directory.
        """
        client.require_own(str(directory))
        self.address = str(directory / f"forks-{os.getpid()}")
        Path(self.address).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen(socket.SOMAXCONN)
            number = listener.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-m", SERVER, str(os.getpid()), str(number)],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[number],
            )
