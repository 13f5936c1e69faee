"""The real Snakefile with profiles/aurora, and what may happen to it on the way.

After each fault the same command finishes the experiment: no run is trained twice to its end, and
the results are those of an experiment that nothing happened to.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny
from pbs.cluster import Cluster
from pbs.job import WALLTIME, Job
from pbs.rules import HOOK, PER_USER, QUEUE_LIMIT
from pbs.user import until
from projects import MODELS, ROOT, Project

from hed.experiment import archive
from hed.experiment.runs import read_experiment

RUNS = tuple(f"RUN{index:03d}" for index in range(6))
# Figures and report are made from the tables that this makes.
UNTIL = ("--until", "aggregate")
UNO = {
    "epochs": 60,
    "early_stopping_patience": 60,
    **tiny.SMALL,
}
# What no fault may change by a single byte: of the experiment, of each run, of each run of Uno.
TABLES = ("scores.csv", "epochs.txt")
SCORES = ("history.txt", "test_scores.json", "test_y_data_predicted.csv", "baseline_scores.json")
TRAINED = ("parameters.txt", "result.txt", "val_scores.json", "val_y_data_predicted.csv")
# What Snakemake says of a run that it takes to have failed.
RETRY = "Trying to restart"

pytestmark = [pytest.mark.xdist_group("pilot"), pytest.mark.flaky(reruns=1)]


class Held(Project):
    """Six runs on two nodes of two tiles, whose trainings end when the test lets them."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.gate = root / "gate"
        self.gate.mkdir()
        super().__init__(root, cluster, dflts={"model": "held_means", "gate": str(self.gate)})
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

        def full() -> bool:
            return len(self.trainings().keys() - set(before)) == 4

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
        assert contents(self.experiment, RUNS, SCORES) == contents(undisturbed, RUNS, SCORES)
        assert all(job.state == "F" for job in self.cluster.server.jobs.values())
        assert not list((self.experiment / ".pilot" / "blocks").iterdir())
        assert [self.cluster.nodes.processes(node) for node in self.cluster.nodes.names] == [[], []]
        self.assert_logs_are_exported()

    def assert_logs_are_exported(self) -> None:
        """Check that the pilot's log and the blocks' output would be kept."""
        kept = {path.name for path in archive.select(read_experiment(self.experiment))}
        written = {path.name for path in (self.experiment / ".pilot/parsl").glob("*.stdout")}
        assert written
        assert written | {"pilot.log"} <= kept


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Held]:
    with Cluster(tmp_path / "pbs", nodes=2, tiles=2) as cluster:
        made = Held(tmp_path, cluster)
        yield made
        made.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same runs, by the same model, on this machine alone."""
    return run_here(tmp_path_factory.mktemp("undisturbed"), RUNS, {"model": "cell_means"})


def run_here(directory: Path, runs: tuple[str, ...], dflts: dict[str, Any]) -> Path:
    """Run an experiment without a pilot, and return its directory."""
    (directory / "dflts.json").write_text(json.dumps(dflts))
    settings = {
        "output": directory,
        "local_dir": directory / "local",
        "upf": write_upf(directory, runs),
        "dflts": directory / "dflts.json",
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
    until(lambda: job.state == "F")
    assert job.exit_status == WALLTIME


def test_one_command_survives_refusals_a_killed_training_a_killed_pool_and_a_walltime(
    project: Held, undisturbed: Path
) -> None:
    project.cluster.server.refusals = iter([PER_USER, QUEUE_LIMIT, HOOK])
    project.start()
    held = project.fill(())
    second = project.start()
    assert "error: EXP000 is being run by process " in second.communicate(timeout=60)[0]
    assert second.returncode != 0
    project.commands.remove(second)
    project.let(min(held.values()))

    victim = min(project.fill(()), key=psutil.Process.create_time)
    victim.kill()
    project.fill({victim})

    block = running(project.cluster)
    pool = project.processes("x0n1", "bin/process_worker_pool.py")[0]
    on_the_node = project.processes("x0n1", "scripts/train.py")
    assert len(on_the_node) == 2
    pool.kill()
    held = project.fill(on_the_node)
    assert running(project.cluster) is block

    expire(project.cluster)
    project.fill(held)
    project.let_all()
    printed = project.finish()

    for reason in ("jobs per user is reached", "limit of jobs is reached", "rejects it"):
        assert reason in printed
    assert len(project.noted("start")) >= len(RUNS) + 1 + 2 + 4
    # Only of the training that was killed; a pool or a block costs no run one of its retries.
    assert printed.count(RETRY) == 1
    project.assert_is_like(undisturbed)


def test_after_a_killed_sidecar_and_a_killed_command_the_same_command_finishes(
    project: Held, undisturbed: Path
) -> None:
    command = project.start()
    held = project.fill(())
    project.let(min(held.values()))
    (sidecar,) = (each for each in command.children() if "hed.pilot.sidecar" in each.cmdline())
    sidecar.kill()
    printed = command.communicate(timeout=300)[0]
    assert command.returncode == 1
    assert "the pilot has ended; start Snakemake again" in printed

    command = project.start()
    held = project.fill(held)
    project.let(min(held.values()))
    command.kill()

    project.start()
    project.fill(held)
    project.let_all()
    project.finish()
    project.assert_is_like(undisturbed)


def test_a_site_that_refuses_every_block_ends_the_command_with_a_sentence(project: Held) -> None:
    project.cluster.server.refusals = itertools.repeat(HOOK)
    command = project.start()
    printed = command.communicate(timeout=300)[0]
    assert command.returncode == 1
    (sentence,) = (line for line in printed.splitlines() if "no block can start" in line)
    assert "a rule of the site rejects it: qsub: Job rejected by a hook of the site" in sentence
    assert "Traceback" not in printed
    assert project.noted("start") == []


def test_a_training_that_its_block_s_walltime_cut_goes_on_in_the_next_block_to_the_same_bytes(
    tmp_path: Path,
) -> None:
    runs = RUNS[:2]
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path / "pbs", nodes=1, tiles=1))
        project = Project(tmp_path, cluster, dflts=UNO, nodes_per_block=1, check_device=False)
        stack.callback(project.close)
        project.arguments += UNTIL
        project.settings |= {"upf": str(write_upf(tmp_path, runs)), "threads": "1"}
        project.start()
        project.reach(lambda: half_done(project, runs))
        (cut,) = half_done(project, runs)
        expire(cluster)
        assert half_done(project, runs) == [cut]
        assert RETRY not in project.finish()
        logs = [project.read(f"out/out-{run}-train.txt") for run in runs]
    assert [log.count("resuming after epoch") for log in logs] == [run == cut for run in runs]
    assert [log.count("epoch 60/60") for log in logs] == [1, 1]
    assert len(cluster.server.jobs) == 2
    (tmp_path / "here").mkdir()
    here = run_here(tmp_path / "here", runs, UNO)
    names = SCORES + TRAINED
    assert contents(project.experiment, runs, names) == contents(here, runs, names)


def half_done(project: Project, runs: tuple[str, ...]) -> list[str]:
    """Return the runs that have trained for some epochs and are not done, if another is done."""
    places = {run: project.experiment / "run" / run for run in runs}
    done = [run for run, place in places.items() if (place / "test_scores.json").exists()]
    lasts = {run: place / "ckpts" / "last" for run, place in places.items()}
    begun = [run for run, last in lasts.items() if last.exists() and last.resolve().name > "005"]
    return [run for run in begun if done and not (places[run] / "history.txt").exists()]
