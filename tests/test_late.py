"""A qsub that answers late, or after it was given up, leaves no block that nobody knows of."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pbs.cluster import Cluster
from waiting import wait_for

from hed.pilot import release
from hed.pilot.parsl.providers import Pbs
from hed.pilot.parsl.recorded import Refused
from hed.pilot.spool import Spool

# The server has the job at once; or it gets it when qsub has been given up.
ANSWERS_LATE = '"$real" "$@" >"$0.answer"; sleep 300; cat "$0.answer"'
ARRIVES_LATE = 'setsid sh -c \'sleep 4; exec "$@"\' - "$real" "$@" >/dev/null 2>&1 & sleep 300'
OPTIONS = "#PBS -l filesystems=home:flare -l place=scatter\n#PBS -r n"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A server without nodes, whose jobs wait."""
    with Cluster(tmp_path / "pbs", nodes=0) as running:
        monkeypatch.setenv("PATH", running.environment()["PATH"])
        yield running


@pytest.fixture
def provider(cluster: Cluster, tmp_path: Path) -> Pbs:
    made = Pbs(
        account="P",
        queue="capacity",
        walltime="00:10:00",
        scheduler_options=OPTIONS,
        cmd_timeout=2,
    )
    made.spool, made.jobs = Spool.make(tmp_path / "EXP000" / ".pilot"), tmp_path / "jobid.txt"
    made.script_dir = str(made.spool.directory / "parsl")
    return made


def delay(cluster: Cluster, script: str) -> Path:
    """Let qsub do this from now on; return the file that will have its process id."""
    qsub, real, process = (cluster.bin / name for name in ("qsub", "qsub-real", "qsub-process"))
    real.write_text(qsub.read_text())
    real.chmod(0o755)
    qsub.write_text(f"#!/bin/sh\nreal={real}\necho $$ >{process}\n{script}\n")
    return process


def hasten(cluster: Cluster) -> None:
    """Let qsub answer again."""
    os.replace(cluster.bin / "qsub-real", cluster.bin / "qsub")


def test_a_block_whose_qsub_does_not_answer_is_found_and_recorded(
    cluster: Cluster, provider: Pbs
) -> None:
    process = delay(cluster, ANSWERS_LATE)
    assert provider.submit("true", 1, "parsl.EXP000.block-0") == "1.stand-in"
    assert provider.spool.blocks() == {"1.stand-in": {"command": "qdel"}}
    assert provider.jobs.read_text() == "1.stand-in\n"
    assert not psutil.pid_exists(int(process.read_text()))
    assert list(cluster.server.jobs) == [1]


def test_a_block_that_comes_after_its_qsub_was_given_up_is_given_back_before_the_next(
    cluster: Cluster, provider: Pbs
) -> None:
    delay(cluster, ARRIVES_LATE)
    with pytest.raises(Refused, match="does not answer") as caught:
        provider.submit("true", 1, "parsl.EXP000.block-0")
    assert caught.value.kind == "passes"
    wait_for(lambda: cluster.server.jobs)
    hasten(cluster)
    assert provider.submit("true", 1, "parsl.EXP000.block-1") == "2.stand-in"
    assert [job.state for job in cluster.server.jobs.values()] == ["F", "Q"]
    assert list(provider.spool.blocks()) == ["2.stand-in"]


def test_the_end_of_the_pilot_gives_back_a_block_of_which_only_the_name_is_known(
    cluster: Cluster, provider: Pbs
) -> None:
    delay(cluster, ARRIVES_LATE)
    with pytest.raises(Refused):
        provider.submit("true", 1, "parsl.EXP000.block-0")
    wait_for(lambda: cluster.server.jobs)
    ((name, how),) = provider.spool.blocks().items()
    cluster.server.is_down = True
    assert not release.give_back(name, how)
    with pytest.raises(Refused, match="does not answer"):
        provider.submit("true", 1, "parsl.EXP000.block-1")
    cluster.server.is_down = False
    assert release.give_back(name, how)
    assert [job.state for job in cluster.server.jobs.values()] == ["F"]


def test_a_refused_block_is_forgotten(cluster: Cluster, provider: Pbs) -> None:
    cluster.server.refusals = iter([32])
    with pytest.raises(Refused, match="a rule of the site rejects it"):
        provider.submit("true", 1, "parsl.EXP000.block-0")
    assert provider.spool.blocks() == {}
