"""A worker keeps a tile on which runs fail at once from taking the runs of all others."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from parsl.serialize import deserialize, serialize
from waiting import wait_for

from hed import variables
from hed.pilot import node, worker
from hed.pilot.spool import End, Spool, State
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS
from hed.pilot.worker import Trouble
from hed.site import cores
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
    spool.tell_nodes(Tiles(("5",), "", "", False, "", "/tmp"))
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


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "the node is broken"),
        (cores.Unusable("core 7 is missing"), "core 7 is missing"),
    ],
)
def test_a_node_without_processes_gives_its_run_back_says_so_and_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def attend(*_: object) -> End:
        raise error

    waits: list[float] = []
    monkeypatch.setattr(worker, "_attend", attend)
    monkeypatch.setattr(worker, "_trouble", Trouble())
    monkeypatch.setattr(worker.processes, "die_with_parent", lambda parent: None)
    monkeypatch.setattr(worker.processes, "adopt_orphans", lambda: None)
    monkeypatch.setattr(worker.node, "find_fault", lambda environ: "the node is broken")
    monkeypatch.setattr(worker.time, "sleep", waits.append)
    monkeypatch.setenv("PARSL_WORKER_RANK", "0")
    monkeypatch.setenv("PARSL_WORKER_BLOCK_ID", "3")
    spool = Spool.make(tmp_path / ".pilot")
    tiles = Tiles(("5",), "", "", False, "", str(tmp_path))
    order = (str(spool.directory), "job", 0, "job.sh", tiles)
    assert [worker.run(*order) for _ in range(2)] == ["lost", "lost"]
    assert [wait for wait in waits if wait != TIMERS.fault_doubt] == [10, 20]
    assert spool.state("job") is None
    assert spool.reported_nodes() == {("3", os.uname().nodename): why}


def test_a_node_is_at_fault_only_if_it_still_is_a_while_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "bin/tile"
    wrapper.parent.mkdir()
    wrapper.write_text("#!/bin/sh\necho no module >&2; exit 1\n")
    wrapper.chmod(0o755)
    environ = {"TMPDIR": str(tmp_path), "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    environ[node.BLOCK] = "3"
    waits: list[float] = []
    monkeypatch.setenv("PATH", environ["PATH"])
    monkeypatch.setattr(node.time, "sleep", waits.append)
    spool = Spool.make(tmp_path / ".pilot")
    assert node.leave_if_faulty(spool, environ)
    assert TIMERS.fault_doubt in waits  # among those of subprocess
    why = {("3", os.uname().nodename): "`tile true` fails: no module"}
    assert spool.reported_nodes() == why
    spool.forget_nodes()

    def mend(seconds: float) -> None:
        if seconds == TIMERS.fault_doubt:
            wrapper.write_text("#!/bin/sh\nexit 0\n")

    monkeypatch.setattr(node.time, "sleep", mend)
    # The run is not to blame, and others may start here.
    assert node.leave_if_faulty(spool, environ)
    assert spool.reported_nodes() == {}
    assert not node.leave_if_faulty(spool, environ)


def test_a_node_that_does_not_see_the_spool_gives_its_run_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.make(tmp_path / ".pilot")
    (tmp_path / "job.sh").write_text("true\n")
    shutil.rmtree(spool.directory / "begun")
    (spool.directory / "begun").touch()  # ENOTDIR, as of a stale mount
    order = [str(spool.directory), "job", "0", str(tmp_path / "job.sh")]
    with pytest.raises(OSError, match="its guard can use the spool no longer"):
        worker._attend(order, dict(os.environ))
    assert spool.state("job") is None


def test_on_an_old_kernel_runs_are_cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pidfd_open(process: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    environment = {"TMPDIR": str(tmp_path), variables.WARM: "of somebody else"}
    worker._warm(Tiles(("5",), "", "", False, "", str(tmp_path), warm=True), environment)
    assert environment == {"TMPDIR": str(tmp_path)}
    assert not list(tmp_path.iterdir())


def test_without_a_fork_server_a_run_has_a_guard_of_its_own(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path / ".pilot")
    spool.tell_nodes(Tiles(("5",), "", "", False, "", "/tmp"))
    path = tmp_path / "job.sh"
    path.write_text("true\n")
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "PATH": f"{PILOT}:{os.environ['PATH']}",
        "HED_FORKS": str(tmp_path / "none"),
    }
    order = [str(spool.directory), "job", "0", str(path)]
    assert worker._attend(order, environment) == "success"
    assert spool.state("job") == "success"
