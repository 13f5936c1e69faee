"""A worker keeps a tile on which runs fail at once from taking the runs of all others."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from parsl.serialize import deserialize, serialize
from waiting import wait_for

from hed.pilot import worker
from hed.pilot.spool import End, Spool, State
from hed.pilot.timers import TIMERS
from hed.pilot.worker import Trouble
from hed.site.profile import PILOT

# A worker pool of one worker that gets one job.
POOL = """
import subprocess, sys
subprocess.run([sys.executable, "-c", {worker!r}])
"""
WORKER = """
import dataclasses, os
from hed.pilot import worker
from hed.pilot.tile import Tiles
worker.TIMERS = dataclasses.replace(worker.TIMERS, first_tile_wait=300.0)
print(os.getpid(), flush=True)
worker.run({spool!r}, "job", 0, {script!r}, Tiles(("5",), "", "", False, "", "/tmp"))
"""


def test_a_tile_waits_longer_after_each_run_that_fails_soon_until_one_succeeds() -> None:
    trouble = Trouble()
    assert [trouble.wait("failed", 1) for _ in range(3)] == [10, 20, 40]
    assert [trouble.wait("cancelled", 1), trouble.wait("lost", 1)] == [0, 0]
    assert [trouble.wait("failed", TIMERS.quick_failure), trouble.wait("failed", 1)] == [0, 80]
    assert [trouble.wait("failed", 1) for _ in range(9)][-1] == TIMERS.longest_tile_wait
    assert [trouble.wait("success", 1), trouble.wait("failed", 1)] == [0, 10]


def test_parsl_calls_the_function_whose_module_remembers_the_failures() -> None:
    assert deserialize(serialize(worker.run)) is worker.run


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A pool whose run fails; its worker says its process id first."""
    (tmp_path / "job.sh").write_text("exit 1\n")
    spool = Spool.make(tmp_path / ".pilot")
    text = WORKER.format(spool=str(spool.directory), script=str(tmp_path / "job.sh"))
    with subprocess.Popen(
        [sys.executable, "-c", POOL.format(worker=text)],
        env={**os.environ, "PARSL_WORKER_RANK": "0", "PATH": f"{PILOT}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as made:
        yield made
        made.kill()


def test_a_failure_is_known_before_its_tile_waits_and_the_wait_ends_with_the_pool(
    pool: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert pool.stdout and pool.stderr
    waiting = psutil.Process(int(pool.stdout.readline()))
    told = f"tile 5 of {os.uname().nodename} waits 300 s: 1 runs in a row failed quickly\n"
    assert pool.stderr.readline() == told
    assert Spool(tmp_path / ".pilot").state("job") == "failed"
    assert waiting.is_running()
    pool.kill()
    wait_for(lambda: not waiting.is_running())


@pytest.mark.parametrize(
    ("number", "end", "state"), [("TERM", "lost", None), ("KILL", "failed", "failed")]
)
def test_a_guard_that_dies_fails_its_run_unless_it_was_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, end: End, state: State | None
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nkill -{number} $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    spool = Spool.make(tmp_path / ".pilot")
    assert worker._attend([str(spool.directory), "job", "0", "job.sh"], {}) == end
    assert spool.state("job") == state


def environment(tmp_path: Path) -> dict[str, str]:
    """Return that of a tile."""
    return {**os.environ, "TMPDIR": str(tmp_path), "PATH": f"{PILOT}:{os.environ['PATH']}"}


@pytest.fixture
def forks() -> Iterator[worker.Forks]:
    made = worker.Forks()
    yield made
    if made.server:
        made.server.kill()
        made.server.wait()


def script(spool: Spool, job: str, text: str) -> list[str]:
    """Write a run's script; return what its guard needs to know."""
    path = spool.directory / f"{job}.sh"
    path.write_text(text)
    return [str(spool.directory), job, "0", str(path)]


def test_one_process_forks_the_guards_of_all_runs_of_a_tile(
    tmp_path: Path, forks: worker.Forks
) -> None:
    spool = Spool.make(tmp_path / ".pilot")
    said = tmp_path / "said"
    for job, text in (("a", "true"), ("b", "exit 3"), ("c", "kill -9 $PPID"), ("d", "true")):
        line = f"tr '\\0' ' ' </proc/$PPID/cmdline >>{said}; ps -o ppid= $PPID >>{said}\n"
        status = forks.attend(script(spool, job, line + text), environment(tmp_path))
        assert worker.ENDS.get(status) == {"a": "success", "b": "failed", "d": "success"}.get(job)
    assert said.read_text().split().count(str(forks.server.pid if forks.server else 0)) == 4
    assert [spool.state(job) for job in "abcd"] == ["success", "failed", None, "success"]


@pytest.mark.parametrize(("number", "end"), [(signal.SIGTERM, "lost"), (signal.SIGKILL, None)])
def test_a_run_ends_with_its_fork_server_and_the_next_has_another(
    tmp_path: Path, forks: worker.Forks, number: int, end: End | None
) -> None:
    spool = Spool.make(tmp_path / ".pilot")
    order = script(spool, "job", f"echo $$ >{tmp_path}/begun\nsleep 600")
    with ThreadPoolExecutor() as threads:
        # The kernel takes the end of the thread that starts a process for that of its parent.
        forks.server = worker._start(environment(tmp_path))
        ended = threads.submit(forks.attend, order, environment(tmp_path))
        wait_for(lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text())
        process = psutil.Process(int((tmp_path / "begun").read_text()))
        forks.server.send_signal(number)
        assert worker.ENDS.get(ended.result()) == end
    wait_for(lambda: not process.is_running())
    assert spool.state("job") is None
    if number == signal.SIGKILL:
        assert forks.attend(script(spool, "next", "true"), environment(tmp_path)) == 0
