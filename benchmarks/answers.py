#!/usr/bin/env python3
"""How long the commands that answer questions take on experiments of the published size.

770 runs, 118,000 validation rows and 770 test rows each (see `fullsize`). Targets: each command
within 3 s of wall time, figures and trees within 5 s (their libraries take 1 to 2 s to import), the
report within 60 s, each within 2 GB of memory; with three repeats of each run (EXP012) 5 s, 90 s
and 8 MB of report. Commands take turns; the first turn is not counted, but for the report, which
has one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fullsize
from timing import spread

SCRIPTS = Path(__file__).parents[1] / "scripts"
ONE, TWO, REPEATED = "EXP010", "EXP011", "EXP012"
SIZES = {ONE: fullsize.Size(), TWO: fullsize.Size(), REPEATED: fullsize.Size(repeats=3)}
MEMORY = 2000.0  # MB


@dataclass(frozen=True)
class Target:
    """A command, and in how many seconds of wall time it has to end."""

    command: tuple[str, ...]
    seconds: float = 3.0


TARGETS = {
    "top_drugs": Target(("top_drugs.py", ONE, "pred", "ACH-000956", "10")),
    "extract": Target(("extract.py", ONE, "rmse")),
    "progress": Target(("progress.py", ONE)),
    "high_error_drugs": Target(("high_error_drugs.py", ONE)),
    "high_error_drugs --against": Target(("high_error_drugs.py", ONE, "--against", TWO)),
    "rank_cells": Target(("rank_cells.py", ONE)),
    "rank_cells --cells": Target(("rank_cells.py", ONE, "--cells", "--format", "csv")),
    "rank_cells --classify": Target(("rank_cells.py", ONE, "--classify")),
    "compare": Target(("compare.py", ONE, TWO)),
    "convergence": Target(("convergence.py", ONE)),
    "summary": Target(("summary.py", ONE)),
    "explain_errors": Target(("explain_errors.py", ONE), seconds=5.0),
    "plot errors": Target(("plot.py", "errors", ONE, "errors.png"), seconds=5.0),
    "plot ranking": Target(("plot.py", "ranking", ONE, "ranking.png"), seconds=5.0),
    "plot reasons": Target(("plot.py", "reasons", ONE, "reasons.png"), seconds=5.0),
    "report": Target(("report.py", ONE), seconds=60.0),
}
# Each command again, with repeats.
WITH_REPEATS = {3.0: 5.0, 5.0: 5.0, 60.0: 90.0}
TARGETS |= {
    f"{name}, 3 repeats": Target(
        tuple(REPEATED if part == ONE else part for part in target.command),
        WITH_REPEATS[target.seconds],
    )
    for name, target in TARGETS.items()
}
REPORT_BYTES = 8_000_000
# What may take longer is measured once: turns even out the noise of short commands.
LONG = 10.0

Figures = tuple[float, float, float]


def main() -> None:
    """Write two experiments, then time each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a directory for the experiments, or of old ones")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = args.keep or Path(name)
        for seed, (experiment, size) in enumerate(SIZES.items()):
            if not (place / experiment).exists():
                fullsize.write(place / experiment, size, seed=seed)
        measure(place, args.repetitions)
        size = (place / REPEATED / "report.html").stat().st_size
        verdict = "within" if size <= REPORT_BYTES else "MISSES"
        print(f"report of 3 repeats: {size / 1e6:.1f} MB: {verdict} {REPORT_BYTES / 1e6:.0f} MB")


def measure(place: Path, repetitions: int) -> None:
    """Run the commands in turn and print the median (least to most) of each."""
    found: dict[str, list[Figures]] = {name: [] for name in TARGETS}
    short = [name for name, target in TARGETS.items() if target.seconds <= LONG]
    for turn in range(repetitions + 1):
        for name in short:
            figures = run(TARGETS[name].command, place)
            if turn:
                found[name].append(figures)
    for name in TARGETS.keys() - short:
        found[name].append(run(TARGETS[name].command, place))
    for name, each in found.items():
        print(f"{name:<28} {describe(each, TARGETS[name])}")


def describe(each: Sequence[Figures], target: Target) -> str:
    """Return seconds, CPU seconds and memory of the repetitions, and whether they miss a target."""
    wall, cpu, memory = zip(*each, strict=True)
    is_met = statistics.median(wall) < target.seconds and max(memory) < MEMORY
    verdict = f"{'within' if is_met else 'MISSES'} {target.seconds:.0f} s and {MEMORY:.0f} MB"
    return f"{spread(wall)} s, {spread(cpu)} CPU s, {max(memory):.0f} MB: {verdict}"


def run(command: Sequence[str], place: Path) -> Figures:
    """Return the seconds of wall time and of CPU and the peak memory in MB of a command."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, SCRIPTS / command[0], *command[1:]],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    wall = time.perf_counter() - begun
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
