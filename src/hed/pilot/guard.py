"""What stands between a worker and one run: it starts the run's script and ends all of it.

`python -m hed.pilot.guard PARENT SPOOL ID SCRIPT`: the run ends with its script, when it is
cancelled, and when the worker dies, each time with every process that it started, wherever these
went. How it ended is in the spool before this process ends.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from hed.pilot import processes
from hed.pilot.spool import Spool, State

# Seconds between two looks for a cancelled run: one access to the PFS each.
CANCEL_PERIOD = 5.0


class Stopped(Exception):
    """The worker has died, or the block ends."""


def main() -> None:
    """Run one script to its end."""
    signal.signal(signal.SIGTERM, _stop)
    parent, spool, job, script = sys.argv[1:]
    processes.adopt_orphans()
    guard(Spool(Path(spool)), job, script, parent=int(parent))


def guard(spool: Spool, job: str, script: str, *, parent: int) -> State:
    """Run a script until it ends or must end; record which, and what its tile was used for."""
    start, run = time.time(), run_of(script)
    state: State = "failed"
    try:
        processes.die_with_parent(parent, signal.SIGTERM)
        state = _run(spool, job, script)
    except Stopped:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        processes.kill_descendants()
        state = spool.settle(job, state)
        spool.record_tile(os.uname().nodename, _record(job, run, start, state))
    return state


def _run(spool: Spool, job: str, script: str) -> State:
    """Start the script and wait for its end."""
    if spool.state(job) or spool.is_cancelled(job):
        return "failed"
    with (spool.directory / "out" / f"{job}.txt").open("ab") as out:
        child = subprocess.Popen(
            ["/bin/sh", script], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    while not spool.is_cancelled(job):
        try:
            return "failed" if child.wait(timeout=CANCEL_PERIOD) else "success"
        except subprocess.TimeoutExpired:
            continue
    return "failed"


def _record(job: str, run: str, start: float, state: State) -> dict[str, str | float]:
    """Return where and when a job ran, in seconds since 1970."""
    return {
        "job": job,
        "run": run,
        "block": os.environ.get("HED_BLOCK", ""),
        "node": os.uname().nodename,
        "tile": os.environ.get("HED_TILE", ""),
        "start": round(start, 3),
        "end": round(time.time(), 3),
        "state": state,
    }


def run_of(script: str) -> str:
    """Return the run that a script of Snakemake's is about, as its target jobs name it."""
    try:
        found = re.search(r"--target-jobs [^\n]*?:run=([^\s',]+)", Path(script).read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    main()
