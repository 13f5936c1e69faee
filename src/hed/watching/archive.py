"""The key results of an experiment in one tarball, the same bytes for the same contents."""

import os
import tarfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

from hed import files
from hed.experiment import usage
from hed.experiment.runs import Experiment, list_runs, read_experiment
from hed.names import (
    EMPTY,
    EPOCHS,
    HISTORY,
    JOBS,
    MARKERS,
    PARAMETERS,
    PROGRESS,
    RECORD,
    SCORES,
    SCORES_TABLE,
)

RESULTS = (SCORES, SCORES_TABLE, EPOCHS, PROGRESS)
# What the original's launcher leaves.
ORIGINAL = ("turbine.log", "turbine-env.txt", "turbine-pbs.sh")
# What a pilot leaves about its blocks; the rest concerns single runs, or is Parsl's keys.
PILOT = usage.PILOT
BLOCK_LOGS = ("pilot.log", *(f"parsl/parsl.*.{end}" for end in ("stdout", "stderr", "out", "err")))
RUN_PATTERNS = ("*scores.json", PARAMETERS, HISTORY, "*predicted.csv", EMPTY)

# Login nodes are shared.
MAX_THREADS = 8


def export(directory: Path, output: Path | None = None) -> Path:
    """Write the results of an experiment to `output`, default EXPnnn.tgz in it; return its path.

    Names are sorted, owners and times are zero, so that equal contents give equal bytes. Each file
    is a separate gzip member (RFC 1952, 2.2), so that threads can compress them.

    Raises:
        InputError: if the directory is not an experiment.
    """
    experiment = read_experiment(directory)
    output = output or directory / f"{experiment.name}.tgz"
    members = sorted((_name(experiment, path), path) for path in select(experiment))
    with files.replacing(output) as temporary, temporary.open("wb") as stream, _pool() as pool:
        stream.writelines(pool.map(_compressed, members))
        stream.write(_gzip(bytes(2 * tarfile.BLOCKSIZE)))
    return output


def select(experiment: Experiment) -> Iterator[Path]:
    """Yield the files of an experiment that are worth keeping: neither models nor runs' logs."""
    directory = experiment.directory
    tops = (JOBS, RECORD, *ORIGINAL, *RESULTS)
    named = [directory / name for name in tops]
    yield from (p for p in (*named, experiment.upf, experiment.dflts) if p and p.is_file())
    # Without them an unpacked experiment would seem unfinished.
    yield from directory.glob(f"{MARKERS}/marker-*.txt")
    for pattern in BLOCK_LOGS:
        yield from (directory / PILOT).glob(pattern)
    for run in list_runs(experiment):
        if run.directory.is_dir():
            names = os.listdir(run.directory)
            yield from (run.directory / n for n in names if _is_result(n))


def _name(experiment: Experiment, path: Path) -> str:
    """Return the name of a file in the tarball, where all logs are in out/."""
    place = path.relative_to(experiment.directory)
    return f"{experiment.name}/{Path('out', place.name) if place.parts[0] == PILOT else place}"


def _is_result(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in RUN_PATTERNS)


def _pool() -> ThreadPoolExecutor:
    """Return threads for zlib, which works outside Python's lock."""
    return ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS))


def _compressed(named: tuple[str, Path]) -> bytes:
    """Return one file of the tarball, compressed; nothing if a running run has removed it."""
    name, path = named
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    # TarInfo's own defaults are mode 0644, mtime 0 and owner 0.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    padding = -len(data) % tarfile.BLOCKSIZE
    return _gzip(member.tobuf(tarfile.PAX_FORMAT) + data + bytes(padding))


def _gzip(data: bytes) -> bytes:
    """Return `data` as a gzip member without name and time."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()
