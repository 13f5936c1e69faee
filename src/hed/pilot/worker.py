"""What Parsl's worker of a tile does with a job: pass it to a guard and wait."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hed import variables, warm
from hed.pilot import forks, node, processes, tile
from hed.pilot.guard import STATUS, TROUBLE
from hed.pilot.spool import End, Spool
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS
from hed.site import cores

log = logging.getLogger("hed.pilot")

# A guard that gets SIGTERM before it has started a run dies of it.
ENDS: dict[int, End] = {status: end for end, status in STATUS.items()} | {-signal.SIGTERM: "lost"}


@dataclass
class Trouble:
    """How many consecutive runs have failed soon on a tile.

    A bad tile fails all its runs at once, and being free would drain the queue. After a run that
    failed soon it waits, each time twice as long.
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


# Of this process's one tile; Parsl keeps the process from run to run.
_trouble = Trouble()


def run(spool: str, job: str, attempt: int, script: str, tiles: Tiles) -> End:
    """Run a Snakemake job script on the tile of this worker; return how it ended.

    Args:
        spool: its directory.
        job: id.
        attempt: how many earlier ones lost their tile.
        script: its path.
        tiles: of the node.
    """
    # Die with the node's pool, which Parsl's own workers outlive; this also ends a wait.
    processes.die_with_parent(os.getppid())
    processes.adopt_orphans()
    rank = int(os.environ["PARSL_WORKER_RANK"])
    environment = tile.environment(tiles, rank)
    environment["TMPDIR"] = os.environ.get("TMPDIR", tiles.local)
    start = time.monotonic()
    try:
        if tiles.cores:
            cores.bind(rank, tiles.cores[rank])
        _warm(tiles, environment)
        end = went = _attend([spool, job, str(attempt), script], environment)
        if end == "silent" and variables.WARM in environment:
            _server(environment[variables.WARM]).kill()  # it may hang, too
    except (OSError, cores.Unusable) as error:
        # No process, no file: the trouble is this node's, and the run continues on another.
        _report(Spool(Path(spool)), environment, error)
        end, went = "lost", "failed"
    if wait := _trouble.wait(went, time.monotonic() - start):
        where = f"tile {environment[variables.TILE]} of {os.uname().nodename}"
        log.warning("%s waits %.0f s: %d runs in a row failed quickly", where, wait, _trouble.runs)
        time.sleep(wait)
    return end


def _report(spool: Spool, environment: Mapping[str, str], error: Exception) -> None:
    """Say why no run starts on this node, if that is so and the spool can be written from here."""
    log.warning("%s cannot attend a run: %s", os.uname().nodename, error)
    with suppress(OSError):
        if isinstance(error, cores.Unusable):
            where = environment.get(node.BLOCK, ""), os.uname().nodename
            spool.report_node(*where, str(error))
        else:
            node.leave_if_faulty(spool, environment)


def _warm(tiles: Tiles, environment: dict[str, str]) -> None:
    """Have one Python execute the science commands of this tile, or one each."""
    environment.pop(variables.WARM, None)
    if tiles.warm and warm.is_possible():
        environment[variables.WARM] = warm.directory(os.getpid(), environment["TMPDIR"])
        _server(environment[variables.WARM]).ensure("tile", environment)


@cache
def _server(place: str) -> warm.Server:
    """Return the server of the one tile of this process."""
    return warm.Server(place)


def _attend(arguments: list[str], environment: dict[str, str]) -> End:
    """Run a script under a guard; return how it ended, which the spool has by then.

    The guard is a fork of the node's fork server, if there is one.

    Args:
        arguments: spool, job, attempt and script.
        environment: of the guard and the run.

    Raises:
        OSError: if the guard, or this process, has trouble with its node or the spool.
    """
    status = None
    if address := environment.get(variables.FORKS):
        order = forks.Order(arguments, environment, sorted(os.sched_getaffinity(0)))
        status = forks.attend(address, order)
    if status is None:
        status = _start(arguments, environment).wait()
    if end := ENDS.get(status):
        return end
    if status == TROUBLE:
        raise OSError("its guard can use the spool no longer, or start no process")
    processes.kill_descendants()
    time.sleep(TIMERS.end_doubt)
    spool, job, attempt, _ = arguments
    return Spool(Path(spool)).finish(job, int(attempt), "failed")


def _start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a guard that is no fork."""
    return subprocess.Popen(
        [sys.executable, "-m", "hed.pilot.guard", str(os.getpid()), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
