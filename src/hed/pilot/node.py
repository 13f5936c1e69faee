"""Whether a node can run anything: its disk, its cores, and the wrapper of a science command.

Checked before the first run, and again after a run that failed soon, so that a faulty node does not
fail one run after another.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from hed import command
from hed.pilot import tile
from hed.pilot.spool import Spool
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS
from hed.site import cores

# The block, as Parsl numbers them.
BLOCK = "PARSL_WORKER_BLOCK_ID"
# Bytes that the first files of a run need.
ROOM = 2**20


class Unfit(Exception):
    """No run can start on this node; the text is one sentence without its name."""


def require_fit(tiles: Tiles) -> None:
    """Refuse a node on which no run could start.

    Raises:
        Unfit: if its disk is not writable, it lacks cores, or the wrapper fails.
    """
    require_room(Path(tiles.local))
    try:
        cores.try_all(tiles.cores)
    except cores.Unusable as error:
        raise Unfit(str(error)) from None
    require_wrapper(tile.environment(tiles, 0))


def require_room(directory: Path) -> None:
    """Refuse a node whose own disk is not writable.

    Raises:
        Unfit: if `directory` cannot be created or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as stream:
            stream.write(bytes(ROOM))
    except OSError as error:
        raise Unfit(f"{directory} takes no file: {command.sentence(error)}") from None


def require_wrapper(environ: Mapping[str, str]) -> None:
    """Refuse a node on which the wrapper of every science command fails.

    Args:
        environ: of a run on one of its tiles.

    Raises:
        Unfit: with the wrapper's last line of output.
    """
    try:
        done = subprocess.run(
            ["tile", "true"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            errors="replace",
            timeout=TIMERS.wrapper_answer,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unfit(f"`tile true` did not end within {TIMERS.wrapper_answer:.0f} s") from None
    except OSError as error:
        raise Unfit(f"`tile` does not start: {command.sentence(error)}") from None
    if done.returncode:
        raise Unfit(f"`tile true` fails: {command.reason(done.stderr.splitlines())}")


def leave_if_faulty(spool: Spool, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether no run can start on this node now; if that lasts, have it left alone.

    It is left alone for the rest of its block, and a file server may hesitate for a moment, for all
    nodes at once.

    Args:
        spool: where it is reported.
        environ: of a run on one of its tiles.

    Raises:
        OSError: if the spool cannot be written.
    """
    if not find_fault(environ):
        return False
    time.sleep(TIMERS.fault_doubt)
    if fault := find_fault(environ):
        spool.report_node(environ.get(BLOCK, ""), os.uname().nodename, fault)
    return True


def find_fault(environ: Mapping[str, str]) -> str:
    """Return why no run can start on this node now; empty if one can.

    Args:
        environ: of a run on one of its tiles.
    """
    try:
        require_room(Path(environ["TMPDIR"]))
        require_wrapper(environ)
    except Unfit as unfit:
        return str(unfit)
    return ""
