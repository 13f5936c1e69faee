"""The logs of an experiment, out-*.txt, and their summaries beside them, summary-*.txt."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed.errors import InputError
from hed.names import LOGS
from hed.output import render_bytes
from hed.watching import logs

PREFIX = "out-"
PROCESSES = 4
# Below this, starting processes takes longer than the work itself.
PARALLEL_BYTES = 20_000_000


@dataclass(frozen=True)
class Shrunk:
    """A summarised log, and the bytes of log and summary."""

    log: Path
    bytes: int
    summary_bytes: int


def find(directory: Path) -> list[Path]:
    """Return the logs of an experiment, or of its directory `out`, by name.

    Raises:
        InputError: if there are none.
    """
    if not directory.is_dir():
        raise InputError(f"no such directory: {directory}")
    places = [directory / LOGS, *sorted(directory.glob(f"restarts/*/{LOGS}")), directory]
    found = [log for place in places for log in sorted(place.glob(f"{PREFIX}*.txt"))]
    if not found:
        raise InputError(f"no {PREFIX}*.txt in {directory} or {directory / 'out'}")
    return found


def outdated(found: Iterable[Path]) -> list[Path]:
    """Return the logs that have no summary, or that were written to since it was made."""
    return [log for log in found if _modified(summary_of(log)) != _modified(log)]


def shrink(found: Sequence[Path]) -> Iterator[Shrunk]:
    """Write the summary of each log; yield what it saved, in order.

    A summary has the modification time of its log, which shows whether the log has grown.
    """
    if len(found) < 2 or sum(log.stat().st_size for log in found) < PARALLEL_BYTES:
        yield from map(_shrink, found)
        return
    # Processes forked from one with threads may hang.
    context = multiprocessing.get_context("spawn")
    workers = min(PROCESSES, os.cpu_count() or 1, len(found))
    with ProcessPoolExecutor(workers, context, initializer=os.nice, initargs=(19,)) as pool:
        yield from pool.map(_shrink, found)


def summary_of(log: Path) -> Path:
    """Return the path of a log's summary."""
    return log.with_name(f"summary-{log.name.removeprefix(PREFIX)}")


def table(shrunk: Iterable[Shrunk]) -> pl.DataFrame:
    """Return logs as a table: log, bytes, summary_bytes, removed (share of the bytes)."""
    rows = [(s.log.name, s.bytes, s.summary_bytes) for s in shrunk]
    schema = {"log": pl.String, "bytes": pl.Int64, "summary_bytes": pl.Int64}
    share = (1 - pl.col("summary_bytes") / pl.col("bytes")).fill_nan(None)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(removed=share)


def told(shrunk: pl.DataFrame, found: int) -> str:
    """Return what was saved, in a sentence; `found` includes the logs that are up to date."""
    before, after = int(shrunk["bytes"].sum()), int(shrunk["summary_bytes"].sum())
    share = f" ({1 - after / before:.1%} smaller)" if before else ""
    text = f"{len(shrunk):,} logs: {render_bytes(before)} to {render_bytes(after)}{share}"
    rest = found - len(shrunk)
    return f"{text}; {rest:,} were summarised before" if rest else text


def _shrink(log: Path) -> Shrunk:
    """Write the summary of one log."""
    before = log.stat()
    summary = summary_of(log)
    logs.shrink(log, summary)
    os.utime(summary, ns=(before.st_atime_ns, before.st_mtime_ns))
    return Shrunk(log, before.st_size, summary.stat().st_size)


def _modified(path: Path) -> int | None:
    """Return when a file was last written, in nanoseconds; None if it does not exist."""
    return path.stat().st_mtime_ns if path.exists() else None
