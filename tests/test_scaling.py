"""How many blocks are asked for, and which tiles count as free."""

import pytest

from hed.pilot import scaling
from hed.pilot.parsl.executor import Pool
from hed.pilot.scaling import Limits

LIMITS = Limits(first=1, least=0, most=4, tiles=12)


@pytest.mark.parametrize(
    ("waiting", "free", "begun", "number"),
    [
        (0, [], False, 0),
        (1, [], False, 1),
        (770, [], False, 4),
        (10, [12], True, 0),
        (13, [12], True, 1),
        (24, [0, 12], True, 1),
        (770, [0, 0, 0, 0], True, 0),
    ],
)
def test_blocks_are_asked_for_as_runs_wait(
    waiting: int, free: list[int], begun: bool, number: int
) -> None:
    assert scaling.wanted(LIMITS, waiting, free, begun=begun) == number


def test_the_first_blocks_are_those_of_the_site_but_only_if_a_run_waits() -> None:
    limits = Limits(first=3, least=0, most=4, tiles=12)
    assert scaling.wanted(limits, 1, [], begun=False) == 3
    assert scaling.wanted(limits, 0, [], begun=False) == 0
    assert scaling.wanted(limits, 1, [], begun=True) == 1
    # Data that are preprocessed here are complete when the first run waits, and not before.
    kept = Limits(first=1, least=1, most=4, tiles=12)
    assert scaling.wanted(kept, 0, [], begun=False) == 0
    assert scaling.wanted(kept, 1, [], begun=False) == 1
    assert scaling.wanted(kept, 0, [], begun=True) == 1


def pool(tasks: int = 0, *, draining: bool = False) -> Pool:
    """Return the worker pool of a node of 12 tiles."""
    return Pool("n0-1", "0", tasks, workers=12, is_active=True, is_draining=draining)


def test_a_block_in_the_queue_or_starting_counts_with_all_its_tiles() -> None:
    assert scaling.free_tiles([], 24, seconds=0) == 24
    assert scaling.free_tiles([pool(5)], 24, seconds=10) == 19
    assert scaling.free_tiles([pool(5)], 24, seconds=9999) == 7


def test_a_block_whose_pools_are_gone_has_no_free_tile_whatever_its_state() -> None:
    assert scaling.free_tiles([], 24, seconds=9999) == 0


def test_a_block_near_its_end_has_no_free_tile() -> None:
    assert scaling.free_tiles([pool(1, draining=True), pool()], 24, seconds=10) == 0
