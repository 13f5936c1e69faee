"""Blocks of PBS, of Slurm and of this machine, as Parsl's providers and ours see them."""

import json
import os
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from parsl.jobs.states import JobState, JobStatus
from spools import read_site, write_commands

from hed.pilot import processes, release
from hed.pilot.parsl import providers, recorded, setup
from hed.pilot.parsl.launcher import PerNode
from hed.pilot.parsl.providers import Pbs, Slurm
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS
from hed.site.profile import PILOT
from hed.site.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return read_site(tmp_path)


def test_a_job_that_pbs_holds_for_ever_is_known() -> None:
    never = {"job_state": "Q", "comment": "Can Never Run: Not enough nodes"}
    assert providers.hopeless(never) == "Can Never Run: Not enough nodes"
    assert "PBS holds it" in providers.hopeless({"job_state": "H", "Hold_Types": "s"})
    assert providers.hopeless({"job_state": "H", "Hold_Types": "u"}) == ""
    assert providers.hopeless({"job_state": "Q", "comment": "Not Running: no nodes"}) == ""


def test_a_job_that_pbs_has_forgotten_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qstat").write_text("#!/bin/sh\necho unknown >&2\nexit 153\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs()
    made.spool = Spool.make(tmp_path / "spool")
    known = {"status": JobStatus(JobState.RUNNING), "job_stdout_path": "", "job_stderr_path": ""}
    made.resources["17.server"] = known
    made.spool.add_block("17.server", {"command": "qdel"})
    assert made.status(["17.server"])[0].state == JobState.COMPLETED
    assert made.spool.blocks() == {}


def test_blocks_stay_as_they_were_while_pbs_does_not_say_how_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if one job cannot be looked at, or its comment is in Latin-1."""
    answer = '{"Jobs": {"18.server": {"job_state": "R", "comment": "Z\\374rich"}}}'
    last = "for job; do :; done"
    refused = "[ $job != 17.server ] || { echo 'No Permission' >&2; exit 159; }"
    garbled = "[ $job != 19.server ] || { echo maintenance; exit 0; }"
    write_commands(tmp_path, qstat=f"{last}; {garbled}; {refused}; printf '{answer}'")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs()
    made.spool = Spool.make(tmp_path / "spool")
    monkeypatch.setattr(recorded, "TIMERS", replace(TIMERS, first_reminder=0.0))
    jobs = ["19.server", "17.server", "18.server"]
    for job in jobs:
        state = JobStatus(JobState.PENDING)
        made.resources[job] = {"status": state, "job_stdout_path": "", "job_stderr_path": ""}
    found = made.status(jobs)
    waits, runs = JobState.PENDING, JobState.RUNNING
    assert [status.state for status in found] == [waits, waits, runs]
    assert made.comment("18.server") == "Z\ufffdrich"
    assert "the scheduler does not say how the blocks are: No Permission" in caplog.text


def test_what_a_site_s_wrapper_of_qsub_prints_is_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_commands(tmp_path, qsub="echo 'Welcome to 4.site! 3 jobs are yours.'; echo 17.server")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs(launcher=PerNode("", "", inside=False))
    made.spool, made.jobs = Spool.make(tmp_path / "spool"), tmp_path / "jobid.txt"
    made.script_dir = str(tmp_path)
    assert made.submit("true", 1) == "17.server"
    assert list(made.resources) == ["17.server"]


def test_slurm_s_accounting_which_has_not_heard_of_a_new_block_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_commands(tmp_path, sacct="exit 0", squeue="echo CLUSTER: big; echo 17 PD")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Slurm()
    made.spool = Spool.make(tmp_path / "spool")
    status = JobStatus(JobState.PENDING)
    made.resources["17"] = {"status": status, "job_stdout_path": "", "job_stderr_path": ""}
    assert made.status(["17"])[0].state == JobState.PENDING


def test_a_block_that_pbs_will_never_start_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"Jobs": {"17.server": {"job_state": "Q", "comment": "Can Never Run: too large"}}}
    write_commands(tmp_path, qstat=f"echo '{json.dumps(answer)}'", qdel="exit 162")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs()
    made.spool = Spool.make(tmp_path / "spool")
    known = {"status": JobStatus(JobState.PENDING), "job_stdout_path": "", "job_stderr_path": ""}
    made.resources["17.server"] = known
    made.spool.add_block("17.server", {"command": "qdel"})
    # While PBS does not take it back, it may start after all.
    assert made.status(["17.server"])[0].state == JobState.PENDING
    assert list(made.spool.blocks()) == ["17.server"]
    write_commands(tmp_path, qdel=f"echo $1 >{tmp_path}/deleted")
    (found,) = made.status(["17.server"])
    assert (found.state, found.message) == (JobState.FAILED, "Can Never Run: too large")
    assert (tmp_path / "deleted").read_text() == "17.server\n"


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("R", JobState.RUNNING),
        ("CG", JobState.COMPLETED),
        ("OOM", JobState.FAILED),
        ("PR", JobState.TIMEOUT),
        ("S", JobState.PENDING),
    ],
)
def test_a_block_that_slurm_is_ending_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, state: JobState
) -> None:
    write_commands(tmp_path, sacct="exit 1", squeue=f"echo 17 {code}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Slurm()
    made.spool = Spool.make(tmp_path / "spool")
    known = {"status": JobStatus(JobState.RUNNING), "job_stdout_path": "", "job_stderr_path": ""}
    made.resources["17"] = known
    assert made.status(["17"])[0].state == state


def test_a_local_block_is_given_back_unless_its_number_is_another_s_by_now() -> None:
    sleeping = subprocess.Popen(["sleep", "300"], start_new_session=True)
    how = {"process": str(sleeping.pid), "group": str(sleeping.pid), "born": "1"}
    assert release.give_back(how["process"], how)
    assert sleeping.poll() is None
    assert release.give_back(how["process"], {**how, "born": processes.born(sleeping.pid)})
    assert sleeping.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize(("status", "gone"), [(0, True), (35, True), (153, True), (255, False)])
def test_a_block_counts_as_given_back_when_pbs_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, gone: bool
) -> None:
    (tmp_path / "qdel").write_text(f"#!/bin/sh\necho $1 >{tmp_path}/deleted\nexit {status}\n")
    (tmp_path / "qdel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert release.give_back("17.server", {"command": "qdel"}) is gone
    assert (tmp_path / "deleted").read_text() == "17.server\n"


def test_a_node_of_pbs_has_what_its_site_selects(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_commands(tmp_path, qsub=f"cp $1 {tmp_path}/given; echo 17.server")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = replace(site, scheduler="pbs", nodes_per_block=2, select="ngpus=4:system=polaris")
    spool = Spool.make(tmp_path / "spool")
    made = setup.make(here, spool, "EXP000", PILOT, inside=False)
    made.provider.submit("true", 1)
    (line,) = re.findall("-l select=.*", (tmp_path / "given").read_text())
    assert re.fullmatch("-l select=2:ncpus=[0-9]+:ngpus=4:system=polaris", line)
