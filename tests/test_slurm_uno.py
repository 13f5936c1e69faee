"""Uno on a real Slurm, in warm servers, by the real Snakefile and profiles/slurm."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nodes
import psutil
import pytest
import tiny
import yaml
from chains import MORTAL, QUICKLY, ROOT
from held import SCORES, UNTIL, contents, run_here, write_upf
from slurm.cluster import Cluster
from waiting import PATIENCE, wait_for

from hed.pilot.spool import Spool
from hed.warm.client import SERVER

pytest_plugins = ["slurm.fixture"]
pytestmark = [
    pytest.mark.xdist_group("slurm"),
    pytest.mark.flaky(reruns=1),
    pytest.mark.usefixtures("all_given_back"),
]

UNO = {"epochs": 60, "early_stopping_patience": 60, **tiny.SMALL}
RUNS = ("RUN000", "RUN001", "RUN002")
SITE = {
    "walltime": "00:30:00",
    "nodes_per_block": 2,
    "tiles_per_node": 1,
    "check_device": False,
    "scheduler_options": ["--exclusive"],
    "stage": False,
}


@pytest.fixture
def experiment(slurm: Cluster, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start three runs on two nodes; what they leave is ended."""
    profile = tmp_path / "profile"
    shutil.copytree(ROOT / "profiles" / "slurm", profile)
    site = yaml.safe_load((profile / "site.yaml").read_text())
    (profile / "site.yaml").write_text(yaml.safe_dump(site | SITE))
    (tmp_path / "dflts.json").write_text(json.dumps(UNO))
    settings = {
        "output": tmp_path,
        "upf": write_upf(tmp_path, RUNS),
        "dflts": tmp_path / "dflts.json",
        "threads": 1,
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = subprocess.Popen(
        [*MORTAL, "snakemake", "--profile", profile, *QUICKLY, *UNTIL, "--config", *words],
        cwd=ROOT,
        env=os.environ | {"PATH": path, "HED_PILOT_PERIOD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield command
    with suppress(psutil.NoSuchProcess):
        psutil.Process(command.pid).kill()


def test_a_killed_server_and_a_lost_node_change_no_byte_and_leave_no_process(
    slurm: Cluster, tmp_path: Path, experiment: subprocess.Popen[str]
) -> None:
    output = tmp_path / "EXP000"
    wait_for(lambda: len(trained(output)) >= 2, "two runs train")
    victim = min(servers(slurm), key=psutil.Process.create_time)
    victim.kill()
    wait_for(lambda: len(servers(slurm) - {victim}) == 2, "another server is started")
    first = set(trained(output))
    slurm.lose("n1")
    printed = experiment.communicate(timeout=PATIENCE)[0]
    assert experiment.returncode == 0, printed
    # Of the run whose server was killed; a lost node costs none.
    assert printed.count("Trying to restart") == 1
    assert {record["node"] for record in Spool(output / ".pilot").tiles()} >= {"n0", "n2"}
    logs = {run: (output / "out" / f"out-{run}-train.txt").read_text() for run in RUNS}
    assert any("resuming after epoch" in logs[run] for run in first)
    (tmp_path / "here").mkdir()
    here = run_here(tmp_path / "here", RUNS, UNO)
    assert contents(output, RUNS, SCORES) == contents(here, RUNS, SCORES)


def servers(slurm: Cluster) -> set[psutil.Process]:
    """Return the warm servers on all nodes."""
    return {each for each in slurm.processes() if SERVER in nodes.command(each)}


def trained(output: Path) -> list[str]:
    """Return the runs that have trained for some epochs and have not ended."""
    lasts = {run: output / "run" / run / "ckpts" / "last" for run in RUNS}
    begun = [run for run, last in lasts.items() if last.exists() and last.resolve().name > "003"]
    return [run for run in begun if not (output / "run" / run / "history.txt").exists()]
