"""The process that holds Parsl: takes jobs from the spool and gives each a tile.

`python -m hed.pilot.dispatcher SITE SPOOL TOOLS`, until its standard input ends or it is told to
terminate; then it releases all blocks.
"""

import logging
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NoReturn, TypeVar

from hed import command
from hed.errors import InputError
from hed.names import RECORD
from hed.pilot import allocation, journal, names, processes, tile
from hed.pilot.blocks import Blocks, Hopeless
from hed.pilot.parsl import setup
from hed.pilot.parsl.executor import Ended, Executor, Lost, Timer
from hed.pilot.reminder import Complaint
from hed.pilot.scaling import Limits
from hed.pilot.spool import End, Spool, State
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS, QuickDeaths
from hed.pilot.worker import run
from hed.site import site as sites
from hed.site.site import Site

log = logging.getLogger("hed.pilot")

T = TypeVar("T")


def main() -> None:
    """Dispatch until the end."""
    site_file, directory, tools = (Path(argument) for argument in sys.argv[1:])
    spool = Spool(directory)
    journal.start(spool)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        site = sites.read(site_file)
        if site.stage:
            _await_record(directory.parent / RECORD)
        blocks = _make(site, spool, tools)
    except InputError as error:
        log.error("%s", error)
        sys.exit(journal.REFUSED)
    spool.tell_nodes(tile.of(site))
    blocks.executor.start()
    serve(spool, blocks, tile.of(site))


def _make(site: Site, spool: Spool, tools: Path) -> Blocks:
    """Return the blocks of a site, or the one block of the allocation that this process is in."""
    here = allocation.within(site)
    inside = here is not site
    executor = setup.make(here, spool, spool.directory.parent.name, tools, inside=inside)
    tiles = here.nodes_per_block * here.tiles_per_node
    limits = Limits(here.init_blocks, here.min_blocks, here.max_blocks, tiles)
    last_start = time.monotonic() + here.walltime - here.reserve if inside else math.inf
    return Blocks(executor, spool, limits, last_start=last_start)


def _await_record(record: Path) -> None:
    """Wait for the record of what blocks copy; Snakemake writes it after starting the sidecar."""
    end = time.monotonic() + TIMERS.record_wait
    while not record.exists():
        if select.select([sys.stdin], [], [], TIMERS.job_look)[0]:
            return
        if time.monotonic() > end:
            log.warning("there is no %s, so the runs read from the shared file system", record)
            return


def serve(spool: Spool, blocks: Blocks, tiles: Tiles) -> None:
    """Request blocks as needed and dispatch; release all at the end."""
    # In a thread of its own: a scheduler may take a minute to answer.
    timer = Timer(_balance, blocks, Complaint(), interval=TIMERS.block_look)
    try:
        dispatch(spool, blocks, tiles)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with suppress(OSError):  # the blocks are released whatever the spool's disk does
            _tell_if_alone(spool)
        timer.close()
        blocks.executor.give_all_back()
        blocks.executor.shutdown()


def _tell_if_alone(spool: Spool) -> None:
    """If the sidecar has died, stop Snakemake, which would report each run as a failure."""
    if (number := spool.orphaned_snakemake()) is not None:
        log.error("the pilot has ended; start Snakemake again")
        processes.stop_snakemake(number)


def _balance(blocks: Blocks, trouble: Complaint) -> None:
    """Request and release blocks; whatever goes wrong, try again."""
    try:
        blocks.balance()
    except Exception as error:
        if trouble.is_due(str(error)):
            log.warning("the blocks cannot be managed: %s", error)
            log.info("details", exc_info=True)


def dispatch(spool: Spool, blocks: Blocks, tiles: Tiles) -> None:
    """Pass jobs from the spool to the blocks until standard input ends."""
    jobs = Jobs(spool, blocks.executor, tiles)
    signed, trouble = -math.inf, Complaint()
    while not select.select([sys.stdin], [], [], TIMERS.job_look)[0]:
        if why := blocks.executor.why_ended:
            _refuse(why)
        try:
            if time.monotonic() - signed > TIMERS.sign_of_life:
                spool.sign()
                signed = time.monotonic()
            each(blocks.ended, jobs.lose_block)
            jobs.settle()
            jobs.take()
        except OSError as error:  # of a disk that recovers, or a quota that the user can raise
            if trouble.is_due(told := command.sentence(error)):
                log.warning("the spool cannot be used, and jobs wait: %s", told)
        except Exception:
            # Of a run that came when all had just been ended; the next turn says why.
            if blocks.executor.why_ended is None:
                raise
        if blocks.executor.is_dead:
            # Parsl no longer answers; the sidecar releases the blocks.
            log.error("Parsl's interchange died")
            os._exit(1)
    with suppress(OSError):
        jobs.settle()


def each(queue: SimpleQueue[T], action: Callable[[T], None]) -> None:
    """Do something with each entry of a queue; one that fails stays, for another try."""
    for _ in range(queue.qsize()):
        entry = queue.get()
        try:
            action(entry)
        except OSError:
            queue.put(entry)
            raise


def _refuse(why: Exception) -> NoReturn:
    """End because no run can continue, and say why; the sidecar ends all jobs and blocks."""
    if not isinstance(why, Hopeless):
        log.error("Parsl has given up, so all runs end: %s", why)
    os._exit(journal.REFUSED)


