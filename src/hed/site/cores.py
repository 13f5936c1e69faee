"""The cores of a tile, as Linux and schedulers write them: 1-8 or 0,2-4."""

import os
import re
from collections.abc import Sequence

_LIST = re.compile("[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")


class Unusable(Exception):
    """This process may not use the cores; the text says which."""


def parse(text: str) -> frozenset[int]:
    """Return the cores of a list.

    Raises:
        ValueError: if it is not one, or a range in it decreases.
    """
    ranges = [part.split("-") for part in text.split(",")]
    if not _LIST.fullmatch(text) or any(int(r[0]) > int(r[-1]) for r in ranges):
        raise ValueError(f"not a list of cores: {text!r}")
    return frozenset(core for r in ranges for core in range(int(r[0]), int(r[-1]) + 1))


def bind(tile: int, text: str) -> None:
    """Bind this process, and what it starts later, to the cores of a tile.

    Raises:
        Unusable: if this process may not use all of them.
    """
    wanted = parse(text)
    try:
        os.sched_setaffinity(0, wanted)
        lacking = wanted - os.sched_getaffinity(0)
    except OSError:
        lacking = wanted
    if lacking:
        some = ", ".join(map(str, sorted(lacking)[:3]))
        raise Unusable(f"tile {tile} has cores {text}, but a run cannot use {some} here")


def unbind() -> None:
    """Let this process use every core that it may.

    A launcher binds what it starts; by default PALS binds a whole worker pool to one core.
    """
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def usable() -> frozenset[int]:
    """Return the cores that this process may use, whatever it is bound to."""
    before = os.sched_getaffinity(0)
    try:
        unbind()
        return frozenset(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, before)


def try_all(tiles: Sequence[str]) -> None:
    """Bind this process to the cores of each tile in turn, and back.

    Raises:
        Unusable: if it may not use those of one.
    """
    before = os.sched_getaffinity(0)
    try:
        for tile, text in enumerate(tiles):
            bind(tile, text)
    finally:
        os.sched_setaffinity(0, before)
