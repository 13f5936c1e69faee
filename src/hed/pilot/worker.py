"""What Parsl's worker of a tile does with a job: hand it to a guard and wait."""

import os
import subprocess
import sys
from pathlib import Path

from hed.pilot import processes, tile
from hed.pilot.guard import STATUS
from hed.pilot.spool import End, Spool
from hed.pilot.tile import Tiles

ENDS = {status: end for end, status in STATUS.items()}


def run(spool: str, job: str, attempt: int, script: str, tiles: Tiles) -> End:
    """Run a script of Snakemake's on the tile of this worker; return how it ended.

    Args:
        spool: its directory.
        job: id.
        attempt: how many before this one lost their tile.
        script: its path.
        tiles: of the node.
    """
    # The pool of this node, which Parsl's own workers outlive.
    processes.die_with_parent(os.getppid())
    processes.adopt_orphans()
    arguments = [str(os.getpid()), spool, job, str(attempt), script]
    guard = subprocess.Popen(
        [sys.executable, "-m", "hed.pilot.guard", *arguments],
        env=tile.environment(tiles, int(os.environ["PARSL_WORKER_RANK"])),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    if end := ENDS.get(guard.wait()):
        return end
    processes.kill_descendants()
    return Spool(Path(spool)).finish(job, attempt, "failed")
