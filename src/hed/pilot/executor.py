"""Parsl's executor, made to wait after a refusal and to say when no block can ever start."""

import logging
import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from parsl.executors import HighThroughputExecutor
from parsl.jobs.states import JobState, JobStatus

from hed.pilot import scaling
from hed.pilot.providers import Refused
from hed.pilot.scaling import Limits

log = logging.getLogger("hed.pilot")

# Most seconds until a refused block is asked for again: a heartbeat's, doubled each time.
LONGEST_WAIT = 300.0
# So many blocks in a row rejected or without a single worker mean that none will ever have one.
HOPELESS = 3
# Seconds without a waiting run after which an idle block is given back.
IDLE = 60.0
# Seconds for which a block may run without a worker pool: its launcher hangs.
SILENT = 20 * 60.0


class Hopeless(Exception):
    """No block can ever start."""


class Blocks(HighThroughputExecutor):  # type: ignore[misc]
    """The blocks of one site."""

    def __init__(self, **settings: Any) -> None:
        """Take Parsl's settings."""
        super().__init__(**settings)
        self._refusals = self._rejections = 0
        self._next_try = 0.0
        self._told: set[str] = set()
        self._arrived: dict[str, float] = {}
        self._silent: dict[str, float] = {}
        self._waited = 0.0

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two looks at the blocks: at most two heartbeats."""
        return min(int(super().status_polling_interval), 2 * int(self.heartbeat_period))

    def balance(self) -> None:
        """Look at the blocks; ask for more if runs wait, give idle ones back if none does."""
        self.poll_facade()
        self.handle_errors(self.status_facade)
        if self.bad_state_is_set:
            return
        pools: list[Mapping[str, Any]] = self.connected_managers()
        self._end_silent(pools)
        waiting = self.outstanding() - sum(pool["tasks"] for pool in pools)
        limits = self._limits()
        free = [self._free(block, pools, limits.tiles) for block in self._live()]
        begun = bool(self.blocks_to_job_id)
        self.scale_out_facade(scaling.wanted(limits, waiting, free, begun=begun))
        now = time.monotonic()
        self._waited = now if waiting > 0 else self._waited
        if now - self._waited > IDLE and len(free) > limits.least:
            self.scale_in_facade(len(free) - limits.least, max_idletime=IDLE)

    def _end_silent(self, pools: Sequence[Mapping[str, Any]]) -> None:
        """Give back each block that has been running for too long without a worker pool."""
        now, there = time.monotonic(), {pool["block_id"] for pool in pools}
        for block in self._live():
            if block in there or self._status[block].state != JobState.RUNNING:
                self._silent.pop(block, None)
            elif now - self._silent.setdefault(block, now) > SILENT:
                self._silent[block] = now
                self._end(block, f"has run for {SILENT / 60:.0f} min without a worker")

    def _end(self, block: str, why: str) -> None:
        """Give a block back and say why, once."""
        job, logs = self.blocks_to_job_id[block], self.provider.script_dir
        self._told.add(block)
        log.warning("block %s (job %s) %s and is given back; see %s", block, job, why, logs)
        self.provider.cancel([job])

    def give_all_back(self) -> None:
        """Cancel every block, busy or not."""
        if live := len(self._live()):
            self.scale_in_facade(live)

    def _limits(self) -> Limits:
        nodes = self.provider
        tiles = nodes.nodes_per_block * self.workers_per_node
        return Limits(nodes.init_blocks, nodes.min_blocks, nodes.max_blocks, int(tiles))

    def _live(self) -> list[str]:
        return [block for block, status in self._status.items() if not status.terminal]

    def _free(self, block: str, pools: Sequence[Mapping[str, Any]], tiles: int) -> int:
        """Return on how many tiles of a block waiting runs can start."""
        own = [pool for pool in pools if pool["block_id"] == block]
        now = time.monotonic()
        first = self._arrived.setdefault(block, now) if own else now
        return scaling.free_tiles(own, tiles, seconds=now - first)

    def scale_out_facade(self, n: int) -> list[str]:
        """Ask for blocks one by one, and after a refusal for none until a while later."""
        opened: list[str] = []
        for _ in range(n):
            if time.monotonic() < self._next_try:
                break
            opened += super().scale_out_facade(1)
        return opened

    def _launch_block(self, block_id: str) -> Any:
        try:
            job = super()._launch_block(block_id)
        except Exception as error:
            self._refuse(error)
            raise
        log.info("block %s requested as job %s", block_id, job)
        self._refusals = self._rejections = 0
        return job

    def _refuse(self, error: Exception) -> None:
        """Wait, or give up if no block works and none ever will."""
        self._refusals += 1
        wait = min(self.heartbeat_period * 2 ** (self._refusals - 1), LONGEST_WAIT)
        self._next_try = time.monotonic() + wait
        passing = isinstance(error, Refused) and error.passing
        self._rejections = 0 if passing else self._rejections + 1
        if self._rejections >= HOPELESS and not self._working():
            self._give_up(str(error))
        else:
            log.warning("%s; trying again in %.0f s", error, wait)

    def handle_errors(self, status: Mapping[str, JobStatus]) -> None:
        """Tell of blocks that ended before a worker started, and give up after several in a row."""
        launched = sorted((b for b in status if b in self.blocks_to_job_id), key=int, reverse=True)
        for block in launched:
            if status[block].state == JobState.MISSING and block not in self._told:
                self._told.add(block)
                log.warning("%s", self._story(block, status[block]))
        ended = takewhile(lambda block: status[block].state == JobState.MISSING, launched)
        missing = list(ended)
        if len(missing) >= HOPELESS and not self._working() and not self.bad_state_is_set:
            self._give_up(self._story(missing[0], status[missing[0]]))

    def _working(self) -> bool:
        """Return whether a block is there or may come."""
        return bool(self._live())

    def _story(self, block: str, status: JobStatus) -> str:
        """Return in a sentence how a block ended before its workers started."""
        job = self.blocks_to_job_id[block]
        last = (status.stderr_summary or "").strip().splitlines()[-1:]
        if status.message and not status.message.startswith("Job is marked as MISSING"):
            last = [status.message]
        where = f"; see {Path(status.stderr_path).parent}" if status.stderr_path else ""
        why = ": ".join([f"block {block} (job {job}) ended before its workers started", *last])
        return f"{why}{where}"

    def _give_up(self, why: str) -> None:
        log.error("no block can start, so the waiting runs end: %s", why)
        self.set_bad_state_and_fail_all(Hopeless(why))
