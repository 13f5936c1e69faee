"""What Parsl's worker of a tile does with a job: hand it to a guard and wait."""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hed import variables, warm
from hed.pilot import processes, tile
from hed.pilot.guard import STATUS
from hed.pilot.spool import End, Spool
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS
from hed.site import cores

log = logging.getLogger("hed.pilot")

# A guard that is told to end before it has begun a run dies of that.
ENDS: dict[int, End] = {status: end for end, status in STATUS.items()} | {-signal.SIGTERM: "lost"}


@dataclass
class Trouble:
    """How many runs in a row have failed soon on a tile.

    A bad tile fails all its runs at once, and being free would take those of all others. After one
    that failed soon it waits, twice as long each time in a row.
    """

    runs: int = 0

    def wait(self, end: End, seconds: float) -> float:
        """Return the seconds until the tile may have its next run.

        Args:
            end: of the last run.
            seconds: that it took.
        """
        if end == "success":
            self.runs = 0
        if end != "failed" or seconds >= TIMERS.quick_failure:
            return 0.0
        self.runs += 1
        return float(min(TIMERS.first_tile_wait * 2 ** (self.runs - 1), TIMERS.longest_tile_wait))


# Of the one tile of this process, which Parsl keeps from run to run.
_trouble = Trouble()


def run(spool: str, job: str, attempt: int, script: str, tiles: Tiles) -> End:
    """Run a script of Snakemake's on the tile of this worker; return how it ended.

    Args:
        spool: its directory.
        job: id.
        attempt: how many before this one lost their tile.
        script: its path.
        tiles: of the node.
    """
    # The pool of this node, which Parsl's own workers outlive; a wait ends with it, too.
    processes.die_with_parent(os.getppid())
    processes.adopt_orphans()
    rank = int(os.environ["PARSL_WORKER_RANK"])
    environment = tile.environment(tiles, rank)
    environment["TMPDIR"] = os.environ.get("TMPDIR", tiles.local)
    if tiles.cores:
        cores.bind(rank, tiles.cores[rank])
    _warm(tiles, environment)
    start = time.monotonic()
    end = _attend([spool, job, str(attempt), script], environment, ahead=tiles.warm)
    if wait := _trouble.wait(end, time.monotonic() - start):
        where = f"tile {environment[variables.TILE]} of {os.uname().nodename}"
        log.warning("%s waits %.0f s: %d runs in a row failed soon", where, wait, _trouble.runs)
        time.sleep(wait)
    return end


def _warm(tiles: Tiles, environment: dict[str, str]) -> None:
    """Have the science commands of this tile executed by one Python, or each by its own."""
    environment.pop(variables.WARM, None)
    if tiles.warm:
        environment[variables.WARM] = warm.directory(os.getpid(), environment["TMPDIR"])
        _server(environment[variables.WARM]).ensure("tile", environment)


@cache
def _server(place: str) -> warm.Server:
    """Return the server of the one tile of this process."""
    return warm.Server(place)


def _attend(arguments: list[str], environment: dict[str, str], *, ahead: bool = False) -> End:
    """Run a script under a guard; return how it ended, which is in the spool by then.

    Args:
        arguments: spool, job, attempt and script.
        environment: of the guard and the run, the same for every run of this tile.
        ahead: have a guard ready for the next run before there is one.
    """
    guard = _spare.take() or _start(environment, *arguments)
    if guard.stdin:
        with suppress(BrokenPipeError), guard.stdin as order:
            order.write("\0".join(arguments))
    if ahead:
        _spare.guard = _start(environment)
    if end := ENDS.get(guard.wait()):
        return end
    processes.kill_descendants()
    time.sleep(TIMERS.end_doubt)
    spool, job, attempt, _ = arguments
    return Spool(Path(spool)).finish(job, int(attempt), "failed")


def _start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a guard, which waits for what to run unless that is given."""
    return subprocess.Popen(
        [sys.executable, "-m", "hed.pilot.guard", str(os.getpid()), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL if arguments else subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


@dataclass
class Spare:
    """The guard of a tile's next run, which imports what the run will need meanwhile."""

    guard: subprocess.Popen[str] | None = None

    def take(self) -> subprocess.Popen[str] | None:
        """Return it, None if there is none that lives."""
        taken, self.guard = self.guard, None
        return taken if taken and taken.poll() is None else None


_spare = Spare()
