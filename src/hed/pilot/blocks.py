"""Which blocks are requested and released, and when no block can ever start."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from queue import SimpleQueue

from hed.pilot import scaling
from hed.pilot.parsl.executor import Block, Executor, Pool, Unwritable
from hed.pilot.refusals import Kind, Refused
from hed.pilot.reminder import Complaint, Reminder
from hed.pilot.scaling import Limits
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS

log = logging.getLogger("hed.pilot")

Pools = Sequence[Pool]


class Hopeless(Exception):
    """No block can ever start."""


class Blocks:
    """The blocks of one site.

    Attributes:
        executor: of the runs on them.
        ended: numbers of the blocks that have ended and whose runs are lost, in order, for the
            dispatcher to take.
    """

    def __init__(
        self, executor: Executor, spool: Spool, limits: Limits, *, last_start: float = math.inf
    ) -> None:
        """Manage the blocks of an executor.

        Args:
            executor: started by the caller.
            spool: where nodes report that no run starts on them.
            limits: of the site.
            last_start: until when a block may be started, in monotonic seconds.
        """
        self.executor, self._spool, self._limits = executor, spool, limits
        self._last_start = last_start
        self.ended: SimpleQueue[str] = SimpleQueue()
        self._refusals = self._rejections = 0
        self._next_try = 0.0
        self._refusal = Complaint()
        self._queued: dict[str, Reminder] = {}
        self._told: set[str] = set()
        self._lost: set[str] = set()
        self._useless: dict[str, str] = {}
        self._left: dict[tuple[str, str], str] = {}
        self._told_nodes: set[tuple[str, str]] = set()
        self._arrived: dict[str, float] = {}
        self._running: dict[str, float] = {}
        # Since when each block without a run has had none.
        self._idle: dict[str, float] = {}
        # Those that are released for that, since they take no run any more.
        self._leaving: set[str] = set()
        self._waited = 0.0

    def balance(self) -> None:
        """Check the blocks; request more if runs wait, release idle ones if none does."""
        self.executor.look()
        self._lose_ended()
        pools = self.executor.pools()
        self._leave_nodes(pools)
        self._end_useless(pools)
        self._end_silent(pools)
        self._judge_unused()
        waiting = self.executor.unfinished() - sum(pool.tasks for pool in pools)
        if self.executor.why_ended or self._is_over(waiting):
            return
        self._say_what_waits()
        live = self._live()
        free = [self._free(block.id, pools) for block in live]
        begun = bool(self.executor.blocks())
        self.ask_for(scaling.wanted(self._limits, waiting, free, begun=begun))
        self._waited = time.monotonic() if waiting > 0 else self._waited
        self._release_idle(live, pools)

    def _release_idle(self, live: Sequence[Block], pools: Pools) -> None:
        """Release blocks that have had no run for a while, if none has waited for as long.

        Those that wait in the queue come first. Also runs on nodes that are left alone count:
        Parsl's own scaling overlooks them.
        """
        now = time.monotonic()
        busy = {pool.block for pool in pools if pool.tasks}
        idle = [block for block in live if block.id not in busy]
        self._idle = {block.id: self._idle.get(block.id, now) for block in idle}
        idle.sort(key=lambda block: (block.state == "running", self._idle[block.id]))
        spare = max(0, len(live) - self._limits.least)
        for block in idle[:spare] if now - self._waited > TIMERS.idle_block else ():
            if now - self._idle[block.id] > TIMERS.idle_block:
                self._leaving.add(block.id)
        for block in live:
            if block.id in self._leaving:
                self._release(block, pools)

    def _release(self, block: Block, pools: Pools) -> None:
        """Release a block that gets no run any more; if that fails, it is retried."""
        for pool in pools:
            if pool.block == block.id and pool.is_active:
                self.executor.hold(pool)
        self.executor.give_back(block)

    def _is_over(self, waiting: int) -> bool:
        """Return whether runs wait in vain: in the reserve of an allocation none is started."""
        if time.monotonic() < self._last_start or self._live() or waiting <= 0:
            return False
        self._give_up(
            "this allocation is about to end, and no run is started in its reserve; "
            "the same command in another one continues from the checkpoints"
        )
        return True

    def _lose_ended(self) -> None:
        """Notice blocks that have ended by their scheduler, long before Parsl misses them."""
        for block in self.executor.blocks().values():
            if not block.is_live and block.id not in self._lost:
                self._lost.add(block.id)
                self.ended.put(block.id)

    def _leave_nodes(self, pools: Pools) -> None:
        """Give no run to a node that reports that none starts there; warn if other nodes work."""
        blocks = self.executor.blocks()
        for place, why in self._spool.reported_nodes().items():
            if place not in self._left and place[0] in blocks:
                self._left[place] = why
                log.info("node %s of block %s cannot start runs: %s", place[1], place[0], why)
        for pool in pools:
            if pool.is_active and pool.place in self._left:
                self.executor.hold(pool)
        useful = {pool.block for pool in pools if pool.place not in self._left}
        for number, node in sorted(self._left.keys() - self._told_nodes):
            if number in useful:
                self._told_nodes.add((number, node))
                where, why = f"node {node} of {blocks[number]}", self._left[number, node]
                log.warning("%s cannot start runs and is left alone: %s", where, why)

    def _end_useless(self, pools: Pools) -> None:
        """Release each block that has no node left on which a run is or could start."""
        for block in self._live():
            left = {node: why for (of, node), why in self._left.items() if of == block.id}
            own = [pool for pool in pools if pool.block == block.id]
            if not left or any(pool.tasks or pool.place not in self._left for pool in own):
                continue
            node, why = min(left.items())  # whichever reported first
            all_left = len(left) >= self.executor.nodes
            if block.id not in self._arrived and all_left:
                self._end_barren(block, f"has no node that can start a run ({node}: {why})")
            elif block.id in self._arrived:
                # All of its nodes soon after they came: so will be those of the next block.
                soon = time.monotonic() - self._arrived[block.id] < TIMERS.quick_block
                end = self._end_barren if all_left and soon else self._end
                end(block, f"has no node left that takes runs ({node}: {why})")

    def _end_silent(self, pools: Pools) -> None:
        """Release each block that has been running for too long without a worker pool."""
        now, there = time.monotonic(), {pool.block for pool in pools}
        for block in self._live():
            if block.id in there or block.state != "running":
                self._running.pop(block.id, None)
                continue
            limit, since = TIMERS.copying_block, self._running.setdefault(block.id, now)
            if launched := self.executor.launched(block):
                since = max(since, now - (time.time() - launched))
                limit = TIMERS.silent_block + TIMERS.silent_node * self.executor.nodes
            if now - since > limit:
                self._end_barren(block, f"has run for {limit / 60:.0f} min without a worker")

    def _end_barren(self, block: Block, why: str) -> None:
        """Release a block that was of no use, and delay the next one."""
        self._useless[block.id] = why
        self._end(block, why)
        self._wait()

    def _end(self, block: Block, why: str) -> None:
        """Release a block and say why, once; if that fails, it is retried."""
        if block.id not in self._told:
            self._told.add(block.id)
            log.warning("%s %s and is released; see %s", block, why, self._logs)
        self.executor.give_back(block)

    @property
    def _logs(self) -> Path:
        """Directory of the blocks' scripts and their output."""
        return self._spool.directory / "parsl"

    def _say_what_waits(self) -> None:
        """Log at growing intervals why a block still waits in the queue, if the scheduler says."""
        now = time.monotonic()
        for block in self._live():
            if block.state != "waiting":
                continue
            reminder = self._queued.setdefault(block.id, Reminder(now, TIMERS.first_reminder))
            why = self.executor.comment(block)
            if why and reminder.is_due(now):
                log.warning("%s waits in the queue: %s", block, why)

    def _live(self) -> list[Block]:
        return [block for block in self.executor.blocks().values() if block.is_live]

    def _free(self, block: str, pools: Pools) -> int:
        """Return how many tiles of a block waiting runs can start on."""
        left = sum(of == block for of, _ in self._left)
        own = [p for p in pools if p.block == block and p.place not in self._left]
        now = time.monotonic()
        # One whose pools are gone is not about to start, whatever its last known state.
        first = self._arrived.setdefault(block, now) if own else self._arrived.get(block, now)
        usable = self._limits.tiles - left * self.executor.tiles
        return scaling.free_tiles(own, usable, seconds=now - first)

    def ask_for(self, number: int) -> None:
        """Request blocks one by one; after a refusal, request none for a while."""
        for _ in range(number):
            if not self._next_try <= time.monotonic() < self._last_start:
                return
            try:
                block = self.executor.ask()
            except Exception as error:
                self._refuse(error)
                continue
            log.info("block %s requested as job %s", block.id, block.job)
            self._refusals = self._rejections = 0
            self._refusal = Complaint()

    def _wait(self) -> float:
        """Delay the next request, the longer the more failures in a row; return the seconds."""
        failures = self._refusals + len(self._useless_in_a_row(self.executor.blocks()))
        # The exponent is limited, too: after days of refusals the power would overflow.
        wait = min(self.executor.heartbeat * 2.0 ** min(failures - 1, 30), TIMERS.longest_retry)
        self._next_try = time.monotonic() + wait
        return wait

    def _refuse(self, error: Exception) -> None:
        """Wait, or give up if no block works and none ever will."""
        self._refusals += 1
        wait, kind = self._wait(), _kind(error)
        self._rejections = 0 if kind == "passes" else self._rejections + 1
        if (kind == "final" or self._rejections >= TIMERS.useless_blocks) and not self._working():
            self._give_up(str(error))
            return
        if self._refusal.is_due(getattr(error, "why", "") or str(error), wait):
            log.warning("%s; waiting, and trying again in %.0f s", error, wait)

    def _judge_unused(self) -> None:
        """Report blocks that ended before a worker started; give up after several in a row."""
        blocks = self.executor.blocks()
        for block in blocks.values():
            if block.state == "unused" and block.id not in self._told:
                self._told.add(block.id)
                log.warning("%s", self._story(block))
        useless = self._useless_in_a_row(blocks)
        hopeless = len(useless) >= TIMERS.useless_blocks and not self._working()
        if hopeless and not self.executor.why_ended:
            self._give_up(self._story(useless[0]))

    def _useless_in_a_row(self, blocks: Mapping[str, Block]) -> list[Block]:
        """Return the latest blocks, newest first, none of which was of use."""
        youngest = sorted(blocks.values(), key=lambda block: int(block.id), reverse=True)
        return list(takewhile(lambda b: b.state == "unused" or b.id in self._useless, youngest))

    def _working(self) -> bool:
        """Return whether a block is running or may start."""
        return any(block.id not in self._useless for block in self._live())

    def _story(self, block: Block) -> str:
        """Return a sentence on how a block ended before its workers started."""
        if block.id in self._useless:
            return f"{block} {self._useless[block.id]}; see {self._logs}"
        words, logs = self.executor.last_words(block), self.executor.logs(block)
        why = ": ".join(filter(None, [f"{block} ended before its workers started", words]))
        return f"{why}; see {logs}" if logs else why

    def _give_up(self, why: str) -> None:
        log.error("no block can start, so the waiting runs end: %s", why)
        self.executor.end_all(Hopeless(why))


def _kind(error: Exception) -> Kind:
    """Return whether a refusal passes, as that of a disk or of this machine's processes does."""
    if isinstance(error, Unwritable):
        return "passes"
    return error.kind if isinstance(error, Refused) else "unclear"
