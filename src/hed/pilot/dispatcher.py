"""The process that holds Parsl: takes jobs from the spool and gives each a tile.

`python -m hed.pilot.dispatcher SITE SPOOL TOOLS`, until its standard input ends or it is told to
terminate; then it gives all blocks back.
"""

import logging
import os
import select
import signal
import sys
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from parsl.executors.errors import BadStateException
from parsl.utils import Timer

from hed.errors import InputError
from hed.pilot import blocks, journal, tile
from hed.pilot.executor import Blocks
from hed.pilot.spool import Spool, State
from hed.pilot.tile import Tiles
from hed.pilot.worker import run
from hed.site import site as sites

log = logging.getLogger("hed.pilot")

# Seconds between two looks for submitted jobs, and between two decisions about blocks.
PERIOD = 0.2
BALANCE_PERIOD = 1.0


def main() -> None:
    """Dispatch until the end."""
    site_file, directory, tools = (Path(argument) for argument in sys.argv[1:])
    spool = Spool(directory)
    journal.start(spool)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        site = sites.read(site_file)
        executor = blocks.make(site, spool, directory.parent.name, tools)
    except InputError as error:
        log.error("%s", error)
        sys.exit(journal.REFUSED)
    executor.start()
    serve(spool, executor, tile.of(site))


def serve(spool: Spool, executor: Blocks, tiles: Tiles) -> None:
    """Ask for blocks as they are needed and dispatch; in the end give all back."""
    # In a thread of its own: a scheduler may take a minute to answer.
    timer = Timer(_balance, executor, interval=BALANCE_PERIOD)
    try:
        dispatch(spool, executor, tiles)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        timer.close()
        executor.give_all_back()
        executor.shutdown()


def _balance(executor: Blocks) -> None:
    """Decide about blocks; whatever goes wrong, try again."""
    try:
        executor.balance()
    except Exception as error:
        log.warning("the blocks could not be looked after: %s", error)
        log.info("details", exc_info=True)


def dispatch(spool: Spool, executor: Blocks, tiles: Tiles) -> None:
    """Pass jobs from the spool to the executor until standard input ends."""
    while not select.select([sys.stdin], [], [], PERIOD)[0]:
        if executor.bad_state_is_set:
            # Why has been said, and no block is there; the sidecar ends all that waits.
            os._exit(journal.REFUSED)
        for job, script in spool.take():
            future = executor.submit(run, {}, str(spool.directory), job, script, tiles)
            future.add_done_callback(partial(_settle, spool, job))
        if executor.interchange_proc.poll() is not None:
            # Nothing of Parsl's answers any more; the sidecar gives the blocks back.
            log.error("Parsl's interchange died")
            os._exit(1)


def _settle(spool: Spool, job: str, future: Future[State]) -> None:
    """Record how a job ended: as its tile says, or as failed if its worker, node or block was lost.

    What the tile wrote may not be seen here yet, since a shared file system remembers for a while
    that a file was not there.
    """
    error = future.exception()
    told = error is None or isinstance(error, BadStateException)
    state = spool.settle(job, "failed" if error else future.result())
    if state == "failed" and not told:
        log.warning("job %s is lost: %s", job, error)


if __name__ == "__main__":
    main()
