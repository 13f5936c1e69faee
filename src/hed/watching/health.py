"""Whether a run that was started and is not done is still running, or has failed.

Checked in this order:

1. The run's kernel lock is held: it is being trained. The lock ends with the process, however it
   dies. It is visible on the same computer, and on others if the file system shares locks (NFS,
   Lustre mounted with `flock`; not with `localflock`).
2. The newest log of the run ends with an error or a traceback, and nothing was written to the run
   since: it failed.
3. The lock is free, this computer held it last, and training has not ended: the process was killed.
4. Neither the run nor its logs were written to for three epochs (15 minutes at least; 6 hours
   if no epoch was timed yet): it failed.

So a run that was killed on another computer whose locks are not visible counts as running until it
has been silent long enough, and one whose epochs take longer than three times the median counts as
failed until it writes again. The original's runs have no lock, and share one log per rank.
"""

import contextlib
import os
import re
import socket
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import polars as pl

from hed.experiment.runs import TrackedRun, checkpoint_infos, epoch_seconds, read_object
from hed.lock import LOCK_FILE, is_locked
from hed.names import CHECKPOINTS, HISTORY, LOG_OF, LOGS, PHASES, RANK
from hed.watching.logs import last_error

State = Literal["done", "running", "waiting", "failed"]

PATIENCE_EPOCHS = 3
SHORTEST_PATIENCE = 15 * 60.0
UNTIMED_PATIENCE = 6 * 3600.0
# A training that resumes takes up to this long to take its lock.
START_SECONDS = 60.0
# The last files of an attempt and its log are written at about the same time.
CLOCK_SECONDS = 2.0

SCHEMA: dict[str, type[pl.DataType]] = {
    "run": pl.String,
    "index": pl.Int64,
    "drug": pl.String,
    "epochs_done": pl.Int64,
    "epochs_planned": pl.Int64,
    "state": pl.String,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Health:
    """What a run is doing; `reason` says why it counts as failed."""

    state: State
    reason: str | None = None


def diagnose(runs: Sequence[TrackedRun]) -> list[Health]:
    """Return the health of each run of one experiment."""
    pace = seconds_per_epoch(runs)
    patience = max(PATIENCE_EPOCHS * pace, SHORTEST_PATIENCE) if pace else UNTIMED_PATIENCE
    return [examine(run, patience=patience) for run in runs]


def tabulate(runs: Sequence[TrackedRun], healths: Sequence[Health]) -> pl.DataFrame:
    """Return a row per run: run, index, drug, epochs_done, epochs_planned, state, reason."""
    rows = [
        (r.id, r.index, r.drug, r.epochs_done, r.epochs_planned, h.state, h.reason)
        for r, h in zip(runs, healths, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def examine(run: TrackedRun, *, patience: float) -> Health:
    """Return the health of a run, which fails when nothing is written for `patience` seconds."""
    if run.state == "done":
        return Health("done")
    locked = is_locked(run.directory)
    if locked:
        return Health("running")
    written = _newest(_files(run.directory))
    if error := _error_since(written, run):
        return Health("failed", error)
    if run.state == "waiting":
        return Health("waiting")
    silence = time.time() - max(written, _newest(_own_logs(run)))
    if locked is False and silence > START_SECONDS and _ended_here(run.directory):
        return Health("failed", "its process has ended without an error: was it killed?")
    if silence > patience:
        return Health("failed", f"nothing was written for {silence / 3600:.1f} h")
    return Health("running")


def seconds_per_epoch(runs: Sequence[TrackedRun]) -> float | None:
    """Return the median over all recorded epochs; without any, over the checkpoints.

    Otherwise a first wave of long runs would have no estimate until its end, and an experiment of
    the original none at all.
    """
    recorded = [seconds for run in runs for seconds in epoch_seconds(run)]
    if not recorded:
        recorded = [seconds for run in runs for seconds in _between_checkpoints(run)]
    return statistics.median(recorded) if recorded else None


def _ended_here(directory: Path) -> bool:
    """Return whether this computer last trained the run, and the training did not end."""
    if (directory / HISTORY).exists():
        return False  # its predictions are made without the lock
    with contextlib.suppress(OSError):
        holder = re.search(r" on (\S+) since ", (directory / LOCK_FILE).read_text())
        return holder is not None and holder[1] == socket.gethostname()
    return False


def _error_since(written: float, run: TrackedRun) -> str | None:
    """Return the error that the newest log of a run ends with, None if there is none.

    If the run's files were `written` to after the log, another attempt is running.
    """
    log = max([*_own_logs(run), *_shared_log(run)], key=_modified, default=None)
    if log is None or _modified(log) < written - CLOCK_SECONDS:
        return None
    with contextlib.suppress(OSError):
        return last_error(log)
    return None


def _own_logs(run: TrackedRun) -> list[Path]:
    """Return the logs of a run's jobs."""
    out = run.directory.parent.parent / LOGS
    paths = [out / LOG_OF.format(run.id, phase) for phase in PHASES]
    return [path for path in paths if path.is_file()]


def _shared_log(run: TrackedRun) -> list[Path]:
    """Return the log of the original's rank that took the run; ours have a line of words there."""
    with contextlib.suppress(OSError, ValueError):
        rank = int((run.directory / RANK).read_text())
        log = run.directory.parent.parent / LOGS / f"out-{rank:03d}.txt"
        return [log] if log.is_file() else []
    return []


def _files(directory: Path) -> Iterator[Path]:
    """Yield the files and links of a run that each epoch renews.

    Directories do not count: removing old checkpoints changes them too.
    """
    for place in (directory, directory / CHECKPOINTS):
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            yield from (Path(e.path) for e in entries if not e.is_dir(follow_symlinks=False))


def _newest(paths: Iterable[Path]) -> float:
    """Return when any of several files was last written, 0 if there are none."""
    return max(map(_modified, paths), default=0.0)


def _modified(path: Path) -> float:
    """Return when a file was last written, 0 if it is gone."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _between_checkpoints(run: TrackedRun) -> list[float]:
    """Return the mean seconds per epoch between a run's oldest and newest checkpoint."""
    paths = checkpoint_infos(run.directory)
    if len(paths) < 2:
        return []
    epochs = int(paths[-1].parent.name) - int(paths[0].parent.name)
    seconds = _saved_at(paths[-1]) - _saved_at(paths[0])
    return [seconds / epochs] if epochs > 0 and seconds > 0 else []


def _saved_at(info: Path) -> float:
    """Return when a checkpoint was saved: a copy of its file may be younger."""
    told = (read_object(info) or {}).get("timestamp", "")
    try:
        return datetime.strptime(told, "%Y-%m-%d %H:%M:%S").timestamp()
    except (TypeError, ValueError):
        return _modified(info)
