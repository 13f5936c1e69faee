"""The process between a worker and one run: it starts the run's script and ends all of it.

A fork of `hed.pilot.forkserver`, or `python -m hed.pilot.guard PARENT SPOOL ID ATTEMPT SCRIPT`.

The run ends with its script, when it is cancelled or given up, when it hangs, and when the worker
dies, each time with every process that it started, wherever these went. How it ended is in the
spool before this process ends, unless it continues on another tile, because it hung, the worker
died, the block ends, or its node is at fault.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from hed import command, variables
from hed.pilot import inner, names, node, processes
from hed.pilot.silence import Silence
from hed.pilot.spool import End, Spool
from hed.pilot.timers import TIMERS

# Exit status of this process.
STATUS: dict[End, int] = {"success": 0, "cancelled": 10, "failed": 11, "lost": 12, "silent": 14}
# The same, after an error of this node: the run is lost, and its tile had better wait.
TROUBLE = 13


# Set by SIGTERM, and inherited by forks.
_told = threading.Event()


class Stopped(Exception):
    """The worker has died, or the block ends."""


def main() -> None:
    """Run one script to its end."""
    signal.signal(signal.SIGTERM, stop)
    parent, *order = sys.argv[1:]
    attend(int(parent), order)


def attend(parent: int, order: Sequence[str]) -> NoReturn:
    """Be the guard of one run, which SIGTERM ends if `stop` handles it.

    Args:
        parent: id of the process that started this one.
        order: its spool, id, attempt and script.
    """
    spool, job, attempt, script = order
    try:
        processes.adopt_orphans()
        end = guard(Spool(Path(spool)), job, script, attempt=int(attempt), parent=parent)
    except Stopped:  # before or after the run, or a second time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        processes.kill_descendants()
        end = "lost"
    except OSError as error:
        print(f"error: {command.sentence(error)}", file=sys.stderr, flush=True)
        sys.exit(TROUBLE)
    sys.exit(STATUS[end])


def guard(spool: Spool, job: str, script: str, *, attempt: int, parent: int) -> End:
    """Run a script until it ends or must end; record the outcome and the use of its tile.

    Raises:
        OSError: of the spool or of a new process, not of the run: another node may have neither.
    """
    start, run = time.time(), names.run_of(script)
    end: End = "failed"
    try:
        processes.die_with_parent(parent, signal.SIGTERM)
        end = _blame(spool, _run(spool, job, script, attempt), time.time() - start)
    except (Stopped, SystemExit):
        end = "lost"
    except OSError:
        end = "lost"
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        processes.kill_descendants()
        end = spool.finish(job, attempt, end)
        with suppress(OSError):
            spool.record_tile(os.uname().nodename, _record(job, run, start, end))
    return end


def _run(spool: Spool, job: str, script: str, attempt: int) -> End:
    """Start the script and wait for its end."""
    if end := spool.state(job) or _must_end(spool, job, attempt):
        return end
    spool.begin(job, os.environ.get(node.BLOCK, ""))
    silence = Silence(spool.directory.parent, names.run_of(script), spool.node().silence)
    with (spool.directory / "out" / f"{job}.txt").open("ab") as out:
        child = inner.start(script, out)
    while not (end := _must_end(spool, job, attempt)):
        try:
            failed = child.wait(timeout=TIMERS.guard_look)
        except subprocess.TimeoutExpired:
            if silence.look():
                return "silent"
            continue
        time.sleep(TIMERS.end_doubt if failed else 0)
        return "failed" if failed else "success"
    return end


def _blame(spool: Spool, end: End, seconds: float) -> End:
    """Return how a run ended: lost if it failed soon on a node on which none can start."""
    is_soon = end == "failed" and seconds < TIMERS.quick_failure
    return "lost" if is_soon and node.leave_if_faulty(spool) else end


def _must_end(spool: Spool, job: str, attempt: int) -> End | None:
    """Return why a run must end, None if it may continue."""
    if spool.is_cancelled(job):
        return "cancelled"
    return "lost" if is_told() or spool.is_lost(job, attempt) else None


def _record(job: str, run: str, start: float, end: End) -> dict[str, str | float]:
    """Return where and when a job ran, in seconds since 1970."""
    return {
        "job": job,
        "run": run,
        "block": os.environ.get(variables.BLOCK, ""),
        "node": os.uname().nodename,
        "tile": os.environ.get(variables.TILE, ""),
        "start": round(start, 3),
        "end": round(time.time(), 3),
        "state": "success" if end == "success" else "failed",
    }


def is_told() -> bool:
    """Return whether this process, or the one that forked it, got SIGTERM."""
    return _told.is_set()


def stop(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM: the run must end.

    What is raised while this process forks is dropped by Python, so it is noted, too.
    """
    _told.set()
    raise Stopped


if __name__ == "__main__":
    main()
