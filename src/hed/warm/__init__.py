"""One Python per tile, kept alive, which saves each run the start of TensorFlow.

The rules start `client.py COMMAND...` instead of the command (`python scripts/train.py ...`). The
client passes the command to the server of its slot, which executes it in its own process, with the
client's directory, environment and output, and returns its exit status. A slot is a file that one
client holds locked; a client that finds no server there starts one. What cannot run warm, and what
cannot be sent, the client executes itself: cold, as if there were no server.

A server lives as long as its owner: Snakemake on a laptop, the worker of a tile in a block. It ends
at once when its client or its owner does, after a command that crashed, and after many commands.
"""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hed.warm import client

# A client needs only the standard library, and has to start in milliseconds.
CLIENT = f"python -IS {shlex.quote(str(Path(client.__file__)))}"
# Of a process that executes one command after the other.
SLOT = "0"
KILL_SECONDS = 5.0


def is_possible() -> bool:
    """Return whether a server could notice here that its owner ends: Linux 5.3 or newer."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def prefix(is_warm: bool) -> str:
    """Return the prefix of a command that a server may execute; empty if it may not."""
    return CLIENT if is_warm else ""


def directory(owner: int, within: str | None = None) -> str:
    """Return the directory of a process's servers, which is created when one is started.

    Args:
        owner: id of the process.
        within: a directory of this machine; the usual temporary one if None.
    """
    return os.path.join(within or tempfile.gettempdir(), f"hed-warm-{os.getuid()}-{owner}")


class Server:
    """The server of one slot, which a process starts before its first command."""

    def __init__(self, place: str) -> None:
        """Take the directory of this process's servers, as `directory` gives it."""
        self.place = place
        self._process: subprocess.Popen[bytes] | None = None

    def ensure(self, launcher: str, environment: Mapping[str, str]) -> None:
        """Start the server unless it is alive; it listens at once, and answers once started."""
        if self._process is not None and self._process.poll() is None:
            return
        Path(self.place).mkdir(mode=0o700, parents=True, exist_ok=True)
        # A run whose server ended between two of its commands has started another.
        if (started_by_client := client.connect(self.place, SLOT)) is not None:
            started_by_client.close()
            return
        with client.listen(self.place, SLOT, environment) as listener:
            number = listener.fileno()
            self._process = subprocess.Popen(
                [launcher, "python", client.SERVER, self.place, SLOT, str(number)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[number],
            )

    def kill(self) -> None:
        """Kill the server, whatever it is doing; the next `ensure` starts another."""
        if self._process is not None:
            self._process.kill()
            try:
                self._process.wait(KILL_SECONDS)
            except subprocess.TimeoutExpired:  # held by a device's driver, but its socket is open
                self._process = None
                Path(self.place, f"{SLOT}.socket").unlink(missing_ok=True)
