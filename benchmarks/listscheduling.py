"""How long runs take on tiles at best, and why tiles were idle."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Placed:
    """A run on its tile; times in seconds.

    Attributes:
        tile: any name of it.
        submitted: when the pilot got the run.
        start: when the tile took it.
        end: when the tile was free again.
    """

    tile: str
    submitted: float
    start: float
    end: float


@dataclass(frozen=True)
class Idle:
    """Why tiles were idle, as shares of all tiles' time from their beginning to the last end.

    Attributes:
        submission: no run was there although some were still to come.
        dispatch: a run waited while the tile was free.
        tail: no run was left.
    """

    submission: float
    dispatch: float
    tail: float

    @property
    def all(self) -> float:
        """Return the idle share."""
        return self.submission + self.dispatch + self.tail


def makespan(durations: Iterable[float], tiles: int) -> float:
    """Return when the last run ends if each free tile takes the next run at once."""
    free = [0.0] * tiles
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def least(durations: Sequence[float], tiles: int) -> float:
    """Return a time that no schedule beats."""
    return max(sum(durations) / tiles, max(durations))


def most(durations: Sequence[float], tiles: int) -> float:
    """Return the time that no list schedule exceeds (Graham, SIAM J. Appl. Math. 17, 1969)."""
    return sum(durations) / tiles + max(durations) * (1 - 1 / tiles)


def latencies(placed: Iterable[Placed]) -> list[float]:
    """Return how long each tile that had ended a run was free although a run waited: seconds."""
    return [
        after.start - max(before.end, after.submitted)
        for runs in _by_tile(placed).values()
        for before, after in pairwise(runs)
    ]


def idle(placed: Sequence[Placed], begins: Mapping[str, float]) -> Idle:
    """Return the idle shares.

    Args:
        placed: all runs.
        begins: for each tile, those without a run among them, when it was first there.
    """
    by_tile, end = _by_tile(placed), max(run.end for run in placed)
    submission = dispatch = tail = 0.0
    for tile, free in begins.items():
        for run in by_tile.get(tile, []):
            submission += max(0.0, run.submitted - free)
            dispatch += run.start - max(free, run.submitted)
            free = run.end
        tail += end - free
    time = sum(end - begin for begin in begins.values())
    return Idle(submission / time, dispatch / time, tail / time)


def _by_tile(placed: Iterable[Placed]) -> dict[str, list[Placed]]:
    """Return the runs of each tile in order."""
    tiles: dict[str, list[Placed]] = defaultdict(list)
    for run in sorted(placed, key=lambda run: run.start):
        tiles[run.tile].append(run)
    return tiles
