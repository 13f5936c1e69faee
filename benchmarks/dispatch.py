#!/usr/bin/env python3
"""What the chain from Snakemake to a tile costs, with trainings that do nothing, sleep, or train.

Four chains, each with 1, 2 and 4 blocks of 12 workers on this machine:
  pilot    scripts handed to the pilot by its submit command, without Snakemake
  plain    Snakemake's main process with the real Snakefile and profile; a run is a shell script
  whole    the same, and each run starts a Snakemake on its tile, as it really does
  uno      the same with the real scripts and warm servers: one epoch of the demo's network
Prints a line per experiment and writes its runs to --keep, for simulation.py --measured.
Walls and latencies depend on what else this machine does, CPU seconds less: each line has the load.
CPU seconds are those after the first run's start, but for the main process's.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import listscheduling
import numpy as np
from chainmodel import spread
from listscheduling import Placed
from processor import Watch
from project import TILES, command, make

from hed.pilot.spool import Spool

CHAINS = ("pilot", "plain", "whole", "uno")
MARK = "HED_BENCHMARK"
# Of the lognormal lengths of trainings that stop early.
WIDTH = 0.35


@dataclass(frozen=True)
class Measured:
    """One experiment.

    Attributes:
        runs: where and when they took place.
        begins: for each tile, when the first run of its block began.
        looks: times, and CPU seconds until then by process.
        load: of the machine.
    """

    runs: list[Placed]
    begins: dict[str, float]
    looks: list[tuple[float, dict[str, float]]]
    load: float

    def seconds(self, kind: str, begin: float, end: float) -> float:
        """Return the CPU seconds of a kind of process between two times."""
        times = [time for time, _ in self.looks]
        used = [seconds.get(kind, 0.0) for _, seconds in self.looks]
        first, last = np.interp([begin, end], times, used)
        return float(last - first)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chains", nargs="+", choices=CHAINS, default=CHAINS)
    parser.add_argument("--blocks", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--runs", type=int, default=770)
    parser.add_argument(
        "--wave",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="median of the trainings for each block, so that the experiment takes as long",
    )
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="directory for the runs' times")
    args = parser.parse_args()
    # Else the experiment would outlive this process.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    print(HEADER)
    for repetition in range(args.repetitions):
        for chain in args.chains:
            for blocks in args.blocks:
                seconds = spread(args.runs, args.wave * blocks, width=WIDTH)
                measured = measure(chain, seconds, blocks)
                print(line(chain, blocks, measured), flush=True)
                if args.keep:
                    keep(measured, args.keep / f"{chain}-{blocks}-{args.wave:g}-{repetition}.json")


def measure(chain: str, seconds: Sequence[float], blocks: int) -> Measured:
    """Run one experiment."""
    with tempfile.TemporaryDirectory() as name:
        project = Path(name) / "project"
        real = chain == "uno"
        make(project, seconds, blocks=blocks, inner=real or chain == "whole", real=real)
        start = without_snakemake if chain == "pilot" else with_snakemake
        with Watch(MARK, name) as watch:
            start(project, {**os.environ, MARK: name, "PATH": path()})
        spool = Spool(next(project.glob("output/EXP000/.pilot")))
        entries = (project / "submitted.txt").read_text().splitlines()
        submitted = {job: float(at) for job, at, _ in map(str.split, entries)}
        return collect(spool, submitted, watch)


def path() -> str:
    """Return a PATH with this environment's commands first."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def with_snakemake(project: Path, environment: dict[str, str]) -> None:
    """Type the command."""
    with (project / "log.txt").open("w") as log:
        done = subprocess.run(
            command(project), cwd=project, env=environment, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        sys.exit((project / "log.txt").read_text())


def without_snakemake(project: Path, environment: dict[str, str]) -> None:
    """Stand for Snakemake: start the sidecar, submit a script for each run, wait for all."""
    directory = project / "output" / "EXP000"
    directory.mkdir(parents=True)
    sidecar = subprocess.Popen(
        [project / "profiles/workstation/sidecar"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sidecar.stdout is not None
    spool = Spool(Path(sidecar.stdout.readline().strip()))
    environment["SNAKEMAKE_CLUSTER_SIDECAR_VARS"] = str(spool.directory)
    for run in sorted((project / "durations").iterdir()):
        script = project / f"snakejob.{run.name}.sh"
        script.write_text(f"# --target-jobs train:run={run.name}\n")
        subprocess.run([project / "submit", script], env=environment, check=True, **QUIET)
    wait_for(lambda: not spool.unfinished())
    sidecar.terminate()
    sidecar.wait()


QUIET = {"stdout": subprocess.DEVNULL}


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while not condition():
        time.sleep(1)


def collect(spool: Spool, submitted: dict[str, float], watch: Watch) -> Measured:
    """Return what the tiles recorded; a block's tiles begin with its first run."""
    records = [record for record in spool.tiles() if record["state"] == "success"]
    runs, first = [], {}
    for record in records:
        first.setdefault(record["block"], record["start"])
        tile = f"{record['block']}/{record['tile']}"
        runs.append(Placed(tile, submitted[record["job"]], record["start"], record["end"]))
    begins = {f"{block}/{tile}": first[block] for block in first for tile in range(TILES)}
    return Measured(runs, begins, watch.looks, statistics.median(watch.load))


def keep(measured: Measured, place: Path) -> None:
    """Write the times of the runs as JSON."""
    place.parent.mkdir(parents=True, exist_ok=True)
    runs = [[run.tile, run.submitted, run.start, run.end] for run in measured.runs]
    place.write_text(json.dumps({**vars(measured), "runs": runs}))


HEADER = (
    f"{'':<8}{'':>22}{'runs':>6}{'latency s':>16}{'main, CPU ms':>22}{'per run, CPU ms':>42}"
    f"{'idle %':>28}\n"
    f"{'chain':<8}{'blocks':>6}{'runs':>6}{'submit/s':>10}{'per s':>6}{'median':>9}{'p95':>7}"
    f"{'submission':>13}{'other':>9}{'sidecar':>10}{'interchange':>13}{'workers':>10}{'tile':>9}"
    f"{'submission':>12}{'dispatch':>10}{'tail':>6}{'wall s':>9}{'least':>7}{'most':>7}{'load':>6}"
)


def line(chain: str, blocks: int, measured: Measured) -> str:
    """Return an experiment in a line."""
    runs = measured.runs
    begin, submitted = min(r.submitted for r in runs), max(r.submitted for r in runs)
    ended, first = max(r.end for r in runs), min(r.start for r in runs)
    waits = listscheduling.latencies(runs)
    idle = listscheduling.idle(runs, measured.begins)
    taken, tiles = [run.end - run.start for run in runs], len(measured.begins)
    submission = measured.seconds("main", begin, submitted)
    other = measured.seconds("main", submitted, measured.looks[-1][0])

    def per_run(*kinds: str) -> float:
        used = sum(measured.seconds(kind, first, ended) for kind in kinds)
        return 1000 * used / len(runs)

    return (
        f"{chain:<8}{blocks:>6}{len(runs):>6}{(len(runs) - 1) / (submitted - begin):>10.1f}"
        f"{len(runs) / (ended - first):>6.2f}"
        f"{statistics.median(waits):>9.2f}{np.quantile(waits, 0.95):>7.2f}"
        f"{1000 * submission / len(runs):>13.1f}{1000 * other / len(runs):>9.1f}"
        f"{per_run('sidecar', 'dispatcher'):>10.1f}{per_run('interchange'):>13.1f}"
        f"{per_run('pools', 'workers'):>10.1f}{per_run('runs'):>9.0f}"
        f"{100 * idle.submission:>12.1f}{100 * idle.dispatch:>10.1f}{100 * idle.tail:>6.1f}"
        f"{ended - first:>9.1f}{listscheduling.least(taken, tiles):>7.1f}"
        f"{listscheduling.most(taken, tiles):>7.1f}{measured.load:>6.1f}"
    )


if __name__ == "__main__":
    main()
