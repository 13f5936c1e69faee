#!/usr/bin/env python3
"""How long the commands that answer questions take on experiments of the published size.

770 runs, 118,000 validation rows and 770 test rows each (see `fullsize`). Targets: each command
within 3 s of wall time and 2 GB of memory. Commands take turns; the first turn is not counted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import fullsize
from timing import spread

SCRIPTS = Path(__file__).parents[1] / "scripts"
ONE, TWO = "EXP010", "EXP011"
COMMANDS = {
    "high_error_drugs": ["high_error_drugs.py", ONE],
    "high_error_drugs --against": ["high_error_drugs.py", ONE, "--against", TWO],
    "rank_cells": ["rank_cells.py", ONE],
    "rank_cells --cells": ["rank_cells.py", ONE, "--cells", "--format", "csv"],
    "rank_cells --classify": ["rank_cells.py", ONE, "--classify"],
    "compare": ["compare.py", ONE, TWO],
    "convergence": ["convergence.py", ONE],
}


def main() -> None:
    """Write two experiments, then time each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a directory for the experiments, or of old ones")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = args.keep or Path(name)
        for seed, experiment in enumerate((ONE, TWO)):
            if not (place / experiment).exists():
                fullsize.write(place / experiment, fullsize.Size(), seed=seed)
        measure(place, args.repetitions)


def measure(place: Path, repetitions: int) -> None:
    """Run the commands in turn and print the median (least to most) of each."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in COMMANDS}
    for turn in range(repetitions + 1):
        for name, command in COMMANDS.items():
            figures = run(command, place)
            if turn:
                found[name].append(figures)
    for name, each in found.items():
        wall, cpu, memory = zip(*each, strict=True)
        worst = statistics.median(wall)
        verdict = "" if worst < 3 and max(memory) < 2000 else "  MISSES ITS TARGET"
        print(f"{name:<28} {spread(wall)} s, {spread(cpu)} CPU s, {max(memory):.0f} MB{verdict}")


def run(command: Sequence[str], place: Path) -> tuple[float, float, float]:
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
