#!/usr/bin/env python3
"""How the memory of a warm server grows over many runs of one epoch, and what a client costs."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from hed import variables, warm
from hed.data import preprocess
from hed.warm import client

ROOT = Path(__file__).parents[1]
FIRST = 20


def main() -> None:
    """Train and score one run after the other; print the resident memory of the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        os.environ[variables.WARM] = warm.directory(os.getpid(), directory)
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        scaled = {"ge_scaling": "std", "md_scaling": "std"}
        preprocess.preprocess(ROOT / "data" / "gdsc2-demo", place / "data", **scaled)
        dflts = (ROOT / "config" / "dflts-demo.json").read_text()
        (place / "dflts.json").write_text(dflts.replace('"epochs": 12', '"epochs": 1'))
        sizes = [run(place, number) for number in range(args.runs)]
    print(f"after {FIRST} runs {sizes[FIRST - 1]:,.0f} MB, after {args.runs} {sizes[-1]:,.0f} MB")
    print(f"the client alone: {1000 * alone():.0f} ms (median of 20)")


def run(place: Path, number: int) -> float:
    """Partition, train and score; return the megabytes that the server has afterwards."""
    name, index = f"RUN{number:03d}", number % 24
    (place / "upf.json").write_text(f'{{"id": "{name}", "index": {index}}}\n')
    run, partition = place / "run" / name, place / "partition"
    files = ["--partition", partition, "--data", place / "data"]
    inputs = ["--upf", place / "upf.json", "--dflts", place / "dflts.json"]
    execute("partition.py", place / "data" / "rsp_merged.parquet", partition, "--index", index)
    execute("train.py", run, *inputs, *files)
    execute("score.py", run, *files)
    (server,) = (p for p in psutil.process_iter() if client.SERVER in words(p))
    return float(server.memory_info().rss) / 2**20


def words(process: psutil.Process) -> list[str]:
    """Return the command line of a process, empty if it may not be seen."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def execute(script: str, *arguments: object) -> None:
    """Have the server execute a command."""
    command = [*warm.CLIENT.split(), "python", ROOT / "scripts" / script, *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)


def alone() -> float:
    """Return the seconds that a client takes whose command does nothing."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        subprocess.run([*warm.CLIENT.split(), "true"], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