class Jobs:
    """The jobs that the executor has, and those that have lost their tile."""

    def __init__(self, spool: Spool, executor: Executor, tiles: Tiles) -> None:
        """Take the spool, the executor, and the tiles of a node."""
        self._spool, self._executor, self._tiles = spool, executor, tiles
        self._done: SimpleQueue[tuple[str, int, Future[End]]] = SimpleQueue()
        # The script of each job and, for those that the executor has, the number of the attempt.
        self._scripts: dict[str, str] = {}
        self._attempts: dict[str, int] = {}
        # When each may be repeated, in monotonic seconds.
        self._lost: SimpleQueue[tuple[float, str]] = SimpleQueue()
        self._has_earlier = False

    def take(self) -> None:
        """Take the jobs that were submitted; at first, those that an earlier dispatcher took."""
        if not self._has_earlier:
            for job, script in self._spool.queued():
                self._scripts[job] = script
                self._lost.put((time.monotonic(), job))
            self._has_earlier = True
            self.settle()
        for job, script in self._spool.take():
            self.accept(job, script)

    def accept(self, job: str, script: str) -> None:
        """Take a job that was submitted."""
        try:
            self.give(job, script)
        except OSError:
            self._scripts[job] = script
            self._lost.put((time.monotonic(), job))
            raise

    def give(self, job: str, script: str) -> None:
        """Run a job on the next free tile; jobs that have lost their tile come first."""
        attempt = len(self._spool.losses(job))
        self._scripts[job], self._attempts[job] = script, attempt
        place = str(self._spool.directory)
        order = (place, job, attempt, script, self._tiles)
        future = self._executor.run(run, *order, urgent=attempt > 0)
        future.add_done_callback(lambda done: self._done.put((job, attempt, done)))

    def repeat(self, job: str, script: str) -> None:
        """Run a job again, unless it has ended or is to end."""
        if self._spool.state(job) or self._spool.is_cancelled(job):
            self._settle(job, "failed")
        else:
            self.give(job, script)

    def settle(self) -> None:
        """Record how jobs ended, and repeat those that lost their tile a while ago."""
        each(self._done, self._judge_done)
        each(self._lost, self._repeat_lost)

    def _judge_done(self, done: tuple[str, int, Future[End]]) -> None:
        """Record how an attempt ended, unless another has the job by now."""
        job, attempt, future = done
        if self._attempts.get(job) == attempt:
            self._judge(job, future)

    def _repeat_lost(self, lost: tuple[float, str]) -> None:
        """Repeat a job that lost its tile, if that was long enough ago."""
        when, job = lost
        if when > time.monotonic():
            self._lost.put(lost)
        else:
            self.repeat(job, self._scripts[job])

    def _settle(self, job: str, state: State) -> State:
        """Record how a job ended; return what is recorded."""
        recorded = self._spool.settle(job, state)
        self._attempts.pop(job, None)
        self._scripts.pop(job, None)
        return recorded

    def _judge(self, job: str, future: Future[End]) -> None:
        """Record how a job ended, as its tile says, or that it lost its tile.

        What the tile wrote may not be visible here yet, since a shared file system caches for a
        while that a file does not exist.
        """
        error = future.exception()
        if isinstance(error, Ended):
            return  # this process ends, and the sidecar ends all waiting jobs
        # Until a worker pool that lost contact has noticed this, too, and has ended its runs.
        wait = self._executor.heartbeat
        if isinstance(error, Lost):
            where = getattr(error, "hostname", "its node")
            self._lose(job, f"{where} does not answer any more", wait)
        elif not error and (why := self._why_left(future.result())):
            self._lose(job, why, wait)
        elif not error:
            self._settle(job, "success" if future.result() == "success" else "failed")
        else:
            name = self._name(job)
            if self._settle(job, "failed") == "failed":
                log.warning("%s failed: %s", name, error)

    def _why_left(self, end: End) -> str:
        """Return why a tile left its job to another, empty if the job has ended."""
        limit = self._tiles.silence / 3600
        whys = {
            "lost": "its block, its worker pool or its node was at its end",
            "silent": f"it had written nothing for {limit:.3g} h (silence in site.yaml)",
        }
        return whys.get(end, "")

    def lose_block(self, block: str) -> None:
        """Continue the runs of an ended block in another, once their processes are gone."""
        for job in self._spool.begun_in(block):
            if job in self._attempts:
                self._lose(job, f"block {block} has ended", TIMERS.kill_grace)

    def _lose(self, job: str, why: str, wait: float) -> None:
        """Continue a job that lost its tile, unless it has ended or loses every tile."""
        if self._spool.state(job):
            self._settle(job, "failed")
            return
        name, losses = self._name(job), self._spool.lose(job)
        # A silent node is noticed only after this delay.
        soon = TIMERS.quick_loss + self._executor.heartbeat_limit
        quick = QuickDeaths(TIMERS.quick_losses, soon)
        if len(losses) >= TIMERS.lost_tiles or [quick.add(seconds) for seconds in losses][-1]:
            self._settle(job, "failed")
            log.warning("%s has lost %d tiles and counts as failed: %s", name, len(losses), why)
            return
        self._attempts.pop(job, None)
        self._lost.put((time.monotonic() + wait, job))
        log.warning("%s lost its tile and continues on another: %s", name, why)

    def _name(self, job: str) -> str:
        """Return what a person calls a job."""
        return names.of(self._scripts.get(job, ""), self._spool.directory.parent) or f"job {job}"


if __name__ == "__main__":
    main()
