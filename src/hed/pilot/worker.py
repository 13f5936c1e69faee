"""What Parsl's worker of a tile does with a job: hand it to a guard and wait."""

import os
import subprocess
import sys
from pathlib import Path

from hed.pilot import processes, tile
from hed.pilot.spool import Spool, State
from hed.pilot.tile import Tiles


def run(spool: str, job: str, script: str, tiles: Tiles) -> State:
    """Run a script of Snakemake's on the tile of this worker; return how it ended."""
    # The pool of this node, which Parsl's own workers outlive.
    processes.die_with_parent(os.getppid())
    processes.adopt_orphans()
    guard = subprocess.Popen(
        [sys.executable, "-m", "hed.pilot.guard", str(os.getpid()), spool, job, script],
        env=tile.environment(tiles, int(os.environ["PARSL_WORKER_RANK"])),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    if guard.wait():
        processes.kill_descendants()
    return Spool(Path(spool)).settle(job, "failed")
