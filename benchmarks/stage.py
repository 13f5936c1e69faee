#!/usr/bin/env python3
"""Seconds to bring a file to four directories: staged by MPI, and copied.

Alternates stage.py on four ranks that stand for nodes, one `cp`, four `cp` one after the other,
and four at the same time; the source is dropped from the page cache before each. Prints medians
with min and max, and GB/s of the bytes that the source was asked for and that were delivered.
On one machine the four share its cache, its disk and its cores, so that what it costs to read
each byte once is seen here, and what it saves only in the column `read`: nodes do not share a
cache.
"""

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from timing import spread

STAGE = Path(__file__).parents[1] / "scripts/stage.py"
NODES = 4


@dataclass(frozen=True)
class Variant:
    """A command line, and how many times it reads and delivers the file."""

    line: str
    reads: int
    copies: int


def main() -> None:
    """Write the file, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", metavar="MB", type=int, default=512, help="of the file")
    parser.add_argument("--repetitions", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        source = Path(name) / "source"
        with source.open("wb") as stream:
            for _ in range(args.size):
                stream.write(os.urandom(10**6))
        cases = variants(source)
        seconds: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(args.repetitions):
            for case, variant in cases.items():
                seconds[case].append(elapsed(variant.line, source))
    report(cases, seconds, args.size / 1e3)


def variants(source: Path) -> dict[str, Variant]:
    """Return what is compared."""
    python, script, file = (shlex.quote(str(path)) for path in (sys.executable, STAGE, source))
    copies = [f"cp {file} to/{node}" for node in range(NODES)]
    staging = f"{python} {script} --ranks-are-nodes --to to/{{rank}} {file}"
    return {
        "stage, 4 nodes": Variant(f"mpiexec -n {NODES} {staging}", 1, NODES),
        "stage, plain copy": Variant(f"{python} {script} --to to/0 {file}", 1, 1),
        "cp": Variant(copies[0], 1, 1),
        "cp to 4, in turn": Variant("; ".join(copies), NODES, NODES),
        "cp to 4, at once": Variant(f"{' & '.join(copies)} & wait", NODES, NODES),
    }


def elapsed(line: str, source: Path) -> float:
    """Run a command line with new directories to copy to, and return its seconds."""
    for node in range(NODES):
        (source.parent / "to" / str(node)).mkdir(parents=True)
    forget(source)
    start = time.perf_counter()
    subprocess.run(line, shell=True, check=True, cwd=source.parent, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    shutil.rmtree(source.parent / "to")
    return seconds


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def report(cases: dict[str, Variant], seconds: dict[str, list[float]], size: float) -> None:
    """Print a line for each variant; `size` in GB."""
    print(f"{'':<20}{'seconds':<24}{'read GB':>8}{'delivered GB/s':>16}")
    for case, variant in cases.items():
        rate = size * variant.copies / statistics.median(seconds[case])
        print(f"{case:<20}{spread(seconds[case]):<24}{size * variant.reads:>8.2f}{rate:>16.2f}")


if __name__ == "__main__":
    main()
