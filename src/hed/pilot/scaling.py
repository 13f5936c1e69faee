"""How many blocks are needed. Parsl's own strategy cancels queued blocks once slots exceed tasks.

(`htex_auto_scale` then scales in by less than one block, which its executor takes as all idle
blocks, including those in the queue: with 770 runs for 780 tiles no block would ever start.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hed.pilot.parsl.executor import Pool
from hed.pilot.timers import TIMERS


@dataclass(frozen=True)
class Limits:
    """How many blocks there may be, and the tiles of one."""

    first: int
    least: int
    most: int
    tiles: int


def wanted(limits: Limits, waiting: int, free: Sequence[int], *, begun: bool) -> int:
    """Return how many more blocks to request.

    Args:
        limits: of the site.
        waiting: runs that have no tile.
        free: for each existing or requested block, the tiles on which they may start.
        begun: whether any block was requested before.
    """
    if not begun and not waiting:  # what a block copies may not be there yet
        return 0
    lacking = max(0, -(-(waiting - sum(free)) // limits.tiles))
    least = limits.least if begun else max(limits.first, limits.least)
    return max(0, min(max(lacking, least - len(free)), limits.most - len(free)))


def free_tiles(pools: Sequence[Pool], tiles: int, *, seconds: float) -> int:
    """Return how many tiles of a block waiting runs can start on, now or once it has started.

    Args:
        pools: the block's worker pools, one for each node that has arrived.
        tiles: of the whole block.
        seconds: since the first of them arrived; 0 if none has.
    """
    if any(pool.is_draining or not pool.is_active for pool in pools):
        return 0
    busy = sum(pool.tasks for pool in pools)
    there = sum(pool.workers for pool in pools)
    return (tiles if seconds < TIMERS.node_arrival else there) - busy
