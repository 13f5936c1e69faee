"""Old checkpoints of an experiment, which take most of its space, and their removal."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed.errors import InputError
from hed.experiment.runs import TrackedRun, read_runs
from hed.lock import LOCK_FILE, is_locked
from hed.names import CHECKPOINTS
from hed.training import checkpoint
from hed.watching.health import diagnose

LINKS = ("best", "last")


@dataclass(frozen=True)
class Old:
    """A removable checkpoint: its run, its epoch, its directory and its bytes."""

    run: str
    epoch: int
    directory: Path
    bytes: int


@dataclass(frozen=True)
class Plan:
    """What may be removed from an experiment, and why some runs are left as they are."""

    old: tuple[Old, ...]
    refused: tuple[str, ...]


def plan(experiment: Path, *, keep: int) -> Plan:
    """Return the checkpoints of all runs except the newest `keep` of each, its best and its last.

    A run that is being trained is skipped as a whole: it removes its own checkpoints.

    Raises:
        InputError: if the directory is not an experiment, or `keep` is less than 1.
    """
    if keep < 1:
        raise InputError(f"N must be at least 1, not {keep}: the number of checkpoints to keep")
    runs = read_runs(experiment)
    old: list[Old] = []
    refused: list[str] = []
    for run, health in zip(runs, diagnose(runs), strict=True):
        if health.state == "running":
            refused.append(f"{run.id} was left as it is: it is being trained, or was a moment ago")
        elif reason := _unclear(run.directory / CHECKPOINTS):
            refused.append(f"{run.id} was left as it is: {reason}")
        else:
            old += _old(run, keep=keep)
    return Plan(tuple(old), tuple(refused))


def remove(items: Iterable[Old]) -> Iterator[Old]:
    """Remove checkpoints one by one; yield each that was removed.

    A run that has started to train in the meantime is skipped. `ckpt-info.json` stays.
    """
    for item in items:
        checkpoints = item.directory.parent.parent
        with _untrained(checkpoints.parent) as is_free:
            if is_free and item.epoch not in _linked(checkpoints):
                checkpoint.empty(item.directory)
                yield item


def table(items: Iterable[Old]) -> pl.DataFrame:
    """Return checkpoints as a table: run, epoch, bytes."""
    rows = [(item.run, item.epoch, item.bytes) for item in items]
    schema = {"run": pl.String, "epoch": pl.Int64, "bytes": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _old(run: TrackedRun, *, keep: int) -> Iterator[Old]:
    """Yield the old checkpoints of a run.

    The newest are those that end with the last: later ones, from before a rollback, stay.
    """
    checkpoints = run.directory / CHECKPOINTS
    linked = _linked(checkpoints)
    last = checkpoint.linked_epoch(checkpoints / "last")
    done = [e for e in checkpoint.saved_epochs(checkpoints) if last is None or e <= last]
    for epoch in done[:-keep]:
        place = checkpoint.place_of(checkpoints, epoch)
        # A link may lead to a checkpoint of another experiment.
        if epoch not in linked and not place.is_symlink():
            size = sum(path.lstat().st_size for path in checkpoint.removable(place))
            yield Old(run.id, epoch, place, size)


def _linked(checkpoints: Path) -> set[int]:
    """Return the epochs that best and last point to, even by broken absolute links."""
    found = (checkpoint.linked_epoch(checkpoints / name) for name in LINKS)
    return {epoch for epoch in found if epoch is not None}


def _unclear(checkpoints: Path) -> str | None:
    """Return why it is unclear which checkpoints a run needs, None if it is clear."""
    for name in LINKS:
        link = checkpoints / name
        if link.is_symlink() and checkpoint.linked_epoch(link) is None:
            return f"{link} points to {os.readlink(link)}, which is no epoch: mend the link"
    return None


@contextmanager
def _untrained(run: Path) -> Iterator[bool]:
    """Hold the lock of a run, so that no training starts; yield whether that was possible.

    The lock file keeps the name of who last trained the run. A run without a lock, or on a file
    system without locks, counts as free.
    """
    if is_locked(run) is None:
        yield True
        return
    with (run / LOCK_FILE).open("r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
