"""Experiments whose trainings end when a test lets them, and what no fault may change of them."""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from pbs.cluster import Cluster
from pbs.job import WALLTIME, Job
from projects import MODELS, ROOT, Project
from waiting import wait_for

from hed.experiment.runs import read_experiment
from hed.watching import archive

RUNS = tuple(f"RUN{index:03d}" for index in range(6))
# Figures and report are made from the tables that this makes.
UNTIL = ("--until", "aggregate")
# What no fault may change by a single byte: of the experiment, of each run.
TABLES = ("scores.csv", "epochs.txt")
SCORES = ("history.txt", "test_scores.json", "test_y_data_predicted.csv", "baseline_scores.json")


class Held(Project):
    """Six runs on nodes of two tiles, whose trainings end when the test lets them."""

    def __init__(self, root: Path, cluster: Cluster, **site: Any) -> None:
        self.gate = root / "gate"
        self.gate.mkdir()
        dflts = {"model": "held_means", "gate": str(self.gate)}
        super().__init__(root, cluster, dflts=dflts, **site)
        self.arguments += UNTIL
        self.settings["upf"] = str(write_upf(root, RUNS))

    def noted(self, what: str) -> list[tuple[str, str]]:
        """Return what the trainings said of their start or end: run, and node and process."""
        notes = self.gate / "trained.txt"
        words = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
        return [(run, place) for run, place, said in words if said == what]

    def trainings(self) -> dict[psutil.Process, str]:
        """Return the trainings that have begun and go on, and their runs."""
        runs = {place: run for run, place in self.noted("start")}
        found = [
            (each, f"{node}:{id_on_node(each)}")
            for node in self.cluster.nodes.names
            for each in self.processes(node, "scripts/train.py")
        ]
        return {each: runs[place] for each, place in found if place in runs}

    def fill(self, before: Collection[psutil.Process]) -> dict[psutil.Process, str]:
        """Wait until each tile holds a training, none of them one of those before; return them."""

        tiles = min(len(RUNS), len(self.cluster.nodes.names) * self.cluster.tiles)

        def full() -> bool:
            return len(self.trainings().keys() - set(before)) == tiles

        self.reach(full)
        return self.trainings()

    def let(self, run: str) -> None:
        """Let a run end, and wait until its tile says so, after which Snakemake keeps its files.

        Snakemake removes those of a run that it takes to have failed; a model without checkpoints
        then trains again.
        """
        (self.gate / run).touch()
        self.reach(lambda: (run, "success") in [(r["run"], r["state"]) for r in self.tiles()])

    def let_all(self) -> None:
        """Let all runs end."""
        (self.gate / "all").touch()

    def assert_is_like(self, undisturbed: Path) -> None:
        """Check the results, that each run was trained once, and that no block is left."""
        assert sorted(run for run, _ in self.noted("end")) == list(RUNS)
        self.assert_has_results_of(undisturbed)
        self.assert_nothing_is_left()
        self.assert_logs_are_exported()

    def assert_has_results_of(self, undisturbed: Path) -> None:
        """Check the results."""
        assert contents(self.experiment, RUNS, SCORES) == contents(undisturbed, RUNS, SCORES)

    def assert_nothing_is_left(self) -> None:
        """Check that every block was given back, and what the nodes keep: copies of data."""
        # A block that was given back clears up for some seconds, the command does not wait for it.
        wait_for(lambda: all(job.state == "F" for job in self.cluster.server.jobs.values()))
        assert not list((self.experiment / ".pilot" / "blocks").iterdir())
        for node in self.cluster.nodes.names:
            assert self.cluster.nodes.processes(node) == []
            disk = self.cluster.disk(node)
            assert not list(disk.rglob("pymp-*")) and not list(disk.rglob("rsp_*_data.parquet"))

    def assert_logs_are_exported(self) -> None:
        """Check that the pilot's log and the blocks' output would be kept."""
        kept = {path.name for path in archive.select(read_experiment(self.experiment))}
        logs = (self.experiment / ".pilot/parsl").glob("parsl.*")
        written = {path.name for path in logs if path.suffix in (".stdout", ".out")}
        assert written
        assert written | {"pilot.log"} <= kept


def run_here(directory: Path, runs: tuple[str, ...], dflts: dict[str, Any]) -> Path:
    """Run an experiment without a pilot and without warm servers, and return its directory."""
    (directory / "dflts.json").write_text(json.dumps(dflts))
    settings = {
        "output": directory,
        "local_dir": directory / "local",
        "upf": write_upf(directory, runs),
        "dflts": directory / "dflts.json",
        "warm": False,
    }
    binaries = Path(sys.executable).parent
    words = [f"{name}={value}" for name, value in settings.items()]
    path = {"PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(MODELS)}
    command = ["snakemake", "--cores", "2", *UNTIL, "--config", *words]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory / "EXP000"


def id_on_node(process: psutil.Process) -> str:
    """Return the id that a process has on its node, empty if it has ended."""
    with suppress(OSError):
        status = Path(f"/proc/{process.pid}/status").read_text()
        return status.partition("NSpid:")[2].partition("\n")[0].split()[-1]
    return ""


def write_upf(directory: Path, runs: tuple[str, ...]) -> Path:
    """Write the UPF of runs that hold out the drugs of their numbers."""
    lines = [json.dumps({"id": run, "index": int(run[3:])}) for run in runs]
    (directory / "upf.json").write_text("\n".join(lines) + "\n")
    return directory / "upf.json"


def contents(experiment: Path, runs: tuple[str, ...], names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the bytes of the results."""
    paths = [*TABLES, *(f"run/{run}/{name}" for run in runs for name in names)]
    return {path: (experiment / path).read_bytes() for path in paths}


def running(cluster: Cluster) -> Job:
    """Return the one job that runs."""
    (job,) = (job for job in cluster.server.jobs.values() if job.state == "R")
    return job


def expire(cluster: Cluster) -> None:
    """Let the block that runs reach its walltime, and wait for its end."""
    job = running(cluster)
    cluster.server.expire(job)
    wait_for(lambda: job.state == "F")
    assert job.exit_status == WALLTIME
