"""Parsl's executor, made to wait after a refusal and to say when no block can ever start."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from parsl.executors import HighThroughputExecutor
from parsl.jobs.states import JobState, JobStatus

from hed.pilot import scaling
from hed.pilot.refusals import Kind, Refused
from hed.pilot.reminder import Reminder
from hed.pilot.scaling import Limits
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS

log = logging.getLogger("hed.pilot")

Pools = Sequence[Mapping[str, Any]]


class Hopeless(Exception):
    """No block can ever start."""


class Blocks(HighThroughputExecutor):  # type: ignore[misc]
    """The blocks of one site.

    Attributes:
        spool: where the nodes say that no run begins on them.
        last_start: until when a block may be started, in monotonic seconds.
        ended: blocks that have ended, whose runs are lost, in order; the dispatcher takes them.
    """

    spool: Spool
    last_start = math.inf

    def __init__(self, **settings: Any) -> None:
        """Take Parsl's settings."""
        super().__init__(**settings)
        self.ended: SimpleQueue[str] = SimpleQueue()
        self._refusals = self._rejections = 0
        self._next_try = 0.0
        self._refusal = Reminder("", 0.0, 0.0)
        self._queued: dict[str, Reminder] = {}
        self._told: set[str] = set()
        self._lost: set[str] = set()
        self._useless: dict[str, str] = {}
        self._left: dict[tuple[str, str], str] = {}
        self._told_nodes: set[tuple[str, str]] = set()
        self._arrived: dict[str, float] = {}
        self._running: dict[str, float] = {}
        self._waited = 0.0

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two looks at the blocks: at most two heartbeats."""
        return min(int(super().status_polling_interval), 2 * int(self.heartbeat_period))

    def balance(self) -> None:
        """Look at the blocks; ask for more if runs wait, give idle ones back if none does."""
        self.poll_facade()
        self._lose_ended()
        pools: list[Mapping[str, Any]] = self.connected_managers()
        self._leave_nodes(pools)
        self._end_useless(pools)
        self._end_silent(pools)
        self.handle_errors(self.status_facade)
        waiting = self.outstanding() - sum(pool["tasks"] for pool in pools)
        if self.bad_state_is_set or self._is_over(waiting):
            return
        self._say_what_waits()
        limits = self._limits()
        free = [self._free(block, pools, limits.tiles) for block in self._live()]
        begun = bool(self.blocks_to_job_id)
        self.scale_out_facade(scaling.wanted(limits, waiting, free, begun=begun))
        now = time.monotonic()
        self._waited = now if waiting > 0 else self._waited
        if now - self._waited > TIMERS.idle_block and len(free) > limits.least:
            self.scale_in_facade(len(free) - limits.least, max_idletime=TIMERS.idle_block)

    def _is_over(self, waiting: int) -> bool:
        """Return whether runs wait in vain: in the reserve of an allocation none is begun."""
        if time.monotonic() < self.last_start or self._live() or waiting <= 0:
            return False
        self._give_up(
            "this allocation is about to end, and no run is begun in its reserve; "
            "the same command in another one goes on from the checkpoints"
        )
        return True

    def _lose_ended(self) -> None:
        """Notice blocks that have ended, as their scheduler says, long before Parsl misses them."""
        for block, status in self.status_facade.items():
            if status.terminal and block in self.blocks_to_job_id and block not in self._lost:
                self._lost.add(block)
                self.ended.put(block)

    def _leave_nodes(self, pools: Pools) -> None:
        """Give no run to a node that says that none begins there; tell of it if others work."""
        for place, why in self.spool.reported_nodes().items():
            if place not in self._left and place[0] in self.blocks_to_job_id:
                self._left[place] = why
                log.info("node %s of block %s begins no run: %s", place[1], place[0], why)
        for pool in pools:
            if pool["active"] and _place(pool) in self._left:
                self._hold_manager(pool["manager"])
        useful = {pool["block_id"] for pool in pools if _place(pool) not in self._left}
        for block, node in sorted(self._left.keys() - self._told_nodes):
            if block in useful:
                self._told_nodes.add((block, node))
                where, why = f"node {node} of {self._name(block)}", self._left[block, node]
                log.warning("%s begins no run and is left alone: %s", where, why)

    def _end_useless(self, pools: Pools) -> None:
        """Give back each block that has no node left on which a run is or may begin."""
        for block in self._live():
            left = {node: why for (of, node), why in self._left.items() if of == block}
            own = [pool for pool in pools if pool["block_id"] == block]
            if not left or any(pool["tasks"] or _place(pool) not in self._left for pool in own):
                continue
            if block in self._arrived:
                self._end(block, "has no node left that takes runs")
            elif len(left) >= self.provider.nodes_per_block:
                node, why = next(iter(left.items()))
                self._end_barren(block, f"has no node on which a run begins ({node}: {why})")

    def _end_silent(self, pools: Pools) -> None:
        """Give back each block that has been running for too long without a worker pool."""
        now, there = time.monotonic(), {pool["block_id"] for pool in pools}
        for block in self._live():
            if block in there or self._status[block].state != JobState.RUNNING:
                self._running.pop(block, None)
                continue
            limit, since = TIMERS.copying_block, self._running.setdefault(block, now)
            if launched := self.provider.launched(self.blocks_to_job_id[block]):
                limit, since = TIMERS.silent_block, max(since, now - (time.time() - launched))
            if now - since > limit:
                self._end_barren(block, f"has run for {limit / 60:.0f} min without a worker")

    def _end_barren(self, block: str, why: str) -> None:
        """Give back a block that had no run, and have the next one wait."""
        self._useless[block] = why
        self._end(block, why)
        self._wait()

    def _end(self, block: str, why: str) -> None:
        """Give a block back and say why, once; if it cannot be now, it is tried again."""
        if block not in self._told:
            self._told.add(block)
            logs = self.provider.script_dir
            log.warning("%s %s and is given back; see %s", self._name(block), why, logs)
        if all(self.provider.cancel([self.blocks_to_job_id[block]])):
            # The scheduler takes some seconds to say so, and is asked only now and then.
            self._status[block] = self._simulated_status[block] = JobStatus(JobState.SCALED_IN)

    def _name(self, block: str) -> str:
        return f"block {block} (job {self.blocks_to_job_id[block]})"

    def _say_what_waits(self) -> None:
        """Tell at growing intervals why a block still waits in the queue, if the scheduler does."""
        now = time.monotonic()
        for block in self._live():
            if self._status[block].state != JobState.PENDING:
                continue
            reminder = self._queued.setdefault(block, Reminder("", now, TIMERS.first_reminder))
            why = self.provider.comment(self.blocks_to_job_id[block])
            if why and reminder.is_due(now):
                log.warning("%s waits in the queue: %s", self._name(block), why)

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

    def _free(self, block: str, pools: Pools, tiles: int) -> int:
        """Return on how many tiles of a block waiting runs can start."""
        left = sum(of == block for of, _ in self._left)
        own = [p for p in pools if p["block_id"] == block and _place(p) not in self._left]
        now = time.monotonic()
        first = self._arrived.setdefault(block, now) if own else now
        usable = tiles - left * int(self.workers_per_node)
        return scaling.free_tiles(own, usable, seconds=now - first)

    def scale_out_facade(self, n: int) -> list[str]:
        """Ask for blocks one by one, and after a refusal for none until a while later."""
        opened: list[str] = []
        for _ in range(n):
            if not self._next_try <= time.monotonic() < self.last_start:
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
        self._refusal = Reminder("", 0.0, 0.0)
        return job

    def _wait(self) -> float:
        """Have the next block asked for later, the more failures in a row the later."""
        failures = self._refusals + len(self._useless_in_a_row(self._status))
        wait = min(self.heartbeat_period * 2 ** (failures - 1), TIMERS.longest_retry)
        self._next_try = time.monotonic() + wait
        return float(wait)

    def _refuse(self, error: Exception) -> None:
        """Wait, or give up if no block works and none ever will."""
        self._refusals += 1
        wait, kind = self._wait(), _kind(error)
        self._rejections = 0 if kind == "passes" else self._rejections + 1
        if (kind == "final" or self._rejections >= TIMERS.useless_blocks) and not self._working():
            self._give_up(str(error))
            return
        now = time.monotonic()
        why = getattr(error, "why", "") or str(error)
        if self._refusal.text != why:
            self._refusal = Reminder(why, -math.inf, wait)
        if self._refusal.is_due(now):
            log.warning("%s; waiting, and trying again in %.0f s", error, wait)

    def handle_errors(self, status: Mapping[str, JobStatus]) -> None:
        """Tell of blocks that ended before a worker started, and give up after several in a row."""
        for block in self.blocks_to_job_id.keys() & status.keys():
            if status[block].state == JobState.MISSING and block not in self._told:
                self._told.add(block)
                log.warning("%s", self._story(block, status[block]))
        useless = self._useless_in_a_row(status)
        hopeless = len(useless) >= TIMERS.useless_blocks and not self._working()
        if hopeless and not self.bad_state_is_set:
            self._give_up(self._story(useless[0], status[useless[0]]))

    def _useless_in_a_row(self, status: Mapping[str, JobStatus]) -> list[str]:
        """Return the last blocks, the youngest first, of which none had a run."""
        launched = sorted((b for b in status if b in self.blocks_to_job_id), key=int, reverse=True)
        missing = {block for block in launched if status[block].state == JobState.MISSING}
        return list(takewhile((missing | self._useless.keys()).__contains__, launched))

    def _working(self) -> bool:
        """Return whether a block is there or may come."""
        return any(block not in self._useless for block in self._live())

    def _story(self, block: str, status: JobStatus) -> str:
        """Return in a sentence how a block ended before its workers started."""
        if block in self._useless:
            return f"{self._name(block)} {self._useless[block]}; see {self.provider.script_dir}"
        last = (status.stderr_summary or "").strip().splitlines()[-1:]
        if status.message and not status.message.startswith("Job is marked as MISSING"):
            last = [status.message]
        where = f"; see {Path(status.stderr_path).parent}" if status.stderr_path else ""
        why = ": ".join([f"{self._name(block)} ended before its workers started", *last])
        return f"{why}{where}"

    def _give_up(self, why: str) -> None:
        log.error("no block can start, so the waiting runs end: %s", why)
        self.set_bad_state_and_fail_all(Hopeless(why))


def _place(pool: Mapping[str, Any]) -> tuple[str, str]:
    """Return block and node of a worker pool, whose name its keeper has given."""
    return pool["block_id"], pool["manager"].rpartition("-")[0]


def _kind(error: Exception) -> Kind:
    return error.kind if isinstance(error, Refused) else "unclear"
